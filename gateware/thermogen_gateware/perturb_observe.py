"""Perturb and observe for one channel: from what was known and measured to its next state and duty, without a clock.

Power better than or equal to the step before: go on the same way, twice as far after three in a row (at most 8 counts).
Worse: turn round, half as far (at least 1 count). Equal counts as better, so that a current that has not changed by one step of its
converter is crossed instead of waited at. State by state (points.ChannelState):

    ABSENT  no module answers
    OFF     not allowed; duty 0 at once
    SEEK    from a duty of 0.70 upwards in steps of 8 counts until current flows; from the start again at 0.95
    TRACK   perturb and observe
    HOLD    the bus is above its warning level: the duty stays
    LIMIT   above the current limit, or the bus above its shed level: 4 counts down a step, towards the string's open circuit
    FAULT   over-current or reverse current: duty 0 until not allowed

The duty itself follows its target by at most 1 count an exchange: the string's 47 µF discharge through the converter and resonate
with its 220 µH (600 Hz to 1.5 kHz); at 4 counts an exchange the compiled site took 5.4 A. A start begins at a duty of 0.25, where
conduction is still discontinuous (0.4 A at 135 V) and nothing resonates.
Reference: Femia et al., Optimization of perturb and observe maximum power point tracking method, IEEE Trans. Power Electron. 20(4), 2005.
Combinational; its area is counted in the tracker's.
"""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from thermogen_esf.points import PWM_COUNTS, ChannelState

from .buck_pwm import DITHER_BITS, DUTY_BITS, DUTY_MAX_COUNTS

SLEW_COUNTS = 1
"""0.94 A from the input capacitor at 140 V open circuit and 51 V on the bus; four times that is an over-current."""
SOFT_START_COUNTS = PWM_COUNTS * 25 // 100
START_COUNTS = PWM_COUNTS * 70 // 100
DUTY_MIN_COUNTS = 48
COARSEST_LOG2_COUNTS = 3
LIMIT_LOG2_COUNTS = 2
STREAK_TO_DOUBLE = 3

SUM_BITS = 17
BUS_BITS = 18
POWER_BITS = SUM_BITS + BUS_BITS

_COUNT = 1 << DITHER_BITS
_MAX = DUTY_MAX_COUNTS * _COUNT
_MIN = DUTY_MIN_COUNTS * _COUNT
_SLEW = SLEW_COUNTS * _COUNT

RECORD = data.StructLayout(
    {
        "state": 3,
        "down": 1,
        "step_log2": 2,
        "streak": 2,
        "target": DUTY_BITS,
        "applied": DUTY_BITS,
        "current_sum": signed(SUM_BITS),
        "power": signed(POWER_BITS),
    }
)
"""What is kept of a channel. Duties in eighths of a count, `current_sum` of the measuring window so far in 2 mA, `power` of the
step before."""


class PerturbObserve(wiring.Component):
    """`record` and this exchange's view of the channel → `next_record`.

    `step_end`: the measuring window is complete, `power` is the step's. `flowing`, `lost`: its mean current is enough to track, too
    small to go on; `over_limit`, `under_limit` likewise for the limit; `broken`: over-current or reverse current now.
    """

    record: In(RECORD)
    current_sum: In(signed(SUM_BITS))
    power: In(signed(POWER_BITS))
    step_end: In(1)
    present: In(1)
    allowed: In(1)
    hold: In(1)
    flowing: In(1)
    lost: In(1)
    over_limit: In(1)
    under_limit: In(1)
    broken: In(1)
    unseen: In(1)
    next_record: Out(RECORD)

    def elaborate(self, _platform):
        m = Module()
        record, after = self.record, self.next_record

        # A move: direction and length are chosen state by state, the adder is one.
        moving, restart, starting = Signal(), Signal(), Signal()
        down, step_log2 = Signal(), Signal(2)
        step = Signal(DUTY_BITS)
        moved = Signal(signed(DUTY_BITS + 2))
        m.d.comb += [
            down.eq(record.down),
            step_log2.eq(record.step_log2),
            step.eq(_COUNT << step_log2),
            moved.eq(Mux(down, record.target - step, record.target + step)),
            after.eq(record),
            after.current_sum.eq(self.current_sum),
        ]
        with m.If(~self.present):
            m.d.comb += after.eq(0)
        with m.Elif(~self.allowed):
            m.d.comb += [after.eq(0), after.state.eq(ChannelState.OFF)]
        with m.Elif(self.unseen):
            m.d.comb += [after.eq(0), after.state.eq(ChannelState.FAULT)]
        with m.Elif(self.broken | (record.state == ChannelState.FAULT)):
            m.d.comb += [after.eq(0), after.state.eq(ChannelState.FAULT)]
        with m.Else():
            with m.Switch(record.state):
                with m.Case(ChannelState.SEEK):
                    self._seek(m, moving, restart, down, step_log2)
                with m.Case(ChannelState.TRACK, ChannelState.HOLD, ChannelState.LIMIT), m.If(self.step_end):
                    self._step(m, moving, restart, down, step_log2)
                with m.Default():
                    m.d.comb += [after.state.eq(ChannelState.SEEK), restart.eq(1), starting.eq(1)]

            with m.If(restart):
                m.d.comb += after.target.eq(START_COUNTS * _COUNT)
            with m.Elif(moving):
                m.d.comb += [after.step_log2.eq(step_log2), after.down.eq(down), after.target.eq(moved)]
                with m.If(moved > _MAX):
                    m.d.comb += [after.target.eq(_MAX), after.down.eq(1)]
                with m.Elif(moved < _MIN):
                    m.d.comb += [after.target.eq(_MIN), after.down.eq(0)]

            gap = Signal(DUTY_BITS)
            slew = Signal(DUTY_BITS)
            rising = Signal()
            m.d.comb += [
                rising.eq(record.applied < record.target),
                gap.eq(Mux(rising, record.target - record.applied, record.applied - record.target)),
                slew.eq(Mux(gap > _SLEW, _SLEW, gap)),
                after.applied.eq(Mux(rising, record.applied + slew, record.applied - slew)),
            ]
            with m.If(starting):
                m.d.comb += after.applied.eq(SOFT_START_COUNTS * _COUNT)
        return m

    def _seek(self, m, moving, restart, down, step_log2):
        record, after = self.record, self.next_record
        with m.If(self.step_end & (record.applied == record.target)):
            m.d.comb += [moving.eq(1), down.eq(0), step_log2.eq(COARSEST_LOG2_COUNTS)]
            m.d.comb += [after.streak.eq(0), after.power.eq(self.power)]
            with m.If(self.flowing):
                m.d.comb += after.state.eq(ChannelState.TRACK)
            with m.Elif(record.target == _MAX):
                m.d.comb += restart.eq(1)

    def _step(self, m, moving, restart, down, step_log2):
        record, after = self.record, self.next_record
        m.d.comb += after.power.eq(self.power)
        with m.If(self.over_limit):
            m.d.comb += [after.state.eq(ChannelState.LIMIT), after.streak.eq(0)]
            m.d.comb += [moving.eq(1), down.eq(1), step_log2.eq(LIMIT_LOG2_COUNTS)]
        with m.Elif(self.lost):
            m.d.comb += [after.state.eq(ChannelState.SEEK), restart.eq(1)]
        with m.Elif(self.hold):
            m.d.comb += after.state.eq(ChannelState.HOLD)
        with m.Elif(record.state == ChannelState.LIMIT), m.If(self.under_limit):
            m.d.comb += [after.state.eq(ChannelState.TRACK), moving.eq(1), down.eq(0), step_log2.eq(0)]
        with m.Elif(record.state == ChannelState.HOLD):
            m.d.comb += [after.state.eq(ChannelState.TRACK), moving.eq(1)]
        with m.Elif(self.power >= record.power):
            m.d.comb += moving.eq(1)
            with m.If(record.streak == STREAK_TO_DOUBLE - 1):
                m.d.comb += after.streak.eq(0)
                with m.If(record.step_log2 != COARSEST_LOG2_COUNTS):
                    m.d.comb += step_log2.eq(record.step_log2 + 1)
            with m.Else():
                m.d.comb += after.streak.eq(record.streak + 1)
        with m.Else():
            m.d.comb += [moving.eq(1), down.eq(~record.down), after.streak.eq(0)]
            with m.If(record.step_log2 != 0):
                m.d.comb += step_log2.eq(record.step_log2 - 1)
