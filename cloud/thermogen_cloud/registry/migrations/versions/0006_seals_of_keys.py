"""A seal is of the VRF key that proved it, not of its site alone: a board that replaces another has its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the table again, which SQLite cannot change. Whose key proved a seal the trust lists tell, which are not here: empty."""
    kept = op.get_bind().execute(sa.text("SELECT input_hash, site, epoch, seal, logged, received_at FROM seals")).mappings().all()
    op.drop_table("seals")
    seals = op.create_table(
        "seals",
        sa.Column("vrf_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("input_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("site", sa.LargeBinary(length=8), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.Column("logged", sa.Boolean(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("vrf_key", "input_hash", name=op.f("pk_seals")),
    )
    op.create_index("ix_seals_site_epoch", "seals", ["site", "epoch"])
    op.create_index("ix_seals_vrf_key_epoch", "seals", ["vrf_key", "epoch"])
    op.create_index(op.f("ix_seals_logged"), "seals", ["logged"])
    if kept:
        op.bulk_insert(seals, [{**row, "vrf_key": b"", "logged": bool(row["logged"])} for row in kept])
