"""PURE. What the operator should know about an account, apart from the steps of the setup."""

from collections.abc import Iterator, Sequence

from tollkeeper.providers.stripe.setup_plan import (
    MARK,
    MOST_PLANS,
    Account,
    Shelf,
    Wanted,
    endpoint_of,
    endpoints_of,
    offer_of,
    plans,
)
from tollkeeper.settings.offers import words


def notices(wanted: Wanted, found: Account, placed: Sequence[Shelf]) -> tuple[str, ...]:
    """Yield all notices, the most important first."""
    return (
        *_of_endpoints(wanted, found),
        *_of_prices(wanted, found, placed),
        *_of_products(wanted, found),
        *_of_plans(found, placed),
    )


def _of_endpoints(wanted: Wanted, found: Account) -> Iterator[str]:
    if wanted.webhook_url is None:
        yield (
            "Stripe cannot reach PUBLIC_URL on this machine, so there is no webhook endpoint. Leave out"
            " STRIPE_WEBHOOK_SECRET: Stripe's list of events is read every 30 seconds, and does the same work."
        )
        return
    there, same_address, where = endpoint_of(wanted, found), endpoints_of(wanted, found), f"{wanted.dashboard}/webhooks"
    if there is None:
        return
    if wanted.new_endpoint:
        old = ", ".join(one["id"] for one in same_address)
        yield f"Once the new secret is set and the server runs with it, delete the older endpoint at {where}: {old}"
        return
    if not wanted.secret_known:
        yield (
            "STRIPE_WEBHOOK_SECRET is not set, and Stripe's API shows it only when the endpoint is created. Look it up"
            f" at {where}/{there['id']}, or create another endpoint with --new-endpoint and then delete this one."
        )
    if there["api_version"] != wanted.api_version:
        yield (
            f"Webhook endpoint {there['id']} sends events of API version {there['api_version'] or 'the account'}, not"
            f" {wanted.api_version}, and that cannot be changed. Create another one with --new-endpoint, set its"
            f" secret, then delete this one at {where}."
        )
    others = ", ".join(one["id"] for one in same_address if one["id"] != there["id"])
    if others:
        yield f"There are more webhook endpoints with the same address, which could be deleted at {where}: {others}"


def _of_prices(wanted: Wanted, found: Account, placed: Sequence[Shelf]) -> Iterator[str]:
    by_id = {price["id"]: price for price in found.prices}
    for shelf in placed:
        for price in shelf.product.prices["stripe"]:
            if price not in by_id:
                yield (
                    f"{price} of {shelf.product.key} is not in this account and mode. It stays in the settings; remove"
                    " it if it is a mistake, or belongs to test mode while this is live."
                )
        for price in shelf.kept:
            if price in by_id and by_id[price]["active"]:
                offer = offer_of(by_id[price])
                described = words(offer) if offer else "no plain amount"
                yield (
                    f"{price} ({described}) of {shelf.product.key} is no longer on sale, but still gives access to"
                    f" everybody who has it. You can archive it at {wanted.dashboard}/prices/{price}. Nobody loses"
                    " access by that."
                )


def _of_products(wanted: Wanted, found: Account) -> Iterator[str]:
    keys = {product.key for product in wanted.products}
    for one in found.products:
        key = one["metadata"].get(MARK)
        if key and key not in keys and one["active"]:
            yield (
                f"Stripe product {one['id']} was created for {key}, which is not in tollkeeper.toml. People who have it"
                " cannot use it while it is missing there. If it is no longer sold, you can archive the Stripe product."
            )


def _of_plans(found: Account, placed: Sequence[Shelf]) -> Iterator[str]:
    offered = plans(placed, found)
    if len(offered) > MOST_PLANS:
        yield f"In the billing portal customers can change to the first {MOST_PLANS} products: Stripe allows no more."
    changeable = {price for plan in offered for price in plan["prices"]}
    for shelf in placed:
        for offer, price in shelf.on_sale:
            if offer and offer.interval and price not in changeable:
                yield (
                    f"In the billing portal nobody can change to {words(offer)} of {shelf.product.key}: Stripe allows"
                    " one price of a product for each period and currency, and an earlier offer has it."
                )
