"""A channel's step of the tracker: from the powers of 12.8 ms to its next state and string voltage, a short program on one multiplier.

String voltage is kept as the duty per volt of bus, `Y` = 3840 × 2^20 / millivolts. A source behind a resistance R gives V × I with
I = (Voc − V) / R, so z = r × I / V from one measurement says how far V is from the voltage at which the converter loads the string with
r = ratio × R: V' = V (1 + z) / 2 is Newton's step to it, and for r = R it is half of the open-circuit voltage at once. In Y it is
Y + Y (1 − z) / 2; a step goes at most half up in Y and an eighth down. R is learnt from patterns of four steps at V (1 ± a) in the order
+ − − +, in which drift cancels: the relative slope of power over relative voltage is 1 − r/R. What is missing moves R by a 64th of it
(for a = 1/128), between half and twice of the string's resistance as built: a time constant of 3 s, after which 4 LSB of noise in
a sample move R by 0.3 %. Above a current limit the step is Y × (limit − current) / 21 A instead, towards open circuit; it ends where
Newton's step asks for less. In discontinuous conduction current flows at every duty: where 240 V, the highest string voltage, still gives
more than the limit, and where the limit is none, the channel is parked, in LIMIT and without a duty. It seeks again when it may return.
Fixed point: Y 17 bits (2e-5 at 68 V), mean power 17 bits of 2.048 mW, resistance 20 bits of 0.2 milliohm, z in 2^−15; every product of two
18-bit operands is cut to the next operand's 17 bits and saturates.
Latency: 23 clocks, 65 at the end of a pattern. Area: counted in the tracker's.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from thermogen_esf.points import PWM_COUNTS, ChannelState
from thermogen_esf.tracker_parameters import TRACKER_PARAMETERS

from .buck_pwm import DITHER_BITS, DUTY_MAX_COUNTS
from .divider import SerialDivider
from .module_link import CURRENT_BITS
from .slow_optimum import RATIO_BITS, RATIO_ONE

PARAMETERS_LAYOUT = data.StructLayout({parameter.identifier: 16 for parameter in TRACKER_PARAMETERS})
"""The tracker's parameters in the order of their registers."""

DUTY_MAX = DUTY_MAX_COUNTS << DITHER_BITS
Y_SHIFT = 20
"""Duty in eighths of a count = Y × bus in millivolts × 2^−20."""
_Y_ONE = (PWM_COUNTS << DITHER_BITS) << Y_SHIFT
Y_BITS = 17
Y_START = _Y_ONE // 200_000
Y_LEAST = _Y_ONE // 240_000
Y_MOST = _Y_ONE // 45_000

MEASURED_EXCHANGES = 64
OFFSET_FRACTION = 8
RESISTANCE_FRACTION = 4
STEP_CLOCKS = 68
"""Most clocks from `start` to the clock after `done`."""

RECORD = data.StructLayout(
    {
        "state": 3,
        "latched": 1,
        "reversed": 1,
        "spoiled": 1,
        "goal": Y_BITS,
        "applied": Y_BITS,
        "resistance": 16 + RESISTANCE_FRACTION,
        "window": signed(31),
        "pattern": signed(33),
        "offset": CURRENT_BITS + OFFSET_FRACTION,
    }
)
"""What is kept of a channel. `applied` follows `goal`, both are 0 while it is parked; `window` sums 64 powers of a step in 32 µW, `pattern`
those of four steps by the perturbation's sign; `spoiled`: something else than the perturbation moved in this pattern; `latched`: FAULT
until cleared by key, for a current into the string if `reversed`. In a channel that is off `window` counts the exchanges since it was."""

_MOST = (1 << Y_BITS) - 1
_COARSE_SHIFT = 12
"""The 64 powers' sum × 2^−12 is their mean in 2.048 mW."""
_MILLIAMPERE_SHIFT = 11
"""mA × mV × 2^−11 is in 2.048 mW."""
_OHM_FACTOR, _OHM_SHIFT = 23_861, 13
"""Hundredths of an ohm × 2.9127: in 1/291.27 ohm, z is a product without a constant."""
_Z_ONE = 1 << 15
_Z_OVER = 1 << 13
_LIMIT_ERROR_MAX = 1 << 16
_NO_LIMIT_LOG2 = 4
"""A limit below 16 mA, less than the converter's noise, is none: nothing may flow."""
_LEARN_MAX = 1 << 9


class ChannelStep(wiring.Component):
    """`start` with `record`, which stays until `done`; then `result` is the record to keep and `reverse` says why it is a FAULT.

    `minus`: the perturbation's sign in the step that begins; `pattern_ends`: the step that ended was the pattern's last.
    `may_return`: if it is parked, it may end that.
    """

    start: In(1)
    record: In(RECORD)
    minus: In(1)
    pattern_ends: In(1)
    hold: In(1)
    may_return: In(1)
    bus_mv: In(16)
    limit_ma: In(12)
    ratio: In(RATIO_BITS)
    parameters: In(PARAMETERS_LAYOUT)
    done: Out(1)
    result: Out(RECORD)
    reverse: Out(1)

    def elaborate(self, _platform):
        m = Module()
        record, parameters = self.record, self.parameters
        y = record.applied
        left, right, product = Signal(signed(18)), Signal(signed(18)), Signal(signed(36))
        m.d.sync += product.eq(left * right)

        def multiply(a, b):
            m.d.sync += [left.eq(a), right.eq(b)]

        def at_most(value, most):
            return Mux(value > most, most, value)

        def within(value, most):
            return Mux(value > most, most, Mux(value < -most, -most, value))

        def combined(a, b, subtract, width):
            """a + b or a - b, in one sum."""

            def extended(value):
                sign = value[-1] if value.shape().signed else C(0, 1)
                return Cat(value, sign.replicate(width))[:width]

            return (Cat(C(1, 1), extended(a)) + Cat(subtract, extended(b) ^ subtract.replicate(width)))[1 : width + 1].as_signed()

        seeking = Signal()
        m.d.comb += seeking.eq(record.state == ChannelState.SEEK)
        mean = Signal(Y_BITS)
        at_reach = Signal()
        nominal = Signal(17)
        resistance = Signal(16 + RESISTANCE_FRACTION)
        conductance = Signal(Y_BITS)
        above = Signal(signed(18))
        z = Signal(23)
        near, flowing, lost = Signal(), Signal(), Signal()
        parked, parks, returns = Signal(), Signal(), Signal()
        newton, bounded = Signal(signed(Y_BITS + 2)), Signal(signed(Y_BITS + 2))
        state = Signal(3)
        chosen = Signal(Y_BITS)
        goal = Signal(signed(Y_BITS + 2))
        target, error = Signal(signed(18)), Signal(signed(11))
        learnt = Signal(signed(22))

        # What only one state uses is given in all: a gate a bit would keep it from the others.
        selected = Signal.like(newton)
        m.d.comb += [z.eq(product >> 13), selected.eq(newton)]
        # Of a product of milliamperes and millivolts: 12 by 16 bits.
        power = Signal(12 + 16 - _MILLIAMPERE_SHIFT)
        m.d.comb += power.eq(product >> _MILLIAMPERE_SHIFT)

        m.submodules.divider = divider = SerialDivider(40, 24)
        falling = Signal()
        m.d.comb += [
            falling.eq(record.pattern < 0),
            divider.dividend.eq(Cat(C(0, 9), Mux(falling, -record.pattern, record.pattern)[:31])),
            divider.divisor.eq(record.window[6:30]),
        ]

        # Each state starts a product; two states later it is there.
        with m.FSM():
            with m.State("SQUARE"), m.If(self.start):
                multiply(y, y)
                m.d.sync += mean.eq(Mux(record.window < 0, 0, at_most(record.window >> _COARSE_SHIFT, _MOST)))
                m.next = "REACH"
            with m.State("REACH"):
                multiply(y, self.bus_mv)
                m.next = "CONDUCTANCE"
            with m.State("CONDUCTANCE"):
                multiply(product >> 16, mean)
                m.next = "NOMINAL"
            with m.State("NOMINAL"):
                m.d.sync += at_reach.eq((product >> Y_SHIFT) >= DUTY_MAX)
                multiply(parameters.string_resistance[:14], _OHM_FACTOR)
                m.next = "LIMIT"
            with m.State("LIMIT"):
                m.d.sync += conductance.eq(at_most(product >> 17, _MOST))
                multiply(self.limit_ma, self.bus_mv)
                m.next = "LOAD"
            with m.State("LOAD"):
                begun = Mux(seeking, product >> _OHM_SHIFT << RESISTANCE_FRACTION, record.resistance)
                m.d.sync += [nominal.eq(product >> _OHM_SHIFT), resistance.eq(begun)]
                multiply(begun[RESISTANCE_FRACTION : RESISTANCE_FRACTION + 16], self.ratio)
                m.next = "FLOW"
            with m.State("FLOW"):
                m.d.sync += above.eq(power - mean)
                multiply(parameters.flowing_ma[:12], self.bus_mv)
                m.next = "Z"
            with m.State("Z"):
                multiply(at_most(product >> 12, _MOST), conductance)
                m.next = "BOUND"
            with m.State("BOUND"):
                m.d.sync += [
                    flowing.eq(mean >= power),
                    lost.eq(mean < power[1:]),
                ]
                multiply(y, within(above, _LIMIT_ERROR_MAX))
                m.next = "NEWTON"
            with m.State("NEWTON"):
                m.d.sync += near.eq(z > _Z_ONE // 2)
                multiply(y, _Z_ONE - at_most(z, _Z_ONE + _Z_OVER))
                m.next = "REVERSE"
            with m.State("REVERSE"):
                m.d.sync += bounded.eq(y + (product >> 19))
                multiply(parameters.reverse_ma[:12], self.bus_mv)
                m.next = "STEP"
            with m.State("STEP"):
                # Beyond the converter's reach nothing changes: going there would only be a way back.
                wanted = y + (product >> 16)
                m.d.sync += newton.eq(Mux(at_reach & (wanted > y), y, wanted))
                m.next = "JUDGE"
            with m.State("JUDGE"):
                # -window / 2^12, downwards, above the limit.
                m.d.sync += self.reverse.eq(
                    Cat(C(1, 1), record.window[_COARSE_SHIFT:]).as_signed() + Cat(record.window[:_COARSE_SHIFT].any(), power) < 0
                )
                m.d.sync += [state.eq(ChannelState.TRACK), parks.eq((above < 0) & ((y == Y_LEAST) | ~self.limit_ma[_NO_LIMIT_LOG2:].any()))]
                with m.If(parked):
                    m.d.comb += selected.eq(Y_START)
                    m.d.sync += state.eq(Mux(self.may_return, ChannelState.SEEK, ChannelState.LIMIT))
                with m.Elif((above < 0) | ((record.state == ChannelState.LIMIT) & (bounded < newton))):
                    m.d.comb += selected.eq(bounded)
                    m.d.sync += state.eq(ChannelState.LIMIT)
                with m.Elif(Mux(seeking, ~flowing, lost)):
                    m.d.sync += state.eq(ChannelState.SEEK)
                    with m.If(at_reach):
                        m.d.comb += selected.eq(Y_START)
                with m.Elif(seeking & ~near):
                    m.d.sync += state.eq(ChannelState.SEEK)
                with m.Elif(self.hold):
                    m.d.comb += selected.eq(y)
                    m.d.sync += state.eq(ChannelState.HOLD)
                m.d.sync += chosen.eq(Mux(selected < Y_LEAST, Y_LEAST, at_most(selected, Y_MOST)))
                m.next = "PERTURB"
            with m.State("PERTURB"):
                multiply(chosen, Mux((state == ChannelState.TRACK) & ~at_reach, parameters.perturbation[:8], 0))
                m.next = "TARGET"
            with m.State("TARGET"):
                multiply(parameters.perturbation[:8], self.ratio - RATIO_ONE)
                m.next = "GOAL"
            with m.State("GOAL"):
                amplitude = product >> 12
                m.d.sync += goal.eq(combined(chosen, amplitude, self.minus, len(goal)))
                m.next = "SLOPE"
            with m.State("SLOPE"):
                m.d.sync += [target.eq(product >> 7), error.eq(0)]
                m.next = "LEARN"
                with m.If(self.pattern_ends & (record.state == ChannelState.TRACK) & (state == ChannelState.TRACK) & ~record.spoiled):
                    m.d.comb += divider.start.eq(1)
                    m.next = "DIVIDE"
            with m.State("DIVIDE"), m.If(divider.done):
                slope = at_most(divider.quotient, (1 << 13) - 1)
                m.d.sync += error.eq(within(combined(target, slope, ~falling, len(target) + 2), _LEARN_MAX))
                m.next = "LEARN"
            with m.State("LEARN"):
                multiply(resistance >> 3, error)
                m.next = "PRODUCT"
            with m.State("PRODUCT"):
                m.next = "LEARNT"
            with m.State("LEARNT"):
                m.d.sync += learnt.eq((Cat(C(1, 1), resistance) + (product >> 12)) >> 1)
                m.next = "STORE"
            with m.State("STORE"):
                m.d.comb += self.done.eq(1)
                m.next = "SQUARE"

        least, most = nominal << (RESISTANCE_FRACTION - 1), nominal << (RESISTANCE_FRACTION + 1)
        m.d.comb += [
            self.result.eq(record),
            self.result.state.eq(state),
            self.result.goal.eq(Mux(goal < Y_LEAST, Y_LEAST, at_most(goal, Y_MOST))),
            self.result.resistance.eq(Mux(learnt < least, least, at_most(learnt, most))),
        ]
        m.d.comb += [parked.eq(y == 0), returns.eq((state == ChannelState.SEEK) & (chosen == Y_START))]
        with m.If(returns):
            m.d.comb += self.result.applied.eq(Y_START)
        with m.Elif(parked | parks):
            m.d.comb += [self.result.state.eq(ChannelState.LIMIT), self.result.goal.eq(0), self.result.applied.eq(0)]
        with m.If(self.reverse):
            m.d.comb += [
                self.result.state.eq(ChannelState.FAULT),
                self.result.latched.eq(1),
                self.result.reversed.eq(1),
                self.result.window.eq(0),
                self.result.goal.eq(0),
                self.result.applied.eq(0),
            ]
        return m
