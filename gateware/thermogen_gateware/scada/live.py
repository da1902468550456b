"""The part of the map that is as it stood when the request began: a frozen copy of each value, and the word or bit that is asked for.

Reference: `scada/map.py`. Faults, flags, the set-points in force and the override are live; all else is of the last second.
Latency: a word or bit one clock after its address. Area, LIFCL (synthesis): 319 COMB, 197 FF.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from enum import IntFlag

from amaranth.hdl import C, Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from thermogen_esf.hostlink import NodeFlag
from thermogen_esf.hostlink_network import LinkFlag, OverrideFlag
from thermogen_esf.points import BurnerFlag, SiteAlarm
from thermogen_esf.scada import WRITABLE

from ..address_match import matches_any
from .map import COILS, DISCRETE_COUNT, DISCRETE_VECTORS, LIVE_WIDTHS, WORDS
from .registers_declared import Origin

WORD_BITS = 16


def _bits_of(flags: type[IntFlag]) -> int:
    return max(flags).bit_length()


BITS = {
    "word_order": 1,
    "faults": 32,
    "flags": _bits_of(NodeFlag),
    "override_flags": _bits_of(OverrideFlag),
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
ALONE = {"link_flags": _bits_of(LinkFlag), "burner_flags": _bits_of(BurnerFlag), "site_alarms": _bits_of(SiteAlarm)}
"""Vectors of discrete inputs that are no live register: bits that can be other than 0."""
ALIAS = {"effective_enable": "enable"}
LIVE_ADDRESSES = tuple(address for address, word in WORDS.items() if word.origin is Origin.LIVE)
"""What is live; a strobe reads as 0."""


def _telling_bits(addresses: Iterable[int]) -> tuple[int, ...]:
    """The fewest bits that tell the addresses apart."""
    choices = (bits for many in range(1, 17) for bits in itertools.combinations(range(16), many))
    return next(bits for bits in choices if len({_index(address, bits) for address in addresses}) == len(set(addresses)))


def _index(address: int, bits: Iterable[int]) -> int:
    return sum((address >> bit & 1) << place for place, bit in enumerate(bits))


_BITS = _telling_bits(LIVE_ADDRESSES)


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

        place = Cat(self.address[bit] for bit in _BITS)
        m.d.sync += self.word.eq(self._words(frozen).word_select(place, WORD_BITS))
        m.d.sync += self.live.eq(matches_any(self.address, LIVE_ADDRESSES))

        inputs = Signal(DISCRETE_COUNT)
        for name, (first, width) in DISCRETE_VECTORS.items():
            m.d.comb += inputs[first : first + width].eq(frozen[ALIAS.get(name, name)])
        coils = Cat(frozen[coil.identifier] if coil.identifier in frozen else C(0, 1) for coil in COILS)
        with m.If(self.coil):
            m.d.sync += self.bit.eq(coils.bit_select(self.address[:2], 1))
        with m.Else():
            m.d.sync += self.bit.eq(inputs.bit_select(self.address[:7], 1))
        return m

    def _words(self, frozen: dict[str, Signal]) -> Value:
        """The words by the index of their addresses; where there is none, what is beside it."""
        words: list[Value | None] = [None] * (1 << len(_BITS))
        for address in LIVE_ADDRESSES:
            word = WORDS[address]
            piece: Value = C(0, 0)
            if word.name in BITS:
                size = LIVE_WIDTHS[word.name] // WORD_BITS
                piece = frozen[word.name][WORD_BITS * (size - 1 - word.place) :][:WORD_BITS]
            words[_index(address, _BITS)] = Cat(piece, C(0, WORD_BITS - len(piece)))
        for bit in range(len(_BITS)):
            words = [word if word is not None else words[index ^ 1 << bit] for index, word in enumerate(words)]
        return Cat(word for word in words if word is not None)


assert set(LIVE_WIDTHS) - set(BITS) == {name for name, writable in WRITABLE.items() if name not in BITS}
