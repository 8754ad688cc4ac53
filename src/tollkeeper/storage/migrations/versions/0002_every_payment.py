"""Store the finding on every purchase, several customers of one person, and what operators grant and withhold."""

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

CURRENT = "replaced_at IS NULL"
UNHANDLED = "handled_at IS NULL"
UNEXPLAINED = "verdict IN ('unclaimed', 'quarantined')"


def upgrade() -> None:
    _customers()
    _grants()
    _findings()
    _orders()
    _events()


def _customers() -> None:
    with op.batch_alter_table("customers") as table:
        table.drop_constraint("uq_customers_person_id_provider_account_live", type_="unique")
        _realm_last(table, "customers", "external_id")
        table.add_column(sa.Column("replaced_at", sa.BigInteger))
        table.add_column(sa.Column("checked_at", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    of_one_person = ["person_id", "provider", "account", "live"]
    _index_where("uq_customers_current", "customers", of_one_person, CURRENT, unique=True)
    op.create_index("ix_customers_person_id", "customers", ["person_id"])
    op.create_index("ix_customers_checked_at", "customers", ["checked_at"])


def _grants() -> None:
    with op.batch_alter_table("grants") as table:
        _realm_last(table, "grants", "source")
        table.add_column(sa.Column("withheld", sa.Text))
        table.alter_column("amount", existing_type=sa.BigInteger, existing_nullable=False, nullable=True)
        table.alter_column("currency", existing_type=sa.String(3), existing_nullable=False, nullable=True)


def _orders() -> None:
    with op.batch_alter_table("orders") as table:
        _realm_last(table, "orders", "checkout_id")
        table.add_column(sa.Column("promotion_codes", sa.Boolean, nullable=False, server_default=sa.false()))


def _events() -> None:
    with op.batch_alter_table("events") as table:
        _realm_last(table, "events", "event_id")
    op.create_index("ix_events_customer_id", "events", ["customer_id"])
    op.create_index("ix_events_reference", "events", ["reference"])
    _index_where("ix_events_unhandled", "events", ["received_at"], UNHANDLED)


def _realm_last(table: BatchOperations, name: str, column: str) -> None:
    """Have the index of what is unique within a realm begin with what tells rows apart."""
    table.drop_constraint(f"uq_{name}_provider_account_live_{column}", type_="unique")
    table.create_unique_constraint(f"uq_{name}_{column}_provider_account_live", [column, "provider", "account", "live"])


def _findings() -> None:
    op.create_table(
        "findings",
        # SQLite numbers rows by itself only where the type is exactly INTEGER.
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(always=True), nullable=False),
        sa.Column("provider", sa.String(20), nullable=False),
        sa.Column("account", sa.String(100), nullable=False),
        sa.Column("live", sa.Boolean, nullable=False),
        sa.Column("source", sa.String(255), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer, "sqlite")),
        sa.Column("order_id", sa.String(255)),
        sa.Column("product", sa.String(100)),
        sa.Column("verdict", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("refunded", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("reference", sa.String(255)),
        sa.Column("email", sa.Text),
        sa.Column("bought_at", sa.BigInteger, nullable=False),
        sa.Column("found_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_findings"),
        sa.UniqueConstraint("source", "provider", "account", "live", name="uq_findings_source_provider_account_live"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_findings_customer_id"),
    )
    op.create_index("ix_findings_customer_id", "findings", ["customer_id"])
    op.create_index("ix_findings_reference", "findings", ["reference"])
    _index_where("ix_findings_unexplained", "findings", ["provider", "live", "bought_at"], UNEXPLAINED)


def _index_where(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)
