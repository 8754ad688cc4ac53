"""K77, K78 and K81: two sign-ins with one address, an address that changes, and names that look like addresses."""

import json
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs
from tests.faults.conftest import DAY
from tests.storage.makers import keep_grant
from tests.support.issuers import CLIENT_ID, CLIENT_SECRET, LyingIssuer, Stage, new_key, serving
from tests.support.processes import run_here
from tests.support.running import Browser, Sandbox, Site, eventually, forms, running_sandbox, running_site

from tollkeeper.billing.contact import tell_address
from tollkeeper.billing.reconcile import Services
from tollkeeper.catalog import Catalog
from tollkeeper.model.access import Verdict
from tollkeeper.model.bought import SubscriptionStatus
from tollkeeper.model.orders import Customer, Realm
from tollkeeper.model.people import Identity, Person
from tollkeeper.providers.stripe.account import StripeProvider
from tollkeeper.providers.stripe.settings import StripeSettings
from tollkeeper.reasons import Code, because
from tollkeeper.storage import customers, people
from tollkeeper.storage.database import open_database
from tollkeeper.storage.realms import columns_of
from tollkeeper.storage.tables import audit, events, findings, login_sessions, orders
from tollkeeper.storage.tables import customers as customers_table
from tollkeeper.storage.tables import grants as grants_table
from tollkeeper.storage.tables import people as people_table

GITHUB = "https://github.com"
BY_GITHUB = "Another account with this address, which signs in with GitHub, already has this."
CHECKOUT = "/purchase/checkout-session"
MINUTE = 60


@pytest.fixture
def site(sandbox: Sandbox, database_url: str, tmp_path: Path) -> Iterator[Site]:
    """The app on an empty database, once on each engine, where one may sign in with GitHub too."""
    github = {"GITHUB_CLIENT_ID": "Iv1.0123456789abcdef", "GITHUB_CLIENT_SECRET": "never-used"}
    with running_site(sandbox, database_url, tmp_path, OIDC_NAME="Sandbox", **github) as site:
        yield site


def ask(site: Site, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    ended = run_here(*arguments, folder=folder, environment=site.settings)
    assert "Traceback" not in ended.stderr
    return ended


def signed_in(site: Site, name: str, email: str, verified: str = "yes") -> Browser:
    browser = Browser(site.url)
    chooser = browser.follow(browser.get("/login/oidc"))
    page = browser.submit(chooser, "Continue", name=name, email=email, email_verified=verified)
    assert "Hello" in browser.follow(page).text
    return browser


def person_of(site: Site, browser: Browser) -> Any:
    (session,) = site.rows_of(browser, login_sessions)
    return next(row for row in site.rows(people_table) if row.id == session.person_id)


def twin(site: Site, email: str | None, id: str = "per_twin", name: str = "Theo Twin", issuer: str = GITHUB) -> Person:
    """Somebody who signed in with another issuer."""
    identity = Identity(issuer, f"subject of {id}", name, email)
    return site.look(partial(people.person_of, new_id=id, now=1_700_000_000), identity)


def owning_twin(site: Site, email: str | None = "alice@example.com", **grant: Any) -> Person:
    one = twin(site, email)
    site.look(partial(keep_grant, reason=because(Code.PAID), **grant), one.id, "cs_test_of_the_twin")
    return one


# K81: whom an operator means


GIVING = (("grant", "dashboard", "--note=x"), ("revoke", "dashboard", "--note=x"), ("reconcile",))
ALL = (*GIVING, ("why",))


@pytest.mark.parametrize("name", ["vip@example.com", "VIP@Example.com", "vip@example.com (verified)"])
def test_k81_a_stranger_whose_name_is_an_address_is_found_by_no_command(site: Site, tmp_path: Path, name: str) -> None:
    stranger = person_of(site, signed_in(site, name, "mallory@example.com"))
    assert stranger.name == name
    for command, *rest in ALL:
        ended = ask(site, tmp_path, command, "vip@example.com", *rest)
        assert (ended.returncode, ended.stdout) == (1, ""), command
        assert "Nobody here" in ended.stderr
        assert stranger.id not in ended.stderr
        assert ask(site, tmp_path, command, "vip", *rest).returncode == 1
    assert json.loads(ask(site, tmp_path, "people", "vip@example.com", "--json").stdout)["people"] == []
    assert site.rows(grants_table) == site.rows(audit) == []


def test_k81_what_was_meant_for_an_address_goes_to_the_person_who_has_it(site: Site, tmp_path: Path) -> None:
    stranger = signed_in(site, "vip@example.com", "mallory@example.com")
    vip = signed_in(site, "Vera Vip", "vip@example.com")
    ended = ask(site, tmp_path, "grant", "VIP@example.com", "dashboard", "--note=A gift")
    id = person_of(site, vip).id
    issuer = site.settings["OIDC_ISSUER"]
    assert ended.stdout.splitlines() == [
        f"Found Vera Vip, {id}, who signs in with {issuer}.",
        f"Vera Vip ({id}) holds dashboard now, for good.",
    ]
    assert vip.enters()
    assert not stranger.enters()
    again = json.loads(ask(site, tmp_path, "grant", id, "dashboard", "--note=Another", "--json").stdout)
    assert again["found"] == {"id": id, "name": "Vera Vip", "email": "vip@example.com", "issuers": [issuer]}
    ended = ask(site, tmp_path, "revoke", "vip@example.com", "dashboard", "--note=Enough")
    assert ended.stdout.startswith(f"Found Vera Vip, {id}, who signs in with {issuer}.\n")
    assert not vip.enters()


def test_k81_an_address_that_no_issuer_verified_is_nobodys(site: Site, tmp_path: Path) -> None:
    stranger = signed_in(site, "Mallory Example", "vip@example.com", verified="")
    assert ask(site, tmp_path, "grant", "vip@example.com", "dashboard", "--note=x").returncode == 1
    assert not stranger.enters()


@pytest.mark.parametrize(
    "who", ["Alice Example", "alice example", "Ali", "Exam", "alcie@example.com", "alice@exmaple.com"]
)
def test_k81_nobody_gets_access_by_a_name_or_half_an_address(site: Site, tmp_path: Path, who: str) -> None:
    alice = person_of(site, signed_in(site, "Alice Example", "alice@example.com"))
    for command, *rest in GIVING:
        ended = ask(site, tmp_path, command, who, *rest)
        assert (ended.returncode, ended.stdout) == (1, ""), command
        assert "Did you mean this person? Name them by id:" in ended.stderr
        assert f"  {alice.id}  Alice Example  alice@example.com  {site.settings['OIDC_ISSUER']}" in ended.stderr
    assert site.rows(grants_table) == []
    assert ask(site, tmp_path, "grant", alice.id, "dashboard", "--note=x").returncode == 0


def test_k81_one_address_at_two_issuers_is_asked_back_with_the_issuers(site: Site, tmp_path: Path) -> None:
    one = person_of(site, signed_in(site, "Una One", "shared@example.com"))
    other = twin(site, "Shared@example.com", name="Ulla Other")
    for command, *rest in ALL:
        ended = ask(site, tmp_path, command, "shared@example.com", *rest)
        assert (ended.returncode, ended.stdout) == (1, ""), command
        assert "Several people have that verified address. Name one of them by id:" in ended.stderr
        assert f"  {one.id}  Una One  shared@example.com  {site.settings['OIDC_ISSUER']}" in ended.stderr
        assert f"  {other.id}  Ulla Other  Shared@example.com  {GITHUB}" in ended.stderr
    assert site.rows(grants_table) == []


def test_k81_who_only_reads_may_say_a_whole_name_but_no_part_of_one(site: Site, tmp_path: Path) -> None:
    alice = person_of(site, signed_in(site, "Alice Example", "alice@example.com"))
    ended = ask(site, tmp_path, "why", "alice EXAMPLE")
    assert ended.returncode == 0
    assert alice.id in ended.stdout
    ended = ask(site, tmp_path, "why", "Alice")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert alice.id in ended.stderr
    twin(site, None, name="Alice Example")
    ended = ask(site, tmp_path, "why", "Alice Example")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "Several people are called that." in ended.stderr
    assert f"  per_twin  Alice Example  no verified address  {GITHUB}" in ended.stderr


# K77: two sign-ins, one address


def buy(browser: Browser, page: httpx2.Response | None = None) -> httpx2.Response:
    return browser.submit(page or browser.get("/"), "Purchase")


def test_k77_an_account_with_the_same_address_is_reported_before_the_same_is_bought_again(site: Site) -> None:
    other = owning_twin(site)
    browser = signed_in(site, "Alice Example", "ALICE@example.com")
    for path in ("/", "/pricing", "/pricing?feature=dashboard"):
        assert BY_GITHUB in browser.get(path).text, path
    asked = buy(browser)
    assert asked.status_code == 409
    assert "Another account with this address, which signs in with GitHub, already has Flying lessons." in asked.text
    assert 'href="/login/github"' in asked.text
    assert site.rows(orders) == site.rows(customers_table) == []
    for page in (asked, browser.get("/"), browser.get("/pricing")):
        for secret in (other.id, other.name, "Theo", "cs_test_of_the_twin", "pi_1"):
            assert secret not in page.text
    going = browser.submit(asked, "Buy anyway")
    assert going.headers["Location"].startswith(site.sandbox.url)
    assert "Payment done" in browser.follow(browser.pay(browser.follow(going))).text
    assert browser.enters()
    assert BY_GITHUB not in browser.get("/").text


def test_k77_only_the_word_in_the_posted_form_confirms(site: Site) -> None:
    owning_twin(site)
    browser = signed_in(site, "Alice Example", "alice@example.com")
    fields = forms(browser.get("/"))[0].fields
    for more in ({}, {"confirmed": ""}, {"confirmed": "no"}, {"confirmed": "YES"}):
        answer = browser.client.post(site.url + CHECKOUT, data=fields | more, headers={"Origin": site.url})
        assert answer.status_code == 409, more
    query = {"confirmed": "yes"}
    answer = browser.client.post(site.url + CHECKOUT, params=query, data=fields, headers={"Origin": site.url})
    assert answer.status_code == 409
    forged = {"product": "dashboard", "confirmed": "yes"}
    assert browser.client.post(site.url + CHECKOUT, data=forged, headers={"Origin": site.url}).status_code == 403
    assert site.rows(orders) == []


def test_k77_the_page_that_was_first_asked_for_is_not_forgotten(site: Site) -> None:
    owning_twin(site)
    browser = signed_in(site, "Alice Example", "alice@example.com")
    page = browser.get("/pricing", feature="dashboard", return_to="/account?a=1&b=2")
    asked = buy(browser, page)
    assert 'href="/login/github?return_to=/account%3Fa%3D1%26b%3D2"' in asked.text
    done = browser.follow(browser.pay(browser.follow(browser.submit(asked, "Buy anyway"))))
    assert str(done.url) == f"{site.url}/account?a=1&b=2"


def test_k77_an_issuer_that_is_no_longer_to_be_chosen_is_named_without_a_way_there(site: Site) -> None:
    one = twin(site, "alice@example.com", issuer="https://gone.example")
    site.look(partial(keep_grant, reason=because(Code.PAID)), one.id, "cs_test_of_the_twin")
    browser = signed_in(site, "Alice Example", "alice@example.com")
    asked = buy(browser)
    assert "which signs in with https://gone.example, already has Flying lessons" in asked.text
    assert "instead" not in asked.text


def test_k77_a_subscription_that_waits_to_be_fixed_counts(site: Site) -> None:
    one = twin(site, "alice@example.com")
    keep_subscription(site, one, Verdict.SUSPENDED)
    browser = signed_in(site, "Alice Example", "alice@example.com")
    assert BY_GITHUB in browser.get("/").text
    assert buy(browser).status_code == 409
    keep_subscription(site, one, Verdict.ENDED)
    assert BY_GITHUB not in browser.get("/").text
    assert buy(browser).status_code == 303


def keep_subscription(site: Site, person: Person, verdict: Verdict) -> None:
    realm = Realm("stripe", site.sandbox.stripe.v1.accounts.retrieve_current().id, live=False)
    customer = site.look(customers.add, person.id, realm, "cus_of_the_twin", 1_700_000_000)
    values = {
        "source": "sub_1",
        "customer_id": customer.id,
        "product": "dashboard",
        "verdict": verdict.value,
        "reason": because(Code.PAID),
        "amount": 0,
        "refunded": 0,
        "currency": "eur",
        "bought_at": 1_700_000_000,
        "found_at": 1_700_000_000,
        "standing": SubscriptionStatus.PAST_DUE.value,
    }
    site.look(lambda conn: conn.execute(findings.delete()))
    site.look(lambda conn: conn.execute(findings.insert().values(columns_of(realm) | values)))


NOT_WARNED: dict[str, tuple[str | None, str, dict[str, Any]]] = {
    "the visitor's address is not verified": ("alice@example.com", "", {}),
    "the other's address is not verified": (None, "yes", {}),
    "it is another address": ("alice@example.org", "yes", {}),
    "what the other had has been taken back": ("alice@example.com", "yes", {"revoked_at": 1}),
    "what the other had has run out": ("alice@example.com", "yes", {"until": 1}),
    "the other has something else": ("alice@example.com", "yes", {"product": "else"}),
    "the other has it in live mode": ("alice@example.com", "yes", {"origin": Realm("stripe", "acct_1", live=True)}),
}


@pytest.mark.parametrize("case", NOT_WARNED)
def test_k77_nothing_is_said(site: Site, case: str) -> None:
    email, verified, grant = NOT_WARNED[case]
    owning_twin(site, email, **grant)
    browser = signed_in(site, "Alice Example", "alice@example.com", verified)
    for path in ("/", "/pricing"):
        assert "GitHub" not in browser.get(path).text
    assert buy(browser).status_code == 303


def test_k77_somebody_who_is_signed_out_is_told_nothing(site: Site) -> None:
    owning_twin(site)
    assert "GitHub" not in Browser(site.url).get("/").text


def test_k77_who_shares_an_address_is_told_to_operators_with_issuers_and_what_they_have(site: Site) -> None:
    owning = owning_twin(site)
    keep_subscription(site, owning, Verdict.SUSPENDED)
    twin(site, None, "per_none", "alice@example.com", "https://third.example")
    alice = person_of(site, signed_in(site, "Alice Example", "alice@example.com"))
    asked = Person(alice.id, alice.name, alice.email, alice.created_at)
    (found,) = site.look(people.sharing_address, asked, False, site.clock())
    assert (found.person, found.issuers) == (owning, (GITHUB,))
    assert (found.holds, found.pays_for) == (("dashboard",), ("dashboard",))
    (back,) = site.look(people.sharing_address, owning, False, site.clock())
    assert (back.person, back.holds, back.pays_for) == (asked, (), ())


# K78: an address that changes


@pytest.fixture(scope="module")
def key() -> Any:
    return new_key("first")


@pytest.fixture
def issuer(key: Any) -> Iterator[LyingIssuer]:
    """An issuer at which somebody's address can be changed, which asks no questions."""
    stage = Stage()
    with serving(stage) as url:
        issuer = LyingIssuer(url, key)
        stage.show(issuer.app())
        yield issuer


@pytest.fixture
def own_sandbox() -> Iterator[Sandbox]:
    """One for each test, which may break it."""
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def club(own_sandbox: Sandbox, issuer: LyingIssuer, database_url: str, tmp_path: Path) -> Iterator[Site]:
    """The app behind that issuer."""
    theirs = {"OIDC_ISSUER": issuer.url, "OIDC_CLIENT_ID": CLIENT_ID, "OIDC_CLIENT_SECRET": CLIENT_SECRET}
    with running_site(own_sandbox, database_url, tmp_path, **theirs) as site:
        yield site


def ada(club: Site, issuer: LyingIssuer, email: str | None = "ada@example.com", verified: object = True) -> Browser:
    issuer.claims = {"email": email, "email_verified": verified}
    browser = Browser(club.url)
    assert "Hello, Ada Example" in browser.follow(browser.get("/login")).text
    return browser


def paid_ada(club: Site, issuer: LyingIssuer) -> Browser:
    browser = ada(club, issuer)
    browser.follow(browser.pay())
    assert (address_at_provider(club), address_sent(club)) == ("ada@example.com", "ada@example.com")
    eventually(lambda: "checkout.session.completed" in {row.type for row in club.rows(events)})
    eventually(lambda: all(row.handled_at for row in club.rows(events)))  # or it would be the sweep's turn later
    return browser


def address_at_provider(club: Site) -> str | None:
    (row,) = club.rows(customers_table)
    return club.sandbox.stripe.v1.customers.retrieve(row.external_id).email


def address_sent(club: Site) -> str | None:
    (row,) = club.rows(customers_table)
    email: str | None = row.told_email
    return email


def address_changes(club: Site) -> int:
    """How often the customer was changed at the provider."""
    return len(club.sandbox.stripe.v1.events.list({"type": "customer.updated", "limit": 100}).data)


def fault(club: Site, path: str) -> None:
    wanted = {"effect": "error", "method": "POST", "path": path, "times": None}
    assert httpx2.post(f"{club.sandbox.url}/control/faults", json=wanted).status_code == 201


def test_k78_the_address_follows_with_the_sweep(club: Site, issuer: LyingIssuer) -> None:
    paid_ada(club, issuer)
    ada(club, issuer, "ada@new.example")
    assert address_at_provider(club) == "ada@example.com"
    club.clock.ahead += DAY + MINUTE
    eventually(lambda: address_sent(club) == "ada@new.example")
    assert address_at_provider(club) == "ada@new.example"
    done = address_changes(club)
    (row,) = club.rows(customers_table)
    club.clock.ahead += DAY + MINUTE
    eventually(lambda: club.rows(customers_table)[0].checked_at > row.checked_at + DAY // 2)
    assert address_changes(club) == done


def test_k78_the_address_is_sent_before_the_next_purchase(club: Site, issuer: LyingIssuer) -> None:
    ada(club, issuer).checkout()
    browser = ada(club, issuer, "ada@new.example")
    assert browser.press_purchase().status_code == 303
    assert (address_at_provider(club), address_sent(club)) == ("ada@new.example", "ada@new.example")


def test_k78_an_operator_has_it_told_at_once(club: Site, issuer: LyingIssuer, tmp_path: Path) -> None:
    paid_ada(club, issuer)
    ada(club, issuer, "ada@new.example")
    assert ask(club, tmp_path, "reconcile", "ada@new.example").stdout == "Nothing had to change.\n"
    assert address_at_provider(club) == "ada@new.example"


def test_k78_trouble_is_in_nobodys_way_and_it_is_sent_in_the_end(
    club: Site, issuer: LyingIssuer, tmp_path: Path
) -> None:
    paid_ada(club, issuer)
    fault(club, "/v1/customers/*")
    browser = ada(club, issuer, "ada@new.example")
    assert browser.enters()
    with capture_logs() as lines:
        club.clock.ahead += DAY + MINUTE
        (line,) = eventually(lambda: [line for line in lines if line["event"] == "address not told"])
    assert "ada" not in json.dumps(line)
    (row,) = club.rows(customers_table)
    assert row.told_email == "ada@example.com"
    assert row.checked_at >= club.clock() - 60  # the sweep went on
    httpx2.delete(f"{club.sandbox.url}/control/faults").raise_for_status()
    club.clock.ahead += DAY + MINUTE
    eventually(lambda: address_sent(club) == "ada@new.example")
    assert address_at_provider(club) == "ada@new.example"


def test_k78_a_purchase_goes_on_while_the_address_cannot_be_sent(club: Site, issuer: LyingIssuer) -> None:
    ada(club, issuer).checkout()
    browser = ada(club, issuer, "ada@new.example")
    fault(club, "/v1/customers/*")
    assert browser.press_purchase().headers["Location"].startswith(club.sandbox.url)
    assert address_sent(club) == "ada@example.com"


@pytest.mark.parametrize("email", ["ada@intranet", None])
def test_k78_an_address_that_is_refused_or_gone_is_sent_once(
    club: Site, issuer: LyingIssuer, email: str | None, tmp_path: Path
) -> None:
    paid_ada(club, issuer)
    before = address_changes(club)
    ada(club, issuer, email)
    for _ in range(3):
        (person,) = club.rows(people_table)
        assert ask(club, tmp_path, "reconcile", person.id).returncode == 0
        assert (address_at_provider(club), address_sent(club)) == (None, email)
    assert address_changes(club) == before + 1


def test_k78_nobody_is_told_of_a_customer_who_is_gone(club: Site, issuer: LyingIssuer, tmp_path: Path) -> None:
    paid_ada(club, issuer)
    (row,) = club.rows(customers_table)
    club.sandbox.stripe.v1.customers.delete(row.external_id)
    browser = ada(club, issuer, "ada@new.example")
    with capture_logs() as lines:
        ask(club, tmp_path, "reconcile", "ada@new.example")
    assert address_sent(club) == "ada@new.example"
    assert not [line for line in lines if line["event"] == "address not told"]
    assert browser.enters()


def test_k78_what_the_provider_was_told_is_forgotten_with_the_account(club: Site, issuer: LyingIssuer) -> None:
    browser = paid_ada(club, issuer)
    exported = browser.get("/account/export").json()
    assert exported["customers"][0]["told_email"] == "ada@example.com"
    browser.submit(browser.get("/account/delete"), "Delete account", confirmed="yes")
    assert address_sent(club) is None


class Overtaken(StripeProvider):
    """Stripe, where an address arrives only after somebody else has sent a newer one."""

    overtake: Any = None

    async def update_customer(self, customer: Customer, person: Person) -> None:
        if self.overtake is not None:
            overtake, self.overtake = self.overtake, None
            await overtake()
        await super().update_customer(customer, person)


@pytest.mark.anyio
async def test_k78_of_two_who_tell_at_once_the_newer_address_stays(sandbox: Sandbox, database_url: str) -> None:
    provider = Overtaken(StripeSettings("sk_test_sandbox", api_base=sandbox.url))
    database = await open_database(database_url)
    services = Services(database, provider, Catalog((), "stripe"), lambda: 1_800_000_000)

    async def becomes(email: str) -> Person:
        identity = Identity("https://id.example", "1", "Ada", email)
        return await database.write(people.person_of, identity, new_id="per_1", now=1)

    try:
        person = await becomes("old@example.com")
        external_id = await provider.create_customer(person)
        customer = await database.write(
            customers.add, person.id, await services.realm(), external_id, 1, known_email="old@example.com"
        )

        async def another_process() -> None:
            await becomes("newest@example.com")
            await tell_address(services, customer)

        await becomes("newer@example.com")
        provider.overtake = another_process
        await tell_address(services, customer)
    finally:
        await provider.close()
        await database.close()
    assert sandbox.stripe.v1.customers.retrieve(external_id).email == "newest@example.com"


# An address that does not count leaves a line.


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [(None, "email_verified is missing"), (False, "email_verified is false"), ("true", "but a str")],
)
def test_an_address_that_is_not_verified_leaves_one_line_without_it(
    club: Site, issuer: LyingIssuer, verdict: object, reason: str
) -> None:
    issuer.userinfo = {"email": "ada@example.com", "email_verified": verdict}
    with capture_logs() as lines:
        browser = ada(club, issuer, verified=verdict)
    (line,) = [line for line in lines if line["event"] == "address dropped"]
    assert reason in line["reason"]
    assert (line["issuer"], line["subject"], line["person"]) == (issuer.url, "person-1", person_of(club, browser).id)
    assert "ada@" not in json.dumps(line)


@pytest.mark.parametrize(("email", "verified"), [("ada@example.com", True), (None, None), (None, True)])
def test_where_nothing_is_dropped_there_is_no_line(
    club: Site, issuer: LyingIssuer, email: str | None, verified: object
) -> None:
    with capture_logs() as lines:
        ada(club, issuer, email, verified)
    assert [line for line in lines if line["event"] == "address dropped"] == []
