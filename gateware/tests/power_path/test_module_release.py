"""The order of release, the kill wire and brown-out: what has to have happened before anything may switch."""

from __future__ import annotations

import pytest
from amaranth.sim import Simulator
from thermogen_gateware.module_release import ModuleRelease

CLOCK_HZ = 48_000_000
HOLD_CLOCKS = 960


class Bench:
    def __init__(self, converters=1):
        self.dut = ModuleRelease(CLOCK_HZ, converters)

    async def frame(self, ctx, enable):
        """A good frame is applied."""
        ctx.set(self.dut.link_valid, 1)
        ctx.set(self.dut.link_enable, enable)
        ctx.set(self.dut.applied, 1)
        await ctx.tick()
        ctx.set(self.dut.applied, 0)
        await ctx.tick().repeat(5)

    async def up(self, ctx):
        dut = self.dut
        for name in ("run", "supply_good"):
            ctx.set(getattr(dut, name), 1)
        ctx.set(dut.believed, ~0)
        await ctx.tick().repeat(HOLD_CLOCKS + 10)
        await self.frame(ctx, 0)
        await self.frame(ctx, 1)
        assert self.on(ctx)

    def on(self, ctx):
        gate, enable, drivers = (ctx.get(signal) for signal in (self.dut.gate, self.dut.enable, self.dut.driver_enable))
        assert drivers == (gate and enable != 0)
        return drivers

    def run(self, testbench):
        simulator = Simulator(self.dut)
        simulator.add_clock(1 / CLOCK_HZ)
        simulator.add_testbench(testbench)
        simulator.run()


@pytest.fixture
def bench():
    return Bench()


@pytest.mark.parametrize("missing", ["run", "supply_good", "believed", "link_valid", "frame without enable", "frame with enable"])
def test_nothing_is_released_while_one_condition_is_missing(bench, missing):
    async def testbench(ctx):
        dut = bench.dut
        for name in ("run", "supply_good", "believed"):
            ctx.set(getattr(dut, name), name != missing)
        await ctx.tick().repeat(HOLD_CLOCKS + 10)
        if missing != "frame without enable":
            await bench.frame(ctx, 0)
        if missing != "frame with enable":
            await bench.frame(ctx, 1)
        if missing == "link_valid":
            ctx.set(dut.link_valid, 0)
        await ctx.tick().repeat(20)
        assert not bench.on(ctx)

    bench.run(testbench)


def test_the_order_cannot_be_shortened(bench):
    """Frames that come before the supply has settled, or while `run` is 0, count for nothing."""

    async def testbench(ctx):
        dut = bench.dut
        ctx.set(dut.believed, 1)
        ctx.set(dut.run, 1)
        ctx.set(dut.supply_good, 1)
        await bench.frame(ctx, 0)
        await ctx.tick().repeat(HOLD_CLOCKS + 10)
        assert not ctx.get(dut.reset)
        await bench.frame(ctx, 1)
        assert not bench.on(ctx) and ctx.get(dut.killed)
        ctx.set(dut.run, 0)
        await bench.frame(ctx, 0)
        ctx.set(dut.run, 1)
        await bench.frame(ctx, 1)
        assert not bench.on(ctx)
        await bench.frame(ctx, 0)
        await bench.frame(ctx, 1)
        assert bench.on(ctx)

    bench.run(testbench)


@pytest.mark.parametrize("phase_ns", [0.3, 5, 10, 15, 20])
def test_a_kill_shorter_than_a_clock_is_kept_until_a_frame_without_and_one_with_enable(bench, phase_ns):
    async def testbench(ctx):
        dut = bench.dut
        await bench.up(ctx)
        await ctx.delay(phase_ns * 1e-9)
        ctx.set(dut.run, 0)
        assert not ctx.get(dut.gate) and not ctx.get(dut.driver_enable)
        await ctx.delay(1e-9)
        ctx.set(dut.run, 1)
        for _ in range(10):
            assert not ctx.get(dut.gate) and not ctx.get(dut.driver_enable)
            await ctx.tick()
        assert ctx.get(dut.killed) and not ctx.get(dut.enable)
        for _ in range(3):
            await bench.frame(ctx, 1)
            assert not bench.on(ctx)
        await bench.frame(ctx, 0)
        assert not ctx.get(dut.killed) and not bench.on(ctx)
        await bench.frame(ctx, 1)
        assert bench.on(ctx)

    bench.run(testbench)


def test_a_kill_while_not_enabled_is_kept_too(bench):
    """The frame without enable has to come after the kill: one from before it is worth nothing."""

    async def testbench(ctx):
        dut = bench.dut
        await bench.up(ctx)
        await bench.frame(ctx, 0)
        ctx.set(dut.run, 0)
        await ctx.tick().repeat(5)
        ctx.set(dut.run, 1)
        await ctx.tick().repeat(5)
        await bench.frame(ctx, 1)
        assert not bench.on(ctx) and ctx.get(dut.killed)

    bench.run(testbench)


def test_brown_out_turns_off_without_a_clock_and_returns_to_the_start(bench):
    async def testbench(ctx):
        dut = bench.dut
        await bench.up(ctx)
        await ctx.delay(7e-9)
        ctx.set(dut.supply_good, 0)
        assert not ctx.get(dut.gate) and not ctx.get(dut.driver_enable)
        await ctx.delay(1e-9)
        assert ctx.get(dut.reset)
        ctx.set(dut.supply_good, 1)
        clocks = 0
        while ctx.get(dut.reset):
            assert not bench.on(ctx)
            await ctx.tick()
            clocks += 1
        assert clocks >= HOLD_CLOCKS
        await bench.frame(ctx, 1)
        assert not bench.on(ctx)
        await bench.frame(ctx, 0)
        await bench.frame(ctx, 1)
        assert bench.on(ctx)

    bench.run(testbench)


def test_a_dead_converter_stops_its_own_channels_only():
    bench = Bench(converters=3)

    async def testbench(ctx):
        dut = bench.dut
        await bench.up(ctx)
        for believed in range(8):
            ctx.set(dut.believed, believed)
            await ctx.tick()
            assert ctx.get(dut.enable) == believed
            assert ctx.get(dut.driver_enable) == (believed != 0)

    bench.run(testbench)


def test_losing_the_link_or_its_enable_turns_off(bench):
    async def testbench(ctx):
        dut = bench.dut
        for name in ("link_valid", "link_enable"):
            await bench.up(ctx)
            ctx.set(getattr(dut, name), 0)
            await ctx.tick()
            assert not bench.on(ctx)

    bench.run(testbench)
