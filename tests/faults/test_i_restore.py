"""I62: a backup is restored, and nobody who paid before it or since is locked out; what was refunded stays refunded."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.faults.restoring import caught_up, shop, who, with_grants
from tests.support.running import Browser, Site, Thread, eventually, forms
from tests.support.shops import DAY, Shop

from tollkeeper.app import create_app
from tollkeeper.config import load as config
from tollkeeper.storage import tables
from tollkeeper.storage.backup import back_up
from tollkeeper.storage.people import AWAITED_NAME
from tollkeeper.storage.privacy import ERASED_NAME
from tollkeeper.storage.restore import restore

WEEK = 7 * DAY

__all__ = ["shop"]


@contextmanager
def reopened(shop: Shop, folder: Path, url: str) -> Iterator[Site]:
    """The same site on the restored database, at the same address."""
    port = int(shop.url.rsplit(":", 1)[1])
    shop.site.thread.stop()
    settings = shop.site.settings | {"DATABASE_URL": url}
    thread = Thread(lambda: create_app(config.load(settings, folder), clock=shop.site.clock), port)
    thread.start()
    try:
        yield Site(thread, shop.sandbox, settings, shop.site.clock)
    finally:
        thread.stop()


def refund_last(shop: Shop) -> None:
    """Give back what was paid last, without the site hearing of it by a webhook in time for the backup."""
    payment = shop.sandbox.stripe.v1.payment_intents.list({"limit": 1}).data[0]
    shop.sandbox.stripe.v1.refunds.create({"payment_intent": payment.id})


def delete_account(shop: Shop, browser: Browser) -> None:
    page = browser.get("/account/delete")
    fields = forms(page)[-1].fields | {"confirmed": "yes"}
    answer = browser.client.post(f"{shop.url}/account/delete", data=fields, headers={"Origin": shop.url})
    assert answer.status_code == 200


def holds(shop: Shop, someone: Browser) -> set[str]:
    """Sign in afresh, and see what is held."""
    browser = Browser(shop.url)
    browser.sign_in("Nova Example", shop.emails[someone])
    told: dict[str, Any] = browser.get("/api/me").json()
    return {one["feature"] for one in told["features"]}


def test_i62_everybody_who_paid_before_a_backup_or_since_gets_in_again(
    shop: Shop, empty_url: str, tmp_path: Path
) -> None:
    before, refunded_since, began_later, bought_more, left = (shop.newcomer() for _ in range(5))
    shop.buy(refunded_since, "once")
    to_refund = shop.sandbox.stripe.v1.payment_intents.list({"limit": 1}).data[0].id
    for one in (before, left):
        shop.buy(one, "once")
    shop.buy(bought_more, "once")
    back_up(shop.site.settings["DATABASE_URL"], tmp_path / "last week.backup")

    shop.pass_time(WEEK)
    new_once, new_monthly, new_refunded, new_left, only_looked = (shop.newcomer() for _ in range(5))
    shop.sandbox.stripe.v1.refunds.create({"payment_intent": to_refund})
    shop.buy(began_later, "once")
    shop.buy(bought_more, "year")
    shop.buy(new_once, "once")
    shop.buy(new_monthly, "month")
    shop.buy(new_refunded, "once")
    refund_last(shop)
    shop.buy(new_left, "once")
    open_page = shop.newcomer()
    page = open_page.follow(shop.order(open_page, "once"))
    delete_account(shop, left)
    delete_account(shop, new_left)
    ids = {one: who(shop, one) for one in (new_once, new_monthly, only_looked)}
    shop.site.thread.stop()
    shop.pass_time(60)

    made = restore(empty_url, tmp_path / "last week.backup", shop.site.clock())
    assert WEEK <= made.gap.until - made.gap.since < WEEK + DAY
    done = caught_up(shop, tmp_path, empty_url)
    assert (done.trouble, done.deleted) == ([], 2)
    with reopened(shop, tmp_path, empty_url) as site:
        assert not before.enters()  # who was signed in then has to sign in again
        assert holds(shop, before) == {"dashboard"}
        assert holds(shop, began_later) == {"dashboard"}
        assert holds(shop, bought_more) == {"dashboard", "reports"}
        assert holds(shop, new_once) == {"dashboard"}
        assert holds(shop, new_monthly) == {"dashboard", "reports"}
        for one in (refunded_since, new_refunded, left, new_left, only_looked, open_page):
            assert holds(shop, one) == set()
        for one, id in ids.items():
            assert id in {row.id for row in site.rows(tables.people) if row.name == "Nova Example"}, one
        names = [row.name for row in site.rows(tables.people)]
        assert (names.count(ERASED_NAME), names.count(AWAITED_NAME)) == (2, 0)
        open_page.pay(page)  # opened in the lost time, and paid after it
        eventually(lambda: holds(shop, open_page) == {"dashboard"})
        unexplained = [row for row in site.rows(tables.findings) if row.verdict in {"unclaimed", "quarantined"}]
        assert len(unexplained) == 1  # what the new person bought who deleted their account: for an operator to see


def test_i62_a_backup_under_load_knows_everybody_who_paid_before_it(shop: Shop, empty_url: str, tmp_path: Path) -> None:
    url, paid, stop = shop.site.settings["DATABASE_URL"], [], threading.Event()

    def keep_buying() -> None:
        while not stop.is_set():
            someone = shop.newcomer()
            shop.buy(someone, "once")
            assert someone.enters()
            paid.append(who(shop, someone))

    with ThreadPoolExecutor(2) as threads:
        buyers = [threads.submit(keep_buying) for _ in range(2)]
        try:
            eventually(lambda: len(paid) >= 2)
            before = tuple(paid)
            back_up(url, tmp_path / "busy.backup")
            during = len(paid)
            eventually(lambda: len(paid) >= during + 2)
        finally:
            stop.set()
        for buyer in buyers:
            buyer.result()
    shop.site.thread.stop()
    restore(empty_url, tmp_path / "busy.backup", shop.site.clock())
    assert set(before) <= with_grants(empty_url)
    assert set(paid) - with_grants(empty_url)  # who bought since: the load went on after it
    assert caught_up(shop, tmp_path, empty_url).trouble == []
    assert set(paid) == with_grants(empty_url)
