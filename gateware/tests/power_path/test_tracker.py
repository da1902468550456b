"""The tracker against a string of thermoelectric modules behind an averaged buck, seen through a quantising converter."""

from __future__ import annotations

import math
import random

import pytest
from amaranth.sim import Simulator
from thermogen_esf.points import ChannelState
from thermogen_gateware.tracker import Tracker, pass_clocks

R_OHM = 48.0
BUS_V = 50.0
DUTY_MAX = 0.95
EXCHANGE_S = 100e-6
INPUT_TAU_S = 47e-6 * R_OHM / 2


class String:
    """Open-circuit voltage behind 48 ohm, an ideal diode, the input capacitor's lag, an averaged buck, a converter of 2 mA a step."""

    def __init__(self, voc, noise_steps=0.0, seed=1, offset_steps=0.0, tau_s=1e-4):
        self.voc, self.noise, self.offset, self.tau_s = voc, noise_steps, offset_steps, tau_s
        self.vin = voc
        self.power = 0.0
        self._chance = random.Random(seed)

    @property
    def best(self):
        """The greatest power that a duty of at most 0.95 can take, in W."""
        vin = max(self.voc / 2, BUS_V / DUTY_MAX)
        return max(0.0, vin * (self.voc - vin) / R_OHM)

    def sample(self, duty):
        """One exchange later, the converter's 12 bits."""
        wanted = BUS_V / duty if duty > 0 else math.inf
        settled = min(self.voc, wanted)
        self.vin += (settled - self.vin) * (1 - math.exp(-EXCHANGE_S / self.tau_s))
        self.power = max(0.0, self.vin * (self.voc - self.vin) / R_OHM) if wanted < self.voc else 0.0
        raw = 2048 + self.power / BUS_V / 2e-3 + self.offset + self._chance.gauss(0, self.noise)
        return min(4095, max(0, round(raw)))


class Bench:
    """Runs exchange after exchange: a pass, then a sample of each string at its new duty."""

    def __init__(self, strings, **parameters):
        self.strings = strings
        self.dut = Tracker(len(strings), **parameters)
        self.raw = [2048] * len(strings)
        self.duties = [0] * len(strings)
        self.forced: dict[int, int] = {}
        self.clocks = 0

    async def exchange(self, ctx, count=1):
        for _ in range(count):
            ctx.set(self.dut.start, 1)
            await ctx.tick()
            ctx.set(self.dut.start, 0)
            clocks = 1
            while ctx.get(self.dut.busy):
                await ctx.tick()
                clocks += 1
            assert clocks == pass_clocks(len(self.strings))
            for channel, string in enumerate(self.strings):
                ctx.set(self.dut.duty_addr, channel)
                await ctx.tick()
                self.duties[channel] = ctx.get(self.dut.duty_data)
                self.raw[channel] = self.forced.get(channel, string.sample(self.duties[channel] / 8 / 480))

    async def words(self, ctx):
        """(current, duty, state) of each channel."""
        words = []
        for channel in range(len(self.strings)):
            ctx.set(self.dut.channel_index, channel)
            await ctx.tick()
            word = ctx.get(self.dut.channel_word)
            words.append((word >> 12, word >> 3 & 0x1FF, ChannelState(word & 7)))
        return words

    async def states(self, ctx):
        return [state for _, _, state in await self.words(ctx)]

    def run(self, testbench):
        async def currents(ctx):
            async for _, _, address in ctx.tick().sample(self.dut.current_addr):
                ctx.set(self.dut.current_data, self.raw[address])

        async def bench(ctx):
            ctx.set(self.dut.present, 1)
            ctx.set(self.dut.allowed, 1)
            ctx.set(self.dut.bus_mv, round(BUS_V * 1000))
            await testbench(ctx)

        simulator = Simulator(self.dut)
        simulator.add_clock(20e-9)
        simulator.add_testbench(bench)
        simulator.add_testbench(currents, background=True)
        simulator.run()


STEP = {"step_s": 2.4e-3, "measure_s": 1.6e-3}
"""A short step, for strings whose capacitor is not what the test is about."""
STEP_EXCHANGES = 24
START_EXCHANGES = 336 - 120
"""From a duty of 0.25 to 0.70, a count an exchange."""


async def mean_power(bench, ctx, exchanges):
    total = [0.0] * len(bench.strings)
    for _ in range(exchanges):
        await bench.exchange(ctx)
        total = [energy + string.power for energy, string in zip(total, bench.strings, strict=True)]
    return [energy / exchanges for energy in total]


def test_every_string_is_tracked_to_98_percent_of_what_it_can_give():
    bench = Bench([String(100, offset_steps=0.4), String(135, noise_steps=0.7)], **STEP)

    async def testbench(ctx):
        await bench.exchange(ctx, START_EXCHANGES + 25 * STEP_EXCHANGES)
        assert await bench.states(ctx) == [ChannelState.TRACK] * 2
        for string, power in zip(bench.strings, await mean_power(bench, ctx, 6 * STEP_EXCHANGES), strict=True):
            assert power >= 0.98 * string.best, (string.voc, power, string.best)

    bench.run(testbench)


@pytest.mark.slow
def test_at_the_products_step_every_string_is_tracked_to_99_percent_within_forty_steps():
    bench = Bench([String(voc, noise_steps=0.5, seed=voc, tau_s=INPUT_TAU_S) for voc in (100, 107, 114, 121, 128, 135)])

    async def testbench(ctx):
        await bench.exchange(ctx, START_EXCHANGES + 40 * 75)
        for string, power in zip(bench.strings, await mean_power(bench, ctx, 10 * 75), strict=True):
            assert power >= 0.99 * string.best, (string.voc, power, string.best)
        for string in bench.strings:
            string.voc -= 12
        await bench.exchange(ctx, 30 * 75)
        for string, power in zip(bench.strings, await mean_power(bench, ctx, 10 * 75), strict=True):
            assert power >= 0.98 * string.best, (string.voc, power, string.best)

    bench.run(testbench)


def test_duty_starts_at_025_goes_to_070_and_moves_at_most_a_count_an_exchange():
    bench = Bench([String(128)], **STEP)

    async def testbench(ctx):
        await bench.exchange(ctx)
        before = bench.duties[0]
        assert before == 120 * 8
        for number in range(START_EXCHANGES + 110):
            if number == START_EXCHANGES:
                assert before == 336 * 8
            await bench.exchange(ctx)
            assert abs(bench.duties[0] - before) <= 8
            before = bench.duties[0]
        assert 280 * 8 <= before <= 456 * 8

    bench.run(testbench)


def test_duty_never_exceeds_095_where_the_string_would_want_more():
    bench = Bench([String(92)], **STEP)

    async def testbench(ctx):
        highest = 0
        for _ in range(START_EXCHANGES + 25 * STEP_EXCHANGES):
            await bench.exchange(ctx)
            highest = max(highest, bench.duties[0])
        assert 440 * 8 <= highest <= 456 * 8

    bench.run(testbench)


@pytest.mark.slow
def test_a_channel_without_source_keeps_seeking_and_tracks_when_it_comes():
    bench = Bench([String(0)], **STEP)

    async def testbench(ctx):
        await bench.exchange(ctx, START_EXCHANGES + 30 * STEP_EXCHANGES)
        assert await bench.states(ctx) == [ChannelState.SEEK]
        bench.strings[0].voc = 120
        await bench.exchange(ctx, 8 * STEP_EXCHANGES)
        assert await bench.states(ctx) == [ChannelState.TRACK]
        bench.strings[0].voc = 0
        await bench.exchange(ctx, 3 * STEP_EXCHANGES)
        assert await bench.states(ctx) == [ChannelState.SEEK]

    bench.run(testbench)


@pytest.mark.slow
def test_absent_modules_and_channels_that_are_not_allowed_have_no_duty():
    bench = Bench([String(128), String(120)], **STEP)

    async def testbench(ctx):
        await bench.exchange(ctx, 5 * STEP_EXCHANGES)
        assert all(bench.duties)
        ctx.set(bench.dut.allowed, 0)
        await bench.exchange(ctx)
        assert bench.duties == [0, 0]
        assert await bench.states(ctx) == [ChannelState.OFF] * 2
        ctx.set(bench.dut.present, 0)
        await bench.exchange(ctx)
        assert await bench.words(ctx) == [(0, 0, ChannelState.ABSENT)] * 2
        assert ctx.get(bench.dut.channel_sum) == 0
        for beyond in (2, 3, 107, 127):
            ctx.set(bench.dut.channel_index, beyond)
            await ctx.tick()
            assert ctx.get(bench.dut.channel_word) == 0
        ctx.set(bench.dut.present, 1)
        ctx.set(bench.dut.allowed, 1)
        await bench.exchange(ctx, START_EXCHANGES + 6 * STEP_EXCHANGES)
        assert await bench.states(ctx) == [ChannelState.TRACK] * 2

    bench.run(testbench)


@pytest.mark.slow
def test_the_current_limit_is_kept_and_given_back():
    bench = Bench([String(135)], **STEP)

    async def testbench(ctx):
        ctx.set(bench.dut.current_limit_ma, 1200)
        await bench.exchange(ctx, START_EXCHANGES + 40 * STEP_EXCHANGES)
        assert ChannelState.LIMIT in await bench.states(ctx)
        mean_a = (await mean_power(bench, ctx, 10 * STEP_EXCHANGES))[0] / BUS_V
        assert 1.0 <= mean_a <= 1.23
        ctx.set(bench.dut.current_limit_ma, 3000)
        await bench.exchange(ctx, 40 * STEP_EXCHANGES)
        power = (await mean_power(bench, ctx, 10 * STEP_EXCHANGES))[0]
        assert power >= 0.98 * bench.strings[0].best

    bench.run(testbench)


@pytest.mark.slow
def test_above_the_warning_level_duties_hold_and_above_shed_they_fall():
    bench = Bench([String(128)], **STEP)

    async def testbench(ctx):
        await bench.exchange(ctx, START_EXCHANGES + 20 * STEP_EXCHANGES)
        ctx.set(bench.dut.hold, 1)
        await bench.exchange(ctx, 2 * STEP_EXCHANGES)
        held = bench.duties[0]
        await bench.exchange(ctx, 3 * STEP_EXCHANGES)
        assert bench.duties[0] == held and await bench.states(ctx) == [ChannelState.HOLD]
        ctx.set(bench.dut.shed, 1)
        await bench.exchange(ctx, 5 * STEP_EXCHANGES)
        assert held - 24 * 8 <= bench.duties[0] <= held - 16 * 8 and await bench.states(ctx) == [ChannelState.LIMIT]
        ctx.set(bench.dut.hold, 0)
        ctx.set(bench.dut.shed, 0)
        await bench.exchange(ctx, 2 * STEP_EXCHANGES)
        assert await bench.states(ctx) == [ChannelState.TRACK]

    bench.run(testbench)


@pytest.mark.slow
@pytest.mark.parametrize(("raw", "flag"), [(2048 + 1951, "overcurrent"), (2048 - 60, "reverse")])
def test_over_current_and_reverse_current_switch_one_channel_off_until_disallowed(raw, flag):
    bench = Bench([String(128), String(128)], **STEP)

    async def testbench(ctx):
        await bench.exchange(ctx, START_EXCHANGES + 6 * STEP_EXCHANGES)
        bench.forced[0] = raw
        await bench.exchange(ctx, 2 if flag == "overcurrent" else 2 * STEP_EXCHANGES)
        assert bench.duties[0] == 0 and bench.duties[1] > 0
        assert ctx.get(getattr(bench.dut, flag))
        bench.forced.clear()
        await bench.exchange(ctx, 3 * STEP_EXCHANGES)
        assert await bench.states(ctx) == [ChannelState.FAULT, ChannelState.TRACK]
        ctx.set(bench.dut.allowed, 0)
        await bench.exchange(ctx)
        assert not ctx.get(bench.dut.overcurrent) and not ctx.get(bench.dut.reverse)
        ctx.set(bench.dut.allowed, 1)
        await bench.exchange(ctx, START_EXCHANGES + 6 * STEP_EXCHANGES)
        assert await bench.states(ctx) == [ChannelState.TRACK] * 2

    bench.run(testbench)


def test_channel_sum_adds_the_newest_currents_around_zero():
    bench = Bench([String(0)] * 3, **STEP)

    async def testbench(ctx):
        for raws in ((2048, 2048, 2048), (4095, 4095, 4095), (0, 0, 0), (2049, 2000, 3000)):
            bench.raw[:] = raws
            bench.forced = dict(enumerate(raws))
            await bench.exchange(ctx)
            assert ctx.get(bench.dut.channel_sum) == sum(raws) - 3 * 2048

    bench.run(testbench)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_a_measuring_window_that_does_not_fit_the_step_is_refused(refuses):
    with refuses("exchanges"):
        Tracker(12, step_s=1e-3, measure_s=2e-3)
