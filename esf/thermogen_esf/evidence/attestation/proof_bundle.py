"""The proof bundle, version 1: all that one attested day rests on, in one file; its frames are in a companion, linked by hash.

Integers are big-endian and nothing may follow. The file says nothing about whom to believe: the root keys are the verifier's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from construct import Bytes, Const, GreedyBytes, Int8ub, Int16ub, Int32ub, Int64ub, Prefixed, PrefixedArray, Struct

from ...frames import FrameError
from ...frames.reading import read_fields
from ...merkle import HASH_BYTES
from ...signatures import SIGNATURE_BYTES
from ...vrf import KEY_BYTES
from ..errors import EvidenceError
from .seal import ENCODED_BYTES

MAGIC, FRAMES_MAGIC, STATEMENT_MAGIC = b"TZPROOF1", b"TZFRAMES", b"TZSTATMT"
MAX_BUNDLE_BYTES = 5_000_000
MAX_FRAMES_BYTES = 20_000_000

_SECTION = Prefixed(Int32ub, GreedyBytes)
_HASHES = PrefixedArray(Int8ub, Bytes(HASH_BYTES))
_ENTRY = Struct("index" / Int64ub, "checkpoint" / Int64ub, "proof" / _HASHES)

PROOF_BUNDLE = Struct(
    "magic" / Const(MAGIC) * "`TZPROOF1`",
    "attestation" / _SECTION * "length u32 and the signed attestation",
    "methodology" / _SECTION * "length u32 and the methodology in canonical JSON; for CUSTOM as its auditor signed it",
    "trust" / _SECTION * "length u32 and the signed trust list",
    "enrolments"
    / PrefixedArray(Int16ub, Struct("index" / Int32ub, "proof" / _HASHES, "document" / _SECTION))
    * "count u16 and, each, index u32, count u8 of hashes of its inclusion proof, the enrolment with its length u32; the day's site first",
    "opening" / _SECTION * "length u32 and the seal before the day's first; nothing where the day begins with a boot's first",
    "seals" / PrefixedArray(Int8ub, Bytes(ENCODED_BYTES)) * "count u8 and the day's seals in order of epoch, the closing one last",
    "batch_hashes" / _HASHES * "count u8 and SHA3-256 of the batch of each of the day's seals",
    "checkpoints"
    / PrefixedArray(Int16ub, _SECTION)
    * "count u16 and the documents of successive checkpoints, from the last before the day's entry, or from 0, each with its length u32",
    "last_checkpoint" / _SECTION * "length u32 and the last of those, signed",
    "trust_entry" / _ENTRY * "index u64 of the trust list's entry, number u64 of the checkpoint that the proof leads to, hashes",
    "day_entry" / _ENTRY * "the same for the day's entry",
    "attempt" / Int8ub * "of the draw, from 1",
    "statements"
    / PrefixedArray(Int8ub, Struct("witness" / Int16ub, "entry" / _ENTRY, "signed" / _SECTION))
    * "count u8 and, each, number u16 of the witness's enrolment above, its entry, the signed statement with its length u32",
    "approval" / _SECTION * "length u32 and an approval of the attestation's hash in canonical JSON; nothing where none is needed",
    "approval_signature" / Bytes(SIGNATURE_BYTES) * "ML-DSA-87 of it; zeros where there is none",
    "vrf_keys"
    / PrefixedArray(Int32ub, Struct("site" / Bytes(8), "key" / Bytes(KEY_BYTES)))
    * "count u32 and identity and VRF key of every site of the list in order, to recompute the beacon",
    "contributions"
    / PrefixedArray(Int32ub, Bytes(ENCODED_BYTES))
    * "count u32 and, of the seals that the beacon's checkpoint added, each site's newest at least",
)

FRAMES = Struct(
    "magic" / Const(FRAMES_MAGIC) * "`TZFRAMES`",
    "batches" / PrefixedArray(Int16ub, _SECTION) * "count u16 and the batches of the day's seals in order, each with its length u32",
)


LOOSE_STATEMENT = Struct(
    "magic" / Const(STATEMENT_MAGIC) * "`TZSTATMT`",
    "enrolment" / Struct("index" / Int32ub, "proof" / _HASHES, "document" / _SECTION) * "the witness's enrolment, as in a bundle",
    "signed" / _SECTION * "length u32 and the signed statement",
)


class ProofBundleError(EvidenceError):
    """Bytes that are not a proof bundle or its companion; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where something lies in the log, and the proof that leads to a checkpoint's root."""

    index: int
    checkpoint: int
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class EnrolledBytes:
    """An enrolment, not read yet."""

    index: int
    proof: tuple[bytes, ...]
    document: bytes


@dataclass(frozen=True, slots=True)
class StatementBytes:
    """A signed statement, not read yet; `witness` is its enrolment's place in the bundle."""

    witness: int
    entry: Entry
    signed: bytes


@dataclass(frozen=True, slots=True)
class ProofBundle:
    """A bundle's parts, not judged."""

    attestation: bytes
    methodology: bytes
    trust: bytes
    enrolments: tuple[EnrolledBytes, ...]
    opening: bytes
    """Empty where there is none."""
    seals: tuple[bytes, ...]
    batch_hashes: tuple[bytes, ...]
    checkpoints: tuple[bytes, ...]
    last_checkpoint: bytes
    trust_entry: Entry
    day_entry: Entry
    attempt: int
    statements: tuple[StatementBytes, ...]
    approval: bytes = b""
    approval_signature: bytes = bytes(SIGNATURE_BYTES)
    vrf_keys: tuple[tuple[bytes, bytes], ...] = ()
    contributions: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        """The file. ProofBundleError where it would be longer than a bundle may be."""
        data: bytes = PROOF_BUNDLE.build(
            {
                **{name: getattr(self, name) for name in self.__dataclass_fields__},
                "enrolments": [{"index": each.index, "proof": each.proof, "document": each.document} for each in self.enrolments],
                "trust_entry": _entry_value(self.trust_entry),
                "day_entry": _entry_value(self.day_entry),
                "statements": [
                    {"witness": each.witness, "entry": _entry_value(each.entry), "signed": each.signed} for each in self.statements
                ],
                "vrf_keys": [{"site": site, "key": key} for site, key in self.vrf_keys],
            }
        )
        if len(data) > MAX_BUNDLE_BYTES:
            raise ProofBundleError(
                f"a bundle of {len(data)} bytes; at most {MAX_BUNDLE_BYTES} are allowed: of each site the newest contribution is enough"
            )
        return data

    @classmethod
    def parse(cls, data: bytes) -> ProofBundle:
        """Read strictly; ProofBundleError where `data` is not exactly one."""
        values = _read(PROOF_BUNDLE, data, MAX_BUNDLE_BYTES, "proof bundle")
        del values["magic"]
        for name in ("seals", "batch_hashes", "checkpoints", "contributions"):
            values[name] = tuple(values[name])
        values["enrolments"] = tuple(EnrolledBytes(each["index"], tuple(each["proof"]), each["document"]) for each in values["enrolments"])
        values["trust_entry"], values["day_entry"] = _entry(values["trust_entry"]), _entry(values["day_entry"])
        values["statements"] = tuple(
            StatementBytes(each["witness"], _entry(each["entry"]), each["signed"]) for each in values["statements"]
        )
        values["vrf_keys"] = tuple((each["site"], each["key"]) for each in values["vrf_keys"])
        if not values["approval"] and any(values["approval_signature"]):
            raise ProofBundleError("not a proof bundle: a signature without an approval")
        return cls(**values)


def encode_frames(batches: Sequence[bytes]) -> bytes:
    """The companion of a bundle: its batches in order of its seals."""
    data: bytes = FRAMES.build({"batches": list(batches)})
    return data


def parse_frames(data: bytes) -> tuple[bytes, ...]:
    """The batches of a companion; ProofBundleError where `data` is not exactly one."""
    return tuple(_read(FRAMES, data, MAX_FRAMES_BYTES, "companion")["batches"])


def encode_statement(enrolment: EnrolledBytes, signed: bytes) -> bytes:
    """A statement by itself: how a witness shows a verifier what no bundle has."""
    value = {"index": enrolment.index, "proof": enrolment.proof, "document": enrolment.document}
    data: bytes = LOOSE_STATEMENT.build({"enrolment": value, "signed": signed})
    return data


def parse_statement(data: bytes) -> tuple[EnrolledBytes, bytes]:
    """The enrolment and the signed statement; ProofBundleError where `data` is not exactly such a file."""
    values = _read(LOOSE_STATEMENT, data, MAX_BUNDLE_BYTES, "statement file")
    enrolment = values["enrolment"]
    return EnrolledBytes(enrolment["index"], tuple(enrolment["proof"]), enrolment["document"]), values["signed"]


def _read(declaration: Struct, data: bytes, most: int, what: str) -> dict[str, Any]:
    if len(data) > most:
        raise ProofBundleError(f"not a {what}: {len(data)} bytes, at most {most} are read")
    try:
        values, _, end = read_fields(declaration, data, 0)
    except FrameError as error:
        raise ProofBundleError(f"not a {what}: {error}") from None
    if end != len(data):
        raise ProofBundleError(f"not a {what}: {len(data) - end} bytes follow its end at {end}")
    return values


def _entry_value(entry: Entry) -> dict[str, Any]:
    return {"index": entry.index, "checkpoint": entry.checkpoint, "proof": entry.proof}


def _entry(value: dict[str, Any]) -> Entry:
    return Entry(value["index"], value["checkpoint"], tuple(value["proof"]))
