"""What came out for a proof bundle: eight steps, the first thing that is wrong, and what a belief rests on."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..check import Check
from .attested import Attestation


@dataclass(frozen=True)
class Step:
    """One of the eight, and its checks."""

    title: str
    checks: tuple[Check, ...]


@dataclass
class ProofReport:
    """What came out for a bundle."""

    root_fingerprint: bytes
    bundle_hash: bytes
    steps: list[Step] = field(default_factory=list)
    attestation: Attestation | None = None
    demonstration: bool | None = None
    """What the trust list says; None where none was read."""
    rests_on: list[str] = field(default_factory=list)

    @property
    def first_wrong(self) -> Check | None:
        """The first check that refuses, or None."""
        return next((check for step in self.steps for check in step.checks if check.passed is False), None)

    @property
    def believed(self) -> bool:
        """All eight steps were made and nothing refuses."""
        return self.first_wrong is None and len(self.steps) == 8

    def to_json(self) -> dict[str, object]:
        """The report as JSON types."""
        attestation, wrong = self.attestation, self.first_wrong
        return {
            "believed": self.believed,
            "root_sha3_256": self.root_fingerprint.hex(),
            "bundle_sha3_256": self.bundle_hash.hex(),
            "attestation": None if attestation is None else {**attestation.values(), "hash": attestation.hash.hex()},
            "demonstration": self.demonstration,
            "first_wrong": None if wrong is None else wrong.to_json(),
            "steps": [{"title": step.title, "checks": [check.to_json() for check in step.checks]} for step in self.steps],
            "rests_on": self.rests_on if self.believed else [],
        }
