"""What SCADA wrote to sites."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "scada_writes",
        sa.Column("site", sa.String(length=128), nullable=False),
        sa.Column("boot_count", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("client", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.BigInteger(), nullable=False),
        sa.Column("old", sa.BigInteger(), nullable=False),
        sa.Column("new", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("frame", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("site", "boot_count", "event", name=op.f("pk_scada_writes")),
    )
    op.create_index("ix_scada_writes_site_time", "scada_writes", ["site", "time"], unique=False)
    op.create_table(
        "scada_frames",
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("site", sa.String(length=128), nullable=False),
        sa.Column("frame", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_scada_frames")),
    )
    op.create_index(op.f("ix_scada_frames_site"), "scada_frames", ["site"], unique=False)
