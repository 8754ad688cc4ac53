"""The export of everything stored about a person, and what remains after they delete their account."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Connection, text
from tests.support.running import Browser, eventually, forms, look, running_sandbox
from tests.support.shops import Shop, running_shop

from tollkeeper.reasons import Code, because
from tollkeeper.storage import tables
from tollkeeper.storage.privacy import ERASED_NAME


@pytest.fixture
def shop(database_url: str, tmp_path: Path) -> Iterator[Shop]:
    with running_sandbox() as sandbox, running_shop(sandbox, database_url, tmp_path) as shop:
        yield shop


def post(shop: Shop, browser: Browser, origin: str | None = None, **fields: str) -> httpx2.Response:
    headers = {"Origin": origin or shop.url}
    return browser.client.post(f"{shop.url}/account/delete", data=fields, headers=headers)


def token(browser: Browser) -> str:
    return forms(browser.get("/account/delete"))[-1].fields["csrf_token"]


def everything(shop: Shop) -> str:
    """All that the database holds, in words."""

    def dump(conn: Connection) -> str:
        found = [list(conn.execute(text(f"SELECT * FROM {table.name}"))) for table in tables.metadata.sorted_tables]  # noqa: S608
        return repr(found)

    return look(shop.site.settings["DATABASE_URL"], dump)


def test_the_file_holds_all_that_is_kept_and_no_secret(shop: Shop) -> None:
    someone = shop.newcomer()
    shop.buy(someone, "once")
    shop.buy(someone, "month")
    answer = someone.get("/account/export")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="account.json"'
    assert answer.headers["Cache-Control"] == "no-store"
    reported = answer.json()
    assert reported.keys() == {
        *("exported_at", "person", "identities", "login_sessions", "customers", "orders", "findings", "grants"),
        *("dismissals", "events", "off_sale", "audit"),
    }
    assert reported["person"][0]["email"] == shop.emails[someone]
    assert reported["person"][0]["created_at"].endswith("Z")
    assert {len(reported[table]) for table in ("orders", "findings", "grants", "audit")} == {2}
    assert reported["identities"][0]["issuer"] == f"{shop.sandbox.url}/identity"
    for secret in ("token_hash", "idempotency_key"):
        assert secret not in answer.text
    hashes = [row.token_hash for row in shop.site.rows(tables.login_sessions)]
    assert not any(one in answer.text for one in hashes)


def test_the_file_is_about_oneself_alone(shop: Shop) -> None:
    one, other = shop.newcomer(), shop.newcomer()
    shop.buy(other, "once")
    reported = one.get("/account/export").text
    assert shop.emails[other] not in reported
    assert json.loads(reported)["orders"] == []
    assert Browser(shop.url).get("/account/export").status_code == 302


def test_before_anything_is_deleted_it_is_said_what(shop: Shop) -> None:
    someone = shop.newcomer()
    shop.buy(someone, "once")
    shop.buy(someone, "month")
    page = someone.get("/account/delete").text
    assert "Your subscription to Pro ends." in page
    assert "You lose your access to Flying lessons." in page
    assert "What is kept, and why" in page


def test_it_takes_a_confirmation_and_a_page_of_our_own(shop: Shop) -> None:
    someone = shop.newcomer()
    right = token(someone)
    unconfirmed = post(shop, someone, csrf_token=right)
    assert unconfirmed.status_code == 422
    assert "Nothing was deleted. To go ahead, tick the box." in unconfirmed.text
    assert post(shop, someone, csrf_token=right, confirmed="on").status_code == 422
    assert post(shop, someone, confirmed="yes").status_code == 403
    assert post(shop, someone, csrf_token="x", confirmed="yes").status_code == 403
    assert post(shop, someone, "https://evil.example", csrf_token=right, confirmed="yes").status_code == 403
    assert post(shop, someone, "null", csrf_token=right, confirmed="yes").status_code == 403
    assert someone.client.post(f"{shop.url}/account/delete", data={"csrf_token": right}).status_code == 403
    stranger = Browser(shop.url)
    assert post(shop, stranger, csrf_token=right, confirmed="yes").headers["Location"] == "/login"
    assert someone.get("/account").status_code == 200


def test_nothing_is_left_of_who_it_was(shop: Shop) -> None:
    someone = shop.newcomer()
    shop.buy(someone, "once")
    shop.buy(someone, "month")
    elsewhere = Browser(shop.url)
    elsewhere.sign_in("Nova Example", shop.emails[someone])
    answer = someone.submit(someone.get("/account/delete"), "Delete account", confirmed="yes")
    assert answer.status_code == 200
    assert "Your account is deleted" in answer.text
    assert "tollkeeper" not in someone.client.cookies
    assert shop.subscription().status == "canceled"

    for browser in (someone, elsewhere):
        assert browser.get("/account").status_code == 302
        assert not browser.enters()
    kept = everything(shop)
    assert shop.emails[someone] not in kept
    assert "Nova" not in kept
    assert "/receipts/" not in kept
    [person] = shop.site.rows(tables.people)
    assert (person.name, person.email) == (ERASED_NAME, None)
    for empty in (tables.identities, tables.login_sessions, tables.handovers):
        assert shop.site.rows(empty) == []
    assert {grant.withheld for grant in shop.site.rows(tables.grants)} == {because(Code.ACCOUNT_DELETED)}
    assert all(grant.revoked_at for grant in shop.site.rows(tables.grants))
    ended = {row.change: row.reason for row in shop.site.rows(tables.audit) if row.change != "granted"}
    assert len(shop.site.rows(tables.audit)) == 4
    assert ended["revoked"] == because(Code.ACCOUNT_DELETED)  # what was bought for good
    assert ended["ended"].code is Code.ENDED  # the subscription
    assert len(shop.site.rows(tables.orders)) == 2


def test_anybody_who_signs_in_again_is_somebody_new(shop: Shop) -> None:
    someone = shop.newcomer()
    shop.buy(someone, "once")
    someone.submit(someone.get("/account/delete"), "Delete account", confirmed="yes")
    shop.sign_in_again(someone)
    assert not someone.enters()
    assert "Nothing yet" in someone.get("/account").text
    assert len({row.id for row in shop.site.rows(tables.people)}) == 2
    shop.buy(someone, "once")
    assert someone.enters()


def test_what_the_provider_says_later_brings_nothing_back(shop: Shop) -> None:
    someone = shop.newcomer()
    shop.buy(someone, "once")
    open_page = someone.follow(shop.order(someone, "month"))
    someone.submit(someone.get("/account/delete"), "Delete account", confirmed="yes")
    late = someone.client.get(str(open_page.url))
    assert "timed out" in late.text  # nobody can pay there any more
    before = shop.site.rows(tables.grants)

    charge = shop.sandbox.stripe.v1.charges.list({"limit": 1}).data[0]
    shop.sandbox.stripe.v1.refunds.create({"charge": charge.id, "amount": 100})
    shop.pass_time(60)
    other = shop.newcomer()  # whose events are handled after those
    shop.buy(other, "once")
    kept = everything(shop)
    assert shop.emails[someone] not in kept
    assert [row for row in shop.site.rows(tables.grants) if row.id == before[0].id] == before


def test_money_that_comes_after_all_is_for_an_operator_to_give_back(shop: Shop) -> None:
    someone = shop.newcomer()
    shop.buy(someone, "basic")
    order_id, person_id = shop.site.rows(tables.orders)[0].id, shop.site.rows(tables.people)[0].id
    customer = str(shop.subscription().customer)
    someone.submit(someone.get("/account/delete"), "Delete account", confirmed="yes")
    v1 = shop.sandbox.stripe.v1
    v1.subscriptions.create(
        {
            "customer": customer,
            "items": [{"price": shop.prices["basic"]}],
            "metadata": {"order": order_id, "person": person_id},
            "default_payment_method": v1.payment_methods.attach("pm_card_visa", {"customer": customer}).id,
        }
    )

    def late() -> bool:
        return any(row.verdict == "quarantined" for row in shop.site.rows(tables.findings))

    eventually(late)
    [found] = [row for row in shop.site.rows(tables.findings) if row.verdict == "quarantined"]
    assert (found.reason, found.email) == (because(Code.PAID_AFTER_DELETION), None)
    assert len(shop.site.rows(tables.grants)) == 1


def test_while_the_provider_is_away_nothing_is_deleted(shop: Shop) -> None:
    someone = shop.newcomer()
    shop.buy(someone, "month")
    page = someone.get("/account/delete")
    shop.sandbox.thread.stop()
    answer = someone.submit(page, "Delete account", confirmed="yes")
    assert answer.status_code == 503
    assert "Nothing was deleted" in answer.text
    assert someone.enters()
    assert shop.emails[someone] in everything(shop)


def test_who_never_bought_anything_can_go_too(shop: Shop) -> None:
    someone = shop.newcomer()
    answer = someone.submit(someone.get("/account/delete"), "Delete account", confirmed="yes")
    assert "Your account is deleted" in answer.text
    assert shop.site.rows(tables.identities) == []
