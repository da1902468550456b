"""The controller node's FPGA, typed: status, readings, leaves, epoch records, and what is written to it."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thermogen_esf.hostlink import (
    CALIBRATION_BASE,
    CHANNEL_GAIN_BASE,
    CONTROL_REGISTERS,
    EPOCH_BASE,
    EPOCH_RECORD,
    EPOCH_RECORD_WORDS,
    EPOCH_RING,
    LEAF_SLOTS,
    MAX_WRITE_WORDS,
    PARAMETER_REGISTERS,
    RESTORE_BASE,
    RESTORE_REGISTERS,
    SITE_WORDS,
    STATUS_BASE,
    STATUS_REGISTERS,
    STATUS_WORDS,
    TRIP_CLEAR_KEYS,
    NodeFlag,
)
from thermogen_esf.layout import FIELD, HEADER_OFFSET, MAGIC, TELEMETRY_FIELDS, Placed
from thermogen_esf.points import POINT, Fault, Kind, Source

from .host_link.client import HostLinkClient
from .host_link.transport import HostLinkError
from .node_network import NodeNetwork
from .profile import Profile

_CLEAR_READINGS = 20
"""Of the status after the keys: channels are let go with the tracker's next pass but one, 0.2 ms later."""

MAP_VERSION = 4

_READ_FIELDS = tuple(
    placed
    for placed in TELEMETRY_FIELDS
    if placed.point.source in (Source.MEASURED, Source.DERIVED) and placed.point.identifier != "calibration_hash"
)
_READ_WORDS = range(_READ_FIELDS[0].offset // 2, (_READ_FIELDS[-1].offset + _READ_FIELDS[-1].size + 1) // 2)

_IDENTITY = ("boot_count", "profile_hash")
_SUPPLIED_FIELDS = tuple(p for p in TELEMETRY_FIELDS if p.point.source is Source.HOST and p.point.identifier not in _IDENTITY)
_SUPPLIED_WORDS = range(_SUPPLIED_FIELDS[0].offset // 2, (_SUPPLIED_FIELDS[-1].offset + _SUPPLIED_FIELDS[-1].size) // 2)
_CALIBRATION_HASH_WORDS = range(FIELD["calibration_hash"].offset // 2, FIELD["calibration_hash"].offset // 2 + 4)
SUPPLIED_POINTS: frozenset[str] = frozenset(placed.point.identifier for placed in _SUPPLIED_FIELDS)
"""Points that the daemon writes each site second; the identity is written once, before arming."""


class WrongNodeError(HostLinkError):
    """What answers is not a node that this daemon can speak with."""


class NotArmedError(HostLinkError):
    """The node did not arm."""


@dataclass(frozen=True, slots=True)
class Trip:
    """A trip, by what a command has to name to clear it: the first cause's bits (points.Fault) and site time."""

    cause: int
    time_s: int


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """What the node has counted in all its boots, raw: for people, no evidence."""

    energy: int = 0
    bus_energy: int = 0
    gas: int = 0


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """The status registers, in one READ. `time_s` is site time; leaves `leaf_oldest` … `leaf_next` - 1 are kept and unacknowledged."""

    gateware_version: int
    clocks_per_site_second: int
    channels: int
    flags: NodeFlag
    time_s: int
    leaf_next: int
    leaf_oldest: int
    epochs_sealed: int
    faults: int
    last_trip: Trip
    trip_bus_mv: int
    lifetimes: Lifetimes

    @property
    def armed(self) -> bool:
        return NodeFlag.ARMED in self.flags

    @property
    def latched_trip(self) -> Trip | None:
        """The trip that keeps everything off, if one does."""
        return self.last_trip if NodeFlag.TRIPPED in self.flags else None

    @property
    def latched_channels(self) -> Trip | None:
        """What keeps single channels off while the rest goes on; it has no time. A trip with the same causes comes first."""
        causes = self.faults & (Fault.CHANNEL_OVERCURRENT | Fault.REVERSE_CURRENT)
        return Trip(causes, 0) if causes and NodeFlag.TRIPPED not in self.flags else None


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """A sealed epoch as the gateware recorded it. Words that the record does not name are read by nobody."""

    epoch: int
    first_sequence: int
    count: int
    boot_count: int
    sealed_at_s: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the node is until its power goes. `site` is 8 bytes."""

    site: bytes
    boot_count: int
    sequence_start: int


class Node:
    """Speaks with one node; raises HostLinkError subclasses only."""

    def __init__(self, link: HostLinkClient) -> None:
        self._link = link
        self.network = NodeNetwork(link)
        """The network side, where the node's flags say that it has one."""

    def status(self) -> NodeStatus:
        """All status registers; WrongNodeError where they are another thing's."""
        words = self._link.read(STATUS_BASE, STATUS_WORDS)
        value = {name: _number(words, address - STATUS_BASE, size) for name, (address, size) in STATUS_REGISTERS.items()}
        if value["magic"] != MAGIC or value["map_version"] != MAP_VERSION:
            raise WrongNodeError(
                f"the node says magic {value['magic']:#06x}, register map {value['map_version']}; this daemon speaks with {MAGIC:#06x}, "
                f"map {MAP_VERSION}: load the gateware that belongs to it"
            )
        return NodeStatus(
            gateware_version=value["gateware_version"],
            clocks_per_site_second=value["clocks_per_site_second"],
            channels=value["channels"],
            flags=NodeFlag(value["flags"]),
            time_s=value["time"],
            leaf_next=value["leaf_next"],
            leaf_oldest=value["leaf_oldest"],
            epochs_sealed=value["epochs_sealed"],
            faults=value["faults"],
            last_trip=Trip(value["trip_cause"], value["trip_time"]),
            trip_bus_mv=value["trip_bus_mv"],
            lifetimes=Lifetimes(
                value["lifetime_energy"], _signed(value["lifetime_bus_energy"], POINT["bus_energy"].width), value["lifetime_gas"]
            ),
        )

    def readings(self) -> dict[str, int]:
        """Raw values of the site's measured and derived points, all of the last whole site second."""
        content = self._image(_READ_WORDS)
        return {placed.point.identifier: _raw(content, placed, _READ_WORDS.start) for placed in _READ_FIELDS}

    def identity(self) -> tuple[bytes, int]:
        """Site identity and boot count that the image shows: what was written shows from the next site second on, both at once."""
        site = self._image(SITE_WORDS)
        (boot_count,) = self._link.read(FIELD["boot_count"].offset // 2, 1)
        return site, boot_count

    def calibration_hash(self) -> int:
        """What the node measures with, as it hashed it after it was armed; 0 for the first site second of that."""
        return int.from_bytes(self._image(_CALIBRATION_HASH_WORDS), "big")

    def leaf(self, sequence: int) -> bytes | None:
        """Leaf `sequence`, 506 bytes; None where its slot holds another leaf by now."""
        leaf = self._link.leaf(sequence)
        return leaf if leaf_sequence(leaf) == sequence else None

    def acknowledge(self, stored_up_to: int) -> None:
        """Says that the leaves before `stored_up_to` are on disk: their slots may be used again."""
        self._control("leaf_ack", stored_up_to)

    def epoch_records(self, epochs_sealed: int) -> list[EpochRecord]:
        """The records that the ring still holds, newest first; `epochs_sealed` as the status said."""
        return [self._epoch_record((epochs_sealed - 1 - back) % EPOCH_RING) for back in range(min(epochs_sealed, EPOCH_RING))]

    def introduce(self, identity: Identity, profile: Profile, lifetimes: Lifetimes) -> None:
        """Writes who the node is, how its inputs are scaled, what its limits and parameters are, and what it counted before this boot;
        possible until it is armed."""
        self._link.write(SITE_WORDS.start, struct.unpack(">4H", identity.site))
        self._write_point("boot_count", identity.boot_count)
        self._write_point("profile_hash", profile.profile_hash)
        self._link.write(CALIBRATION_BASE, profile.calibration_words)
        for start in range(0, len(profile.channel_gains), MAX_WRITE_WORDS):
            self._link.write(CHANNEL_GAIN_BASE + start, profile.channel_gains[start : start + MAX_WRITE_WORDS])
        hot_supply = POINT["hot_supply_temperature"]
        self._control("hot_throttle", hot_supply.raw(profile.limits.hot_throttle_degc))
        self._control("hot_fatal", hot_supply.raw(profile.limits.hot_fatal_degc))
        for identifier, raw in profile.tracker_parameters.items():
            self._link.write(PARAMETER_REGISTERS[identifier], [raw])
        counted = (lifetimes.energy, lifetimes.bus_energy, lifetimes.gas)
        sizes = (size for _, size in RESTORE_REGISTERS.values())
        self._link.write(RESTORE_BASE, [word for total, size in zip(counted, sizes, strict=True) for word in _words(total, size)])
        self._control("sequence_start", identity.sequence_start)

    def arm(self, time_s: int) -> None:
        """Sets site time and lets the node make leaves; NotArmedError where it does not begin to."""
        self._control("time_set", time_s)
        self._control("arm", 1)
        if not self.status().armed:
            raise NotArmedError("the node took all it was told and did not arm: power-cycle it; if it stays so, its gateware is at fault")

    def set_enable(self, enable: bool) -> None:
        """Whether the channels may switch."""
        self._control("enable", int(enable))

    def set_current_limit(self, limit_ma: int) -> None:
        """The greatest output current of a channel, in mA."""
        self._control("current_limit_ma", limit_ma)

    def clear_trip(self) -> bool:
        """Asks for the end of the latched trip and of all channels that are off; whether it ended: it does not while its cause is there."""
        for key in TRIP_CLEAR_KEYS:
            self._control("trip_clear", key)
        for _ in range(_CLEAR_READINGS):
            status = self.status()
            if status.latched_trip is None and status.latched_channels is None:
                return True
        return False

    def heartbeat(self, count: int) -> None:
        """Says that the daemon lives, at least every 5 s; `count` goes round in 16 bits."""
        self._control("heartbeat", count & 0xFFFF)

    def supply(self, values: Mapping[str, int]) -> None:
        """Writes the host-supplied points, raw, in one transaction; those not given become 0."""
        content = bytearray(2 * len(_SUPPLIED_WORDS))
        for placed in _SUPPLIED_FIELDS:
            start = placed.offset - 2 * _SUPPLIED_WORDS.start
            raw = values.get(placed.point.identifier, 0) & ((1 << placed.point.width) - 1)
            content[start : start + placed.size] = raw.to_bytes(placed.size, "big")
        self._link.write(_SUPPLIED_WORDS.start, struct.unpack(f">{len(_SUPPLIED_WORDS)}H", content))

    def close(self) -> None:
        """Lets go of the link."""
        self._link.close()

    def _image(self, words: range) -> bytes:
        return struct.pack(f">{len(words)}H", *self._link.read(words.start, len(words)))

    def _epoch_record(self, slot: int) -> EpochRecord:
        words = self._link.read(EPOCH_BASE + slot * EPOCH_RECORD_WORDS, sum(EPOCH_RECORD["root"]))
        value = {name: _number(words, start, size) for name, (start, size) in EPOCH_RECORD.items()}
        return EpochRecord(
            epoch=value["epoch"],
            first_sequence=value["first_sequence"],
            count=value["count"],
            boot_count=value["boot_count"],
            sealed_at_s=value["sealed_at"],
            root=value["root"].to_bytes(32, "big"),
        )

    def _control(self, name: str, value: int) -> None:
        address, size = CONTROL_REGISTERS[name]
        self._link.write(address, _words(value, size))

    def _write_point(self, identifier: str, raw: int) -> None:
        placed = FIELD[identifier]
        self._link.write(placed.offset // 2, _words(raw, placed.size // 2))


def leaf_sequence(leaf: bytes) -> int:
    """The sequence in a leaf's header."""
    return int.from_bytes(leaf[HEADER_OFFSET["sequence"] : HEADER_OFFSET["sequence"] + 4], "big")


def leaves_held(status: NodeStatus, next_sequence: int) -> range:
    """Sequences that can still be read, from `next_sequence` on: a slot is overwritten LEAF_SLOTS leaves later."""
    return range(max(next_sequence, status.leaf_next - LEAF_SLOTS), status.leaf_next)


def _number(words: Sequence[int], start: int, size: int) -> int:
    value = 0
    for word in words[start : start + size]:
        value = value << 16 | word
    return value


def _words(value: int, size: int) -> list[int]:
    return [value >> 16 * (size - 1 - place) & 0xFFFF for place in range(size)]


def _signed(value: int, bits: int) -> int:
    return value - (value >> (bits - 1) << bits)


def _raw(content: bytes, placed: Placed, first_word: int) -> int:
    start = placed.offset - 2 * first_word
    return int.from_bytes(content[start : start + placed.size], "big", signed=placed.point.kind is Kind.SIGNED)
