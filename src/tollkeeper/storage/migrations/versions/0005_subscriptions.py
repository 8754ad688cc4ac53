"""Orders for subscriptions, with one trial for each person, and the findings on subscriptions."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TRIED = "trial_days IS NOT NULL AND state IN ('open', 'complete')"
REMARKED = "remark IS NOT NULL"


def upgrade() -> None:
    op.add_column("orders", sa.Column("recurring", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("orders", sa.Column("trial_days", sa.Integer))
    op.add_column("orders", sa.Column("trial_without_card", sa.Boolean, nullable=False, server_default=sa.false()))
    _index_where("uq_orders_trial", "orders", ["person_id", "live"], TRIED, unique=True)
    for column in (
        sa.Column("standing", sa.String(20)),
        sa.Column("price_id", sa.String(255)),
        sa.Column("quantity", sa.Integer),
        sa.Column("until", sa.BigInteger),
        sa.Column("period_end", sa.BigInteger),
        sa.Column("ends_at", sa.BigInteger),
        sa.Column("trial_end", sa.BigInteger),
        sa.Column("remark", sa.Text),
    ):
        op.add_column("findings", column)
    _index_where("ix_findings_remarked", "findings", ["provider", "live", "bought_at"], REMARKED)


def _index_where(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)
