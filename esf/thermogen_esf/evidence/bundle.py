"""Bundles: all the evidence of one credit in one file, signed whole by the cloud that issued it.

The file is declared below; integers are big-endian. Every byte before the signature is signed, and no byte follows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from construct import Bytes, Const, ExprValidator, GreedyBytes, Int16ub, Int32ub, Prefixed, PrefixedArray, Struct

from ..frames import FrameError
from ..frames.reading import read_fields
from ..signatures import KEY_ID_BYTES, SIGNATURE_BYTES, SigningKey
from .approval import Approval
from .errors import EvidenceError
from .ledger_record import LedgerRecord
from .methodology import Methodology
from .mint import MAX_EPOCHS, MintRequest

MAGIC = b"TZBUNDLE"
VERSION = 1
CONTEXT = b"thermogen/bundle/v1"
MAX_BUNDLE_BYTES = 256 * 1024 * 1024
"""More than a month of full epochs with all their alerts needs; longer files are not read."""

_SECTION = Prefixed(Int32ub, GreedyBytes)

BUNDLE = Struct(
    "magic" / Const(MAGIC) * "`TZBUNDLE`",
    "version" / Const(VERSION, Int16ub) * "1",
    "time" / Int32ub * "Unix seconds, UTC, when the cloud made the bundle",
    "request" / _SECTION * "length u32 and the mint request in canonical JSON",
    "methodology" / _SECTION * "length u32 and the methodology in canonical JSON",
    "approval" / _SECTION * "length u32 and the approval in canonical JSON",
    "approval_signature" / Bytes(SIGNATURE_BYTES) * "ML-DSA-87 of the approval by the approver",
    "ledger" / _SECTION * "length u32 and the ledger record in canonical JSON",
    "batches"
    / PrefixedArray(ExprValidator(Int16ub, lambda count, _context: count <= MAX_EPOCHS), _SECTION)
    * "count u16 and, each with its length u32, the batches in the request's order",
    "key_id" / Bytes(KEY_ID_BYTES) * "first 8 bytes of SHA3-256 of the cloud's public key",
    "signature" / Bytes(SIGNATURE_BYTES) * "ML-DSA-87 of all bytes before this field by the cloud",
)


class BundleError(EvidenceError):
    """Bytes that are not a bundle. `offset` counts bytes from the start, `field` names what lies there."""

    def __init__(self, offset: int, field: str, problem: str) -> None:
        super().__init__(f"not a bundle: offset {offset}, {field}: {problem}")
        self.offset = offset
        self.field = field


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle's sections as bytes, not judged and but for the container not read yet."""

    time: int
    request: bytes
    methodology: bytes
    approval: bytes
    approval_signature: bytes
    ledger: bytes
    batches: tuple[bytes, ...]
    key_id: bytes
    signature: bytes
    signed: bytes
    """The bytes that the cloud signed."""

    @classmethod
    def parse(cls, data: bytes) -> Bundle:
        """The sections of a bundle; BundleError where `data` is not exactly one."""
        try:
            values, offsets, end = read_fields(BUNDLE, data, 0)
        except FrameError as error:
            raise BundleError(error.offset, error.field, error.problem) from None
        if end != len(data):
            raise BundleError(end, "signature", f"{len(data) - end} bytes follow the signature")
        return cls(
            **{name: value for name, value in values.items() if name not in ("magic", "version", "batches")},
            batches=tuple(values["batches"]),
            signed=data[: offsets["signature"]],
        )


def seal_bundle(
    *,
    request: MintRequest,
    methodology: Methodology,
    approval: Approval,
    approval_signature: bytes,
    ledger: LedgerRecord,
    batches: Sequence[bytes],
    time: int,
    key: SigningKey,
) -> bytes:
    """A credit's bundle, signed with the cloud's key.

    `batches` are whole frames in the request's order, `time` is now in Unix seconds. ValueError where the parts do not belong together.
    """
    if len(batches) != len(request.epochs):
        raise ValueError(f"the request claims {len(request.epochs)} epochs and {len(batches)} batches are given")
    if len(approval_signature) != SIGNATURE_BYTES:
        raise ValueError(f"the approval's signature has {len(approval_signature)} bytes instead of {SIGNATURE_BYTES}")
    fields = {
        "time": time,
        "request": request.encode(),
        "methodology": methodology.document,
        "approval": approval.encode(),
        "approval_signature": approval_signature,
        "ledger": ledger.encode(),
        "batches": list(batches),
        "key_id": key.key_id,
        "signature": bytes(SIGNATURE_BYTES),
    }
    signed: bytes = BUNDLE.build(fields)[:-SIGNATURE_BYTES]
    return signed + key.sign(signed, CONTEXT)
