"""An invoice's lines: what each is for, its discount, and its tax.

https://docs.stripe.com/api/invoice-line-item, https://docs.stripe.com/billing/subscriptions/prorations
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.periods import spoken
from tollkeeper_sandbox.stripe.engine.shapes import make
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.known.money import TAX_RATES, formatted, tax_on
from tollkeeper_sandbox.stripe.objects import discounts


def of_item(work: Work, subscription: JSON, item: JSON, period: tuple[int, int], *, trial: bool = False) -> JSON:
    """Return the line for a subscription item in this period; free during a trial."""
    price, quantity = item["price"], item["quantity"]
    name = _name(work, price)
    each = f"{formatted(price['unit_amount'], price['currency'])} {spoken(price['recurring'])}"
    words = f"Trial period for {name}" if trial else f"{quantity} × {name} (at {each})"
    amount = 0 if trial else price["unit_amount"] * quantity
    return _line(work, subscription, price, quantity, amount, words, period, item["id"])


def of_price(work: Work, subscription: JSON, price: JSON, quantity: int) -> JSON:
    """Return the line for a one-time purchase together with the subscription."""
    amount = price["unit_amount"] * quantity
    return _line(work, subscription, price, quantity, amount, _name(work, price), (work.now, work.now))


def unused(work: Work, subscription: JSON, item: JSON) -> JSON:
    """Return the credit for the rest of an item's period."""
    return _proration(work, subscription, item, "Unused", -1)


def remaining(work: Work, subscription: JSON, item: JSON) -> JSON:
    """Return the charge for the rest of an item's period."""
    return _proration(work, subscription, item, "Remaining", 1)


def _proration(work: Work, subscription: JSON, item: JSON, which: str, sign: int) -> JSON:
    start, end = item["current_period_start"], item["current_period_end"]
    whole = Decimal(item["price"]["unit_amount"] * item["quantity"])
    share = (whole * (end - work.now) / (end - start)).quantize(Decimal(1), ROUND_HALF_UP)
    day = datetime.fromtimestamp(work.now, UTC)
    words = f"{which} time on {_name(work, item['price'])} after {day.day} {day:%b %Y}"
    period = (work.now, end)
    price, quantity = item["price"], item["quantity"]
    return _line(work, subscription, price, quantity, sign * int(share), words, period, item["id"], proration=True)


def _name(work: Work, price: JSON) -> str:
    return str(work.get("product", price["product"]).get("name", price["product"]))


def _line(
    work: Work,
    subscription: JSON,
    price: JSON,
    quantity: int,
    amount: int,
    words: str,
    period: tuple[int, int],
    item: str | None = None,
    *,
    proration: bool = False,
) -> JSON:
    details = {"proration": proration, "subscription": subscription["id"]}
    return make(
        "line_item",
        id=work.new_id("il"),
        amount=amount,
        currency=price["currency"],
        description=words,
        discount_amounts=[],
        discountable=True,
        discounts=[],
        livemode=False,
        metadata=subscription["metadata"] if item else {},
        parent={
            "type": "subscription_item_details" if item else "invoice_item_details",
            "subscription_item_details": {**details, "subscription_item": item} if item else None,
            "invoice_item_details": None if item else {**details, "invoice_item": work.new_id("ii")},
        },
        period={"start": period[0], "end": period[1]},
        pretax_credit_amounts=[],
        pricing={
            "type": "price_details",
            "price_details": {"price": price["id"], "product": price["product"]},
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        quantity=quantity,
        quantity_decimal=str(quantity),
        subscription=subscription["id"],
        subtotal=amount,
        taxes=[],
    )


def priced(work: Work, lines: Sequence[JSON], discount: tuple[str, JSON] | None, *, taxed: bool) -> JSON:
    """Return the invoice's totals and lines, with the ``discount`` (its id and its coupon) and the tax applied."""
    amounts = [line["amount"] for line in lines]
    off = discounts.shares(discount[1], amounts) if discount and _takes_off(discount[1], sum(amounts)) else []
    charged = [
        _charged(work, line, discount[0] if discount else "", less, taxed=taxed)
        for line, less in zip(lines, off or [0] * len(lines), strict=True)
    ]
    taxes = [(tax, line) for line in charged for tax in line["taxes"]]
    exclusive = sum(tax["amount"] for tax, _ in taxes if tax["tax_behavior"] == "exclusive")
    inclusive = sum(tax["amount"] for tax, _ in taxes) - exclusive
    subtotal, total = sum(amounts), sum(amounts) - sum(off)
    return {
        "lines": charged,
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal - inclusive,
        "total": total + exclusive,
        "total_excluding_tax": total - inclusive,
        "total_discount_amounts": [{"amount": sum(off), "discount": discount[0]}] if discount and off else [],
        "total_taxes": _total_taxes([tax for tax, _ in taxes]),
    }


def _takes_off(coupon: JSON, subtotal: int) -> bool:
    return subtotal > 0 or (subtotal < 0 and coupon["percent_off"] is not None)


def _charged(work: Work, line: JSON, discount: str, less: int, *, taxed: bool) -> JSON:
    given = [{"amount": less, "discount": discount}] if less else []
    line = {**line, "discount_amounts": given, "discounts": [discount] if less else []}
    if not taxed:
        return line
    price = work.get("price", line["pricing"]["price_details"]["price"])
    inclusive, left = price["tax_behavior"] == "inclusive", line["amount"] - less
    tax = tax_on(left, inclusive=inclusive)
    taxable = left - tax if inclusive else left
    return {**line, "taxes": [_tax(tax, taxable, "inclusive" if inclusive else "exclusive")]}


def _tax(amount: int, taxable: int, behavior: str) -> JSON:
    return {
        "amount": amount,
        "tax_behavior": behavior,
        "tax_rate_details": {"tax_rate": TAX_RATES[behavior]},
        "taxability_reason": "standard_rated",
        "taxable_amount": taxable,
        "type": "tax_rate_details",
    }


def _total_taxes(taxes: list[JSON]) -> list[JSON]:
    """Return one total for each tax behavior."""
    totals = []
    for behavior in ("exclusive", "inclusive"):
        same = [one for one in taxes if one["tax_behavior"] == behavior]
        if same:
            sums = [sum(one[name] for one in same) for name in ("amount", "taxable_amount")]
            totals.append(_tax(sums[0], sums[1], behavior))
    return totals
