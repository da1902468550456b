"""Complementary gate signals of many synchronous bucks, interleaved in twelve phases, with dead time, dither and a low side by permission.

100 kHz: 480 counts at 48 MHz with 3 bits of dither, or 240 counts at 24 MHz with 4; the duty word is the same 12 bits. Channel k has the
carrier of slot k mod 12, which is s × 1/12 period behind slot 0's: the bus sees twelve small steps instead of one, and the middles of
the on-times come one at a time (`midpoint`, `midpoint_slot`), so that a converter can sample each there. In the middle of the on-time an
inductor's ripple crosses its mean.
A carrier falls 479, 477 … 1 and rises 0, 2 … 478. The high side is on while carrier < duty, the low side while carrier − 2 × dead time ≥
duty: that leaves the dead time on both sides of the pulse and can never switch both on. Fractions of a count are dithered over 8 (16)
periods in bit-reversed order, so that their mean is exact. The duty is clamped to 0.95, which leaves room for recharging the bootstrap.
While slot s − 1 begins its period the channels of slot s are prepared, four clocks each: their `channel` is put out, its duty word taken
in the second clock and the permissions in the fourth (`prepared`). All three take effect together at the channel's own period
boundary, in the middle of its off-time, and nowhere else. `low_side` lets the low side conduct for the period; `bootstrap` gives it one
pulse of at most `bootstrap_ns` at the period's beginning, cut short by the dead time before the high side.
A duty below 32 of 480 never gives the low side. Gates fall with `run` and `enable` (a bit for each twelve channels) without a clock;
after `enable` they return with a whole period. `run` may be an unsynchronised wire: it only gates, and whoever drives `enable` includes a
synchronised copy of it.
Latency: gates are registered, one clock behind the carrier; a duty waits for up to one period and a twelfth. Area, iCE40:
522 LUT4, 485 carry, 316 FF with 12 channels; 889 LUT4, 923 carry, 653 FF with 36; 479 LUT4, 425 carry, 290 FF with 12 at 24 MHz.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from thermogen_esf.points import PWM_COUNTS

PWM_HZ = 100_000
PHASES = 12
DUTY_MAX_COUNTS = PWM_COUNTS * 95 // 100
DITHER_BITS = 3
DUTY_BITS = 9 + DITHER_BITS
"""A duty: 9 bits of counts of 480, then 3 bits of eighths of a count."""
LOW_SIDE_MIN_COUNTS = 32
BOOTSTRAP_NS = 900
"""Longest recharging pulse: under 1 µs by more than the clock's tolerance."""
PREPARE_CLOCKS = 4


def counts_per_period(clock_hz: int) -> int:
    """Counts of a period; ValueError unless the duty word fits them."""
    if clock_hz not in (PWM_COUNTS * PWM_HZ, PWM_COUNTS * PWM_HZ // 2):
        raise ValueError(
            f"{clock_hz} Hz does not divide a period as the duty word does: use {PWM_COUNTS * PWM_HZ} Hz or {PWM_COUNTS * PWM_HZ // 2} Hz"
        )
    return clock_hz // PWM_HZ


class Dither(wiring.Component):
    """Whole counts for the duty word `word` in period `period` of 2**bits, clamped to 0.95. Combinational."""

    def __init__(self, counts: int) -> None:
        self.bits = DITHER_BITS + (PWM_COUNTS // counts).bit_length() - 1
        self._most = counts * DUTY_MAX_COUNTS // PWM_COUNTS
        super().__init__({"word": In(DUTY_BITS), "period": In(self.bits), "counts": Out(DUTY_BITS - self.bits)})

    def elaborate(self, _platform):
        m = Module()
        dithered = Signal(DUTY_BITS - self.bits + 1)
        reversed_period = Cat(*(self.period[bit] for bit in reversed(range(self.bits))))
        m.d.comb += [
            dithered.eq(self.word[self.bits :] + (self.word[: self.bits] > reversed_period)),
            self.counts.eq(Mux(dithered > self._most, self._most, dithered)),
        ]
        return m


class BuckPwm(wiring.Component):
    """Gates of `channels`, twelve to each bit of `enable`.

    ValueError when the clock does not fit the duty word, or the dead time does not fit beside the largest duty.
    """

    def __init__(self, clock_hz=48_000_000, channels=12, dead_time_ns=100, bootstrap_ns=BOOTSTRAP_NS):
        self._counts = counts_per_period(clock_hz)
        self._dead_clocks = -(-dead_time_ns * clock_hz // 1_000_000_000)
        self._bootstrap_clocks = bootstrap_ns * clock_hz // 1_000_000_000
        most = self._counts * DUTY_MAX_COUNTS // PWM_COUNTS
        limit = (self._counts - 1 - most) // 2
        if not 1 <= self._dead_clocks <= limit:
            raise ValueError(
                f"dead time {dead_time_ns} ns is {self._dead_clocks} clocks; beside a duty of 0.95 there is room for 1 to {limit}"
            )
        self._channels = channels
        self._groups = -(-channels // PHASES)
        if PREPARE_CLOCKS * self._groups >= self._counts // PHASES:
            raise ValueError(f"{channels} channels cannot be prepared in the {self._counts // PHASES} clocks of a phase")
        super().__init__(
            {
                "run": In(1),
                "enable": In(self._groups),
                "channel": Out(range(PHASES * self._groups)),
                "duty_data": In(DUTY_BITS),
                "low_side": In(1),
                "bootstrap": In(1),
                "prepared": Out(1),
                "midpoint": Out(1),
                "midpoint_slot": Out(range(PHASES)),
                "hi": Out(channels),
                "lo": Out(channels),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        counts, groups = self._counts, self._groups

        # Twelve sectors to a period. At a sector's last clock one slot's period ends and the opposite one is in the middle of its on-time.
        sector_clocks = counts // PHASES
        step = Signal(range(sector_clocks))
        next_slot = Signal(range(PHASES), init=1)
        boundary = Signal()
        opposite = Signal(range(PHASES))
        m.d.comb += [
            boundary.eq(step == sector_clocks - 1),
            opposite.eq(Mux(next_slot < PHASES // 2, next_slot + PHASES // 2, next_slot - PHASES // 2)),
        ]
        # A clock later, as the gates are: a chip select registered from it falls as they are in the middle.
        m.d.sync += [self.midpoint.eq(boundary), self.midpoint_slot.eq(opposite)]
        dither = Dither(counts)
        m.submodules.dither = dither
        period = Signal(dither.bits)
        m.d.sync += step.eq(step + 1)
        with m.If(boundary):
            m.d.sync += [step.eq(0), next_slot.eq(next_slot + 1)]
            with m.If(next_slot == PHASES - 1):
                m.d.sync += next_slot.eq(0)
            with m.If(next_slot == 0):
                m.d.sync += period.eq(period + 1)

        # Prepare the channels of the next slot, one of each group.
        group = Signal(range(groups + 1), init=groups)
        phase = Signal(range(PREPARE_CLOCKS))
        word = Signal(DUTY_BITS)
        with m.If(boundary):
            m.d.sync += [group.eq(0), phase.eq(0), self.channel.eq(Mux(next_slot == PHASES - 1, 0, next_slot + 1))]
        with m.Elif(group != groups):
            m.d.sync += phase.eq(phase + 1)
            with m.If(phase == 1):
                m.d.sync += word.eq(self.duty_data)
            with m.If(phase == PREPARE_CLOCKS - 1):
                m.d.comb += self.prepared.eq(self.channel < self._channels)
                m.d.sync += [group.eq(group + 1), self.channel.eq(self.channel + PHASES)]
        duty_bits = len(dither.counts)
        whole = Signal(duty_bits)
        m.d.sync += whole.eq(dither.counts)
        enabled = self.enable.bit_select(group, 1)
        low_side_least = counts * LOW_SIDE_MIN_COUNTS // PWM_COUNTS
        duty, low_side, bootstrap = Signal(duty_bits), Signal(), Signal()
        m.d.comb += [
            dither.word.eq(word),
            dither.period.eq(period),
            duty.eq(Mux(enabled, whole, 0)),
            low_side.eq(enabled & self.low_side & (whole >= low_side_least)),
            bootstrap.eq(enabled & self.bootstrap & (word != 0)),
        ]
        pending = [_Period(duty_bits, f"pending_{k}") for k in range(groups)]
        for k in range(groups):
            with m.If(self.prepared & (group == k)):
                m.d.sync += [pending[k].duty.eq(duty), pending[k].low_side.eq(low_side), pending[k].bootstrap.eq(bootstrap)]

        high, low = Signal(self._channels), Signal(self._channels)
        for slot in range(min(PHASES, self._channels)):
            ends = Signal(name=f"ends_{slot}")
            m.d.comb += ends.eq(boundary & (next_slot == slot))
            carrier = self._carrier(m, slot, ends, boundary & (opposite == slot))
            for channel in range(slot, self._channels, PHASES):
                active = _Period(duty_bits, f"active_{channel}")
                group_enable = self.enable[channel // PHASES]
                with m.If(~group_enable):
                    m.d.sync += active.clear()
                with m.Elif(ends):
                    m.d.sync += active.take(pending[channel // PHASES])
                allowed = (active.low_side & carrier.clear) | (active.bootstrap & carrier.recharge)
                m.d.sync += [high[channel].eq(carrier.high < active.duty), low[channel].eq((carrier.low >= active.duty) & allowed)]
                gate = group_enable & self.run
                m.d.comb += [self.hi[channel].eq(high[channel] & gate), self.lo[channel].eq(low[channel] & gate)]
        return m

    def _carrier(self, m, slot, ends, middle):
        """The carrier of one slot. Its lowest bit is 1 while it falls and 0 while it rises."""
        half = self._counts // 2
        since_boundary = -slot * self._counts // PHASES % self._counts
        falls = since_boundary < half
        level = Signal(range(half), name=f"carrier_{slot}", init=half - 1 - since_boundary if falls else since_boundary - half)
        falling = Signal(name=f"falling_{slot}", init=falls)
        with m.If(ends | middle):
            m.d.sync += falling.eq(ends)
        with m.Else():
            m.d.sync += level.eq(level + Mux(falling, -1, 1))
        carrier = _Carrier(len(level) + 1, slot)
        m.d.comb += [
            carrier.high.eq(Cat(falling, level)),
            carrier.low.eq(Cat(falling, (level - self._dead_clocks)[: len(level)])),
            # Below the dead time the low side's carrier has wrapped around.
            carrier.clear.eq(level >= self._dead_clocks),
            carrier.recharge.eq(falling & (level >= half - self._bootstrap_clocks)),
        ]
        return carrier


class _Period:
    """What holds for one period of a channel."""

    def __init__(self, duty_bits: int, name: str) -> None:
        self.duty = Signal(duty_bits, name=f"{name}_duty")
        self.low_side = Signal(name=f"{name}_low_side")
        self.bootstrap = Signal(name=f"{name}_bootstrap")

    def take(self, other: _Period):
        return [self.duty.eq(other.duty), self.low_side.eq(other.low_side), self.bootstrap.eq(other.bootstrap)]

    def clear(self):
        return [self.duty.eq(0), self.low_side.eq(0), self.bootstrap.eq(0)]


class _Carrier:
    """What the channels of one slot compare their duties with."""

    def __init__(self, bits: int, slot: int) -> None:
        self.high = Signal(bits, name=f"carrier_high_{slot}")
        self.low = Signal(bits, name=f"carrier_low_{slot}")
        self.clear = Signal(name=f"clear_{slot}")
        self.recharge = Signal(name=f"recharge_{slot}")
