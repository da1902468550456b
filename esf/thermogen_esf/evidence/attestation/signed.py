"""A document and the signatures under it, in one file: trust lists, checkpoints and statements come this way.

Integers are big-endian. What is signed is the document's bytes with a context that says what kind of document it is; nothing may follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from construct import Bytes, Const, GreedyBytes, Int8ub, Int32ub, Prefixed, PrefixedArray, Struct

from ...frames import FrameError
from ...frames.reading import read_fields
from ...signatures import KEY_ID_BYTES, SIGNATURE_BYTES, SigningKey, verify
from ..errors import EvidenceError

MAGIC = b"TZSIGNED"
MAX_SIGNATURES = 32

SIGNED = Struct(
    "magic" / Const(MAGIC) * "`TZSIGNED`",
    "document" / Prefixed(Int32ub, GreedyBytes) * "length u32 and the document in canonical JSON",
    "signatures"
    / PrefixedArray(Int8ub, Struct("key_id" / Bytes(KEY_ID_BYTES), "signature" / Bytes(SIGNATURE_BYTES)))
    * "count u8 and, each, first 8 bytes of SHA3-256 of the public key and ML-DSA-87 of the document",
)


class SignedError(EvidenceError):
    """Bytes that are not a signed document."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature and the eight bytes that name its key."""

    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """A document's bytes with signatures, neither read nor judged."""

    document: bytes
    signatures: tuple[Signature, ...]

    @classmethod
    def by(cls, document: bytes, keys: Sequence[SigningKey], context: bytes) -> Signed:
        """Sign with each of the keys."""
        return cls(document, tuple(Signature(key.key_id, key.sign(document, context)) for key in keys))

    def encode(self) -> bytes:
        """The file's bytes. ValueError for more than 32 signatures."""
        if len(self.signatures) > MAX_SIGNATURES:
            raise ValueError(f"{len(self.signatures)} signatures; a document has at most {MAX_SIGNATURES}")
        entries = [{"key_id": each.key_id, "signature": each.signature} for each in self.signatures]
        data: bytes = SIGNED.build({"document": self.document, "signatures": entries})
        return data

    @classmethod
    def parse(cls, data: bytes) -> Signed:
        """Read strictly; SignedError where `data` is not exactly one."""
        try:
            values, _, end = read_fields(SIGNED, data, 0)
        except FrameError as error:
            raise SignedError(f"not a signed document: {error}") from None
        if end != len(data):
            raise SignedError(f"not a signed document: {len(data) - end} bytes follow the last signature")
        if len(values["signatures"]) > MAX_SIGNATURES:
            raise SignedError(f"not a signed document: {len(values['signatures'])} signatures, at most {MAX_SIGNATURES} are allowed")
        return cls(values["document"], tuple(Signature(each["key_id"], each["signature"]) for each in values["signatures"]))

    def signed_by(self, public_key: bytes, key_id: bytes, context: bytes) -> bool:
        """Whether one of the signatures is this key's."""
        return any(each.key_id == key_id and verify(public_key, self.document, each.signature, context) for each in self.signatures)
