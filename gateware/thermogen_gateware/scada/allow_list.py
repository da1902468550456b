"""Who may write: addresses and masks in block RAM, one comparator that goes round.

What the host writes is in the list a clock later, and counts within ENTRIES + 1 clocks. An entry whose address was written lets nobody in
until its mask is written, and with a mask of 0 it is none.
Latency: ENTRIES clocks from another question to `settled`. Area, LIFCL (synthesis): 82 COMB, 16 FF, 2 EBR.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_esf.hostlink_network import WRITERS

from ..network.ports import IP_ADDRESS

ENTRIES = WRITERS


class AllowListSignature(wiring.Signature):
    """`ip` asks; `anew` says that it is another from this clock on. `allowed` is the answer from `settled` on, and before it 0 or early;
    `some` says that there is an entry."""

    def __init__(self) -> None:
        super().__init__({"ip": Out(IP_ADDRESS), "anew": Out(1), "allowed": In(1), "settled": In(1, init=1), "some": In(1)})


class AllowList(wiring.Component):
    """`write_ip` and `write_mask` (strobes) give `entry` a `value`."""

    def __init__(self) -> None:
        super().__init__(
            {
                "question": In(AllowListSignature()),
                "entry": In(range(ENTRIES)),
                "value": In(IP_ADDRESS),
                "write_ip": In(1),
                "write_mask": In(1),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        question = self.question
        reads, compares = Signal(range(ENTRIES)), Signal(range(ENTRIES))
        # An entry's three parts are read in one clock, so that none is of another writing.
        counts, is_entry = Signal(ENTRIES), Signal()
        m.d.sync += [reads.eq(reads + 1), compares.eq(reads), is_entry.eq(counts.bit_select(reads, 1))]
        parts = {}
        for name, writes in (("ip", self.write_ip), ("mask", self.write_mask)):
            m.submodules[name] = memory = Memory(shape=IP_ADDRESS, depth=ENTRIES, init=[], attrs={"ram_style": "block"})
            write, read = memory.write_port(), memory.read_port()
            m.d.comb += [write.addr.eq(self.entry), write.data.eq(self.value), write.en.eq(writes), read.addr.eq(reads)]
            parts[name] = read.data
        for entry in range(ENTRIES):
            with m.If((self.write_ip | self.write_mask) & (self.entry == entry)):
                m.d.sync += counts[entry].eq(self.write_mask & self.value.any())

        found, known = Signal(ENTRIES), Signal(range(ENTRIES + 1), init=ENTRIES)
        is_within = is_entry & (((question.ip ^ parts["ip"]) & parts["mask"]) == 0)
        with m.If(question.anew):
            m.d.sync += [found.eq(0), known.eq(1)]
        with m.Elif(known != ENTRIES):
            m.d.sync += known.eq(known + 1)
        for entry in range(ENTRIES):
            with m.If(compares == entry):
                m.d.sync += found[entry].eq(is_within)
        m.d.comb += [
            question.allowed.eq(found.any()),
            # In the clock of a question what is known is still of the one before.
            question.settled.eq((known == ENTRIES) & ~question.anew),
            question.some.eq(counts.any()),
        ]
        return m


assert ENTRIES & (ENTRIES - 1) == 0
