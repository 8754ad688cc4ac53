"""Signing in and out, in one browser and in several."""

from playwright.sync_api import expect
from tests.journeys.visitor import Lobby, Visitor


def is_signed_out(visitor: Visitor) -> None:
    visitor.open("/account")
    visitor.sees("Choose a person")


def test_denying_says_so_and_one_can_start_again(visit: Lobby) -> None:
    someone = visit()
    someone.forgive("403 ")
    someone.open()
    someone.follow("Login")
    someone.press("Deny")
    someone.sees("You did not sign in")
    someone.follow("Front page")
    someone.sign_in()


def test_the_issuer_says_what_was_mistyped(visit: Lobby) -> None:
    someone = visit()
    someone.forgive("400 ")
    someone.open()
    someone.follow("Login")
    someone.type("Email", "flora")
    someone.press("Continue")
    someone.reads("Enter a name.")
    someone.reads("Enter an e-mail address such as name@example.com.")
    someone.introduce()
    someone.sees(f"Hello, {someone.name}")


def test_signing_out_everywhere_ends_every_browser(visit: Lobby) -> None:
    here = visit()
    there = visit(here.email)
    here.sign_in()
    there.sign_in()
    here.follow("Account")
    here.press("Sign out everywhere")
    here.is_at("/")
    expect(here.link("Login")).to_be_visible()
    is_signed_out(here)
    is_signed_out(there)


def test_ending_one_browser_leaves_the_other(visit: Lobby) -> None:
    here = visit()
    there = visit(here.email)
    here.sign_in()
    there.sign_in()
    here.follow("Account")
    here.reads("This browser")
    here.press("End Chromium on Linux")
    here.is_at("/account")
    expect(here.page.get_by_text("Chromium on Linux")).to_have_count(1)
    is_signed_out(there)
    here.open("/account")
    here.sees("Account")


def test_the_logout_page_lets_one_stay_or_go(visit: Lobby) -> None:
    someone = visit()
    someone.sign_in()
    someone.open("/logout")
    someone.follow("Stay")
    someone.sees(f"Hello, {someone.name}")
    someone.open("/logout")
    someone.press("Logout")
    is_signed_out(someone)


def test_logging_out_in_one_tab_leaves_the_other_with_clear_ways_on(visit: Lobby) -> None:
    someone = visit()
    someone.sign_in()
    stale = someone.page
    someone.new_tab()
    someone.open()
    someone.press("Logout")
    expect(someone.link("Login")).to_be_visible()
    someone.page = stale
    someone.purchase_button.click()
    someone.introduce()
    someone.sees(f"Hello, {someone.name}")
