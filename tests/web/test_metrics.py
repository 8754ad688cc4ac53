"""``GET /metrics``: who may read it, and that it counts correctly."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, update
from tests.support.running import Sandbox, Site, eventually, newcomer, running_site
from tests.support.webhooks import SECRET, an_event, deliver, post
from tests.web.conftest import OpenSite

from tollkeeper.storage.tables import events, grants
from tollkeeper.storage.tables import findings as findings_table

TOKEN = "mF9Zk2Wq7Rt4Xv8Lb5Ns1Tc6Hj3Gp0Ua_metrics"
NEWER = "Yd7Qe2Kx9Wv4Nb6Lt1Sc8Hf3Jg5Pr0Mz_metrics="


def read(site: Site, authorization: str | None = f"Bearer {TOKEN}") -> httpx2.Response:
    return httpx2.get(f"{site.url}/metrics", headers={"Authorization": authorization} if authorization else {})


def measured(site: Site) -> dict[tuple[str, str], float]:
    """Every value by the name of its metric, without the prefix, and its label."""
    answer = read(site)
    assert answer.status_code == 200
    return {
        (sample.name.removeprefix("tollkeeper_"), next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_without_a_token_there_is_no_such_address(plain_site: Site) -> None:
    assert read(plain_site).status_code == 404
    assert read(plain_site, None).status_code == 404


@pytest.fixture
def watched(own_sandbox: Sandbox, sqlite_url: str, tmp_path: Path) -> Iterator[Site]:
    """A site that counts; its account lists nobody else's events."""
    settings = {"METRICS_TOKEN": f"{NEWER},{TOKEN}", "STRIPE_WEBHOOK_SECRET": SECRET}
    with running_site(own_sandbox, sqlite_url, tmp_path, **settings) as site:
        yield site


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \xfc"],
)
def test_only_a_token_opens_it(watched: Site, authorization: str | None) -> None:
    answer = httpx2.get(
        f"{watched.url}/metrics",
        headers=[] if authorization is None else [(b"Authorization", authorization.encode("latin-1"))],
    )
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="metrics"')
    assert answer.headers["Cache-Control"] == "no-store"
    assert "tollkeeper_" not in answer.text


@pytest.mark.parametrize("authorization", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Bearer {NEWER}"])
def test_each_token_opens_it(watched: Site, authorization: str) -> None:
    answer = read(watched, authorization)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert TOKEN not in answer.text


def test_it_tells_of_events_and_webhooks(watched: Site) -> None:
    assert measured(watched)["events_kept_total", "webhook"] == 0
    for _ in range(2):
        assert deliver(watched, an_event("evt_1")).status_code == 200
    assert post(watched, b"{}", "t=1,v1=forged").status_code == 400
    eventually(lambda: measured(watched)["events_tried_total", "handled"] == 1)
    seen = measured(watched)
    assert seen["events_kept_total", "webhook"] == 1
    assert seen["webhooks_refused_total", ""] == 1
    assert seen["events_unhandled", "waiting"] == 0
    assert seen["oldest_waiting_event_seconds", ""] == 0


def test_it_tells_what_waits_and_what_is_parked(watched: Site) -> None:
    assert deliver(watched, an_event("evt_1")).status_code == 200
    assert deliver(watched, an_event("evt_2")).status_code == 200
    eventually(lambda: measured(watched)["events_tried_total", "handled"] == 2)
    now = watched.clock()

    def stuck(conn: Connection) -> None:
        late = {"handled_at": None, "received_at": now - 90, "error": "trouble"}
        conn.execute(update(events).where(events.c.event_id == "evt_1").values(late | {"due_at": None}))
        conn.execute(update(events).where(events.c.event_id == "evt_2").values(late | {"due_at": now + 900}))

    watched.look(stuck)
    seen = measured(watched)
    assert (seen["events_unhandled", "waiting"], seen["events_unhandled", "parked"]) == (1, 1)
    assert 90 <= seen["oldest_waiting_event_seconds", ""] < 120


def test_it_tells_of_payments_and_reconciles(watched: Site) -> None:
    payer = newcomer(watched)
    payer.follow(payer.pay())
    assert payer.enters()
    eventually(lambda: measured(watched)["events_list_read_seconds", ""] < 60)
    seen = measured(watched)
    assert seen["reconciles_total", "changed"] == 1
    assert seen["http_requests_total", "3xx"] >= 3
    assert seen["http_requests_total", "5xx"] == 0
    assert seen["provider_request_seconds_count", "2xx"] > 3
    assert seen["provider_request_seconds_sum", "2xx"] > 0
    assert seen["payments_unexplained", "quarantined"] == 0

    def spoil(conn: Connection) -> None:
        conn.execute(update(findings_table).values(verdict="quarantined"))

    watched.look(spoil)
    seen = measured(watched)
    assert (seen["payments_unexplained", "quarantined"], seen["payments_unexplained", "unclaimed"]) == (1, 0)
    assert seen["drift_total", ""] == 0
    # The gate's answer to a payer, which takes no task, counts like any other. The reading above is the second.
    assert payer.get("/gate", feature="dashboard").status_code == 200
    assert measured(watched)["http_requests_total", "2xx"] == seen["http_requests_total", "2xx"] + 2


def test_it_counts_what_the_gate_answers(watched: Site) -> None:
    nobody = httpx2.get(f"{watched.url}/gate?feature=dashboard", headers={"Accept": "text/html"})
    unknown = httpx2.get(f"{watched.url}/gate?feature=nothing")
    assert (nobody.status_code, unknown.status_code) == (302, 403)
    seen = measured(watched)
    assert (seen["http_requests_total", "3xx"], seen["http_requests_total", "4xx"]) == (1, 1)


def test_it_tells_of_drift(watched: Site) -> None:
    payer = newcomer(watched)
    payer.follow(payer.pay())
    watched.clock.ahead += 60
    # Everything that events can tell is known before the grant is lost.
    eventually(lambda: [row for row in watched.rows(events) if row.type == "checkout.session.completed"])
    eventually(lambda: all(row.due_at is None for row in watched.rows(events)))

    def lose(conn: Connection) -> None:
        conn.execute(update(grants).values(revoked_at=1))

    watched.look(lose)
    watched.clock.ahead += 24 * 3600
    eventually(lambda: measured(watched)["drift_total", ""] == 1)
    assert payer.enters()


def test_two_apps_in_one_process_count_apart(open_site: OpenSite) -> None:
    one, other = (open_site(METRICS_TOKEN=TOKEN, STRIPE_WEBHOOK_SECRET=SECRET) for _ in range(2))
    assert post(one, b"{}", "t=1,v1=forged").status_code == 400
    assert measured(one)["webhooks_refused_total", ""] == 1
    assert measured(other)["webhooks_refused_total", ""] == 0


def test_it_is_answered_while_the_provider_is_away(own_sandbox: Sandbox, sqlite_url: str, tmp_path: Path) -> None:
    with running_site(own_sandbox, sqlite_url, tmp_path, METRICS_TOKEN=TOKEN) as site:
        own_sandbox.thread.stop()
        site.clock.ahead += 3600
        eventually(lambda: measured(site)["provider_request_seconds_count", "none"] > 0)
        assert measured(site)["events_list_read_seconds", ""] > 3000
