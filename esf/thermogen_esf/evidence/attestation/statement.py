"""What a witness says of a day: canonical JSON, signed with its site's ML-DSA-87 key.

A witness proves that the day was published and that its arithmetic holds. It does not prove that a sensor told the truth.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, ClassVar

from ... import vrf
from ...signatures import SigningKey
from ..canonical import Value
from ..check import Check, Reason, passed, refused
from ..document import Document
from ..errors import EvidenceError
from ..record import MAX_STORED, Record
from .day import epochs_of
from .draw import Drawing, judge_draw
from .enrolment import Enrolled, judge_enrolment
from .signed import Signed
from .trust import FleetTrust

STATEMENT_CONTEXT = b"thermogen/statement/v1"


class StatementError(EvidenceError):
    """Bytes that are not a statement, or fields that contradict one another."""


class Opinion(enum.StrEnum):
    """What a witness came to."""

    AGREE = "agree"
    DISSENT = "dissent"
    ABSTAIN = "abstain"


class Why(enum.StrEnum):
    """Why a witness dissents or abstains. A published code never changes its meaning."""

    ROOT_DIFFERS = "root-differs"
    """Dissent: the leaves of the epoch's batch do not give the sealed root, or the seals not the day's."""
    SEAL_REFUSED = "seal-refused"
    """Dissent: a seal is not proven, or the chain is broken."""
    BATCH_REFUSED = "batch-refused"
    """Dissent: a batch is not believed: its signature, sequence, times, counters."""
    IMPLAUSIBLE = "implausible"
    """Dissent: physics does not allow what the epoch claims."""
    TWO_BATCHES = "two-batches"
    """Dissent: two batches are signed for the epoch."""
    NOT_FETCHED = "not-fetched"
    """Abstention: not all batches of the day could be had."""
    NOT_IN_TIME = "not-in-time"
    """Abstention: the window was too short for the witness's link."""


DISSENTS = frozenset((Why.ROOT_DIFFERS, Why.SEAL_REFUSED, Why.BATCH_REFUSED, Why.IMPLAUSIBLE, Why.TWO_BATCHES))


@dataclass(frozen=True, slots=True)
class Claims:
    """What the witness recomputed over the day's contiguous runs; an agreement needs it."""

    energy_mj: int
    gas: int
    """1/86,400 cubic foot at the meter's reference condition."""


@dataclass(frozen=True)
class Statement(Document):
    """One witness's word on one drawing. StatementError for fields that cannot be together."""

    what: ClassVar[str] = "statement"
    error: ClassVar[type[EvidenceError]] = StatementError

    drawing: Drawing
    witness: bytes
    """Identity of the witness's site, 8 bytes."""
    proof: bytes
    """The draw's proof, 80 bytes."""
    opinion: Opinion
    why: Why | None
    """None where the witness agrees."""
    epoch: int | None
    """The epoch that a dissent names."""
    claims: Claims | None
    """Of an agreement."""
    time: int
    """Unix seconds, as the witness's clock says; nothing is decided by it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.opinion is Opinion.AGREE) != (self.claims is not None):
            raise StatementError("an agreement states what it recomputed, and nothing else does")
        dissents = self.opinion is Opinion.DISSENT
        if (self.why is None) != (self.opinion is Opinion.AGREE) or (self.why is not None and (self.why in DISSENTS) != dissents):
            raise StatementError(f"{self.opinion} does not go with {self.why or 'no reason'}")
        if dissents != (self.epoch is not None) or (self.epoch is not None and self.epoch not in epochs_of(self.drawing.day)):
            raise StatementError(f"a dissent names an epoch of day {self.drawing.day}, and nothing else does; this names {self.epoch}")

    def values(self) -> dict[str, Value]:
        """The fields as JSON values."""
        drawing, claims = self.drawing, self.claims
        return {
            "site": drawing.site.hex(),
            "day": drawing.day,
            "root": drawing.root.hex(),
            "beacon_number": drawing.beacon_number,
            "beacon": drawing.beacon.hex(),
            "witness": self.witness.hex(),
            "proof": self.proof.hex(),
            "opinion": self.opinion.value,
            "why": None if self.why is None else self.why.value,
            "epoch": self.epoch,
            "claims": None if claims is None else {"energy_mj": claims.energy_mj, "gas": claims.gas},
            "time": self.time,
        }

    @classmethod
    def fields(cls, record: Record) -> dict[str, Any]:
        """The fields from JSON values."""
        drawing = Drawing(
            record.octets("site", 8),
            record.integer("day", 0, 2**32 - 1),
            record.octets("root", 32),
            record.integer("beacon_number", 0, MAX_STORED),
            record.octets("beacon", 32),
        )
        fields: dict[str, Any] = {
            "drawing": drawing,
            "witness": record.octets("witness", 8),
            "proof": record.octets("proof", vrf.PROOF_BYTES),
            "opinion": Opinion(record.text("opinion", pattern="|".join(Opinion))),
            "time": record.time("time"),
        }
        why, epoch, claims = (record.take(name) for name in ("why", "epoch", "claims"))
        fields["why"] = None if why is None else Why(Record({"why": why}, "statement").text("why", pattern="|".join(Why)))
        fields["epoch"] = None if epoch is None else Record({"epoch": epoch}, "statement").integer("epoch", 0, 2**32 - 1)
        fields["claims"] = None if claims is None else _read_claims(Record(claims, "statement.claims"))
        return fields

    def sign(self, key: SigningKey) -> Signed:
        """Signed with the key of the witness's site."""
        return Signed.by(self.encode(), [key], STATEMENT_CONTEXT)


def _read_claims(record: Record) -> Claims:
    claims = Claims(record.integer("energy_mj", 0, MAX_STORED), record.integer("gas", 0, MAX_STORED))
    record.end()
    return claims


@dataclass(frozen=True, slots=True)
class Heard:
    """A statement that was judged, and when it was in the log."""

    statement: Statement | None
    """None where the bytes are not one."""
    operator: str
    """Of the witness's site."""
    checks: tuple[Check, ...]
    logged_at: int
    """Unix seconds of the first checkpoint that has its entry."""

    @property
    def valid(self) -> bool:
        """Nothing refused."""
        return self.statement is not None and all(check.passed for check in self.checks)


def judge_statement(signed: Signed, drawing: Drawing, witness: Enrolled, trust: FleetTrust, drawn_at: int, logged_at: int) -> Heard:
    """Whether a statement is that of a witness drawn for this drawing.

    `drawn_at` is the time of the beacon's checkpoint, `logged_at` that of the first checkpoint with the statement's entry.
    """
    site = witness.enrolment
    try:
        statement = Statement.parse(signed.document)
    except StatementError as error:
        return Heard(None, site.operator, (refused("statement reads", Reason.UNREADABLE, str(error)),), logged_at)
    checks = [_of_drawing(statement, drawing, site.identity), *judge_enrolment(witness, trust, drawn_at), _signature(signed, witness)]
    checks.append(judge_draw(site, statement.proof, drawing, trust.site_count))
    return Heard(statement, site.operator, tuple(checks), logged_at)


def _of_drawing(statement: Statement, drawing: Drawing, witness: bytes) -> Check:
    name = "statement of this drawing"
    if statement.drawing != drawing or statement.witness != witness:
        other = statement.drawing
        text = f"it is of day {other.day}, root {other.root.hex()}, beacon of checkpoint {other.beacon_number}"
        return refused(name, Reason.OTHER_DRAWING, text)
    return passed(name, f"day {drawing.day}, root {drawing.root.hex()}, beacon of checkpoint {drawing.beacon_number}")


def _signature(signed: Signed, witness: Enrolled) -> Check:
    site = witness.enrolment
    key = site.site_key
    if not signed.signed_by(key.public_key, key.key_id, STATEMENT_CONTEXT):
        return refused("statement signed", Reason.BAD_SIGNATURE, f"not the signature of {site.name}'s key {key.key_id.hex()}")
    return passed("statement signed", f"ML-DSA-87 by {site.name}'s key {key.key_id.hex()}")
