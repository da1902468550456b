"""The converter's driver against a model of the converter made from its datasheet."""

from __future__ import annotations

import itertools

import pytest
from thermogen_gateware.ads7952 import Ads7952Driver

INPUTS = [137 + 331 * channel for channel in range(12)]


def scan(simulate, models, frames, clock_hz=50_000_000, step=1):
    """Scan `frames` frames; for each finished one (channel, samples, good, healthy)."""
    dut = Ads7952Driver(clock_hz, converters=len(models))
    lines = [0]
    seen = []

    def line(number):
        def set_sdo(ctx, bit):
            lines[0] = lines[0] & ~(1 << number) | bit << number
            ctx.set(dut.adc_cipo, lines[0])

        return set_sdo

    def process(number, model):
        async def run(ctx):
            await model.run(ctx, dut.adc_sclk, dut.adc_cs_n, dut.adc_copi, line(number))

        return run

    async def bench(ctx):
        commanded = 0
        while len(seen) < frames - 2:
            ctx.set(dut.channel, commanded * step % 12)
            ctx.set(dut.start, not ctx.get(dut.busy))
            commanded += not ctx.get(dut.busy)
            await ctx.tick()
            if ctx.get(dut.frame):
                samples = [ctx.get(dut.samples[i]) for i in range(len(models))]
                seen.append((ctx.get(dut.sample_channel), samples, ctx.get(dut.good), ctx.get(dut.healthy)))

    simulate(dut, bench, background=[process(number, model) for number, model in enumerate(models)], clock_hz=clock_hz)
    return seen


@pytest.mark.parametrize("clock_hz", [48_000_000, 50_000_000])
def test_each_sample_belongs_to_the_channel_it_is_reported_for(simulate, ads7952, clock_hz):
    seen = scan(simulate, [ads7952(INPUTS)], 30, clock_hz)
    assert [channel for channel, *_ in seen] == [n % 12 for n in range(28)]
    for channel, samples, good, _ in seen:
        assert good and samples == [INPUTS[channel]]
    assert seen[-1][3]


def test_converters_in_parallel_keep_their_own_samples(simulate, ads7952):
    other = [4095 - sample for sample in INPUTS]
    for channel, samples, good, _ in scan(simulate, [ads7952(INPUTS), ads7952(other)], 16):
        assert good == 0b11 and samples == [INPUTS[channel], other[channel]]


@pytest.mark.parametrize("fault", ["stuck-0", "stuck-1", "wrong-channel"])
def test_a_converter_that_does_not_answer_rightly_is_never_healthy(simulate, ads7952, fault):
    seen = scan(simulate, [ads7952(INPUTS, fault)], 40)
    assert not any(healthy for *_, healthy in seen)
    assert sum(good for _, _, good, _ in seen) <= len(seen) // 12 + 1


def test_a_converter_that_goes_silent_is_distrusted_after_two_frames(simulate, ads7952):
    model = ads7952(INPUTS, lambda frame: "stuck-1" if frame >= 24 else None)
    seen = scan(simulate, [model], 32)
    healthy = [entry[3] for entry in seen]
    # Entry n is frame n + 2; `healthy` follows the frame's end by a clock, so it shows in the next entry.
    assert healthy[17:24] == [1] * 7
    assert not any(healthy[24:])


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 5])
@pytest.mark.parametrize("wrong", [{9}, {1, 3, 5, 7, 9, 11}, {2, 3, 6, 7, 10, 11}, set(range(4, 8)), set(range(8, 12))])
def test_a_converter_that_is_always_wrong_for_some_channels_is_distrusted(simulate, ads7952, wrong, step):
    """A bit of the address that is stuck, or one channel: every other frame may be good for ever."""
    model = ads7952(INPUTS, lambda frame: "wrong-channel" if frame >= 24 and (frame - 2) * step % 12 in wrong else None)
    seen = scan(simulate, [model], 24 + 6 * 12, step=step)
    assert all(healthy for *_, healthy in seen[17:22])
    assert not any(healthy for *_, healthy in seen[22 + 5 * 12 :])


def test_one_disturbed_frame_drops_its_sample_only(simulate, ads7952):
    model = ads7952(INPUTS, lambda frame: "wrong-channel" if frame == 24 else None)
    seen = scan(simulate, [model], 40)
    assert [good for _, _, good, _ in seen].count(0) == 1
    assert all(healthy for *_, healthy in seen[17:])


@pytest.mark.parametrize("fault", ["stuck-0", "stuck-1", "wrong-channel"])
def test_a_converter_that_fails_costs_its_own_health_and_no_others(simulate, ads7952, fault):
    models = [ads7952(INPUTS), ads7952(INPUTS, lambda frame: fault if frame >= 24 else None), ads7952(INPUTS)]
    seen = scan(simulate, models, 44)
    healthy = [entry[3] for entry in seen]
    assert healthy[17:24] == [0b111] * 7
    assert set(healthy[26:]) == {0b101}
    assert all(good & 0b101 == 0b101 for _, _, good, _ in seen)


@pytest.mark.parametrize("clock_hz", [24_000_000, 48_000_000, 50_000_000])
def test_the_pins_keep_the_datasheets_times(simulate, clock_hz):
    dut = Ads7952Driver(clock_hz)
    trace = []

    async def bench(ctx):
        ctx.set(dut.start, 1)
        for _ in range(300):
            _, _, *pins = await ctx.tick().sample(dut.adc_cs_n, dut.adc_sclk, dut.adc_copi)
            trace.append(tuple(pins))

    simulate(dut, bench, clock_hz=clock_hz)
    before = trace[:-1]
    falls = [at for at, (now, then) in enumerate(zip(trace[1:], before, strict=True)) if then[1] and not now[1]]
    low = [at for at, (now, then) in enumerate(zip(trace[1:], before, strict=True)) if then[0] and not now[0]]
    high = [at for at, (now, then) in enumerate(zip(trace[1:], before, strict=True)) if now[0] and not then[0]]
    nanoseconds = 1e9 / clock_hz
    assert min(b - a for a, b in itertools.pairwise(falls)) * nanoseconds >= 50
    assert (low[1] - high[0]) * nanoseconds >= 325
    # The command is stable around each rising SCLK and changes with the falling one.
    changes = [at for at, (now, then) in enumerate(zip(trace[1:], before, strict=True)) if now[2] != then[2]]
    assert set(changes) <= set(falls) | set(low)
