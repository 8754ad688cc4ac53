"""Measure how soon a payment gives access, and how soon a refund ends it: ``scripts/latency``."""

import argparse
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx2
from rich.console import Console
from tests.endurance.reporting import Outcome, report
from tests.endurance.shop import Shop, clean_up_when_stopped, open_shop, payment_of, serve_sandbox, use_control_page
from tests.support.running import Browser, eventually

from tollkeeper.billing.inbox import POLL_INTERVAL
from tollkeeper.storage.tables import events

# The bounds, in seconds.
WITH_WEBHOOKS: Final = 5
WITHOUT_WEBHOOKS: Final = 120
AFTER_AN_OUTAGE: Final = 60

OUTAGE: Final = 60  # seconds
MOMENTS: Final = (
    0.0,
    0.25,
    0.5,
    0.75,
    0.95,
)  # when people pay, as a fraction of an outage or of the time between two polls

# Access continues until a dispute is lost, so that only the loss ends it.
KEEPING: Final = """
[products.dashboard]
name = "Flying lessons"
unlocks = ["dashboard"]
stripe = ["{price}"]
dispute = "keep"
"""


@dataclass(frozen=True)
class Checkout:
    """A buyer in front of the hosted page."""

    browser: Browser
    page: httpx2.Response

    def pay(self) -> float:
        """Pay, and close the tab before returning. Returns the time when the hosted page confirmed the payment."""
        answer = self.browser.pay(self.page)
        assert answer.is_redirect, answer.text
        return time.monotonic()

    def enters(self, since: float, bound: float) -> float:
        """Return the seconds from a moment until the dashboard opens."""
        return seconds_until(self.browser.enters, since, bound)

    def is_refused(self, since: float) -> float:
        """Return the seconds from a moment until the dashboard refuses them."""
        return seconds_until(lambda: self.browser.get("/dashboard").is_redirect, since, WITH_WEBHOOKS)


def seconds_until(condition: Callable[[], bool], since: float, bound: float) -> float:
    """Seconds from a moment until something holds, or a little more than the bound if it did not hold by then."""
    while not condition() and time.monotonic() - since <= bound:
        time.sleep(0.01)
    return time.monotonic() - since


@contextmanager
def serving_shop(prepare: Callable[[Shop], None] = lambda shop: None, **settings: str) -> Iterator[Shop]:
    """Open a shop whose app is running."""
    with open_shop("sqlite", **settings) as shop:
        prepare(shop)
        with shop.app.serving():
            yield shop


def buyers(shop: Shop, count: int) -> Iterator[Checkout]:
    """People who have signed in and pressed Purchase, one after the other."""
    for number in range(count):
        browser = Browser(shop.app.url)
        browser.sign_in("Nova Example", f"buyer-{number}@example.com")
        yield Checkout(browser, browser.checkout())


def members(shop: Shop, count: int) -> Iterator[tuple[Checkout, str]]:
    """People who have paid and got in, each with the id of the payment."""
    for buyer in buyers(shop, count):
        buyer.pay()
        eventually(buyer.browser.enters)
        yield buyer, payment_of(shop.account, buyer.page)


def webhooks_on(purchases: int) -> list[float]:
    """From each payment until access; no browser comes back to the success page."""
    with serving_shop() as shop:
        return [buyer.enters(buyer.pay(), WITH_WEBHOOKS) for buyer in buyers(shop, purchases)]


def webhooks_off() -> list[float]:
    """The same without a webhook secret, for payments that fall differently between two polls."""

    def buy(buyer: Checkout, moment: float) -> float:
        time.sleep(moment * POLL_INTERVAL)
        return buyer.enters(buyer.pay(), WITHOUT_WEBHOOKS)

    with serving_shop(STRIPE_WEBHOOK_SECRET="") as shop:
        return _all_at_once(buy, list(buyers(shop, len(MOMENTS))), MOMENTS)


def provider_failing() -> list[float]:
    """From the end of a minute in which every call is answered 503, webhooks are lost, and people pay, until access."""
    with serving_shop() as shop:
        waiting = list(buyers(shop, len(MOMENTS)))
        _misbehave(shop, effect="error", path="/v1/*", status=503)
        _misbehave(shop, effect="lose")
        began = time.monotonic()
        for buyer, moment in zip(waiting, MOMENTS, strict=True):
            _sleep_until(began + moment * OUTAGE)
            buyer.pay()
        _sleep_until(began + OUTAGE)
        httpx2.delete(f"{shop.account.url}/control/faults").raise_for_status()
        return _access_since(time.monotonic(), waiting)


def provider_killed() -> list[float]:
    """From the end of a minute in which nobody answers until access. People paid just before; webhooks are lost."""
    with serving_shop() as shop:
        waiting = list(buyers(shop, len(MOMENTS)))
        _misbehave(shop, effect="lose")
        for buyer in waiting:
            buyer.pay()
        shop.sandbox.kill()
        time.sleep(OUTAGE)
        with serve_sandbox(shop.folder, shop.sandbox_port):
            return _access_since(time.monotonic(), waiting)


def refunded(count: int) -> list[float]:
    """From a full refund until the dashboard refuses."""
    with serving_shop() as shop:
        return [_closing(shop, member, f"payments/{payment}/refund") for member, payment in members(shop, count)]


def dispute_lost(count: int) -> list[float]:
    """From the loss of a dispute until the dashboard refuses."""

    def lose(member: Checkout, payment: str) -> float:
        dispute = use_control_page(shop.account, f"payments/{payment}/dispute", reason="fraudulent")
        eventually(lambda: _is_known(shop, dispute))
        assert member.browser.enters(), "the dispute has ended access before it was lost"
        return _closing(shop, member, f"disputes/{dispute}/lose")

    with serving_shop(_keep_during_disputes) as shop:
        return [lose(member, payment) for member, payment in members(shop, count)]


def _is_known(shop: Shop, object_id: str) -> bool:
    """Whether the app has handled an event about something."""
    return any(row.object_id == object_id and row.handled_at is not None for row in shop.app.rows(events))


def _closing(shop: Shop, member: Checkout, form: str) -> float:
    began = time.monotonic()
    use_control_page(shop.account, form)
    return member.is_refused(began)


def _keep_during_disputes(shop: Shop) -> None:
    """Have the product in ``tollkeeper.toml``, where it may have a policy."""
    (shop.folder / "tollkeeper.toml").write_text(KEEPING.format(price=shop.app.settings["PRODUCT_PRICE_ID"]))
    file = shop.folder / ".env"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.startswith("PRODUCT_PRICE_ID=")))


def _misbehave(shop: Shop, **fault: str | int) -> None:
    httpx2.post(f"{shop.account.url}/control/faults", json=fault | {"times": None}).raise_for_status()


def _access_since(back: float, waiting: Sequence[Checkout]) -> list[float]:
    return _all_at_once(lambda buyer: buyer.enters(back, AFTER_AN_OUTAGE), waiting)


def _all_at_once(measure: Callable[..., float], *arguments: Sequence[Any]) -> list[float]:
    with ThreadPoolExecutor(len(arguments[0])) as threads:
        return list(threads.map(measure, *arguments))


def _sleep_until(moment: float) -> None:
    time.sleep(max(moment - time.monotonic(), 0))


@dataclass(frozen=True)
class Part:
    """Something to measure, and the bound in seconds that so large a share must keep to."""

    measure: Callable[[], list[float]]
    bound: int
    share: float = 1


def quick_parts(purchases: int, revocations: int = 10) -> dict[str, Part]:
    """What takes as long as people need to click."""
    return {
        "webhooks_on": Part(lambda: webhooks_on(purchases), WITH_WEBHOOKS, 0.99),
        "refunded": Part(lambda: refunded(revocations), WITH_WEBHOOKS),
        "dispute_lost": Part(lambda: dispute_lost(revocations), WITH_WEBHOOKS),
    }


# What takes minutes, of which most is waiting.
SLOW_PARTS: Final = {
    "webhooks_off": Part(webhooks_off, WITHOUT_WEBHOOKS),
    "provider_failing": Part(provider_failing, AFTER_AN_OUTAGE),
    "provider_killed": Part(provider_killed, AFTER_AN_OUTAGE),
}


def measured(parts: Mapping[str, Part], say: Callable[[str], None]) -> Outcome:
    """Measure one part after the other, and print with ``say`` which one it is."""
    figures: dict[str, Mapping[str, float]] = {}
    wrong: list[str] = []
    for name, part in parts.items():
        say(f"{name.replace('_', ' ')} ...")
        seconds = part.measure()
        figures[name] = _figures(seconds, part.bound)
        if quantile(seconds, part.share) > part.bound:
            wrong.append(f"{name.replace('_', ' ')} missed the bound of {part.bound} s")
    return Outcome(figures, wrong)


def _figures(seconds: Sequence[float], bound: int) -> dict[str, float]:
    """Return the figures in seconds, except for the count."""
    quantiles = {name: round(quantile(seconds, share), 3) for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1))}
    return {"count": len(seconds), **quantiles, "bound": bound}


def quantile(seconds: Sequence[float], share: float) -> float:
    """Return the smallest value that this share of the values does not exceed."""
    return sorted(seconds)[math.ceil(share * len(seconds)) - 1]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command. Ends with status 1 if a limit was missed."""
    parser = argparse.ArgumentParser(prog="scripts/latency", description=__doc__)
    parser.add_argument("--purchases", type=int, default=200, help="how many with webhooks on (200)")
    parser.add_argument("--json", action="store_true", help="answer in JSON, for machines")
    given = parser.parse_args(arguments)
    clean_up_when_stopped()
    console = Console(stderr=True, quiet=given.json)
    report(measured(quick_parts(given.purchases) | SLOW_PARTS, console.print), as_json=given.json)


if __name__ == "__main__":
    main()
