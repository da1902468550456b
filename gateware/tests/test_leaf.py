"""Leaves from image to slot, tree and epoch record; the hash core is hashlib, the image a model."""

from __future__ import annotations

import hashlib
import struct

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.sim import Simulator
from thermogen_esf import merkle
from thermogen_esf.hostlink import EPOCH_RECORD, EPOCH_RECORD_WORDS, EPOCH_RING, IMAGE_WORDS, Status
from thermogen_esf.layout import FIELD, LEAF_BYTES
from thermogen_gateware.leaf import SLOT_WORDS, LeafRecorder, LeafStore
from thermogen_gateware.merkle import MerkleTree

CLOCK_PERIOD_S = 20e-9
SLOTS = 4
ORDER_CLOCKS = 3
"""From an order to what it changes in `next` and `oldest`."""
BOOT_COUNT = 7


class Bench:
    """Recorder, store and tree; `record` makes a leaf, `leaf_of` says which bytes it must have."""

    def __init__(self, streams):
        self.streams = streams
        self.module = m = Module()
        m.submodules.recorder = self.recorder = recorder = LeafRecorder(SLOTS)
        m.submodules.store = self.store = store = LeafStore(SLOTS)
        m.submodules.tree = self.tree = tree = MerkleTree()
        wiring.connect(m, recorder.leaf, tree.leaf)
        wiring.connect(m, tree.root, recorder.root)
        m.d.comb += [
            store.write.eq(recorder.store_write),
            store.write_address.eq(recorder.store_address),
            store.write_data.eq(recorder.store_data),
            store.hash_fetch.eq(recorder.fetch),
            store.hash_address.eq(recorder.fetch_address),
            recorder.fetch_taken.eq(store.hash_taken),
            recorder.fetch_done.eq(store.hash_done),
            recorder.fetch_data.eq(store.hash_data),
            tree.seal.eq(recorder.seal),
            recorder.tree_idle.eq(tree.idle),
            recorder.tree_count.eq(tree.count),
        ]
        m.submodules.image = self.image = Memory(shape=16, depth=IMAGE_WORDS, init=[])
        m.submodules.records = self.records = Memory(shape=16, depth=2 * EPOCH_RING * EPOCH_RECORD_WORDS, init=[])
        image_read, records_write = self.image.read_port(), self.records.write_port()
        m.d.comb += [
            image_read.addr.eq(recorder.image_address),
            recorder.image_data.eq(image_read.data),
            records_write.en.eq(recorder.record_write),
            records_write.addr.eq(recorder.record_address),
            records_write.data.eq(recorder.record_data),
        ]
        self.epoch = None

    @staticmethod
    def leaf_of(sequence):
        leaf = bytearray(hashlib.shake_128(b"leaf %d" % sequence).digest(LEAF_BYTES))
        at = FIELD["boot_count"].offset
        leaf[at : at + 2] = BOOT_COUNT.to_bytes(2, "big")
        return bytes(leaf)

    async def hash_core(self, ctx):
        while True:
            message = await self.streams.take_bytes(ctx, self.tree.hash.message)
            await self.streams.put_bytes(ctx, self.tree.hash.digest, hashlib.sha3_256(message).digest())

    def run(self, script):
        async def main(ctx):
            await script(ctx)

        simulator = Simulator(self.module)
        simulator.add_clock(CLOCK_PERIOD_S)
        simulator.add_testbench(self.hash_core, background=True)
        simulator.add_testbench(main)
        simulator.run()

    async def order(self, ctx, name, value):
        ctx.set(self.recorder.value, value)
        ctx.set(getattr(self.recorder, name), 1)
        await ctx.tick()
        ctx.set(getattr(self.recorder, name), 0)
        await ctx.tick().repeat(ORDER_CLOCKS - 1)

    async def record(self, ctx, epoch, last=False, time=0):
        sequence = ctx.get(self.recorder.next)
        sealed = ctx.get(self.recorder.sealed)
        before = ctx.get(self.tree.count)
        for place, (word,) in enumerate(struct.iter_unpack(">H", self.leaf_of(sequence))):
            ctx.set(self.image.data[place], word)
        ctx.set(self.recorder.epoch, epoch)
        ctx.set(self.recorder.last_of_epoch, last)
        ctx.set(self.recorder.time, time)
        ctx.set(self.recorder.record, 1)
        await ctx.tick()
        ctx.set(self.recorder.record, 0)
        seals = (before != 0 and epoch != self.epoch) + last
        count = 0 if last else 1 if seals else before + 1
        self.epoch = epoch
        for _ in range(200):
            await ctx.delay(40 * CLOCK_PERIOD_S)
            if (ctx.get(self.recorder.sealed), ctx.get(self.tree.count), ctx.get(self.tree.idle)) == (sealed + seals, count, 1):
                break
        else:
            raise AssertionError("the leaf never came into the tree")
        await ctx.tick().repeat(2)

    async def slot(self, ctx, number):
        """What the host reads from a slot: its status and its bytes."""
        ctx.set(self.recorder.slot, number)
        words = []
        for word in range(-(-LEAF_BYTES // 4)):
            ctx.set(self.store.host_address, number * SLOT_WORDS + word)
            ctx.set(self.store.host_fetch, 1)
            await ctx.tick()
            ctx.set(self.store.host_fetch, 0)
            await ctx.tick().repeat(3)
            words.append(ctx.get(self.store.host_data))
        return Status(ctx.get(self.recorder.slot_status)), struct.pack(f">{len(words)}I", *words)[:LEAF_BYTES]

    def epoch_record(self, ctx, number):
        base = number % (2 * EPOCH_RING) * EPOCH_RECORD_WORDS
        values = {}
        for name, (start, size) in EPOCH_RECORD.items():
            words = [ctx.get(self.records.data[base + start + place]) for place in range(size)]
            values[name] = int.from_bytes(struct.pack(f">{size}H", *words), "big")
        return values

    def root(self, sequences):
        return int.from_bytes(merkle.root([self.leaf_of(sequence) for sequence in sequences]), "big")


@pytest.fixture
def bench(streams):
    return Bench(streams)


def test_a_leaf_is_kept_byte_for_byte_in_the_slot_of_its_sequence(bench):
    async def script(ctx):
        await bench.order(ctx, "set_next", 1_001)
        await bench.record(ctx, epoch=5)
        assert await bench.slot(ctx, 1_001 % SLOTS) == (Status.OK, bench.leaf_of(1_001))
        assert ctx.get(bench.recorder.next) == 1_002
        assert ctx.get(bench.recorder.oldest) == 1_001
        assert (await bench.slot(ctx, 1_002 % SLOTS))[0] is Status.BAD_ADDRESS

    bench.run(script)


def test_an_epoch_is_sealed_with_its_last_leaf(bench):
    async def script(ctx):
        await bench.order(ctx, "set_next", 40)
        await bench.record(ctx, epoch=5)
        await bench.record(ctx, epoch=5)
        assert ctx.get(bench.recorder.sealed) == 0
        await bench.record(ctx, epoch=5, last=True, time=5_400)
        assert ctx.get(bench.recorder.sealed) == 1
        assert bench.epoch_record(ctx, 0) == {
            "epoch": 5,
            "first_sequence": 40,
            "count": 3,
            "boot_count": BOOT_COUNT,
            "sealed_at": 5_400,
            "root": bench.root([40, 41, 42]),
        }

    bench.run(script)


def test_a_leaf_of_another_epoch_seals_the_old_one_first(bench):
    async def script(ctx):
        await bench.record(ctx, epoch=5)
        await bench.record(ctx, epoch=6, time=5_777)
        assert ctx.get(bench.recorder.sealed) == 1
        await bench.record(ctx, epoch=6, last=True, time=6_300)
        first, second = bench.epoch_record(ctx, 0), bench.epoch_record(ctx, 1)
        assert (first["epoch"], first["count"], first["sealed_at"], first["root"]) == (5, 1, 5_777, bench.root([0]))
        assert (second["epoch"], second["first_sequence"], second["count"], second["root"]) == (6, 1, 2, bench.root([1, 2]))

    bench.run(script)


def test_leaves_are_lost_oldest_first_and_counted(bench):
    async def script(ctx):
        recorder = bench.recorder
        for _ in range(SLOTS):
            await bench.record(ctx, epoch=5)
        assert (ctx.get(recorder.oldest), ctx.get(recorder.lost), ctx.get(recorder.losing)) == (0, 0, 0)
        await bench.record(ctx, epoch=5)
        assert (ctx.get(recorder.oldest), ctx.get(recorder.lost), ctx.get(recorder.losing)) == (1, 1, 1)
        assert await bench.slot(ctx, 0) == (Status.OK, bench.leaf_of(SLOTS))
        await bench.order(ctx, "acknowledge", 3)
        assert (ctx.get(recorder.oldest), ctx.get(recorder.losing)) == (3, 0)
        await bench.record(ctx, epoch=5)
        assert (ctx.get(recorder.oldest), ctx.get(recorder.lost), ctx.get(recorder.losing)) == (3, 1, 0)

    bench.run(script)


def test_acknowledging_neither_goes_back_nor_ahead_of_what_there_is(bench):
    async def script(ctx):
        for _ in range(2):
            await bench.record(ctx, epoch=5)
        await bench.order(ctx, "acknowledge", 1)
        for ignored in (0, 3, 0xFFFF_FFFF):
            await bench.order(ctx, "acknowledge", ignored)
            assert ctx.get(bench.recorder.oldest) == 1
        await bench.order(ctx, "acknowledge", 2)
        assert ctx.get(bench.recorder.oldest) == ctx.get(bench.recorder.next) == 2

    bench.run(script)


def test_a_slot_is_busy_while_it_is_overwritten(bench):
    async def script(ctx):
        await bench.record(ctx, epoch=5)
        await bench.order(ctx, "set_next", SLOTS)
        ctx.set(bench.recorder.slot, 0)
        ctx.set(bench.recorder.record, 1)
        await ctx.tick()
        ctx.set(bench.recorder.record, 0)
        seen = []
        while ctx.get(bench.recorder.next) == SLOTS:
            await ctx.tick()
            seen.append((Status(ctx.get(bench.recorder.slot_status)), ctx.get(bench.recorder.store_write)))
        assert all(status is Status.BUSY for status, writes in seen if writes)
        assert seen[-1][0] is Status.OK

    bench.run(script)
