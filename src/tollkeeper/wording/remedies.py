"""What an operator can do about it."""

from tollkeeper.model.access import Verdict
from tollkeeper.reasons import Code, Reason
from tollkeeper.storage.findings import Noted

UNKNOWN_PRICE_REMEDY = "Add the price to a product of the catalog, or change the subscription at the provider."


REMEDIES = {
    Code.UNKNOWN_PRICE: UNKNOWN_PRICE_REMEDY,
    Code.OTHER_PRICES: UNKNOWN_PRICE_REMEDY,
    Code.WRITTEN: UNKNOWN_PRICE_REMEDY,  # all remarks from before there were codes
    Code.NOT_FINALIZED: "Fix the problem at the provider, then have the invoice finalized there.",
    Code.PAID_AFTER_END: "Refund it at the provider, or: tollkeeper grant {person} {product} --until DATE --note WHY",
    Code.SUBSCRIPTION_DISPUTED: "To end the subscription: tollkeeper end {source} --note WHY",
}


KINDS = {
    Code.UNKNOWN_PRICE: "unknown price",
    Code.OTHER_PRICES: "unknown price",
    Code.WRITTEN: "unknown price",
    Code.NOT_FINALIZED: "not finalized",
    Code.PAID_AFTER_END: "paid after the end",
    Code.SUBSCRIPTION_DISPUTED: "disputed",
}


def remedy(reason: Reason, *, person: str, product: str, source: str) -> str:
    """What an operator can do about a remark."""
    return REMEDIES[reason.code].format(person=person, product=product, source=source)


def undo_or_give(one: Noted, person: str, product: str | None, likely: str) -> str:
    """What an operator can do about money that gave no access: adopt it; or, if it is not what was
    ordered, grant something for it. ``likely`` is the product to suggest if none is known.
    """
    if one.verdict is Verdict.UNCLAIMED:
        which = "" if product else f" --product {likely}"
        command = f"tollkeeper adopt {person} {one.payment}{which} --note WHY"
    else:
        command = f"tollkeeper grant {person} {product or likely} --payment {one.payment} --note WHY"
    return f"{undo(one.recurring)} at the provider, or: {command}"


def undo(recurring: bool) -> str:
    """What an operator can do about money that should be refunded."""
    return "End and refund it" if recurring else "Refund it"
