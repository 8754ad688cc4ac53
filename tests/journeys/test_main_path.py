"""Sign in, pay, get in: as a person would, by the text on the pages."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.journeys.demo import Demo
from tests.journeys.visitor import Lobby
from tests.support.processes import free_port
from tests.support.running import PAYS


@pytest.mark.parametrize("scripts", [True, False], ids=["browser", "browser without scripts"])
def test_a_stranger_signs_in_pays_and_gets_in(visit: Lobby, demo: Demo, scripts: bool) -> None:
    someone = visit(scripts=scripts)
    someone.open()
    someone.reads("The Flying Machine")
    expect(someone.purchase_button).to_have_count(0)
    expect(someone.link("Enter")).to_have_count(0)

    someone.follow("Login")
    someone.introduce()
    someone.is_at("/")
    someone.sees(f"Hello, {someone.name}")

    someone.purchase()
    someone.reads("€19.00")
    expect(someone.page.get_by_label("Email", exact=True)).to_have_value(someone.email)
    someone.pay()
    someone.sees("Payment done")
    someone.reads("€19.00")

    someone.follow("Enter")
    someone.is_at("/dashboard")
    someone.sees("Dashboard")

    someone.open()
    expect(someone.link("Enter")).to_be_visible()
    expect(someone.purchase_button).to_have_count(0)
    assert len(demo.charges(someone.email)) == 1

    someone.press("Logout")
    someone.is_at("/")
    expect(someone.link("Login")).to_be_visible()


def test_a_ready_person_is_greeted_by_name(visit: Lobby) -> None:
    someone = visit()
    someone.open()
    someone.follow("Login")
    someone.page.get_by_role("button", name="Bob Example bob@example.com").click()
    someone.sees("Hello, Bob Example")
    expect(someone.purchase_button).to_be_visible()


def test_the_dashboard_leads_through_sign_in_and_back(visit: Lobby) -> None:
    payer = visit()
    payer.buy()
    payer.open()
    payer.press("Logout")
    payer.open("/dashboard")
    payer.introduce()
    payer.is_at("/dashboard")
    payer.sees("Dashboard")


def test_the_dashboard_leads_who_has_not_paid_to_where_it_is_sold(visit: Lobby) -> None:
    someone = visit()
    someone.open("/dashboard")
    someone.introduce()
    someone.is_at("/")
    expect(someone.purchase_button).to_be_visible()


def test_the_keyboard_is_enough(visit: Lobby) -> None:
    someone = visit()
    someone.open()
    someone.type_on(someone.link("Login"), "Enter")
    someone.type_on(someone.page.get_by_label("Name", exact=True), someone.name)
    someone.type_on(someone.page.get_by_label("Email", exact=True), someone.email)
    someone.type_on(someone.button("Continue"), "Enter")
    someone.type_on(someone.purchase_button, "Enter")
    someone.type_on(someone.page.get_by_label("Card number", exact=True), PAYS)
    someone.type_on(someone.page.get_by_label("Expiration", exact=True), "12 / 40")
    someone.type_on(someone.page.get_by_label("CVC", exact=True), "123")
    someone.type_on(someone.page.get_by_label("Cardholder name", exact=True), someone.name)
    someone.type_on(someone.button("Pay"), "Enter")
    someone.type_on(someone.link("Enter"), "Enter")
    someone.sees("Dashboard")


def test_what_was_paid_outlives_a_power_cut(browser: Browser, tmp_path: Path) -> None:
    demo = Demo(tmp_path, free_port(neighbours=2))
    with Lobby(browser, demo.site) as visit:
        payer = visit()
        with demo.started() as process:
            payer.buy()
            process.kill()
        with demo.started():
            payer.gets_in()
            elsewhere = visit(payer.email)
            elsewhere.sign_in()
            elsewhere.gets_in()
