"""Every page, reached as a visitor reaches it: tours that stop at each page."""

from collections.abc import Callable, Iterator

from playwright.sync_api import Page, expect
from tests.journeys.demo import Demo
from tests.journeys.visitor import Lobby, Visitor, checkout_id
from tests.support.running import ASKS, DECLINED, eventually
from tests.support.shops import DAY, HOUR, Shop

Stops = Iterator[tuple[str, Page]]


def way_in(visit: Lobby, demo: Demo) -> Stops:
    """From the landing page to the dashboard."""
    someone = visit()
    someone.open()
    yield "landing, signed out", someone.page
    someone.follow("Login")
    someone.introduce()
    someone.sees(f"Hello, {someone.name}")
    yield "landing, not paid", someone.page
    someone.follow("Account")
    yield "account, empty", someone.page
    someone.open()
    someone.purchase()
    yield "hosted checkout", someone.page
    someone.pay(ASKS)
    someone.sees("Authenticate your payment")
    yield "authentication", someone.page
    someone.press("Complete")
    someone.sees("Payment done")
    yield "success", someone.page
    someone.follow("Enter")
    someone.sees("Dashboard")
    yield "dashboard", someone.page
    someone.page.emulate_media(reduced_motion="no-preference")
    yield "dashboard, moving", someone.page
    someone.page.emulate_media(reduced_motion="reduce")
    someone.open()
    yield "landing, paid", someone.page
    visit(someone.email).sign_in()
    someone.follow("Account")
    yield "account, with a purchase and two browsers", someone.page
    someone.open("/logout")
    yield "logout", someone.page
    someone.press("Logout")
    someone.open("/logout")
    yield "logout, signed out", someone.page


def wrong_turns(visit: Lobby, demo: Demo) -> Stops:
    """The pages for when something goes wrong."""
    someone = visit()
    for status in ("400 ", "402 ", "403 ", "404 ", "410 ", "422 "):
        someone.forgive(status)
    someone.open("/nowhere")
    yield "404", someone.page
    someone.open("/login")
    yield "issuer", someone.page
    someone.press("Continue")
    someone.reads("Enter a name.")
    yield "issuer, mistyped", someone.page
    someone.press("Deny")
    someone.sees("You did not sign in")
    yield "403", someone.page
    someone.open(f"{demo.sandbox}/identity/authorize")
    yield "issuer, refused", someone.page
    yield from _wrong_turns_at_checkout(someone, demo)


def _wrong_turns_at_checkout(someone: Visitor, demo: Demo) -> Stops:
    someone.sign_in()
    checkout = someone.purchase()
    someone.press("Pay")
    expect(someone.page.get_by_role("alert")).to_be_visible()
    yield "hosted checkout, empty form", someone.page
    someone.pay(DECLINED)
    someone.reads("Your card was declined.")
    yield "hosted checkout, declined", someone.page
    someone.follow("Cancel")
    someone.sees("Nothing was charged")
    yield "cancel", someone.page
    someone.open()
    yield "landing, checkout open", someone.page
    demo.stripe.v1.checkout.sessions.expire(checkout_id(checkout))
    someone.open(checkout)
    yield "hosted checkout, expired", someone.page


def behind_the_counter(visit: Lobby, demo: Demo) -> Stops:
    """The sandbox's own pages, after somebody has paid."""
    buyer = visit()
    buyer.sign_in()
    checkout = buyer.purchase()
    buyer.pay()
    buyer.sees("Payment done")
    buyer.follow("Receipt")
    buyer.reads("Visa ending in 4242")
    yield "receipt", buyer.page
    buyer.open(checkout)
    yield "hosted checkout, done", buyer.page
    buyer.open(demo.gated)
    buyer.sees(f"Hello, {buyer.name}")
    yield "the app behind the gate", buyer.page
    buyer.open(demo.sandbox)
    yield "control page", buyer.page
    buyer.page.locator("summary").first.click()
    yield "control page, all cards", buyer.page
    buyer.page.get_by_text("Delete everything").click()
    expect(buyer.button("Reset the demo")).to_be_visible()
    yield "control page, before a reset", buyer.page
    buyer.page.get_by_role("link", name="pi_").first.click()
    yield "an object", buyer.page
    buyer.page.go_back()
    buyer.page.get_by_role("region", name="Table of deliveries").get_by_role("link").first.click()
    yield "a delivery", buyer.page
    buyer.follow("Identity")
    yield "about the issuer", buyer.page
    buyer.forgive("404 ")
    buyer.open(f"{demo.sandbox}/receipts/{checkout_id(checkout)}")
    buyer.sees("Not found")
    yield "nothing in the sandbox", buyer.page
    paid = demo.stripe.v1.checkout.sessions.retrieve(checkout_id(checkout)).payment_intent
    demo.stripe.v1.refunds.create({"payment_intent": str(paid)})
    buyer.reads_in_the_end("/account", "was refunded in full")
    yield "account, refunded", buyer.page
    buyer.open("/dashboard")
    buyer.reads("was refunded in full")
    yield "landing, refunded", buyer.page
    buyer.open("/pricing")
    yield "pricing, refunded", buyer.page


def several_of_everything(
    visit: Lobby, had_elsewhere: Callable[[str], None], silence_provider: Callable[[], None]
) -> Stops:
    """A shop with two products and two issuers, whose provider stops answering after somebody has gone to pay.

    ``had_elsewhere`` has somebody with this address sign in with the other issuer, and have the flying lessons.
    """
    someone = visit()
    someone.open()
    yield "landing, several products, signed out", someone.page
    someone.follow("Login")
    yield "login", someone.page
    someone.follow("Continue with Sandbox")
    someone.introduce()
    someone.sees(f"Hello, {someone.name}")
    yield "landing, several products", someone.page
    had_elsewhere(someone.email)
    yield from _had_elsewhere(someone)
    someone.press("Purchase Reports")
    someone.sees("Reports")
    checkout = someone.page.url
    silence_provider()
    someone.forgive("503 ")
    someone.open(f"/purchase/success?session_id={checkout_id(checkout)}")
    someone.sees("Confirming your payment")
    someone.page.route("**/purchase/success?*", lambda again: again.abort("aborted"))  # it would reload automatically
    yield "confirming", someone.page
    someone.open()
    yield "landing, provider silent", someone.page
    someone.press("Purchase Reports")
    someone.sees("Back in a moment")
    yield "503", someone.page


def _had_elsewhere(someone: Visitor) -> Stops:
    for path in ("/pricing", "/"):
        someone.open(path)
        someone.reads("Another account with this address, which signs in with GitHub, already has this.")
        yield f"{path}, had elsewhere", someone.page
    someone.forgive("409 ")
    someone.press("Purchase Flying lessons")
    someone.sees("You may have this already")
    yield "had elsewhere", someone.page
    someone.press("Buy anyway")
    someone.sees("Flying lessons")
    someone.open()


def from_trial_to_deletion(visit: Lobby, shop: Shop) -> Stops:
    """A subscription from the page of prices through a trial and a failed renewal to the deletion of the account."""
    someone = visit()
    someone.open("/pricing")
    yield "pricing, signed out", someone.page
    someone.follow("Login")
    someone.introduce()
    someone.sees("Pricing")
    yield "pricing", someone.page
    someone.open("/pricing?feature=reports")
    yield "pricing of a feature", someone.page
    someone.press("Start free trial Pro, per month")
    someone.sees("Pro")
    checkout = someone.page.url
    someone.follow("Cancel")
    someone.reads("before starting your trial")
    yield "cancel, trial", someone.page
    someone.open(checkout)
    someone.subscribe()
    someone.sees("Your trial has begun")
    yield "trial begun", someone.page
    someone.open("/account")
    yield "account, on trial", someone.page
    someone.open("/pricing")
    yield "pricing, on trial", someone.page
    shop.let_card("pm_card_chargeCustomerFail")
    shop.pass_time(14 * DAY + 2 * HOUR)
    eventually(lambda: shop.subscription().status == "past_due")
    yield from _failed_renewal(someone, shop)


def _failed_renewal(someone: Visitor, shop: Shop) -> Stops:
    someone.reads_in_the_end("/account", "Payment failed")
    yield "account, payment failed", someone.page
    someone.open()
    yield "landing, payment failed", someone.page
    someone.forgive("409 ")
    someone.forgive("422 ")
    someone.send("/purchase/checkout-session", product="pro", price=shop.prices["year"])
    someone.sees("You have a subscription already")
    yield "to mend first", someone.page
    someone.open("/account")
    someone.follow("Delete account")
    yield "before deletion", someone.page
    someone.page.locator("form.confirm").evaluate("form => { form.noValidate = true }")
    someone.press("Delete account")
    someone.reads("Nothing was deleted.")
    yield "deletion not confirmed", someone.page
    someone.page.get_by_role("checkbox").check()
    someone.press("Delete account")
    someone.sees("Your account is deleted")
    yield "deleted", someone.page


def off_sale(visit: Lobby, shop: Shop) -> Stops:
    """A shop with several products, some of which the provider refuses to sell, one only to subscribers."""
    someone, prices = visit(), shop.sandbox.stripe.v1.prices
    someone.forgive("409 ")
    for price in ("once", "year"):
        prices.update(shop.prices[price], {"active": False})
    someone.sign_in()
    someone.open("/pricing")
    someone.press("Purchase Flying lessons")
    someone.sees("Not on sale at the moment")
    yield "not on sale", someone.page
    someone.open("/pricing")
    someone.press("Start free trial Pro, per year")
    someone.sees("Not on sale at the moment")
    someone.open("/pricing")
    yield "pricing, some off sale", someone.page
    _subscribe_in_dollars(shop)
    someone.press("Subscribe Basic")
    someone.sees("Not in a second currency")
    yield "a second currency", someone.page
    someone.open("/pricing")
    someone.reads("You already pay in USD here")
    yield "pricing, a second currency", someone.page
    someone.open()
    yield "landing, several products, some off sale", someone.page
    stranger = visit()
    stranger.open("/pricing")
    yield "pricing, some off sale, signed out", stranger.page


def _subscribe_in_dollars(shop: Shop) -> None:
    v1 = shop.sandbox.stripe.v1
    (customer,) = v1.customers.list().data
    method = v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    price = shop.sandbox.price(500, "usd", interval="month")
    v1.subscriptions.create({"customer": customer.id, "items": [{"price": price}], "default_payment_method": method.id})


def only_product_off_sale(visit: Lobby, archive: Callable[[], object]) -> Stops:
    """A shop with one product, which the provider refuses to sell."""
    someone = visit()
    someone.forgive("409 ")
    someone.sign_in()
    checkout = someone.purchase()
    archive()
    other = visit()
    other.forgive("409 ")
    other.sign_in()
    other.press("Purchase")
    other.sees("Not on sale at the moment")
    other.open()
    yield "landing, off sale", other.page
    other.press("Logout")
    other.open()
    yield "landing, off sale, signed out", other.page
    someone.open(f"/purchase/cancel?session_id={checkout_id(checkout)}")
    someone.sees("Nothing was charged")
    yield "cancel, off sale", someone.page


def beside_each_other(visit: Lobby, shop: Shop) -> Stops:
    """Products that contain each other: a change of plan, a warning, a purchase for good, a double payment."""
    someone = visit()
    someone.forgive("409 ")
    someone.sign_in()
    someone.open("/pricing")
    someone.press("Subscribe Basic")
    someone.sees("Basic")
    someone.subscribe()
    someone.sees("You are subscribed")
    someone.open("/pricing")
    yield "pricing, subscribed to less", someone.page
    someone.press("Change plan Pro, per month")
    someone.sees("Change your plan")
    yield "change of plan", someone.page
    someone.press("Change to Pro")
    someone.press("Confirm")
    someone.sees("Account")
    someone.open("/pricing")
    yield "pricing, subscribed to more", someone.page
    someone.press("Change plan Basic")
    someone.sees("You have this already")
    yield "change to less", someone.page
    someone.open("/pricing")
    someone.press("Subscribe News")
    someone.sees("Before you pay")
    yield "told of what overlaps", someone.page
    someone.open("/pricing")
    someone.press("Buy for good Pro")
    someone.sees("Before you pay")
    yield "told of what ends by itself", someone.page
    someone.press("Continue to payment")
    someone.pay()
    someone.sees("Payment done")
    someone.open("/account")
    someone.reads("when it ends automatically")
    yield "account, ending by itself", someone.page
    shop.sandbox.stripe.v1.subscriptions.update(shop.subscription().id, {"cancel_at_period_end": False})
    someone.reads_in_the_end("/account", "You pay twice: you have Pro for good, which gives you all of this.")
    yield "account, paid for twice", someone.page
    someone.open("/pricing")
    yield "pricing, held for good", someone.page
    someone.send("/purchase/checkout-session", product="basic", price=shop.prices["basic"])
    someone.sees("There is nothing to buy")
    yield "nothing to buy", someone.page


def no_change_of_plan(visit: Lobby, shop: Shop) -> Stops:
    """A provider whose portal was never set up."""
    someone = visit()
    someone.forgive("409 ")
    someone.sign_in()
    someone.begin("Subscribe Basic", "Basic")
    someone.subscribe()
    someone.sees("You are subscribed")
    someone.open("/pricing")
    someone.press("Change plan Pro, per month")
    someone.reads("This change cannot be made here at the moment.")
    yield "no change of plan", someone.page
