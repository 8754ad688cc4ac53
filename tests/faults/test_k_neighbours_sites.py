"""K75 and K76 with running apps: two sites on one account, and the commands."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs
from tests.faults.conftest import OpenSite
from tests.providers.worlds import StripeWorld
from tests.support.processes import run_here
from tests.support.running import Browser, Sandbox, Site, eventually, newcomer

from tollkeeper.storage import tables

TOKEN = "f0Y9dV3kQm7Zr2Xw8Lb5Ns1Tc6Hj4Gp0Ua9Ee3Ri7"


def subscribe(someone: Browser) -> None:
    """From the landing page of a site that sells by subscription to the page that says it is paid."""
    someone.follow(someone.pay(someone.follow(someone.submit(someone.get("/"), "Subscribe"))))


@pytest.fixture
def neighbours(open_site: OpenSite, sandbox: Sandbox) -> Iterator[tuple[Site, Site]]:
    """Two sites on one account: one sells once, the other by subscription."""
    monthly = sandbox.price(700, name="Somebody else's", interval="month")
    with ExitStack() as stack:
        yield (
            stack.enter_context(open_site(METRICS_TOKEN=TOKEN)),
            stack.enter_context(open_site(METRICS_TOKEN=TOKEN, PRODUCT_PRICE_ID=monthly)),
        )


def listed(site: Site, folder: Path, *options: str) -> Any:
    ended = run_here("payments", "--json", *options, folder=folder, environment=site.settings)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def measured(site: Site, name: str) -> float:
    text = httpx2.get(f"{site.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    return sum(float(value) for value in re.findall(rf"^tollkeeper_{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def test_k75_two_sites_on_one_account_do_not_see_each_others_payments(
    neighbours: tuple[Site, Site], tmp_path: Path
) -> None:
    with capture_logs() as logs:
        for site in neighbours:
            buyer = newcomer(site)
            subscribe(buyer) if site is neighbours[1] else buyer.follow(buyer.pay())
            assert buyer.enters()
        for site in neighbours:
            eventually(lambda site=site: len(site.rows(tables.findings)) == 2)  # type: ignore[misc]
            eventually(lambda site=site: measured(site, "other_sales_total") == 1)  # type: ignore[misc]
    assert [line for line in logs if line["log_level"] in {"warning", "error"}] == []
    for site in neighbours:
        assert measured(site, "payments_unexplained") == 0
        assert (listed(site, tmp_path)["payments"], listed(site, tmp_path)["other_sales"]) == ([], 1)
        (other,) = listed(site, tmp_path, "--all")["payments"]
        assert (other["what"], other["what_to_do"], other["email"]) == ("unrelated", "", None)
        ended = run_here("payments", folder=tmp_path, environment=site.settings)
        assert "No payment needs a look." in ended.stdout
        assert "1 other sale on the account, unrelated to this site. To list them: --all" in ended.stdout


def test_k75_a_deleted_account_ends_nothing_of_a_neighbours(
    open_site: OpenSite,
    sandbox: Sandbox,
) -> None:
    monthly, theirs = (sandbox.price(700, interval="month") for _ in range(2))
    with open_site(PRODUCT_PRICE_ID=monthly) as site:
        someone = newcomer(site)
        subscribe(someone)
        (customer,) = site.rows_of(someone, tables.customers)
        stripe: Any = sandbox.stripe.v1
        other = StripeWorld(sandbox).subscribe_by_hand(customer.external_id, theirs)
        (ours,) = (row.source for row in site.rows_of(someone, tables.grants))
        answer = someone.submit(someone.get("/account/delete"), "Delete account", confirmed="yes")
        assert "Your account is deleted" in answer.text
        assert [stripe.subscriptions.retrieve(one).status for one in (ours, other)] == ["canceled", "active"]


def test_k76_the_commands(open_site: OpenSite, sandbox: Sandbox, tmp_path: Path) -> None:
    with open_site() as site:
        stripe: Any = sandbox.stripe.v1
        price = site.settings["PRODUCT_PRICE_ID"]
        customer = stripe.customers.create({"email": "neighbour@example.com"}).id
        made = StripeWorld(sandbox).subscribe_by_hand(customer, sandbox.price(100, interval="week"))
        someone = newcomer(site)
        (person,) = (row.person_id for row in site.rows_of(someone, tables.login_sessions))
        eventually(lambda: [row for row in site.rows(tables.findings) if row.source == made])

        def run(*words: str) -> Any:
            return run_here(*words, folder=tmp_path, environment=site.settings)

        refused = run("adopt", person, made, "--note", "By telephone")
        assert (refused.returncode, "--product PRODUCT" in refused.stderr) == (1, True)
        reported = run("adopt", person, made, "--product", "dashboard", "--note", "By telephone")
        assert reported.returncode == 0, reported.stderr
        assert f"{made} is assigned to Nova Example ({person}), and follows the provider" in reported.stdout
        assert "dashboard: granted. Paid until " in reported.stdout
        assert someone.enters()
        assert json.loads(run("payments", "--json").stdout)["payments"] == []
        assert "was not ordered here: an operator assigned it to Nova Example" in run("why", person).stdout

        link = stripe.payment_links.create({"line_items": [{"price": price, "quantity": 1}]})
        guest = Browser(site.url)
        guest.pay(guest.follow(guest.client.get(link.url)))
        (case,) = eventually(lambda: json.loads(run("payments", "--json").stdout)["payments"])
        off = run("payments", "dismiss", case["payment"], "--note", "A friend", "--json")
        assert json.loads(off.stdout)["dismissed"][0]["payment"] == case["payment"]
        assert json.loads(run("payments", "--json").stdout)["payments"] == []
        (again,) = json.loads(run("payments", "--all", "--json").stdout)["payments"]
        assert (again["what"], again["dismissed"]) == ("unclaimed", "Dismissed by an operator: A friend.")
        assert "unclaimed, dismissed" in run("payments", "--all").stdout
        assert run("payments", "restore", case["payment"]).returncode == 0
        assert json.loads(run("payments", "--json").stdout)["payments"] == [case]
        assert run("payments", "restore", case["payment"]).returncode == 1
