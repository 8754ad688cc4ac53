"""The settings of Stripe in a configuration that sells through it."""

from tollkeeper.config.config import Config
from tollkeeper.providers.stripe.settings import StripeSettings


def stripe_of(config: Config) -> StripeSettings:
    (configured,) = config.providers
    assert isinstance(configured.settings, StripeSettings)
    return configured.settings
