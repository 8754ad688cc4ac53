"""People who lost access read why: on their account, and where the dashboard redirects them."""

from tests.support.running import Sandbox, Site, eventually, newcomer

from tollkeeper.storage.tables import orders


def test_what_was_refunded_is_still_told_with_its_receipt_and_why_there_is_no_access(
    site: Site, sandbox: Sandbox
) -> None:
    buyer = newcomer(site)
    buyer.pay()
    eventually(buyer.enters)
    (order,) = site.rows_of(buyer, orders)
    paid = sandbox.stripe.v1.checkout.sessions.retrieve(str(order.checkout_id))
    sandbox.stripe.v1.refunds.create({"payment_intent": str(paid.payment_intent)})
    eventually(lambda: not buyer.enters())
    account = buyer.get("/account").text
    for words in ("What you no longer have", "€19.00 was refunded in full, so access ended.", "Receipt"):
        assert words in account
    assert str(paid.payment_intent) in account
    refused = buyer.follow(buyer.get("/dashboard"))
    assert refused.url.path == "/"
    assert "€19.00 was refunded in full, so access ended." in refused.text
    assert "€19.00 was refunded in full, so access ended." in buyer.get("/pricing").text
    assert "refunded" not in newcomer(site, "Somebody Else").get("/").text
