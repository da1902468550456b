"""The part of the map that is as it stood when the request began: a frozen copy of each value, and the word or bit that is asked for.

Reference: `scada/map.py`. Faults, flags, the set-points in force and the override are live; all else is of the last second.
Latency: a word or bit one clock after its address. Area, LIFCL (synthesis): 319 COMB, 197 FF.
"""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from thermogen_esf.scada import WRITABLE

from .map import COILS, DISCRETE_COUNT, DISCRETE_VECTORS, LIVE_WIDTHS, WORDS
from .registers_declared import Origin

WORD_BITS = 16
BITS = {
    "word_order": 1,
    "faults": 32,
    "flags": 8,
    "override_flags": 7,
    "override_remaining_s": 12,
    "override_ip": 32,
    "own_enable": 1,
    "own_current_limit_ma": 12,
    "own_site_power_limit": 11,
    "heartbeat": 16,
    "override_timeout_s": 12,
    "enable": 1,
    "current_limit_ma": 12,
    "site_power_limit": 11,
}
"""Bits of each live value that can be other than 0."""
ALONE = {"link_flags": 3, "burner_flags": 3, "site_alarms": 5}
"""Vectors of discrete inputs that are no live register: bits that can be other than 0."""
ALIAS = {"effective_enable": "enable"}
_ADDRESSES = sorted(address for address, word in WORDS.items() if word.origin is Origin.LIVE and word.name in BITS)
"""What is live and no strobe; a strobe reads as 0."""


class LiveWords(wiring.Component):
    """`begin` copies every value; `address` → `word` with `live`, and with `bit` of the coils (`coil`) or the discrete inputs, a clock
    later."""

    def __init__(self):
        super().__init__(
            {
                "begin": In(1),
                "address": In(16),
                "coil": In(1),
                "word": Out(WORD_BITS),
                "live": Out(1),
                "bit": Out(1),
                **{name: In(bits) for name, bits in (BITS | ALONE).items()},
            }
        )

    def elaborate(self, _platform):
        m = Module()
        frozen = {}
        for name, bits in (BITS | ALONE).items():
            frozen[name] = Signal(bits, name=f"frozen_{name}")
            with m.If(self.begin):
                m.d.sync += frozen[name].eq(getattr(self, name))

        place = Signal(range(len(_ADDRESSES) + 1))
        words = []
        for address in _ADDRESSES:
            word = WORDS[address]
            size = LIVE_WIDTHS[word.name] // WORD_BITS
            piece = frozen[word.name][WORD_BITS * (size - 1 - word.place) :][:WORD_BITS]
            words.append(Cat(piece, C(0, WORD_BITS - len(piece))))
        is_live = Signal()
        with m.Switch(self.address):
            for index, address in enumerate(_ADDRESSES):
                with m.Case(address):
                    m.d.comb += [place.eq(index), is_live.eq(1)]
            strobes = [writable.address for name, writable in WRITABLE.items() if name not in BITS]
            with m.Case(*strobes):
                m.d.comb += [place.eq(len(words)), is_live.eq(1)]
        padding = C(0, WORD_BITS)
        m.d.sync += [self.word.eq(Cat(*words, padding).word_select(place, WORD_BITS)), self.live.eq(is_live)]

        inputs = Signal(DISCRETE_COUNT)
        for name, (first, width) in DISCRETE_VECTORS.items():
            m.d.comb += inputs[first : first + width].eq(frozen[ALIAS.get(name, name)])
        coils = Cat(frozen[coil.identifier] if coil.identifier in frozen else C(0, 1) for coil in COILS)
        with m.If(self.coil):
            m.d.sync += self.bit.eq(coils.bit_select(self.address[:2], 1))
        with m.Else():
            m.d.sync += self.bit.eq(inputs.bit_select(self.address[:7], 1))
        return m


assert set(LIVE_WIDTHS) - set(BITS) == {name for name, writable in WRITABLE.items() if name not in BITS}
