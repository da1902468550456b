"""The log of attestation, its checkpoints, and what became of each site's days."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATES = (
    "waiting-for-beacon",
    "collecting",
    "attested",
    "deferred",
    "review",
    "roots-disagree",
    "claims-disagree",
    "off-baseline",
    "methodology-error",
    "suspended",
)


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "log_entries",
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_log_entries")),
    )
    op.create_table(
        "checkpoints",
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("signed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_checkpoints")),
    )
    op.create_table(
        "attested_days",
        sa.Column("site", sa.String(length=128), nullable=False),
        sa.Column("day", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Enum(*STATES, name="daystate", native_enum=False, create_constraint=True, length=24), nullable=False),
        sa.Column("detail", sa.String(length=500), nullable=False),
        sa.Column("label", sa.String(length=24), nullable=True),
        sa.Column("epoch", sa.BigInteger(), nullable=True),
        sa.Column("agreeing", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("energy_mj", sa.BigInteger(), nullable=True),
        sa.Column("gas", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site", "day", "attempt", name=op.f("pk_attested_days")),
    )
