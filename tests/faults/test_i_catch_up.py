"""I62, step by step: catching up is continued, completed, and takes nothing from neighbours. On one engine."""

from pathlib import Path

import httpx2
import pytest
from tests.faults.restoring import caught_up, shop, who, with_grants
from tests.support.running import eventually, look
from tests.support.shops import Shop

from tollkeeper.storage import tables
from tollkeeper.storage.backup import back_up
from tollkeeper.storage.migrate import migrate
from tollkeeper.storage.restore import restore

__all__ = ["shop"]


@pytest.fixture
def engine() -> str:
    """These are about the steps, not about the database."""
    return "sqlite"


class Killed(BaseException):
    """Nothing of ours catches it, as nothing catches the end of a process."""


def test_i62_a_catch_up_that_is_killed_anywhere_continues(shop: Shop, empty_url: str, tmp_path: Path) -> None:
    back_up(shop.site.settings["DATABASE_URL"], tmp_path / "empty.backup")
    for _ in range(2):
        shop.buy(shop.newcomer(), "once")
    shop.site.thread.stop()
    made = restore(empty_url, tmp_path / "empty.backup", shop.site.clock())
    stages: list[str] = []

    def kill_at_each_new_stage(stage: str, done: int, total: int | None) -> None:
        if (at := f"{stage} {done}") not in stages:
            stages.append(at)
            raise Killed

    for _ in range(20):
        try:
            done = caught_up(shop, tmp_path, empty_url, kill_at_each_new_stage)
        except Killed:
            continue
        break
    assert len(stages) >= 4
    assert (done.since, done.until, done.trouble) == (made.gap.since, made.gap.until, [])
    assert len(with_grants(empty_url)) == 2
    (gap,) = look(empty_url, lambda conn: list(conn.execute(tables.gaps.select())))
    assert gap.closed_at is not None


def test_i62_a_catch_up_with_trouble_says_so_and_is_completed_later(shop: Shop, empty_url: str, tmp_path: Path) -> None:
    back_up(shop.site.settings["DATABASE_URL"], tmp_path / "empty.backup")
    for _ in range(2):
        shop.buy(shop.newcomer(), "once")
    shop.site.thread.stop()
    restore(empty_url, tmp_path / "empty.backup", shop.site.clock())
    fault = {"effect": "error", "method": "GET", "path": "/v1/subscriptions", "times": 1000}
    answer = httpx2.post(f"{shop.sandbox.url}/control/faults", json=fault)
    answer.raise_for_status()
    done = caught_up(shop, tmp_path, empty_url)
    assert done.trouble
    assert with_grants(empty_url) == set()
    httpx2.delete(f"{shop.sandbox.url}/control/faults").raise_for_status()
    assert caught_up(shop, tmp_path, empty_url).trouble == []
    assert len(with_grants(empty_url)) == 2


def test_i62_a_neighbour_on_the_account_is_left_alone(shop: Shop, empty_url: str, tmp_path: Path) -> None:
    """Another site of the same make, that even sells at the same price."""
    (tmp_path / "neighbour").mkdir()
    neighbour_url = f"sqlite:///{tmp_path / 'neighbour' / 'its.db'}"
    migrate(neighbour_url)
    back_up(neighbour_url, tmp_path / "its.backup")
    shop.buy(shop.newcomer(), "once")
    restore(empty_url, tmp_path / "its.backup", shop.site.clock())
    done = caught_up(shop, tmp_path, empty_url)
    assert (done.customers, done.people, done.changes) == (0, 0, 0)
    assert look(empty_url, lambda conn: list(conn.execute(tables.people.select()))) == []


def test_i62_no_order_is_found_again_outside_of_the_time_that_was_lost(shop: Shop, tmp_path: Path) -> None:
    """As before: what names an order that is not known here was never ordered here."""
    someone = shop.newcomer()
    shop.buy(someone, "once")
    (customer,) = shop.site.rows_of(someone, tables.customers)
    person = who(shop, someone)
    made = shop.sandbox.stripe.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "customer": customer.external_id,
            "client_reference_id": f"ord_{'0' * 24}",
            "metadata": {"order": f"ord_{'0' * 24}", "person": person, "product": "pro"},
            "line_items": [{"price": shop.prices["once"], "quantity": 1}],
            "success_url": f"{shop.url}/",
        }
    )
    someone.pay(someone.client.get(made.url or ""))
    eventually(lambda: [row for row in shop.site.rows(tables.findings) if row.source == made.id])
    (found,) = [row for row in shop.site.rows(tables.findings) if row.source == made.id]
    assert found.verdict == "unclaimed"
    assert len(shop.site.rows(tables.grants)) == 1
