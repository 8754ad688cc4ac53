"""The schema, once, for SQLite and PostgreSQL. Times are Unix seconds (UTC), money is minor units.

Which rows an index is about, where it is not about all of them, is said for readers; the migrations make it so. Said in
SQLAlchemy's words, it would load the dialects of both databases at each start.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    func,
    text,
)

from tollkeeper.errors import Obstacle
from tollkeeper.model.access import Verdict
from tollkeeper.model.bought import SubscriptionStatus
from tollkeeper.model.orders import OrderState
from tollkeeper.storage.columns import FactsColumn, InvoicesColumn, ReasonColumn, ReasonsColumn, WordColumn

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only where the type is exactly INTEGER.
RowId = BigInteger().with_variant(Integer, "sqlite")


def row_id() -> Column[int]:
    """A number given by the database."""
    return Column("id", RowId, Identity(always=True), primary_key=True)


def realm() -> list[Column[str] | Column[bool]]:
    """Provider, account and mode: what keeps test money and other accounts apart.

    Most rows share one, so no index begins with it: SQLite would take that for the better one to search by.
    """
    return [
        Column("provider", String(20), nullable=False),
        Column("account", String(100), nullable=False),
        Column("live", Boolean, nullable=False),
    ]


people = Table(
    "people",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("erased_at", BigInteger),  # when they deleted their account: then they have no name, and cannot sign in
)
Index("ix_people_email", func.lower(people.c.email))  # people are found by an address in any case

identities = Table(
    "identities",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("person_id", ForeignKey("people.id"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
)

login_sessions = Table(
    "login_sessions",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("person_id", ForeignKey("people.id"), nullable=False, index=True),
    Column("issuer", Text, nullable=False),
    Column("browser", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("host", String(255), nullable=False, server_default=""),  # empty: wherever the login cookie goes
    Column("parent_id", ForeignKey("login_sessions.id", ondelete="CASCADE"), index=True),
    # What the gate asks for, in full: with many people, each row that is not read is a read of the disk less.
    Index("ix_login_sessions_gate", "token_hash", "host", "expires_at", "person_id", "id"),
)

# Login sessions on their way to another host, for seconds.
handovers = Table(
    "handovers",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("login_session_id", ForeignKey("login_sessions.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("host", String(255), nullable=False),
    Column("browser", String(64), nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

customers = Table(
    "customers",
    metadata,
    row_id(),
    *realm(),
    Column("external_id", String(255), nullable=False),
    Column("person_id", ForeignKey("people.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # The fence: a reconcile takes a ticket before it fetches, and writes only if nothing was written since.
    Column("last_ticket", BigInteger, nullable=False, server_default=text("0")),
    Column("written_ticket", BigInteger, nullable=False, server_default=text("0")),
    # When another became the one to buy with, as after the provider deleted this one; what it paid for still counts.
    Column("replaced_at", BigInteger),
    Column("told_email", Text),  # the address that the provider was last sent, accepted or not; empty: none
    Column(
        "checked_at", BigInteger, nullable=False, server_default=text("0")
    ),  # when last reconciled, or claimed for it
    UniqueConstraint("external_id", "provider", "account", "live"),
    Index(
        "uq_customers_current",
        "person_id",
        "provider",
        "account",
        "live",
        unique=True,
        info={"where": "replaced_at IS NULL"},
    ),
    Index("ix_customers_person_id", "person_id"),
    Index("ix_customers_checked_at", "checked_at"),
)

orders = Table(
    "orders",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("person_id", ForeignKey("people.id"), nullable=False),
    Column("product", String(100), nullable=False),
    *realm(),
    Column("price_id", String(255), nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("state", WordColumn(OrderState, 20), nullable=False),
    Column("idempotency_key", String(100), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("checkout_id", String(255)),
    Column("closed_at", BigInteger),
    Column("promotion_codes", Boolean, nullable=False, server_default=false()),
    Column("recurring", Boolean, nullable=False, server_default=false()),
    Column("trial_days", Integer),  # empty where no trial was offered
    Column("trial_without_card", Boolean, nullable=False, server_default=false()),
    # What was bought elsewhere and an operator tied to the person: its source, and the operator's note.
    Column("adopts", String(255)),
    Column("adoption", ReasonColumn),
    CheckConstraint("state IN ('open', 'complete', 'expired')", name="state"),
    UniqueConstraint("checkout_id", "provider", "account", "live"),
    Index("ix_orders_person_id", "person_id", "checkout_id"),
    Index(
        "uq_orders_open",
        "person_id",
        "product",
        "live",
        unique=True,
        info={"where": "state = 'open'"},
    ),
    # One trial for each person, whatever the product.
    Index(
        "uq_orders_trial",
        "person_id",
        "live",
        unique=True,
        info={"where": "trial_days IS NOT NULL AND state IN ('open', 'complete')"},
    ),
    Index(
        "uq_orders_adopts",
        "adopts",
        "provider",
        "account",
        "live",
        unique=True,
        info={"where": "adopts IS NOT NULL"},
    ),
)

grants = Table(
    "grants",
    metadata,
    row_id(),
    Column("person_id", ForeignKey("people.id"), nullable=False),
    Column("product", String(100), nullable=False),
    *realm(),
    Column("source", String(255), nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger),
    Column("revoked_at", BigInteger),
    Column("reason", ReasonColumn, nullable=False),
    Column("withheld", ReasonColumn),  # who decided that it gives no access, whatever the provider says
    Column("amount", BigInteger),  # empty where an operator granted it
    Column("currency", String(3)),
    Column("reference", String(255)),
    Column("receipt_url", Text),
    UniqueConstraint("source", "provider", "account", "live"),
    # What the gate asks for, in full.
    Index("ix_grants_gate", "person_id", "live", "revoked_at", "until", "product"),
    Index("ix_grants_reference", "reference"),
)

# What was last found of every purchase and subscription, granted or not, so that money that gave no access is not
# forgotten. The columns from standing on are about subscriptions alone.
findings = Table(
    "findings",
    metadata,
    row_id(),
    *realm(),
    Column("source", String(255), nullable=False),
    Column("customer_id", ForeignKey("customers.id"), index=True),  # empty where somebody unknown paid
    Column("order_id", String(255)),
    Column("product", String(100)),
    Column("verdict", WordColumn(Verdict, 20), nullable=False),
    Column("reason", ReasonColumn, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("refunded", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("reference", String(255), index=True),
    Column("email", Text),
    Column("bought_at", BigInteger, nullable=False),
    Column("found_at", BigInteger, nullable=False),
    Column("standing", WordColumn(SubscriptionStatus, 20)),
    Column("price_id", String(255)),
    Column("quantity", Integer),
    Column("until", BigInteger),
    Column("period_end", BigInteger),
    Column("ends_at", BigInteger),
    Column("trial_end", BigInteger),
    Column("remarks", ReasonsColumn),  # what an operator should see to, although access does not depend on it
    Column("invoices", InvoicesColumn),
    UniqueConstraint("source", "provider", "account", "live"),
    Index(
        "ix_findings_unexplained",
        "provider",
        "live",
        "bought_at",
        info={"where": "verdict IN ('unclaimed', 'quarantined')"},
    ),
    Index(
        "ix_findings_remarked",
        "provider",
        "live",
        "bought_at",
        info={"where": "remarks IS NOT NULL"},
    ),
    Index(
        "ix_findings_unrelated",
        "provider",
        "live",
        "bought_at",
        info={"where": "verdict = 'unrelated'"},
    ),
)

# What an operator has looked at, and wants to see no more: as it was found then. Whatever is found anew is not covered.
dismissals = Table(
    "dismissals",
    metadata,
    Column("finding_id", ForeignKey("findings.id"), primary_key=True, autoincrement=False),
    Column("verdict", WordColumn(Verdict, 20)),  # empty where nothing needed a look for its verdict
    Column("remarks", ReasonsColumn),
    Column("product", String(100)),  # what it bought once more than needed, if it did
    Column("reason", ReasonColumn, nullable=False),
    Column("dismissed_at", BigInteger, nullable=False),
)

events = Table(
    "events",
    metadata,
    row_id(),
    *realm(),
    Column("event_id", String(255), nullable=False),
    Column("type", String(255), nullable=False),
    Column("object_id", String(255), nullable=False),
    Column("customer_id", String(255)),
    Column("reference", String(255)),
    Column("created_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("due_at", BigInteger),  # when to try (again); empty once handled or parked
    Column("handled_at", BigInteger),
    Column("outcome", Text),
    Column("error", Text),
    UniqueConstraint("event_id", "provider", "account", "live"),
    Index("ix_events_customer_id", "customer_id"),
    Index("ix_events_reference", "reference"),
    Index(
        "ix_events_unhandled",
        "received_at",
        info={"where": "handled_at IS NULL"},
    ),
    Index(
        "ix_events_due",
        "due_at",
        info={"where": "due_at IS NOT NULL"},
    ),
)

# How far the provider's own list of events has been read.
polls = Table(
    "polls",
    metadata,
    *realm(),
    Column("polled_at", BigInteger, nullable=False),
    Column("read_until", BigInteger, nullable=False),
    PrimaryKeyConstraint("provider", "account", "live"),
)

# What the provider refuses to sell. By mode alone, not by account, because the account is unknown if the key is
# refused. Nothing is matched by it, and what is over is deleted.
off_sale = Table(
    "off_sale",
    metadata,
    row_id(),
    Column("provider", String(20), nullable=False),
    Column("live", Boolean, nullable=False),
    Column("product", String(100), nullable=False),
    Column("price_id", String(255), nullable=False),
    Column("person_id", String(40), nullable=False, server_default=""),  # empty: it concerns everybody
    Column("obstacle", WordColumn(Obstacle, 40), nullable=False),
    Column("facts", FactsColumn, nullable=False),
    Column("told", Text, key="provider_message", nullable=False),  # in the provider's own words
    Column("since", BigInteger, nullable=False),
    Column("tried_at", BigInteger, nullable=False),
    UniqueConstraint("person_id", "price_id", "product", "provider", "live"),
)

# One row: the key that ids of people are derived with. It is part of every backup, and is never changed.
id_keys = Table("id_keys", metadata, Column("key", String(64), primary_key=True))

# The times of which this database knows nothing, because it was restored from a backup.
gaps = Table(
    "gaps",
    metadata,
    row_id(),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("reached", BigInteger, nullable=False, server_default=text("0")),  # the last customer caught up with
    Column("closed_at", BigInteger),  # when everything that the provider knows of that time was caught up with
)

audit = Table(
    "audit",
    metadata,
    row_id(),
    Column("at", BigInteger, nullable=False),
    Column("person_id", String(40), nullable=False, index=True),
    Column("change", String(20), nullable=False),
    Column("product", String(100), nullable=False),
    *realm(),
    Column("source", String(255), nullable=False),
    Column("reason", ReasonColumn, nullable=False),
    Column("evidence", Text, nullable=False),
)
