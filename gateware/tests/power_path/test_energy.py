"""Energies against exact rational arithmetic: no rounding may add up over many seconds."""

from __future__ import annotations

import random
from fractions import Fraction
from math import floor

import pytest
from amaranth.hdl import signed
from thermogen_gateware.energy import Energy

SUM_SHAPE = signed(17)


class Bench:
    """Feeds seconds and keeps the exact account."""

    def __init__(self, simulate):
        self.simulate = simulate
        self.dut = Energy(SUM_SHAPE)
        self.channel_mj = Fraction(0)
        self.bus_mj = Fraction(0)
        self.gas = 0

    async def second(self, ctx, sums, bus_mv, bus_current=0, gas_flow=0, voltage=True, current=True, gas=True):
        dut = self.dut
        for measured, value in ((dut.voltage_measured, voltage), (dut.current_measured, current), (dut.gas_measured, gas)):
            ctx.set(measured, value)
        for value in sums:
            ctx.set(dut.channel_sum, value)
            ctx.set(dut.channel_strobe, 1)
            await ctx.tick()
        ctx.set(dut.channel_strobe, 0)
        ctx.set(dut.pulse, 1)
        await ctx.tick()
        ctx.set(dut.pulse, 0)
        ctx.set(dut.bus_mv, bus_mv)
        ctx.set(dut.bus_current, bus_current)
        ctx.set(dut.gas_flow, gas_flow)
        ctx.set(dut.means_done, 1)
        await ctx.tick()
        ctx.set(dut.means_done, 0)
        clocks = 1
        while not ctx.get(dut.done):
            await ctx.tick()
            clocks += 1
        assert clocks <= 161
        # The mean current is kept to 1/256 of a step, downwards; from there on all is exact.
        mean = Fraction(floor(Fraction(sum(sums), len(sums)) * 256), 256) if sums else Fraction(0)
        self.channel_mj += mean * 2 * bus_mv / 1000 if voltage else 0
        self.bus_mj += Fraction(bus_current * bus_mv, 100) if voltage and current else 0
        self.gas += gas_flow if gas else 0

    def check(self, ctx):
        assert ctx.get(self.dut.electrical_energy) == max(0, floor(self.channel_mj))
        assert ctx.get(self.dut.bus_energy) == floor(self.bus_mj)
        assert ctx.get(self.dut.gas_volume) == self.gas

    def run(self, testbench):
        self.simulate(self.dut, testbench)


@pytest.fixture
def bench(simulate):
    return Bench(simulate)


@pytest.mark.slow
def test_energies_are_exact_over_many_seconds(bench):
    chance = random.Random(3)

    async def testbench(ctx):
        for _ in range(60):
            sums = [chance.randint(0, 24_564) for _ in range(chance.randint(1, 12))]
            await bench.second(ctx, sums, chance.randint(0, 65_535), chance.randint(-32_768, 32_767), chance.randint(0, 10_000))
            bench.check(ctx)

    bench.run(testbench)


@pytest.mark.parametrize("measured", [{"voltage": False}, {"current": False}, {"gas": False}])
def test_what_was_not_measured_in_a_second_counts_as_nothing(bench, measured):
    async def testbench(ctx):
        await bench.second(ctx, [1_000] * 3, 50_000, 4_000, 900)
        await bench.second(ctx, [1_000] * 3, 50_000, 4_000, 900, **measured)
        bench.check(ctx)
        assert ctx.get(bench.dut.mismatch) == ("gas" in measured), "compared with what nobody measured"
        await bench.second(ctx, [1_000] * 3, 50_000, 4_000, 900)
        bench.check(ctx)
        assert ctx.get(bench.dut.mismatch), "40 A and 6 A do not agree"

    bench.run(testbench)


def test_bus_energy_and_power_are_exact_at_the_signed_extremes(bench):
    async def testbench(ctx):
        for current in (-32_768, 32_767, -1, 1, -32_768, -32_768):
            await bench.second(ctx, [0], 65_535, current)
            bench.check(ctx)
        assert ctx.get(bench.dut.bus_energy) < 0

    bench.run(testbench)


def test_channel_power_is_the_seconds_mean_and_signed(bench):
    async def testbench(ctx):
        # 950 steps of 2 mA at 50 V = 95 W; half of the time none.
        await bench.second(ctx, [950] * 4, 50_000)
        assert ctx.get(bench.dut.channel_power) == 95_000
        await bench.second(ctx, [950, 0, 950, 0], 50_000)
        assert ctx.get(bench.dut.channel_power) == 47_500
        await bench.second(ctx, [-10], 50_000)
        assert ctx.get(bench.dut.channel_power) == -1_000

    bench.run(testbench)


def test_electrical_energy_never_runs_backwards_and_reverse_power_is_made_good_first(bench):
    async def testbench(ctx):
        seen = []
        for value in (100, -50, -50, 30, 70, 100):
            await bench.second(ctx, [value], 50_000)
            seen.append(ctx.get(bench.dut.electrical_energy))
        assert seen == [10_000, 10_000, 10_000, 10_000, 10_000, 20_000]

    bench.run(testbench)


def test_a_site_that_begins_with_reverse_power_counts_nothing_until_it_is_made_good(bench):
    async def testbench(ctx):
        seen = []
        for value in (-100, -50, 100, 100):
            await bench.second(ctx, [value], 50_000)
            seen.append(ctx.get(bench.dut.electrical_energy))
        assert seen == [0, 0, 0, 5_000]

    bench.run(testbench)


def test_a_second_counts_once_however_many_exchanges_it_had(bench):
    async def testbench(ctx):
        for count in (1, 2, 7, 100):
            await bench.second(ctx, [500] * count, 48_000)
            assert ctx.get(bench.dut.channel_power) == 48_000
        assert ctx.get(bench.dut.electrical_energy) == 4 * 48_000
        await bench.second(ctx, [], 48_000)
        assert ctx.get(bench.dut.channel_power) == 0

    bench.run(testbench)


def test_a_second_that_does_not_count_is_shown_and_moves_no_counter(bench):
    dut = bench.dut

    async def testbench(ctx):
        await bench.second(ctx, [333], 48_123, 777, gas_flow=9_999)
        before = [ctx.get(counter) for counter in (dut.electrical_energy, dut.bus_energy, dut.gas_volume)]
        ctx.set(dut.counts, 0)
        for _ in range(3):
            await bench.second(ctx, [501], 48_123, -777, gas_flow=1_234)
            assert abs(ctx.get(dut.channel_power) - 501 * 2 * 48_123 // 1000) <= 1
            assert [ctx.get(counter) for counter in (dut.electrical_energy, dut.bus_energy, dut.gas_volume)] == before
        ctx.set(dut.counts, 1)
        bench.channel_mj, bench.bus_mj, bench.gas = Fraction(333 * 2 * 48_123, 1000), Fraction(777 * 48_123, 100), 9_999
        await bench.second(ctx, [333], 48_123, 777, gas_flow=9_999)
        bench.check(ctx)

    bench.run(testbench)


def test_an_exchange_at_the_pulse_itself_belongs_to_the_next_second(bench):
    dut = bench.dut

    async def testbench(ctx):
        ctx.set(dut.voltage_measured, 1)
        ctx.set(dut.channel_sum, 1000)
        ctx.set(dut.channel_strobe, 1)
        await ctx.tick()
        ctx.set(dut.channel_sum, 3000)
        ctx.set(dut.pulse, 1)
        await ctx.tick()
        ctx.set(dut.pulse, 0)
        ctx.set(dut.channel_strobe, 0)
        ctx.set(dut.bus_mv, 50_000)
        ctx.set(dut.means_done, 1)
        await ctx.tick()
        ctx.set(dut.means_done, 0)
        await ctx.tick().repeat(200)
        assert ctx.get(dut.channel_power) == 100_000
        await bench.second(ctx, [], 50_000)
        assert ctx.get(dut.channel_power) == 300_000

    bench.run(testbench)


@pytest.mark.slow
def test_a_products_second_of_ten_thousand_exchanges_at_full_scale_does_not_overflow(simulate):
    bench = Bench(simulate)

    async def testbench(ctx):
        await bench.second(ctx, [65_535] * 10_000, 65_535)
        bench.check(ctx)
        await bench.second(ctx, [-65_536] * 10_000, 65_535)
        assert ctx.get(bench.dut.channel_power) == floor(Fraction(-65_536 * 2 * 65_535, 1000) + Fraction(65_535 * 2 * 65_535, 1000) % 1)

    bench.run(testbench)


@pytest.mark.parametrize(
    ("channels_a", "shunt_a", "mismatch"),
    [
        (17, 17, 0),
        (17, 17.5, 0),
        (17, 17.52, 1),
        (17, 16.48, 1),
        (50, 51, 0),
        (51.1, 50, 1),
        (-0.6, 0, 1),
        (0.5, 0, 0),
        (-20, -20.3, 0),
        (2, -2, 1),
    ],
)
def test_channels_and_bus_shunt_may_differ_by_two_percent_or_half_an_ampere(bench, channels_a, shunt_a, mismatch):
    async def testbench(ctx):
        await bench.second(ctx, [round(channels_a / 2e-3)] * 3, 48_000, round(shunt_a / 0.01))
        assert ctx.get(bench.dut.mismatch) == mismatch
        await bench.second(ctx, [], 48_000, 4_000)
        assert not ctx.get(bench.dut.mismatch), "no exchange, nothing to compare"

    bench.run(testbench)


def test_a_counter_that_is_full_stays_full_and_says_so(simulate):
    dut = Energy(SUM_SHAPE)
    full = (1 << 48) - 1

    async def testbench(ctx):
        ctx.set(dut.gas_measured, 1)
        ctx.set(dut.gas_volume, full - 100)
        for flow, volume, saturated in ((60, full - 40, 0), (40, full, 0), (1, full, 1), (0, full, 1)):
            ctx.set(dut.gas_flow, flow)
            ctx.set(dut.means_done, 1)
            await ctx.tick()
            ctx.set(dut.means_done, 0)
            await ctx.tick().repeat(170)
            assert (ctx.get(dut.gas_volume), ctx.get(dut.saturated)) == (volume, saturated)

    simulate(dut, testbench)
