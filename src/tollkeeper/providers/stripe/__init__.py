"""Stripe, through its official SDK (API version 2026-10-28.endive)."""

from tollkeeper.providers.stripe.account import PATIENCE as PATIENCE
from tollkeeper.providers.stripe.account import StripeProvider as StripeProvider
from tollkeeper.providers.stripe.events import EVENTS_THAT_MATTER as EVENTS_THAT_MATTER
