"""Pebble's entry in a list of providers."""

from collections.abc import Awaitable, Callable

from tests.providers.pebble.adapter import PebbleProvider
from tests.providers.pebble.calls import Calls
from tests.providers.pebble.settings import FACTS, SETTINGS, PebbleSettings, check_offer, faults, is_live, read

from tollkeeper.errors import ProviderRefused, ProviderUnavailable
from tollkeeper.model.checks import Examination, kind_table
from tollkeeper.model.selling import Offer, Product
from tollkeeper.providers.protocol import Asked, PaymentProvider, ProviderKind, SetUp, SetUpStep
from tollkeeper.settings.offers import words
from tollkeeper.settings.parsers import matching


def open_account(settings: PebbleSettings, asked: Asked) -> PaymentProvider:
    return PebbleProvider(settings, asked=asked)


async def set_up(
    settings: PebbleSettings, base_url: str, products: tuple[Product, ...], *, dry_run: bool, new_endpoint: bool
) -> SetUp:
    """See ``SetUpAccount``. Pebble finds a plan by our name for it."""
    ask = Calls(settings)
    try:
        shop = (await ask("shop"))["shop"]
        work = _Work(ask, dry_run, {one["label"]: one["id"] for one in (await ask("plans"))["plans"]})
        listed = (await ask("endpoints"))["endpoints"]
        trouble = None
        try:
            for product in products:
                for offer in product.offers:
                    await work.make_plan(product, offer)
            url = f"{base_url}/webhooks/pebble"
            if new_endpoint or url not in listed:
                await work.make_endpoint(url)
        except (ProviderRefused, ProviderUnavailable) as error:
            trouble = str(error)
    finally:
        await ask.close()
    prices = {one.key: _to_set(one, work.plans) for one in products if one.offers and _is_there(one, work.plans)}
    return SetUp(shop, settings.live, tuple(work.steps), (), prices, work.secret, trouble)


async def examine(
    settings: PebbleSettings,
    base_url: str,
    products: tuple[Product, ...],
    clock: Callable[[], int],
    *,
    reached: Callable[[], Awaitable[bool]] | None,
) -> Examination:
    """See ``ExamineAccount``. Pebble says whose key it is, and which plans there are."""
    ask = Calls(settings)
    try:
        shop, known = (await ask("shop"))["shop"], {one["id"] for one in (await ask("plans"))["plans"]}
    except (ProviderRefused, ProviderUnavailable) as error:
        return Examination((KINDS["shop_refused"].of("PEBBLE_KEY", trouble=error),))
    finally:
        await ask.close()
    plans = [plan for product in products for plan in product.prices[PEBBLE.name]]
    missing = [KINDS["plan_missing"].of("plan", plan=plan) for plan in plans if plan not in known]
    return Examination((KINDS["shop_ok"].of("PEBBLE_KEY", shop=shop), *missing))


KINDS = kind_table(
    ok={"shop_ok": "Shop {shop}."},
    warnings={},
    faults={
        "shop_refused": ("{trouble}", "Copy PEBBLE_KEY again."),
        "plan_missing": ("There is no plan {plan}.", "Run `tollkeeper setup pebble`."),
    },
)


class _Work:
    """The steps, one after the other; a dry run only reports them."""

    def __init__(self, ask: Calls, dry_run: bool, plans: dict[str, str]) -> None:
        self._ask = ask
        self._dry_run = dry_run
        self.plans = plans
        self.steps: list[SetUpStep] = []
        self.secret: str | None = None

    async def make_plan(self, product: Product, offer: Offer) -> None:
        label = _label(product, offer)
        if label in self.plans:
            return
        made = None
        if not self._dry_run:
            what = {"title": product.name, "minor": offer.amount, "money": offer.currency, "every": offer.interval}
            made = self.plans[label] = (await self._ask("add_plan", label=label, **what))["id"]
        self.steps.append(SetUpStep("make", "plan", f"Plan {label}", made))

    async def make_endpoint(self, url: str) -> None:
        if not self._dry_run:
            self.secret = (await self._ask("send_news_to", url=url))["secret"]
        self.steps.append(SetUpStep("make", "endpoint", f"News are sent to {url}", None if self._dry_run else url))


def _label(product: Product, offer: Offer) -> str:
    return f"{product.key}: {words(offer)}"


def _is_there(product: Product, plans: dict[str, str]) -> bool:
    return all(_label(product, offer) in plans for offer in product.offers)


def _to_set(product: Product, plans: dict[str, str]) -> dict[str, tuple[str, ...]]:
    first, *others = (plans[_label(product, offer)] for offer in product.offers)
    listed = (first, *(one for one in product.prices[PEBBLE.name] if one not in {first, *others}))
    return {"pebble": listed} | ({"pebble_also": tuple(others)} if others else {})


PEBBLE = ProviderKind(
    name="pebble",
    facts=FACTS,
    settings=SETTINGS,
    key="PEBBLE_KEY",
    is_live=is_live,
    webhook_secret="PEBBLE_SECRET",
    price_id=matching(r"plan-[0-9a-f]{16}", "is not the id of a plan, which starts with plan-"),
    price_example="plan-...",
    read=read,
    faults=faults,
    check_offer=check_offer,
    open=open_account,
    set_up=set_up,
    examine=examine,
)
