"""When a leaf is due, and in which epoch."""

from __future__ import annotations

import pytest
from amaranth.sim import Simulator
from thermogen_gateware.epoch_calendar import EpochCalendar

LATENCY_CLOCKS = 3


def due(time, cancel=False):
    """Epoch, whether a leaf is due and whether it is the epoch's last, at a time."""
    dut = EpochCalendar()
    found = []

    async def ask(ctx):
        ctx.set(dut.time, time)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        ctx.set(dut.time, 0)
        ctx.set(dut.cancel, cancel)
        await ctx.tick()
        ctx.set(dut.cancel, 0)
        await ctx.tick().repeat(LATENCY_CLOCKS - 1)
        found.append((ctx.get(dut.epoch), bool(ctx.get(dut.leaf_due)), bool(ctx.get(dut.last_of_epoch))))

    simulator = Simulator(dut)
    simulator.add_clock(20e-9)
    simulator.add_testbench(ask)
    simulator.run()
    return found[0]


@pytest.mark.parametrize(
    "time",
    [1, 9, 10, 11, 890, 899, 900, 901, 910, 1_790_000_009, 1_790_000_010, 1_790_100_000, 1_790_100_001, 4_294_967_200, 4_294_967_295],
)
def test_leaves_and_epochs_follow_the_utc_quarter_hours(time):
    assert due(time) == ((time - 1) // 900, time % 10 == 0, time % 900 == 0)


def test_a_second_whose_time_was_changed_makes_no_leaf():
    assert due(900, cancel=True)[1] is False
