"""Properties that all Stripe accounts share, and advice to operators."""

import re

from tollkeeper.errors import Obstacle
from tollkeeper.providers.protocol import ProviderFacts

FACTS = ProviderFacts(
    title="Stripe",
    # https://docs.stripe.com/payments/checkout/custom-success-page
    checkout_placeholder="{CHECKOUT_SESSION_ID}",
    checkout_id=re.compile(r"cs_[A-Za-z0-9_]{1,252}"),
    # Idempotency keys live for at least 24 hours: https://docs.stripe.com/api/idempotent_requests
    key_lifetime=23 * 3600,
    # https://docs.stripe.com/api/events
    events_kept=30 * 24 * 3600,
    longest_return_url=5000,
    remedies={
        Obstacle.PRICE_ARCHIVED: "Unarchive both at https://dashboard.stripe.com/products, or sell at another price.",
        Obstacle.PRICE_MISSING: "Check that the id belongs to the account and mode of STRIPE_API_KEY.",
        Obstacle.OTHER_CURRENCY: "Sell it in that currency too, or ask them to end the other subscription first.",
        Obstacle.CUSTOMER_REFUSED: "Look the customer up at https://dashboard.stripe.com/customers.",
        Obstacle.ACCOUNT_INACTIVE: "See what Stripe asks for at https://dashboard.stripe.com/account/onboarding.",
        Obstacle.TAX_INACTIVE: (
            "Turn on Stripe Tax (https://dashboard.stripe.com/settings/tax), or set STRIPE_AUTOMATIC_TAX=false."
        ),
        Obstacle.KEY_REFUSED: "Check STRIPE_API_KEY.",
        Obstacle.KEY_LIMITED: (
            "Check STRIPE_API_KEY, and what a restricted key is allowed to do: https://dashboard.stripe.com/apikeys."
        ),
    },
)
