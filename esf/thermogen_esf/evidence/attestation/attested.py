"""The attestation: what came out for a day, in one document that a ledger can name by its hash. All of it is recomputed by a verifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ...signatures import SigningKey
from ..canonical import Value
from ..document import Document
from ..errors import EvidenceError
from ..record import MAX_STORED, Record
from ..trust import NAME
from .quorum import BASELINE_DAYS, DayState, Label
from .signed import Signed

ATTESTATION_CONTEXT = b"thermogen/attestation/v1"


class AttestationError(EvidenceError):
    """Bytes that are not an attestation."""


@dataclass(frozen=True)
class Attestation(Document):
    """A day with a quorum, and what it is worth under one methodology. AttestationError for fields that cannot be."""

    what: ClassVar[str] = "attestation"
    error: ClassVar[type[EvidenceError]] = AttestationError

    site: str
    day: int
    """Days since 1970-01-01, UTC."""
    root: bytes
    """Root over the day's seals, 32 bytes."""
    attempt: int
    beacon_number: int
    """Number of the checkpoint that made the beacon."""
    state: DayState
    label: Label
    agreeing: int
    received: int
    energy_mj: int
    """Lowest claim of those who agree."""
    gas: int
    """Lowest claim, 1/86,400 cubic foot."""
    methodology: str
    methodology_hash: bytes
    baseline_evidence: bytes | None
    """Hash of what shows the baseline, where the methodology needs it."""
    carry_in: int
    """Parts of a unit."""
    carry_out: int
    amount: int
    """1e-6 t CO2e."""
    history_mj: tuple[int, ...]
    """Energy of each of at most 30 attested days before, oldest first: what the day was compared with."""
    previous: bytes | None
    """Hash of the site's attestation before this one under this methodology; None for the first, whose carry_in is 0."""

    def values(self) -> dict[str, Value]:
        """The fields as JSON values."""
        return {
            "site": self.site,
            "day": self.day,
            "root": self.root.hex(),
            "attempt": self.attempt,
            "beacon_number": self.beacon_number,
            "state": self.state.value,
            "label": self.label.value,
            "agreeing": self.agreeing,
            "received": self.received,
            "energy_mj": self.energy_mj,
            "gas": self.gas,
            "methodology": {"id": self.methodology, "hash": self.methodology_hash.hex()},
            "baseline_evidence": None if self.baseline_evidence is None else self.baseline_evidence.hex(),
            "carry_in": self.carry_in,
            "carry_out": self.carry_out,
            "amount": self.amount,
            "history": [{"energy_mj": each} for each in self.history_mj],
            "previous": None if self.previous is None else self.previous.hex(),
        }

    @classmethod
    def fields(cls, record: Record) -> dict[str, Any]:
        """The fields from JSON values."""
        methodology = record.record("methodology")
        fields = {
            "site": record.text("site", pattern=NAME),
            "day": record.integer("day", 0, 2**32 - 1),
            "root": record.octets("root", 32),
            "attempt": record.integer("attempt", 1, 255),
            "beacon_number": record.integer("beacon_number", 0, MAX_STORED),
            "state": DayState(record.text("state", pattern="|".join(DayState))),
            "label": Label(record.text("label", pattern="|".join(Label))),
            "agreeing": record.integer("agreeing", 0, 255),
            "received": record.integer("received", 0, 255),
            "energy_mj": record.integer("energy_mj", 0, MAX_STORED),
            "gas": record.integer("gas", 0, MAX_STORED),
            "methodology": methodology.text("id", 40),
            "methodology_hash": methodology.octets("hash", 32),
            "baseline_evidence": record.octets_or_none("baseline_evidence", 32),
            "carry_in": record.integer("carry_in", 0, MAX_STORED),
            "carry_out": record.integer("carry_out", 0, MAX_STORED),
            "amount": record.integer("amount", 0, MAX_STORED),
            "history_mj": tuple(_read_energy(entry) for entry in record.records("history", BASELINE_DAYS)),
            "previous": record.octets_or_none("previous", 32),
        }
        methodology.end()
        return fields

    def sign(self, key: SigningKey) -> Signed:
        """Signed by the cloud that emits it."""
        return Signed.by(self.encode(), [key], ATTESTATION_CONTEXT)


def _read_energy(entry: Record) -> int:
    energy = entry.integer("energy_mj", 0, MAX_STORED)
    entry.end()
    return energy
