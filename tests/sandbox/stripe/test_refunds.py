"""Refunds, through the API, the control page and the clock."""

from typing import Any

import pytest
import stripe
from tests.sandbox.stripe.support import Receiver, Running, paid, running

from tollkeeper_sandbox.stripe.known.money import minor_units

PENDING, FAILING = "4000 0000 0000 7726", "4000 0000 0000 5126"
HTML = {"Accept": "text/html"}


def charge_of(sandbox: Running, payment: Any) -> Any:
    return sandbox.get(f"/v1/charges/{payment.latest_charge.id}?expand[]=refunds").json()


def refund(sandbox: Running, **params: Any) -> stripe.Refund:
    return sandbox.sdk.v1.refunds.create(params)  # type: ignore[arg-type]


def test_a_full_refund(stripe_sandbox: Running) -> None:
    payment = paid(stripe_sandbox)
    made = refund(stripe_sandbox, payment_intent=payment.id, reason="duplicate", metadata={"a": "b"})
    assert (made.amount, made.currency, made.status, made.reason) == (2000, "usd", "succeeded", "duplicate")
    assert (made.charge, made.payment_intent) == (payment.latest_charge.id, payment.id)
    charge = charge_of(stripe_sandbox, payment)
    assert (charge["amount_refunded"], charge["refunded"], charge["status"]) == (2000, True, "succeeded")
    assert [one["id"] for one in charge["refunds"]["data"]] == [made.id]
    assert stripe_sandbox.sdk.v1.payment_intents.retrieve(payment.id).status == "succeeded"
    assert stripe_sandbox.events_about(made.id) == ["refund.created"]
    assert stripe_sandbox.events_about(payment.latest_charge.id) == ["charge.succeeded", "charge.refunded"]


def test_several_refunds_in_part(stripe_sandbox: Running) -> None:
    payment = paid(stripe_sandbox)
    charge_id = payment.latest_charge.id
    first = refund(stripe_sandbox, charge=charge_id, amount=500)
    charge = charge_of(stripe_sandbox, payment)
    assert (charge["amount_refunded"], charge["refunded"]) == (500, False)
    second = refund(stripe_sandbox, charge=charge_id)
    assert second.amount == 1500
    assert charge_of(stripe_sandbox, payment)["refunded"] is True
    listed = stripe_sandbox.sdk.v1.refunds.list({"payment_intent": payment.id}).data
    of_charge = stripe_sandbox.get(f"/v1/charges/{charge_id}/refunds").json()
    assert [one.id for one in listed] == [one["id"] for one in of_charge["data"]] == [second.id, first.id]
    assert stripe_sandbox.sdk.v1.refunds.retrieve(first.id).amount == 500


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, ("parameter_missing", None, "One of the following params should be provided")),
        ({"charge": "ch_x"}, ("resource_missing", "charge", "No such charge: 'ch_x'")),
        ({"payment_intent": "pi_x"}, ("resource_missing", "payment_intent", "No such payment_intent: 'pi_x'")),
        ({"charge": "{charge}", "payment_intent": "pi_x"}, (None, "charge", "only specify one")),
        ({"charge": "{charge}", "amount": 0}, ("parameter_invalid_integer", "amount", "greater than or equal to 1")),
        ({"charge": "{charge}", "amount": -5}, ("parameter_invalid_integer", "amount", "greater than or equal to 1")),
        (
            {"charge": "{charge}", "amount": 2001},
            (None, "amount", "Refund amount ($20.01) is greater than charge amount ($20.00)"),
        ),
        ({"charge": "{charge}", "reason": "mood"}, (None, "reason", "Invalid reason: must be one of")),
        ({"charge": "{charge}", "reverse_transfer": True}, ("sandbox_unsupported_parameter", "reverse_transfer", "")),
        ({"payment_intent": "{declined}"}, (None, "payment_intent", "does not have a successful charge to refund")),
        ({"payment_intent": "{untried}"}, (None, "payment_intent", "does not have a successful charge to refund")),
        ({"charge": "{failed}"}, (None, "charge", "was not successful")),
    ],
)
def test_refunds_that_cannot_be(stripe_sandbox: Running, params: Any, expected: Any) -> None:
    session, asking = stripe_sandbox.checkout(), stripe_sandbox.checkout()
    stripe_sandbox.pay(session, "4000 0000 0000 0002")
    stripe_sandbox.pay(asking, "4000 0025 0000 3155")
    declined: Any = stripe_sandbox.read(session, "payment_intent").payment_intent
    payment = paid(stripe_sandbox)
    made = {
        "{charge}": payment.latest_charge.id,
        "{declined}": declined.id,
        "{failed}": declined.latest_charge,
        "{untried}": stripe_sandbox.read(asking).payment_intent,
    }
    with pytest.raises(stripe.InvalidRequestError) as refused:
        refund(stripe_sandbox, **{name: made.get(value, value) for name, value in params.items()})
    code, param, message = expected
    assert (refused.value.code, refused.value.param) == (code, param)
    assert message in str(refused.value)
    assert charge_of(stripe_sandbox, payment)["amount_refunded"] == 0
    assert stripe_sandbox.sdk.v1.refunds.list({"charge": payment.latest_charge.id}).data == []


def test_nothing_is_refunded_twice(stripe_sandbox: Running) -> None:
    payment = paid(stripe_sandbox)
    refund(stripe_sandbox, payment_intent=payment.id, amount=1500)
    with pytest.raises(stripe.InvalidRequestError, match=r"greater than unrefunded amount on charge \(\$5\.00\)"):
        refund(stripe_sandbox, payment_intent=payment.id, amount=501)
    refund(stripe_sandbox, payment_intent=payment.id, amount=500)
    with pytest.raises(stripe.InvalidRequestError, match="has already been refunded") as refused:
        refund(stripe_sandbox, payment_intent=payment.id)
    assert refused.value.code == "charge_already_refunded"


def test_the_same_key_refunds_once(stripe_sandbox: Running) -> None:
    payment = paid(stripe_sandbox)
    made = [
        stripe_sandbox.sdk.v1.refunds.create(
            {"payment_intent": payment.id, "amount": 500}, {"idempotency_key": f"refund-{payment.id}"}
        )
        for _ in range(2)
    ]
    assert made[0].id == made[1].id
    assert charge_of(stripe_sandbox, payment)["amount_refunded"] == 500


def test_a_refund_s_metadata_is_updated(stripe_sandbox: Running) -> None:
    made = refund(stripe_sandbox, payment_intent=paid(stripe_sandbox).id, metadata={"a": "1"})
    changed = stripe_sandbox.sdk.v1.refunds.update(made.id, {"metadata": {"a": "", "b": "2"}})
    assert changed.metadata
    assert changed.metadata.to_dict() == {"b": "2"}
    assert stripe_sandbox.events_about(made.id) == ["refund.created", "refund.updated", "charge.refund.updated"]


def test_a_pending_refund_succeeds_after_a_while(stripe_sandbox: Running) -> None:
    payment = paid(stripe_sandbox, PENDING)
    made = refund(stripe_sandbox, payment_intent=payment.id)
    assert (made.status, made.pending_reason) == ("pending", "processing")
    assert charge_of(stripe_sandbox, payment)["refunded"] is True
    stripe_sandbox.clock.ahead += 181
    settled = stripe_sandbox.sdk.v1.refunds.retrieve(made.id)
    assert (settled.status, settled.pending_reason) == ("succeeded", None)
    assert stripe_sandbox.events_about(made.id) == ["refund.created", "refund.updated", "charge.refund.updated"]


def test_a_refund_that_fails_is_given_back_to_the_charge(stripe_sandbox: Running) -> None:
    payment = paid(stripe_sandbox, FAILING)
    kept = refund(stripe_sandbox, payment_intent=payment.id, amount=1500)
    failing = refund(stripe_sandbox, payment_intent=payment.id)
    assert (kept.status, failing.status) == ("succeeded", "succeeded")
    stripe_sandbox.browser.post(f"{stripe_sandbox.url}/control/refunds/{failing.id}/fail")
    failed = stripe_sandbox.sdk.v1.refunds.retrieve(failing.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    charge = charge_of(stripe_sandbox, payment)
    assert (charge["amount_refunded"], charge["refunded"]) == (1500, False)
    assert stripe_sandbox.events_about(failing.id) == [
        "refund.created",
        "refund.failed",
        "refund.updated",
        "charge.refund.updated",
    ]
    stripe_sandbox.clock.ahead += 181
    assert charge_of(stripe_sandbox, payment)["amount_refunded"] == 0
    assert len(stripe_sandbox.events_about(failing.id)) == 4
    assert refund(stripe_sandbox, payment_intent=payment.id).amount == 2000


def test_any_refund_fails_when_told_and_only_once(stripe_sandbox: Running) -> None:
    payment = paid(stripe_sandbox)
    made = refund(stripe_sandbox, payment_intent=payment.id)
    fail = f"{stripe_sandbox.url}/control/refunds/{made.id}"
    assert stripe_sandbox.browser.post(f"{fail}/fail").json()["status"] == "failed"
    for again in ("fail", "succeed"):
        assert stripe_sandbox.browser.post(f"{fail}/{again}").json()["status"] == "failed"
    assert charge_of(stripe_sandbox, payment)["amount_refunded"] == 0


def test_the_control_page_refunds(stripe_sandbox: Running) -> None:
    payment = paid(stripe_sandbox)
    where = f"{stripe_sandbox.url}/control/payments/{payment.id}/refund"
    answer = stripe_sandbox.browser.post(where, data={"amount": "5,5"}, headers=HTML)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/control/objects/{payment.id}")
    page = stripe_sandbox.browser.get(f"{stripe_sandbox.url}/control/objects/{payment.id}").text
    assert "refunded in part" in page
    assert "all that is left: $14.50" in page
    made = stripe_sandbox.browser.post(where).json()
    assert (made["object"], made["amount"]) == ("refund", 1450)
    page = stripe_sandbox.browser.get(f"{stripe_sandbox.url}/control/objects/{payment.id}").text
    assert "Amount to refund" not in page
    assert stripe_sandbox.browser.get(stripe_sandbox.url).text.count(">refunded<") >= 1


@pytest.mark.parametrize("amount", ["0", "20.01", "5.005", "-1", "1e3", "٣", "9" * 30, "<b>", "5 000"])
def test_the_control_page_refuses_amounts_that_are_none(stripe_sandbox: Running, amount: str) -> None:
    payment = paid(stripe_sandbox)
    where = f"{stripe_sandbox.url}/control/payments/{payment.id}/refund"
    for headers in (HTML, {}):
        answer = stripe_sandbox.browser.post(where, data={"amount": amount}, headers=headers)
        assert answer.status_code == 400
        assert "<b>" not in answer.text or not headers
    assert charge_of(stripe_sandbox, payment)["amount_refunded"] == 0


def test_other_sites_cannot_refund(stripe_sandbox: Running) -> None:
    payment = paid(stripe_sandbox)
    where = f"{stripe_sandbox.url}/control/payments/{payment.id}/refund"
    assert stripe_sandbox.browser.post(where, headers={"Origin": "https://evil.example"}).status_code == 403
    assert stripe_sandbox.browser.post(f"{stripe_sandbox.url}/control/payments/pi_x/refund").status_code == 404
    assert charge_of(stripe_sandbox, payment)["amount_refunded"] == 0


def test_a_refund_is_reported_by_webhook(receiver: Receiver) -> None:
    with running() as sandbox:
        events: Any = ["charge.refunded", "refund.created", "refund.failed", "charge.refund.updated"]
        sandbox.sdk.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": events})
        payment = paid(sandbox)
        sandbox.browser.post(f"{sandbox.url}/control/payments/{payment.id}/refund")
        receiver.wait_for_types("charge.refunded", "refund.created")
        made = sandbox.sdk.v1.refunds.list({"charge": payment.latest_charge.id}).data[0]
        sandbox.browser.post(f"{sandbox.url}/control/refunds/{made.id}/fail")
        receiver.wait_for_types("refund.failed", "charge.refund.updated")


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("20", "usd", 2000),
        ("0.5", "usd", 50),
        ("1.234", "kwd", 1234),
        ("500", "jpy", 500),
        ("500.0", "jpy", None),
        ("1.234", "usd", None),
        ("", "usd", None),
    ],
)
def test_amounts_as_people_write_them(text: str, currency: str, amount: int | None) -> None:
    assert minor_units(text, currency) == amount
