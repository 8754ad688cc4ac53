"""The operators' commands, next to a running server, on each database."""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select, update
from tests.support.processes import ask, free_port, run_here
from tests.support.running import (
    AMOUNT,
    Browser,
    Sandbox,
    Site,
    eventually,
    running_sandbox,
    running_site,
)

from tollkeeper.model.people import Identity
from tollkeeper.storage import people
from tollkeeper.storage.tables import audit, customers, events, findings, grants, orders

SLOW_ACCOUNT = "DE08 3704 0044 0532 0130 03"
DAY = r"\d{1,2} [A-Z][a-z]+ \d{4}"
PAYMENT = rf"payment pi_\w+ of €19\.00 on {DAY}"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An account of one's own: what others pay on a shared one is unclaimed here."""
    with running_sandbox() as sandbox:
        yield sandbox


def output_of(site: Site, folder: Path, *arguments: str, **settings: str) -> Any:
    ended = ask(site, folder, *arguments, "--json", **settings)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def newcomer(site: Site, name: str, email: str = "") -> Browser:
    browser = Browser(site.url)
    browser.sign_in(name, email)
    return browser


def payer(site: Site, name: str) -> Browser:
    browser = newcomer(site, name)
    browser.follow(browser.pay())
    assert browser.enters()
    return browser


def payment_of(site: Site, browser: Browser) -> str:
    (grant,) = site.rows_of(browser, grants)
    return str(grant.reference)


def refund(site: Site, payment: str) -> None:
    site.sandbox.stripe.v1.refunds.create({"payment_intent": payment, "amount": AMOUNT})


def dispute(site: Site, payment: str) -> None:
    answer = Browser(site.sandbox.url).client.post(f"{site.sandbox.url}/control/payments/{payment}/dispute")
    assert answer.status_code in {200, 303}


def debit(browser: Browser) -> None:
    page = browser.client.get(f"{browser.checkout().url}/debit")
    assert browser.submit(page, "Pay", iban=SLOW_ACCOUNT, account_holder="Della Debit").status_code == 303


def settled(site: Site) -> None:
    """Every event that has come is handled."""
    eventually(lambda: all(row.handled_at for row in site.rows(events)), seconds=30)


def sentence(site: Site, folder: Path, who: str) -> str:
    explained = output_of(site, folder, "why", who)
    (feature,) = explained["features"]
    assert feature["feature"] == "dashboard"
    assert feature["allowed"] is (" may use " in feature["why"])
    assert feature["why"] in ask(site, folder, "why", who).stdout
    assert not explained["outdated"]
    return str(feature["why"])


def pay_by_link(site: Site, email: str) -> str:
    """Somebody pays through a payment link of the same account. Answers the payment, once it is known here."""
    items: Any = [{"price": site.settings["PRODUCT_PRICE_ID"], "quantity": 1}]
    link = site.sandbox.stripe.v1.payment_links.create({"line_items": items})
    stranger = Browser(site.url)
    hosted = stranger.follow(stranger.client.get(f"{link.url}?prefilled_email={email}"))
    stranger.pay(hosted)
    (row,) = eventually(lambda: [row for row in site.rows(findings) if row.email == email])
    return str(row.reference)


def test_why_explains_six_people(site: Site, tmp_path: Path) -> None:
    paid, refunded, disputed = (payer(site, name) for name in ("Alice Example", "Rita Refund", "Dora Dispute"))
    pending, granted, by_link = (newcomer(site, name) for name in ("Della Debit", "Greta Granted", "Lena Link"))
    debit(pending)
    newcomer(site, "Nora Never")
    begun = newcomer(site, "Bert Begun")
    begun.checkout()
    refund(site, payment_of(site, refunded))
    dispute(site, payment_of(site, disputed))
    payment = pay_by_link(site, "lena@example.com")
    output_of(site, tmp_path, "grant", "greta@example.com", "dashboard", "--for=30d", "--note=Won it in the raffle.")
    eventually(lambda: not refunded.enters() and not disputed.enters())
    settled(site)
    expected = {
        "alice@example.com": rf"Alice Example may use dashboard, because {PAYMENT} was paid in full\.",
        "Rita Refund": rf"Rita Refund may not use dashboard, because {PAYMENT} was refunded in full;"
        rf" access ended on {DAY}\.",
        "DORA@example.com": rf"Dora Dispute may not use dashboard, because {PAYMENT} is disputed by the buyer's bank,"
        rf" and gives no access unless the dispute is won; access ended on {DAY}\.",
        "Della Debit": rf"Della Debit may not use dashboard, because {PAYMENT} is still being processed;"
        r" access begins when it succeeds\.",
        "greta@example.com": rf"Greta Granted may use dashboard until {DAY}, because an operator granted it on {DAY}:"
        r" Won it in the raffle\.",
        "Lena Link": rf"Lena Link may not use dashboard, because nothing was paid for here: {PAYMENT} was made with the"
        r" same e-mail address, but through a payment link or something similar; it is unclaimed, because an address is"
        r" no proof of who paid\.",
        "nora never": r"Nora Never may not use dashboard, because nothing was ever bought\.",
        "Bert Begun": r"Bert Begun may not use dashboard, because nothing was ever paid:"
        rf" a purchase was begun on {DAY} and not finished\.",
    }
    for who, words in expected.items():
        assert re.fullmatch(words, sentence(site, tmp_path, who)), who
    assert paid.enters()
    assert granted.enters()
    assert not pending.enters()
    assert not by_link.enters()
    (odd,) = output_of(site, tmp_path, "why", "Lena Link")["to_look_at"]
    assert (odd["what"], odd["payment"], odd["person"]) == ("unclaimed", payment, None)
    assert re.search(rf"tollkeeper adopt per_\w+ {payment} --note WHY", odd["what_to_do"])
    assert odd["what_to_do"] in ask(site, tmp_path, "why", "Lena Link").stdout


def test_why_tells_what_happened_in_order_with_its_evidence(site: Site, tmp_path: Path) -> None:
    browser = payer(site, "Rita Refund")
    payment = payment_of(site, browser)
    refund(site, payment)
    eventually(lambda: not browser.enters())
    settled(site)
    explained = output_of(site, tmp_path, "why", "Rita Refund")
    history = explained["history"]
    assert [one["at"] for one in history] == sorted(one["at"] for one in history)
    assert history[0]["kind"] == "order"
    (customer,) = site.rows_of(browser, customers)
    known = {row.event_id for row in site.rows(events) if row.customer_id == customer.external_id}
    assert known
    assert {one["id"] for one in history if one["kind"] == "event"} >= known
    assert [one["words"].split(".")[0] for one in history if one["kind"] == "access"] == [
        "dashboard granted",
        "dashboard revoked",
    ]
    assert any("Evidence: evt_" in one["words"] for one in history)
    (grant,) = explained["grants"]
    assert (grant["payment"], grant["amount"], grant["currency"]) == (payment, AMOUNT, "eur")
    assert grant["revoked_at"]
    (purchase,) = explained["payments"]
    assert (purchase["payment"], purchase["refunded"], purchase["verdict"]) == (payment, AMOUNT, "revoked")
    shown = ask(site, tmp_path, "why", "Rita Refund").stdout
    assert all(words in shown for words in (payment, "Refunded in full.", "Grants", "History", "€19.00"))


def test_why_goes_by_id_too_and_names_namesakes(site: Site, tmp_path: Path) -> None:
    newcomer(site, "Una One", "shared@example.com")
    other = Identity("https://elsewhere.example", "2", "Ulla \x1b[31mOther", "Shared@example.com")
    site.look(partial(people.person_of, new_id="per_2", now=1_800_000_000), other)
    ended = ask(site, tmp_path, "why", "shared@example.com")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "Several people" in ended.stderr
    assert "\x1b" not in ended.stderr
    ids = re.findall(r"^  (\S+)  U", ended.stderr, re.MULTILINE)
    assert [output_of(site, tmp_path, "why", id)["person"]["name"][:4] for id in ids] == ["Una ", "Ulla"]
    assert "\x1b" not in ask(site, tmp_path, "why", "per_2").stdout


@pytest.mark.parametrize("command", ["why", "reconcile"])
def test_somebody_unknown_is_an_error(site: Site, tmp_path: Path, command: str) -> None:
    ended = ask(site, tmp_path, command, "nobody@example.com")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "Nobody here" in ended.stderr


def test_why_explains_from_what_is_kept_while_the_provider_is_away(site: Site, tmp_path: Path) -> None:
    payer(site, "Alice Example")
    away = {"STRIPE_API_BASE": f"http://127.0.0.1:{free_port()}"}
    explained = output_of(site, tmp_path, "why", "Alice Example", **away)
    assert explained["features"][0]["allowed"]
    assert explained["trouble"]
    assert [one["verdict"] for one in explained["payments"]] == ["granted"]
    assert "could not be asked" in ask(site, tmp_path, "why", "Alice Example", **away).stdout


def test_reconcile_says_what_it_changed_and_then_that_nothing_is_left(site: Site, tmp_path: Path) -> None:
    browser = payer(site, "Alice Example")
    settled(site)
    forget_the_grant(site)
    assert not browser.enters()
    explained = output_of(site, tmp_path, "why", "Alice Example")
    assert explained["outdated"]
    assert "reconcile" in ask(site, tmp_path, "why", "Alice Example").stdout
    done = output_of(site, tmp_path, "reconcile", "alice@example.com")
    assert [change["change"] for change in done["people"][0]["changes"]] == ["restored"]
    assert browser.enters()
    assert site.rows(audit)[-1].evidence == "tollkeeper reconcile"
    again = ask(site, tmp_path, "reconcile", "alice@example.com")
    assert (again.returncode, again.stdout) == (0, "Nothing had to change.\n")


def test_reconcile_asks_about_everybody(site: Site, tmp_path: Path) -> None:
    for name in ("Alice Example", "Bob Example"):
        payer(site, name)
    newcomer(site, "Nora Never")
    settled(site)
    forget_the_grant(site)
    ended = ask(site, tmp_path, "reconcile", "--all")
    assert ended.returncode == 0
    assert ended.stdout.count("dashboard restored. Paid in full.") == 2
    assert output_of(site, tmp_path, "reconcile", "--all") == {"ok": True, "people": []}


def forget_the_grant(site: Site) -> None:
    site.look(lambda conn: conn.execute(update(grants).values(revoked_at=1)))


@pytest.mark.parametrize("whom", ["alice@example.com", "--all"])
def test_reconcile_fails_when_the_provider_cannot_be_asked(site: Site, tmp_path: Path, whom: str) -> None:
    payer(site, "Alice Example")
    ended = ask(site, tmp_path, "reconcile", whom, STRIPE_API_BASE=f"http://127.0.0.1:{free_port()}")
    assert ended.returncode == 1


def test_reconcile_fails_but_goes_on_when_one_customer_cannot_be_asked_about(site: Site, tmp_path: Path) -> None:
    for name in ("Alice Example", "Bob Example"):
        payer(site, name)
    settled(site)
    forget_the_grant(site)
    tries = 3  # the first customer's, by the SDK
    fault = {"effect": "error", "method": "GET", "path": "/v1/checkout/sessions", "times": tries}
    httpx2.post(f"{site.sandbox.url}/control/faults", json=fault).raise_for_status()
    ended = ask(site, tmp_path, "reconcile", "--all", "--json")
    httpx2.delete(f"{site.sandbox.url}/control/faults").raise_for_status()
    outcome = json.loads(ended.stdout)
    assert (ended.returncode, outcome["ok"]) == (1, False)
    assert [(bool(one["trouble"]), len(one["changes"])) for one in outcome["people"]] == [(True, 0), (False, 1)]


def changes(site: Site, browser: Browser) -> list[tuple[str, str]]:
    """The changes of somebody's access, and their evidence."""
    return [(row.change, row.evidence) for row in site.rows_of(browser, audit)]


def test_an_operator_grants_and_revokes_at_once(site: Site, tmp_path: Path) -> None:
    browser = newcomer(site, "Greta Granted")
    stale = browser.get("/")
    given = output_of(site, tmp_path, "grant", "greta@example.com", "dashboard", "--note=Won  it\nin the raffle")[
        "granted"
    ]
    assert browser.enters()
    assert (given["from"], given["until"], given["amount"], given["payment"]) == ("operator", None, None, None)
    assert given["reason"] == "Granted by an operator: Won it in the raffle."
    assert given["because"] == {"code": "operator_granted", "note": "Won it in the raffle"}
    page = browser.get("/account").text
    assert "Given to you by the people who run this site: Won it in the raffle." in page
    assert "Paid" not in page
    assert browser.submit(stale, "Purchase").headers["Location"] == "/dashboard"
    assert ask(site, tmp_path, "reconcile", "--all").returncode == 0
    assert browser.enters()
    ended = ask(site, tmp_path, "revoke", "greta@example.com", "dashboard", "--note=It was another Greta")
    assert "does not hold dashboard any more" in ended.stdout
    assert "refund" not in ended.stdout
    assert not browser.enters()
    assert changes(site, browser) == [("granted", "tollkeeper grant"), ("revoked", "tollkeeper revoke")]


def test_a_grant_ends_when_it_was_told_to(site: Site, tmp_path: Path) -> None:
    hour, year = newcomer(site, "Holly Hour"), newcomer(site, "Yves Year")
    output_of(site, tmp_path, "grant", "holly@example.com", "dashboard", "--for=1h", "--note=A look")
    given = output_of(site, tmp_path, "grant", "yves@example.com", "dashboard", "--until=2099-12-31", "--note=A year")[
        "granted"
    ]
    assert given["until"] == "2099-12-31T23:59:59Z"
    shown = ask(site, tmp_path, "grant", "yves@example.com", "dashboard", "--until=2099-12-31", "--note=Again").stdout
    assert "until 31 December 2099, 23:59" in shown
    assert hour.enters()
    site.clock.ahead += 3600
    assert not hour.enters()
    assert year.enters()


def test_what_an_operator_revoked_comes_back_by_buying_again_alone(
    sandbox: Sandbox, database_url: str, tmp_path: Path
) -> None:
    with running_site(sandbox, database_url, tmp_path) as site:
        browser = payer(site, "Sam Shared")
        settled(site)
        payment = payment_of(site, browser)
        ended = ask(site, tmp_path, "revoke", "sam@example.com", "dashboard", "--note=Shared the account.")
        assert f"refund {payment} (€19.00) at the provider" in ended.stdout
        assert not browser.enters()
        before = len(site.rows(events))
        sandbox.stripe.v1.refunds.create({"payment_intent": payment, "amount": 1})
        eventually(lambda: len(site.rows(events)) > before)
        settled(site)
        page = browser.get("/purchase/success", session_id=site.rows_of(browser, orders)[0].checkout_id)
        assert (page.status_code, page.headers["Location"]) == (303, "/")  # nothing is left to be confirmed
        assert ask(site, tmp_path, "reconcile", "sam@example.com").stdout == "Nothing had to change.\n"
        assert not browser.enters()
        assert re.fullmatch(
            rf"Sam Shared may not use dashboard, because an operator revoked the access that {PAYMENT} gave:"
            rf" Shared the account; it ended on {DAY}\.",
            sentence(site, tmp_path, "sam@example.com"),
        )
    own = {"PUBLIC_URL", "DATABASE_URL", "STRIPE_WEBHOOK_SECRET"}
    settings = {name: value for name, value in site.settings.items() if name not in own}
    with running_site(sandbox, database_url, tmp_path, **settings) as site:
        again = newcomer(site, "Sam Shared")
        output_of(site, tmp_path, "reconcile", "--all")
        assert not again.enters()
        again.follow(again.pay())
        assert again.enters()
        assert [change for change, _ in changes(site, again)] == ["granted", "revoked", "granted"]


def test_a_revoked_payment_stays_so_when_its_dispute_is_won(site: Site, tmp_path: Path) -> None:
    browser = payer(site, "Dora Dispute")
    payment = payment_of(site, browser)
    dispute(site, payment)
    eventually(lambda: not browser.enters())
    output_of(site, tmp_path, "grant", "dora@example.com", "dashboard", "--note=Until we know")
    output_of(site, tmp_path, "revoke", "dora@example.com", "dashboard", "--note=Enough")
    (disputed,) = site.sandbox.stripe.v1.disputes.list({"payment_intent": payment}).data
    site.sandbox.stripe.v1.disputes.update(disputed.id, {"evidence": {"uncategorized_text": "winning_evidence"}})
    eventually(lambda: any(row.type == "charge.dispute.closed" for row in site.rows(events)))
    settled(site)
    assert output_of(site, tmp_path, "why", "Dora Dispute")["payments"][0]["verdict"] == "granted"
    assert not browser.enters()
    assert "Enough" in sentence(site, tmp_path, "Dora Dispute")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("grant nobody dashboard --note=x", "Nobody here"),
        ("grant nora@example.com dashbord --note=x", "Did you mean dashboard?"),
        ("grant nora@example.com gold --note=x", "There are: dashboard."),
        ("grant nora@example.com dashboard --note=x --until=2020-01-01", "past"),
        ("grant nora@example.com dashboard --note=x --payment=pi_1", "tollkeeper payments"),
        ("revoke nobody dashboard --note=x", "Nobody here"),
        ("revoke nora@example.com dashboard --note=x", "does not hold dashboard now, but nothing"),
    ],
)
def test_what_cannot_be_done_changes_nothing(site: Site, tmp_path: Path, arguments: str, words: str) -> None:
    newcomer(site, "Nora")
    ended = ask(site, tmp_path, *arguments.split())
    assert (ended.returncode, ended.stdout) == (1, "")
    assert words in ended.stderr
    assert site.rows(grants) == site.rows(audit) == []


def test_what_is_granted_for_a_payment_is_granted_once(site: Site, tmp_path: Path) -> None:
    newcomer(site, "Lena Link")
    browser = newcomer(site, "Otto Other")
    payment = pay_by_link(site, "lena@example.com")
    give = ("dashboard", f"--payment={payment}", "--note=Paid by a link")
    output_of(site, tmp_path, "grant", "otto@example.com", *give)
    assert ask(site, tmp_path, "payments").stdout == "No payment needs a look.\n"
    assert ask(site, tmp_path, "grant", "lena@example.com", *give).returncode == 1
    output_of(site, tmp_path, "revoke", "otto@example.com", "dashboard", "--note=It was Lena")
    assert not browser.enters()
    assert [one["payment"] for one in output_of(site, tmp_path, "payments")["payments"]] == [payment]
    output_of(site, tmp_path, "grant", "lena@example.com", *give)
    assert output_of(site, tmp_path, "why", "Lena Link")["grants"][0]["payment"] == payment
    assert output_of(site, tmp_path, "payments", "--limit=1") == {
        "payments": [],
        "more": False,
        "other_sales": 0,
        "off_sale": [],
    }


def test_why_and_reconcile_ask_about_every_customer_that_somebody_was(site: Site, tmp_path: Path) -> None:
    browser = payer(site, "Rita Refund")
    first = payment_of(site, browser)
    (gone,) = site.rows_of(browser, customers)
    site.sandbox.stripe.v1.customers.delete(gone.external_id)
    refund(site, first)
    eventually(lambda: not browser.enters())
    browser.follow(browser.pay())
    assert browser.enters()
    settled(site)
    explained = output_of(site, tmp_path, "why", "Rita Refund")
    assert [one["verdict"] for one in explained["payments"]] == ["granted", "revoked"]
    assert explained["payments"][1]["payment"] == first
    forget_the_grant(site)
    ended = output_of(site, tmp_path, "reconcile", "rita@example.com")
    assert [one["change"] for one in ended["people"][0]["changes"]] == ["restored"]
    assert browser.enters()


def test_people_tells_who_they_are_and_what_they_hold(site: Site, tmp_path: Path) -> None:
    payer(site, "Alice Example")
    newcomer(site, "Nora Never")
    newcomer(site, "Greta Granted")
    output_of(site, tmp_path, "grant", "greta@example.com", "dashboard", "--note=A gift")
    listed = output_of(site, tmp_path, "people")
    assert not listed["more"]
    assert {one["name"]: (one["email"], one["holds"]) for one in listed["people"]} == {
        "Alice Example": ("alice@example.com", ["dashboard"]),
        "Greta Granted": ("greta@example.com", ["dashboard"]),
        "Nora Never": ("nora@example.com", []),
    }
    assert all(one["issuers"] == [site.settings["OIDC_ISSUER"]] for one in listed["people"])
    shown = ask(site, tmp_path, "people", "ALICE@").stdout
    assert "Alice Example" in shown
    assert "Nora" not in shown
    assert output_of(site, tmp_path, "people", "%")["people"] == []
    few = output_of(site, tmp_path, "people", "--limit=1")
    assert (len(few["people"]), few["more"]) == (1, True)
    assert "There are more" in ask(site, tmp_path, "people", "--limit=1").stdout


def park_ours(site: Site) -> None:
    values = {"handled_at": None, "outcome": None, "due_at": None, "error": "it would not", "attempts": 11}
    ours = events.c.customer_id.in_(select(customers.c.external_id))
    site.look(lambda conn: conn.execute(update(events).where(events.c.outcome != "ignored", ours).values(values)))


def test_events_tells_which_failed_and_replay_has_them_handled(site: Site, tmp_path: Path) -> None:
    payer(site, "Alice Example")
    settled(site)
    assert output_of(site, tmp_path, "events", "--failed") == {"events": [], "more": False}
    park_ours(site)
    parked = output_of(site, tmp_path, "events", "--failed")["events"]
    assert parked
    assert {one["state"] for one in parked} == {"parked"}
    assert "parked: it would not" in ask(site, tmp_path, "events", "--failed").stdout
    assert output_of(site, tmp_path, "replay", "--failed") == {"replayed": sorted(one["id"] for one in parked)}
    settled(site)
    known = {row.event_id: row for row in site.rows(events)}
    assert all(known[one["id"]].handled_at and known[one["id"]].attempts == 1 for one in parked)


def test_replay_takes_ids_and_replays_none_if_one_is_unknown(site: Site, tmp_path: Path) -> None:
    payer(site, "Alice Example")
    settled(site)
    park_ours(site)
    one = output_of(site, tmp_path, "events", "--failed")["events"][0]["id"]
    refused = ask(site, tmp_path, "replay", one, "evt_unknown")
    assert refused.returncode == 1
    assert "evt_unknown" in refused.stderr
    assert one in {event["id"] for event in output_of(site, tmp_path, "events", "--failed")["events"]}
    assert "1 event(s) due again" in ask(site, tmp_path, "replay", one).stdout
    eventually(lambda: next(row for row in site.rows(events) if row.event_id == one).handled_at)


GRANT = ("grant", "Nora", "dashboard")
HALVES = [
    ("replay",),
    ("replay", "evt_1", "--failed"),
    ("reconcile",),
    ("why",),
    GRANT,
    (*GRANT, "--note= "),
    (*GRANT, "--note=x", "--for=30"),
    (*GRANT, "--note=x", "--for=0d"),
    (*GRANT, "--note=x", "--until=tomorrow"),
    (*GRANT, "--note=x", "--until=2099-12-31", "--for=30d"),
    ("revoke", "Nora", "dashboard"),
]


@pytest.mark.parametrize("arguments", HALVES)
def test_half_a_command_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert run_here(*arguments, folder=tmp_path).returncode == 2


@pytest.mark.parametrize(
    "command",
    ["people", "events", "payments", "why nobody", "revoke nobody x --note=x", "replay --failed", "reconcile --all"],
)
def test_without_a_database_a_command_says_what_to_do(site: Site, tmp_path: Path, command: str) -> None:
    missing = tmp_path / "missing.sqlite3"
    ended = ask(site, tmp_path, *command.split(), DATABASE_URL=f"sqlite:///{missing}")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "tollkeeper migrate" in ended.stderr
    assert not missing.exists()
