"""A converter that answers, but whose reference cannot be true."""

from __future__ import annotations

import pytest
from thermogen_gateware.reference_watch import ReferenceWatch

ZERO = 2048


class Bench:
    """Reports all channels of each converter once a period, as the preparation of the PWM's channels does."""

    def __init__(self, simulate, converters=1):
        self.simulate, self.converters = simulate, converters
        self.dut = ReferenceWatch(converters)
        self.currents = [[ZERO] * 12 for _ in range(converters)]
        self.resting = [[True] * 12 for _ in range(converters)]
        self.answers = (1 << converters) - 1

    async def periods(self, ctx, count):
        for _ in range(count):
            for slot in range(12):
                for converter in range(self.converters):
                    ctx.set(self.dut.answers, self.answers)
                    ctx.set(self.dut.converter, converter)
                    ctx.set(self.dut.current, self.currents[converter][slot])
                    ctx.set(self.dut.resting, self.resting[converter][slot])
                    ctx.set(self.dut.strobe, 1)
                    await ctx.tick()
        ctx.set(self.dut.strobe, 0)
        await ctx.tick()
        return ctx.get(self.dut.believed)

    def run(self, testbench):
        self.simulate(self.dut, testbench)


@pytest.fixture
def bench(simulate):
    return Bench(simulate)


def at_reference(volts, amperes=0.0):
    """The code of a current when the reference is `volts` in place of 2.5 V; the amplifier's bias has its own supply."""
    return min(int((ZERO + amperes / 2e-3) * 2.5 / volts), 4095)


@pytest.mark.parametrize("volts", [0.01, 1.2, 2.0, 2.3, 2.7, 3.3])
def test_a_module_does_not_start_on_a_reference_that_is_off(bench, volts):
    bench.currents = [[at_reference(volts)] * 12]

    async def testbench(ctx):
        assert not await bench.periods(ctx, 40)

    bench.run(testbench)


@pytest.mark.parametrize("volts", [2.4, 2.6])
def test_a_reference_within_its_tolerance_is_believed(bench, volts):
    bench.currents = [[at_reference(volts)] * 12]

    async def testbench(ctx):
        assert await bench.periods(ctx, 6)

    bench.run(testbench)


@pytest.mark.parametrize(("volts", "resting"), [(0.01, False), (1.0, False), (2.0, True), (3.3, True)])
def test_a_reference_that_is_lost_is_distrusted_within_six_periods(bench, volts, resting):
    async def testbench(ctx):
        assert await bench.periods(ctx, 10)
        bench.currents = [[at_reference(volts, 0.0 if resting else 1.4)] * 12]
        bench.resting = [[resting] * 12]
        assert not await bench.periods(ctx, 6)
        # Then the gates are off and all channels rest; that alone does not bring the belief back.
        bench.resting = [[True] * 12]
        assert not await bench.periods(ctx, 20)
        bench.currents = [[ZERO] * 12]
        assert await bench.periods(ctx, 6)

    bench.run(testbench)


def test_amplifiers_that_fail_do_not_cost_the_other_channels(bench):
    bench.currents = [[4095, 0, 4095, ZERO + 700, 4095] + [ZERO] * 7]

    async def testbench(ctx):
        assert await bench.periods(ctx, 40)
        bench.resting = [[False] * 12]
        bench.currents[0][5:] = [ZERO + 900] * 7
        assert await bench.periods(ctx, 40)

    bench.run(testbench)


def test_full_scale_currents_that_a_channel_can_carry_are_plausible(bench):
    async def testbench(ctx):
        assert await bench.periods(ctx, 10)
        bench.resting = [[False] * 12]
        for current in (ZERO + 1750, ZERO - 1750):
            bench.currents = [[current] * 12]
            assert await bench.periods(ctx, 10)

    bench.run(testbench)


def test_belief_is_not_won_by_channels_that_could_not_be_checked(bench):
    bench.resting = [[False] * 12]

    async def testbench(ctx):
        assert not await bench.periods(ctx, 20)

    bench.run(testbench)


def test_each_converter_is_judged_by_its_own_channels(simulate):
    bench = Bench(simulate, converters=3)

    async def testbench(ctx):
        assert await bench.periods(ctx, 10) == 0b111
        bench.currents[1] = [4095] * 12
        assert await bench.periods(ctx, 10) == 0b101
        bench.currents[1] = [ZERO] * 12
        assert await bench.periods(ctx, 10) == 0b111
        bench.answers = 0b110
        assert await bench.periods(ctx, 1) == 0b110

    bench.run(testbench)
