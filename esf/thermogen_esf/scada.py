"""What a SCADA system may write, and what is told of each write: the part of the MODBUS map that node, daemon and cloud share.

The whole map is the gateware's (`thermogen_gateware.scada.map`). A writable register is named on three sides: the node keeps it in its
range, the daemon says which of them may be written, and an event of a write names its address. A published address never moves.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from .tracker_parameters import TRACKER_PARAMETER

TRIP_CLEAR_KEY = 0xA5C3
"""The one value that the register `trip_clear` takes; its coil takes 1."""

OVERRIDE_TIMEOUT_S = 60
"""How long an override lives without its heartbeat, unless SCADA asks for another time."""


@dataclass(frozen=True, slots=True)
class Writable:
    """One holding register that SCADA may write, `minimum` to `maximum` raw; `coil` is its address among the coils, if it has one."""

    identifier: str
    address: int
    unit: str
    scale: float
    minimum: int
    maximum: int
    meaning: str
    coil: int | None = None


_CURRENT, _POWER = TRACKER_PARAMETER["current_limit_ma"], TRACKER_PARAMETER["site_power_limit"]

WRITABLES: tuple[Writable, ...] = (
    Writable("heartbeat", 700, "", 1, 0, 0xFFFF, "any value, again and again: keeps the override alive"),
    Writable("override_timeout_s", 701, "s", 1, 5, 3_600, "how long the override lives without a heartbeat; from the next heartbeat on"),
    Writable("enable", 702, "", 1, 0, 1, "0 stops the channels; 1 leaves it to the node whether they run", coil=0),
    Writable("current_limit_ma", 703, _CURRENT.unit, _CURRENT.scale, _CURRENT.minimum, _CURRENT.maximum, _CURRENT.meaning),
    Writable("site_power_limit", 704, _POWER.unit, _POWER.scale, _POWER.minimum, _POWER.maximum, _POWER.meaning),
    Writable("trip_clear", 705, "", 1, TRIP_CLEAR_KEY, TRIP_CLEAR_KEY, "clears a latched trip whose cause is gone", coil=1),
    Writable("override_release", 706, "", 1, 0, 1, "1 ends the override at once", coil=2),
)
"""In the order of their bits in the setting `writable`."""

WRITABLE: dict[str, Writable] = {writable.identifier: writable for writable in WRITABLES}
WRITABLE_BIT: dict[str, int] = {writable.identifier: 1 << place for place, writable in enumerate(WRITABLES)}
WRITABLE_BY_ADDRESS: dict[int, Writable] = {writable.address: writable for writable in WRITABLES}

WRITABLE_DEFAULT = sum(bit for identifier, bit in WRITABLE_BIT.items() if identifier != "trip_clear")
"""What may be written where nothing else was said, by those who may write at all: all but what switches on again after a trip."""


class WriteKind(enum.IntEnum):
    """What an event is about."""

    WRITE = 1
    """A register was written."""
    HEARTBEATS = 2
    """So many writes of the heartbeat, one after the other and by one client; `new` is the last value."""
    EXPIRED = 3
    """The override ended without its heartbeat, or its owner may write no more."""


@dataclass(frozen=True, slots=True)
class WriteEvent:
    """One event, as the node recorded it. `address` is the holding register's, for a coil too; `time_s` site time; `ip` the client."""

    time_s: int
    ip: int
    address: int
    old: int
    new: int
    kind: WriteKind
    count: int


EVENT_WORDS = 8
"""Words of an event: time u32, client u32, address u16, old u16, new u16, kind u4 and count u12 (4,095: or more)."""
EVENT_RING = 128
"""Events that the node keeps until the daemon has them."""
MOST_COUNTED = 0xFFF


def event_words(event: WriteEvent) -> list[int]:
    """The event as the node keeps it."""
    halves = [event.time_s >> 16, event.time_s & 0xFFFF, event.ip >> 16, event.ip & 0xFFFF]
    return [*halves, event.address, event.old, event.new, event.kind << 12 | event.count]


def read_event(words: list[int]) -> WriteEvent:
    """The event that these words are; ValueError where the kind is none."""
    time_high, time_low, ip_high, ip_low, address, old, new, last = words
    return WriteEvent(time_high << 16 | time_low, ip_high << 16 | ip_low, address, old, new, WriteKind(last >> 12), last & MOST_COUNTED)


def event_bytes(words: list[int]) -> bytes:
    """The words of an event as a frame carries them."""
    return struct.pack(f">{EVENT_WORDS}H", *words)


def event_of(data: bytes) -> WriteEvent:
    """The event in a frame's bytes; ValueError where the kind is none or the bytes are not as many."""
    if len(data) != 2 * EVENT_WORDS:
        raise ValueError(f"an event of {len(data)} bytes")
    return read_event(list(struct.unpack(f">{EVENT_WORDS}H", data)))
