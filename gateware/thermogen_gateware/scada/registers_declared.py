"""How a register of the MODBUS map is declared: its place, its form, and where its words come from.

A value wider than 16 bits lies at a multiple of its words, so that the other word order is an exclusive-or of the address's low bits.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from thermogen_esf.layout import FIELD
from thermogen_esf.points import POINT, Kind

WORD_BITS = 16
MOST_REGISTERS = 125
"""What one request reads at most."""


class Origin(enum.Enum):
    """Where a register's words come from."""

    IMAGE = "image"
    """The image of the last site second."""
    CHANNEL = "channel"
    """The channels' words of that image."""
    LIVE = "live"
    """As it stood when the request began."""
    SECOND = "second"
    """The node's and the network's state as of the last site second, one instant with the image."""
    COUNTER = "counter"
    """A counter of the network, as of the last site second."""
    CONSTANT = "constant"
    """Fixed when the gateware was built."""
    GAP = "gap"
    """Nothing yet: read as 0, so that a block is read in one request."""


class Part(enum.Enum):
    """Which part of an image word a register shows."""

    WHOLE = 0
    UPPER = 1
    LOWER = 2


@dataclass(frozen=True, slots=True)
class Word:
    """Where one register's 16 bits come from: image word and part, channel and point, live value and its word, or a constant's."""

    origin: Origin
    name: str = ""
    place: int = 0
    part: Part = Part.WHOLE


@dataclass(frozen=True, slots=True)
class Register:
    """One value, or `count` of one kind after each other. `words` are a value's; physical = raw × `scale`."""

    identifier: str
    form: str
    meaning: str
    origin: Origin
    words: int = 1
    count: int = 1
    unit: str = ""
    scale: Fraction = Fraction(1)
    minimum: Fraction | None = None
    maximum: Fraction | None = None
    values: type[enum.IntEnum] | type[enum.IntFlag] | None = None
    writable: bool = False
    address: int = 0
    """Of the first word; zero-based."""

    @property
    def size(self) -> int:
        """Registers that it takes."""
        return self.words * self.count

    def sources(self) -> Iterator[tuple[int, Word]]:
        """Address and source of each of its words, most significant first."""
        for offset in range(self.size):
            yield self.address + offset, self._source(*divmod(offset, self.words))

    def _source(self, instance: int, word: int) -> Word:
        if self.origin is Origin.IMAGE:
            placed = FIELD.get(self.identifier) or HEADER_FIELD[self.identifier]
            missing = self.words - -(-placed.size // 2)
            if word < missing:
                return Word(Origin.GAP)
            part = Part.WHOLE if placed.size > 1 else Part.LOWER if placed.offset % 2 else Part.UPPER
            return Word(Origin.IMAGE, self.identifier, placed.offset // 2 + word - missing, part)
        if self.origin is Origin.CHANNEL:
            return Word(Origin.CHANNEL, self.identifier, instance)
        if self.origin is Origin.GAP:
            return Word(Origin.GAP)
        return Word(self.origin, self.identifier, instance * self.words + word)


@dataclass(frozen=True, slots=True)
class HeaderField:
    """A field of the frame's header that the map shows."""

    offset: int
    size: int


HEADER_FIELD = {"site": HeaderField(8, 8), "image_sequence": HeaderField(16, 4), "image_time": HeaderField(20, 4)}
HEADER_FIELD["time_quality"] = HeaderField(24, 1)


@dataclass(frozen=True, slots=True)
class Block:
    """Registers that one request can read, and the registers in it that nothing is in."""

    base: int
    name: str
    title: str
    registers: tuple[Register, ...]

    @property
    def size(self) -> int:
        """Registers from the first to the last."""
        last = self.registers[-1]
        return last.address + last.size - self.base


def block(base: int, name: str, title: str, *registers: Register) -> Block:
    """Places registers one after the other; ValueError where one is not aligned or the block is too large."""
    placed, address = [], base
    for register in registers:
        if address % register.words:
            raise ValueError(f"{register.identifier}: {address} is no multiple of {register.words}; declare a gap before it")
        placed.append(replace(register, address=address))
        address += register.size
    if address - base > MOST_REGISTERS:
        raise ValueError(f"{name}: {address - base} registers, one request reads {MOST_REGISTERS}; divide it")
    return Block(base, name, title, tuple(placed))


def point(identifier: str, origin: Origin = Origin.IMAGE) -> Register:
    """A point, as it is declared; what is 48 bits wide takes four registers."""
    declared = POINT[identifier]
    words = {8: 1, 16: 1, 32: 2, 48: 4, 64: 4}.get(declared.width, 1)
    signed = declared.kind is Kind.SIGNED or declared.offset != 0
    return Register(
        identifier,
        f"{'i' if signed else 'u'}{WORD_BITS * words}",
        declared.name,
        origin,
        words,
        declared.count,
        declared.unit,
        declared.scale,
        declared.minimum if declared.kind in (Kind.UNSIGNED, Kind.SIGNED) else None,
        declared.maximum if declared.kind in (Kind.UNSIGNED, Kind.SIGNED) else None,
        declared.values,
    )


def live(identifier: str, form: str, meaning: str, unit: str = "", scale: Fraction | int = 1, **more: Any) -> Register:
    """What is as it stood when the request began."""
    return _plain(Origin.LIVE, identifier, form, meaning, unit, scale, **more)


def second(identifier: str, form: str, meaning: str, unit: str = "", scale: Fraction | int = 1, **more: Any) -> Register:
    """What is as it stood at the last site second."""
    return _plain(Origin.SECOND, identifier, form, meaning, unit, scale, **more)


def counter(identifier: str, meaning: str) -> Register:
    """What is counted, as of the last site second."""
    return _plain(Origin.COUNTER, identifier, "u32", f"{meaning}; since power-up, round in 32 bits")


def _plain(origin: Origin, identifier: str, form: str, meaning: str, unit: str = "", scale: Fraction | int = 1, **more: Any) -> Register:
    words = int(form[1:]) // WORD_BITS
    return Register(identifier, form, meaning, origin, words, unit=unit, scale=Fraction(scale), **more)


def constant(identifier: str, form: str, meaning: str) -> Register:
    """What was fixed when the gateware was built."""
    return Register(identifier, form, meaning, Origin.CONSTANT, int(form[1:]) // WORD_BITS)


def header(identifier: str, form: str, meaning: str, **more: Any) -> Register:
    """A field of the image's header."""
    return Register(identifier, form, meaning, Origin.IMAGE, int(form[1:]) // WORD_BITS, **more)


def gap(registers: int) -> Register:
    """Registers that are declared to hold nothing."""
    return Register("", "", "reserved, 0", Origin.GAP, 1, registers)
