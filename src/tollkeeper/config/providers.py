"""All payment providers. A new one is a folder next to ``providers/stripe``, and a line here."""

from tollkeeper.providers.protocol import ProviderKind
from tollkeeper.providers.stripe.kind import STRIPE

PROVIDERS: tuple[ProviderKind, ...] = (STRIPE,)
