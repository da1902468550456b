"""The registry's tables.

Hashes and keys are bytes, times Unix seconds UTC, energies mJ, powers mW, amounts 1e-6 t. A row that says a thing happened is never
changed into one that says it did not: states only move forward, by the tables in `judging` and `minting`.
"""

from __future__ import annotations

import enum
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Enum, ForeignKey, Index, LargeBinary, MetaData, String, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from thermogen_esf.evidence.attestation.quorum import DayState

HASH = LargeBinary(32)
IDENTITY = LargeBinary(8)


class Base(DeclarativeBase):
    """Names every constraint, so that a migration can speak of it."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {int: BigInteger, dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012  SQLAlchemy's declared form


class BatchStatus(enum.StrEnum):
    """What is thought of a stored batch."""

    STORED = "stored"
    """Not judged yet: its predecessor has not arrived."""
    BELIEVED = "believed"
    REFUSED = "refused"


class AttestedMintState(enum.StrEnum):
    """How far the mint of an attested day has come."""

    WAITING = "waiting"
    """For a person's decision."""
    MINTING = "minting"
    MINTED = "minted"
    REJECTED = "rejected"
    BELOW_LEAST_MINT = "below-least-mint"
    REFUSED = "refused"
    """A verifier would refuse its bundle."""


class MintState(enum.StrEnum):
    """How far a mint has come."""

    REQUESTED = "requested"
    APPROVED = "approved"
    MINTING = "minting"
    MINTED = "minted"
    REJECTED = "rejected"
    FAILED = "failed"


def _word(kind: type[enum.StrEnum], length: int = 16) -> Enum:
    return Enum(
        kind, native_enum=False, create_constraint=True, length=length, values_callable=lambda members: [member.value for member in members]
    )


class Site(Base):
    """A site that something arrived from."""

    __tablename__ = "sites"

    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    identity: Mapped[bytes] = mapped_column(IDENTITY, index=True)
    first_seen: Mapped[int]
    last_seen: Mapped[int]


class Batch(Base):
    """A batch that could be read, whatever is thought of it.

    Evidence is what it says and who signed it, not how it came: `identity` is the site that the batch itself names.
    """

    __tablename__ = "batches"
    __table_args__ = (
        # Only one batch of an epoch can be believed: what a mint consumes is unambiguous.
        Index("uq_batches_believed_epoch", "identity", "epoch", unique=True, sqlite_where=text("status = 'believed'")),
        Index("uq_batches_believed_number", "identity", "number", unique=True, sqlite_where=text("status = 'believed'")),
        Index("ix_batches_identity_epoch", "identity", "epoch"),
    )

    hash: Mapped[bytes] = mapped_column(HASH, primary_key=True)
    identity: Mapped[bytes] = mapped_column(IDENTITY)
    sender: Mapped[str] = mapped_column(String(128))
    """Whose topic it came by first."""
    number: Mapped[int]
    epoch: Mapped[int]
    previous: Mapped[bytes] = mapped_column(HASH, index=True)
    root: Mapped[bytes] = mapped_column(HASH)
    boot_count: Mapped[int]
    first_sequence: Mapped[int]
    frame_count: Mapped[int]
    alert_count: Mapped[int]
    sealed_at: Mapped[int]
    received_at: Mapped[int]
    mean_power_mw: Mapped[int]
    status: Mapped[BatchStatus] = mapped_column(_word(BatchStatus), index=True)
    checks: Mapped[list[Any]]
    """[{name, passed, detail}] in the order in which they were made."""
    body: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)

    @property
    def last_sequence(self) -> int:
        """Sequence of the last frame; the first's where there is none."""
        return self.first_sequence + max(self.frame_count, 1) - 1

    @property
    def signed(self) -> bool:
        """Whether a key of the site signed it, as far as it has been judged."""
        return any(check["name"] == "signature" and check["passed"] for check in self.checks)

    @property
    def reasons(self) -> list[str]:
        """Why the batch is not believed, or not yet."""
        waiting = "waiting for predecessor: " if self.status is BatchStatus.STORED else ""
        return [f"{waiting}{check['name']}: {check['detail']}" for check in self.checks if not check["passed"]]


class Receipt(Base):
    """The receipt that a sender was given: the same bytes again for the same message."""

    __tablename__ = "receipts"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    site: Mapped[str] = mapped_column(String(128))
    batch_hash: Mapped[bytes] = mapped_column(HASH)
    frame: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (Index("uq_receipts_site_batch_hash", "site", "batch_hash", unique=True),)


class Quarantined(Base):
    """A message that could not be read, put aside."""

    __tablename__ = "quarantine"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    site: Mapped[str] = mapped_column(String(128))
    topic: Mapped[str] = mapped_column(String(16))
    hash: Mapped[bytes] = mapped_column(HASH)
    size: Mapped[int]
    reason: Mapped[str] = mapped_column(String(500))
    received_at: Mapped[int]
    body: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    """None where it was too large to keep. What was receipted is always here."""

    __table_args__ = (Index("uq_quarantine_site_topic_hash", "site", "topic", "hash", unique=True),)


class LiveFrame(Base):
    """The newest unsigned frame of a site: for the page, never evidence."""

    __tablename__ = "live_frames"

    site: Mapped[str] = mapped_column(String(128), primary_key=True)
    time: Mapped[int]
    received_at: Mapped[int]
    frame: Mapped[bytes] = mapped_column(LargeBinary)


class Alert(Base):
    """An alert, from its own message or from a batch; both carry the same bytes and are one row."""

    __tablename__ = "alerts"

    hash: Mapped[bytes] = mapped_column(HASH, primary_key=True)
    site: Mapped[str] = mapped_column(String(128))
    time: Mapped[int]
    code: Mapped[int]
    severity: Mapped[int]
    raised: Mapped[bool]
    point: Mapped[int]
    value: Mapped[int]
    threshold: Mapped[int]
    text: Mapped[str] = mapped_column(String(120))
    received_at: Mapped[int]

    __table_args__ = (Index("ix_alerts_site_time", "site", "time"),)


class Command(Base):
    """A command that was made for a site. Its number is never given twice: a site executes a number at most once."""

    __tablename__ = "commands"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    site: Mapped[str] = mapped_column(String(128), index=True)
    code: Mapped[int]
    first_argument: Mapped[int]
    second_argument: Mapped[int]
    expires_at: Mapped[int]
    """Site time."""
    made_at: Mapped[int]
    frame: Mapped[bytes] = mapped_column(LargeBinary)


class Acknowledgement(Base):
    """A site's signed answer to a command."""

    __tablename__ = "acknowledgements"

    site: Mapped[str] = mapped_column(String(128), primary_key=True)
    command: Mapped[int] = mapped_column(primary_key=True)
    result: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(120))
    received_at: Mapped[int]
    frame: Mapped[bytes] = mapped_column(LargeBinary)


class ScadaFrame(Base):
    """A signed frame of SCADA's writes, as it came."""

    __tablename__ = "scada_frames"

    hash: Mapped[bytes] = mapped_column(HASH, primary_key=True)
    site: Mapped[str] = mapped_column(String(128), index=True)
    frame: Mapped[bytes] = mapped_column(LargeBinary)


class ScadaWrite(Base):
    """One event of SCADA at a site, from a frame that the site signed: the first one that came with its number."""

    __tablename__ = "scada_writes"

    site: Mapped[str] = mapped_column(String(128), primary_key=True)
    boot_count: Mapped[int] = mapped_column(primary_key=True)
    event: Mapped[int] = mapped_column(primary_key=True)
    time: Mapped[int]
    client: Mapped[int]
    """IPv4 address."""
    address: Mapped[int]
    old: Mapped[int]
    new: Mapped[int]
    kind: Mapped[int]
    count: Mapped[int]
    received_at: Mapped[int]
    frame: Mapped[bytes] = mapped_column(HASH)

    __table_args__ = (Index("ix_scada_writes_site_time", "site", "time"),)


class MintRequest(Base):
    """A request to mint, and how far it has come."""

    __tablename__ = "mint_requests"

    hash: Mapped[bytes] = mapped_column(HASH, primary_key=True)
    site: Mapped[str] = mapped_column(String(128), index=True)
    first_epoch: Mapped[int]
    last_epoch: Mapped[int]
    amount: Mapped[int]
    document: Mapped[bytes] = mapped_column(LargeBinary)
    """The canonical request: what `hash` is the hash of, and what an approver signs."""
    state: Mapped[MintState] = mapped_column(_word(MintState), index=True)
    reason: Mapped[str] = mapped_column(String(500), default="")
    """Why it failed; empty while it has not."""
    methodology_hash: Mapped[bytes] = mapped_column(HASH)
    previous: Mapped[bytes | None] = mapped_column(HASH)
    """The minted request whose remainder this one carries on."""
    vintage: Mapped[int]
    number: Mapped[int]
    """Of the request within its vintage; the credit's serial has it."""
    serial: Mapped[str] = mapped_column(String(32), unique=True)
    created_at: Mapped[int]
    changed_at: Mapped[int]


class ConsumedEpoch(Base):
    """An epoch of a site that a mint has used, by request or by attestation. The primary key is the rule: at most one mint."""

    __tablename__ = "consumed_epochs"

    site: Mapped[str] = mapped_column(String(128), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    request_hash: Mapped[bytes | None] = mapped_column(ForeignKey("mint_requests.hash"), index=True)
    attestation: Mapped[bytes | None] = mapped_column(ForeignKey("attested_mints.attestation"), index=True)
    """Exactly one of the two says what used it."""

    @property
    def used_by(self) -> bytes:
        """Hash of the request or attestation."""
        return self.request_hash or self.attestation or b""

    __table_args__ = (CheckConstraint("(request_hash IS NULL) <> (attestation IS NULL)", name="one_use"),)


class Approval(Base):
    """The decision on a request, as its approver signed it. One a request."""

    __tablename__ = "approvals"

    request_hash: Mapped[bytes] = mapped_column(ForeignKey("mint_requests.hash"), primary_key=True)
    approver: Mapped[str] = mapped_column(String(128))
    role: Mapped[str] = mapped_column(String(128))
    decision: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(1000))
    time: Mapped[int]
    document: Mapped[bytes] = mapped_column(LargeBinary)
    signature: Mapped[bytes] = mapped_column(LargeBinary)


class Credit(Base):
    """An issued block of credits, with the evidence that anybody can check."""

    __tablename__ = "credits"

    serial: Mapped[str] = mapped_column(String(32), primary_key=True)
    request_hash: Mapped[bytes] = mapped_column(ForeignKey("mint_requests.hash"), unique=True)
    site: Mapped[str] = mapped_column(String(128), index=True)
    amount: Mapped[int]
    mint: Mapped[str] = mapped_column(String(64), unique=True)
    """The ledger's address of the block, base58."""
    transaction: Mapped[str] = mapped_column(String(128))
    issued_at: Mapped[int]
    bundle: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)


class LogEntry(Base):
    """An entry of the log of attestation; `number` is its index, from 0 without a gap, and no entry ever changes."""

    __tablename__ = "log_entries"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    entry: Mapped[bytes] = mapped_column(LargeBinary)


class StoredCheckpoint(Base):
    """A checkpoint as it was signed and published."""

    __tablename__ = "checkpoints"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(index=True)
    """Entries of the log at it."""
    signed: Mapped[bytes] = mapped_column(LargeBinary)


class LoggedDay(Base):
    """A day whose root is in the log, at its first entry; two of a site and day with different roots are both kept."""

    __tablename__ = "logged_days"

    entry: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    site: Mapped[bytes] = mapped_column(IDENTITY)
    day: Mapped[int]
    root: Mapped[bytes] = mapped_column(HASH)
    opening: Mapped[bytes] = mapped_column(LargeBinary)
    """The seal before the day's first; empty where it begins with a boot's first."""
    seals: Mapped[bytes] = mapped_column(LargeBinary)
    """The day's, one after the other, and the closing one last."""

    __table_args__ = (Index("ix_logged_days_site_day", "site", "day"),)


class StoredSeal(Base):
    """A seal that a VRF key of the site proved; two of one epoch are both kept."""

    __tablename__ = "seals"

    vrf_key: Mapped[bytes] = mapped_column(HASH, primary_key=True)
    """That proved it: a board that replaces another has its own. Empty in a registry of before, until it is opened with the lists."""
    input_hash: Mapped[bytes] = mapped_column(HASH, primary_key=True)
    """SHA3-256 of what was proven: another proof of the same is the same seal."""
    site: Mapped[bytes] = mapped_column(IDENTITY)
    epoch: Mapped[int]
    seal: Mapped[bytes] = mapped_column(LargeBinary)
    logged: Mapped[bool] = mapped_column(default=False, index=True)
    received_at: Mapped[int]

    __table_args__ = (Index("ix_seals_site_epoch", "site", "epoch"), Index("ix_seals_vrf_key_epoch", "vrf_key", "epoch"))


class StoredStatement(Base):
    """A witness's statement as it came, believed or not."""

    __tablename__ = "statements"

    document_hash: Mapped[bytes] = mapped_column(HASH, primary_key=True)
    site: Mapped[bytes] = mapped_column(IDENTITY)
    """Whose day it is of."""
    day: Mapped[int]
    beacon_number: Mapped[int]
    witness: Mapped[bytes] = mapped_column(IDENTITY)
    signed: Mapped[bytes] = mapped_column(LargeBinary)
    refused: Mapped[str] = mapped_column(String(500))
    """Why it counts for nothing; empty where it is valid."""
    entry: Mapped[int | None]
    """Its index in the log; None until it is there, and where it is refused."""
    received_at: Mapped[int]

    __table_args__ = (Index("ix_statements_site_day", "site", "day"),)


class AttestedDay(Base):
    """What became of one attempt to attest a site's day."""

    __tablename__ = "attested_days"

    site: Mapped[str] = mapped_column(String(128), primary_key=True)
    day: Mapped[int] = mapped_column(primary_key=True)
    """Days since 1970-01-01, UTC."""
    attempt: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[DayState] = mapped_column(_word(DayState, 24))
    detail: Mapped[str] = mapped_column(String(500))
    label: Mapped[str | None] = mapped_column(String(24))
    epoch: Mapped[int | None]
    """That a dissent named."""
    agreeing: Mapped[int]
    received: Mapped[int]
    energy_mj: Mapped[int | None]
    gas: Mapped[int | None]
    changed_at: Mapped[int]


class AttestedMint(Base):
    """The attestation of a site's day, and the credit that came of it. The primary key is the rule: at most one a day."""

    __tablename__ = "attested_mints"

    site: Mapped[str] = mapped_column(String(128), primary_key=True)
    day: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int]
    attestation: Mapped[bytes] = mapped_column(HASH, unique=True)
    """Its hash: what an approver signs and the ledger's address follows from."""
    signed: Mapped[bytes] = mapped_column(LargeBinary)
    amount: Mapped[int]
    state: Mapped[AttestedMintState] = mapped_column(_word(AttestedMintState, 24), index=True)
    detail: Mapped[str] = mapped_column(String(500))
    vintage: Mapped[int]
    number: Mapped[int]
    serial: Mapped[str] = mapped_column(String(32), unique=True)
    approval: Mapped[bytes | None] = mapped_column(LargeBinary)
    approval_signature: Mapped[bytes | None] = mapped_column(LargeBinary)
    mint: Mapped[str | None] = mapped_column(String(64), unique=True)
    transaction: Mapped[str | None] = mapped_column(String(128))
    bundle: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    changed_at: Mapped[int]
