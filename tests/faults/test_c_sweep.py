"""The sweep finds what no event has reported (I6, I11; I60 for several processes)."""

from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Connection, update
from structlog.testing import capture_logs
from tests.faults.conftest import DAY, OpenSite, leave_unpolled
from tests.support.running import Browser, Sandbox, Site, eventually, newcomer, running_sandbox, running_site

from tollkeeper.billing.sweep import LEASE
from tollkeeper.model.events import Event
from tollkeeper.model.orders import Realm
from tollkeeper.storage import events
from tollkeeper.storage.tables import audit, customers
from tollkeeper.storage.tables import events as events_table


def realm_of(site: Site) -> Realm:
    return Realm("stripe", site.sandbox.stripe.v1.accounts.retrieve_current().id, live=False)


@pytest.fixture
def deaf(open_site: OpenSite) -> Any:
    """A site that hears of nothing: it has no webhook, and reads no list of events."""
    with open_site(STRIPE_WEBHOOK_SECRET="") as site:
        yield site


def pay_and_leave(site: Site) -> Browser:
    browser = newcomer(site)
    assert browser.pay().status_code == 303
    return browser


def changes(site: Site, browser: Browser) -> list[tuple[str, str]]:
    return [(row.change, row.evidence) for row in site.rows_of(browser, audit)]


def refund(site: Site, browser: Browser) -> None:
    stripe = site.sandbox.stripe.v1
    (customer,) = site.rows_of(browser, customers)
    (intent,) = stripe.payment_intents.list({"customer": customer.external_id}).data
    stripe.refunds.create({"payment_intent": intent.id})


def test_what_no_event_tells_is_found_within_the_period(deaf: Site) -> None:
    payer = pay_and_leave(deaf)
    with capture_logs() as lines:
        deaf.clock.ahead += DAY
        eventually(lambda: changes(deaf, payer) == [("granted", "sweep")])
        assert payer.enters()
        refund(deaf, payer)
        assert payer.enters()
        deaf.clock.ahead += DAY
        eventually(lambda: changes(deaf, payer)[1:] == [("revoked", "sweep")])
        assert not payer.enters()
        eventually(lambda: len([line for line in lines if line["event"] == "drift"]) == 2)
    (customer,) = deaf.rows_of(payer, customers)
    drift = [line for line in lines if line["event"] == "drift"]
    assert {(line["log_level"], line["customer"], line["changes"]) for line in drift} == {
        ("warning", customer.external_id, 1)
    }
    assert [[words.split()[1] for words in line["found"]] for line in drift] == [["granted:"], ["revoked:"]]


def test_a_parked_event_is_made_up_for(deaf: Site) -> None:
    payer = pay_and_leave(deaf)
    (customer,) = deaf.rows_of(payer, customers)

    def park(conn: Connection) -> None:
        event = Event(
            realm_of(deaf), "evt_p", "checkout.session.completed", 1, "cs_p", customer.external_id, relevant=True
        )
        events.keep(conn, event, deaf.clock())
        conn.execute(update(events_table).values(due_at=None, error="cannot be handled"))

    deaf.look(park)
    deaf.clock.ahead += DAY
    eventually(lambda: changes(deaf, payer) == [("granted", "sweep")])
    (parked,) = deaf.rows(events_table)
    assert (parked.handled_at, parked.due_at, parked.error) == (None, None, "cannot be handled")


def swept(lines: list[Any]) -> Counter[str]:
    """How often each customer was reconciled by a sweep."""
    return Counter(
        line["customer"] for line in lines if (line["event"], line.get("evidence")) == ("reconciled", "sweep")
    )


def test_e34_a_provider_that_does_not_tell_takes_nothing_away(database_url: str, tmp_path: Path) -> None:
    leave_unpolled(database_url)
    with running_sandbox() as own, running_site(own, database_url, tmp_path, STRIPE_WEBHOOK_SECRET="") as site:
        payer = newcomer(site)
        payer.follow(payer.pay())
        assert payer.enters()
        refund(site, payer)
        outage(own, path="/v1/checkout/sessions")
        with capture_logs() as lines:
            site.clock.ahead += DAY
            eventually(lambda: [line for line in lines if line["event"] == "customer not swept"])
        assert payer.enters()
        assert httpx2.delete(f"{own.url}/control/faults").status_code == 204
        site.clock.ahead += LEASE
        eventually(lambda: not payer.enters())


def outage(sandbox: Sandbox, path: str) -> None:
    fault = {"effect": "error", "path": path, "times": None}
    assert httpx2.post(f"{sandbox.url}/control/faults", json=fault).status_code == 201


def test_i60_two_processes_never_sweep_the_same_customer(deaf: Site, tmp_path: Path) -> None:
    payers = [pay_and_leave(deaf) for _ in range(6)]
    same = {name: deaf.settings[name] for name in ("PRODUCT_PRICE_ID", "STRIPE_WEBHOOK_SECRET")}
    with running_site(deaf.sandbox, deaf.settings["DATABASE_URL"], tmp_path, **same) as twin, capture_logs() as lines:
        deaf.clock.ahead += DAY
        twin.clock.ahead += DAY
        eventually(lambda: all(changes(deaf, payer) for payer in payers))
        eventually(lambda: len(swept(lines)) == len(payers))  # what is logged follows what is written
    assert set(swept(lines).values()) == {1}
