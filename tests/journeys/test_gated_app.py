"""The app behind the demo's gate, in a browser: in after paying, out after a refund; and a reset of everything."""

from pathlib import Path

from playwright.sync_api import Browser, expect
from tests.journeys.demo import Demo
from tests.journeys.visitor import PATIENCE_MS, Lobby, Visitor
from tests.support.processes import free_port
from tests.support.running import eventually

FLIGHTS = "/flights/today?page=2"


def comes_in(someone: Visitor, demo: Demo) -> None:
    """Sign in and pay, from a page of the app and back to it."""
    someone.open(demo.gated + FLIGHTS)
    someone.introduce()
    someone.sees("Pricing")
    someone.is_at("/pricing")
    someone.purchase()
    someone.pay()
    expect(someone.page).to_have_url(demo.gated + FLIGHTS)
    someone.sees(f"Hello, {someone.name}")


def is_refused(someone: Visitor, demo: Demo) -> bool:
    someone.open(demo.gated + FLIGHTS)
    return someone.page.url.startswith(f"{demo.site}/pricing?feature=dashboard")


def test_in_after_paying_and_out_after_a_refund(visit: Lobby, demo: Demo) -> None:
    someone = visit()
    comes_in(someone, demo)
    someone.reads(someone.email)
    cookies = {cookie["name"]: cookie["value"] for cookie in someone.context.cookies()}
    assert cookies["tollkeeper"] not in someone.page.content()

    someone.follow("control page")
    someone.page.get_by_role("region", name="Table of payments").get_by_role("link", name="pi_").first.click()
    someone.press("Refund")
    eventually(lambda: is_refused(someone, demo), seconds=PATIENCE_MS / 1000)

    someone.open()
    someone.press("Logout")
    someone.open(demo.gated + FLIGHTS)
    someone.sees("Choose a person")


def test_a_reset_begins_afresh_while_the_demo_runs(browser: Browser, tmp_path: Path) -> None:
    demo = Demo(tmp_path, free_port(neighbours=2))
    with demo.started(), Lobby(browser, demo.site) as visit:
        someone = visit()
        comes_in(someone, demo)
        someone.open(demo.sandbox)
        someone.type("Days to move forward", "40")
        someone.press("Move time")
        someone.page.get_by_text("Delete everything").click()
        someone.press("Reset the demo")
        someone.reads("Nobody has paid yet.")
        comes_in(someone, demo)
        assert len(demo.charges(someone.email)) == 1
        eventually(lambda: {one.pending_webhooks for one in demo.stripe.v1.events.list({"limit": 100}).data} == {0})
