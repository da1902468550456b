"""Trip latency, latch, levels and record of the protection. The clock is 1 MHz, so 1 ms is 1,000 clocks."""

from __future__ import annotations

import pytest
from amaranth.hdl import ResetInserter, Signal
from thermogen_esf.hostlink import NO_CHANNEL
from thermogen_esf.points import POINT, Fault
from thermogen_gateware.protection import Protection

CLOCK_HZ = 1_000_000
SAMPLE_CLOCKS = 20


class Bench:
    def __init__(self, simulate, clock_hz=CLOCK_HZ):
        self.simulate = simulate
        self.dut = Protection(clock_hz)
        self.reset = Signal()
        self.bus_mv = 48_000
        self.bus_current_a = 17.0
        self.ground_fault_ma = 0.4
        self.hot_supply_degc = 150.0

    async def clocks(self, ctx, count, until=None):
        """Run `count` clocks with a sample of everything every 20; stop when signal `until` is 1 and say after how many."""
        ctx.set(self.dut.bus_mv, self.bus_mv)
        ctx.set(self.dut.bus_current, POINT["bus_current"].raw(self.bus_current_a))
        ctx.set(self.dut.ground_fault, POINT["ground_fault_current"].raw(self.ground_fault_ma))
        ctx.set(self.dut.hot_supply, POINT["hot_supply_temperature"].raw(self.hot_supply_degc))
        for clock in range(count):
            ctx.set(self.dut.bus_strobe, clock % SAMPLE_CLOCKS == 0)
            ctx.set(self.dut.scan_strobe, clock % SAMPLE_CLOCKS == 0)
            await ctx.tick()
            if until is not None and ctx.get(until):
                return clock + 1
        assert until is None, "it never came"
        return count

    async def clear(self, ctx):
        ctx.set(self.dut.trip_clear, 1)
        await ctx.tick()
        ctx.set(self.dut.trip_clear, 0)
        await ctx.tick()
        return not ctx.get(self.dut.tripped)

    def run(self, testbench):
        async def bench(ctx):
            ctx.set(self.dut.enable, 1)
            ctx.set(self.dut.converter_healthy, 1)
            await self.clocks(ctx, 50)
            await testbench(ctx)

        self.simulate(ResetInserter(self.reset)(self.dut), bench, clock_hz=CLOCK_HZ)


@pytest.fixture
def bench(simulate):
    return Bench(simulate)


async def pulse_comparator(ctx, dut, phase):
    """For a fiftieth of a clock, at that part of one: no clock edge sees it."""
    await ctx.delay(phase / CLOCK_HZ)
    ctx.set(dut.ov_comparator, 1)
    assert not ctx.get(dut.run)
    await ctx.delay(0.02 / CLOCK_HZ)
    ctx.set(dut.ov_comparator, 0)
    assert not ctx.get(dut.run)


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


@pytest.mark.parametrize("phase", [0.01, 0.25, 0.5, 0.75, 0.97])
def test_a_comparator_pulse_shorter_than_a_clock_trips_and_is_kept(bench, phase):
    dut = bench.dut

    async def testbench(ctx):
        bench.bus_mv = 47_321
        await bench.clocks(ctx, SAMPLE_CLOCKS)
        await pulse_comparator(ctx, dut, phase)
        assert await bench.clocks(ctx, 10, until=dut.tripped) == 3
        assert ctx.get(dut.trip_strobe)
        await bench.clocks(ctx, 100)
        assert ctx.get(dut.trip_cause) == ctx.get(dut.faults) == Fault.BUS_COMPARATOR
        assert ctx.get(dut.trip_bus_mv) == 47_321
        ctx.set(dut.enable, 0)
        await ctx.tick().repeat(5)
        ctx.set(dut.enable, 1)
        await ctx.tick().repeat(5)
        assert not ctx.get(dut.run)
        assert await bench.clear(ctx) and ctx.get(dut.run)
        await bench.clocks(ctx, 100)
        assert ctx.get(dut.run) and not ctx.get(dut.faults) and not ctx.get(dut.tripped)

    bench.run(testbench)


def test_a_short_comparator_pulse_while_tripped_shows_and_goes_with_the_trip(bench):
    dut = bench.dut

    async def testbench(ctx):
        ctx.set(dut.loop_expired, 1)
        await ctx.tick()
        ctx.set(dut.loop_expired, 0)
        await pulse_comparator(ctx, dut, 0.5)
        await bench.clocks(ctx, 20)
        assert ctx.get(dut.trip_cause) == Fault.EMERGENCY_WATCHDOG
        assert ctx.get(dut.faults) == Fault.EMERGENCY_WATCHDOG | Fault.BUS_COMPARATOR
        assert await bench.clear(ctx) and ctx.get(dut.run)
        await bench.clocks(ctx, 20)
        assert ctx.get(dut.run) and not ctx.get(dut.faults)

    bench.run(testbench)


@pytest.mark.parametrize("clocks_before", range(4))
def test_an_order_to_clear_that_is_there_before_the_trip_forgets_no_pulse(bench, clocks_before):
    """The pulse has come and the trip is not yet latched: there is nothing to clear."""
    dut = bench.dut

    async def testbench(ctx):
        await pulse_comparator(ctx, dut, 0.5)
        for _ in range(clocks_before):
            await ctx.tick()
        ctx.set(dut.trip_clear, 1)
        await ctx.tick()
        ctx.set(dut.trip_clear, 0)
        await ctx.tick().repeat(5)
        assert ctx.get(dut.trip_cause) == Fault.BUS_COMPARATOR
        assert ctx.get(dut.tripped) == (not ctx.get(dut.run)) == (clocks_before < 3)

    bench.run(testbench)


def test_a_reset_forgets_the_comparator_as_it_forgets_the_trip(bench):
    dut = bench.dut

    async def testbench(ctx):
        await pulse_comparator(ctx, dut, 0.5)
        await bench.clocks(ctx, 5, until=dut.tripped)
        ctx.set(bench.reset, 1)
        await ctx.tick()
        ctx.set(bench.reset, 0)
        await ctx.tick().repeat(5)
        assert ctx.get(dut.run) and not ctx.get(dut.tripped)

    bench.run(testbench)


def test_a_trip_clears_only_by_command_and_with_its_cause_gone(bench):
    dut = bench.dut

    async def testbench(ctx):
        bench.bus_mv = 60_000
        await bench.clocks(ctx, 3_000, until=dut.tripped)
        await bench.clear(ctx)
        assert ctx.get(dut.tripped)
        bench.bus_mv = 52_000
        await bench.clocks(ctx, 100)
        await bench.clear(ctx)
        assert ctx.get(dut.tripped)
        bench.bus_mv = 51_999
        await bench.clocks(ctx, 100)
        ctx.set(dut.ov_comparator, 1)
        await ctx.tick().repeat(3)
        await bench.clear(ctx)
        assert ctx.get(dut.tripped)
        ctx.set(dut.ov_comparator, 0)
        await ctx.tick().repeat(3)
        assert ctx.get(dut.tripped)
        await bench.clear(ctx)
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


# What trips, beside the bus: how it is brought about, how it is taken back, and the deglitch time in clocks of 20 kHz.
SLOW_HZ = 20_000
CAUSES = {
    "reverse bus current": (Fault.REVERSE_CURRENT, {"bus_current_a": -2.01}, {"bus_current_a": -1.01}, {"bus_current_a": -0.99}, 200),
    "ground fault": (Fault.GROUND_FAULT, {"ground_fault_ma": 30.1}, {"ground_fault_ma": 15}, {"ground_fault_ma": 14.9}, 2_000),
    "hot supply": (Fault.OVER_TEMPERATURE, {"hot_supply_degc": 205.02}, {"hot_supply_degc": 190}, {"hot_supply_degc": 189.9}, 2_000),
}


@pytest.mark.parametrize("name", CAUSES)
def test_a_site_input_beyond_its_limit_trips_after_its_time_and_clears_only_on_the_safe_side(simulate, name):
    bench = Bench(simulate, SLOW_HZ)
    fault, beyond, nearly, gone, deglitch_clocks = CAUSES[name]
    dut = bench.dut

    async def testbench(ctx):
        vars(bench).update(beyond)
        assert deglitch_clocks <= await bench.clocks(ctx, deglitch_clocks + 100, until=dut.tripped) <= deglitch_clocks + 2 * SAMPLE_CLOCKS
        assert not ctx.get(dut.run) and ctx.get(dut.trip_cause) == ctx.get(dut.faults) == fault
        vars(bench).update(nearly)
        await bench.clocks(ctx, 50)
        assert not await bench.clear(ctx)
        vars(bench).update(gone)
        await bench.clocks(ctx, 50)
        assert ctx.get(dut.faults) == fault
        assert await bench.clear(ctx) and ctx.get(dut.run) and ctx.get(dut.faults) == 0

    bench.run(testbench)


@pytest.mark.parametrize(("name", "level"), [("bus_current_a", -2.0), ("ground_fault_ma", 30), ("hot_supply_degc", 205)])
def test_a_site_input_at_its_limit_does_not_trip(simulate, name, level):
    bench = Bench(simulate, SLOW_HZ)

    async def testbench(ctx):
        setattr(bench, name, level)
        await bench.clocks(ctx, 2_200)
        assert not ctx.get(bench.dut.tripped)

    bench.run(testbench)


def test_the_hot_limits_are_those_that_were_set(simulate):
    bench = Bench(simulate, CLOCK_HZ // 100)
    dut = bench.dut
    raw = POINT["hot_supply_temperature"].raw

    async def testbench(ctx):
        ctx.set(dut.hot_throttle, raw(120))
        ctx.set(dut.hot_fatal, raw(130))
        bench.hot_supply_degc = 125
        await bench.clocks(ctx, 1_100)
        assert ctx.get(dut.throttle) and not ctx.get(dut.tripped)
        bench.hot_supply_degc = 131
        await bench.clocks(ctx, 1_100)
        assert ctx.get(dut.trip_cause) == Fault.OVER_TEMPERATURE
        bench.hot_supply_degc = 119
        await bench.clocks(ctx, 50)
        assert not ctx.get(dut.throttle) and await bench.clear(ctx)

    bench.run(testbench)


@pytest.mark.parametrize(
    ("signal", "fault", "channel"),
    [
        ("channel_overcurrent", Fault.CHANNEL_OVERCURRENT, 73),
        ("channel_reverse", Fault.REVERSE_CURRENT, 73),
        ("loop_expired", Fault.EMERGENCY_WATCHDOG, NO_CHANNEL),
    ],
)
def test_channel_guard_and_loop_watch_trip_at_once_and_the_channel_is_named(bench, signal, fault, channel):
    dut = bench.dut

    async def testbench(ctx):
        ctx.set(dut.channel, 73)
        ctx.set(getattr(dut, signal), 1)
        await ctx.tick()
        assert ctx.get(dut.tripped) and not ctx.get(dut.run)
        assert (ctx.get(dut.trip_cause), ctx.get(dut.trip_channel)) == (fault, channel)
        assert not await bench.clear(ctx)
        ctx.set(getattr(dut, signal), 0)
        await ctx.tick()
        assert not ctx.get(dut.run) and await bench.clear(ctx)

    bench.run(testbench)


def test_the_first_cause_and_the_values_then_are_kept_while_others_follow(simulate):
    bench = Bench(simulate, SLOW_HZ)
    dut = bench.dut

    async def testbench(ctx):
        bench.bus_current_a, bench.ground_fault_ma, bench.hot_supply_degc, bench.bus_mv = -3.0, 12.3, 171.5, 51_234
        await bench.clocks(ctx, 300, until=dut.tripped)
        clocks = ctx.get(dut.clocks)

        def kept():
            return {
                name: ctx.get(getattr(dut, f"trip_{name}")) for name in ("cause", "bus_mv", "bus_current", "hot_supply", "ground_fault")
            }

        first = {"cause": Fault.REVERSE_CURRENT, "bus_mv": 51_234, "bus_current": -300, "hot_supply": 8_575, "ground_fault": 123}
        assert kept() == first and ctx.get(dut.trip_channel) == NO_CHANNEL
        assert ctx.get(dut.trip_clocks) == clocks - 1
        bench.bus_mv, bench.hot_supply_degc = 64_000, 20
        ctx.set(dut.ov_comparator, 1)
        await bench.clocks(ctx, 50)
        assert ctx.get(dut.faults) == Fault.REVERSE_CURRENT | Fault.BUS_TRIP | Fault.BUS_COMPARATOR
        assert kept() == first and ctx.get(dut.trip_clocks) == clocks - 1

    bench.run(testbench)


def test_what_cannot_be_measured_is_not_gone(bench):
    dut = bench.dut

    async def testbench(ctx):
        ctx.set(dut.loop_expired, 1)
        await ctx.tick()
        ctx.set(dut.loop_expired, 0)
        ctx.set(dut.converter_healthy, 0)
        await ctx.tick()
        assert not await bench.clear(ctx)
        ctx.set(dut.converter_healthy, 1)
        assert await bench.clear(ctx)

    bench.run(testbench)
