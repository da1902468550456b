"""The host link: what crosses between the controller node's FPGA and its Linux side.

SPI mode 0, most significant bit first, one transaction per assertion of chip select, SCLK at most one eighth of the node's
clock. A transaction is

    request     opcode u8, tag u8, address u16, count u16, [count 16-bit words to write], CRC-32C u32 of all before it
    turnaround  TURNAROUND_BYTES bytes of no meaning, in which the node checks and fetches
    response    status u8, tag u8, [data when status is OK], CRC-32C u32 of status, tag and data

with the host clocking as many bytes as the answer is long. Integers are big-endian. A request whose CRC is wrong changes
nothing. READ of registers gives `count` words, all of the instant at which the request was complete; WRITE takes 1 to
MAX_WRITE_WORDS words; LEAF takes the slot (sequence mod LEAF_SLOTS) as address, count 0, and gives LEAF_BYTES bytes.

Word addresses below IMAGE_WORDS are the telemetry image of the last whole site second, double-buffered: one transaction sees
one instant, and word n is bytes 2n and 2n+1 of the frame. There, only words of host-supplied points and of the site identity can
be written, and those in LOCKED_WHEN_ARMED no more once the node is armed; what was written shows with the next site second. From
STATUS_BASE on are the registers below.

Writing n to `leaf_ack` says that the leaves before sequence n are stored and their slots are free. An n beyond `leaf_next` is
REFUSED; one at or behind the last acknowledged frees nothing more.
"""

from __future__ import annotations

import enum

from .layout import FIELD, HEADER_OFFSET, LEAF_BYTES
from .points import POINTS, SITE_INPUTS, Source

TURNAROUND_BYTES = 4
MAX_WRITE_WORDS = 64
LEAF_SLOTS = 128
LEAF_PERIOD_S = 10
EPOCH_S = 900
IMAGE_WORDS = LEAF_BYTES // 2


class Opcode(enum.IntEnum):
    """What a request asks for."""

    READ = 0x01
    WRITE = 0x02
    LEAF = 0x03


class Status(enum.IntEnum):
    """How a request ended."""

    OK = 0x00
    BAD_CRC = 0x01
    BAD_OPCODE = 0x02
    BAD_ADDRESS = 0x03
    REFUSED = 0x04
    BUSY = 0x05


class NodeFlag(enum.IntFlag):
    """Bits of the `flags` status register."""

    TIME_VALID = 1 << 0
    ARMED = 1 << 1
    TRIPPED = 1 << 2
    MODULE_PRESENT = 1 << 3
    PULSE_GOOD = 1 << 4


STATUS_BASE = 0x100
STATUS_REGISTERS: dict[str, tuple[int, int]] = {
    # name: (word address, words); read-only
    "magic": (0x100, 1),
    "map_version": (0x101, 1),
    "gateware_version": (0x102, 2),
    "clocks_per_site_second": (0x104, 2),
    "channels": (0x106, 1),
    "flags": (0x107, 1),
    "time": (0x108, 2),
    "leaf_next": (0x10A, 2),
    "leaf_oldest": (0x10C, 2),
    "epochs_sealed": (0x10E, 1),
    "faults": (0x10F, 2),
    "trip_cause": (0x111, 2),
    "trip_bus_mv": (0x113, 1),
    "trip_time": (0x114, 2),
}
STATUS_WORDS = 0x16

CONTROL_BASE = 0x140
CONTROL_REGISTERS: dict[str, tuple[int, int]] = {
    # name: (word address, words); write; a register of two words is written whole, in one request
    "time_set": (0x140, 2),
    "sequence_start": (0x142, 2),
    "arm": (0x144, 1),
    "enable": (0x145, 1),
    "leaf_ack": (0x146, 2),
    "trip_clear": (0x148, 1),
    "current_limit_ma": (0x149, 1),
    "heartbeat": (0x14A, 1),
}
CONTROL_WORDS = 0x0B

TRIP_CLEAR_KEYS = (0xA5C3, 0x3C5A)
"""The two writes to `trip_clear`, one right after the other, that clear a latched trip whose cause is gone."""

CALIBRATION_BASE = 0x150
CALIBRATION_WORDS = 2 * len(SITE_INPUTS)
"""For each site input, in converter order: gain (u16), offset (i16). Point value = (sample × gain) / 4096 + offset, in the
point's raw unit; the sample is the converter's 12 bits."""

EPOCH_BASE = 0x180
EPOCH_RING = 4
EPOCH_RECORD_WORDS = 32
EPOCH_RECORD: dict[str, tuple[int, int]] = {
    # name: (word within the record, words); the record of the n-th sealed epoch since power-up is at n mod EPOCH_RING
    "epoch": (0, 2),
    "first_sequence": (2, 2),
    "count": (4, 1),
    "boot_count": (5, 1),
    "sealed_at": (6, 2),
    "root": (8, 16),
}

REGISTERS_END = EPOCH_BASE + EPOCH_RING * EPOCH_RECORD_WORDS

SITE_WORDS = range(HEADER_OFFSET["site"] // 2, HEADER_OFFSET["site"] // 2 + 4)


def _words(identifier: str) -> range:
    placed = FIELD[identifier]
    return range(placed.offset // 2, (placed.offset + placed.size + 1) // 2)


WRITABLE_IMAGE_WORDS: frozenset[int] = frozenset(SITE_WORDS) | frozenset(
    word for point in POINTS if point.source is Source.HOST for word in _words(point.identifier)
)
"""Words of the image that the host supplies."""

LOCKED_WHEN_ARMED: frozenset[int] = (
    frozenset(SITE_WORDS) | frozenset(_words("boot_count")) | frozenset(_words("calibration_hash")) | frozenset(_words("profile_hash"))
)
"""Words of the image that say who the node is: fixed from `arm` until power-off, as are `sequence_start` and calibration."""
