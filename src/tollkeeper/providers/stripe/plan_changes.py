"""Changes of plan: what one costs, and the page of the billing portal where a customer confirms it.

https://docs.stripe.com/customer-management/portal-deep-links
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tollkeeper.errors import ProviderRefused
from tollkeeper.model.selling import Price
from tollkeeper.providers.protocol import PlanChange
from tollkeeper.providers.stripe.calls import ask, each, path
from tollkeeper.providers.stripe.setup_plan import PORTALS, portal_of
from tollkeeper.providers.stripe.subscriptions import SUBSCRIPTIONS, period_of

if TYPE_CHECKING:
    import stripe

SESSIONS = "/v1/billing_portal/sessions"
CONFIRM = "subscription_update_confirm"

# Stripe may refuse a price that was put on sale after the portal was configured.
ADVICE = "Run `tollkeeper setup stripe`: it lets customers change to every price that is on sale."


async def preview(client: "stripe.StripeClient", subscription: str, price: Price) -> PlanChange:
    """Return what the change costs. https://docs.stripe.com/api/invoices/create_preview

    It is calculated with the settings of our portal configuration, because the change is made in the portal.
    """
    rules = (await _portal(client))["features"]["subscription_update"]
    if not rules["enabled"]:
        raise ProviderRefused("The billing portal lets nobody change the plan.")
    found = await ask(client, "get", path(SUBSCRIPTIONS, subscription))
    item = _only_item(found)
    on_trial = found["status"] == "trialing"
    trial_goes_on = on_trial and rules["trial_update_behavior"] == "continue_trial"
    details: dict[str, Any] = {
        "items": [{"id": item["id"], "price": price.id}],
        "proration_behavior": rules["proration_behavior"],
    }
    if on_trial and not trial_goes_on:
        details["trial_end"] = "now"
    bill = await ask(
        client, "post", "/v1/invoices/create_preview", subscription=subscription, subscription_details=details
    )
    # A preview does not say when it is billed. A change of interval starts a new period, which is billed at once.
    at_once = rules["proration_behavior"] == "always_invoice" or _period(item["price"]) != _period_of(price)
    if trial_goes_on or not (on_trial or at_once):
        return PlanChange(0, 0, bill["currency"], period_of(found)[1], trial_goes_on)
    renews_at = max(line["period"]["end"] for line in bill["lines"]["data"])
    return PlanChange(bill["amount_due"], max(0, -bill["total"]), bill["currency"], renews_at)


async def confirmation(
    client: "stripe.StripeClient", customer: str, subscription: str, price_id: str, return_url: str
) -> str:
    """Return the address of the page where the customer confirms the change. Afterwards it leads back automatically.

    https://docs.stripe.com/api/customer_portal/sessions/create
    """
    portal, found = await _portal(client), await ask(client, "get", path(SUBSCRIPTIONS, subscription))
    flow = {
        "type": CONFIRM,
        CONFIRM: {"subscription": subscription, "items": [{"id": _only_item(found)["id"], "price": price_id}]},
        "after_completion": {"type": "redirect", "redirect": {"return_url": return_url}},
    }
    params = {"customer": customer, "configuration": portal["id"], "return_url": return_url, "flow_data": flow}
    return str((await ask(client, "post", SESSIONS, **params))["url"])


async def _portal(client: "stripe.StripeClient") -> Mapping[str, Any]:
    """Return the portal configuration that our setup created. We do not know how any other one charges."""
    ours = portal_of([one async for one in each(client, PORTALS, active=True)])
    if ours is None:
        raise ProviderRefused("The billing portal is not set up for changes of plan.")
    return ours


def _only_item(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """https://docs.stripe.com/api/customer_portal/sessions/create#create_portal_session-flow_data"""
    items: list[Mapping[str, Any]] = found["items"]["data"]
    if len(items) != 1:
        raise ProviderRefused("Stripe's billing portal changes no subscription that has several prices.")
    return items[0]


def _period(price: Mapping[str, Any]) -> tuple[str, int]:
    return price["recurring"]["interval"], price["recurring"]["interval_count"]


def _period_of(price: Price) -> tuple[str | None, int]:
    return price.interval, price.interval_count
