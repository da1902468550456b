"""The health tests against SP 800-90B's own words, written out in Python."""

import random

import pytest
from amaranth.sim import Simulator
from thermogen_gateware.vrf.entropy_health import WINDOW, EntropyHealth, proportion_cutoff, repetition_cutoff


def expected_alarm(bits, entropy) -> int | None:
    """The first sample that fails a test."""
    repetitions, proportion = repetition_cutoff(entropy), proportion_cutoff(entropy)
    run = 0
    for number, bit in enumerate(bits):
        run = run + 1 if number and bit == bits[number - 1] else 1
        window = bits[number - number % WINDOW : number + 1]
        if run >= repetitions or window.count(window[0]) >= proportion:
            return number
    return None


def observed(bits, entropy):
    dut = EntropyHealth(entropy)
    alarm, tested = [], []

    async def use(ctx):
        ctx.set(dut.valid, 1)
        for number, bit in enumerate(bits):
            ctx.set(dut.sample, bit)
            await ctx.tick()
            if ctx.get(dut.alarm):
                alarm.append(number)
            if ctx.get(dut.tested):
                tested.append(number)
        ctx.set(dut.valid, 0)
        ctx.set(dut.restart, 1)
        await ctx.tick()
        assert not ctx.get(dut.alarm) and not ctx.get(dut.tested)

    simulator = Simulator(dut)
    simulator.add_clock(20e-9)
    simulator.add_testbench(use)
    simulator.run()
    return (alarm[0] if alarm else None), (tested[0] if tested else None)


@pytest.mark.parametrize("entropy", [1.0, 0.5])
@pytest.mark.parametrize("ones", [0.5, 0.62, 0.7, 0.8, 0.95])
def test_alarms_come_with_the_sample_that_the_standard_names(entropy, ones):
    source = random.Random(f"{entropy} {ones}")
    bits = [int(source.random() < ones) for _ in range(3 * WINDOW)]
    assert observed(bits, entropy) == (expected_alarm(bits, entropy), WINDOW - 1)


@pytest.mark.parametrize("stuck", [0, 1])
def test_a_source_that_sticks_is_told_at_once(stuck):
    bits = [0, 1] * 20 + [stuck] * 100
    assert observed(bits, 1.0)[0] == expected_alarm(bits, 1.0) < 40 + repetition_cutoff(1.0)


def test_cutoffs_of_a_perfect_source():
    assert repetition_cutoff(1.0) == 31
    assert 590 < proportion_cutoff(1.0) < 625
