"""The power module from its pins: a node in Python on the link, converters from their datasheet."""

from __future__ import annotations

from fractions import Fraction

import pytest
from amaranth.sim import Simulator
from thermogen_gateware.module_link import ModuleStatus
from thermogen_gateware.pcm import Pcm

HX8K_HZ = 48_000_000
UP5K_HZ = 24_000_000
PERIOD_S = 10e-6
START_S = 250e-6
"""Supply, converters and the first rest of the channels."""


class Bench:
    """Mostly at 24 MHz, which takes half as long to simulate."""

    def __init__(self, spi_node, frames, models, channels=12, clock_hz=UP5K_HZ):
        self.dut = Pcm(channels, converters=len(models), clock_hz=clock_hz)
        self.clock_hz, self.counts = clock_hz, clock_hz // 100_000
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

    async def status(self, ctx, enable=1):
        return ModuleStatus((await self.send(ctx, enable))[2])

    async def gates(self, ctx, periods=1):
        """Clocks that each gate was on in so many periods, and whether the drivers ever were."""
        hi, lo, enabled = [0] * self.channels, [0] * self.channels, 0
        for _ in range(self.counts * periods):
            _, _, hi_now, lo_now, driver = await ctx.tick().sample(self.dut.pwm_hi, self.dut.pwm_lo, self.dut.driver_enable)
            assert not hi_now & lo_now
            enabled |= driver
            for channel in range(self.channels):
                hi[channel] += hi_now >> channel & 1
                lo[channel] += lo_now >> channel & 1
        return hi, lo, enabled

    async def dark(self, ctx, periods=1):
        hi, lo, enabled = await self.gates(ctx, periods)
        return not any(hi) and not any(lo) and not enabled

    async def ready(self, ctx):
        """Supplied, converters believed, run: all but the link."""
        ctx.set(self.dut.supply_good, 1)
        ctx.set(self.dut.run, 1)
        await ctx.delay(START_S)

    async def up(self, ctx):
        """Every channel switches at its duty."""
        await self.ready(ctx)
        await self.send(ctx, enable=0)
        await self.send(ctx, enable=0)
        await self.send(ctx)
        await ctx.delay(3 * PERIOD_S)

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
        simulator.add_clock(1 / self.clock_hz)
        simulator.add_testbench(testbench)
        for number, model in enumerate(self.models):
            simulator.add_testbench(process(number, model), background=True)
        simulator.run()


ZERO = 2048


@pytest.fixture
def model(ads7952):
    return ads7952([ZERO + channel for channel in range(12)])


@pytest.fixture
def bench(spi_node, frames, model):
    return Bench(spi_node, frames, [model])


@pytest.mark.slow
def test_gates_move_only_with_supply_converters_link_enable_and_run(bench, model):
    async def testbench(ctx):
        dut = bench.dut
        assert await bench.dark(ctx, 2)
        await bench.up(ctx)
        model.inputs[6:] = [ZERO + 400 + channel for channel in range(6)]
        await ctx.delay(6 * PERIOD_S)
        hi, lo, enabled = await bench.gates(ctx)
        assert hi == [120] * 12 and enabled
        # Diode emulation at a duty of 0.5: above 1.5 steps of 2 mA for each of 240 counts off.
        assert [on == 120 - 6 for on in lo] == [False] * 6 + [True] * 6
        await bench.send(ctx, enable=0)
        assert await bench.dark(ctx)
        await bench.send(ctx)
        await bench.gates(ctx)
        assert (await bench.gates(ctx))[0] == [120] * 12

        # A kill shorter than a clock, between two of its edges.
        await ctx.delay(11e-9)
        ctx.set(dut.run, 0)
        assert not ctx.get(dut.driver_enable) and not ctx.get(dut.pwm_hi) and not ctx.get(dut.pwm_lo)
        await ctx.delay(2e-9)
        ctx.set(dut.run, 1)
        assert await bench.dark(ctx)
        await bench.send(ctx)
        assert ModuleStatus.KILLED in await bench.status(ctx) and await bench.dark(ctx, 2)
        await bench.send(ctx, enable=0)
        assert ModuleStatus.KILLED not in await bench.status(ctx)
        assert not await bench.dark(ctx, 2)

        # Brown-out: the whole order again, a frame without enable included. Without gates there is no current.
        model.inputs[6:] = [ZERO] * 6
        model.may_be_cut_off = True
        ctx.set(dut.supply_good, 0)
        assert not ctx.get(dut.driver_enable) and not ctx.get(dut.pwm_hi) and not ctx.get(dut.pwm_lo)
        await ctx.delay(2e-9)
        ctx.set(dut.supply_good, 1)
        for _ in range(3):
            await bench.send(ctx)
            assert await bench.dark(ctx)
        await bench.up(ctx)
        assert not await bench.dark(ctx)

    bench.run(testbench)


@pytest.mark.slow
def test_three_bad_frames_turn_everything_off(bench):
    async def testbench(ctx):
        await bench.up(ctx)
        for _ in range(3):
            assert not await bench.dark(ctx)
            await bench.send(ctx, flip=7)
        assert await bench.dark(ctx)

    bench.run(testbench)


@pytest.mark.soak
def test_loss_of_the_link_turns_everything_off_within_ten_milliseconds(bench):
    async def testbench(ctx):
        await bench.up(ctx)
        await ctx.delay(9.8e-3)
        assert ctx.get(bench.dut.driver_enable)
        await ctx.delay(0.3e-3)
        assert await bench.dark(ctx)

    bench.run(testbench)


@pytest.mark.slow
def test_currents_reach_the_node_by_channel_with_state_and_bootstrap_pulses(bench, model):
    currents = list(model.inputs)

    async def testbench(ctx):
        ctx.set(bench.dut.supply_good, 1)
        await ctx.delay(30e-6)
        first = await bench.send(ctx)
        # No belief yet: zero current, no converter, and not a frame without enable since power-up.
        assert first[2] == ModuleStatus.CONVERTER_FAULT | ModuleStatus.CONVERTER_0 | ModuleStatus.KILLED
        await bench.up(ctx)
        answer = await bench.send(ctx)
        assert answer[2] == ModuleStatus.LINK_VALID | ModuleStatus.DRIVERS_ENABLED | ModuleStatus.RUN
        assert answer[3:5] == bytes([1, 2])
        assert [int.from_bytes(answer[7 + 2 * k : 9 + 2 * k], "big") for k in range(12)] == currents
        # Without current every channel is recharged, once in eight periods.
        before = int.from_bytes((await bench.send(ctx))[5:7], "big")
        hi, lo, _ = await bench.gates(ctx, 8)
        assert hi == [8 * 120] * 12
        assert lo == [21] * 12  # 0.875 µs
        after = int.from_bytes((await bench.send(ctx))[5:7], "big")
        # 80 µs of those and an exchange of 33 µs later.
        assert 12 <= after - before <= 24

    bench.run(testbench)


@pytest.mark.slow
@pytest.mark.parametrize("clock_hz", [UP5K_HZ, HX8K_HZ])
def test_every_channel_is_sampled_in_the_middle_of_its_on_time_20_000_times_a_second(spi_node, frames, model, clock_hz):
    bench = Bench(spi_node, frames, [model], clock_hz=clock_hz)
    bench.duties = [(144 + 26 * channel) * 8 for channel in range(12)]
    hi, falls = [], []

    async def testbench(ctx):
        await bench.up(ctx)
        before = ctx.get(bench.dut.adc_cs_n)
        for clock in range(bench.counts * 7):
            _, _, gates, cs_n = await ctx.tick().sample(bench.dut.pwm_hi, bench.dut.adc_cs_n)
            if before and not cs_n:
                falls.append((clock, model.sampled[-1]))
            hi.append(gates)
            before = cs_n

    bench.run(testbench)
    inside = [(clock, channel) for clock, channel in falls if bench.counts <= clock < 6 * bench.counts]
    assert sorted(channel for _, channel in inside) == list(range(12))
    for clock, channel in inside:
        on = [gate >> channel & 1 for gate in hi]
        assert on[clock]
        rise = max(at for at in range(clock) if not on[at])
        end = min(at for at in range(clock, len(on)) if not on[at])
        assert abs(Fraction(rise + 1 + end, 2) - clock) <= Fraction(1, 2), channel


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["stuck-0", "wrong-channel", "reference lost"])
def test_a_converter_that_fails_takes_its_own_channels_and_no_others(spi_node, frames, ads7952, fault):
    models = [ads7952([ZERO + 5] * 12) for _ in range(2)]
    bench = Bench(spi_node, frames, models, channels=24)

    async def testbench(ctx):
        await bench.up(ctx)
        assert (await bench.gates(ctx))[0] == [120] * 24
        if fault == "reference lost":
            models[1].inputs[:] = [4095] * 12
        else:
            models[1].fault = fault
        await ctx.delay(14 * PERIOD_S)
        hi, lo, enabled = await bench.gates(ctx)
        assert hi == [120] * 12 + [0] * 12 and not any(lo[12:]) and enabled
        await bench.send(ctx)
        answer = await bench.send(ctx)
        status = ModuleStatus(answer[2])
        told = [int.from_bytes(answer[7 + 2 * k : 9 + 2 * k], "big") for k in range(24)]
        assert told == [ZERO + 5] * 12 + [ZERO] * 12, "the node is told a current that nobody measured"
        assert status & (ModuleStatus.CONVERTER_FAULT | ModuleStatus.CONVERTER_0 | ModuleStatus.CONVERTER_1) == (
            ModuleStatus.CONVERTER_FAULT | ModuleStatus.CONVERTER_1
        )
        assert ModuleStatus.DRIVERS_ENABLED in status

    bench.run(testbench)


@pytest.mark.slow
def test_three_converters_measure_thirty_six_channels(spi_node, frames, ads7952):
    currents = [ZERO - 60 + 3 * channel for channel in range(36)]
    bench = Bench(spi_node, frames, [ads7952(currents[12 * n : 12 * n + 12]) for n in range(3)], channels=36)
    bench.duties = [(200 + 4 * channel) * 8 for channel in range(36)]

    async def testbench(ctx):
        await bench.up(ctx)
        answer = await bench.send(ctx)
        assert [int.from_bytes(answer[7 + 2 * k : 9 + 2 * k], "big") for k in range(36)] == currents
        hi, _, _ = await bench.gates(ctx)
        assert hi == [100 + 2 * channel for channel in range(36)]

    bench.run(testbench)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(("channels", "converters"), [(13, 1), (12, 2), (0, 1), (48, 4)])
def test_channels_and_converters_have_to_match(refuses, channels, converters):
    with refuses("converters"):
        Pcm(channels, converters)
