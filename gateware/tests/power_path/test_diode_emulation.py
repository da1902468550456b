"""When the low side may conduct and when the bootstrap is recharged, one prepared channel after the other."""

from __future__ import annotations

import pytest
from thermogen_gateware.diode_emulation import BOOTSTRAP_PERIODS, REST_PERIODS, DiodeEmulation

ZERO = 2048
CHANNELS = 4


class Bench:
    """Serves duties and currents as the memories do and prepares all channels once in each period."""

    def __init__(self, simulate, **parameters):
        self.simulate = simulate
        self.dut = DiodeEmulation(CHANNELS, **parameters)
        self.duties = [0] * CHANNELS
        self.currents = [ZERO] * CHANNELS
        self.enabled = True

    async def period(self, ctx):
        """What was decided for each channel: (low side, bootstrap, resting)."""
        dut, decided = self.dut, []
        for channel in range(CHANNELS):
            ctx.set(dut.channel, channel)
            ctx.set(dut.enabled, self.enabled)
            await ctx.tick()
            ctx.set(dut.duty_data, self.duties[channel])
            ctx.set(dut.current_data, self.currents[channel])
            await ctx.tick().repeat(2)
            ctx.set(dut.prepared, 1)
            decided.append((ctx.get(dut.low_side), ctx.get(dut.bootstrap), ctx.get(dut.resting)))
            await ctx.tick()
            ctx.set(dut.prepared, 0)
        return decided

    async def periods(self, ctx, count):
        return [await self.period(ctx) for _ in range(count)]

    def run(self, testbench):
        self.simulate(self.dut, testbench)


@pytest.fixture
def bench(simulate):
    return Bench(simulate)


def low_sides(decided):
    return [low_side for low_side, _, _ in decided]


def test_the_low_side_is_released_where_conduction_is_continuous_anyway_and_taken_back_below(bench):
    bench.duties = [duty * 8 for duty in (120, 240, 336, 456)]
    edge_63v = [540, 360, 216, 36]  # 63 V × (1 − duty) / (2 × 220 µH × 100 kHz), in 2 mA, and a little more
    edge_58v = [495, 330, 198, 33]

    async def testbench(ctx):
        for steps, allowed in (
            ([edge - 3 for edge in edge_63v], False),
            (edge_63v, False),
            ([edge + 1 for edge in edge_63v], True),
            ([edge + 3 for edge in edge_58v], True),
            ([edge - 3 for edge in edge_58v], False),
            (edge_63v, False),
        ):
            bench.currents = [ZERO + step for step in steps]
            assert low_sides(await bench.period(ctx)) == [allowed] * CHANNELS, steps

    bench.run(testbench)


def test_no_current_releases_the_low_side_of_a_small_duty_or_a_channel_that_is_off(bench):
    bench.duties = [0, 7, 31 * 8 + 7, 32 * 8]
    bench.currents = [ZERO + 1500] * CHANNELS

    async def testbench(ctx):
        assert low_sides(await bench.period(ctx)) == [0, 0, 0, 1]
        bench.enabled = False
        assert low_sides(await bench.period(ctx)) == [0] * CHANNELS

    bench.run(testbench)


def test_a_current_at_the_converters_end_is_none_and_a_reverse_current_never_releases(bench):
    bench.duties = [400 * 8] * CHANNELS
    bench.currents = [4095, 4080, 4079, 0]

    async def testbench(ctx):
        assert low_sides(await bench.period(ctx)) == [0, 0, 1, 0]
        bench.currents = [ZERO - 1000] * CHANNELS
        assert low_sides(await bench.period(ctx)) == [0] * CHANNELS

    bench.run(testbench)


@pytest.mark.parametrize("every", [2, BOOTSTRAP_PERIODS])
def test_a_switching_channel_whose_low_side_is_held_off_is_recharged_at_once_and_then_every_n_periods(simulate, every):
    bench = Bench(simulate, bootstrap_periods=every)
    bench.duties = [240 * 8, 1, 0, 240 * 8]
    bench.currents[3] = ZERO + 900

    async def testbench(ctx):
        decided = await bench.periods(ctx, 4 * every)
        pulses = [[period[channel][1] for period in decided] for channel in range(CHANNELS)]
        rhythm = [1] + [0] * (every - 1)
        assert pulses == [rhythm * 4, rhythm * 4, [0] * 4 * every, [0] * 4 * every]
        assert ctx.get(bench.dut.pulses) == 8
        # Every low side conducted until the current fell: the capacitor is full, and the next pulse a whole interval away.
        bench.currents[3] = ZERO
        decided = await bench.periods(ctx, every + 1)
        assert [period[3][1] for period in decided] == [0] * (every - 1) + [1, 0][:2]

    bench.run(testbench)


def test_no_channel_is_recharged_while_its_gates_are_off(bench):
    bench.duties = [240 * 8] * CHANNELS
    bench.enabled = False

    async def testbench(ctx):
        decided = await bench.periods(ctx, 2 * BOOTSTRAP_PERIODS)
        assert not any(bootstrap for period in decided for _, bootstrap, _ in period)
        assert ctx.get(bench.dut.pulses) == 0

    bench.run(testbench)


def test_a_channel_rests_once_it_has_not_switched_for_sixteen_periods(bench):
    bench.duties = [0, 240 * 8, 0, 0]

    async def testbench(ctx):
        decided = await bench.periods(ctx, REST_PERIODS + 1)
        assert [period[0][2] for period in decided] == [0] * (REST_PERIODS - 1) + [1, 1]
        assert not any(period[1][2] for period in decided)
        bench.enabled = False
        decided = await bench.periods(ctx, REST_PERIODS)
        assert [period[1][2] for period in decided] == [0] * (REST_PERIODS - 1) + [1]
        bench.enabled = True
        bench.duties[0] = 1
        await bench.period(ctx)
        assert not (await bench.period(ctx))[0][2]

    bench.run(testbench)


def test_the_count_of_pulses_stops_at_its_end(simulate):
    bench = Bench(simulate, bootstrap_periods=2)
    bench.duties = [240 * 8] * CHANNELS

    async def testbench(ctx):
        ctx.set(bench.dut.pulses, 0xFFFA)
        await bench.periods(ctx, 2)
        assert ctx.get(bench.dut.pulses) == 0xFFFE
        await bench.periods(ctx, 3)
        assert ctx.get(bench.dut.pulses) == 0xFFFF

    bench.run(testbench)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_a_pulse_in_every_period_is_refused(refuses):
    with refuses("at least 2"):
        DiodeEmulation(CHANNELS, bootstrap_periods=1)
