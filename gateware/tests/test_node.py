"""The node from its pins: what a daemon does from power-up to the first sealed epoch."""

from __future__ import annotations

import random
import struct

import pytest
from amaranth.sim import Simulator
from thermogen_esf import merkle
from thermogen_esf.frames import Telemetry
from thermogen_esf.hostlink import (
    CALIBRATION_BASE,
    CALIBRATION_HASH_WORDS,
    CHANNEL_GAIN_BASE,
    CHANNEL_GAIN_WORDS,
    CONTROL_REGISTERS,
    EPOCH_BASE,
    EPOCH_RECORD,
    LEAF_SLOTS,
    MODULE_HEARD,
    MODULE_PRESENT,
    NO_CHANNEL,
    SITE_WORDS,
    STATUS_BASE,
    STATUS_REGISTERS,
    STATUS_WORDS,
    NodeFlag,
    Opcode,
    Status,
    calibration_hash,
)
from thermogen_esf.layout import FIELD, MAGIC
from thermogen_esf.points import Fault, TimeQuality
from thermogen_gateware.node import Node

from .calibration_words import AFTER_POWER_UP

pytestmark = pytest.mark.slow

CLOCKS_PER_SITE_SECOND = 5_000
LEAF_SECONDS = 4
"""More than the 13,000 clocks that the hash of a leaf takes, in which no other is made; less than the ten between two leaves."""
CLOCK_PERIOD_S = 20e-9
SITE_SECOND_S = CLOCKS_PER_SITE_SECOND * CLOCK_PERIOD_S
SOURCE_HASH = 0x0123_4567_89AB_CDEF
SITE = bytes(range(0xA1, 0xA9))
LAST_SECOND_OF_AN_EPOCH = 900 * 1_988_888


class Bench:
    """A node, its pulse, and the daemon's side of its host link."""

    def __init__(self, spi_host, requests, power_path):
        self.power_path = power_path
        self.dut = Node(CLOCKS_PER_SITE_SECOND, channels=2, power_path=power_path, source_hash=SOURCE_HASH)
        self.spi_host, self.requests = spi_host, requests
        self.tables = dict(AFTER_POWER_UP)
        """What the power path was told to measure with, by the address that the host knows it by."""

    async def _watch_tables(self, ctx):
        power = self.power_path
        inputs = (power.calibration_we, power.calibration_addr, power.calibration_gain, power.calibration_offset)
        gains = (power.channel_gain_we, power.channel_gain_addr, power.channel_gain)
        async for _, _, input_written, place, gain, offset, gain_written, channel, channel_gain in ctx.tick().sample(*inputs, *gains):
            if input_written:
                self.tables |= {CALIBRATION_BASE + 2 * place: gain, CALIBRATION_BASE + 2 * place + 1: offset & 0xFFFF}
            if gain_written:
                self.tables[CHANNEL_GAIN_BASE + channel] = channel_gain

    def run(self, script):
        async def pulse(ctx):
            while True:
                ctx.set(self.dut.pulse, 1)
                await ctx.delay(0.1 * SITE_SECOND_S)
                ctx.set(self.dut.pulse, 0)
                await ctx.delay(0.9 * SITE_SECOND_S)

        async def main(ctx):
            dut = self.dut
            self.ctx = ctx
            self.spi = self.spi_host(ctx, dut.host_sclk, dut.host_cs_n, dut.host_copi, dut.host_cipo)
            await script(self)

        simulator = Simulator(self.dut)
        simulator.add_clock(CLOCK_PERIOD_S)
        simulator.add_testbench(pulse, background=True)
        simulator.add_testbench(self._watch_tables, background=True)
        simulator.add_testbench(main)
        simulator.run()

    async def status(self):
        words = await self.requests.read(self.spi, STATUS_BASE, STATUS_WORDS)
        content = struct.pack(f">{STATUS_WORDS}H", *words)
        at = {name: 2 * (address - STATUS_BASE) for name, (address, _) in STATUS_REGISTERS.items()}
        return {name: int.from_bytes(content[at[name] : at[name] + 2 * size], "big") for name, (_, size) in STATUS_REGISTERS.items()}

    async def control(self, **values):
        for name, value in values.items():
            address, size = CONTROL_REGISTERS[name]
            words = [value >> 16 * (size - 1 - place) & 0xFFFF for place in range(size)]
            assert await self.requests.write(self.spi, address, words) is Status.OK

    async def seconds(self, count):
        await self.ctx.tick().repeat(count * CLOCKS_PER_SITE_SECOND)


@pytest.fixture
def bench(spi_host, requests, still_power_path):
    return Bench(spi_host, requests, still_power_path)


def test_a_node_out_of_reset_says_what_it_is_and_switches_nothing(bench):
    async def script(bench):
        status = await bench.status()
        assert (status["magic"], status["map_version"], status["channels"]) == (MAGIC, 4, 2)
        assert status["source_hash"] == SOURCE_HASH and status["trip_channel"] == NO_CHANNEL
        assert status["module_identity"] == 0x0102_0000_0000 and status["module_bootstraps"] == 77 << 32
        assert status["module_status"] == (MODULE_PRESENT | MODULE_HEARD | 0x0B) << 32
        assert NodeFlag.AUTONOMOUS in NodeFlag(status["flags"])
        assert status["clocks_per_site_second"] == CLOCKS_PER_SITE_SECOND
        assert NodeFlag(status["flags"]) & (NodeFlag.ARMED | NodeFlag.TIME_VALID) == 0
        assert bench.ctx.get(bench.dut.module_run) == 0
        assert bench.ctx.get(bench.dut.led_link) == 0
        await bench.control(heartbeat=1)
        await bench.ctx.tick().repeat(400)  # a snapshot may be under way
        assert bench.ctx.get(bench.dut.led_link) == 1
        assert NodeFlag.AUTONOMOUS not in NodeFlag((await bench.status())["flags"])

    bench.run(script)


@pytest.mark.slow
def test_two_leaves_become_an_epoch_that_a_verifier_can_recompute(bench):
    async def script(bench):
        await bench.seconds(2)
        first_address, boot_count_address = SITE_WORDS.start, FIELD["boot_count"].offset // 2
        assert await bench.requests.write(bench.spi, first_address, struct.unpack(">4H", SITE)) is Status.OK
        assert await bench.requests.write(bench.spi, boot_count_address, [9]) is Status.OK
        await bench.control(sequence_start=1_000, time_set=LAST_SECOND_OF_AN_EPOCH - 14, arm=1)
        while (await bench.status())["leaf_next"] < 1_001:
            await bench.seconds(1)
        # The last leaf of the epoch, without waiting for all ten seconds: the time may be set forward. The first is still being hashed.
        await bench.control(time_set=LAST_SECOND_OF_AN_EPOCH - LEAF_SECONDS)
        while not (status := await bench.status())["epochs_sealed"]:
            await bench.seconds(1)

        assert (status["leaf_next"], status["leaf_oldest"]) == (1_002, 1_000)
        leaves = []
        for sequence in (1_000, 1_001):
            answer, leaf = await bench.requests.ask(bench.spi, Opcode.LEAF, sequence % LEAF_SLOTS)
            assert answer is Status.OK
            frame = Telemetry(leaf)
            assert (frame.header.site, frame.header.sequence, frame.header.time_quality) == (SITE, sequence, TimeQuality.PULSE)
            assert frame.raw["electrical_energy"] == 123_456_789_012
            assert frame.raw["boot_count"] == 9
            assert frame.raw["gas_pressure"] == 1_000
            assert frame.channels[3].state == 0x800F06 & 7
            assert Fault(frame.raw["faults"]) == Fault.BUS_WARNING
            leaves.append(leaf)
        assert Telemetry(leaves[1]).header.time == LAST_SECOND_OF_AN_EPOCH
        await bench.control(leaf_ack=1_002)
        assert (await bench.status())["leaf_oldest"] == 1_002

        words = await bench.requests.read(bench.spi, EPOCH_BASE, sum(EPOCH_RECORD["root"]))
        record = {
            name: int.from_bytes(struct.pack(f">{size}H", *words[start : start + size]), "big")
            for name, (start, size) in EPOCH_RECORD.items()
        }
        assert record == {
            "epoch": (LAST_SECOND_OF_AN_EPOCH - 1) // 900,
            "first_sequence": 1_000,
            "count": 2,
            "boot_count": 9,
            "sealed_at": LAST_SECOND_OF_AN_EPOCH,
            "root": int.from_bytes(merkle.root(leaves), "big"),
        }

    bench.run(script)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_what_a_node_says_that_it_measures_with_is_what_its_tables_hold(bench, seed):
    source = random.Random(seed)
    ends = (CALIBRATION_BASE, CALIBRATION_BASE + 24, CHANNEL_GAIN_BASE, CHANNEL_GAIN_BASE + CHANNEL_GAIN_WORDS)

    def any_write():
        """Most are refused: of a gain by half, across a table's end, out of a gain's range."""
        address, size = source.choice(ends) + source.randint(-5, 4), source.randint(1, 6)
        gains = [source.randint(0x6FF0, 0x9010) for _ in range(size)]
        return address, gains if address >= CHANNEL_GAIN_BASE - 5 else [source.getrandbits(16) for _ in range(size)]

    async def script(bench):
        answers = []
        for _ in range(14):
            address, words = any_write()
            if source.random() < 0.2:
                request = bench.requests.request(Opcode.WRITE, address, len(words), words)
                await bench.spi.exchange(bench.requests.padded(request), bits=8 * len(request) + source.randint(0, 70))
            else:
                answers.append(await bench.requests.write(bench.spi, address, words))
        assert Status.OK in answers and len(set(answers)) > 1
        await bench.control(time_set=LAST_SECOND_OF_AN_EPOCH - 100, arm=1)
        for address in (CALIBRATION_BASE, CHANNEL_GAIN_BASE):
            assert await bench.requests.write(bench.spi, address, [0x7ABC] * 2) is Status.REFUSED
        await bench.seconds(4)
        shown = await bench.requests.read(bench.spi, FIELD["calibration_hash"].offset // 2, 4)
        assert struct.pack(">4H", *shown) == calibration_hash([bench.tables[address] for address in CALIBRATION_HASH_WORDS])

    bench.run(script)
    assert bench.tables != AFTER_POWER_UP


@pytest.mark.slow
def test_no_leaf_is_of_a_second_that_began_before_the_calibration_was_hashed(bench):
    """The hash takes longer than a second of this node: it is armed less than two seconds before a leaf is due."""

    async def script(bench):
        await bench.seconds(2)
        await bench.control(time_set=LAST_SECOND_OF_AN_EPOCH - 12, arm=1)
        assert not bench.ctx.get(bench.power_path.counts)
        while (status := await bench.status())["time"] < LAST_SECOND_OF_AN_EPOCH - 8:
            await bench.ctx.tick().repeat(CLOCKS_PER_SITE_SECOND // 2)
        assert status["leaf_next"] == 0
        assert bench.ctx.get(bench.power_path.counts)
        await bench.control(time_set=LAST_SECOND_OF_AN_EPOCH - LEAF_SECONDS)
        while not (await bench.status())["leaf_next"]:
            await bench.seconds(1)
        _, leaf = await bench.requests.ask(bench.spi, Opcode.LEAF, 0)
        said = Telemetry(leaf).raw["calibration_hash"].to_bytes(8, "big")
        assert said == calibration_hash([bench.tables[address] for address in CALIBRATION_HASH_WORDS])

    bench.run(script)
