"""Initial rows: each function stores one, and takes only the values that matter to the test."""

from typing import Any

from sqlalchemy import Connection

from tollkeeper.model.access import Finding, Grant, Verdict
from tollkeeper.model.bought import Bill, Invoice, Line, Payment, Purchase, Subscription, SubscriptionStatus
from tollkeeper.model.events import Event
from tollkeeper.model.orders import Order, OrderState, Realm
from tollkeeper.model.people import Handover, Identity, LoginSession, Person
from tollkeeper.reasons import Code, Reason, because
from tollkeeper.storage import grants, handovers, login_sessions, people

NOW = 1_800_000_000
DAY = 86_400

TEST_MODE = Realm("stripe", "acct_1", live=False)
LIVE_MODE = Realm("stripe", "acct_1", live=True)
OTHER_ACCOUNT = Realm("stripe", "acct_2", live=False)
OTHER_PROVIDER = Realm("paddle", "acct_1", live=False)
OTHER_REALMS = (LIVE_MODE, OTHER_ACCOUNT, OTHER_PROVIDER)

PAID = because(Code.PAID)


def an_identity(subject: str, *, issuer: str = "https://id.example", **changes: Any) -> Identity:
    return Identity(**{"issuer": issuer, "subject": subject, "name": subject.title(), "email": None, **changes})


def keep_person(conn: Connection, /, id: str) -> Person:
    return people.person_of(conn, an_identity(id), new_id=id, now=NOW)


def keep_login_session(conn: Connection, /, person_id: str, token_hash: str, **changes: Any) -> LoginSession:
    fields = {"id": f"ls_{token_hash[:8]}", "issuer": "https://id.example", "browser": "Firefox", "created_at": NOW}
    session = LoginSession(**{"person_id": person_id, "expires_at": NOW + DAY, **fields, **changes})
    login_sessions.add(conn, session, token_hash)
    return session


def keep_handover(conn: Connection, /, login_session_id: str, token_hash: str, **changes: Any) -> Handover:
    fields = {"host": "app.example.net", "browser": "f" * 64, "expires_at": NOW + 30, **changes}
    handover = Handover(login_session_id=login_session_id, **fields)
    assert handovers.add(conn, handover, token_hash)
    return handover


def an_order(id: str, person_id: str, **changes: Any) -> Order:
    fields: dict[str, Any] = {
        "id": id,
        "person_id": person_id,
        "product": "dashboard",
        "realm": TEST_MODE,
        "price_id": "price_1",
        "quantity": 1,
        "amount": 990,
        "currency": "eur",
        "state": OrderState.OPEN,
        "idempotency_key": f"key-{id}",
        "created_at": NOW,
    }
    return Order(**{**fields, **changes})


def a_grant(person_id: str, source: str, **changes: Any) -> Grant:
    fields: dict[str, Any] = {
        "id": 0,
        "person_id": person_id,
        "product": "dashboard",
        "origin": TEST_MODE,
        "source": source,
        "since": NOW,
        "until": None,
        "revoked_at": None,
        "reason": PAID,
        "amount": 990,
        "currency": "eur",
        "reference": "pi_1",
        "receipt_url": "https://pay.example/receipts/1",
    }
    return Grant(**{**fields, **changes})


def keep_grant(conn: Connection, /, person_id: str, source: str, **changes: Any) -> Grant:
    return grants.add(conn, a_grant(person_id, source, **changes))


def a_finding(source: str, *, verdict: Verdict = Verdict.GRANTED, reason: Reason = PAID, **changes: Any) -> Finding:
    fields: dict[str, Any] = {
        "source": source,
        "order_id": "ord_1",
        "person_id": "ada",
        "lines": (Line("price_1", 1),),
        "amount_subtotal": 990,
        "amount_discount": 0,
        "amount_total": 990,
        "currency": "eur",
        "live": False,
        "payment": Payment.PAID,
        "created_at": NOW,
    }
    return Finding(Purchase(**{**fields, **changes}), verdict, reason, product="dashboard")


def an_invoice(id: str = "in_1", **changes: Any) -> Invoice:
    """One of the first month, paid."""
    fields: dict[str, Any] = {
        "id": id,
        "bill": Bill.PAID,
        "starts": NOW,
        "ends": NOW + 30 * DAY,
        "created_at": NOW,
        "total": 990,
        "paid": 990,
        "due_at": NOW,
        "paid_at": NOW,
        "reference": "pi_1",
        "receipt_url": "https://pay.example/receipts/1",
    }
    return Invoice(**{**fields, **changes})


def a_subscription_finding(
    source: str, *, verdict: Verdict = Verdict.GRANTED, remarks: tuple[Reason, ...] = (), **changes: Any
) -> Finding:
    fields: dict[str, Any] = {
        "source": source,
        "order_id": "ord_1",
        "person_id": "ada",
        "live": False,
        "currency": "eur",
        "created_at": NOW,
        "standing": SubscriptionStatus.ACTIVE,
        "items": (Line("price_1", 1),),
        "period_start": NOW,
        "period_end": NOW + 30 * DAY,
        "invoices": (an_invoice(),),
    }
    bought = Subscription(**{**fields, **changes})
    until = bought.period_end + DAY if verdict is Verdict.GRANTED else None
    reason = because(Code.SUBSCRIBED, until=bought.period_end)
    return Finding(bought, verdict, reason, "dashboard", until, bought.items[0], remarks)


def an_event(id: str, **changes: Any) -> Event:
    fields: dict[str, Any] = {
        "realm": TEST_MODE,
        "id": id,
        "type": "checkout.session.completed",
        "created_at": NOW - 5,
        "object_id": "cs_1",
        "customer_id": "cus_1",
        "relevant": True,
    }
    return Event(**{**fields, **changes})
