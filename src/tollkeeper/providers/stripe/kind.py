"""Stripe's entry in the list of providers."""

from collections.abc import Awaitable, Callable

from tollkeeper.model.checks import Examination
from tollkeeper.model.selling import Product
from tollkeeper.providers.protocol import Asked, PaymentProvider, ProviderKind, SetUp
from tollkeeper.providers.stripe.facts import FACTS
from tollkeeper.providers.stripe.settings import SETTINGS, StripeSettings, check_offer, faults, is_live, read
from tollkeeper.settings.parsers import matching


def open_account(settings: StripeSettings, asked: Asked) -> PaymentProvider:
    """See ``ProviderKind``. The client is slow to import, so commands that do not need it do not import it."""
    from tollkeeper.providers.stripe.account import StripeProvider

    return StripeProvider(settings, asked=asked)


async def set_up(
    settings: StripeSettings, base_url: str, products: tuple[Product, ...], *, dry_run: bool, new_endpoint: bool
) -> SetUp:
    """See ``SetUpAccount``."""
    from tollkeeper.providers.stripe.setup import set_up

    webhooks = f"{base_url}/webhooks/{STRIPE.name}"
    return await set_up(settings, webhooks, products, dry_run=dry_run, new_endpoint=new_endpoint)


async def examine(
    settings: StripeSettings,
    base_url: str,
    products: tuple[Product, ...],
    clock: Callable[[], int],
    *,
    reached: Callable[[], Awaitable[bool]] | None,
) -> Examination:
    """See ``ExamineAccount``."""
    from tollkeeper.providers.stripe.examination import examine

    return await examine(settings, base_url, products, clock, reached=reached)


STRIPE = ProviderKind(
    name="stripe",
    facts=FACTS,
    settings=SETTINGS,
    key="STRIPE_API_KEY",
    is_live=is_live,
    webhook_secret="STRIPE_WEBHOOK_SECRET",  # noqa: S106 - the name of a setting
    price_id=matching(r"price_[A-Za-z0-9_]+", "is not a price id, which starts with price_"),
    price_example="price_...",
    read=read,
    faults=faults,
    check_offer=check_offer,
    open=open_account,
    set_up=set_up,
    examine=examine,
)
