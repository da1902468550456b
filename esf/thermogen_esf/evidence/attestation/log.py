"""The log: everything that attestation rests on, in one append-only Merkle tree with signed checkpoints.

An entry is a kind (u8) and its bytes, integers big-endian:

    1 seal        the seal, 186 bytes
    2 day         site (8), day u32, seals u16, day root (32), link of the closing seal (32)
    3 trust       hash of a trust list (32)
    4 statement   hash of a witness's signed statement's document (32)

A checkpoint says how long the log is, its root, and the newest beacon. It is canonical JSON that the cloud signed.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ... import merkle
from ...signatures import SigningKey
from ..canonical import Value
from ..check import Check, Reason, passed, refused
from ..document import Document
from ..errors import EvidenceError
from ..record import MAX_STORED, Record
from ..trust import NamedKey, valid_at
from .beacon import after as beacon_after
from .beacon import contributions, contributions_hash, draws, genesis
from .day import Day
from .seal import Seal
from .signed import Signed

CHECKPOINT_CONTEXT = b"thermogen/checkpoint/v2"


class LogError(EvidenceError):
    """Bytes that are not an entry or a checkpoint, or a checkpoint that cannot follow."""


class EntryKind(enum.IntEnum):
    """What an entry is. A published number never changes its meaning."""

    SEAL = 1
    DAY = 2
    TRUST = 3
    STATEMENT = 4


def seal_entry(seal: Seal) -> bytes:
    """The entry of a seal, 187 bytes."""
    return bytes((EntryKind.SEAL,)) + seal.encode()


def day_entry(day: Day) -> bytes:
    """The entry of a closed day, 79 bytes: from it on, the day's root is fixed."""
    number, count = day.number.to_bytes(4, "big"), len(day.seals).to_bytes(2, "big")
    return bytes((EntryKind.DAY,)) + day.site + number + count + day.root + day.closing.link


def trust_entry(trust_hash: bytes) -> bytes:
    """The entry of a trust list, 33 bytes: a draw uses the list that was here before its beacon."""
    return bytes((EntryKind.TRUST,)) + trust_hash


def statement_entry(statement_hash: bytes) -> bytes:
    """The entry of a statement, 33 bytes: it shows when the statement was there."""
    return bytes((EntryKind.STATEMENT,)) + statement_hash


def check_entry(entry: bytes) -> None:
    """LogError for an entry of no kind."""
    if not entry or entry[0] not in {int(kind) for kind in EntryKind}:
        raise LogError(f"an entry of kind {entry[:1].hex() or 'nothing'} is none of {', '.join(kind.name.lower() for kind in EntryKind)}")


@dataclass(frozen=True)
class Checkpoint(Document):
    """The log at one instant. LogError for fields that cannot be."""

    what: ClassVar[str] = "checkpoint"
    error: ClassVar[type[EvidenceError]] = LogError
    version: ClassVar[int] = 2
    """In version 1 every checkpoint made a beacon, however few contributed."""

    number: int
    """From 0."""
    time: int
    """Unix seconds, as the log's operator says."""
    size: int
    """Entries."""
    root: bytes
    """Merkle root over the entries, 32 bytes."""
    previous: bytes | None
    """Hash of the checkpoint before it; None for the first."""
    contributors: int
    """Sites with a seal among the entries that it added."""
    contributions: bytes
    """Hash over their contributions, 32 bytes."""
    beacons: int
    """Beacons that were made up to it, its own included: the number of `beacon`. 0 before the first."""
    beacon: bytes
    """The newest: its own where it draws, else the one of the checkpoint before it."""

    def values(self) -> dict[str, Value]:
        """The fields as JSON values."""
        return {
            "number": self.number,
            "time": self.time,
            "size": self.size,
            "root": self.root.hex(),
            "previous": None if self.previous is None else self.previous.hex(),
            "contributors": self.contributors,
            "contributions": self.contributions.hex(),
            "beacons": self.beacons,
            "beacon": self.beacon.hex(),
        }

    @classmethod
    def fields(cls, record: Record) -> dict[str, Any]:
        """The fields from JSON values."""
        return {
            "number": record.integer("number", 0, MAX_STORED),
            "time": record.time("time"),
            "size": record.integer("size", 0, MAX_STORED),
            "root": record.octets("root", 32),
            "previous": record.octets_or_none("previous", 32),
            "contributors": record.integer("contributors", 0, 2**32 - 1),
            "contributions": record.octets("contributions", 32),
            "beacons": record.integer("beacons", 0, MAX_STORED),
            "beacon": record.octets("beacon", 32),
        }

    @property
    def draws(self) -> bool:
        """Whether it makes a beacon, which then draws witnesses: enough sites contributed."""
        return draws(self.contributors)

    def sign(self, key: SigningKey) -> Signed:
        """Signed by the log's operator."""
        return Signed.by(self.encode(), [key], CHECKPOINT_CONTEXT)


class Log:
    """A log in memory: what the cloud keeps, what a monitor rebuilds from the entries, and where proofs come from."""

    def __init__(self, root_keys: bytes, entries: Iterable[bytes] = (), last: Checkpoint | None = None) -> None:
        self._root_keys = root_keys
        self._entries = list(entries)
        self._last = last

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def last(self) -> Checkpoint | None:
        """The newest checkpoint."""
        return self._last

    @property
    def entries(self) -> tuple[bytes, ...]:
        """All of them, in order: what a monitor holds."""
        return tuple(self._entries)

    def append(self, entry: bytes) -> int:
        """Append an entry and give its index. LogError for an entry of no kind."""
        check_entry(entry)
        self._entries.append(entry)
        return len(self._entries) - 1

    def checkpoint(self, time: int) -> Checkpoint:
        """Close the next checkpoint over all entries. LogError where the time goes back."""
        self.accept(self.next_checkpoint(time))
        assert self._last is not None, "it was accepted"
        return self._last

    def accept(self, checkpoint: Checkpoint) -> None:
        """Take a checkpoint that `next_checkpoint` gave as the newest: once it is kept for good."""
        self._last = checkpoint

    def next_checkpoint(self, time: int) -> Checkpoint:
        """What the next checkpoint would be. LogError where the time goes back."""
        last = self._last
        if last is not None and time < last.time:
            raise LogError(f"a checkpoint at {time} cannot follow one at {last.time}")
        added = self._entries[0 if last is None else last.size :]
        given = contributions(Seal.decode(entry[1:]) for entry in added if entry[0] == EntryKind.SEAL)
        hashed = contributions_hash(given)
        beacons, newest = (0, genesis(self._root_keys)) if last is None else (last.beacons, last.beacon)
        beacons, newest = beacon_after(beacons, newest, len(given), hashed)
        return Checkpoint(
            number=0 if last is None else last.number + 1,
            time=time,
            size=len(self._entries),
            root=merkle.root(self._entries),
            previous=None if last is None else last.hash,
            contributors=len(given),
            contributions=hashed,
            beacons=beacons,
            beacon=newest,
        )

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The proof that entry `index` is in the log of `size` entries."""
        return merkle.inclusion_proof(self._entries[:size], index)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The proof that the log of `new` entries begins with that of `old`."""
        return merkle.consistency_proof(self._entries[:new], old)


def judge_checkpoint(signed: Signed, clouds: Sequence[NamedKey]) -> tuple[Checkpoint | None, Check]:
    """Whether a checkpoint reads and one of the trust list's clouds signed it, valid at its time; the checkpoint where it reads."""
    name = "checkpoint signed"
    try:
        checkpoint = Checkpoint.parse(signed.document)
    except LogError as error:
        return None, refused(name, Reason.UNREADABLE, str(error))
    for key in clouds:
        if valid_at(key, checkpoint.time) and signed.signed_by(key.public_key, key.key_id, CHECKPOINT_CONTEXT):
            text = f"checkpoint {checkpoint.number} of {checkpoint.size} entries, by {key.name} at {checkpoint.time}"
            return checkpoint, passed(name, text, number=checkpoint.number, size=checkpoint.size)
    text = f"checkpoint {checkpoint.number} has no signature of a cloud that the trust list names at {checkpoint.time}"
    return checkpoint, refused(name, Reason.BAD_SIGNATURE, text, number=checkpoint.number)


def judge_growth(before: Checkpoint, after: Checkpoint, consistency: Sequence[bytes]) -> list[Check]:
    """Whether a checkpoint directly follows another: its number, its name of it, its beacon, and a log that only grew."""
    checks = judge_successor(before, after)
    if checks[0].passed is False:
        return checks
    if before.size == 0 or merkle.verify_consistency(before.size, after.size, before.root, after.root, consistency):
        return [*checks, passed("log only grew", f"from {before.size} to {after.size} entries", before=before.size, after=after.size)]
    text = f"the log of {after.size} entries does not begin with the {before.size} of checkpoint {before.number}: it was rewritten"
    return [*checks, refused("log only grew", Reason.LOG_FORKED, text, before=before.size, after=after.size)]


def judge_successor(before: Checkpoint, after: Checkpoint) -> list[Check]:
    """Whether a checkpoint names the one before it and is no older and no shorter, and whether its beacon follows."""
    name, numbers = "checkpoint follows", {"number": after.number, "before": before.number}
    goes_back = after.time < before.time or after.size < before.size
    if (after.number, after.previous) != (before.number + 1, before.hash) or goes_back:
        text = (
            f"checkpoint {after.number} at {after.time} of {after.size} entries does not follow on checkpoint {before.number}, "
            f"{before.hash.hex()}, at {before.time} of {before.size}"
        )
        return [refused(name, Reason.LOG_FORKED, text, **numbers)]
    return [passed(name, f"names checkpoint {before.number}, {before.hash.hex()}", **numbers), judge_beacon(before, after)]


def judge_beacon(before: Checkpoint, after: Checkpoint) -> Check:
    """Whether a checkpoint's beacon follows from the one before it and what it says that the seals contributed, and so its number."""
    return _judge_beacon(before.beacons, before.beacon, after)


def judge_first_beacon(root_keys: bytes, first: Checkpoint) -> Check:
    """The same of checkpoint 0, whose beacon follows from the hash of the root keys."""
    return _judge_beacon(0, genesis(root_keys), first)


def _judge_beacon(number: int, newest: bytes, checkpoint: Checkpoint) -> Check:
    name, numbers = "beacon recomputed", {"number": checkpoint.number, "beacons": checkpoint.beacons}
    wanted = beacon_after(number, newest, checkpoint.contributors, checkpoint.contributions)
    if (checkpoint.beacons, checkpoint.beacon) != wanted:
        text = (
            f"after beacon {number}, {checkpoint.contributors} contributors give beacon {wanted[0]}, {wanted[1].hex()};"
            f" the checkpoint says beacon {checkpoint.beacons}, {checkpoint.beacon.hex()}"
        )
        return refused(name, Reason.WRONG_BEACON, text, **numbers)
    made = f"of {checkpoint.contributors} sites" if checkpoint.draws else f"as before: {checkpoint.contributors} sites make none"
    return passed(name, f"beacon {wanted[0]}, {wanted[1].hex()}, {made}", **numbers)


def judge_inclusion(what: str, entry: bytes, index: int, proof: Sequence[bytes], checkpoint: Checkpoint) -> Check:
    """Whether an entry is in the log at a checkpoint; `what` names it in the answer."""
    name = f"{what} in the log"
    if not merkle.verify_inclusion(entry, index, checkpoint.size, proof, checkpoint.root):
        text = f"not entry {index} of the {checkpoint.size} at checkpoint {checkpoint.number}"
        return refused(name, Reason.NOT_LOGGED, text, index=index, size=checkpoint.size)
    return passed(name, f"entry {index} of {checkpoint.size} at checkpoint {checkpoint.number}", index=index, size=checkpoint.size)
