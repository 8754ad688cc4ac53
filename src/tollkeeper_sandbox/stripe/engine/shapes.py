"""Objects with every field that the SDK's classes declare: they are made from Stripe's own specification."""

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
    "tax_rate": ("stripe", "TaxRate"),
    "test_helpers.test_clock": ("stripe.test_helpers", "TestClock"),
    "webhook_endpoint": ("stripe", "WebhookEndpoint"),
}

# Fields that Stripe returns only when they are expanded, or only in the answer named beside them.
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
    "WebhookEndpoint": {"deleted", "secret"},  # the secret: once, in the answer to its creation
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
}


def make(kind: str, **values: Any) -> JSON:
    """The object of this kind: the given values, and null for the other fields that it always has."""
    return complete(class_of(kind), {"object": kind, **values})


def part(kind: str, name: str, value: JSON) -> JSON:
    """A new value for a field that holds an object, with every field that it always has."""
    return complete(inner_classes(class_of(kind))[name], value)


def complete(of: type, values: JSON) -> JSON:
    """Add the fields that are missing, here and in nested objects. An undeclared field is a KeyError."""
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
    """The fields, each with its class if it holds objects without an id of their own."""
    inner = inner_classes(of)
    return {name: inner.get(name) for name in of.__annotations__ if name != "OBJECT_NAME"}


@cache
def nulls(of: type) -> dict[str, None]:
    """The fields that an object always has."""
    if of.__qualname__ in ONLY_WHAT_APPLIES:
        return {}
    only_sometimes = ONLY_SOMETIMES.get(of.__qualname__, set())
    return {name: None for name in declared(of) if name not in only_sometimes}


def inner_classes(of: type) -> dict[str, type]:
    found: dict[str, type] = getattr(of, "_inner_class_types", {})
    return found


@cache
def expandable(of: type) -> frozenset[str]:
    """The fields that hold ids, or on demand the objects: the SDK declares them as one or the other."""
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
