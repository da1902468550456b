"""The search for the slow optimum, and the ceiling on currents, against strings that answer as heat lets them."""

from __future__ import annotations

import random

import pytest
from amaranth.sim import Simulator
from thermogen_gateware.current_ceiling import CEILING_MAX_MA, CurrentCeiling
from thermogen_gateware.slow_optimum import RATIO_ONE, SlowOptimum

pytestmark = pytest.mark.slow

PHASE_STEPS = 4
SEARCH_ROUNDS = 5 * PHASE_STEPS * 128
"""With the phase in which the heat follows the last move."""
ROUND_CLOCKS, SEARCH_CLOCKS = 37, 755
POWER = 92_700
"""A single channel's 95 W."""


def _search(searches, thermal=0.0, drift=0.0, pulse_at=None, disturbed_at=None, **settings):
    """The ratio after so many searches. `thermal`: a string's further resistance in the long run, over its own; `drift` of power."""
    dut = SlowOptimum()
    result = 0

    async def testbench(ctx):
        nonlocal result
        defaults = {
            "start": RATIO_ONE,
            "least": 3_687,
            "most": 8_192,
            "depth": 64,
            "phase": PHASE_STEPS,
            "steady": 64,
            "searching": 1,
        }
        for name, value in (defaults | settings).items():
            ctx.set(getattr(dut, name), value)
        power = POWER
        for n in range(searches * SEARCH_ROUNDS):
            ratio = ctx.get(dut.ratio) / RATIO_ONE
            settled = POWER * ratio / (1 + ratio + thermal) ** 2 * (2 + thermal) ** 2
            power += (settled - power) / 60
            pulse = 0.9 if pulse_at and pulse_at <= n < pulse_at + 300 else 1.0
            ctx.set(dut.disturbed, n == disturbed_at)
            ctx.set(dut.round_power, round(power * (1 + drift * n) * pulse))
            ctx.set(dut.round_strobe, 1)
            await ctx.tick()
            ctx.set(dut.round_strobe, 0)
            await ctx.tick().repeat(ROUND_CLOCKS)
        await ctx.tick().repeat(SEARCH_CLOCKS)
        ctx.set(dut.searching, 0)
        await ctx.tick().repeat(2)
        result = ctx.get(dut.ratio) / RATIO_ONE

    simulator = Simulator(dut)
    simulator.add_clock(20e-9)
    simulator.add_testbench(testbench)
    simulator.run()
    return result


class _Exact:
    """The same search in Python's integers, a round at a time."""

    def __init__(self, settings):
        self.settings = settings
        self.mean = self.rounds = self.quarter = self.difference = self.high = self.low = 0
        self.found, self.settling, self.spoiled, self.begun = settings["start"], True, False, False

    def round(self, power, disturbed):
        self.mean = self.mean + power - (self.mean >> 8) if self.begun else power << 8
        self.begun = True
        self.spoiled |= disturbed
        opens = self.quarter == 0 and self.rounds // 128 < self.settings["phase"] // 2
        self.high = self.mean if opens else max(self.high, self.mean)
        self.low = self.mean if opens else min(self.low, self.mean)
        self.rounds += 1
        if self.rounds == self.settings["phase"] * 128:
            self.rounds = 0
            if self.settling:
                self.settling = False
                return
            self.difference = (self.difference if self.quarter else 0) + (self.mean if self.quarter in (1, 2) else -self.mean)
            self.quarter = (self.quarter + 1) % 4
            if self.quarter == 0:
                self._judge()

    def _judge(self):
        spoiled, self.spoiled = self.spoiled, False
        wide = self.high - self.low > (self.mean >> 14) * self.settings["steady"] << 4
        size = abs(self.difference)
        if spoiled or wide or not self.settings["depth"] or not self.mean or size >= 1 << 28:
            return
        move = min((size << 17) // self.mean, 1_024)
        moved = self.found + (move if self.difference >= 0 else -move)
        self.found = min(max(moved, self.settings["least"]), self.settings["most"])
        self.settling = True

    @property
    def ratio(self):
        return self.found + (self.settings["depth"] if self.quarter in (1, 2) else -self.settings["depth"])


@pytest.mark.parametrize(
    ("slope", "level", "start", "least", "most"),
    [
        (0.04, 92_700, RATIO_ONE, 2_000, 8_192),
        pytest.param(-0.04, 3_000_000, RATIO_ONE, 2_000, 8_192, marks=pytest.mark.slow),
        pytest.param(0.9, 1_000, RATIO_ONE, 2_000, 8_192, marks=pytest.mark.slow),
        pytest.param(-0.9, 8_000_000, RATIO_ONE, 4_000, 8_192, marks=pytest.mark.slow),
        pytest.param(0.9, 8_000_000, RATIO_ONE, 0, 4_200, marks=pytest.mark.slow),
        pytest.param(-0.9, 6_000_000, 500, 100, 8_192, marks=pytest.mark.slow),
        pytest.param(0.0, 0, RATIO_ONE, 0, 8_192, marks=pytest.mark.slow),
    ],
)
def test_a_search_is_exact(slope, level, start, least, most):
    """`slope`: of the power, relative, over the ratio. A search with a disturbed round, one without, and the next one's beginning."""
    phase = 2
    settings = {"start": start, "least": least, "most": most, "depth": 64, "phase": phase, "steady": 400}
    chance = random.Random(1)
    dut, model = SlowOptimum(), _Exact(settings)
    searched = []

    async def testbench(ctx):
        for name, value in (settings | {"searching": 1}).items():
            ctx.set(getattr(dut, name), value)
        for n in range((5 + 4) * phase * 128 + 1):
            power = round(level * (1 + slope * (ctx.get(dut.ratio) / RATIO_ONE - 1)) * chance.uniform(0.998, 1))
            disturbed = n == 2 * phase * 128
            ctx.set(dut.disturbed, disturbed)
            ctx.set(dut.round_power, power)
            ctx.set(dut.round_strobe, 1)
            await ctx.tick()
            ctx.set(dut.round_strobe, 0)
            settled = model.quarter
            model.round(power, disturbed)
            await ctx.tick().repeat(SEARCH_CLOCKS if settled == 3 and model.quarter == 0 else ROUND_CLOCKS)
            assert ctx.get(dut.ratio) == model.ratio, n
            searched.append(model.found)

    simulator = Simulator(dut)
    simulator.add_clock(20e-9)
    simulator.add_testbench(testbench)
    simulator.run()
    assert (len(set(searched)) > 1) == (slope != 0), "no search moved anything"


@pytest.mark.slow
def test_where_heat_follows_the_current_the_ratio_goes_to_the_slow_optimum():
    assert _search(4, thermal=0.5) == pytest.approx(1.5, abs=0.1)


@pytest.mark.slow
def test_with_constant_temperatures_it_stays_where_it_is_even_while_the_power_drifts():
    assert _search(1) == pytest.approx(1.0, abs=0.01)
    assert _search(1, drift=5e-6) == pytest.approx(1.0, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("spoiled", [{"pulse_at": 1200}, {"disturbed_at": 900}, {"depth": 0}])
def test_a_search_that_is_not_steady_is_thrown_away(spoiled):
    assert _search(1, thermal=0.5, **spoiled) == 1.0


@pytest.mark.slow
def test_the_ratio_stays_within_its_range():
    assert _search(1, thermal=0.5, most=4_300) == pytest.approx(4_300 / RATIO_ONE, abs=1e-3)


def test_the_ceiling_comes_down_while_the_power_is_over_the_limit_and_goes_up_again():
    dut = CurrentCeiling()

    async def rounds(ctx, power, count):
        ctx.set(dut.power, power)
        for _ in range(count):
            ctx.set(dut.round_strobe, 1)
            await ctx.tick()
            ctx.set(dut.round_strobe, 0)
            await ctx.tick()
        return ctx.get(dut.ceiling_ma)

    async def testbench(ctx):
        watt = 1 / 8.192e-3
        ctx.set(dut.limit, 100)
        await ctx.tick().repeat(2)
        assert await rounds(ctx, round(960 * watt), 20) == CEILING_MAX_MA
        halved = await rounds(ctx, round(1_010 * watt), 44)
        assert halved == pytest.approx(CEILING_MAX_MA / 2, rel=0.03)
        assert await rounds(ctx, round(990 * watt), 20) == halved, "close under the limit nothing moves"
        assert await rounds(ctx, round(900 * watt), 60) > 1.5 * halved
        assert await rounds(ctx, round(2_000 * watt), 1_000) < 10
        assert await rounds(ctx, 0, 1_500) == CEILING_MAX_MA, "stuck at the bottom"

    simulator = Simulator(dut)
    simulator.add_clock(20e-9)
    simulator.add_testbench(testbench)
    simulator.run()
