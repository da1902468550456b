"""The slow optimum of thermoelectric strings: seeks the ratio of load to string resistance that gives most once heat has followed.

With constant temperatures a string gives most into its own resistance (ratio 1, half of its open-circuit voltage). Where heat has to come
through something, drawing current cools the hot side and the open-circuit voltage follows with thermal lag, so the ratio that pays in the
long run is greater: 1.5 under constant heat flux. The search is one for all channels, because they share their plates: the ratio goes
down, up, up, down by `depth`, each for a phase longer than the lag, and what counts is the power of all channels at the end of each phase.
The difference (−, +, +, −) cancels whatever drifts in a straight line. It moves the ratio by 128 times its relative size, at most 1/4,
which for the default depth of 1/64 is the Newton step at ratio 1 and half of it at 1.5. A search over which the power spread by more than
`steady`, or in which a channel was limited or held, is thrown away. After a move one more phase lets the heat follow; without it the third
search of the bench overshot to 1.95. Reference: Ariyur and Krstic, Real-Time Optimization by Extremum-
Seeking Control, 2003.
Latency: 60 clocks from the last round of a search. Area: counted in the tracker's.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .divider import SerialDivider

RATIO_ONE = 1 << 12
RATIO_BITS = 14
POWER_BITS = 24
ROUNDS_PER_PHASE_STEP = 128

_FILTER_LOG2 = 8
"""The power of a round is smoothed over 256 rounds (3.3 s), so that converter noise does not move the ratio."""
_MEAN_BITS = POWER_BITS + _FILTER_LOG2
_GAIN_LOG2 = 17
"""Ratio step = 2^17 × (sum of four phases, by sign) / power, in 1/4096: 128 times the relative difference of a pair's halves."""
_STEP_MAX = RATIO_ONE // 4


class SlowOptimum(wiring.Component):
    """`round_strobe` with the `round_power` of all channels (any unit) each round; `disturbed`: this round is not to be believed.

    `ratio` (1/4096) is the one to use now, the search's depth included; without `searching` it rests at what was found.
    """

    round_strobe: In(1)
    round_power: In(POWER_BITS)
    disturbed: In(1)
    searching: In(1)
    start: In(16)
    least: In(16)
    most: In(16)
    depth: In(16)
    phase: In(16)
    steady: In(16)
    ratio: Out(RATIO_BITS, init=RATIO_ONE)

    def elaborate(self, _platform):
        m = Module()
        found = Signal(RATIO_BITS)
        begun = Signal()
        rounds = Signal(range(ROUNDS_PER_PHASE_STEP))
        steps = Signal(16)
        quarter = Signal(2)
        upper = Signal()
        m.d.comb += upper.eq(quarter[0] ^ quarter[1])

        mean = Signal(_MEAN_BITS)
        difference = Signal(signed(_MEAN_BITS + 2))
        high, low = Signal(_MEAN_BITS), Signal(_MEAN_BITS)
        spoiled = Signal()
        settling = Signal(init=1)
        m.submodules.divider = divider = SerialDivider(_MEAN_BITS + _GAIN_LOG2 - 4, _MEAN_BITS)
        magnitude = Signal(_MEAN_BITS)
        negative = Signal()
        m.d.comb += [
            negative.eq(difference < 0),
            magnitude.eq(Mux(negative, -difference, difference)),
            divider.dividend.eq(Cat(C(0, _GAIN_LOG2), magnitude[: _MEAN_BITS - 4])),
            divider.divisor.eq(mean),
        ]
        move = Signal(range(_STEP_MAX + 1))
        moved = Signal(signed(RATIO_BITS + 2))
        spread_limit = Signal(_MEAN_BITS)
        m.d.comb += [
            move.eq(Mux(divider.quotient > _STEP_MAX, _STEP_MAX, divider.quotient)),
            moved.eq(Mux(negative, found - move, found + move)),
            spread_limit.eq((mean[_MEAN_BITS - 18 :] * self.steady[:9]) << (_MEAN_BITS - 18 - 10)),
        ]
        phase_end = Signal()
        m.d.comb += phase_end.eq((rounds == ROUNDS_PER_PHASE_STEP - 1) & (steps >= self.phase - 1))
        m.d.sync += self.ratio.eq(Mux(~self.searching, found, Mux(upper, found + self.depth, found - self.depth)))

        with m.FSM():
            with m.State("WAIT"), m.If(self.round_strobe):
                m.d.sync += mean.eq(Mux(begun, mean + self.round_power - (mean >> _FILTER_LOG2), self.round_power << _FILTER_LOG2))
                m.next = "COUNT"
            with m.State("COUNT"):
                m.next = "WAIT"
                with m.If(~begun):
                    m.d.sync += [begun.eq(1), found.eq(self.start)]
                with m.If(self.disturbed | ~self.searching):
                    m.d.sync += spoiled.eq(1)
                # The first quarter settles from the last move and from the filter: its beginning is not part of the spread.
                with m.If((quarter == 0) & (steps < (self.phase >> 1))):
                    m.d.sync += [high.eq(mean), low.eq(mean)]
                with m.Else():
                    with m.If(mean > high):
                        m.d.sync += high.eq(mean)
                    with m.If(mean < low):
                        m.d.sync += low.eq(mean)
                m.d.sync += rounds.eq(rounds + 1)
                with m.If(phase_end & settling):
                    m.d.sync += [rounds.eq(0), steps.eq(0), settling.eq(0)]
                with m.Elif(phase_end):
                    m.d.sync += [rounds.eq(0), steps.eq(0), quarter.eq(quarter + 1)]
                    m.d.sync += difference.eq(Mux(quarter == 0, 0, difference) + Mux(upper, mean, -mean))
                    with m.If(quarter == 3):
                        m.next = "JUDGE"
                with m.Elif(rounds == ROUNDS_PER_PHASE_STEP - 1):
                    m.d.sync += steps.eq(steps + 1)
            with m.State("JUDGE"):
                m.d.sync += spoiled.eq(0)
                m.d.comb += divider.start.eq(1)
                m.next = "DIVIDE"
                with m.If(spoiled | (high - low > spread_limit) | (self.depth == 0) | (mean == 0) | magnitude[_MEAN_BITS - 4 :].any()):
                    m.d.comb += divider.start.eq(0)
                    m.next = "WAIT"
            with m.State("DIVIDE"), m.If(divider.done):
                m.d.sync += settling.eq(1)
                m.d.sync += found.eq(Mux(moved < self.least, self.least, Mux(moved > self.most, self.most, moved)))
                m.next = "WAIT"
        return m
