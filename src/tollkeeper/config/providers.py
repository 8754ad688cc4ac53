"""The payment providers that there are. A new one is a folder beside ``providers/stripe``, and a line here."""

from tollkeeper.providers.protocol import ProviderKind
from tollkeeper.providers.stripe.kind import STRIPE

PROVIDERS: tuple[ProviderKind, ...] = (STRIPE,)
