"""PURE. What cannot be sold at the moment, in words: for its buyers, and for operators."""

from collections.abc import Mapping

from tollkeeper.errors import Obstacle, Scope
from tollkeeper.model.selling import OffSale
from tollkeeper.words import iso, moment, printable

# The cause, as operators read it.
CAUSES = {
    Obstacle.PRICE_ARCHIVED: "Its price, or the product of that price, is archived.",
    Obstacle.PRICE_MISSING: "The account of the key has no such price in this mode.",
    Obstacle.OTHER_CURRENCY: "They already pay in another currency, and a customer can pay in only one.",
    Obstacle.CUSTOMER_REFUSED: "Something about this customer is not accepted.",
    Obstacle.ACCOUNT_INACTIVE: "The account may not take payments.",
    Obstacle.TAX_INACTIVE: "Tax is not set up in the account.",
    Obstacle.KEY_REFUSED: "The key is not accepted.",
    Obstacle.KEY_LIMITED: "The key lacks a permission.",
    Obstacle.OTHER: "The provider refuses.",
}
BY_ITSELF = "It is tried again every few minutes, and goes back on sale automatically."


def title(obstacle: Obstacle) -> str:
    """The heading of the page that says no."""
    if obstacle is Obstacle.OTHER_CURRENCY:
        return "Not in a second currency"
    return "Not on sale at the moment"


def refusal(obstacle: Obstacle, facts: Mapping[str, str]) -> str:
    """Why somebody who pressed the button cannot buy it."""
    return f"{why_not(obstacle, facts)} Nothing was charged."


def why_not(obstacle: Obstacle, facts: Mapping[str, str]) -> str:
    """Why it cannot be bought, as its buyer reads it."""
    if obstacle is Obstacle.OTHER_CURRENCY:
        return _other_currency(facts.get("currency", "").upper(), facts.get("sold_in", "").upper())
    if obstacle.scope is Scope.PERSON:
        return "Our payment provider does not let your account buy this. Please write to us: we can see why."
    return "This cannot be bought at the moment. We have been told, and it will be back on sale once that is fixed."


def _other_currency(pays_in: str, sold_in: str) -> str:
    here = f"You already pay in {pays_in} here" if pays_in else "You already pay in another currency here"
    this = f"this is sold in {sold_in}" if sold_in else "this is sold in another one"
    return (
        f"{here}, and {this}. Our payment provider takes one currency from each customer, so you can buy this once"
        " your other subscription has ended."
    )


def cause(obstacle: Obstacle, facts: Mapping[str, str]) -> str:
    """The cause, as operators read it."""
    if "currency" in facts:
        return f"They already pay in {facts['currency'].upper()}, and a customer can pay in only one currency."
    if "permission" in facts:
        return f"The key lacks the permission {facts['permission']}."
    return CAUSES[obstacle]


def listed(found: OffSale, provider: str, remedies: Mapping[Obstacle, str]) -> str:
    """One entry of a list for operators, in a few lines. ``provider`` is its name, ``remedies`` are its own."""
    scope = found.obstacle.scope
    what = "Everything" if scope is Scope.ACCOUNT else f"{found.product} at {found.price_id}"
    whom = f", for {found.person_id} only" if scope is Scope.PERSON else ""
    advice = " ".join(filter(None, [cause(found.obstacle, found.facts), remedies.get(found.obstacle)]))
    said = f"\n  {provider} said: {found.provider_message}" if found.provider_message else ""
    return printable(f"{what}{whom}, off sale since {moment(found.since)}\n  {advice}{said}")


def not_known(trouble: str) -> str:
    """Why it is unknown what is off sale."""
    return f"What is off sale is not known: {trouble}"


def in_json(found: OffSale, remedies: Mapping[Obstacle, str]) -> dict[str, object]:
    """The same for machines."""
    return {
        "scope": found.obstacle.scope.value,
        "product": found.product,
        "price": found.price_id,
        "person": found.person_id,
        "obstacle": found.obstacle.value,
        **found.facts,
        "provider_said": found.provider_message,
        "remedy": remedies.get(found.obstacle, ""),
        "since": iso(found.since),
        "tried_at": iso(found.tried_at),
    }
