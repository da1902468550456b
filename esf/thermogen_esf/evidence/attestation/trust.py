"""Whom a verifier believes about what, and by whose word.

A verifier pins one small file: the root keys. The trust list is believed because k of the n root keys signed it, wherever it came from.
The sites that it enrols (`enrolment`) lie under a Merkle root, so that a bundle carries those it needs and not ten thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..canonical import Value
from ..check import Check, Reason, passed, refused
from ..document import Document
from ..errors import EvidenceError
from ..record import Record
from ..trust import NAME, ApproverKey, NamedKey, SiteKey, TrustList, key_value, read_approver, read_named_key, valid_at
from .signed import Signed

TRUST_CONTEXT = b"thermogen/trust/v2"
MAX_ROOT_KEYS = 32
MAX_SITES = 1_000_000


class TrustError(EvidenceError):
    """Bytes that are not root keys, a trust list or an enrolment, or entries that contradict one another."""


@dataclass(frozen=True, slots=True)
class Gateware:
    """A node's bitstream that is believed to measure and seal as its source says."""

    name: str
    hash: bytes
    """SHA3-256 of the bitstream, 32 bytes."""
    valid_from: int
    valid_to: int | None


@dataclass(frozen=True)
class RootKeys(Document):
    """What a verifier pins with `--root`: offline keys, of which `threshold` must have signed a trust list."""

    what: ClassVar[str] = "set of root keys"
    error: ClassVar[type[EvidenceError]] = TrustError

    threshold: int
    keys: tuple[NamedKey, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len({key.key_id for key in self.keys}) != len(self.keys) or len({key.name for key in self.keys}) != len(self.keys):
            raise TrustError("two root keys have one name or are one key: k of n means n holders")
        if not self.keys or self.threshold > len(self.keys):
            raise TrustError(f"{self.threshold} of {len(self.keys)} keys cannot sign")

    def values(self) -> dict[str, Value]:
        """The fields as JSON values."""
        return {"threshold": self.threshold, "keys": [key_value(key) for key in self.keys]}

    @classmethod
    def fields(cls, record: Record) -> dict[str, Any]:
        """The fields from JSON values."""
        return {
            "threshold": record.integer("threshold", 1, MAX_ROOT_KEYS),
            "keys": tuple(read_named_key(entry) for entry in record.records("keys", MAX_ROOT_KEYS)),
        }


@dataclass(frozen=True)
class FleetTrust(Document):
    """The trust list: everybody's keys, and the root over the enrolments. TrustError where entries contradict one another."""

    what: ClassVar[str] = "trust list"
    error: ClassVar[type[EvidenceError]] = TrustError
    version: ClassVar[int] = 2

    revision: int
    """From 1; each list that the root keys sign has a greater one."""
    previous: bytes | None
    """Hash of the list before it; None for the first."""
    root_keys: bytes
    """Hash of the root keys that sign it, 32 bytes."""
    valid_from: int
    valid_to: int
    demonstration: bool
    operators: tuple[str, ...]
    gateware: tuple[Gateware, ...]
    provisioners: tuple[NamedKey, ...]
    clouds: tuple[NamedKey, ...]
    approvers: tuple[ApproverKey, ...]
    site_count: int
    sites_root: bytes
    """Merkle root over the enrolments' bytes in order of site name, 32 bytes."""
    vrf_keys_root: bytes
    """Merkle root over the sites' identities (8 bytes) and VRF keys (32 bytes) in the same order: all that a beacon is recomputed with."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.valid_to < self.valid_from:
            raise TrustError(f"the list ends at {self.valid_to}, before it begins at {self.valid_from}")
        keys: list[NamedKey | ApproverKey] = [*self.provisioners, *self.clouds, *self.approvers]
        if len({key.key_id for key in keys}) != len(keys):
            raise TrustError("two entries share a key: one key in two hands would let a cloud approve or provision by itself")
        if len(set(self.operators)) != len(self.operators):
            raise TrustError("an operator stands twice in the list")

    def values(self) -> dict[str, Value]:
        """The fields as JSON values."""
        return {
            "revision": self.revision,
            "previous": None if self.previous is None else self.previous.hex(),
            "root_keys": self.root_keys.hex(),
            "valid_from": self.valid_from,
            "valid_to": self.valid_to,
            "demonstration": self.demonstration,
            "operators": [{"name": name} for name in self.operators],
            "gateware": [
                {"name": each.name, "hash": each.hash.hex(), "valid_from": each.valid_from, "valid_to": each.valid_to}
                for each in self.gateware
            ],
            "provisioners": [key_value(key) for key in self.provisioners],
            "clouds": [key_value(key) for key in self.clouds],
            "approvers": [{**key_value(key), "role": key.role} for key in self.approvers],
            "sites": {"count": self.site_count, "root": self.sites_root.hex(), "vrf_keys_root": self.vrf_keys_root.hex()},
        }

    @classmethod
    def fields(cls, record: Record) -> dict[str, Any]:
        """The fields from JSON values."""
        sites = record.record("sites")
        fields = {
            "revision": record.integer("revision", 1, 2**32 - 1),
            "previous": record.octets_or_none("previous", 32),
            "root_keys": record.octets("root_keys", 32),
            "valid_from": record.time("valid_from"),
            "valid_to": record.time("valid_to"),
            "demonstration": record.boolean("demonstration"),
            "operators": tuple(_read_operator(entry) for entry in record.records("operators", MAX_SITES)),
            "gateware": tuple(_read_gateware(entry) for entry in record.records("gateware", 1_000)),
            "provisioners": tuple(read_named_key(entry) for entry in record.records("provisioners", 1_000)),
            "clouds": tuple(read_named_key(entry) for entry in record.records("clouds", 1_000)),
            "approvers": tuple(read_approver(entry) for entry in record.records("approvers", 1_000)),
            "site_count": sites.integer("count", 0, MAX_SITES),
            "sites_root": sites.octets("root", 32),
            "vrf_keys_root": sites.octets("vrf_keys_root", 32),
        }
        sites.end()
        return fields

    def as_batch_trust(self, sites: Sequence[SiteKey]) -> TrustList:
        """The list in the form that batches, approvals and bundles are judged by, with these of its sites."""
        return TrustList(
            sites=tuple(sites),
            cloud=self.clouds,
            approvers=self.approvers,
            demonstration=self.demonstration,
        )


def judge_trust(signed: Signed, root: RootKeys, time: int) -> tuple[FleetTrust | None, list[Check]]:
    """Whether a trust list is the pinned root's, signed by enough of its keys and valid at a time; the list where it reads as one."""
    try:
        trust = FleetTrust.parse(signed.document)
    except TrustError as error:
        return None, [refused("trust list reads", Reason.UNREADABLE, str(error))]
    checks = [_root(trust, root), _threshold(signed, root, time), _in_time(trust, time)]
    return trust, checks


def _root(trust: FleetTrust, root: RootKeys) -> Check:
    name = "trust list of the pinned root"
    if trust.root_keys != root.hash:
        text = f"the list names root keys {trust.root_keys.hex()}, pinned are {root.hash.hex()}"
        return refused(name, Reason.WRONG_ROOT_KEYS, text, revision=trust.revision)
    return passed(name, f"revision {trust.revision}, {trust.hash.hex()}, of root keys {root.hash.hex()}", revision=trust.revision)


def _threshold(signed: Signed, root: RootKeys, time: int) -> Check:
    name = "signed by enough root keys"
    good = [key.name for key in root.keys if valid_at(key, time) and signed.signed_by(key.public_key, key.key_id, TRUST_CONTEXT)]
    numbers = {"signatures": len(good), "needed": root.threshold, "keys": len(root.keys)}
    text = f"{len(good)} of {len(root.keys)} root keys signed ({', '.join(good) or 'none'}), {root.threshold} are needed"
    if len(good) < root.threshold:
        return refused(name, Reason.BAD_SIGNATURE, text, **numbers)
    return passed(name, text, **numbers)


def _in_time(trust: FleetTrust, time: int) -> Check:
    name, text = "trust list valid", f"valid from {trust.valid_from} to {trust.valid_to}, used at {time}"
    if not valid_at(trust, time):
        return refused(name, Reason.KEY_NOT_VALID, text, used_s=time)
    return passed(name, text, used_s=time)


def _read_operator(entry: Record) -> str:
    name = entry.text("name", pattern=NAME)
    entry.end()
    return name


def _read_gateware(entry: Record) -> Gateware:
    gateware = Gateware(
        entry.text("name", pattern=NAME), entry.octets("hash", 32), entry.time("valid_from"), entry.time_or_none("valid_to")
    )
    entry.end()
    return gateware
