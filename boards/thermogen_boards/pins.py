"""Pin tables: what is soldered to a package, declared once, with the reason for each pin.

A board is a list of `Pin` rows. From the rows come the platform's resources, the table in the README and the checks; there is no
second list to keep in step. A row whose signal is the same as another's is the next bit of a bus, in the order of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from amaranth.build import Attrs, Clock, Pins, PinsN, Resource, Subsignal

GATE_PULL_DOWN = "2.2 kohm down"
"""Resistor on every output that can switch power.

Before and during configuration both FPGAs release their pins to a weak internal pull of at most 150 µA, which on iCE40 goes up.
2.2 kohm holds such a pin at 0.33 V, below the 0.8 V that a 3.3 V CMOS or gate-driver input still reads as low; the usual 10 kohm
would let it float to 1.5 V, which is neither off nor on.
"""

SUPERVISOR_PULL_UP = "4.7 kohm up"
"""Resistor on a supervisor's open-drain output: its 0.7 mA is what every one sinks at 0.4 V, and stronger than the internal pulls."""


class PinTableError(ValueError):
    """A board's pin table contradicts itself; the message names the pin."""


@dataclass(frozen=True)
class Pin:
    """One ball of the package and what it is for."""

    signal: str
    """`resource` or `resource.subsignal`, with `#n` after the resource where there are several: `module#1.cs_n`."""
    direction: str
    """`i` into the FPGA, `o` out of it, `io` both."""
    ball: str
    bank: int
    reason: str
    pull: str = ""
    """Resistor on the board, in words; empty where none is fitted."""
    active_low: bool = False
    """The board inverts: logic 1 in the gateware is a low level on the ball (lamps; never a signal whose name ends in `_n`)."""
    clock_hz: int = 0
    """Frequency, where the pin is a clock."""

    @property
    def resource(self) -> tuple[str, int]:
        """Name and number of the resource that the pin belongs to."""
        name, _, number = self.signal.partition(".")[0].partition("#")
        return name, int(number or 0)

    @property
    def subsignal(self) -> str:
        """Name inside the resource; empty where the resource is the signal."""
        return self.signal.partition(".")[2]


@dataclass(frozen=True)
class Converter:
    """An analogue-to-digital converter: which chip select wakes it, which line it answers on, what hangs on its inputs."""

    name: str
    part: str
    select: str
    """Signal of its chip select."""
    answer: str
    """Signal of its data output."""
    answer_bit: int
    """Bit of `answer`, where several converters share one chip select and answer side by side."""
    inputs: tuple[str, ...]
    """What is wired to input 0, 1, …"""


def check(pins: Iterable[Pin], bank_volts: Mapping[int, float], reserved: Mapping[str, str]) -> None:
    """Raise `PinTableError` when a ball is used twice, is reserved, is in an unpowered bank, or has no reason."""
    user: dict[str, str] = {}
    for pin in pins:
        if pin.ball in user:
            raise PinTableError(f"{pin.signal}: ball {pin.ball} already carries {user[pin.ball]}")
        if pin.ball in reserved:
            raise PinTableError(f"{pin.signal}: ball {pin.ball} is kept for {reserved[pin.ball]}")
        if pin.bank not in bank_volts:
            raise PinTableError(f"{pin.signal}: ball {pin.ball} is in bank {pin.bank}, which has no supply in the bank table")
        if not pin.reason:
            raise PinTableError(f"{pin.signal}: ball {pin.ball} has no reason")
        user[pin.ball] = pin.signal


def resources(pins: Iterable[Pin], attributes: Callable[[Pin], Mapping[str, str]]) -> list[Resource]:
    """Amaranth resources of a table; `attributes` gives the vendor's names for the electrical settings of a pin."""
    buses: dict[tuple[str, int], dict[str, list[Pin]]] = {}
    for pin in pins:
        buses.setdefault(pin.resource, {}).setdefault(pin.subsignal, []).append(pin)
    return [
        Resource(name, number, *(entry for subsignal, bits in signals.items() for entry in _entries(subsignal, bits, attributes)))
        for (name, number), signals in buses.items()
    ]


def _entries(subsignal: str, bits: list[Pin], attributes: Callable[[Pin], Mapping[str, str]]) -> list[object]:
    first = bits[0]
    settings = attributes(first)
    for bit in bits[1:]:
        if (bit.direction, bit.active_low, attributes(bit)) != (first.direction, first.active_low, settings):
            raise PinTableError(f"{bit.signal}: the bits of a bus differ in direction, polarity or electrical settings")
    make = PinsN if first.active_low else Pins
    entries: list[object] = [make(" ".join(bit.ball for bit in bits), dir=first.direction)]
    if first.clock_hz:
        entries.append(Clock(first.clock_hz))
    entries.append(Attrs(**settings))
    return [Subsignal(subsignal, *entries)] if subsignal else entries


_DIRECTIONS = {"i": "in", "o": "out", "io": "in and out"}


def markdown_table(pins: Iterable[Pin]) -> str:
    """The table as the README shows it."""
    lines = ["| signal | in/out | ball | bank | resistor | reason |", "| --- | --- | --- | --- | --- | --- |"]
    lines += [
        f"| `{pin.signal}` | {_DIRECTIONS[pin.direction]} | {pin.ball} | {pin.bank} | {pin.pull or '–'} | {pin.reason} |" for pin in pins
    ]
    return "\n".join(lines) + "\n"
