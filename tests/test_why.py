"""What `tollkeeper why` says about unusual payments: sentences that can be forwarded unchanged.

The texts in docs/why.md come from these tests: `scripts/test tests/test_why.py -s` prints them.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from tests.faults.subscribing import DAY, HOUR, RENEWED, Shop, open_shop

from tollkeeper.catalog import Catalog
from tollkeeper.model.people import Person
from tollkeeper.operating import adoption, operators
from tollkeeper.operating.explanations import answers, remarks
from tollkeeper.operating.reports.people import cases_of, explanation_in_words
from tollkeeper.storage import customers
from tollkeeper.storage.database import Database

pytestmark = pytest.mark.anyio

ON = r"\d{1,2} \w+ \d{4}"
SUB = rf"subscription sub_\w+ of {ON}"


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with open_shop(database) as shop:
        yield shop


def v1(shop: Shop) -> Any:
    return shop.world.sandbox.stripe.v1


async def why(shop: Shop, person: Person, *more: str) -> str:
    """The sentence for what the person bought; each of ``more`` stands somewhere below it."""
    await shop.hear()
    explained = await operators.why(shop.services, person.id)
    explanation_in_words(explained, shop.services.catalog)
    below = [*remarks(explained, shop.services.catalog)]
    below += [f"{one.kind}: {one.reason} {one.remedy}" for one in cases_of(explained, shop.services.catalog)]
    for words in more:
        assert any(re.search(words, one) for one in below), below
    return next(one.sentence for one in answers(explained, shop.services.catalog) if one.feature == "reports")


async def fails(shop: Shop, subscription: str) -> None:
    shop.world.let_renewals(subscription, succeed=False)
    shop.world.pass_time(RENEWED)
    await shop.hear()


async def test_a_trial_that_becomes_a_paid_subscription(shop: Shop) -> None:
    shop.sell(trial_days=2)
    person, _ = await shop.subscriber(name="Tina Trial")
    shop.world.pass_time(2 * DAY + HOUR // 2)
    assert re.fullmatch(
        rf"Tina Trial may use reports until {ON}, because {SUB} had its trial until {ON}, and its first payment is on"
        rf" its way\.",
        await why(shop, person),
    )


async def test_a_renewal_that_was_written_off(shop: Shop) -> None:
    person, subscription = await shop.subscriber(name="Walter Written")
    await fails(shop, subscription)
    v1(shop).invoices.mark_uncollectible(v1(shop).invoices.list({"subscription": subscription}).data[0].id)
    shop.world.pass_time(3 * DAY)
    assert re.fullmatch(
        rf"Walter Written may not use reports, because the access that {SUB} gave ended on {ON}: it has not been"
        rf" paid since {ON} \(written off\)\.",
        await why(shop, person),
    )


async def test_a_renewal_that_stays_a_draft(shop: Shop) -> None:
    person, _ = await shop.subscriber(name="Dana Draft")
    shop.world.set("drafts", seconds="never")
    shop.world.pass_time(RENEWED)
    assert re.fullmatch(
        rf"Dana Draft may use reports until {ON}, because {SUB} has not been paid since {ON} \(a draft, payment"
        rf" not requested\)\.",
        await why(shop, person, r"^not finalized: Invoice in_\w+ for the period from .* stays a draft"),
    )


async def test_money_that_came_after_the_end(shop: Shop) -> None:
    person, subscription = await shop.subscriber(name="Lars Late")
    await fails(shop, subscription)
    shop.world.end(subscription, at_period_end=False)
    await shop.hear()
    shop.world.pass_time(9 * DAY)
    invoice = v1(shop).invoices.list({"subscription": subscription}).data[0].id
    v1(shop).invoices.pay(invoice, {"payment_method": "pm_card_visa"})
    assert re.fullmatch(
        rf"Lars Late may not use reports, because {SUB} ended on {ON}; access ended on {ON}\.",
        await why(shop, person, rf"^paid after the end: Invoice {invoice} \(€9\.00\) was paid on .* it gave no access"),
    )


async def test_an_earlier_period_that_is_disputed(shop: Shop) -> None:
    person, _ = await shop.subscriber(name="Ella Earlier")
    first = (await shop.grants(person))[0].reference
    shop.world.pass_time(RENEWED)
    await shop.hear()
    shop.world.press(f"/control/payments/{first}/dispute", reason="fraudulent")
    assert re.fullmatch(
        rf"Ella Earlier may not use reports, because {SUB} has an earlier payment, for the period from {ON}, that is"
        rf" disputed by the buyer's bank, and gives no access unless the dispute is won; access ended on {ON}\.",
        await why(shop, person, r"€9\.00 for the period from .* is disputed by the buyer's bank"),
    )


async def test_two_products_of_which_one_gives_all_of_the_other(shop: Shop) -> None:
    pro, basic = shop.product(), shop.product("basic")
    shop.services = replace(shop.services, catalog=Catalog((pro, replace(basic, on_sale=basic.prices)), "stripe"))
    person, plain = await shop.subscriber("basic", name="Basil Both")
    shop.world.pass_time(DAY)
    shop.world.pay(await shop.page(person))
    assert re.fullmatch(
        rf"Basil Both may use reports until {ON}, because {SUB} is paid until {ON}\.",
        await why(
            shop,
            person,
            rf"^bought twice: pro gives all of it, and is paid for as well .* tollkeeper end {plain} --at-period-end",
        ),
    )


async def test_somebody_who_bought_of_a_neighbour_on_the_account(shop: Shop) -> None:
    person = await shop.newcomer("Nora Neighbour")
    await shop.page(person)
    realm = await shop.services.realm()
    known = await shop.services.database.read(customers.of_person, person.id, realm)
    assert known is not None
    shop.world.subscribe_by_hand(known.external_id, shop.world.price(4500, name="A calendar", interval="month"))
    assert re.fullmatch(
        rf"Nora Neighbour may not use reports, because nothing was paid for here: {SUB} was for something else on the"
        rf" account, which this site does not sell \(price_\w+\)\.",
        await why(shop, person),
    )


async def test_a_subscription_that_was_adopted(shop: Shop) -> None:
    person = await shop.newcomer("Ada Adopted")
    customer = v1(shop).customers.create({"email": "ada@shop.example"}).id
    subscription = shop.world.subscribe_by_hand(customer, shop.weekly)
    await shop.hear()
    await adoption.adopt(shop.services, person.id, subscription, note="Sold by telephone")
    assert re.fullmatch(
        rf"Ada Adopted may use reports until {ON}, because {SUB} is paid until {ON}\.",
        await why(shop, person),
    )
