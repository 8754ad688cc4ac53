"""E40: an event that fails whenever it is tried."""

import json
import secrets
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text
from structlog.testing import capture_logs
from tests.support.processes import run_here
from tests.support.running import Browser, Site, eventually, newcomer
from tests.support.webhooks import an_event, deliver

from tollkeeper.billing.inbox import RETRY_DELAYS
from tollkeeper.storage.tables import audit, customers, events, grants

TRIES = len(RETRY_DELAYS) + 1
REASON = "this one grant cannot be written"
SPOILS = {
    "sqlite": [
        "CREATE TRIGGER spoil BEFORE INSERT ON grants WHEN NEW.person_id = '{who}'"
        " BEGIN SELECT RAISE(ABORT, '{reason}'); END"
    ],
    "postgresql": [
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{reason}'; END $$",
        "CREATE TRIGGER spoil BEFORE INSERT ON grants FOR EACH ROW WHEN (NEW.person_id = '{who}')"
        " EXECUTE FUNCTION spoil()",
    ],
}
MENDS = {"sqlite": "DROP TRIGGER spoil", "postgresql": "DROP FUNCTION spoil CASCADE"}


def spoil(conn: Connection, who: str) -> None:
    """Whatever would give this person a grant fails from now on."""
    for statement in SPOILS[conn.dialect.name]:
        conn.execute(text(statement.format(who=who, reason=REASON)))


def repair(conn: Connection) -> None:
    conn.execute(text(MENDS[conn.dialect.name]))


def pay_and_leave(browser: Browser) -> None:
    assert browser.pay().status_code == 303


def event_of(site: Site, browser: Browser) -> Any:
    """The event of a browser's one payment, as kept."""
    (customer,) = site.rows_of(browser, customers)
    return next((row for row in site.rows(events) if row.customer_id == customer.external_id and row.attempts), None)


def parked_after_its_tries(site: Site, browser: Browser) -> Any:
    """Let the time pass until the event is due again, unless it never is."""
    kept = event_of(site, browser)
    if kept.due_at is None:
        return kept
    site.clock.ahead += max(0, kept.due_at - site.clock())
    wake_worker(site)
    return None


def wake_worker(site: Site) -> None:
    """Send a webhook that means nothing, after which the worker looks into its inbox at once."""
    event = an_event(f"evt_{secrets.token_hex(8)}", type="customer.created")
    assert deliver(site, event, secret=site.settings["STRIPE_WEBHOOK_SECRET"], at=site.clock()).status_code == 200


def output_of(site: Site, folder: Path, *arguments: str) -> Any:
    ended = run_here(*arguments, "--json", folder=folder, environment=site.settings)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_e40_an_event_that_always_fails_is_parked_and_the_others_flow(site: Site, tmp_path: Path) -> None:
    unlucky, other, later = newcomer(site, "Una"), newcomer(site, "Otto"), newcomer(site, "Lara")
    unlucky.checkout()
    (customer,) = site.rows_of(unlucky, customers)
    site.look(spoil, customer.person_id)
    with capture_logs() as logs:
        pay_and_leave(unlucky)
        eventually(lambda: event_of(site, unlucky))
        pay_and_leave(other)
        eventually(other.enters)
        parked = eventually(partial(parked_after_its_tries, site, unlucky), 20)
        (said,) = eventually(lambda: [entry for entry in logs if entry["event"] == "event parked"])
    site.clock.ahead = 0

    assert (parked.attempts, parked.handled_at) == (TRIES, None)
    assert (said["log_level"], said["event_id"], said["tries"]) == ("error", parked.event_id, TRIES)
    (listed,) = output_of(site, tmp_path, "events", "--failed")["events"]
    assert (listed["id"], listed["state"]) == (parked.event_id, "parked")
    assert REASON in listed["error"]
    assert not unlucky.enters()
    assert site.rows_of(unlucky, grants) == []
    pay_and_leave(later)
    eventually(later.enters)

    site.look(repair)
    assert output_of(site, tmp_path, "replay", parked.event_id) == {"replayed": [parked.event_id]}
    eventually(unlucky.enters)
    eventually(lambda: event_of(site, unlucky).handled_at)
    assert [row.change for row in site.rows_of(unlucky, audit)] == ["granted"]
