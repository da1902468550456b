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

The energies of a boot begin at 0, with the first whole second after the node was armed and hashed its calibration, and are all that a
leaf holds. What the node counted in the boots before is the host's to remember and to write to the RESTORE_REGISTERS before it arms the
node; the `lifetime_*` status registers are that plus what this boot counted. They are for people: nothing that is signed or credited
depends on them.

Writing n to `leaf_ack` says that the leaves before sequence n are stored and their slots are free. An n beyond `leaf_next` is
REFUSED; one at or behind the last acknowledged frees nothing more.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Sequence

from .layout import FIELD, HEADER_OFFSET, LEAF_BYTES
from .points import CHANNELS_PER_SITE, POINT, POINTS, SITE_INPUTS, Source
from .tracker_parameters import TRACKER_PARAMETERS

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
    AUTONOMOUS = 1 << 5
    COUNTER_SATURATED = 1 << 6
    NETWORK = 1 << 7
    """The node has an Ethernet port of its own: the registers of `hostlink_network` are there."""
    SEALS = 1 << 8
    """The node has a key of its own: the registers of `hostlink_seal` are there."""


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
    "trip_clocks": (0x116, 4),
    "trip_bus_current": (0x11A, 1),
    "trip_hot_supply": (0x11B, 1),
    "trip_ground_fault": (0x11C, 1),
    "trip_channel": (0x11D, 1),
    "source_hash": (0x11E, 4),
    "clocks": (0x122, 4),
    "module_identity": (0x126, 3),
    "module_status": (0x129, 3),
    "module_bootstraps": (0x12C, 3),
    "lifetime_energy": (0x12F, 4),
    "lifetime_bus_energy": (0x133, 4),
    "lifetime_gas": (0x137, 3),
}
STATUS_WORDS = 0x3A

MODULE_SLOTS = 3
"""Power modules of a controller node; the three `module_*` status registers have a word for each, slot 0 first."""
MODULE_PRESENT, MODULE_HEARD, MODULE_RUN = 1 << 15, 1 << 14, 1 << 13
"""Bits of a `module_status` word above the module's own status byte: it answers, it says that it hears the node, its run wire is 1."""
NO_CHANNEL = 0xFFFF
"""`trip_channel` where the trip is about no channel."""

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
    "hot_throttle": (0x14B, 1),
    "hot_fatal": (0x14C, 1),
}
CONTROL_WORDS = 0x0D

HOT_LIMIT_MIN, HOT_LIMIT_MAX = (POINT["hot_supply_temperature"].raw(degc) for degc in (60, 400))
"""Within these `hot_throttle` and `hot_fatal` may be set, in the raw unit of `hot_supply_temperature`: the hottest modules there are end at
400 °C, and below 60 °C a site would never start."""

TRIP_CLEAR_KEYS = (0xA5C3, 0x3C5A)
"""The two writes to `trip_clear`, one right after the other, that clear a latched trip whose cause is gone."""

CALIBRATION_BASE = 0x150
CALIBRATION_WORDS = 2 * len(SITE_INPUTS)
"""For each site input, in converter order: gain (u16), offset (i16). Point value = (sample × gain) / 4096 + offset, in the
point's raw unit; the sample is the converter's 12 bits."""

RESTORE_BASE = 0x168
RESTORE_REGISTERS: dict[str, tuple[int, int]] = {
    # name: (word address, words); write, all in one request, before `arm`: the lifetime totals as this boot begins
    "lifetime_energy": (0x168, 4),
    "lifetime_bus_energy": (0x16C, 4),
    "lifetime_gas": (0x170, 3),
}
RESTORE_WORDS = 0x0B

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

EPOCH_END = EPOCH_BASE + EPOCH_RING * EPOCH_RECORD_WORDS

CHANNEL_GAIN_BASE = 0x200
CHANNEL_GAIN_WORDS = CHANNELS_PER_SITE
"""One gain for each channel, write only, before `arm`: current = (sample − offset) × gain / CHANNEL_GAIN_ONE."""
CHANNEL_GAIN_ONE = 0x8000
CHANNEL_GAIN_MIN, CHANNEL_GAIN_MAX = 0x7000, 0x9000
"""±12.5 %: a shunt and its amplifier are good to a few per cent, and what needs more is broken."""

CALIBRATION_HASH_WORDS: tuple[int, ...] = (
    *range(CALIBRATION_BASE, CALIBRATION_BASE + CALIBRATION_WORDS),
    *range(CHANNEL_GAIN_BASE, CHANNEL_GAIN_BASE + CHANNEL_GAIN_WORDS),
)
"""What a node measures with, by word address, in the order in which it hashes them once it is armed: 132 words, 264 bytes."""
CALIBRATION_HASH_BYTES = 8

PARAMETER_BASE = 0x300
PARAMETER_REGISTERS: dict[str, int] = {parameter.identifier: PARAMETER_BASE + place for place, parameter in enumerate(TRACKER_PARAMETERS)}
"""Word address of each of the tracker's parameters; read and write, at any time, within the parameter's limits."""
PARAMETER_WORDS = len(PARAMETER_REGISTERS)

SITE_WORDS = range(HEADER_OFFSET["site"] // 2, HEADER_OFFSET["site"] // 2 + 4)


def _words(identifier: str) -> range:
    placed = FIELD[identifier]
    return range(placed.offset // 2, (placed.offset + placed.size + 1) // 2)


WRITABLE_IMAGE_WORDS: frozenset[int] = frozenset(SITE_WORDS) | frozenset(
    word for point in POINTS if point.source is Source.HOST for word in _words(point.identifier)
)
"""Words of the image that the host supplies."""

LOCKED_WHEN_ARMED: frozenset[int] = frozenset(SITE_WORDS) | frozenset(_words("boot_count")) | frozenset(_words("profile_hash"))
"""Words of the image that say who the node is: fixed from `arm` until power-off, as are `sequence_start`, calibration, channel gains, hot
limits and lifetime totals."""


def calibration_hash(words: Sequence[int]) -> bytes:
    """What a node says that it measures with: the first 8 bytes of the SHA3-256 of CALIBRATION_HASH_WORDS' 132 words, big-endian.

    Eight bytes are what a leaf has room for. To find words with the same hash as given ones takes some 2^64 trials; who chooses both
    needs some 2^32.
    """
    if len(words) != len(CALIBRATION_HASH_WORDS):
        raise ValueError(f"{len(words)} words: a calibration has {len(CALIBRATION_HASH_WORDS)}")
    return hashlib.sha3_256(b"".join(word.to_bytes(2, "big") for word in words)).digest()[:CALIBRATION_HASH_BYTES]
