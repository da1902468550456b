"""Energies and gas volume: mean power over a site second, once per pulse, in exact integers.

`electrical_energy` and `channel_power` come from the mean of all channels' currents (to 1/256 of 2 mA) × the mean bus voltage,
`bus_energy` from the mean bus current × the mean bus voltage; each division's remainder is carried into the next second, so no
rounding adds up. The energy of a second is power × one pulse, whatever number of clocks lay between two pulses. Signed throughout: a
floor division is made of an unsigned one by adding a multiple of the divisor first. `electrical_energy` never runs
backwards: reverse power has to be made good before the counter goes on.
What was not measured counts as nothing: without a sample of the bus in a second no power, without one of the gas no gas.
No counter wraps: one that would leave its range stays where it is, and `saturated` says so until power-off. (64 bits of millijoules
last a full node 28,000 years, the 48 bits of gas 136 years.)
Two measurements that have nothing in common see the same current: the channels' own and the bus shunt. `mismatch` says that the means of
the second differ by more than 2 % of the shunt's and by more than 0.5 A: a shunt's zero (half a per cent of ±82 A is 0.4 A) and half a step
of 2 mA in each of 108 channels (0.1 A) are no reason to doubt.
Latency: 161 clocks from `means_done` to `done`. Area: counted in `node.py`.
"""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, ValueLike, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .bit_serial import carry_bit, greater, sum_bit
from .divider import SerialDivider

MEAN_FRACTION_BITS = 8
CHANNEL_POWER_DIVISOR = (1 << MEAN_FRACTION_BITS) * 1000 // 2
"""2 mA × mV = 2 µW, in 1/256: so many in a mW."""
BUS_POWER_DIVISOR = 100
"""10 mA × mV = 10 µW: so many in a mW."""
BUS_POWER_BIAS_BITS = 25
"""Added before the division, in mW: 33 kW of reverse power, more than the bus shunt's 16 bits can say, stay positive."""
MISMATCH_PERCENT = 2
MISMATCH_FLOOR = 500 // 2 << MEAN_FRACTION_BITS
"""0.5 A in 1/256 of 2 mA."""
MEAN_STEPS_PER_BUS_STEP = 10 // 2 << MEAN_FRACTION_BITS
SAMPLES_BITS = 20
DIVIDEND_BITS_MIN = 48


class Energy(wiring.Component):
    """Adds `channel_sum` (2 mA) at each `channel_strobe`; closes the second's sum at `pulse`; at `means_done` takes the second's means.

    `bus_mv`, `bus_current` (10 mA, signed) and `gas_flow` (mMcf/d = cf/d) are the second's means, if `voltage_measured`, `current_measured`
    and `gas_measured`. Outputs, final at `done`, in their
    points' raw units: mJ, mJ, 1/86400 cf, mW. `mismatch` is final by then, too.
    A second without one exchange counts no channel power; currents are compared where both were measured. Without `counts`, still from
    `pulse` to `done`, the second's power is shown and no counter moves.
    """

    def __init__(self, sum_shape):
        self._sum_shape = sum_shape
        super().__init__(
            {
                "channel_sum": In(sum_shape),
                "channel_strobe": In(1),
                "pulse": In(1),
                "means_done": In(1),
                "counts": In(1, init=1),
                "bus_mv": In(16),
                "bus_current": In(signed(16)),
                "gas_flow": In(16),
                "voltage_measured": In(1),
                "current_measured": In(1),
                "gas_measured": In(1),
                "done": Out(1),
                "electrical_energy": Out(64),
                "bus_energy": Out(signed(64)),
                "gas_volume": Out(48),
                "channel_power": Out(signed(32)),
                "mismatch": Out(1),
                "saturated": Out(1),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        sum_bits = self._sum_shape.width
        dividend_bits = max(DIVIDEND_BITS_MIN, sum_bits + SAMPLES_BITS + MEAN_FRACTION_BITS)
        m.submodules.divider = divider = SerialDivider(dividend_bits, SAMPLES_BITS)
        # The greatest sum at 65.5 V is 2^(sum_bits - 1) × 2^16 × 2 µW < 2^(sum_bits + 7) mW.
        power_bias_bits = max(BUS_POWER_BIAS_BITS, sum_bits + 7)
        biased_bits = sum_bits + SAMPLES_BITS

        # Channel sums, biased to be positive: sum + 2^(sum_bits - 1) each.
        bias = 1 << (sum_bits - 1)
        running, running_samples = Signal(biased_bits), Signal(SAMPLES_BITS)
        closed, closed_samples = Signal(biased_bits), Signal(SAMPLES_BITS)
        biased = Signal(sum_bits)
        m.d.comb += biased.eq(self.channel_sum + bias)
        with m.If(self.pulse):
            m.d.sync += [closed.eq(running), closed_samples.eq(running_samples)]
            m.d.sync += [running.eq(Mux(self.channel_strobe, biased, 0)), running_samples.eq(self.channel_strobe)]
        with m.Elif(self.channel_strobe & ~running_samples.all()):
            m.d.sync += [running.eq(running + biased), running_samples.eq(running_samples + 1)]

        mean_bits = sum_bits + MEAN_FRACTION_BITS
        factor = Signal(signed(mean_bits))
        product = Signal(signed(mean_bits + 17))
        m.d.sync += product.eq(factor * Cat(self.bus_mv, C(0, 1)).as_signed())
        channel_remainder = Signal(range(CHANNEL_POWER_DIVISOR))
        bus_remainder = Signal(range(BUS_POWER_DIVISOR))
        power = Signal(signed(32))
        made_good = Signal(signed(64))
        of_bus = Signal()
        addend = Signal(dividend_bits)
        compares, compared = Signal(), Signal()
        self._compare(m, compares, compared, factor)
        # No bit of a bias is a remainder's. While the mean is divided the factor has been 0.
        m.d.comb += [
            power.eq(divider.quotient - (1 << power_bias_bits)),
            addend.eq(
                Mux(
                    of_bus,
                    bus_remainder | (BUS_POWER_DIVISOR << power_bias_bits),
                    channel_remainder | (CHANNEL_POWER_DIVISOR << power_bias_bits),
                )
            ),
            divider.dividend.eq(product + addend),
        ]

        m.d.sync += self.done.eq(0)
        with m.FSM():
            with m.State("IDLE"), m.If(self.means_done):
                with m.If(self.gas_measured & self.counts):
                    self._add(m, self.gas_volume, self.gas_flow)
                m.d.sync += compared.eq((closed_samples != 0) & self.voltage_measured & self.current_measured)
                with m.If((closed_samples == 0) | ~self.voltage_measured):
                    m.d.sync += factor.eq(0)
                    m.next = "MULTIPLY"
                with m.Else():
                    m.next = "MEAN"
            with m.State("MEAN"):
                m.d.comb += [divider.start.eq(1), addend.eq(closed << MEAN_FRACTION_BITS), divider.divisor.eq(closed_samples)]
                m.next = "MEAN_WAIT"
            with m.State("MEAN_WAIT"), m.If(divider.done):
                m.d.sync += factor.eq(divider.quotient - (bias << MEAN_FRACTION_BITS))
                m.next = "MULTIPLY"
            with m.State("MULTIPLY"):
                m.next = "CHANNEL_POWER"
            with m.State("CHANNEL_POWER"):
                m.d.comb += [compares.eq(1), divider.start.eq(1), divider.divisor.eq(CHANNEL_POWER_DIVISOR)]
                m.next = "CHANNEL_WAIT"
            with m.State("CHANNEL_WAIT"), m.If(divider.done):
                m.d.sync += [
                    self.channel_power.eq(power),
                    factor.eq(Mux(self.voltage_measured & self.current_measured, self.bus_current, 0)),
                ]
                with m.If(self.counts):
                    m.d.sync += channel_remainder.eq(divider.remainder)
                    self._add(m, made_good, power)
                m.next = "CHANNEL_ENERGY"
            with m.State("CHANNEL_ENERGY"):
                with m.If(~made_good[-1] & (made_good.as_unsigned() > self.electrical_energy)):
                    m.d.sync += self.electrical_energy.eq(made_good)
                m.next = "BUS_POWER"
            with m.State("BUS_POWER"):
                m.d.comb += [of_bus.eq(1), divider.start.eq(1), divider.divisor.eq(BUS_POWER_DIVISOR)]
                m.next = "BUS_WAIT"
            with m.State("BUS_WAIT"), m.If(divider.done):
                with m.If(self.counts):
                    self._add(m, self.bus_energy, power)
                    m.d.sync += bus_remainder.eq(divider.remainder)
                m.d.sync += [factor.eq(0), self.done.eq(1)]
                m.next = "IDLE"
        return m

    def _add(self, m: Module, counter: Signal, amount: Signal) -> None:
        """`counter` goes on by `amount`, unless it cannot hold that."""
        # Expressions, not signals: a signal that is 0 in every other state costs a gate a bit.
        after = counter + amount
        kept = after[: len(counter)]
        if counter.shape().signed:
            kept = kept.as_signed()
        with m.If(kept == after):
            m.d.sync += counter.eq(kept)
        with m.Else():
            m.d.sync += self.saturated.eq(1)

    def _compare(self, m: Module, start: Value, compared: Value, mean: Signal) -> None:
        """Sets `mismatch` from `start` on, while the power is divided: all numbers pass by bit after bit, from the lowest to the sign.

        `mean` is the channels', in 1/256 of 2 mA like all here. 10 times the difference against 256 times the shunt's raw value is the
        same as 50 times against all of the shunt's.
        """
        bits = (
            max(len(mean), len(self.bus_current) + MEAN_STEPS_PER_BUS_STEP.bit_length()) + (100 // MISMATCH_PERCENT // 5).bit_length() + 1
        )
        place = Signal(range(bits + 1), init=bits)
        bit, shunt_bit = (
            Cat(number, number[-1].replicate(64 - len(number))).bit_select(place, 1)
            for number in (mean, Cat(C(0, MEAN_FRACTION_BITS), self.bus_current))
        )
        floor_bit = C(MISMATCH_FLOOR, 64).bit_select(place, 1)
        passing = _Passing(m, start)

        shunt = passing.added(shunt_bit, passing.delayed(shunt_bit, 2))
        difference = passing.added(bit, ~shunt, carry=1)
        tenfold = passing.delayed(passing.added(difference, passing.delayed(difference, 2)), 1)
        size = passing.added(shunt_bit ^ self.bus_current[-1], 0, carry=self.bus_current[-1])
        differs = 0
        for apart, tenfold_apart in ((difference, tenfold), (passing.added(~difference, 0, carry=1), passing.added(~tenfold, 0, carry=1))):
            positive = ~tenfold_apart
            differs |= positive & passing.greater(apart, floor_bit) & passing.greater(tenfold_apart, size)
        with m.If(start):
            m.d.sync += place.eq(0)
        with m.Elif(place != bits):
            m.d.sync += place.eq(place + 1)
            with m.If(place == bits - 1):
                m.d.sync += self.mismatch.eq(compared & differs)


class _Passing:
    """What is made of numbers that pass by bit after bit, the lowest first, from the clock after `start` on."""

    def __init__(self, m: Module, start: Value):
        self._m = m
        self._start = start

    def _kept(self, value: ValueLike, start: ValueLike = 0) -> Signal:
        """`value` of the clock before; at the first bit `start`."""
        kept = Signal(name="kept")
        self._m.d.sync += kept.eq(Mux(self._start, start, value))
        return kept

    def delayed(self, bit: Value, places: int) -> Value:
        """2^`places` times the number."""
        for _ in range(places):
            bit = self._kept(bit)
        return bit

    def added(self, a: Value, b: ValueLike, carry: ValueLike = 0) -> Value:
        """The sum's bit."""
        following = Signal(name="carry")
        before = self._kept(following, carry)
        self._m.d.comb += following.eq(carry_bit(a, b, before))
        return sum_bit(a, b, before)

    def greater(self, a: Value, b: Value) -> Value:
        """Whether the first number is greater, by the bits so far."""
        following = Signal(name="greater")
        before = self._kept(following)
        self._m.d.comb += following.eq(greater(a, b, before))
        return following
