"""The image that the snapshot writes, read back by the decoder of the frames."""

from __future__ import annotations

import random

import pytest
from amaranth.sim import Simulator
from thermogen_esf.frames import Telemetry
from thermogen_esf.hostlink import IMAGE_WORDS, WRITABLE_IMAGE_WORDS
from thermogen_esf.layout import FIELD
from thermogen_esf.points import CHANNELS_PER_SITE, POINT
from thermogen_gateware.snapshot import LIVE_FIELDS, Snapshot

GATEWARE_VERSION = 0x01020003
CLOCKS_PER_SITE_SECOND = 10_000
LATENCY_CLOCKS = 256


class Bench:
    """A snapshot of random values, and models of the memories that it reads."""

    def __init__(self):
        self.dut = Snapshot(GATEWARE_VERSION, CLOCKS_PER_SITE_SECOND)
        source = random.Random(2)
        self.values = {placed.point.identifier: source.getrandbits(placed.point.width) for placed in LIVE_FIELDS}
        self.channels = [source.getrandbits(24) for _ in range(CHANNELS_PER_SITE)]
        self.supplied = [source.getrandbits(16) for _ in range(256)]
        self.image = {}

    async def memories(self, ctx):
        dut = self.dut
        async for _, _, address, channel, write, place, word in ctx.tick().sample(
            dut.supplied_address, dut.channel_index, dut.image_write, dut.image_address, dut.image_data
        ):
            ctx.set(dut.supplied_data, self.supplied[address])
            ctx.set(dut.channel_word, self.channels[channel] if channel < CHANNELS_PER_SITE else 0)
            if write:
                assert place not in self.image
                self.image[place] = word

    def run(self, script):
        async def main(ctx):
            dut = self.dut
            for identifier, value in self.values.items():
                ctx.set(getattr(dut, identifier), value)
            ctx.set(dut.sequence, 0x01020304)
            ctx.set(dut.time, 1_790_000_010)
            ctx.set(dut.time_quality, 2)
            await script(ctx, dut)

        simulator = Simulator(self.dut)
        simulator.add_clock(20e-9)
        simulator.add_testbench(self.memories, background=True)
        simulator.add_testbench(main)
        simulator.run()

    def frame(self):
        assert sorted(self.image) == list(range(IMAGE_WORDS))
        return Telemetry(b"".join(self.image[place].to_bytes(2, "big") for place in range(IMAGE_WORDS)))


@pytest.fixture
def bench():
    return Bench()


async def take(ctx, dut):
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.start, 0)
    clocks = 1
    while not ctx.get(dut.done):
        await ctx.tick()
        clocks += 1
    return clocks


def test_every_value_lands_where_the_decoder_looks_for_it(bench):
    async def script(ctx, dut):
        assert await take(ctx, dut) <= LATENCY_CLOCKS

    bench.run(script)
    frame = bench.frame()
    assert (frame.header.sequence, frame.header.time, frame.header.time_quality, frame.header.flags) == (0x01020304, 1_790_000_010, 2, 0)
    for identifier, raw in bench.values.items():
        point = POINT[identifier]
        assert frame.raw[identifier] & ((1 << point.width) - 1) == raw, identifier
    assert frame.raw["gateware_version"] == GATEWARE_VERSION
    assert frame.raw["clocks_per_site_second"] == CLOCKS_PER_SITE_SECOND
    assert [channel.current << 12 | channel.duty << 3 | channel.state for channel in frame.channels] == bench.channels
    assert frame.reserved == bytes(len(frame.reserved))


def test_what_the_host_supplied_is_copied_word_for_word(bench):
    async def script(ctx, dut):
        await take(ctx, dut)

    bench.run(script)
    frame = bench.frame()
    for word in WRITABLE_IMAGE_WORDS:
        assert bench.image[word] == bench.supplied[word]
    upper = FIELD["buffer_frames"].offset // 2
    assert frame.raw["buffer_frames"] == bench.supplied[upper] << 16 | bench.supplied[upper + 1]
    assert frame.raw["burner_modulation"] == bench.supplied[FIELD["burner_modulation"].offset // 2] >> 8


def test_a_snapshot_waits_while_the_host_writes(bench):
    async def script(ctx, dut):
        ctx.set(dut.hold, 1)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        await ctx.tick().repeat(100)
        assert not bench.image
        assert not ctx.get(dut.busy)
        ctx.set(dut.hold, 0)
        await ctx.tick().repeat(LATENCY_CLOCKS)
        assert not ctx.get(dut.busy)

    bench.run(script)
    assert len(bench.image) == IMAGE_WORDS
