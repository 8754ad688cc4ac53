"""The first schema: people, what they may enter, what they paid with, and an audit that nobody can rewrite."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _people()
    _purchases()
    _inbox()
    _audit()


def _people() -> None:
    op.create_table(
        "people",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_people"),
    )
    op.create_table(
        "identities",
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("person_id", sa.String(40), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("issuer", "subject", name="pk_identities"),
        _belongs_to_person("identities"),
    )
    op.create_index("ix_identities_person_id", "identities", ["person_id"])
    op.create_table(
        "login_sessions",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("person_id", sa.String(40), nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("browser", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_login_sessions"),
        sa.UniqueConstraint("token_hash", name="uq_login_sessions_token_hash"),
        _belongs_to_person("login_sessions"),
    )
    op.create_index("ix_login_sessions_person_id", "login_sessions", ["person_id"])
    op.create_index("ix_login_sessions_expires_at", "login_sessions", ["expires_at"])


def _purchases() -> None:
    op.create_table(
        "customers",
        _row_id(),
        *_realm(),
        sa.Column("external_id", sa.String(255), nullable=False),
        sa.Column("person_id", sa.String(40), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_ticket", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("written_ticket", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("id", name="pk_customers"),
        _unique("customers", "provider", "account", "live", "external_id"),
        _unique("customers", "person_id", "provider", "account", "live"),
        _belongs_to_person("customers"),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("person_id", sa.String(40), nullable=False),
        sa.Column("product", sa.String(100), nullable=False),
        *_realm(),
        sa.Column("price_id", sa.String(255), nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("idempotency_key", sa.String(100), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("checkout_id", sa.String(255)),
        sa.Column("closed_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
        sa.CheckConstraint("state IN ('open', 'complete', 'expired')", name=op.f("ck_orders_state")),
        _unique("orders", "idempotency_key"),
        _unique("orders", "provider", "account", "live", "checkout_id"),
        _belongs_to_person("orders"),
    )
    op.create_index("ix_orders_person_id", "orders", ["person_id", "checkout_id"])
    _index_where("uq_orders_open", "orders", ["person_id", "product", "live"], "state = 'open'", unique=True)
    op.create_table(
        "grants",
        _row_id(),
        sa.Column("person_id", sa.String(40), nullable=False),
        sa.Column("product", sa.String(100), nullable=False),
        *_realm(),
        sa.Column("source", sa.String(255), nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("reference", sa.String(255)),
        sa.Column("receipt_url", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_grants"),
        _unique("grants", "provider", "account", "live", "source"),
        _belongs_to_person("grants"),
    )
    op.create_index("ix_grants_person_id", "grants", ["person_id", "live"])
    op.create_index("ix_grants_reference", "grants", ["reference"])


def _inbox() -> None:
    op.create_table(
        "events",
        _row_id(),
        *_realm(),
        sa.Column("event_id", sa.String(255), nullable=False),
        sa.Column("type", sa.String(255), nullable=False),
        sa.Column("object_id", sa.String(255), nullable=False),
        sa.Column("customer_id", sa.String(255)),
        sa.Column("reference", sa.String(255)),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("handled_at", sa.BigInteger),
        sa.Column("outcome", sa.Text),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        _unique("events", "provider", "account", "live", "event_id"),
    )
    _index_where("ix_events_due", "events", ["due_at"], "due_at IS NOT NULL")
    op.create_table(
        "polls",
        *_realm(),
        sa.Column("polled_at", sa.BigInteger, nullable=False),
        sa.Column("read_until", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("provider", "account", "live", name="pk_polls"),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        _row_id(),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("person_id", sa.String(40), nullable=False),
        sa.Column("change", sa.String(20), nullable=False),
        sa.Column("product", sa.String(100), nullable=False),
        *_realm(),
        sa.Column("source", sa.String(255), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_person_id", "audit", ["person_id"])
    for statement in APPEND_ONLY[op.get_context().dialect.name]:
        op.execute(statement)


APPEND_ONLY = {
    "sqlite": (
        """
        CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
        """,
        """
        CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
        """,
    ),
    "postgresql": (
        """
        CREATE FUNCTION refuse_to_rewrite_audit() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$
        """,
        """
        CREATE TRIGGER audit_is_never_rewritten BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_rewrite_audit()
        """,
    ),
}


def _row_id() -> sa.Column[int]:
    # SQLite numbers rows by itself only where the type is exactly INTEGER.
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(always=True), nullable=False)


def _realm() -> tuple[sa.Column[str], sa.Column[str], sa.Column[bool]]:
    return (
        sa.Column("provider", sa.String(20), nullable=False),
        sa.Column("account", sa.String(100), nullable=False),
        sa.Column("live", sa.Boolean, nullable=False),
    )


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=f"uq_{table}_{'_'.join(columns)}")


def _belongs_to_person(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=f"fk_{table}_person_id")


def _index_where(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)
