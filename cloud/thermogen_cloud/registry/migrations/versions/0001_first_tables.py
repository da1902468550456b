"""The registry's first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "acknowledgements",
        sa.Column("site", sa.String(length=128), nullable=False),
        sa.Column("command", sa.BigInteger(), nullable=False),
        sa.Column("result", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.String(length=120), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("frame", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("site", "command", "result", name=op.f("pk_acknowledgements")),
    )
    op.create_table(
        "alerts",
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("site", sa.String(length=128), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.BigInteger(), nullable=False),
        sa.Column("severity", sa.BigInteger(), nullable=False),
        sa.Column("raised", sa.Boolean(), nullable=False),
        sa.Column("point", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("threshold", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.String(length=120), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_alerts")),
    )
    op.create_index("ix_alerts_site_time", "alerts", ["site", "time"], unique=False)
    op.create_table(
        "batches",
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("identity", sa.LargeBinary(length=8), nullable=False),
        sa.Column("sender", sa.String(length=128), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("previous", sa.LargeBinary(length=32), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("boot_count", sa.BigInteger(), nullable=False),
        sa.Column("first_sequence", sa.BigInteger(), nullable=False),
        sa.Column("frame_count", sa.BigInteger(), nullable=False),
        sa.Column("alert_count", sa.BigInteger(), nullable=False),
        sa.Column("sealed_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("mean_power_mw", sa.BigInteger(), nullable=False),
        sa.Column(
            "status",
            sa.Enum("stored", "believed", "refused", name="batchstatus", native_enum=False, create_constraint=True, length=16),
            nullable=False,
        ),
        sa.Column("checks", sa.JSON(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_batches")),
    )
    op.create_index("ix_batches_identity_epoch", "batches", ["identity", "epoch"], unique=False)
    op.create_index(op.f("ix_batches_previous"), "batches", ["previous"], unique=False)
    op.create_index(op.f("ix_batches_status"), "batches", ["status"], unique=False)
    op.create_index("uq_batches_believed_epoch", "batches", ["identity", "epoch"], unique=True, sqlite_where=sa.text("status = 'believed'"))
    op.create_index(
        "uq_batches_believed_number", "batches", ["identity", "number"], unique=True, sqlite_where=sa.text("status = 'believed'")
    )
    op.create_table(
        "commands",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("site", sa.String(length=128), nullable=False),
        sa.Column("code", sa.BigInteger(), nullable=False),
        sa.Column("first_argument", sa.BigInteger(), nullable=False),
        sa.Column("second_argument", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("frame", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_commands")),
    )
    op.create_index(op.f("ix_commands_site"), "commands", ["site"], unique=False)
    op.create_table(
        "live_frames",
        sa.Column("site", sa.String(length=128), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("frame", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("site", name=op.f("pk_live_frames")),
    )
    op.create_table(
        "mint_requests",
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("site", sa.String(length=128), nullable=False),
        sa.Column("first_epoch", sa.BigInteger(), nullable=False),
        sa.Column("last_epoch", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "requested",
                "approved",
                "minting",
                "minted",
                "rejected",
                "failed",
                name="mintstate",
                native_enum=False,
                create_constraint=True,
                length=16,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("methodology_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("previous", sa.LargeBinary(length=32), nullable=True),
        sa.Column("vintage", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("serial", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_mint_requests")),
        sa.UniqueConstraint("serial", name=op.f("uq_mint_requests_serial")),
    )
    op.create_index(op.f("ix_mint_requests_site"), "mint_requests", ["site"], unique=False)
    op.create_index(op.f("ix_mint_requests_state"), "mint_requests", ["state"], unique=False)
    op.create_table(
        "quarantine",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("site", sa.String(length=128), nullable=False),
        sa.Column("topic", sa.String(length=16), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_quarantine")),
    )
    op.create_index("uq_quarantine_site_topic_hash", "quarantine", ["site", "topic", "hash"], unique=True)
    op.create_table(
        "receipts",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("site", sa.String(length=128), nullable=False),
        sa.Column("batch_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("frame", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_receipts")),
    )
    op.create_index("uq_receipts_site_batch_hash", "receipts", ["site", "batch_hash"], unique=True)
    op.create_table(
        "sites",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("identity", sa.LargeBinary(length=8), nullable=False),
        sa.Column("first_seen", sa.BigInteger(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sites")),
    )
    op.create_index(op.f("ix_sites_identity"), "sites", ["identity"], unique=False)
    op.create_table(
        "approvals",
        sa.Column("request_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("approver", sa.String(length=128), nullable=False),
        sa.Column("role", sa.String(length=128), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=1000), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["request_hash"], ["mint_requests.hash"], name=op.f("fk_approvals_request_hash")),
        sa.PrimaryKeyConstraint("request_hash", name=op.f("pk_approvals")),
    )
    op.create_table(
        "consumed_epochs",
        sa.Column("site", sa.String(length=128), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(["request_hash"], ["mint_requests.hash"], name=op.f("fk_consumed_epochs_request_hash")),
        sa.PrimaryKeyConstraint("site", "epoch", name=op.f("pk_consumed_epochs")),
    )
    op.create_index(op.f("ix_consumed_epochs_request_hash"), "consumed_epochs", ["request_hash"], unique=False)
    op.create_table(
        "credits",
        sa.Column("serial", sa.String(length=32), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("site", sa.String(length=128), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("mint", sa.String(length=64), nullable=False),
        sa.Column("transaction", sa.String(length=128), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("bundle", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["request_hash"], ["mint_requests.hash"], name=op.f("fk_credits_request_hash")),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_credits")),
        sa.UniqueConstraint("mint", name=op.f("uq_credits_mint")),
        sa.UniqueConstraint("request_hash", name=op.f("uq_credits_request_hash")),
    )
    op.create_index(op.f("ix_credits_site"), "credits", ["site"], unique=False)
