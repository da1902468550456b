"""The rule of one channel, step by step."""

from __future__ import annotations

import pytest
from amaranth.sim import Simulator
from thermogen_esf.points import ChannelState
from thermogen_gateware.perturb_observe import PerturbObserve

COUNT = 8
TOP = 456 * COUNT
BOTTOM = 48 * COUNT
START = 336 * COUNT

TRACKING = {
    "state": ChannelState.TRACK,
    "down": 0,
    "step_log2": 2,
    "streak": 0,
    "target": 2000,
    "applied": 2000,
    "current_sum": 0,
    "power": 1000,
}
STEP_END = {"present": 1, "allowed": 1, "step_end": 1, "flowing": 1, "power": 1000}


def decide(record=None, **view):
    """The next record of TRACKING with `record`'s changes, seen at a step's end with `view`'s."""
    dut = PerturbObserve()
    after = {}

    async def bench(ctx):
        ctx.set(dut.record, TRACKING | (record or {}))
        for name, value in (STEP_END | view).items():
            ctx.set(getattr(dut, name), value)
        await ctx.delay(1e-9)
        after.update({name: ctx.get(dut.next_record[name]) for name in TRACKING})

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()
    return after


def test_more_or_equal_power_goes_on_the_same_way():
    for power in (1000, 1001):
        for down, sign in ((0, 1), (1, -1)):
            after = decide({"down": down}, power=power)
            assert (after["down"], after["target"], after["power"]) == (down, 2000 + sign * 4 * COUNT, power)


def test_less_power_turns_round_and_halves_the_step():
    for down, sign in ((0, -1), (1, 1)):
        after = decide({"down": down, "streak": 2}, power=999)
        assert (after["down"], after["step_log2"], after["streak"]) == (1 - down, 1, 0)
        assert after["target"] == 2000 + sign * 2 * COUNT


def test_the_finest_step_is_a_count():
    after = decide({"step_log2": 0}, power=999)
    assert (after["step_log2"], after["target"]) == (0, 2000 - COUNT)


def test_three_gains_in_a_row_double_the_step_up_to_eight_counts():
    assert decide({"streak": 1})["step_log2"] == 2
    after = decide({"streak": 2})
    assert (after["step_log2"], after["streak"], after["target"]) == (3, 0, 2000 + 8 * COUNT)
    assert decide({"streak": 2, "step_log2": 3})["target"] == 2000 + 8 * COUNT


@pytest.mark.parametrize(("target", "down", "limit"), [(TOP - COUNT, 0, TOP), (BOTTOM + COUNT, 1, BOTTOM)])
def test_at_the_ends_of_the_duty_the_way_turns_round(target, down, limit):
    after = decide({"target": target, "down": down})
    assert (after["target"], after["down"]) == (limit, 1 - down)


def test_between_the_ends_of_steps_only_duty_and_sum_move():
    after = decide({"target": 2100}, step_end=0, power=1, current_sum=77)
    assert after == TRACKING | {"target": 2100, "applied": 2000 + COUNT, "current_sum": 77}
    assert decide({"target": 1997}, step_end=0)["applied"] == 1997


def test_seek_goes_up_until_current_flows_and_begins_again_at_the_top():
    seeking = {"state": ChannelState.SEEK, "down": 1}
    after = decide(seeking, flowing=0)
    assert (after["state"], after["target"], after["down"]) == (ChannelState.SEEK, 2000 + 8 * COUNT, 0)
    assert decide(seeking, flowing=1)["state"] == ChannelState.TRACK
    assert decide(seeking | {"target": TOP, "applied": TOP}, flowing=0)["target"] == START
    waiting = decide(seeking | {"target": 2100}, flowing=1)
    assert (waiting["state"], waiting["target"]) == (ChannelState.SEEK, 2100)


def test_from_off_a_start_begins_softly():
    after = decide({"state": ChannelState.OFF, "target": 0, "applied": 0}, step_end=0)
    assert (after["state"], after["target"], after["applied"]) == (ChannelState.SEEK, START, 120 * COUNT)


@pytest.mark.parametrize("state", [ChannelState.TRACK, ChannelState.HOLD, ChannelState.LIMIT])
def test_above_a_limit_the_duty_falls_and_comes_back_finely(state):
    after = decide({"state": state}, over_limit=1, hold=1)
    assert (after["state"], after["target"], after["down"]) == (ChannelState.LIMIT, 2000 - 4 * COUNT, 1)
    assert decide({"state": ChannelState.LIMIT})["target"] == 2000
    back = decide({"state": ChannelState.LIMIT}, under_limit=1)
    assert (back["state"], back["target"], back["down"]) == (ChannelState.TRACK, 2000 + COUNT, 0)


def test_hold_keeps_the_duty_and_a_lost_source_is_sought():
    held = decide(hold=1, power=5)
    assert (held["state"], held["target"]) == (ChannelState.HOLD, 2000)
    assert decide({"state": ChannelState.HOLD})["state"] == ChannelState.TRACK
    lost = decide(lost=1)
    assert (lost["state"], lost["target"]) == (ChannelState.SEEK, START)


@pytest.mark.parametrize("state", list(ChannelState))
def test_off_absent_and_fault_take_the_duty_away_from_every_state(state):
    off = {"target": 0, "applied": 0}
    for view, expected in (
        ({"present": 0, "allowed": 1, "broken": 1}, ChannelState.ABSENT),
        ({"allowed": 0, "broken": 1}, ChannelState.OFF),
        ({"broken": 1}, ChannelState.FAULT),
    ):
        after = decide({"state": state}, **view)
        assert after["state"] == expected and after.items() >= off.items()
    assert decide({"state": ChannelState.FAULT})["state"] == ChannelState.FAULT
