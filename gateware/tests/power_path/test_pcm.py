"""The power module from its pins: a node in Python on the link, converters from their datasheet."""

from __future__ import annotations

import pytest
from amaranth.sim import Simulator
from thermogen_gateware.pcm import Pcm

CLOCK_HZ = 48_000_000
PERIOD_S = 10e-6


class Bench:
    def __init__(self, spi_node, frames, models, channels=12):
        self.dut = Pcm(channels, converters=len(models))
        self.node, self.frames, self.models = spi_node(), frames, models
        self.channels = channels
        self.duties = [240 * 8] * channels
        self.sequence = 0
        self.lines = 0

    async def send(self, ctx, enable=1, flip=None):
        message = bytearray(self.frames(self.sequence, self.duties, enable))
        self.sequence += 1
        if flip is not None:
            message[flip] ^= 1
        return await self.node.exchange(ctx, self.dut, bytes(message))

    async def gates(self, ctx, periods=1):
        """Clocks that each gate was on in so many periods, and whether the drivers ever were."""
        hi, lo, enabled = [0] * self.channels, [0] * self.channels, 0
        for _ in range(480 * periods):
            _, _, hi_now, lo_now, driver = await ctx.tick().sample(self.dut.pwm_hi, self.dut.pwm_lo, self.dut.driver_enable)
            assert not hi_now & lo_now
            enabled |= driver
            for channel in range(self.channels):
                hi[channel] += hi_now >> channel & 1
                lo[channel] += lo_now >> channel & 1
        return hi, lo, enabled

    async def up(self, ctx):
        """Link up, converters believed, every channel measured at its duty, run."""
        ctx.set(self.dut.run, 1)
        await ctx.delay(20 * PERIOD_S)
        await self.send(ctx)
        await self.send(ctx)
        await ctx.delay(14 * PERIOD_S)

    def run(self, testbench):
        def line(number):
            def set_sdo(ctx, bit):
                self.lines = self.lines & ~(1 << number) | bit << number
                ctx.set(self.dut.adc_cipo, self.lines)

            return set_sdo

        def process(number, model):
            async def converter(ctx):
                await model.run(ctx, self.dut.adc_sclk, self.dut.adc_cs_n, self.dut.adc_copi, line(number))

            return converter

        simulator = Simulator(self.dut)
        simulator.add_clock(1 / CLOCK_HZ)
        simulator.add_testbench(testbench)
        for number, model in enumerate(self.models):
            simulator.add_testbench(process(number, model), background=True)
        simulator.run()


CURRENTS = [2048 + 50 * channel for channel in range(12)]


@pytest.fixture
def model(ads7952):
    return ads7952(CURRENTS)


def test_gates_move_only_with_link_enable_run_and_converters(spi_node, frames, model):
    bench = Bench(spi_node, frames, [model])

    async def testbench(ctx):
        assert await bench.gates(ctx, 20) == ([0] * 12, [0] * 12, 0)
        await bench.up(ctx)
        hi, lo, enabled = await bench.gates(ctx)
        assert hi == [240] * 12 and enabled
        # Diode emulation at a duty of 0.5: above 1.5 steps of 2 mA for each of 240 counts off.
        assert lo == [0 if raw - 2048 <= 360 else 230 for raw in CURRENTS]
        await bench.send(ctx, enable=0)
        assert await bench.gates(ctx) == ([0] * 12, [0] * 12, 0)
        await bench.send(ctx)
        await bench.gates(ctx)
        assert (await bench.gates(ctx))[0] == [240] * 12
        ctx.set(bench.dut.run, 0)
        assert not ctx.get(bench.dut.driver_enable) and not ctx.get(bench.dut.pwm_hi) and not ctx.get(bench.dut.pwm_lo)
        assert await bench.gates(ctx) == ([0] * 12, [0] * 12, 0)
        ctx.set(bench.dut.run, 1)
        await bench.gates(ctx)
        model.fault = "wrong-channel"
        await ctx.delay(4 * PERIOD_S)
        assert await bench.gates(ctx) == ([0] * 12, [0] * 12, 0)
        model.fault = None
        await ctx.delay(20 * PERIOD_S)
        await bench.send(ctx)
        assert (await bench.gates(ctx))[2]

    bench.run(testbench)


@pytest.mark.slow
def test_three_bad_frames_turn_everything_off(spi_node, frames, model):
    bench = Bench(spi_node, frames, [model])

    async def testbench(ctx):
        await bench.up(ctx)
        for _ in range(3):
            assert (await bench.gates(ctx))[2]
            await bench.send(ctx, flip=7)
        assert await bench.gates(ctx) == ([0] * 12, [0] * 12, 0)

    bench.run(testbench)


@pytest.mark.slow
def test_loss_of_the_link_turns_everything_off_within_ten_milliseconds(spi_node, frames, model):
    bench = Bench(spi_node, frames, [model])

    async def testbench(ctx):
        await bench.up(ctx)
        await ctx.delay(9.8e-3)
        assert ctx.get(bench.dut.driver_enable)
        await ctx.delay(0.3e-3)
        assert await bench.gates(ctx) == ([0] * 12, [0] * 12, 0)

    bench.run(testbench)


@pytest.mark.slow
def test_currents_reach_the_node_by_channel_with_the_modules_state(spi_node, frames, model):
    bench = Bench(spi_node, frames, [model])

    async def testbench(ctx):
        first = await bench.send(ctx)
        # No sample yet: zero current, and the converter is not believed.
        assert first[2] == 0b0100 and first[7:9] == (2048).to_bytes(2, "big")
        await bench.up(ctx)
        answer = await bench.send(ctx)
        assert answer[2] == 0b1011
        assert [int.from_bytes(answer[7 + 2 * k : 9 + 2 * k], "big") for k in range(12)] == CURRENTS

    bench.run(testbench)


def test_every_channel_is_sampled_in_the_middle_of_its_on_time(spi_node, frames, model):
    bench = Bench(spi_node, frames, [model])
    bench.duties = [(40 + 37 * channel) * 8 for channel in range(12)]

    async def testbench(ctx):
        await bench.up(ctx)
        hi, falls, before = [], [], 1
        for clock in range(480 * 3):
            _, _, gates, cs_n = await ctx.tick().sample(bench.dut.pwm_hi, bench.dut.adc_cs_n)
            hi.append(gates)
            if before and not cs_n:
                falls.append(clock)
            before = cs_n
        for fall in falls[1:2]:
            assert hi[fall] == 0xFFF
            for channel in range(12):
                rise = max(clock for clock in range(fall) if not hi[clock] >> channel & 1)
                end = min(clock for clock in range(fall, len(hi)) if not hi[clock] >> channel & 1)
                assert abs((fall - rise) - (end - fall)) <= 2, channel

    bench.run(testbench)


@pytest.mark.slow
def test_the_low_side_is_released_where_conduction_is_continuous_anyway_and_taken_back_below(spi_node, frames, ads7952):
    duties = [120, 240, 336, 456]
    edge_63v = [540, 360, 216, 36]  # 63 V × (1 − duty) / (2 × 220 µH × 100 kHz), in 2 mA, and a little more
    edge_58v = [495, 330, 198, 33]
    currents = [2048] * 12
    model = ads7952(currents)
    bench = Bench(spi_node, frames, [model])
    bench.duties[:4] = [duty * 8 for duty in duties]

    async def low_sides(ctx, steps):
        currents[:4] = [2048 + step for step in steps]
        await ctx.delay(15 * PERIOD_S)
        return [on > 0 for on in (await bench.gates(ctx))[1][:4]]

    async def testbench(ctx):
        await bench.up(ctx)
        assert await low_sides(ctx, edge_63v) == [False] * 4
        await bench.send(ctx)
        assert await low_sides(ctx, [edge + 1 for edge in edge_63v]) == [True] * 4
        await bench.send(ctx)
        assert await low_sides(ctx, [edge + 3 for edge in edge_58v]) == [True] * 4
        await bench.send(ctx)
        assert await low_sides(ctx, [edge - 3 for edge in edge_58v]) == [False] * 4

    bench.run(testbench)


@pytest.mark.slow
def test_three_converters_measure_thirty_six_channels(spi_node, frames, ads7952):
    currents = [2048 + 11 * channel for channel in range(36)]
    bench = Bench(spi_node, frames, [ads7952(currents[12 * n : 12 * n + 12]) for n in range(3)], channels=36)

    async def testbench(ctx):
        await bench.up(ctx)
        answer = await bench.send(ctx)
        assert [int.from_bytes(answer[7 + 2 * k : 9 + 2 * k], "big") for k in range(36)] == currents
        hi, lo, _ = await bench.gates(ctx)
        assert hi == [240] * 36
        assert lo == [230 if current > 2048 + 360 else 0 for current in currents]

    bench.run(testbench)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(("channels", "converters"), [(13, 1), (12, 2), (0, 1)])
def test_channels_and_converters_have_to_match(refuses, channels, converters):
    with refuses("converters"):
        Pcm(channels, converters)
