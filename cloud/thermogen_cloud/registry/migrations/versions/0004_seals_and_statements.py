"""Seals and statements as they came, the days and mints that came of them, and how long the log was at each checkpoint."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATES = ("waiting", "minting", "minted", "rejected", "below-least-mint", "refused")
_LENGTH_AT, _DOCUMENT_AT = 8, 12
"""Where a signed document's length and bytes begin."""


def upgrade() -> None:
    """Makes the tables, and reads each checkpoint's size from the checkpoint."""
    op.create_table(
        "seals",
        sa.Column("input_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("site", sa.LargeBinary(length=8), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.Column("logged", sa.Boolean(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("input_hash", name=op.f("pk_seals")),
    )
    op.create_index("ix_seals_site_epoch", "seals", ["site", "epoch"])
    op.create_index(op.f("ix_seals_logged"), "seals", ["logged"])
    op.create_table(
        "statements",
        sa.Column("document_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("site", sa.LargeBinary(length=8), nullable=False),
        sa.Column("day", sa.BigInteger(), nullable=False),
        sa.Column("beacon_number", sa.BigInteger(), nullable=False),
        sa.Column("witness", sa.LargeBinary(length=8), nullable=False),
        sa.Column("signed", sa.LargeBinary(), nullable=False),
        sa.Column("refused", sa.String(length=500), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("document_hash", name=op.f("pk_statements")),
    )
    op.create_index("ix_statements_site_day", "statements", ["site", "day"])
    op.create_table(
        "logged_days",
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("site", sa.LargeBinary(length=8), nullable=False),
        sa.Column("day", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("opening", sa.LargeBinary(), nullable=False),
        sa.Column("seals", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_logged_days")),
    )
    op.create_index("ix_logged_days_site_day", "logged_days", ["site", "day"])
    op.create_table(
        "attested_mints",
        sa.Column("site", sa.String(length=128), nullable=False),
        sa.Column("day", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("attestation", sa.LargeBinary(length=32), nullable=False),
        sa.Column("signed", sa.LargeBinary(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column(
            "state", sa.Enum(*STATES, name="attestedmintstate", native_enum=False, create_constraint=True, length=24), nullable=False
        ),
        sa.Column("detail", sa.String(length=500), nullable=False),
        sa.Column("vintage", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("serial", sa.String(length=32), nullable=False),
        sa.Column("approval", sa.LargeBinary(), nullable=True),
        sa.Column("approval_signature", sa.LargeBinary(), nullable=True),
        sa.Column("mint", sa.String(length=64), nullable=True),
        sa.Column("transaction", sa.String(length=128), nullable=True),
        sa.Column("bundle", sa.LargeBinary(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site", "day", name=op.f("pk_attested_mints")),
        sa.UniqueConstraint("attestation", name=op.f("uq_attested_mints_attestation")),
        sa.UniqueConstraint("serial", name=op.f("uq_attested_mints_serial")),
        sa.UniqueConstraint("mint", name=op.f("uq_attested_mints_mint")),
    )
    op.create_index(op.f("ix_attested_mints_state"), "attested_mints", ["state"])
    kept = op.get_bind().execute(sa.text("SELECT number, signed FROM checkpoints")).all()
    op.drop_table("checkpoints")
    checkpoints = op.create_table(
        "checkpoints",
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("signed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_checkpoints")),
    )
    op.create_index(op.f("ix_checkpoints_size"), "checkpoints", ["size"])
    if kept:
        op.bulk_insert(checkpoints, [{"number": number, "size": _size(signed), "signed": signed} for number, signed in kept])


def _size(signed: bytes) -> int:
    length = int.from_bytes(signed[_LENGTH_AT:_DOCUMENT_AT], "big")
    return int(json.loads(signed[_DOCUMENT_AT : _DOCUMENT_AT + length])["size"])
