"""E34 to E37: the provider fails, does not respond, responds too late, or limits the rate."""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import stripe
from sqlalchemy import Connection
from tests.support.running import Sandbox, Site, eventually, newcomer, running_sandbox, running_site
from tests.support.stripe_settings import stripe_of
from tests.support.webhooks import SECRET, an_event, deliver

from tollkeeper.app import open_services
from tollkeeper.billing.reconcile import Services
from tollkeeper.config.config import Config
from tollkeeper.model.orders import Realm
from tollkeeper.model.people import Identity
from tollkeeper.providers.budget import Budget, in_background
from tollkeeper.providers.stripe.account import PATIENCE, StripeProvider
from tollkeeper.storage import customers, people
from tollkeeper.storage.tables import customers as customer_rows
from tollkeeper.storage.tables import events, orders

HOUR = 3600
SESSIONS = "/v1/checkout/sessions"
WITHOUT_END: dict[str, Any] = {"times": None}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """One for each test: it misbehaves, its clock is moved, and what it holds is counted."""
    with running_sandbox() as sandbox:
        yield sandbox


@contextmanager
def trouble(sandbox: Sandbox, effect: str, **settings: Any) -> Iterator[None]:
    """The sandbox misbehaves, and is well again in the end."""
    where = f"{sandbox.url}/control/faults"
    assert httpx2.post(where, json={"effect": effect, **settings}).status_code == 201
    try:
        yield
    finally:
        httpx2.delete(where)


@dataclass(frozen=True)
class Asked:
    """One request to the provider."""

    method: str
    path: str
    key: str | None
    body: Any
    in_background: bool


@dataclass
class Line:
    """The app's connection to its provider: every request, and how long the caller waits."""

    patience: float = PATIENCE
    rate: int = 1000
    asked: list[Asked] = field(default_factory=list)
    failing: str | None = None
    """Making a page fails now, ``before`` the work or ``after`` it; and with the same key for good."""
    failed: set[str | None] = field(default_factory=set)

    @asynccontextmanager
    async def services(self, config: Config, clock: Callable[[], int]) -> AsyncIterator[Services]:
        async with open_services(config, clock) as services:
            provider = StripeProvider(
                stripe_of(config),
                patience=self.patience,
                http=Recorder(self),
                budget=Budget(self.rate, random=lambda: 0.1),
            )
            try:
                yield replace(services, provider=provider)
            finally:
                await provider.close()

    def made(self, path: str = SESSIONS) -> list[Asked]:
        """The requests to make something."""
        return [one for one in self.asked if (one.method, one.path) == ("post", path)]


class Recorder(stripe.HTTPXClient):
    """The SDK's own transport, which remembers what it carried."""

    def __init__(self, line: Line) -> None:
        super().__init__(timeout=60)
        self._line = line

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        asked = Asked(method, httpx2.URL(url).path, headers.get("Idempotency-Key"), post_data, in_background())
        self._line.asked.append(asked)
        makes = (asked.method, asked.path) == ("post", SESSIONS)
        if makes and self._line.failing:
            self._line.failed.add(asked.key)
        fails = makes and asked.key in self._line.failed
        if not fails or self._line.failing == "after":
            answer = await super().request_async(method, url, headers, post_data)
        return (b'{"error": {"type": "api_error", "message": "Sorry."}}', 500, {}) if fails else answer


OpenShop = Callable[..., AbstractContextManager[Site]]


@pytest.fixture
def open_shop(sandbox: Sandbox, database_url: str, tmp_path: Path) -> OpenShop:
    def opening(line: Line, **settings: str) -> AbstractContextManager[Site]:
        return running_site(sandbox, database_url, tmp_path, line.services, **settings)

    return opening


def checkouts(sandbox: Sandbox) -> list[str]:
    """Every checkout session there is at the provider, by its state."""
    return [str(session.status) for session in sandbox.stripe.v1.checkout.sessions.list().data]


def assert_sent_away(answer: httpx2.Response) -> None:
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "60"
    assert "Nothing was charged. Please try again" in answer.text


AWAY: dict[str, dict[str, Any]] = {
    "fails": {"effect": "error"},
    "hangs up": {"effect": "drop"},
    "hangs": {"effect": "hang", "seconds": 2},
    "fails after it made the page": {"effect": "error", "path": f"{SESSIONS}*", "after": True},
    "hangs up after it made the page": {"effect": "drop", "path": f"{SESSIONS}*", "after": True},
    "hangs after it made the page": {"effect": "hang", "path": f"{SESSIONS}*", "seconds": 2, "after": True},
}


@pytest.mark.parametrize("how", AWAY)
def test_e34_a_buyer_who_tries_and_tries_is_charged_once(open_shop: OpenShop, sandbox: Sandbox, how: str) -> None:
    with open_shop(Line(patience=1)) as site:
        member, buyer = newcomer(site), newcomer(site)
        assert "Payment done" in member.follow(member.pay()).text
        with trouble(sandbox, **AWAY[how], **WITHOUT_END):
            for _ in range(2):
                assert_sent_away(buyer.press_purchase())
                assert member.enters()
                assert not buyer.enters()
        pages = {buyer.press_purchase().headers["Location"] for _ in range(3)}
        assert len(pages) == 1
        assert checkouts(sandbox) == ["open", "complete"]
        assert "Payment done" in buyer.follow(buyer.pay()).text
        assert buyer.enters()
    assert checkouts(sandbox) == ["complete", "complete"]
    assert len(sandbox.stripe.v1.payment_intents.list().data) == 2


def test_e34_the_success_page_says_that_it_is_confirming_while_the_provider_is_away(
    open_shop: OpenShop, sandbox: Sandbox
) -> None:
    with open_shop(Line(patience=1), STRIPE_WEBHOOK_SECRET="") as site:
        buyer = newcomer(site)
        paid = buyer.pay()
        with trouble(sandbox, "error", **WITHOUT_END):
            page = buyer.follow(paid)
            assert page.status_code == 200
            assert "Confirming your payment" in page.text
            assert not buyer.enters()
        assert "Payment done" in buyer.get(str(page.url)).text
        assert buyer.enters()


def test_e35_a_customer_whose_making_is_unknown_is_made_once(open_shop: OpenShop, sandbox: Sandbox) -> None:
    line = Line()
    with open_shop(line) as site:
        buyer = newcomer(site)
        with trouble(sandbox, "drop", method="POST", path="/v1/customers", after=True, **WITHOUT_END):
            assert_sent_away(buyer.press_purchase())
        assert buyer.press_purchase().is_redirect
        assert len(site.rows(customer_rows)) == 1
    assert len(sandbox.stripe.v1.customers.list().data) == 1
    assert len(line.made("/v1/customers")) > 1


def test_e35_a_checkout_whose_making_is_unknown_is_asked_for_with_the_same_key_and_parameters(
    open_shop: OpenShop, sandbox: Sandbox
) -> None:
    line = Line()
    with open_shop(line) as site:
        buyer = newcomer(site)
        with trouble(sandbox, "drop", method="POST", path=SESSIONS, after=True, **WITHOUT_END):
            assert_sent_away(buyer.press_purchase())
            assert_sent_away(buyer.press_purchase())
        assert checkouts(sandbox) == ["open"]
        assert buyer.press_purchase().is_redirect
    assert checkouts(sandbox) == ["open"]
    tries = line.made()
    assert len(tries) > 3
    assert tries[0].key
    assert len({(one.key, str(one.body)) for one in tries}) == 1


@pytest.mark.parametrize("failing", ["before", "after"])
def test_e35_a_failure_that_the_provider_remembers_with_its_key_is_no_dead_end(
    open_shop: OpenShop, sandbox: Sandbox, failing: str
) -> None:
    """https://docs.stripe.com/api/idempotent_requests: an answer of 500 is kept as any other is."""
    line = Line(failing=failing)
    with open_shop(line) as site:
        buyer = newcomer(site)
        pressed = buyer.press_purchase()
        assert pressed.is_redirect if failing == "after" else pressed.status_code == 503
        line.failing = None
        page = buyer.checkout()
        assert checkouts(sandbox) == ["open"]
        assert "Payment done" in buyer.follow(buyer.pay(page)).text
    assert checkouts(sandbox) == ["complete"]


@pytest.mark.parametrize(("hours", "found"), [(23.5, True), (25, False)])
def test_e35_after_a_day_the_provider_is_asked_what_became_of_it_before_a_new_key_is_used(
    open_shop: OpenShop, sandbox: Sandbox, hours: float, found: bool
) -> None:
    line = Line()
    with open_shop(line) as site:
        buyer = newcomer(site)
        with trouble(sandbox, "drop", method="POST", path=SESSIONS, after=True, **WITHOUT_END):
            assert_sent_away(buyer.press_purchase())
        first_key = line.made()[0].key
        line.asked.clear()
        sandbox.clock.ahead = site.clock.ahead = int(hours * HOUR)

        assert buyer.press_purchase().is_redirect
        asked = [one for one in line.asked if one.path == SESSIONS and not one.in_background]
        assert asked[0].method == "get"
        assert [one.key != first_key for one in line.made()] == ([] if found else [True])
        assert checkouts(sandbox) == (["open"] if found else ["open", "expired"])
        assert sorted(row.state for row in site.rows(orders)) == (["open"] if found else ["expired", "open"])
        assert "Payment done" in buyer.follow(buyer.pay()).text
    assert len(sandbox.stripe.v1.payment_intents.list().data) == 1


def add_customers(site: Site, count: int) -> list[str]:
    """People who began to buy something one day."""
    account = site.sandbox.stripe.v1.accounts.retrieve_current().id
    ids = [site.sandbox.stripe.v1.customers.create({}).id for _ in range(count)]

    def keep(conn: Connection) -> None:
        for id in ids:
            identity = Identity("https://id.example", id, "Quinn Queued", None)
            person = people.person_of(conn, identity, new_id=f"per_{id}", now=int(time.time()))
            customers.add(conn, person.id, Realm("stripe", account, live=False), id, int(time.time()))

    site.look(keep)
    return ids


def test_e36_people_who_wait_go_before_background_work(open_shop: OpenShop, sandbox: Sandbox) -> None:
    line, many = Line(rate=4), 12
    with open_shop(line, STRIPE_WEBHOOK_SECRET=SECRET) as site:
        buyer = newcomer(site)
        for number, id in enumerate(add_customers(site, many)):
            about = {"object": {"id": "cs_test_1", "object": "checkout.session", "customer": id}}
            assert deliver(site, an_event(f"evt_{number}", data=about)).status_code == 200
        eventually(lambda: [one for one in line.asked if one.path == SESSIONS])
        assert buyer.press_purchase().is_redirect

        reconciles = [
            one.in_background for one in line.asked[: line.asked.index(line.made()[0])] if one.path == SESSIONS
        ]
        assert all(reconciles)
        assert 0 < len(reconciles) < many
        assert any(row.handled_at is None for row in site.rows(events))
        eventually(lambda: all(row.handled_at for row in site.rows(events)), 20)
    assert not line.made()[0].in_background


def test_e36_a_buyer_waits_until_the_provider_may_be_asked_again(open_shop: OpenShop, sandbox: Sandbox) -> None:
    line = Line()
    with open_shop(line) as site:
        buyer = newcomer(site)
        with trouble(sandbox, "rate_limit", seconds=1, times=2):
            page = buyer.checkout()
        assert "Payment done" in buyer.follow(buyer.pay(page)).text
    assert checkouts(sandbox) == ["complete"]
    assert len(sandbox.stripe.v1.customers.list().data) == 1


def test_e36_a_provider_that_goes_on_refusing_keeps_nobody_out_and_is_believed_again_later(
    open_shop: OpenShop, sandbox: Sandbox
) -> None:
    with open_shop(Line(patience=1)) as site:
        member, buyer = newcomer(site), newcomer(site)
        assert "Payment done" in member.follow(member.pay()).text
        page = buyer.checkout()
        with trouble(sandbox, "rate_limit", seconds=0.1, **WITHOUT_END):
            assert buyer.pay(page).is_redirect
            assert_sent_away(newcomer(site).press_purchase())
            assert member.enters()
            assert not buyer.enters()
        eventually(buyer.enters, 30)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # for ten seconds nothing is asked of the database
def test_e37_a_provider_that_hangs_costs_a_buyer_ten_seconds_and_nobody_else_anything(
    open_shop: OpenShop, sandbox: Sandbox
) -> None:
    with open_shop(Line()) as site, ThreadPoolExecutor() as pool:
        member, buyer = newcomer(site), newcomer(site)
        assert "Payment done" in member.follow(member.pay()).text
        with trouble(sandbox, "hang", seconds=13, **WITHOUT_END):  # who waits for it gets to the hosted page
            pressed, longest, entered = pool.submit(buyer.press_purchase), 0.0, 0
            while not pressed.done():
                began = time.monotonic()
                assert member.enters()
                longest, entered = max(longest, time.monotonic() - began), entered + 1
                wait([pressed], timeout=0.05)
            assert_sent_away(pressed.result())
        assert longest < PATIENCE / 2
        assert entered > 10
        assert buyer.press_purchase().is_redirect
    assert checkouts(sandbox) == ["open", "complete"]
