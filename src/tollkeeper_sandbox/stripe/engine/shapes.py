"""Objects with every field that the SDK's classes declare, which are generated from Stripe's specification."""

from functools import cache
from importlib import import_module
from typing import Any, ForwardRef, get_args, get_origin

from tollkeeper_sandbox.stripe.engine.ledger import JSON

CLASSES = {
    "account": ("stripe", "Account"),
    "billing_portal.configuration": ("stripe.billing_portal", "Configuration"),
    "billing_portal.session": ("stripe.billing_portal", "Session"),
    "charge": ("stripe", "Charge"),
    "checkout.session": ("stripe.checkout", "Session"),
    "coupon": ("stripe", "Coupon"),
    "customer": ("stripe", "Customer"),
    "discount": ("stripe", "Discount"),
    "dispute": ("stripe", "Dispute"),
    "event": ("stripe", "Event"),
    "invoice": ("stripe", "Invoice"),
    "invoice_payment": ("stripe", "InvoicePayment"),
    "item": ("stripe", "LineItem"),
    "line_item": ("stripe", "InvoiceLineItem"),
    "payment_intent": ("stripe", "PaymentIntent"),
    "payment_link": ("stripe", "PaymentLink"),
    "payment_method": ("stripe", "PaymentMethod"),
    "plan": ("stripe", "Plan"),
    "price": ("stripe", "Price"),
    "product": ("stripe", "Product"),
    "promotion_code": ("stripe", "PromotionCode"),
    "refund": ("stripe", "Refund"),
    "setup_intent": ("stripe", "SetupIntent"),
    "subscription": ("stripe", "Subscription"),
    "subscription_item": ("stripe", "SubscriptionItem"),
    "tax.settings": ("stripe.tax", "Settings"),
    "tax_rate": ("stripe", "TaxRate"),
    "test_helpers.test_clock": ("stripe.test_helpers", "TestClock"),
    "webhook_endpoint": ("stripe", "WebhookEndpoint"),
}

# Fields that Stripe returns only when they are expanded, or only in the response that the comment names.
ONLY_SOMETIMES = {
    "Account": {"deleted", "company", "individual", "groups"},  # the last three: connected accounts
    "Charge": {"refunds", "level3", "source"},
    "Coupon": {"applies_to", "currency_options", "deleted"},
    "Customer": {
        "cash_balance",
        "deleted",
        "invoice_credit_balance",
        "sources",
        "subscriptions",
        "tax",
        "tax_ids",
    },
    "Discount": {"deleted"},
    "Event": {"account", "context"},  # events of connected accounts
    "Event.Data": {"previous_attributes"},  # *.updated
    "Invoice": {"amount_paid_off_stripe", "confirmation_secret", "deleted", "payments"},
    "LineItem": {"discounts", "taxes"},
    "PaymentIntent.AmountDetails": {"error", "line_items"},
    "PaymentLink": {"line_items"},
    "Plan": {"deleted", "tiers"},
    "Price": {"currency_options", "deleted", "tiers"},
    "Product": {"deleted"},
    "PromotionCode.Restrictions": {"currency_options"},
    "Session": {"line_items"},
    "Session.TotalDetails": {"breakdown"},
    "SubscriptionItem": {"billed_until", "current_trial", "deleted"},
    "TestClock": {"deleted"},
    "WebhookEndpoint": {"deleted", "secret"},  # the secret: once, in the response that creates it
}

# Classes that list every payment method or capability; Stripe returns the entries that apply.
ONLY_WHAT_APPLIES = {
    "Account.Capabilities",
    "Charge.PaymentMethodDetails",
    "Dispute.Evidence.EnhancedEvidence",
    "Dispute.EvidenceDetails.EnhancedEligibility",
    "Dispute.PaymentMethodDetails",
    "Invoice.LastFinalizationError",
    "PaymentIntent.LastPaymentError",
    "PaymentIntent.NextAction",
    "PaymentIntent.PaymentMethodOptions",
    "PaymentMethod",
    "Refund.DestinationDetails",
    "Session.PaymentMethodOptions",
    "Settings.StatusDetails",
}


def make(kind: str, **values: Any) -> JSON:
    """Create an object of this kind from the given values, with null for its other permanent fields."""
    return complete(class_of(kind), {"object": kind, **values})


def part(kind: str, name: str, value: JSON) -> JSON:
    """Create the value of a field that contains an object, with all its permanent fields."""
    return complete(inner_classes(class_of(kind))[name], value)


def complete(of: type, values: JSON) -> JSON:
    """Add the missing fields, also in nested objects. Raises ``KeyError`` for an undeclared field."""
    fields = declared(of)
    if undeclared := values.keys() - fields.keys():
        raise KeyError(f"{of.__qualname__} has no {', '.join(sorted(undeclared))}")
    return {**nulls(of), **{name: _filled(fields[name], value) for name, value in values.items()}}


@cache
def class_of(kind: str) -> type:
    module, name = CLASSES[kind]
    found: type = getattr(import_module(module), name)
    return found


@cache
def declared(of: type) -> dict[str, type | None]:
    """Return the fields, each with its class if it contains objects without an id of their own."""
    inner = inner_classes(of)
    return {name: inner.get(name) for name in of.__annotations__ if name != "OBJECT_NAME"}


@cache
def nulls(of: type) -> dict[str, None]:
    """Return the fields that an object always has."""
    if of.__qualname__ in ONLY_WHAT_APPLIES:
        return {}
    only_sometimes = ONLY_SOMETIMES.get(of.__qualname__, set())
    return {name: None for name in declared(of) if name not in only_sometimes}


def inner_classes(of: type) -> dict[str, type]:
    found: dict[str, type] = getattr(of, "_inner_class_types", {})
    return found


@cache
def expandable(of: type) -> frozenset[str]:
    """Return the fields that contain an id, or the object if it is expanded, as the SDK declares them."""
    return frozenset(name for name in declared(of) if _is_id_or_object(of.__annotations__[name]))


def _is_id_or_object(annotation: object) -> bool:
    members = get_args(annotation)
    if any(get_origin(one) is list for one in (annotation, *members)):
        return any(_is_id_or_object(inner) for one in (annotation, *members) for inner in get_args(one))
    return str in members and any(isinstance(one, ForwardRef) for one in members)


def _filled(of: type | None, value: Any) -> Any:
    if of is None or value is None:
        return value
    if isinstance(value, list):
        return [complete(of, one) for one in value]
    return complete(of, value)
