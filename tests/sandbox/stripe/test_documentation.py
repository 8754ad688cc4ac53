"""``docs/sandbox.md`` is complete, and its commands work in the order in which it lists them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from starlette.routing import Route
from tests.sandbox.stripe.support import Running, running

from tollkeeper_sandbox.stripe import StripeSandbox
from tollkeeper_sandbox.stripe.engine.faults import SETTINGS
from tollkeeper_sandbox.stripe.known.cards import BY_NUMBER, CARDS
from tollkeeper_sandbox.stripe.known.ibans import IBANS
from tollkeeper_sandbox.stripe.objects.disputes import REASONS

TEXT = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text("utf-8")


def rows(first_cell: str) -> list[list[str]]:
    """The cells of the table rows whose first cell is code that looks like this."""
    found = re.findall(rf"^\| `({first_cell})` \|(.*)\|$", TEXT, re.MULTILINE)
    return [[first, *(cell.strip() for cell in rest.split("|"))] for first, rest in found]


def test_every_address_of_the_control_api_is_reported() -> None:
    events_about = {address for address, _ in rows("(?:GET|POST|DELETE) /.*")}
    posting = {"POST", "DELETE"}
    served = {
        f"{method} {route.path}"
        for route in StripeSandbox(base_url="http://127.0.0.1").routes
        if isinstance(route, Route) and route.path.startswith("/control/")
        for method in (route.methods or set()) - {"HEAD"}
        if method in posting or route.path in ("/control/faults", "/control/clock", "/control/settings")
    }
    assert events_about == served


def test_every_fault_is_reported_with_its_settings() -> None:
    events_about = {name: tuple(re.findall("`(.+?)`", settings)) for name, _, settings, _ in rows("[a-z_]+")}
    assert events_about == SETTINGS


def test_the_test_numbers_exist() -> None:
    cards = [number.replace(" ", "") for number, _ in rows("4[0-9 ]+")]
    assert set(cards) <= BY_NUMBER.keys()
    assert {card.number for card in CARDS if card.dispute or card.refund != "succeeded"} <= set(cards)
    assert [number.replace(" ", "") for number, _ in rows("DE[0-9 ]+")] == list(IBANS)


def test_every_reason_for_a_dispute_is_told() -> None:
    assert all(f"`{reason}`" in TEXT for reason in REASONS)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_commands_work() -> None:
    with running() as sandbox:
        script = "\n".join(re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
        script = script.replace("http://127.0.0.1:4001", sandbox.url)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        check_outcome(sandbox)


def check_outcome(sandbox: Running) -> None:
    sessions = sandbox.sdk.v1.checkout.sessions.list().data
    assert [session.payment_status for session in sessions] == [
        "unpaid",
        "no_payment_required",
        "no_payment_required",
        "paid",
        "paid",
    ]
    assert sessions[0].client_reference_id == "somebody"
    assert [refund.amount for refund in sandbox.sdk.v1.refunds.list().data] == [500, 500]
    assert [dispute.status for dispute in sandbox.sdk.v1.disputes.list().data] == ["won"]
    assert sandbox.browser.get(f"{sandbox.url}/control/faults").json() == {"faults": []}
    assert sandbox.browser.get(f"{sandbox.url}/control/clock").json()["ahead"] > 60 * 86400
    check_subscriptions(sandbox)


def check_subscriptions(sandbox: Running) -> None:
    traveller, beside, subscribed = sandbox.sdk.v1.subscriptions.list({"status": "all"}).data
    assert (subscribed.status, subscribed.cancel_at) == ("active", None)
    assert [item.price.recurring and item.price.recurring.interval for item in subscribed["items"].data] == ["year"]
    assert beside.status == "active"
    totals = [one.amount_paid for one in sandbox.sdk.v1.invoices.list({"subscription": traveller.id}).data]
    assert totals == [900, 900, 900]
