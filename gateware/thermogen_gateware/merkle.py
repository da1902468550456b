"""The Merkle tree of an epoch, grown one leaf at a time over one hash core.

Reference: RFC 9162, section 2.1 (leaf prefix 0x00, node prefix 0x01, split at the largest power of two below the size), with the hash of
`sha3.py`. Only the right edge is kept: a stack of the roots of complete subtrees, largest first, at most one of each size. A leaf goes on
top and is joined with its neighbour once for every trailing one in the count of leaves before it; sealing joins what is left, from the top.
Latency: two clocks a byte of the stack, one a byte of the leaf, besides the hash core's.
Area, LIFCL: 130 COMB, 34 FF, 1 EBR, and the hash core.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .sha3 import DIGEST_BYTES, HashSignature, byte_layout

LEAF_PREFIX = 0x00
NODE_PREFIX = 0x01


class MerkleTree(wiring.Component):
    """The tree over the leaves since the last seal, at most `capacity`.

    `leaf` takes the bytes of one leaf after the other and does not become ready while the tree is full. `seal`, seen while `idle`,
    gives the 32 bytes of the root on `root`; once they are taken the tree is empty again. The root of no leaves is the hash of
    the empty message. `hash` is the core that hashes for the tree and for nobody else.
    """

    def __init__(self, capacity: int = 128):
        self._capacity = capacity
        super().__init__(
            {
                "leaf": In(stream.Signature(byte_layout())),
                "seal": In(1),
                "idle": Out(1),
                "count": Out(range(capacity + 1)),
                "root": Out(stream.Signature(byte_layout())),
                "hash": Out(HashSignature()),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        # A full tree of 2^k - 1 leaves has k subtrees on the stack, and the next leaf comes on top of them.
        entries = self._capacity.bit_length()
        m.submodules.stack = stack = Memory(shape=8, depth=entries * DIGEST_BYTES, init=[])
        read = stack.read_port()
        write = stack.write_port()
        message, digest = self.hash.message, self.hash.digest

        top = Signal(range(entries + 1))
        destination = Signal(range(entries))
        entry = Signal(range(entries))
        byte = Signal(range(2 * DIGEST_BYTES))
        last_byte = 2 * DIGEST_BYTES - 1
        joins_due = Signal.like(self.count)
        sealing = Signal()

        byte_of_entry = byte[: (DIGEST_BYTES - 1).bit_length()]
        m.d.comb += [
            read.addr.eq(Cat(byte_of_entry, entry)),
            write.addr.eq(Cat(byte_of_entry, destination)),
            write.data.eq(digest.payload.data),
        ]

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.idle.eq(~self.leaf.valid)
                m.d.sync += [byte.eq(0), destination.eq(top), joins_due.eq(self.count), sealing.eq(0)]
                with m.If(self.leaf.valid), m.If(self.count != self._capacity):
                    m.next = "LEAF_PREFIX"
                with m.Elif(self.seal):
                    m.d.sync += sealing.eq(1)
                    m.next = "JOIN"
                    with m.If(self.count == 0):
                        m.next = "EMPTY"

            with m.State("EMPTY"):
                m.d.comb += [message.valid.eq(1), message.payload.last.eq(1)]
                with m.If(message.ready):
                    m.next = "DIGEST"

            with m.State("LEAF_PREFIX"):
                m.d.comb += [message.valid.eq(1), message.payload.keep.eq(1), message.payload.data.eq(LEAF_PREFIX)]
                with m.If(message.ready):
                    m.d.sync += self.count.eq(self.count + 1)
                    m.next = "LEAF"

            with m.State("LEAF"):
                m.d.comb += [
                    message.valid.eq(self.leaf.valid),
                    message.payload.keep.eq(1),
                    message.payload.data.eq(self.leaf.payload.data),
                    message.payload.last.eq(self.leaf.payload.last),
                    self.leaf.ready.eq(message.ready),
                ]
                with m.If(self.leaf.valid & message.ready & self.leaf.payload.last):
                    m.next = "DIGEST"

            with m.State("DIGEST"):
                m.d.comb += [digest.ready.eq(1), write.en.eq(digest.valid)]
                with m.If(digest.valid):
                    m.d.sync += byte.eq(byte + 1)
                    with m.If(digest.payload.last):
                        m.d.sync += [byte.eq(0), top.eq(destination + 1)]
                        m.next = "JOIN"

            with m.State("JOIN"):
                m.d.sync += [destination.eq(top - 2), joins_due.eq(joins_due >> 1)]
                with m.If(Mux(sealing, top > 1, joins_due[0])):
                    m.next = "NODE_PREFIX"
                with m.Elif(sealing):
                    m.next = "FETCH_ROOT"
                with m.Else():
                    m.next = "IDLE"

            with m.State("NODE_PREFIX"):
                m.d.comb += [message.valid.eq(1), message.payload.keep.eq(1), message.payload.data.eq(NODE_PREFIX)]
                with m.If(message.ready):
                    m.next = "FETCH_CHILD"

            # The two children lie one after the other.
            with m.State("FETCH_CHILD"):
                m.d.comb += entry.eq(destination + byte[-1])
                m.next = "CHILD"

            with m.State("CHILD"):
                m.d.comb += [
                    message.valid.eq(1),
                    message.payload.keep.eq(1),
                    message.payload.data.eq(read.data),
                    message.payload.last.eq(byte == last_byte),
                    # The read port looks again each clock: keep its address while the core is busy.
                    entry.eq(destination + byte[-1]),
                ]
                with m.If(message.ready):
                    m.d.sync += byte.eq(byte + 1)
                    m.next = "FETCH_CHILD"
                    with m.If(byte == last_byte):
                        m.next = "DIGEST"

            with m.State("FETCH_ROOT"):
                m.next = "ROOT"

            with m.State("ROOT"):
                m.d.comb += [
                    self.root.valid.eq(1),
                    self.root.payload.data.eq(read.data),
                    self.root.payload.last.eq(byte == DIGEST_BYTES - 1),
                ]
                with m.If(self.root.ready):
                    m.d.sync += byte.eq(byte + 1)
                    m.next = "FETCH_ROOT"
                    with m.If(byte == DIGEST_BYTES - 1):
                        m.d.sync += [top.eq(0), self.count.eq(0)]
                        m.next = "IDLE"
        return m
