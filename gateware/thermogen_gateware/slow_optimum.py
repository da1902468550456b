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
There are 12.8 ms for what a round asks for, so numbers pass by bit after bit, the lowest first, all at once: a pass is 34 clocks.
Latency: 37 clocks from a round to the next that is seen, 755 from the last round of a search; a ratio that only changes sides with its
search does so in three. Area: counted in the tracker's.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .bit_serial import carry_bit, greater, sum_bit

RATIO_ONE = 1 << 12
RATIO_BITS = 14
POWER_BITS = 24
ROUNDS_PER_PHASE_STEP = 128

_FILTER_LOG2 = 8
"""The power of a round is smoothed over 256 rounds (3.3 s), so that converter noise does not move the ratio."""
_MEAN_BITS = POWER_BITS + _FILTER_LOG2
_PASS_BITS = _MEAN_BITS + 2
"""Of every number that passes by: a sum of four means, with its sign, is the widest."""
_DIFFERENCE_BITS = _MEAN_BITS - 4
"""A greater difference is no search."""
_GAIN_LOG2 = 17
"""Ratio step = 2^17 × (sum of four phases, by sign) / power, in 1/4096: 128 times the relative difference of a pair's halves."""
_STEP_MAX_LOG2 = 10
"""At most RATIO_ONE / 4."""
_STEADY_SHIFT = 10
_STEADY_BITS = 9


class SlowOptimum(wiring.Component):
    """`round_strobe` with the `round_power` of all channels (any unit) each round; `disturbed`, a clock later: it is not to be believed.

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
        rounds = Signal(range(ROUNDS_PER_PHASE_STEP))
        steps, next_steps = Signal(16), Signal(17)
        quarter = Signal(2)
        upper, phase_end = Signal(), Signal()
        begun, spoiled, settling = Signal(), Signal(), Signal(init=1)
        power = Signal(POWER_BITS)
        m.d.comb += [
            upper.eq(quarter[0] ^ quarter[1]),
            next_steps.eq(steps + 1),
            phase_end.eq((rounds == ROUNDS_PER_PHASE_STEP - 1) & (next_steps >= self.phase)),
        ]

        # What the pass does: the first round's power is the mean; each mean is a new extreme; the mean counts, by this sign, first of four.
        first_round, opens = Signal(), Signal()
        weighs, minus, first, judges = Signal(), Signal(), Signal(), Signal()
        place = Signal(range(_PASS_BITS))
        last = Signal()
        m.d.comb += last.eq(place == _PASS_BITS - 1)
        mean, high, low, difference, found = (Signal(_PASS_BITS, name=name) for name in ("mean", "high", "low", "difference", "found"))
        wide, large, powered = Signal(), Signal(), Signal()
        # A quotient's bits behind a one; when that has come to the top they are all there.
        quotient = Signal(1 + _GAIN_LOG2 + 1)

        with m.FSM() as fsm:
            with m.State("WAIT"), m.If(self.round_strobe):
                m.d.sync += power.eq(self.round_power)
                m.next = "COUNT"
            with m.State("COUNT"):
                m.d.sync += [
                    begun.eq(1),
                    first_round.eq(~begun),
                    # The first quarter settles from the last move and from the filter: its beginning is not part of the spread.
                    opens.eq((quarter == 0) & (steps < (self.phase >> 1))),
                    weighs.eq(phase_end & ~settling),
                    minus.eq(phase_end & ~settling & ~upper),
                    first.eq(phase_end & ~settling & (quarter == 0)),
                    judges.eq(phase_end & ~settling & (quarter == 3)),
                    rounds.eq(rounds + 1),
                ]
                with m.If(self.disturbed | ~self.searching):
                    m.d.sync += spoiled.eq(1)
                with m.If(phase_end):
                    m.d.sync += [steps.eq(0), settling.eq(0)]
                    with m.If(~settling):
                        m.d.sync += quarter.eq(quarter + 1)
                with m.Elif(rounds == ROUNDS_PER_PHASE_STEP - 1):
                    m.d.sync += steps.eq(next_steps)
                m.next = "SMOOTH"
            with m.State("SMOOTH"), m.If(last):
                m.next = "WAIT"
                with m.If(judges):
                    m.next = "MAGNITUDE"
            with m.State("MAGNITUDE"), m.If(last):
                m.next = "JUDGE"
            with m.State("JUDGE"):
                m.d.sync += [spoiled.eq(0), quotient.eq(1)]
                m.next = "DIVIDE"
                with m.If(spoiled | wide | large | ~powered | ~self.depth.any()):
                    m.next = "WAIT"
            with m.State("DIVIDE"), m.If(last & quotient[-2]):
                m.next = "MOVE"
            with m.State("MOVE"), m.If(last):
                m.next = "LIMIT"
            with m.State("LIMIT"), m.If(last):
                m.d.sync += settling.eq(1)
                m.next = "WAIT"

        smooths, magnifies, divides, moves, limits = (fsm.ongoing(state) for state in ("SMOOTH", "MAGNITUDE", "DIVIDE", "MOVE", "LIMIT"))
        passes = smooths | magnifies | divides | moves | limits
        with m.If(passes):
            m.d.sync += place.eq(Mux(last, 0, place + 1))
        early = Signal()
        m.d.comb += early.eq(place < POWER_BITS)

        def bit_of(number, at):
            return Cat(number, C(0, 64 - len(number))).bit_select(at, 1)

        # mean + power - mean / 2^8, or the power × 2^8 while the mean is still 0.
        added, decayed, change, change_borrow = Signal(), Signal(), Signal(), Signal()
        newest, mean_carry = Signal(), Signal()
        m.d.comb += [
            added.eq(smooths & bit_of(power, Cat(place[:3], (place[3:] - first_round)[:3]))),
            decayed.eq(smooths & early & mean[_FILTER_LOG2]),
            change.eq(sum_bit(added, decayed, change_borrow)),
            newest.eq(sum_bit(mean[0], change, mean_carry)),
        ]
        m.d.sync += [
            change_borrow.eq(carry_bit(~added, decayed, change_borrow) & ~last),
            mean_carry.eq(carry_bit(mean[0], change, mean_carry) & ~last),
        ]

        # The mean that a round found to be a new extreme becomes that while it passes by the next time.
        highest, lowest, is_highest, is_lowest = Signal(), Signal(), Signal(), Signal()
        above, below, above_next, below_next = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            highest.eq(Mux(is_highest, mean[0], high[0])),
            lowest.eq(Mux(is_lowest, mean[0], low[0])),
            above_next.eq(greater(newest, highest, above)),
            below_next.eq(greater(lowest, newest, below)),
        ]
        m.d.sync += [above.eq(above_next & ~last), below.eq(below_next & ~last)]
        with m.If(smooths & last):
            m.d.sync += [is_highest.eq(above_next | opens), is_lowest.eq(below_next | opens)]

        # One sum for the four means, for the difference's size and for the division, which adds or subtracts the mean by the rest's sign.
        total, carry, doubled, negative = Signal(), Signal(), Signal(), Signal()
        operand = Signal()
        m.d.comb += [
            operand.eq(Mux(magnifies, difference[0], newest & weighs) ^ minus),
            total.eq(sum_bit(difference[0] & ~first, operand, carry)),
        ]
        m.d.sync += [carry.eq(carry_bit(difference[0] & ~first, operand, carry)), doubled.eq(total & divides & ~last)]
        with m.If(fsm.ongoing("COUNT")):
            m.d.sync += carry.eq(phase_end & ~settling & ~upper)
        with m.If(smooths & last):
            m.d.sync += [negative.eq(total), minus.eq(total), carry.eq(total), first.eq(1)]
        with m.If(fsm.ongoing("JUDGE")):
            m.d.sync += [minus.eq(1), carry.eq(1), first.eq(0)]
        with m.If(divides & last):
            m.d.sync += [minus.eq(~total), carry.eq(~total), quotient.eq(Cat(~total, quotient))]

        # What speaks against a search: spread above mean / 2^14 × steady × 2^4, a difference out of all proportion, no power at all.
        spread, spread_borrow = Signal(), Signal()
        limit, rest = Signal(_STEADY_BITS + 1), Signal(_STEADY_BITS)
        counts = early & place[2:].any() & mean[_STEADY_SHIFT]
        m.d.comb += [
            spread.eq(sum_bit(highest, lowest, spread_borrow)),
            limit.eq(rest + Mux(counts, self.steady[:_STEADY_BITS], 0)),
        ]
        with m.If(smooths):
            m.d.sync += [value.eq(0) for value in (spread_borrow, rest, wide, large, powered)]
        with m.If(magnifies):
            m.d.sync += [
                spread_borrow.eq(carry_bit(~highest, lowest, spread_borrow)),
                rest.eq(limit >> 1),
                wide.eq(greater(spread, limit[0], wide)),
                large.eq(large | (total & (place >= _DIFFERENCE_BITS))),
                powered.eq(powered | newest),
            ]

        # What was found moves by the quotient, and stays within its range.
        move, moved, move_carry, below_least, above_most = Signal(), Signal(), Signal(), Signal(), Signal()
        least, most = bit_of(self.least, place), bit_of(self.most, place)
        too_far = quotient[_STEP_MAX_LOG2:-1].any()
        m.d.comb += [
            move.eq(Mux(too_far, place == _STEP_MAX_LOG2, bit_of(quotient[:_STEP_MAX_LOG2], place)) ^ negative),
            moved.eq(sum_bit(found[0], move, move_carry)),
        ]
        m.d.sync += move_carry.eq(Mux(moves, carry_bit(found[0], move, move_carry), negative))
        with m.If(divides):
            m.d.sync += [below_least.eq(0), above_most.eq(0)]
        with m.If(moves):
            m.d.sync += [
                below_least.eq(greater(least, moved, below_least) | (last & moved)),
                above_most.eq(greater(moved, most, above_most)),
            ]

        with m.If(passes):
            m.d.sync += [
                mean.eq(Cat(mean[1:], newest)),
                high.eq(Cat(high[1:], highest)),
                low.eq(Cat(low[1:], lowest)),
                difference.eq(Cat(difference[1:], Mux(divides, doubled, total))),
            ]
        with m.If(fsm.ongoing("COUNT") & ~begun):
            m.d.sync += found.eq(self.start[:RATIO_BITS])
        with m.Elif(moves):
            m.d.sync += found.eq(Cat(found[1:], moved))
        with m.Elif(limits):
            kept = Mux(below_least, least, Mux(above_most, most, found[0])) & (place < RATIO_BITS)
            m.d.sync += found.eq(Cat(found[1:], kept))
        with m.Else():
            probe = Mux(self.searching, Mux(upper, self.depth, ~self.depth), 0)
            m.d.sync += self.ratio.eq((Cat(C(1, 1), found[:RATIO_BITS]) + Cat(self.searching & ~upper, probe[:RATIO_BITS])) >> 1)
        return m
