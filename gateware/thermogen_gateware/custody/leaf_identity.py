"""What the leaves say of their site: taken from the leaf as it is kept, so that a seal cannot name another.

Reference: `thermogen_esf.layout` (a leaf's bytes). Latency: one clock. Area, LIFCL (synthesis): 12 COMB, 192 FF.
"""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from thermogen_esf.layout import FIELD, HEADER_OFFSET

WORD_BYTES = 4
PLACE_BITS = 7
IDENTITY_BYTES = 8
FIELDS = {"site": HEADER_OFFSET["site"], **{name: FIELD[name].offset for name in ("profile_hash", "calibration_hash")}}
"""First byte of each in a leaf."""


class LeafIdentity(wiring.Component):
    """`write` says that `data`, 32 bits, is word `place` of the leaf that is being kept."""

    write: In(1)
    place: In(PLACE_BITS)
    data: In(8 * WORD_BYTES)
    site: Out(8 * IDENTITY_BYTES)
    profile_hash: Out(8 * IDENTITY_BYTES)
    calibration_hash: Out(8 * IDENTITY_BYTES)

    def elaborate(self, _platform):
        m = Module()
        words = {offset // WORD_BYTES for first in FIELDS.values() for offset in range(first, first + IDENTITY_BYTES)}
        with m.If(self.write), m.Switch(self.place):
            for word in sorted(words):
                with m.Case(word):
                    for name, first in FIELDS.items():
                        for byte in range(IDENTITY_BYTES):
                            if (first + byte) // WORD_BYTES == word:
                                taken = self.data.word_select(WORD_BYTES - 1 - (first + byte) % WORD_BYTES, 8)
                                m.d.sync += getattr(self, name).word_select(IDENTITY_BYTES - 1 - byte, 8).eq(taken)
        return m
