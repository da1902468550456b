"""Seals: a node's own proof of what an epoch holds.

A seal is the input that the gateware proved (`vrf_inputs`, 106 bytes) followed by the proof (80 bytes). Its output follows from the proof
and is the only one that the key has for that input. Seals of a boot are chained: each names the first half of the output of the one before.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ... import vrf
from ...vrf_inputs import HASH_BYTES, SEAL_BYTES, SEAL_FIELDS, seal_fields, seal_input
from ..errors import EvidenceError

ENCODED_BYTES = SEAL_BYTES + vrf.PROOF_BYTES
EPOCHS_A_DAY = 96
NO_PREVIOUS = bytes(HASH_BYTES)
"""What the first seal of a boot names."""

_NUMBERS = ("epoch", "boot_count", "leaf_count")


class SealError(EvidenceError):
    """Bytes that are not a seal, or fields that cannot be one."""


@dataclass(frozen=True)
class Seal:
    """A seal, not judged yet. SealError where a field does not fit or the proof is none."""

    site: bytes
    """Identity, 8 bytes."""
    epoch: int
    """Index of the quarter-hour."""
    boot_count: int
    """Of the gateware's own monotonic counter, not the leaves' host-written one."""
    previous: bytes
    """First half of the output of the seal before it in this boot; NO_PREVIOUS for a boot's first."""
    leaf_count: int
    root: bytes
    """Merkle root over the epoch's leaves, 32 bytes."""
    profile_hash: bytes
    """8 bytes."""
    calibration_hash: bytes
    """8 bytes."""
    proof: bytes

    def __post_init__(self) -> None:
        try:
            self.output  # noqa: B018 - a seal without an output is none
            self.alpha  # noqa: B018
        except (ValueError, OverflowError) as error:
            raise SealError(f"not a seal: {error}") from None

    @cached_property
    def alpha(self) -> bytes:
        """What was proven, 106 bytes."""
        values = {name: getattr(self, name) for name in SEAL_FIELDS}
        return seal_input({**values, **{name: values[name].to_bytes(SEAL_FIELDS[name], "big") for name in _NUMBERS}})

    @cached_property
    def output(self) -> bytes:
        """The output that the proof stands for, 64 bytes."""
        return vrf.output(self.proof)

    @property
    def link(self) -> bytes:
        """What the next seal of this boot names, 32 bytes."""
        return self.output[:HASH_BYTES]

    @property
    def day(self) -> int:
        """Days since 1970-01-01, UTC, of the epoch."""
        return self.epoch // EPOCHS_A_DAY

    def encode(self) -> bytes:
        """Input and proof, 186 bytes."""
        return self.alpha + self.proof

    @classmethod
    def decode(cls, data: bytes) -> Seal:
        """The seal that these 186 bytes are; SealError where they are none."""
        if len(data) != ENCODED_BYTES:
            raise SealError(f"not a seal: {len(data)} bytes instead of {ENCODED_BYTES}")
        try:
            fields = seal_fields(data[:SEAL_BYTES])
        except ValueError as error:
            raise SealError(f"not a seal: {error}") from None
        numbers = {name: int.from_bytes(fields.pop(name), "big") for name in _NUMBERS}
        return cls(proof=data[SEAL_BYTES:], **fields, **numbers)  # type: ignore[arg-type]

    def proven_by(self, key: bytes) -> bool:
        """Whether the proof is this VRF key's for the fields."""
        return vrf.verify(key, self.alpha, self.proof) == self.output
