"""What cloud and witnesses send each other about a drawing, beside seals and statements.

The announcement is canonical JSON: what is drawn for, and the seals that the log has for it. It is not signed: a witness judges the seals
themselves, its own node proves the draw, and a beacon that is not the log's makes a statement that nobody counts.

A request for an epoch's batches is site (8) ‖ epoch u32. The answer is the same, a count u8, and each batch with its length u32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from construct import Bytes, GreedyBytes, Int8ub, Int32ub, Prefixed, PrefixedArray, Struct

from ...frames import FrameError
from ...frames.reading import read_fields
from ..canonical import Value
from ..document import Document
from ..errors import EvidenceError
from ..record import Record
from .day import Day
from .draw import Drawing
from .seal import ENCODED_BYTES, EPOCHS_A_DAY, Seal

REQUEST_BYTES = 12
MOST_BATCHES = 8
"""Of one epoch that are handed out: two are as wrong as eight."""

_PUBLISHED = Struct("site" / Bytes(8), "epoch" / Int32ub, "batches" / PrefixedArray(Int8ub, Prefixed(Int32ub, GreedyBytes)))


class ExchangeError(EvidenceError):
    """Bytes that are not an announcement, a request or its answer."""


@dataclass(frozen=True)
class Announcement(Document):
    """A drawing that is open. ExchangeError where the seals are not the drawn day's."""

    what: ClassVar[str] = "announcement"
    error: ClassVar[type[EvidenceError]] = ExchangeError

    site: str
    beacon_number: int
    """Number of the checkpoint that made the beacon."""
    beacon: bytes
    until: int
    """Unix seconds until which a statement counts to a quorum."""
    day: Day

    @property
    def drawing(self) -> Drawing:
        """What witnesses are drawn for."""
        return Drawing(self.day.site, self.day.number, self.day.root, self.beacon_number, self.beacon)

    def values(self) -> dict[str, Value]:
        """The fields as JSON values."""
        opening = self.day.opening
        return {
            "site": self.site,
            "beacon_number": self.beacon_number,
            "beacon": self.beacon.hex(),
            "until": self.until,
            "opening": None if opening is None else opening.encode().hex(),
            "seals": [{"seal": seal.encode().hex()} for seal in self.day.seals],
            "closing": self.day.closing.encode().hex(),
        }

    @classmethod
    def fields(cls, record: Record) -> dict[str, Any]:
        """The fields from JSON values."""
        opening = record.octets_or_none("opening", ENCODED_BYTES)
        seals = tuple(_read_seal(entry) for entry in record.records("seals", EPOCHS_A_DAY))
        closing = Seal.decode(record.octets("closing", ENCODED_BYTES))
        return {
            "site": record.text("site"),
            "beacon_number": record.integer("beacon_number"),
            "beacon": record.octets("beacon", 32),
            "until": record.time("until"),
            "day": Day(seals, closing, None if opening is None else Seal.decode(opening)),
        }


def _read_seal(entry: Record) -> Seal:
    seal = Seal.decode(entry.octets("seal", ENCODED_BYTES))
    entry.end()
    return seal


def encode_request(site: bytes, epoch: int) -> bytes:
    """A request for what is published of an epoch, 12 bytes."""
    return site + epoch.to_bytes(4, "big")


def parse_request(data: bytes) -> tuple[bytes, int]:
    """Site and epoch of a request; ExchangeError for another length."""
    if len(data) != REQUEST_BYTES:
        raise ExchangeError(f"a request has {REQUEST_BYTES} bytes, this one {len(data)}")
    return data[:8], int.from_bytes(data[8:], "big")


def encode_published(site: bytes, epoch: int, batches: Sequence[bytes]) -> bytes:
    """All batches of an epoch, at most `MOST_BATCHES`."""
    data: bytes = _PUBLISHED.build({"site": site, "epoch": epoch, "batches": list(batches[:MOST_BATCHES])})
    return data


def parse_published(data: bytes) -> tuple[bytes, int, tuple[bytes, ...]]:
    """Site, epoch and batches; ExchangeError where `data` is not exactly that."""
    try:
        values, _, end = read_fields(_PUBLISHED, data, 0)
    except FrameError as error:
        raise ExchangeError(f"not batches of an epoch: {error}") from None
    if end != len(data) or len(values["batches"]) > MOST_BATCHES:
        raise ExchangeError(f"not batches of an epoch: {len(data)} bytes, {len(values['batches'])} batches")
    return values["site"], values["epoch"], tuple(values["batches"])


def encode_seals(seals: Sequence[Seal]) -> bytes:
    """Seals as a site sends them: one after the other, 186 bytes each."""
    return b"".join(seal.encode() for seal in seals)


def parse_seals(data: bytes) -> tuple[Seal, ...]:
    """The seals of a message; ExchangeError unless it is 1 to 96 of them."""
    count, rest = divmod(len(data), ENCODED_BYTES)
    if rest or not 1 <= count <= EPOCHS_A_DAY:
        raise ExchangeError(f"{len(data)} bytes are not 1 to {EPOCHS_A_DAY} seals of {ENCODED_BYTES}")
    try:
        return tuple(Seal.decode(data[start : start + ENCODED_BYTES]) for start in range(0, len(data), ENCODED_BYTES))
    except EvidenceError as error:
        raise ExchangeError(str(error)) from None
