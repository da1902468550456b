"""The site's inputs behind a model of their converter: means, scaling, and what happens without a converter."""

from __future__ import annotations

from fractions import Fraction

import pytest
from thermogen_esf.points import SITE_INPUTS
from thermogen_gateware.calibration import DEFAULT_CALIBRATION, InputCalibration
from thermogen_gateware.site_inputs import SiteInputs

CLOCK_HZ = 50_000_000
BUS = SITE_INPUTS.index("bus_voltage")
SAMPLES = [3000, 2100, 0, 4095, 1, 2048, 1234, 4000, 17, 999, 2222, 1900]
DONE_CLOCKS = 720


class Bench:
    def __init__(self, simulate, model):
        self.simulate, self.model = simulate, model
        self.dut = SiteInputs(CLOCK_HZ)

    async def second(self, ctx, clocks=3_200):
        """Let samples pass, then close the second; the values as the registers hold them."""
        await ctx.tick().repeat(clocks)
        ctx.set(self.dut.pulse, 1)
        await ctx.tick()
        ctx.set(self.dut.pulse, 0)
        waited = 1
        while not ctx.get(self.dut.done):
            await ctx.tick()
            waited += 1
        assert waited <= DONE_CLOCKS
        return [ctx.get(self.dut.site_inputs[n]) for n in range(12)]

    def run(self, testbench):
        async def converter(ctx):
            await self.model.run(ctx, self.dut.adc_sclk, self.dut.adc_cs_n, self.dut.adc_copi, lambda c, bit: c.set(self.dut.adc_cipo, bit))

        self.simulate(self.dut, testbench, background=[converter], clock_hz=CLOCK_HZ)


def scaled(sample, calibration):
    """sample × gain / 4096 + offset, rounded to the nearest, as 16 bits."""
    return int(Fraction(sample) * calibration.gain / 4096 + calibration.offset + Fraction(1, 2)) & 0xFFFF


def test_each_input_is_scaled_by_its_own_calibration(simulate, ads7952):
    bench = Bench(simulate, ads7952(SAMPLES))

    async def testbench(ctx):
        values = await bench.second(ctx)
        expected = [scaled(sample, calibration) for sample, calibration in zip(SAMPLES, DEFAULT_CALIBRATION.values(), strict=True)]
        # A negative value is rounded towards negative by the floor, which int() above does not do.
        assert all(abs(value - want) <= 1 for value, want in zip(values, expected, strict=True)), (values, expected)
        assert ctx.get(bench.dut.healthy)

    bench.run(testbench)


def test_the_value_is_the_mean_over_the_second_to_a_sixteenth_of_a_sample(simulate, ads7952):
    class Ramp:
        """A reading that grows by one each time it is taken."""

        def __init__(self):
            self.taken = []

        def __int__(self):
            self.taken.append(1000 + 100 * len(self.taken))
            return self.taken[-1]

    ramp = Ramp()
    inputs = [2048] * 12
    inputs[9] = ramp
    bench = Bench(simulate, ads7952(inputs))

    async def testbench(ctx):
        before = 0
        for clocks in (3_200, 4_500):
            value = (await bench.second(ctx, clocks))[9]
            taken = ramp.taken[before:]
            before = len(ramp.taken)
            mean16 = sum(taken) * 16 // len(taken)
            assert value == (mean16 * DEFAULT_CALIBRATION["gas_flow"].gain + 0x8000) >> 16

    bench.run(testbench)


def test_values_saturate_at_their_points_limits(simulate, ads7952):
    samples = [4095] * 12
    samples[1] = 0
    bench = Bench(simulate, ads7952(samples))

    async def testbench(ctx):
        for channel, calibration in (
            (0, InputCalibration(65535, 32767)),
            (1, InputCalibration(100, -32768)),
            (2, InputCalibration(0, -5)),
            (11, InputCalibration(65535, 0)),
        ):
            ctx.set(bench.dut.calibration_addr, channel)
            ctx.set(bench.dut.calibration_gain, calibration.gain)
            ctx.set(bench.dut.calibration_offset, calibration.offset)
            ctx.set(bench.dut.calibration_we, 1)
            await ctx.tick()
        ctx.set(bench.dut.calibration_we, 0)
        values = await bench.second(ctx)
        assert [values[n] for n in (0, 1, 2, 11)] == [0xFFFF, 0x8000, 0, 0x7FFF]

    bench.run(testbench)


def test_the_bus_is_reported_with_each_of_its_samples(simulate, ads7952):
    inputs = list(SAMPLES)
    bench = Bench(simulate, ads7952(inputs))

    async def testbench(ctx):
        seen, gaps, gap = [], [], 0
        while len(seen) < 4:
            await ctx.tick()
            gap += 1
            if ctx.get(bench.dut.bus_strobe):
                seen.append(ctx.get(bench.dut.bus_mv))
                gaps.append(gap)
                gap = 0
                inputs[BUS] += 50
        gain = DEFAULT_CALIBRATION["bus_voltage"].gain
        # The strobe comes after the next frame has begun on another channel: a change shows in the next sample.
        assert seen == [(16 * (3000 + 50 * n) * gain + 0x8000) >> 16 for n in range(4)]
        assert max(gaps[1:]) <= 1_050

    bench.run(testbench)


@pytest.mark.slow
@pytest.mark.parametrize("lost", range(4))
def test_a_scan_counts_only_with_all_that_protection_needs(simulate, ads7952, lost):
    """Frames 0 to 35 are good; then one of the four inputs never answers for itself."""
    model = ads7952(SAMPLES, lambda frame: "wrong-channel" if frame >= 36 and (frame - 2) % 12 == lost else None)
    bench = Bench(simulate, model)

    async def testbench(ctx):
        scans = 0
        for _ in range(6 * 1_050):
            await ctx.tick()
            scans += ctx.get(bench.dut.scan_strobe)
        assert 2 <= scans <= 3

    bench.run(testbench)


@pytest.mark.parametrize("fault", ["stuck-0", "stuck-1"])
def test_without_a_converter_nothing_is_claimed(simulate, ads7952, fault):
    bench = Bench(simulate, ads7952(SAMPLES, fault))

    async def testbench(ctx):
        values = await bench.second(ctx)
        assert not ctx.get(bench.dut.healthy)
        # A line stuck at 0 looks like channel 0 reading 0.
        assert values == [0] * 12

    bench.run(testbench)


@pytest.mark.slow
@pytest.mark.parametrize("lost", range(12))
def test_an_input_that_is_not_heard_takes_nothing_from_those_beside_it(simulate, ads7952, lost):
    bench = Bench(simulate, ads7952(SAMPLES, lambda frame: "wrong-channel" if (frame - 2) % 12 == lost else None))

    async def testbench(ctx):
        values = await bench.second(ctx)
        assert ctx.get(bench.dut.measured) == 0xFFF ^ 1 << lost
        expected = [scaled(sample, calibration) for sample, calibration in zip(SAMPLES, DEFAULT_CALIBRATION.values(), strict=True)]
        assert all(abs(value - want) <= 1 for n, (value, want) in enumerate(zip(values, expected, strict=True)) if n != lost), values

    bench.run(testbench)


@pytest.mark.slow
def test_inputs_keep_their_values_when_the_converter_is_lost(simulate, ads7952):
    model = ads7952(SAMPLES)
    bench = Bench(simulate, model)

    async def testbench(ctx):
        before = await bench.second(ctx)
        assert ctx.get(bench.dut.measured) == 0xFFF
        model.fault = "stuck-1"
        await bench.second(ctx)
        assert await bench.second(ctx) == before
        assert not ctx.get(bench.dut.healthy)
        assert ctx.get(bench.dut.measured) == 0, "nothing was measured"

    bench.run(testbench)


@pytest.mark.parametrize(("gain", "offset"), [(-1, 0), (65_536, 0), (0, -32_769), (0, 32_768)])
def test_calibrations_that_do_not_fit_the_registers_are_refused(gain, offset):
    with pytest.raises(ValueError, match="calibration"):
        InputCalibration(gain, offset)
