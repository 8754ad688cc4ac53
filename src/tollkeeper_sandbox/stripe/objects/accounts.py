"""The one account that the sandbox's keys belong to (https://docs.stripe.com/api/accounts)."""

from tollkeeper_sandbox.stripe.engine import settings
from tollkeeper_sandbox.stripe.engine.errors import ApiError, invalid
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Params
from tollkeeper_sandbox.stripe.engine.shapes import make
from tollkeeper_sandbox.stripe.engine.work import Work

NAME = "Sandbox Shop"


def account_id(work: Work) -> str:
    return current(work)["id"]  # type: ignore[no-any-return]


def retrieve_current(work: Work, _params: Params, _id: str) -> JSON:
    return current(work)


def retrieve(work: Work, _params: Params, id_: str) -> JSON:
    """Return the caller's own account; there are no connected ones."""
    account = current(work)
    if account["id"] != id_:
        message = f"The provided key does not have access to account '{id_[:40]}' (or that account does not exist)."
        raise ApiError(403, message, code="account_invalid")
    return account


def current(work: Work) -> JSON:
    """Return the account, which is created when first needed, and stored in the ledger."""
    known = work.ledger.page("account", (), {}, 1)
    if known:
        return known[0]
    account = _account(work)
    work.ledger.add(account)
    return account


def tax_is_active(work: Work) -> bool:
    """Return whether Stripe Tax is set up, as in Stripe's dashboard."""
    return settings.of(work.ledger, "tax") == "yes"


def tax_settings(work: Work, _params: Params, _id: str) -> JSON:
    """https://docs.stripe.com/api/tax/settings/retrieve."""
    active = tax_is_active(work)
    details: JSON = {"active": {}} if active else {"pending": {"missing_fields": ["head_office"]}}
    return make(
        "tax.settings",
        defaults={"provider": "stripe", "tax_behavior": "inferred_by_currency"},
        head_office={"address": {"country": "DE"}} if active else None,
        livemode=False,
        status="active" if active else "pending",
        status_details=details,
    )


def charges_are_enabled(work: Work) -> bool:
    """Return whether the account is activated: its owner has given Stripe their details."""
    return settings.of(work.ledger, "account") == "enabled"


def update_charges(work: Work) -> None:
    """Update the account after a change of the settings."""
    enabled = charges_are_enabled(work)
    changes = {"charges_enabled": enabled, "payouts_enabled": enabled, "details_submitted": enabled}
    work.change(current(work), changes)


def check_charges(work: Work) -> None:
    """https://docs.stripe.com/error-codes#testmode-charges-only."""
    if not charges_are_enabled(work):
        raise invalid("Your account cannot currently make live charges.", code="testmode_charges_only")


def _account(work: Work) -> JSON:
    return make(
        "account",
        id=work.new_id("acct", 8),
        business_profile={"name": NAME},
        business_type="company",
        capabilities={"card_payments": "active", "transfers": "active"},
        charges_enabled=True,
        controller={"type": "account"},
        country="DE",
        created=work.now,
        default_currency="usd",
        details_submitted=True,
        email="owner@sandbox.example",
        external_accounts={"object": "list", "data": [], "has_more": False, "url": "/v1/account/external_accounts"},
        future_requirements=_nothing_due(),
        metadata={},
        payouts_enabled=True,
        requirements=_nothing_due(),
        settings={
            "branding": {},
            "card_payments": {"decline_on": {"avs_failure": False, "cvc_failure": False}},
            "dashboard": {"display_name": NAME, "timezone": "Etc/UTC"},
            "payments": {},
            "payouts": {
                "debit_negative_balances": True,
                "schedule": {"delay_days": 7, "interval": "daily"},
            },
        },
        tos_acceptance={},
        type="standard",
    )


def _nothing_due() -> JSON:
    lists = ("alternatives", "currently_due", "errors", "eventually_due", "past_due", "pending_verification")
    return {name: [] for name in lists}
