"""Payments that an operator dismissed, orders for purchases made elsewhere, and an index on other sales."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dismissals",
        sa.Column(
            "finding_id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            sa.ForeignKey("findings.id", name="fk_dismissals_finding_id"),
            autoincrement=False,
        ),
        sa.Column("verdict", sa.String(20)),
        sa.Column("remarks", sa.Text),
        sa.Column("product", sa.String(100)),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("dismissed_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("finding_id", name="pk_dismissals"),
    )
    op.add_column("orders", sa.Column("adopts", sa.String(255)))
    op.add_column("orders", sa.Column("adoption", sa.Text))
    _index("uq_orders_adopts", "orders", ["adopts", "provider", "account", "live"], "adopts IS NOT NULL", unique=True)
    _index("ix_findings_unrelated", "findings", ["provider", "live", "bought_at"], "verdict = 'unrelated'")


def _index(name: str, table: str, columns: list[str], rows: str, *, unique: bool = False) -> None:
    where = sa.text(rows)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)
