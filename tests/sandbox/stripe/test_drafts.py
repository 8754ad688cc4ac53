"""Renewals that are drafts for an hour, for three days, or until somebody acts."""

from collections.abc import Iterator
from typing import Any

import pytest
import stripe
from tests.sandbox.stripe.subscribing import DAY, Subscriber, subscriber
from tests.sandbox.stripe.support import Running, running

HOUR = 3600
NO_PLACE = "customer_tax_location_invalid"


@pytest.fixture
def own() -> Iterator[Running]:
    """A sandbox whose settings are the test's own."""
    with running() as made:
        yield made


def keep_drafts(sandbox: Running, seconds: str) -> None:
    answer = sandbox.browser.post(f"{sandbox.url}/control/drafts", data={"seconds": seconds})
    assert (answer.status_code, answer.json()) == (200, {"seconds": seconds})


def newest(buyer: Subscriber, subscription: Any) -> Any:
    return buyer.invoices(subscription)[-1]


@pytest.mark.parametrize("seconds", [0, HOUR, 72 * HOUR])
def test_a_trial_s_end_is_a_draft_while_the_subscription_is_active(own: Running, seconds: int) -> None:
    keep_drafts(own, str(seconds))
    buyer = subscriber(own)
    made = buyer.subscribe(trial_period_days=7)
    buyer.go(7 * DAY + max(seconds - 1, 0))
    if seconds:
        draft = newest(buyer, made)
        assert (draft.status, draft.auto_advance, draft.status_transitions.finalized_at) == ("draft", True, None)
        assert draft.automatically_finalizes_at == draft.next_payment_attempt == draft.created + seconds
        assert buyer.read(made).status == "active"
        assert buyer.read(made).latest_invoice == draft.id
        buyer.go(1)
    paid = newest(buyer, made)
    assert (paid.status, paid.automatically_finalizes_at, paid.next_payment_attempt) == ("paid", None, None)
    assert paid.status_transitions.finalized_at == paid.created + seconds


def test_a_first_invoice_is_no_draft(own: Running) -> None:
    keep_drafts(own, "never")
    buyer = subscriber(own)
    assert newest(buyer, buyer.subscribe()).status == "paid"


def test_a_renewal_that_cannot_be_finalized_stays_a_draft_for_months(own: Running) -> None:
    buyer = subscriber(own)
    made = buyer.subscribe()
    keep_drafts(own, "never")
    buyer.go(28 * DAY + HOUR)
    draft = newest(buyer, made)
    assert (draft.status, draft.automatically_finalizes_at, draft.next_payment_attempt) == ("draft", None, None)
    assert (draft.automatic_tax.enabled, draft.automatic_tax.status) == (True, "requires_location_inputs")
    assert (draft.last_finalization_error.code, draft.last_finalization_error.type) == (
        NO_PLACE,
        "invalid_request_error",
    )
    events_about = [type_ for type_, at in buyer.events_about(made) if at == 28 * DAY + HOUR]
    assert events_about == ["invoice.finalization_failed", "invoice.updated"]
    buyer.go(61 * DAY)
    assert [one.status for one in buyer.invoices(made)] == ["paid", "draft", "draft", "draft"]
    assert buyer.read(made).status == "active"


def test_somebody_finalizes_it_once_the_place_is_known(own: Running) -> None:
    buyer = subscriber(own)
    made = buyer.subscribe()
    keep_drafts(own, "never")
    buyer.go(28 * DAY + HOUR)
    draft, invoices = newest(buyer, made), own.sdk.v1.invoices
    for call in (invoices.finalize_invoice, invoices.pay):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            call(draft.id)
        assert refused.value.code == NO_PLACE
    keep_drafts(own, str(HOUR))
    opened: Any = invoices.finalize_invoice(draft.id)
    assert (opened.status, opened.last_finalization_error, opened.automatic_tax.enabled) == ("open", None, False)
    assert invoices.pay(draft.id).status == "paid"


@pytest.mark.parametrize("seconds", ["", "-1", "1.5", "soon", "99999999", "٣"])
def test_a_draft_s_time_is_a_number_or_never(own: Running, seconds: str) -> None:
    refused = own.browser.post(f"{own.url}/control/drafts", data={"seconds": seconds})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "seconds")


def test_all_settings_are_reported(own: Running) -> None:
    keep_drafts(own, "never")
    assert own.browser.get(f"{own.url}/control/settings").json() == {
        "account": {"charges": "enabled"},
        "debits": {"seconds": ""},
        "drafts": {"seconds": "never"},
        "issuer": {"state": "up"},
        "portal": {"saved": "yes"},
        "tax": {"active": "yes"},
        "unpaid": {"outcome": "canceled"},
    }
