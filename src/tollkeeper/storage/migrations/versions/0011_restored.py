"""The key for ids of people, and the gaps that a restored backup leaves."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    keys = op.create_table(
        "id_keys", sa.Column("key", sa.String(64)), sa.PrimaryKeyConstraint("key", name="pk_id_keys")
    )
    op.bulk_insert(keys, [{"key": secrets.token_hex(32)}])
    op.create_table(
        "gaps",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(always=True), autoincrement=True
        ),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("reached", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("closed_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_gaps"),
    )
