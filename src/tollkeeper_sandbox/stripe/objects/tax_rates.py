"""The tax rates that automatic tax uses: one on top of a price, one inside it (https://docs.stripe.com/api/tax_rates)."""

from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Params, lister
from tollkeeper_sandbox.stripe.engine.shapes import make
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.known.money import TAX_PERCENT, TAX_RATES

KIND = "tax_rate"


def retrieve(work: Work, _params: Params, id_: str) -> JSON:
    _make(work)
    return work.get(KIND, id_)


def list_rates(work: Work, params: Params, id_: str) -> JSON:
    _make(work)
    return lister(KIND, "/v1/tax_rates")(work, params, id_)


def _make(work: Work) -> None:
    """Create the tax rates, which always exist, when they are first read."""
    for behavior, id_ in TAX_RATES.items():
        if work.ledger.find(id_) is None:
            work.ledger.add(_rate(work, id_, inclusive=behavior == "inclusive"))


def _rate(work: Work, id_: str, *, inclusive: bool) -> JSON:
    return make(
        KIND,
        id=id_,
        active=False,  # as Stripe does for automatic tax
        created=work.now,
        display_name="Sandbox tax",
        effective_percentage=TAX_PERCENT,
        inclusive=inclusive,
        livemode=False,
        metadata={},
        percentage=TAX_PERCENT,
        rate_type="percentage",
    )
