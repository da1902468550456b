"""Leaves: an image that is due is kept as bytes, hashed into the epoch's Merkle tree, and the tree is sealed when its epoch is over.

Reference: `thermogen_esf.layout` (a leaf is the telemetry frame without its CRC), RFC 9162 (the tree, in `merkle.py`),
`thermogen_esf.hostlink` (slots, epoch records). A leaf is first copied from the image into its slot, where the host finds it, then
hashed from there, so that what is hashed is what is kept. The store is one large RAM of the LIFCL with a register behind it.
Latency: 510 clocks to copy; a leaf and its joins are in the tree 37,000 clocks later at most, and so is a root after its last leaf.
An acknowledgement is in `oldest` three clocks later.
Area, LIFCL: 540 COMB, 490 FF, 1 LRAM, and the tree.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_esf.hostlink import EPOCH_RECORD, EPOCH_RECORD_WORDS, EPOCH_RING, IMAGE_WORDS, LEAF_SLOTS, Status
from thermogen_esf.layout import FIELD, LEAF_BYTES

from .sha3 import byte_layout

STORE_WORD_BITS = 32
SLOT_WORDS = 128
"""512 bytes a slot, of which a leaf uses the first 506."""
LEAF_WORDS = -(-LEAF_BYTES // 4)
BOOT_COUNT_WORD = FIELD["boot_count"].offset // 2


class LeafStore(wiring.Component):
    """The last `slots` leaves, a power of two. `write` puts one 32-bit word at slot × 128 + word.

    Two readers share the other port: `host_fetch` strobes for the word at `host_address`, which is in `host_data` three clocks later and
    stays until the next; `hash_fetch` is taken where `hash_taken` says so and answered by `hash_done`, two clocks later, with `hash_data`.
    """

    def __init__(self, slots: int = LEAF_SLOTS):
        self._slots = slots
        address_bits = (slots * SLOT_WORDS - 1).bit_length()
        super().__init__(
            {
                "write": In(1),
                "write_address": In(address_bits),
                "write_data": In(STORE_WORD_BITS),
                "host_fetch": In(1),
                "host_address": In(address_bits),
                "host_data": Out(STORE_WORD_BITS),
                "hash_fetch": In(1),
                "hash_address": In(address_bits),
                "hash_taken": Out(1),
                "hash_done": Out(1),
                "hash_data": Out(STORE_WORD_BITS),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        # "huge" is how yosys is told to use the LRAM, which it never infers by itself.
        m.submodules.leaves = leaves = Memory(shape=STORE_WORD_BITS, depth=self._slots * SLOT_WORDS, init=[], attrs={"ram_style": "huge"})
        write, read = leaves.write_port(), leaves.read_port()
        output = Signal(STORE_WORD_BITS)
        host_stages, hash_stages = Signal(2), Signal(2)
        m.d.comb += [
            write.en.eq(self.write),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            read.addr.eq(Mux(self.host_fetch, self.host_address, self.hash_address)),
            self.hash_taken.eq(~self.host_fetch),
            self.hash_done.eq(hash_stages[-1]),
            self.hash_data.eq(output),
        ]
        m.d.sync += [
            output.eq(read.data),
            host_stages.eq(Cat(self.host_fetch, host_stages)),
            hash_stages.eq(Cat(self.hash_fetch & self.hash_taken, hash_stages)),
        ]
        with m.If(host_stages[-1]):
            m.d.sync += self.host_data.eq(output)
        return m


class LeafRecorder(wiring.Component):
    """Decides nothing about time: `record` (one clock) says that the newest image is a leaf of `epoch`, and the last of it where
    `last_of_epoch`. A `record` while the one before it is still being hashed is not seen.

    `next` is the sequence of the next leaf, `oldest` of the oldest that the host has not acknowledged (`next` where there is none).
    `set_next` (one clock) makes both `value`; `acknowledge` (one clock) says that the host has stored the leaves before `value`. A leaf
    that finds all slots unacknowledged takes the oldest's: `lost` counts that, and `losing` is a fault until the host acknowledges again.
    `slot` is answered with how that slot stands, a Status. `sealed` counts epoch records.
    """

    def __init__(self, slots: int = LEAF_SLOTS):
        self._slots = slots
        super().__init__(
            {
                "record": In(1),
                "epoch": In(32),
                "last_of_epoch": In(1),
                "time": In(32),
                "image_address": Out(range(IMAGE_WORDS)),
                "image_data": In(16),
                "store_write": Out(1),
                "store_address": Out(range(slots * SLOT_WORDS)),
                "store_data": Out(STORE_WORD_BITS),
                "fetch": Out(1),
                "fetch_address": Out(range(slots * SLOT_WORDS)),
                "fetch_taken": In(1),
                "fetch_done": In(1),
                "fetch_data": In(STORE_WORD_BITS),
                "leaf": Out(stream.Signature(byte_layout())),
                "seal": Out(1),
                "tree_idle": In(1),
                "tree_count": In(16),
                "root": In(stream.Signature(byte_layout())),
                "record_address": Out(range(2 * EPOCH_RING * EPOCH_RECORD_WORDS)),
                "record_data": Out(16),
                "record_write": Out(1),
                "value": In(32),
                "set_next": In(1),
                "acknowledge": In(1),
                "next": Out(32),
                "oldest": Out(32),
                "lost": Out(16),
                "losing": Out(1),
                "sealed": Out(16),
                "slot": In(range(slots)),
                "slot_status": Out(8),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        epoch, last_of_epoch, sealed_at = Signal(32), Signal(), Signal(32)
        sequence = Signal(32)
        tree_epoch, first_sequence, count = Signal(32), Signal(32), Signal(16)
        leaf_boot_count, boot_count = Signal(16), Signal(16)
        place = Signal(range(LEAF_BYTES))
        word = Signal(STORE_WORD_BITS)
        upper, root_upper = Signal(16), Signal(8)
        copying, superseded = Signal(), Signal()
        kept = Signal(range(self._slots + 1))
        # How many leaves the host has not acknowledged: in this many bits every question about `oldest` is asked.
        waiting = Signal(range(self._slots + 1))
        acknowledging, left = Signal(), Signal(32)

        m.d.comb += [
            self.image_address.eq(place),
            self.store_data.eq(Cat(self.image_data, upper)),
            self.store_address.eq(Cat((place >> 1)[: (SLOT_WORDS - 1).bit_length()], self.next[: (self._slots - 1).bit_length()])),
            self.fetch_address.eq(Cat((place >> 2)[: (SLOT_WORDS - 1).bit_length()], sequence[: (self._slots - 1).bit_length()])),
            self.record_address.eq(Cat(place[: (EPOCH_RECORD_WORDS - 1).bit_length()], self.sealed[: (2 * EPOCH_RING - 1).bit_length()])),
        ]

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [place.eq(0), superseded.eq(0)]
                with m.If(self.record):
                    m.d.sync += [epoch.eq(self.epoch), last_of_epoch.eq(self.last_of_epoch), sealed_at.eq(self.time), copying.eq(1)]
                    m.next = "MAKE_ROOM"

            with m.State("MAKE_ROOM"), m.If(~acknowledging):
                with m.If(waiting == self._slots):
                    m.d.sync += [waiting.eq(waiting - 1), self.losing.eq(1)]
                    with m.If(~self.lost.all()):
                        m.d.sync += self.lost.eq(self.lost + 1)
                m.next = "FETCH_IMAGE"

            with m.State("FETCH_IMAGE"):
                m.next = "COPY"

            with m.State("COPY"):
                m.d.comb += self.store_write.eq(place[0])
                with m.If(~place[0]):
                    m.d.sync += upper.eq(self.image_data)
                with m.If(place == BOOT_COUNT_WORD):
                    m.d.sync += leaf_boot_count.eq(self.image_data)
                m.d.sync += place.eq(place + 1)
                m.next = "FETCH_IMAGE"
                # The last of an odd number of words has a second half that is nobody's: no leaf's bytes reach so far.
                with m.If(place == 2 * LEAF_WORDS - 1):
                    m.next = "KEPT"

            with m.State("KEPT"), m.If(~acknowledging & ~self.acknowledge):
                m.d.sync += [place.eq(0), copying.eq(0), sequence.eq(self.next), self.next.eq(self.next + 1), waiting.eq(waiting + 1)]
                with m.If(kept != self._slots):
                    m.d.sync += kept.eq(kept + 1)
                m.next = "BEGIN"
                with m.If((self.tree_count != 0) & (tree_epoch != epoch)):
                    m.d.sync += superseded.eq(1)
                    m.next = "SEAL"

            with m.State("BEGIN"):
                with m.If(self.tree_count == 0):
                    m.d.sync += [tree_epoch.eq(epoch), first_sequence.eq(sequence), boot_count.eq(leaf_boot_count)]
                m.d.sync += [place.eq(0), superseded.eq(0)]
                m.next = "FETCH_LEAF"

            with m.State("FETCH_LEAF"):
                m.d.comb += self.fetch.eq(1)
                with m.If(self.fetch_taken):
                    m.next = "TAKE_LEAF"

            with m.State("TAKE_LEAF"), m.If(self.fetch_done):
                m.d.sync += word.eq(self.fetch_data)
                m.next = "HASH"

            with m.State("HASH"):
                m.d.comb += [
                    self.leaf.valid.eq(1),
                    self.leaf.payload.data.eq(word.word_select(~place[:2], 8)),
                    self.leaf.payload.last.eq(place == LEAF_BYTES - 1),
                ]
                with m.If(self.leaf.ready):
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == LEAF_BYTES - 1):
                        m.next = "HASHED"
                    with m.Elif(place[:2] == 3):
                        m.next = "FETCH_LEAF"

            with m.State("HASHED"):
                m.d.sync += place.eq(0)
                with m.If(self.tree_idle):
                    m.next = "IDLE"
                    with m.If(last_of_epoch):
                        m.next = "SEAL"

            with m.State("SEAL"):
                m.d.comb += self.seal.eq(1)
                m.d.sync += count.eq(self.tree_count)
                m.next = "RECORD"

            with m.State("RECORD"):
                values = {
                    "epoch": tree_epoch,
                    "first_sequence": first_sequence,
                    "count": count,
                    "boot_count": boot_count,
                    "sealed_at": sealed_at,
                }
                with m.Switch(place):
                    for name, value in values.items():
                        start, size = EPOCH_RECORD[name]
                        for at in range(size):
                            with m.Case(start + at):
                                m.d.comb += self.record_data.eq(value >> 16 * (size - 1 - at))
                m.d.comb += self.record_write.eq(1)
                m.d.sync += place.eq(place + 1)
                with m.If(place + 1 == EPOCH_RECORD["root"][0]):
                    m.next = "ROOT_UPPER"

            with m.State("ROOT_UPPER"):
                m.d.comb += self.root.ready.eq(1)
                m.d.sync += root_upper.eq(self.root.payload.data)
                with m.If(self.root.valid):
                    m.next = "ROOT_LOWER"

            with m.State("ROOT_LOWER"):
                m.d.comb += [
                    self.root.ready.eq(1),
                    self.record_data.eq(Cat(self.root.payload.data, root_upper)),
                    self.record_write.eq(self.root.valid),
                ]
                with m.If(self.root.valid):
                    m.d.sync += place.eq(place + 1)
                    m.next = "ROOT_UPPER"
                    with m.If(self.root.payload.last):
                        m.d.sync += self.sealed.eq(self.sealed + 1)
                        m.next = "IDLE"
                        with m.If(superseded):
                            m.next = "BEGIN"

        # Between the two clocks of an acknowledgement `next` changes by `set_next` alone, and `left` is of it and of nothing else.
        m.d.sync += [acknowledging.eq(self.acknowledge), left.eq(self.next - self.value), self.oldest.eq(self.next - waiting)]
        with m.If(acknowledging & (left < waiting)):
            m.d.sync += waiting.eq(left)
        with m.If(self.acknowledge):
            m.d.sync += self.losing.eq(0)
        with m.If(self.set_next):
            m.d.sync += [self.next.eq(self.value), waiting.eq(0)]

        slots_back = Signal.like(self.slot)
        m.d.comb += slots_back.eq(self.next - 1 - self.slot)
        with m.If(copying & (self.slot == self.next[: len(self.slot)])):
            m.d.comb += self.slot_status.eq(Status.BUSY)
        with m.Elif(slots_back >= kept):
            m.d.comb += self.slot_status.eq(Status.BAD_ADDRESS)
        return m
