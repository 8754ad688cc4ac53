"""The control page shows what happened."""

import json
import re
from html import unescape

from tests.sandbox.stripe.support import Running, running


def test_an_empty_sandbox_explains_itself() -> None:
    with running() as sandbox:
        page = sandbox.browser.get(sandbox.url).text
        for words in ("Nobody has paid yet.", "4242 4242 4242 4242", "asks for authentication", 'href="/identity"'):
            assert words in page


def test_it_lists_what_happened_and_links_to_all_of_it(stripe_sandbox: Running) -> None:
    stripe_sandbox.sdk.v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/", "enabled_events": ["*"]})
    customer = stripe_sandbox.sdk.v1.customers.create({"email": "listed@example.com"})
    session = stripe_sandbox.checkout(customer=customer.id)
    stripe_sandbox.pay(session)
    page = stripe_sandbox.browser.get(stripe_sandbox.url).text
    for words in ("$20.00", "listed@example.com", "checkout.session.completed", "http://127.0.0.1:9/"):
        assert words in page
    links = set(re.findall(r'href="(/control/[^"]+)"', page))
    assert len(links) > 10
    for link in links:
        assert stripe_sandbox.browser.get(stripe_sandbox.url + link).status_code == 200, link


def test_an_object_is_shown_as_the_api_gives_it(stripe_sandbox: Running) -> None:
    customer = stripe_sandbox.sdk.v1.customers.create({"name": "</code><script>alert(1)</script>"})
    page = stripe_sandbox.browser.get(f"{stripe_sandbox.url}/control/objects/{customer.id}").text
    assert "<script" not in page
    shown = re.search(r"<pre.*?<code>(.*?)</code>", page, re.DOTALL)
    assert shown
    assert json.loads(unescape(shown[1])) == stripe_sandbox.get(f"/v1/customers/{customer.id}").json()


def test_unknown_ids_are_not_found(stripe_sandbox: Running) -> None:
    for path in ("/control/objects/x", "/control/deliveries/x"):
        assert stripe_sandbox.browser.get(stripe_sandbox.url + path).status_code == 404


def test_each_list_is_bounded() -> None:
    with running() as sandbox:
        for _ in range(30):
            sandbox.sdk.v1.customers.create({})
        links = sandbox.browser.get(sandbox.url).text.count('href="/control/objects/cus_')
        assert links == 20 + 20  # customers, and the events about them
