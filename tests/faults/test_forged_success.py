"""The success and cancel addresses, opened with checkout sessions that were not paid, or belong to somebody else."""

import secrets
from collections.abc import Callable

import pytest
from tests.support.running import Browser, Site, eventually, newcomer

from tollkeeper.storage.tables import audit, grants, orders

PAGES = ["/purchase/success", "/purchase/cancel"]


def checkout_id_of(browser: Browser) -> str:
    """The checkout session that Purchase leads this browser to."""
    address = browser.press_purchase().headers["Location"]
    checkout_id: str = address.rsplit("/", 1)[1]
    assert checkout_id.startswith("cs_test_")
    return checkout_id


def unpaid_of_ones_own(site: Site, forger: Browser) -> str:
    return checkout_id_of(forger)


def paid_by_another_person(site: Site, forger: Browser) -> str:
    payer = newcomer(site)
    page = payer.checkout()
    payer.follow(payer.pay(page))
    assert eventually(payer.enters)
    return page.url.path.rsplit("/", 1)[1]


def unpaid_of_another_person(site: Site, forger: Browser) -> str:
    return checkout_id_of(newcomer(site))


def random(site: Site, forger: Browser) -> str:
    return f"cs_test_{secrets.token_hex(29)}"


@pytest.fixture
def forger(shop: Site) -> Browser:
    return newcomer(shop)


def access(site: Site) -> tuple[list[object], list[object]]:
    return site.rows(audit), site.rows(grants)


def opens_nothing(site: Site, forger: Browser, page: str, checkout_id: str) -> None:
    before = access(site)
    answer = forger.get(page, session_id=checkout_id)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert answer.text == ""
    assert not forger.enters()
    assert access(site) == before


def test_a01_success_with_an_unpaid_checkout_session_of_ones_own(shop: Site, forger: Browser) -> None:
    opens_nothing(shop, forger, "/purchase/success", unpaid_of_ones_own(shop, forger))


def test_a01_cancel_with_an_unpaid_checkout_session_of_ones_own(shop: Site, forger: Browser) -> None:
    """This one is what the page is for; it says that nothing was charged, and opens nothing."""
    checkout_id, before = unpaid_of_ones_own(shop, forger), access(shop)
    answer = forger.get("/purchase/cancel", session_id=checkout_id)
    assert answer.status_code == 200
    assert "Nothing was charged" in answer.text
    assert not forger.enters()
    assert access(shop) == before


@pytest.mark.parametrize("page", PAGES)
def test_a02_a_checkout_session_that_another_person_paid(shop: Site, forger: Browser, page: str) -> None:
    opens_nothing(shop, forger, page, paid_by_another_person(shop, forger))


@pytest.mark.parametrize("page", PAGES)
def test_a02_a_random_checkout_session(shop: Site, forger: Browser, page: str) -> None:
    opens_nothing(shop, forger, page, random(shop, forger))


@pytest.mark.parametrize("page", PAGES)
def test_a02_a_checkout_session_that_another_person_has_not_paid(shop: Site, forger: Browser, page: str) -> None:
    opens_nothing(shop, forger, page, unpaid_of_another_person(shop, forger))


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("make", [unpaid_of_ones_own, paid_by_another_person, random])
def test_a02_anybody_who_is_not_signed_in_is_sent_to_sign_in(
    shop: Site, forger: Browser, page: str, make: Callable[[Site, Browser], str]
) -> None:
    checkout_id = make(shop, forger)
    before = access(shop)
    answer = Browser(shop.url).get(page, session_id=checkout_id)
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"/login?return_to=%2Fpurchase%2F{page[10:]}%3Fsession_id%3D{checkout_id}"
    assert access(shop) == before


MANGLED = [
    "",
    "{CHECKOUT_SESSION_ID}",
    "../../grants",
    "cs_test_%00",
    "cs_test_\r\nX: y",
    "ç",
    "' OR 1=1 --",
    "c" * 256,
]


@pytest.mark.parametrize("page", PAGES)
def test_a02_what_is_no_id_at_all(shop: Site, forger: Browser, page: str) -> None:
    for mangled in MANGLED:
        opens_nothing(shop, forger, page, mangled)
    assert forger.get(page).headers["Location"] == "/"
    assert forger.get(page, session="x").headers["Location"] == "/"


@pytest.mark.parametrize("page", PAGES)
def test_a02_an_own_checkout_session_does_not_smuggle_in_another(shop: Site, forger: Browser, page: str) -> None:
    mine, theirs = unpaid_of_ones_own(shop, forger), paid_by_another_person(shop, forger)
    before = access(shop)
    for first, second in ((mine, theirs), (theirs, mine)):
        answer = forger.get(f"{page}?session_id={first}&session_id={second}")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert not forger.enters()
    assert access(shop) == before


def test_a02_refused_pages_leave_the_orders_as_they_were(shop: Site, forger: Browser) -> None:
    ids = [make(shop, forger) for make in (unpaid_of_ones_own, paid_by_another_person, random)]
    before = shop.rows(orders)
    for checkout_id in ids:
        for page in PAGES:
            forger.get(page, session_id=checkout_id)
    assert shop.rows(orders) == before
