"""Trip latency, latch and levels of the bus protection. The clock is 1 MHz, so 1 ms is 1,000 clocks."""

from __future__ import annotations

import pytest
from thermogen_esf.points import Fault
from thermogen_gateware.protection import Protection

CLOCK_HZ = 1_000_000
SAMPLE_CLOCKS = 20


class Bench:
    def __init__(self, simulate):
        self.simulate = simulate
        self.dut = Protection(CLOCK_HZ)
        self.bus_mv = 48_000

    async def clocks(self, ctx, count, until=None):
        """Run `count` clocks with a bus sample every 20; stop when signal `until` is 1 and say after how many."""
        for clock in range(count):
            ctx.set(self.dut.bus_mv, self.bus_mv)
            ctx.set(self.dut.bus_strobe, clock % SAMPLE_CLOCKS == 0)
            await ctx.tick()
            if until is not None and ctx.get(until):
                return clock + 1
        assert until is None, "it never came"
        return count

    def run(self, testbench):
        async def bench(ctx):
            ctx.set(self.dut.enable, 1)
            ctx.set(self.dut.converter_healthy, 1)
            await self.clocks(ctx, 50)
            await testbench(ctx)

        self.simulate(self.dut, bench, clock_hz=CLOCK_HZ)


@pytest.fixture
def bench(simulate):
    return Bench(simulate)


def test_a_bus_above_58_volt_trips_after_one_millisecond_and_latches(bench):
    dut = bench.dut

    async def testbench(ctx):
        bench.bus_mv = 58_000
        await bench.clocks(ctx, 3_000)
        assert not ctx.get(dut.tripped)
        bench.bus_mv = 58_001
        assert 1_000 <= await bench.clocks(ctx, 3_000, until=dut.tripped) <= 1_000 + SAMPLE_CLOCKS
        assert ctx.get(dut.trip_strobe) and not ctx.get(dut.run)
        assert ctx.get(dut.trip_bus_mv) == 58_001 and ctx.get(dut.trip_cause) == Fault.BUS_TRIP
        bench.bus_mv = 48_000
        await bench.clocks(ctx, 2_000)
        assert ctx.get(dut.tripped) and not ctx.get(dut.run) and not ctx.get(dut.trip_strobe)

    bench.run(testbench)


def test_a_single_low_sample_starts_the_millisecond_again(bench):
    async def testbench(ctx):
        for _ in range(4):
            bench.bus_mv = 65_000
            await bench.clocks(ctx, 980)
            bench.bus_mv = 57_000
            await bench.clocks(ctx, SAMPLE_CLOCKS)
        assert not ctx.get(bench.dut.tripped)

    bench.run(testbench)


def test_the_comparator_takes_run_away_without_a_clock_and_latches_in_three(bench):
    dut = bench.dut

    async def testbench(ctx):
        assert ctx.get(dut.run)
        ctx.set(dut.ov_comparator, 1)
        assert not ctx.get(dut.run)
        assert await bench.clocks(ctx, 10, until=dut.tripped) == 3
        ctx.set(dut.ov_comparator, 0)
        await bench.clocks(ctx, 100)
        assert not ctx.get(dut.run) and ctx.get(dut.trip_cause) == Fault.BUS_COMPARATOR

    bench.run(testbench)


def test_a_trip_clears_only_by_command_and_with_its_cause_gone(bench):
    dut = bench.dut

    async def clear(ctx):
        ctx.set(dut.trip_clear, 1)
        await ctx.tick()
        ctx.set(dut.trip_clear, 0)
        await ctx.tick()

    async def testbench(ctx):
        bench.bus_mv = 60_000
        await bench.clocks(ctx, 3_000, until=dut.tripped)
        await clear(ctx)
        assert ctx.get(dut.tripped)
        bench.bus_mv = 52_000
        await bench.clocks(ctx, 100)
        await clear(ctx)
        assert ctx.get(dut.tripped)
        bench.bus_mv = 51_999
        await bench.clocks(ctx, 100)
        ctx.set(dut.ov_comparator, 1)
        await ctx.tick().repeat(3)
        await clear(ctx)
        assert ctx.get(dut.tripped)
        ctx.set(dut.ov_comparator, 0)
        await ctx.tick().repeat(3)
        assert ctx.get(dut.tripped)
        await clear(ctx)
        assert not ctx.get(dut.tripped) and ctx.get(dut.run)
        assert ctx.get(dut.trip_cause) == Fault.BUS_TRIP

    bench.run(testbench)


@pytest.mark.parametrize(("level_mv", "output"), [(52_000, "warning"), (55_000, "shed")])
def test_warning_and_shed_follow_their_levels(bench, level_mv, output):
    signal = getattr(bench.dut, output)

    async def testbench(ctx):
        bench.bus_mv = level_mv
        await bench.clocks(ctx, 1_500)
        assert not ctx.get(signal)
        bench.bus_mv = level_mv + 16
        assert 1_000 <= await bench.clocks(ctx, 1_500, until=signal) <= 1_000 + SAMPLE_CLOCKS
        bench.bus_mv = level_mv
        await bench.clocks(ctx, 3)
        assert not ctx.get(signal) and ctx.get(bench.dut.run)

    bench.run(testbench)


@pytest.mark.parametrize("name", ["enable", "converter_healthy"])
def test_run_needs_enable_and_a_believed_converter(bench, name):
    async def testbench(ctx):
        ctx.set(getattr(bench.dut, name), 0)
        assert not ctx.get(bench.dut.run)
        ctx.set(getattr(bench.dut, name), 1)
        assert ctx.get(bench.dut.run)

    bench.run(testbench)


def test_the_bus_is_present_above_40_volt(bench):
    async def testbench(ctx):
        for bus_mv, present in ((48_000, 1), (40_000, 0), (40_001, 1), (0, 0)):
            bench.bus_mv = bus_mv
            await bench.clocks(ctx, 5)
            assert ctx.get(bench.dut.bus_present) == present

    bench.run(testbench)
