"""Site time against pulses that are right, wrong, late, missing and hostile."""

from __future__ import annotations

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator
from thermogen_esf.points import TimeQuality
from thermogen_gateware.site_clock import SiteClock

CLOCK_PERIOD_S = 20e-9
NOMINAL = 1_000
TOLERANCE = 2
"""200 ppm of 1,000 clocks are nothing; the jitter is what remains."""


async def clocks(ctx, count):
    """Lets so many clocks pass."""
    await ctx.delay(count * CLOCK_PERIOD_S)


class Bench:
    """A site clock, its pulse pin, and the clock numbers at which its seconds began."""

    def __init__(self):
        self.dut = SiteClock(NOMINAL)
        self.clock = Signal(32)
        self.seconds = []

    def run(self, script):
        """Runs `script(self, ctx)`."""

        async def watch(ctx):
            while True:
                await ctx.edge(self.dut.second, 1)
                self.seconds.append(ctx.get(self.clock))

        async def main(ctx):
            await script(self, ctx)

        m = Module()
        m.submodules.dut = self.dut
        m.d.sync += self.clock.eq(self.clock + 1)
        simulator = Simulator(m)
        simulator.add_clock(CLOCK_PERIOD_S)
        simulator.add_testbench(watch, background=True)
        simulator.add_testbench(main)
        simulator.run()

    def lengths(self):
        return [after - before for before, after in zip(self.seconds, self.seconds[1:], strict=False)]

    async def set_time(self, ctx, time):
        ctx.set(self.dut.set_time, time)
        ctx.set(self.dut.set, 1)
        await ctx.tick()
        ctx.set(self.dut.set, 0)
        await ctx.tick()

    async def pulse(self, ctx, clocks_after=NOMINAL):
        """One pulse, then `clocks_after` clocks to the next."""
        ctx.set(self.dut.pulse, 1)
        await clocks(ctx, clocks_after // 10)
        ctx.set(self.dut.pulse, 0)
        await clocks(ctx, clocks_after - clocks_after // 10)

    def state(self, ctx):
        return ctx.get(self.dut.time), TimeQuality(ctx.get(self.dut.quality))


@pytest.fixture
def bench():
    return Bench()


def test_time_is_unset_until_the_host_sets_it(bench):
    async def script(bench, ctx):
        for _ in range(3):
            await bench.pulse(ctx)
        assert bench.state(ctx) == (0, TimeQuality.UNSET)
        assert not ctx.get(bench.dut.valid)
        assert ctx.get(bench.dut.uptime) == 2

    bench.run(script)


@pytest.mark.parametrize("set_after", [50, 500, 950])
def test_the_second_that_the_host_sets_ends_with_the_next_pulse(bench, set_after):
    async def script(bench, ctx):
        await clocks(ctx, 370)
        for _ in range(3):
            await bench.pulse(ctx)
        ctx.set(bench.dut.pulse, 1)
        await clocks(ctx, set_after)
        ctx.set(bench.dut.pulse, 0)
        await bench.set_time(ctx, 100)
        await clocks(ctx, NOMINAL - set_after - 2)
        for expected in (101, 102, 103):
            await bench.pulse(ctx)
            assert bench.state(ctx) == (expected, TimeQuality.PULSE)
        assert min(bench.lengths()) >= NOMINAL - TOLERANCE

    bench.run(script)


async def settle(bench, ctx, time=100):
    """Pulses, time set and agreed."""
    for _ in range(2):
        await bench.pulse(ctx)
    await bench.pulse(ctx, NOMINAL // 2)
    await bench.set_time(ctx, time - 1)
    await clocks(ctx, NOMINAL // 2 - 2)
    await bench.pulse(ctx)
    assert bench.state(ctx) == (time, TimeQuality.PULSE)


@pytest.mark.parametrize(
    ("period", "quality"),
    [
        (NOMINAL, TimeQuality.PULSE),
        (NOMINAL - TOLERANCE, TimeQuality.PULSE),
        (NOMINAL + TOLERANCE, TimeQuality.PULSE),
        (NOMINAL - TOLERANCE - 1, TimeQuality.DEGRADED),
        (NOMINAL + TOLERANCE + 1, TimeQuality.DEGRADED),
    ],
)
def test_a_pulse_is_good_within_its_tolerance_and_no_further(bench, period, quality):
    async def script(bench, ctx):
        await settle(bench, ctx)
        for _ in range(4):
            await bench.pulse(ctx, period)
        assert bench.state(ctx)[1] is quality
        assert ctx.get(bench.dut.pulse_out_of_tolerance) == (quality is TimeQuality.DEGRADED)

    bench.run(script)


@pytest.mark.parametrize("period", [100, 400, 990, 1_010])
def test_no_pulse_moves_site_time_by_more_than_its_tolerance(bench, period):
    async def script(bench, ctx):
        await settle(bench, ctx)
        seconds_before = len(bench.seconds)
        for _ in range(6_000 // period):
            await bench.pulse(ctx, period)
        assert len(bench.seconds) - seconds_before in {6, 7}
        assert bench.state(ctx)[1] is TimeQuality.DEGRADED
        assert all(abs(length - NOMINAL) <= TOLERANCE for length in bench.lengths()[3:])

    bench.run(script)


def test_a_pulse_with_another_before_it_is_not_trusted(bench):
    async def script(bench, ctx):
        await settle(bench, ctx)
        for _ in range(3):
            await bench.pulse(ctx, 300)
            await bench.pulse(ctx, NOMINAL - 300)
            await bench.pulse(ctx, 300)
            assert bench.state(ctx)[1] is TimeQuality.DEGRADED
            assert ctx.get(bench.dut.pulse_out_of_tolerance)
            await bench.pulse(ctx, NOMINAL - 300)
        assert all(abs(length - NOMINAL) <= TOLERANCE for length in bench.lengths()[3:])

    bench.run(script)


def test_without_a_pulse_the_crystal_counts_and_says_so(bench):
    async def script(bench, ctx):
        await settle(bench, ctx)
        await clocks(ctx, NOMINAL // 2 - 10)
        assert bench.state(ctx) == (101, TimeQuality.DEGRADED)
        assert not ctx.get(bench.dut.pulse_missing)
        await clocks(ctx, 20)
        assert bench.state(ctx) == (101, TimeQuality.FREE_RUNNING)
        assert ctx.get(bench.dut.pulse_missing)
        await clocks(ctx, 3 * NOMINAL)
        assert bench.state(ctx) == (104, TimeQuality.FREE_RUNNING)
        assert bench.lengths()[-2:] == [NOMINAL, NOMINAL]

    bench.run(script)


@pytest.mark.parametrize("drift", [-16, 16])
def test_a_pulse_that_comes_back_out_of_phase_is_followed_slowly(bench, drift):
    async def script(bench, ctx):
        await settle(bench, ctx)
        await clocks(ctx, 3 * NOMINAL + drift)
        for _ in range(abs(drift) // TOLERANCE + 3):
            await bench.pulse(ctx)
        assert bench.state(ctx)[1] is TimeQuality.PULSE
        assert bench.state(ctx)[0] == 100 + 3 + abs(drift) // TOLERANCE + 3
        assert all(abs(length - NOMINAL) <= TOLERANCE for length in bench.lengths()[3:])

    bench.run(script)


def test_time_never_goes_back_once_armed(bench):
    async def script(bench, ctx):
        await settle(bench, ctx)
        await bench.set_time(ctx, 50)
        assert ctx.get(bench.dut.time) == 50
        await bench.set_time(ctx, 100)
        ctx.set(bench.dut.armed, 1)
        for refused in (50, 99, 100):
            await bench.set_time(ctx, refused)
            assert ctx.get(bench.dut.time) == 100
        await bench.set_time(ctx, 200)
        assert ctx.get(bench.dut.time) == 200

    bench.run(script)
