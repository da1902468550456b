"""The last seals of a node, each in its slot of a ring, so that a host that was away for days finds them.

Reference: `thermogen_esf.hostlink_seal` (slots and their addresses). The ring is the second of the LIFCL's two large RAMs, which nothing
else uses: 256 slots of 256 bytes fill it, 64 hours of epochs, for no block RAM at all. In block RAM as many would be 32 EBR of the 84; a
month's 2,976 seals are more than all RAM of the LIFCL together. Like the store of leaves it has a register behind it.
Latency: a word two clocks after its address.
Area, LIFCL (synthesis): 33 COMB, 42 FF, 1 LRAM.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_esf.hostlink_seal import RING_BASE, RING_SEAL_WORDS, RING_SEALS, RING_SLOT_WORDS, RING_SLOTS

WORD_BITS = 16
STORE_WORD_BITS = 2 * WORD_BITS
PLACE_BITS = (RING_SLOT_WORDS - 1).bit_length()
_SLOT_BITS = (RING_SLOTS - 1).bit_length()


class SealRing(wiring.Component):
    """`write` puts `data` as word `place` into the slot of seal `number`; `sealed` (one clock) says that it is whole.

    `address` is the host link's: `here` says at once that it is a seal's word, `word` is that word. `kept` counts the seals that are there,
    without the slot of `number`, which is the one to be written.
    """

    number: In(WORD_BITS)
    place: In(PLACE_BITS)
    data: In(WORD_BITS)
    write: In(1)
    sealed: In(1)
    address: In(16)
    here: Out(1)
    word: Out(WORD_BITS)
    kept: Out(range(RING_SEALS + 1))

    def elaborate(self, _platform):
        m = Module()
        m.submodules.seals = seals = Memory(
            shape=STORE_WORD_BITS, depth=RING_SLOTS * RING_SLOT_WORDS // 2, init=[], attrs={"ram_style": "huge"}
        )
        write, read = seals.write_port(granularity=WORD_BITS), seals.read_port()
        stored, odd = Signal(STORE_WORD_BITS), Signal(2)
        m.d.comb += [
            write.addr.eq(self.number[:_SLOT_BITS] << (PLACE_BITS - 1) | self.place >> 1),
            write.data.eq(self.data.replicate(2)),
            write.en.eq(self.write << self.place[0]),
            read.addr.eq(self.address >> 1),
            self.here.eq((self.address >= RING_BASE) & (self.address[:PLACE_BITS] < RING_SEAL_WORDS)),
            self.word.eq(stored.word_select(odd[1], WORD_BITS)),
        ]
        m.d.sync += [stored.eq(read.data), odd.eq(odd << 1 | self.address[0])]
        with m.If(self.sealed & (self.kept != RING_SEALS)):
            m.d.sync += self.kept.eq(self.kept + 1)
        return m


assert RING_BASE == 1 << 15 and RING_SLOTS * RING_SLOT_WORDS == RING_BASE
