"""The tracker against a string of thermoelectric modules behind an averaged buck, seen through a quantising converter."""

from __future__ import annotations

import math
import random
from types import SimpleNamespace

import pytest
from amaranth.sim import Simulator
from thermogen_esf.points import ChannelState
from thermogen_esf.tracker_parameters import TRACKER_PARAMETERS
from thermogen_gateware import tracker
from thermogen_gateware.slow_optimum import SlowOptimum
from thermogen_gateware.tracker import ZEROING_EXCHANGES, Tracker, pass_clocks

R_OHM = 48.0
BUS_V = 50.0
EXCHANGE_S = 100e-6
INPUT_TAU_S = 47e-6 * R_OHM / 2
STEP_EXCHANGES = 128


class String:
    """Open-circuit voltage behind a resistance, an ideal diode, the input capacitor's lag, an averaged buck, a converter of 2 mA a step."""

    def __init__(self, voc, noise_steps=0.0, seed=1, offset_steps=0.0, ohm=R_OHM):
        self.voc, self.noise, self.offset, self.ohm = voc, noise_steps, offset_steps, ohm
        self.vin = voc
        self.power = 0.0
        self._chance = random.Random(seed)

    def sample(self, duty, bus_v):
        """One exchange later, the converter's 12 bits."""
        wanted = bus_v / duty if duty > 0 else math.inf
        settled = min(self.voc, wanted)
        self.vin += (settled - self.vin) * (1 - math.exp(-EXCHANGE_S / INPUT_TAU_S))
        self.power = max(0.0, self.vin * (self.voc - self.vin) / self.ohm) if wanted < self.voc else 0.0
        raw = 2048 + self.power / bus_v / 2e-3 + self.offset + self._chance.gauss(0, self.noise)
        return min(4095, max(0, round(raw)))


class Bench:
    """Runs exchange after exchange: a pass, then a sample of each string at its new duty."""

    def __init__(self, strings, modules=1):
        self.strings = strings
        self.dut = Tracker(len(strings) // modules, modules)
        self.raw = [2048] * len(strings)
        self.duties = [0] * len(strings)
        self.forced: dict[int, int] = {}
        self.bus_v = BUS_V

    async def exchange(self, ctx, count=1):
        for _ in range(count):
            ctx.set(self.dut.bus_mv, round(self.bus_v * 1000))
            ctx.set(self.dut.start, 1)
            await ctx.tick()
            ctx.set(self.dut.start, 0)
            clocks = 1
            while ctx.get(self.dut.busy):
                await ctx.tick()
                clocks += 1
            assert clocks <= pass_clocks(len(self.strings))
            for channel, string in enumerate(self.strings):
                ctx.set(self.dut.duty_addr, channel)
                await ctx.tick()
                self.duties[channel] = ctx.get(self.dut.duty_data)
                self.raw[channel] = self.forced.get(channel, string.sample(self.duties[channel] / 8 / 480, self.bus_v))

    async def clear(self, ctx):
        """The key, as the host link gives it: for one clock."""
        ctx.set(self.dut.trip_clear, 1)
        await ctx.tick()
        ctx.set(self.dut.trip_clear, 0)

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

    def run(self, testbench, *beside):
        async def currents(ctx):
            async for _, _, address in ctx.tick().sample(self.dut.current_addr):
                ctx.set(self.dut.current_data, self.raw[min(address, len(self.raw) - 1)])

        async def bench(ctx):
            ctx.set(self.dut.present, -1)
            ctx.set(self.dut.allowed, -1)
            await testbench(ctx)

        simulator = Simulator(self.dut)
        simulator.add_clock(20e-9)
        simulator.add_testbench(bench)
        for background in (currents, *beside):
            simulator.add_testbench(background, background=True)
        simulator.run()


def test_absent_modules_and_channels_that_are_not_allowed_have_no_duty():
    bench = Bench([String(128), String(120)])

    async def testbench(ctx):
        await bench.exchange(ctx, 40)
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
        await bench.exchange(ctx, 40)
        assert await bench.states(ctx) == [ChannelState.SEEK] * 2

    bench.run(testbench)


@pytest.mark.slow
@pytest.mark.parametrize(("raw", "flag"), [(2048 + 1951, "overcurrent"), (2048 - 60, "reverse")])
def test_over_current_and_reverse_current_switch_one_channel_off_until_cleared_by_key(raw, flag):
    bench = Bench([String(128), String(128)])

    async def testbench(ctx):
        await bench.exchange(ctx, 60)
        bench.forced[0] = raw
        await bench.exchange(ctx, 2 if flag == "overcurrent" else 2 * STEP_EXCHANGES)
        assert bench.duties[0] == 0 and bench.duties[1] > 0
        assert ctx.get(getattr(bench.dut, flag))
        bench.forced.clear()
        await bench.exchange(ctx, STEP_EXCHANGES)
        assert (await bench.states(ctx))[0] == ChannelState.FAULT
        assert (await bench.states(ctx))[1] in {ChannelState.SEEK, ChannelState.TRACK}
        for gone in ("allowed", "present", "converter_fault"):
            level = ctx.get(getattr(bench.dut, gone))
            ctx.set(getattr(bench.dut, gone), 1 - level)
            await bench.exchange(ctx, 3)
            ctx.set(getattr(bench.dut, gone), level)
            await bench.exchange(ctx, 3)
            assert ctx.get(getattr(bench.dut, flag)) and not bench.duties[0], f"{gone} has cleared it"
            assert (await bench.states(ctx))[0] == ChannelState.FAULT
        await bench.clear(ctx)
        await bench.exchange(ctx, 2)
        assert not ctx.get(bench.dut.overcurrent) and not ctx.get(bench.dut.reverse)
        assert (await bench.states(ctx))[0] == ChannelState.SEEK and bench.duties[0]

    bench.run(testbench)


@pytest.mark.slow
@pytest.mark.parametrize(("raw", "flag"), [(2048 + 1951, "overcurrent"), (2048 - 70, "reverse")])
def test_the_key_does_not_clear_a_channel_whose_current_is_still_beyond_its_limit_or_that_is_absent(raw, flag):
    bench = Bench([String(128)])

    async def testbench(ctx):
        await bench.exchange(ctx, 60)
        bench.forced[0] = raw
        await bench.exchange(ctx, 2 * STEP_EXCHANGES)
        await bench.clear(ctx)
        await bench.exchange(ctx, 3)
        assert ctx.get(getattr(bench.dut, flag)) and (await bench.states(ctx))[0] == ChannelState.FAULT
        bench.forced.clear()
        ctx.set(bench.dut.present, 0)
        await bench.exchange(ctx, 2)
        await bench.clear(ctx)
        await bench.exchange(ctx, 2)
        ctx.set(bench.dut.present, 1)
        await bench.exchange(ctx, 3)
        assert ctx.get(getattr(bench.dut, flag)) and bench.duties == [0]
        await bench.clear(ctx)
        await bench.exchange(ctx, 2)
        assert not ctx.get(getattr(bench.dut, flag)) and bench.duties[0]

    bench.run(testbench)


def test_a_converter_that_is_not_believed_faults_its_twelve_channels_and_no_others_while_it_lasts():
    bench = Bench([String(128) for _ in range(2 * 26)], modules=2)

    async def testbench(ctx):
        await bench.exchange(ctx, 3)
        assert all(bench.duties)
        for bit, first, last in ((1, 12, 24), (2, 24, 26), (3, 26, 38), (5, 50, 52)):
            ctx.set(bench.dut.converter_fault, 1 << bit)
            await bench.exchange(ctx, 2)
            faulty = [index for index, state in enumerate(await bench.states(ctx)) if state == ChannelState.FAULT]
            assert faulty == list(range(first, last))
            assert [index for index, duty in enumerate(bench.duties) if duty == 0] == faulty
        ctx.set(bench.dut.converter_fault, 0)
        await bench.exchange(ctx, 2)
        assert await bench.states(ctx) == [ChannelState.SEEK] * 52

    bench.run(testbench)


def test_a_module_that_goes_takes_only_its_own_channels_away():
    bench = Bench([String(128) for _ in range(6)], modules=3)

    async def testbench(ctx):
        await bench.exchange(ctx, 3)
        ctx.set(bench.dut.present, 0b101)
        await bench.exchange(ctx)
        assert [state == ChannelState.ABSENT for state in await bench.states(ctx)] == [False, False, True, True, False, False]
        assert [duty > 0 for duty in bench.duties] == [True, True, False, False, True, True]

    bench.run(testbench)


def test_a_module_whose_last_answers_are_too_old_counts_as_zero_and_goes_on():
    bench = Bench([String(0)] * 4, modules=2)

    async def testbench(ctx):
        bench.forced = dict(enumerate((2148, 2248, 2348, 2448)))
        await bench.exchange(ctx, 3)
        assert ctx.get(bench.dut.channel_sum) == 1000
        ctx.set(bench.dut.fresh, 0b10)
        await bench.exchange(ctx, 2)
        assert ctx.get(bench.dut.channel_sum) == 700
        assert ChannelState.ABSENT not in await bench.states(ctx) and all(bench.duties)

    bench.run(testbench)


@pytest.mark.slow
@pytest.mark.parametrize("offset", [-40, 40])
def test_channels_that_are_not_believed_count_as_zero_whatever_their_offset(offset):
    bench = Bench([String(0), String(0)])

    async def testbench(ctx):
        bench.forced = dict.fromkeys(range(2), 2048 + offset)
        ctx.set(bench.dut.allowed, 0)
        await bench.exchange(ctx, 500)
        ctx.set(bench.dut.allowed, 1)
        await bench.exchange(ctx, 3)
        assert ctx.get(bench.dut.channel_sum) == 0
        # The module says zero ampere for a converter that it does not believe itself.
        bench.forced = dict.fromkeys(range(2), 2048)
        ctx.set(bench.dut.converter_fault, 1)
        await bench.exchange(ctx, 3)
        assert ctx.get(bench.dut.channel_sum) == 0
        assert await bench.words(ctx) == [(2048, 0, ChannelState.FAULT)] * 2

    bench.run(testbench)


@pytest.mark.slow
def test_a_channels_offset_is_averaged_while_it_is_off_and_taken_away():
    bench = Bench([String(0, noise_steps=1.0, offset_steps=7.25)])

    async def testbench(ctx):
        ctx.set(bench.dut.allowed, 0)
        await bench.exchange(ctx, 600)
        sums = []
        for _ in range(100):
            await bench.exchange(ctx)
            sums.append(ctx.get(bench.dut.channel_sum))
        assert abs(sum(sums) / len(sums)) < 0.5
        assert abs((await bench.words(ctx))[0][0] - 2048) <= 4

    bench.run(testbench)


@pytest.mark.slow
@pytest.mark.parametrize("raw", [2048 - 240, 2048 - 65, 2048 + 65])
def test_a_current_while_off_that_is_no_offset_is_a_fault_and_is_not_learnt(raw):
    bench = Bench([String(0)])

    async def testbench(ctx):
        bench.forced = {0: raw}
        ctx.set(bench.dut.allowed, 0)
        await bench.exchange(ctx, 500)
        assert await bench.states(ctx) == [ChannelState.FAULT]
        ctx.set(bench.dut.allowed, 1)
        await bench.exchange(ctx, 10)
        assert await bench.states(ctx) == [ChannelState.FAULT] and bench.duties == [0]
        assert ctx.get(bench.dut.channel_sum) == raw - 2048
        bench.forced = {0: 2048}
        await bench.exchange(ctx, 3)
        assert await bench.states(ctx) == [ChannelState.SEEK]
        assert ctx.get(bench.dut.channel_sum) == 0
        bench.forced = {0: raw}
        await bench.exchange(ctx, 2 * STEP_EXCHANGES)
        assert ctx.get(bench.dut.reverse) == (raw < 2048)

    bench.run(testbench)


def test_what_flows_on_after_the_last_duty_is_not_learnt_as_an_offset():
    bench = Bench([String(0)])

    async def testbench(ctx):
        await bench.exchange(ctx, 2)
        assert bench.duties[0]
        ctx.set(bench.dut.allowed, 0)
        bench.forced = {0: 2048 + 60}
        await bench.exchange(ctx, 30)
        bench.forced = {0: 2048}
        await bench.exchange(ctx, 2)
        assert ctx.get(bench.dut.channel_sum) == 0

    bench.run(testbench)


@pytest.mark.slow
def test_a_module_that_comes_back_is_zeroed_again_before_it_switches():
    bench = Bench([String(0), String(0)])

    async def testbench(ctx):
        bench.forced = {0: 2048 + 40, 1: 2048 - 40}
        ctx.set(bench.dut.present, 0)
        await bench.exchange(ctx, 2)
        ctx.set(bench.dut.present, 1)
        ctx.set(bench.dut.allowed, 0)
        await bench.exchange(ctx, ZEROING_EXCHANGES)
        ctx.set(bench.dut.allowed, 1)
        await bench.exchange(ctx, 2)
        assert all(bench.duties)
        assert [current for current, _, _ in await bench.words(ctx)] == [2048, 2048]

    bench.run(testbench)


def test_a_module_that_may_not_switch_yet_holds_back_no_other():
    bench = Bench([String(128) for _ in range(6)], modules=3)

    async def testbench(ctx):
        ctx.set(bench.dut.allowed, 0b101)
        await bench.exchange(ctx, 3)
        assert await bench.states(ctx) == [ChannelState.SEEK] * 2 + [ChannelState.OFF] * 2 + [ChannelState.SEEK] * 2

    bench.run(testbench)


def test_a_channels_gain_scales_its_current():
    bench = Bench([String(0), String(0)])

    async def testbench(ctx):
        ctx.set(bench.dut.calibration_addr, 1)
        ctx.set(bench.dut.calibration_gain, round(1.25 * 0x8000))
        ctx.set(bench.dut.calibration_we, 1)
        await ctx.tick()
        ctx.set(bench.dut.calibration_we, 0)
        bench.forced = {0: 2048 + 800, 1: 2048 + 800}
        await bench.exchange(ctx, 3)
        assert ctx.get(bench.dut.channel_sum) == 800 + 1000
        assert [current for current, _, _ in await bench.words(ctx)] == [2848, 3048]

    bench.run(testbench)


def test_channel_sum_adds_the_newest_currents_around_zero():
    bench = Bench([String(0)] * 3)

    async def testbench(ctx):
        for raws in ((2048, 2048, 2048), (4095, 4095, 4095), (0, 0, 0), (2049, 2000, 3000)):
            bench.raw[:] = raws
            bench.forced = dict(enumerate(raws))
            await bench.exchange(ctx)
            assert ctx.get(bench.dut.channel_sum) == sum(raws) - 3 * 2048

    bench.run(testbench)


def test_a_pass_over_108_channels_ends_within_the_exchange():
    assert pass_clocks(108) <= 4_800
    dut = Tracker(36, 3)

    async def testbench(ctx):
        ctx.set(dut.present, 0b111)
        ctx.set(dut.allowed, 0b111)
        ctx.set(dut.bus_mv, 50_000)
        for _ in range(2):
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            clocks = 1
            while ctx.get(dut.busy):
                await ctx.tick()
                clocks += 1
            assert clocks <= pass_clocks(108)

    simulator = Simulator(dut)
    simulator.add_clock(20e-9)
    simulator.add_testbench(testbench)
    simulator.run()


def test_every_parameter_has_a_safe_range_and_the_gateware_its_field():
    fields = dict(Tracker.PARAMETERS_LAYOUT)
    assert list(fields) == [parameter.identifier for parameter in TRACKER_PARAMETERS]
    for parameter in TRACKER_PARAMETERS:
        assert parameter.minimum <= parameter.default <= parameter.maximum
    ranges = SimpleNamespace(**{parameter.identifier: parameter for parameter in TRACKER_PARAMETERS})
    assert ranges.current_limit_ma.maximum < ranges.overcurrent_ma.maximum, "a limit that trips is none"
    assert ranges.slew.maximum * 0.94 / 8 < 3.9, "the capacitor's discharge alone must not be an over-current"
    assert ranges.ratio_least.maximum <= ranges.ratio_most.minimum


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_more_channels_than_steps_fit_a_round_are_refused(refuses):
    with refuses("in turn"):
        Tracker(43, 3)


def test_a_round_in_which_the_bus_shed_is_no_part_of_a_search(monkeypatch):
    made: list[SlowOptimum] = []

    class Watched(SlowOptimum):
        def __init__(self):
            super().__init__()
            made.append(self)

    monkeypatch.setattr(tracker, "SlowOptimum", Watched)
    bench = Bench([String(128)])
    told: list[int] = []

    async def rounds(ctx):
        (slow,) = made
        async for _, _, strobe in ctx.tick().sample(slow.round_strobe):
            if strobe:
                told.append(ctx.get(slow.disturbed))

    async def testbench(ctx):
        for sheds in (0, 1):
            await bench.exchange(ctx, STEP_EXCHANGES // 2)
            ctx.set(bench.dut.shed, sheds)
            await bench.exchange(ctx)
            ctx.set(bench.dut.shed, 0)
            await bench.exchange(ctx, STEP_EXCHANGES // 2 - 1)

    bench.run(testbench, rounds)
    assert told == [0, 1]
