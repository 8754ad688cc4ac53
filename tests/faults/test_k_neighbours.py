"""K75 and K76: unrelated sales on the account, and purchases made elsewhere for somebody here."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import chain, count
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs
from tests.faults.subscribing import DAY, RENEWED, WEEK, Shop, open_shop
from tests.support.running import Browser

from tollkeeper.billing.entitlements import unclaimed
from tollkeeper.billing.neighbours import look_at
from tollkeeper.billing.reconcile import reconcile
from tollkeeper.billing.sweep import sweep
from tollkeeper.catalog import Catalog
from tollkeeper.errors import NotDone, PersonUnclear
from tollkeeper.model.access import Verdict
from tollkeeper.model.orders import Customer, Realm
from tollkeeper.model.people import Person
from tollkeeper.operating import adoption, operators
from tollkeeper.operating.adoption import Adopted
from tollkeeper.operating.explanations import PaymentIssue, answers, remarks
from tollkeeper.reasons import Code
from tollkeeper.storage import audit, customers, findings, orders, privacy
from tollkeeper.storage.database import Database
from tollkeeper.storage.findings import Noted

pytestmark = pytest.mark.anyio
NOW = 1_800_000_000


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with open_shop(database) as shop:
        yield shop


def v1(shop: Shop) -> Any:
    return shop.world.sandbox.stripe.v1


async def cases(shop: Shop) -> dict[str, PaymentIssue]:
    """What ``tollkeeper payments`` lists, by payment."""
    return {one.payment: one for one in await shop.to_check()}


async def everything(shop: Shop) -> dict[str, PaymentIssue]:
    """What ``tollkeeper payments --all`` lists, by payment."""
    services = shop.services
    where = (services.catalog, shop.services.mode, services.clock(), 100)
    return {one.payment: one for one in await services.database.read(operators.all_payments, *where)}


async def unexplained(shop: Shop) -> dict[Verdict, int]:
    return await shop.services.database.read(findings.count_unexplained, shop.services.mode)


async def other_sales(shop: Shop) -> int:
    return await shop.services.database.read(findings.count_unrelated, shop.services.mode)


async def sentence(shop: Shop, person: Person, feature: str = "reports") -> str:
    explained = await operators.why(shop.services, person.id)
    return next(one.sentence for one in answers(explained, shop.services.catalog) if one.feature == feature)


async def finding_of(shop: Shop, source: str) -> Noted:
    """The latest finding on something, no matter who bought it."""
    found = await shop.services.database.read(findings.called, await shop.services.realm(), source)
    assert found is not None
    return found


async def adopt(shop: Shop, person: Person, payment: str, **more: Any) -> Adopted:
    return await adoption.adopt(shop.services, person.id, payment, note="Sold by telephone", **more)


async def dismiss(shop: Shop, payment: str, note: str = "Paid back in cash") -> None:
    await shop.services.database.write(
        operators.dismiss, shop.services.catalog, shop.services.mode, payment, note, shop.services.clock()
    )


async def restore(shop: Shop, payment: str) -> None:
    await shop.services.database.write(operators.restore, shop.services.mode, payment)


def another_customer(shop: Shop) -> str:
    """The provider's record of somebody who never came here."""
    return str(v1(shop).customers.create({"email": f"{secrets.token_hex(4)}@neighbour.example"}).id)


def by_hand(shop: Shop, price: str, customer: str | None = None) -> str:
    """A subscription that an operator made at the provider, for a customer whom nobody here knows."""
    return shop.world.subscribe_by_hand(customer or another_customer(shop), price)


def by_link(shop: Shop, price: str, **hint: str) -> tuple[str, str]:
    """Somebody pays as a guest, through a payment link. Answers checkout session and payment."""
    link = v1(shop).payment_links.create({"line_items": [{"price": price, "quantity": 1}]})
    buyer = Browser(shop.world.sandbox.url)
    page = buyer.follow(buyer.get(link.url, **hint))
    assert buyer.pay(page).status_code == 303
    session = v1(shop).checkout.sessions.retrieve(page.url.path.rsplit("/", 1)[-1])
    assert session.customer is None
    return session.id, str(session.payment_intent)


async def customer_of(shop: Shop, person: Person) -> Customer:
    found = await shop.services.database.read(customers.of_person, person.id, await shop.services.realm())
    assert found is not None
    return found


async def sweep_all(shop: Shop) -> None:
    """Ask about everybody who is due, without any event."""
    while await sweep(shop.services, await shop.services.realm(), 0):
        if not await due(shop):
            break
        shop.world.sandbox.clock.ahead += 1


async def due(shop: Shop) -> bool:
    realm, now = await shop.services.realm(), shop.services.clock()
    known = await shop.services.database.read(customers.after, realm, 0, 100)
    return bool(known) and await shop.services.database.read(_unchecked, now)


def _unchecked(conn: Any, now: int) -> bool:
    from tollkeeper.storage.tables import customers as table

    return any(row.checked_at < now - 60 for row in conn.execute(table.select()))


# 75: neighbours


async def test_k75_a_refund_in_the_second_of_its_payment_is_seen_in_any_order(
    shop: Shop,
) -> None:
    realm, (session, payment) = await shop.services.realm(), by_link(shop, shop.once)
    paid = await shop.services.provider.bought(session)
    assert paid is not None
    shop.world.refund(payment, 99_000)
    # The answer from before the refund is written first, and was asked for in the same second.
    stale, seconds = unclaimed(paid, False, shop.services.catalog), count(NOW)
    await shop.services.database.write(findings.note_of_stranger, realm, stale, next(seconds))
    assert payment in await cases(shop)
    same_second = chain([NOW], seconds)
    found = await look_at(replace(shop.services, clock=lambda: next(same_second)), realm, payment, evidence="refunded")
    assert found is not None
    assert found.bought.source == session
    assert await cases(shop) == {}


async def test_k75_what_a_customer_of_ours_buys_of_others_is_none_of_our_business(shop: Shop) -> None:
    person, _ = await shop.subscriber()
    elsewhere = shop.world.price(4_500, name="A calendar", interval="month")
    with capture_logs() as logs:
        other = by_hand(shop, elsewhere, (await customer_of(shop, person)).external_id)
        await shop.hear()
    assert not [line for line in logs if line["log_level"] == "warning"]
    found = await finding_of(shop, other)
    assert (found.verdict, found.reason.code, found.reason["prices"]) == (
        Verdict.UNRELATED,
        Code.OTHER_SALE,
        elsewhere,
    )
    assert await cases(shop) == {}
    assert await other_sales(shop) == 1
    assert await shop.held(person) == ["pro"]


async def test_k75_why_tells_somebody_who_only_bought_of_others_what_that_was(shop: Shop) -> None:
    person = await shop.newcomer()
    await shop.page(person)
    customer = (await customer_of(shop, person)).external_id
    other = by_hand(shop, shop.world.price(4_500, name="A calendar", interval="month"), customer)
    await shop.hear()
    words = await sentence(shop, person)
    assert words.startswith(
        f"Nova Example may not use reports, because nothing was paid for here: subscription {other} of "
    )
    assert "was for something else on the account, which this site does not sell (price_" in words
    assert not (await operators.why(shop.services, person.id)).outdated


@pytest.mark.parametrize("mark", ["order", "person", "neither"])
async def test_k75_what_bears_our_mark_is_ours_to_look_at_whatever_it_costs(shop: Shop, mark: str) -> None:
    person = await shop.newcomer()
    await shop.page(person)
    (order,) = await shop.services.database.read(orders.of_person, person.id, await shop.services.realm())
    names = {"order": order.id, "person": person.id}.get(mark, "x" * 500)
    metadata = {"person" if mark == "person" else "order": names}
    made = by_hand(shop, shop.world.price(100, interval="week"))
    v1(shop).subscriptions.update(made, {"metadata": metadata})
    await shop.hear()
    expected = Verdict.UNRELATED if mark == "neither" else Verdict.UNCLAIMED
    assert (await finding_of(shop, made)).verdict is expected
    assert ([made] if mark != "neither" else []) == list(await cases(shop))
    assert await shop.held(person) == []


async def test_k75_by_tomorrows_catalog_it_is_looked_at_again(shop: Shop) -> None:
    legacy = shop.world.price(5_000, name="The old plan")
    session, payment = by_link(shop, legacy)
    await shop.hear()
    assert (await finding_of(shop, session)).email is None
    assert (await cases(shop), await other_sales(shop)) == ({}, 1)
    old = shop.services.catalog
    pro = shop.product()
    known = replace(pro, prices={"stripe": (*pro.prices["stripe"], legacy)})
    shop.services = replace(
        shop.services, catalog=Catalog((known, *(one for one in old.products if one.key != "pro")), "stripe")
    )
    assert [one async for one in operators.reconcile_everybody(shop.services)] == []
    (case,) = (await cases(shop)).values()
    assert (case.kind, case.payment, case.product, case.email) == ("unclaimed", payment, "pro", "buyer@example.com")
    assert (await other_sales(shop), (await unexplained(shop))[Verdict.UNCLAIMED]) == (0, 1)
    shop.services = replace(shop.services, catalog=old)
    assert [one async for one in operators.reconcile_everybody(shop.services)] == []
    assert (await cases(shop), await other_sales(shop)) == ({}, 1)


# Dismissed


async def test_k75_a_dismissed_payment_leaves_list_and_metric_and_comes_back_by_hand(shop: Shop) -> None:
    _, payment = by_link(shop, shop.once)
    await shop.hear()
    assert list(await cases(shop)) == [payment]
    await dismiss(shop, payment)
    assert (await cases(shop), (await unexplained(shop))[Verdict.UNCLAIMED]) == ({}, 0)
    case = (await everything(shop))[payment]
    assert case.dismissed is not None
    assert (case.kind, case.dismissed["note"]) == ("unclaimed", "Paid back in cash")
    assert f"tollkeeper payments restore {payment}" in case.remedy
    await shop.hear()
    assert [one async for one in operators.reconcile_everybody(shop.services)] == []
    assert await cases(shop) == {}
    await restore(shop, payment)
    assert (list(await cases(shop)), (await unexplained(shop))[Verdict.UNCLAIMED]) == ([payment], 1)
    with pytest.raises(NotDone, match="was not dismissed"):
        await restore(shop, payment)
    with pytest.raises(NotDone, match="not a payment that needs a look"):
        await dismiss(shop, "pi_unheard_of")


async def test_k75_a_dismissed_draft_stays_away_and_comes_back_with_the_next_one(shop: Shop) -> None:
    person, subscription = await shop.subscriber()
    shop.world.set("drafts", seconds="never")
    shop.world.pass_time(RENEWED)
    await shop.hear()
    (case,) = (await cases(shop)).values()
    assert case.kind == "not finalized"
    await dismiss(shop, subscription)
    assert await cases(shop) == {}
    await reconcile(shop.services, await customer_of(shop, person), evidence="test")
    assert await cases(shop) == {}
    assert (await everything(shop))[subscription].kind == "not finalized"
    shop.world.pass_time(WEEK)
    await shop.hear()
    assert len(await shop.to_check()) == 2


async def test_k75_a_quarantined_payment_that_was_dismissed_comes_back_when_it_is_something_else(
    shop: Shop,
) -> None:
    person, subscription = await shop.subscriber()
    owner = (await customer_of(shop, person)).external_id
    (order,) = await shop.services.database.read(orders.of_person, person.id, await shop.services.realm())
    other = by_hand(shop, shop.weekly, owner)
    v1(shop).subscriptions.update(other, {"metadata": {"order": order.id, "person": "somebody"}})
    await shop.hear()
    assert (await cases(shop))[other].kind == "quarantined"
    await dismiss(shop, other)
    assert await cases(shop) == {}
    v1(shop).subscriptions.update(other, {"metadata": {"order": "", "person": ""}})
    await shop.hear()
    assert (await cases(shop))[other].kind == "unclaimed"
    await dismiss(shop, other)
    v1(shop).subscriptions.update(other, {"metadata": {"order": order.id, "person": person.id}})
    await shop.hear()
    assert (await cases(shop))[other].kind == "bought twice"
    await dismiss(shop, other)
    assert await cases(shop) == {}
    assert (await everything(shop))[other].kind == "bought twice"
    assert subscription not in await everything(shop)


# 76: adoption


async def test_k76_a_subscription_made_by_hand_is_adopted_and_follows_the_provider(shop: Shop) -> None:
    person = await shop.newcomer()
    made = by_hand(shop, shop.weekly)
    await shop.hear()
    (case,) = (await cases(shop)).values()
    assert f"or: tollkeeper adopt PERSON {made} --note WHY" in case.remedy
    assert (case.product, case.person_id) == ("pro", None)
    assert await shop.held(person) == []
    done = await adopt(shop, person, made)
    assert (done.whom.person, done.found.verdict, done.trouble) == (person, Verdict.GRANTED, None)
    assert (await shop.held(person), await cases(shop)) == (["pro"], {})
    (entry,) = await shop.services.database.read(audit.of_person, person.id)
    assert (entry.change, entry.evidence, entry.source) == ("granted", "tollkeeper adopt: Sold by telephone", made)
    before = await shop.until(person)

    shop.world.pass_time(RENEWED)
    await shop.hear()
    assert await shop.until(person) == before + WEEK
    shop.world.change_plan(made, shop.plain)
    await shop.hear()
    assert await shop.held(person) == ["basic"]
    shop.world.end(made, at_period_end=False)
    await shop.hear()
    assert (await shop.held(person), await cases(shop)) == ([], {})
    assert await shop.changes(person) == ["granted", "extended", "changed", "ended"]


async def test_k76_what_is_adopted_follows_without_any_event(shop: Shop) -> None:
    person = await shop.newcomer()
    made = by_hand(shop, shop.weekly)
    session, payment = by_link(shop, shop.once)
    for one in (made, session):  # nothing was ever heard of either
        await adopt(shop, person, one)
    assert await shop.held(person) == ["pro", "pro"]
    shop.world.refund(payment, 99_000)
    shop.world.end(made, at_period_end=False)
    shop.world.sandbox.clock.ahead += DAY
    await sweep_all(shop)
    assert await shop.held(person) == []
    assert sorted(await shop.changes(person)) == ["ended", "granted", "granted", "revoked"]


async def test_k76_what_a_command_that_died_had_adopted_is_swept_at_once(shop: Shop) -> None:
    person, faults = await shop.newcomer(), f"{shop.world.sandbox.url}/control/faults"
    await shop.page(person)
    made = by_hand(shop, shop.weekly, (await customer_of(shop, person)).external_id)
    slow = {"effect": "hang", "path": "/v1/subscriptions", "seconds": 1, "times": None}
    httpx2.post(faults, json=slow).raise_for_status()
    command = asyncio.create_task(adopt(shop, person, made))
    while not any(one.adopts for one in await ordered(shop, person)):  # noqa: ASYNC110 - what is waited for is on disk
        await asyncio.sleep(0.05)
    command.cancel()
    httpx2.delete(faults).raise_for_status()
    assert await shop.held(person) == []
    assert await sweep(shop.services, await shop.services.realm(), DAY)
    assert await shop.held(person) == ["pro"]


async def test_k76_a_payment_by_a_guest_is_adopted_and_its_dispute_and_refund_are_heard_of(
    shop: Shop,
) -> None:
    person = await shop.newcomer()
    session, payment = by_link(shop, shop.once)
    await shop.hear()
    assert f"tollkeeper adopt PERSON {payment} --note WHY" in (await cases(shop))[payment].remedy
    await adopt(shop, person, payment)
    (grant,) = await shop.grants(person)
    assert (grant.product, grant.until, grant.source, grant.reference) == ("pro", None, session, payment)
    shop.world.press(f"/control/payments/{payment}/dispute", reason="fraudulent")
    await shop.hear()
    assert await shop.held(person) == []
    (dispute,) = v1(shop).disputes.list({"payment_intent": payment}).data
    shop.world.press(f"/control/disputes/{dispute.id}/win")
    await shop.hear()
    assert await shop.held(person) == ["pro"]
    shop.world.refund(payment, 99_000)
    await shop.hear()
    assert (await shop.held(person), await cases(shop)) == ([], {})
    assert await shop.changes(person) == ["granted", "suspended", "restored", "revoked"]


async def test_k76_a_guest_of_before_buys_here_as_a_customer_of_their_own(shop: Shop) -> None:
    person = await shop.newcomer()
    session, _ = by_link(shop, shop.world.price(50, name="Something small"))
    await adopt(shop, person, session, product="basic")
    shop.world.pay(await shop.page(person))
    await shop.hear()
    assert await shop.held(person) == ["basic", "pro"]
    known = await shop.services.database.read(customers.all_of_person, person.id, await shop.services.realm())
    assert [one.external_id[:3] for one in known] == ["cus", "cs_"]
    assert (await customer_of(shop, person)).external_id == known[0].external_id


@pytest.mark.parametrize("before", [True, False])
async def test_k76_the_customer_is_the_persons_from_then_on_a_second_one_if_they_have_one(
    shop: Shop,
    before: bool,
) -> None:
    person = await shop.newcomer()
    if before:
        await shop.page(person)
        own = (await customer_of(shop, person)).external_id
    theirs = another_customer(shop)
    await adopt(shop, person, by_hand(shop, shop.plain, theirs))
    assert (await customer_of(shop, person)).external_id == (own if before else theirs)
    shop.world.pay(await shop.page(person))
    await shop.hear()
    assert await shop.held(person) == ["basic", "pro"]


async def test_k76_of_a_price_that_the_catalog_does_not_know_the_operator_says_the_product(shop: Shop) -> None:
    person = await shop.newcomer()
    special = shop.world.price(777, name="As agreed", interval="week")
    made = by_hand(shop, special)
    await shop.hear()
    assert await cases(shop) == {}
    with pytest.raises(NotDone, match=rf"its price, {special}: name the product with --product"):
        await adopt(shop, person, made)
    with pytest.raises(NotDone, match=r"There is no product por in the catalog\. Did you mean pro"):
        await adopt(shop, person, made, product="por")
    await adopt(shop, person, made, product="pro")
    assert await shop.held(person) == ["pro"]
    shop.world.pass_time(RENEWED)
    await shop.hear()
    assert (await shop.held(person), await cases(shop)) == (["pro"], {})
    shop.world.change_plan(made, shop.world.price(778, name="As agreed since", interval="week"))
    await shop.hear()
    assert (await shop.held(person), (await cases(shop))[made].kind) == (["pro"], "unknown price")
    with pytest.raises(NotDone, match="sells basic"):
        await adopt(shop, person, by_hand(shop, shop.plain), product="pro")


async def test_k76_what_is_not_free_is_not_adopted(shop: Shop) -> None:
    person, own = await shop.subscriber()
    other = await shop.newcomer()
    made = by_hand(shop, shop.plain)
    session, payment = by_link(shop, shop.once)
    await shop.hear()
    await operators.grant(shop.services, person.id, "pro", note="A gift", payment=payment)
    for named in (session, payment):
        with pytest.raises(NotDone, match=f"granted pro to {person.id}.*tollkeeper revoke {person.id} pro"):
            await adopt(shop, other, named)
    with pytest.raises(NotDone, match=f"{own} is granted, so there is nothing to adopt"):
        await adopt(shop, other, own)
    mine = by_hand(shop, shop.plain, (await customer_of(shop, person)).external_id)
    with pytest.raises(NotDone, match=f"paid by a customer who is {person.id} here"):
        await adopt(shop, other, mine)
    for unheard in ("sub_unheard_of", "cs_test_unheard_of", "pi_unheard_of", "../../v1/customers"):
        with pytest.raises(NotDone, match="The provider knows nothing that was bought under the id"):
            await adopt(shop, other, unheard)
    with pytest.raises(PersonUnclear):
        await adoption.adopt(shop.services, "nobody", made, note="?")
    await adopt(shop, person, made)
    with pytest.raises(NotDone, match=f"adopted for {person.id} on .*tollkeeper revoke {person.id} basic"):
        await adopt(shop, other, made)
    erased = await shop.newcomer()
    await shop.services.database.write(privacy.erase, erased.id, shop.services.clock())
    with pytest.raises(NotDone, match="has deleted their account"):
        await adopt(shop, erased, by_hand(shop, shop.plain))
    assert await shop.held(other) == []
    adopted = [one for who in (person, other) for one in await ordered(shop, who) if one.adopts]
    assert [(one.adopts, one.person_id) for one in adopted] == [(made, person.id)]


async def ordered(shop: Shop, person: Person) -> tuple[Any, ...]:
    return await shop.services.database.read(orders.of_person, person.id, await shop.services.realm())


async def test_k76_what_was_not_paid_as_ordered_and_several_things_at_once_stay_for_a_grant(
    shop: Shop,
) -> None:
    person, _ = await shop.subscriber()
    owner = (await customer_of(shop, person)).external_id
    (order,) = await ordered(shop, person)
    other = by_hand(shop, shop.weekly, owner)
    v1(shop).subscriptions.update(other, {"metadata": {"order": order.id, "person": "somebody"}})
    await shop.hear()
    case = (await cases(shop))[other]
    assert f"tollkeeper grant {person.id} pro --payment {other} --note WHY" in case.remedy
    with pytest.raises(
        NotDone, match=rf"quarantined, so there is nothing to adopt.*grant PERSON PRODUCT --payment {other}"
    ):
        await adopt(shop, person, other)
    lines = [{"price": price, "quantity": 1} for price in (shop.once, shop.world.price(100))]
    link = v1(shop).payment_links.create({"line_items": lines})
    buyer = Browser(shop.world.sandbox.url)
    page = buyer.follow(buyer.get(link.url))
    buyer.pay(page)
    with pytest.raises(NotDone, match="paid for several things at once"):
        await adopt(shop, person, page.url.path.rsplit("/", 1)[-1])


async def test_k76_of_two_operators_at_once_one_adopts(shop: Shop) -> None:
    one, other = await shop.newcomer(), await shop.newcomer()
    made = by_hand(shop, shop.plain)
    await shop.hear()
    tried = await asyncio.gather(*(adopt(shop, who, made) for who in (one, other)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in tried) == ["Adopted", "NotDone"]
    assert sorted([*await shop.held(one), *await shop.held(other)]) == ["basic"]


async def test_k76_what_an_operator_revokes_stays_revoked(shop: Shop) -> None:
    person = await shop.newcomer()
    made = by_hand(shop, shop.weekly)
    await adopt(shop, person, made)
    await operators.revoke(shop.services, person.id, "pro", note="A mistake")
    shop.world.pass_time(RENEWED)
    await shop.hear()
    assert await shop.held(person) == []


async def test_k76_a_dismissed_payment_can_be_adopted(shop: Shop) -> None:
    person = await shop.newcomer()
    made = by_hand(shop, shop.weekly)
    await shop.hear()
    await dismiss(shop, made)
    await adopt(shop, person, made)
    assert await shop.held(person) == ["pro"]


async def test_k76_why_and_the_account_file_tell_of_an_adoption(shop: Shop) -> None:
    person = await shop.newcomer()
    made = by_hand(shop, shop.weekly)
    await adopt(shop, person, made)
    words = await sentence(shop, person)
    explained = await operators.why(shop.services, person.id)
    (told_more,) = remarks(explained, shop.services.catalog)
    assert re.fullmatch(
        rf"Nova Example may use reports until .*, because subscription {made} of .* is paid until .*\.", words
    )
    assert re.fullmatch(
        rf"Subscription {made} was not ordered here: an operator"
        rf" assigned it to Nova Example on .*: Sold by telephone\.",
        told_more,
    )
    assert not explained.outdated
    await dismiss_for_export(shop, person)
    kept = await shop.services.database.read(privacy.everything_about, person.id)
    assert [(row["adopts"], row["adoption"]["note"]) for row in kept["orders"]] == [(made, "Sold by telephone")]
    assert [row["reason"]["note"] for row in kept["dismissals"]] == ["Known"]
    await shop.services.database.write(privacy.erase, person.id, shop.services.clock())
    await reconcile(shop.services, await customer_of(shop, person), evidence="test")
    assert await shop.held(person) == []


async def dismiss_for_export(shop: Shop, person: Person) -> None:
    """Something of theirs that an operator looked at."""
    extra = by_hand(shop, shop.plain, (await customer_of(shop, person)).external_id)
    await shop.hear()
    await dismiss(shop, extra, "Known")


async def test_k76_late_news_about_a_neighbour_does_not_undo_an_adoption(shop: Shop) -> None:
    person = await shop.newcomer()
    session, _ = by_link(shop, shop.once)
    await shop.hear()
    stale = await shop.services.provider.bought(session)
    assert stale is not None
    await adopt(shop, person, session)
    realm: Realm = await shop.services.realm()
    late = unclaimed(stale, False, shop.services.catalog)
    await shop.services.database.write(findings.note_of_stranger, realm, late, shop.services.clock() + 5)
    assert (await finding_of(shop, session)).verdict is Verdict.GRANTED
