"""An attestation uses epochs as a request does: what was attested before uses its epochs from now on."""

from __future__ import annotations

from hashlib import sha3_256

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_SEAL_BYTES, _EPOCH = 186, slice(16, 20)
"""Of an encoded seal, and where its epoch is."""


def upgrade() -> None:
    """Makes the table again, which SQLite cannot change, and adds the epochs of every attestation."""
    kept = op.get_bind().execute(sa.text("SELECT site, epoch, request_hash FROM consumed_epochs")).all()
    op.drop_table("consumed_epochs")
    consumed = op.create_table(
        "consumed_epochs",
        sa.Column("site", sa.String(length=128), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("attestation", sa.LargeBinary(length=32), nullable=True),
        sa.CheckConstraint("(request_hash IS NULL) <> (attestation IS NULL)", name=op.f("ck_consumed_epochs_one_use")),
        sa.ForeignKeyConstraint(["request_hash"], ["mint_requests.hash"], name=op.f("fk_consumed_epochs_request_hash")),
        sa.ForeignKeyConstraint(["attestation"], ["attested_mints.attestation"], name=op.f("fk_consumed_epochs_attestation")),
        sa.PrimaryKeyConstraint("site", "epoch", name=op.f("pk_consumed_epochs")),
    )
    op.create_index(op.f("ix_consumed_epochs_request_hash"), "consumed_epochs", ["request_hash"])
    op.create_index(op.f("ix_consumed_epochs_attestation"), "consumed_epochs", ["attestation"])
    rows = {(site, epoch): {"site": site, "epoch": epoch, "request_hash": used, "attestation": None} for site, epoch, used in kept}
    mints = op.get_bind().execute(sa.text("SELECT site, day, attestation, state FROM attested_mints ORDER BY day")).all()
    for site, day, attestation, state in mints:
        epochs = _sealed(site, day)
        used = next((epoch for epoch in epochs if (site, epoch) in rows), None)
        if used is None:
            rows |= {(site, epoch): {"site": site, "epoch": epoch, "request_hash": None, "attestation": attestation} for epoch in epochs}
        elif state == "waiting":
            values = {"site": site, "day": day, "detail": f"epoch {used} was used by another mint"}
            op.get_bind().execute(
                sa.text("UPDATE attested_mints SET state = 'refused', detail = :detail WHERE site = :site AND day = :day"), values
            )
    if rows:
        op.bulk_insert(consumed, list(rows.values()))


def _sealed(site: str, day: int) -> list[int]:
    """The epochs of the day as it was logged first; its closing seal, the last, is of a later one."""
    identity = sha3_256(site.encode()).digest()[:8]
    chosen = sa.text("SELECT seals FROM logged_days WHERE site = :site AND day = :day ORDER BY entry LIMIT 1")
    seals = op.get_bind().execute(chosen, {"site": identity, "day": day}).scalar() or b""
    starts = range(0, len(seals) - _SEAL_BYTES, _SEAL_BYTES)
    return [int.from_bytes(seals[start : start + _SEAL_BYTES][_EPOCH], "big") for start in starts]
