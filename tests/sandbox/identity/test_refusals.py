"""What the issuer refuses, and how: by a redirect to the client if its address can be trusted, otherwise on a page."""

import asyncio
import base64
from urllib.parse import urlencode

import httpx2
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message
from tests.sandbox.identity.parties import REDIRECT, VERIFIER, Parties, forms_in, query_of

from tollkeeper_sandbox.identity.client import may_redirect_to
from tollkeeper_sandbox.identity.forms import read_form
from tollkeeper_sandbox.people import CLIENT_ID, CLIENT_SECRET


def refusal(response: httpx2.Response) -> tuple[int, str]:
    assert response.headers["cache-control"] == "no-store"
    return response.status_code, response.json()["error"]


def request_for(parties: Parties, **changes: str) -> httpx2.Response:
    """An authorization request, right but for the changes; an empty value leaves the parameter out."""
    right = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": REDIRECT,
        "scope": "openid",
        "state": "s-1",
    }
    return parties.http.get(f"{parties.issuer}/authorize?{urlencode(right | changes)}")


# The token endpoint


@pytest.mark.parametrize(
    ("auth", "status"),
    [
        ((CLIENT_ID, "wrong"), 401),
        ((CLIENT_ID, ""), 401),
        ((CLIENT_ID + "x", CLIENT_SECRET), 401),
        (("ключ", "секрет"), 401),
        (None, 401),
    ],
)
def test_a_wrong_secret(parties: Parties, auth: tuple[str, str] | None, status: int) -> None:
    code = parties.code()
    assert refusal(parties.redeem(code, auth=auth)) == (status, "invalid_client")
    assert parties.redeem(code).status_code == 200, "the right client is not locked out"


@pytest.mark.parametrize("credentials", ["!", "é", base64.b64encode(b"\xff\xfe:\xff").decode(), "Og=="])
def test_credentials_that_are_no_text(parties: Parties, credentials: str) -> None:
    response = parties.http.post(
        f"{parties.issuer}/token",
        data={"grant_type": "authorization_code", "code": "c"},
        headers={b"Authorization": f"Basic {credentials}".encode("latin-1")},
    )
    assert refusal(response) == (401, "invalid_client")


def test_a_code_works_once(parties: Parties) -> None:
    code = parties.code()
    assert parties.redeem(code).status_code == 200
    assert refusal(parties.redeem(code)) == (400, "invalid_grant")


def test_a_code_lives_sixty_seconds(parties: Parties) -> None:
    first, second = parties.code(), parties.code()
    parties.clock.now += 59
    assert parties.redeem(first).status_code == 200
    parties.clock.now += 1
    assert refusal(parties.redeem(second)) == (400, "invalid_grant")


def test_another_verifier(parties: Parties) -> None:
    assert refusal(parties.redeem(parties.code(), code_verifier="w" * 43)) == (400, "invalid_grant")


def test_no_verifier(parties: Parties) -> None:
    assert refusal(parties.redeem(parties.code(), code_verifier="")) == (400, "invalid_request")


def test_another_redirect_address_at_the_token_endpoint(parties: Parties) -> None:
    response = parties.redeem(parties.code(), redirect_uri="http://localhost:4000/other")
    assert refusal(response) == (400, "invalid_grant")


def test_another_grant_type(parties: Parties) -> None:
    response = parties.redeem(parties.code(), grant_type="client_credentials")
    assert refusal(response) == (400, "unsupported_grant_type")


def test_a_parameter_twice(parties: Parties) -> None:
    code = parties.code()
    response = parties.http.post(
        f"{parties.issuer}/token",
        content=urlencode([("grant_type", "authorization_code"), ("code", code), ("code", code)]),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        auth=(CLIENT_ID, CLIENT_SECRET),
    )
    assert refusal(response) == (400, "invalid_request")


def test_a_body_that_is_too_big_or_no_form(parties: Parties) -> None:
    for path in ("token", "authorize"):
        address = f"{parties.issuer}/{path}"
        assert parties.http.post(address, data={"code": "c" * 16_384}).status_code == 413
        assert parties.http.post(address, json={"code": "c"}).status_code == 415


def test_a_slow_sender_is_let_go() -> None:
    async def never_more() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    form = [(b"content-type", b"application/x-www-form-urlencoded")]
    request = Request({"type": "http", "method": "POST", "headers": form}, never_more)
    with pytest.raises(HTTPException) as refused:
        asyncio.run(read_form(request, within=0.01))
    assert refused.value.status_code == 408


# The authorization endpoint


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": 'co"de\\é'}, "unsupported_response_type"),
        ({"code_challenge": "c" * 43, "code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "c" * 43}, "invalid_request"),
        ({"code_challenge_method": "S256"}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
    ],
)
def test_the_client_is_told(parties: Parties, changes: dict[str, str], error: str) -> None:
    response = request_for(parties, **changes)
    assert response.status_code == 303
    assert response.headers["location"].startswith(REDIRECT + "?")
    reported = query_of(response)
    assert (reported["error"], reported["state"], reported["iss"]) == (error, "s-1", parties.issuer)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "somebody-else"},
        {"client_id": "ключ"},
        {"client_id": ""},
        {"redirect_uri": ""},
        {"redirect_uri": "http://example.com/"},
        {"redirect_uri": "http://é/", "response_type": "token"},
    ],
)
def test_nobody_is_sent_to_an_address_that_is_not_trusted(parties: Parties, changes: dict[str, str]) -> None:
    response = request_for(parties, **changes)
    assert response.status_code == 400
    assert "location" not in response.headers
    assert "Sign-in request refused" in response.text


def test_a_repeated_parameter_is_refused(parties: Parties) -> None:
    assert parties.http.get(parties.authorization_url() + "&nonce=other").status_code == 400


def test_an_endless_query_is_refused(parties: Parties) -> None:
    assert request_for(parties, state="s" * 9000).status_code == 414


@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost/",
        "http://localhost:4000/callback?a=b",
        "http://127.0.0.1:1/",
        "http://[::1]:4000/cb",
        "https://example.com/cb",
    ],
)
def test_addresses_that_a_browser_may_be_sent_to(uri: str) -> None:
    assert may_redirect_to(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "http://example.com/",
        "http://localhost.example.com/",
        "http://localhost@example.com/",
        "http://user:word@localhost/",
        "http://localhost\\@example.com/",
        "http://localhost:port/",
        "http://localhost/#fragment",
        "http://localhost/\r\nSet-Cookie:a=b",
        "http://[::1",
        "http:///cb",
        "https:/example.com",
        "//example.com",
        "javascript:alert(1)",
        "https://exämple.com/",
        "https://example.com/" + "a" * 2000,
        "",
    ],
)
def test_addresses_that_no_browser_is_sent_to(uri: str) -> None:
    assert not may_redirect_to(uri)


# The chooser


def test_deny(parties: Parties) -> None:
    reported = parties.answer(parties.authorization_url(), deny="yes")
    assert (reported["error"], reported["state"], reported["iss"]) == ("access_denied", "s-1", parties.issuer)
    assert "code" not in reported


@pytest.mark.parametrize(
    ("form", "field", "says"),
    [
        ({"email": "a@example.com"}, "name", "Enter a name."),
        ({"name": " ", "email": "a@example.com"}, "name", "Enter a name."),
        ({"name": "A\x00B", "email": "a@example.com"}, "name", "Use letters, figures, spaces and signs only."),
        ({"name": "A" * 101, "email": "a@example.com"}, "name", "Use at most 100 characters."),
        ({"name": "A"}, "email", "Enter an e-mail address."),
        ({"name": "A", "email": "a b@example.com"}, "email", "Enter an e-mail address such as name@example.com."),
        ({"name": "A", "email": "a@b@c"}, "email", "Enter an e-mail address such as name@example.com."),
        (
            {"name": "A", "email": "a" * 250 + "@b.example"},
            "email",
            "Enter an e-mail address such as name@example.com.",
        ),
        ({"name": "", "email": ""}, "name", "Enter a name."),
    ],
)
def test_a_fault_is_reported_at_its_field(parties: Parties, form: dict[str, str], field: str, says: str) -> None:
    page = parties.http.post(parties.authorization_url(), data=form)
    assert page.status_code == 400
    assert forms_in(page).error_at(field) == says


def test_a_faulty_form_keeps_what_was_typed(parties: Parties) -> None:
    page = forms_in(parties.http.post(parties.authorization_url(), data={"name": '"><b>', "email": "x"}))
    assert page.inputs["name"]["value"] == '"><b>'
    assert page.inputs["email"]["value"] == "x"
    assert "checked" not in page.inputs["email_verified"]
    assert page.error_at("name") is None


def test_a_person_who_is_not_there(parties: Parties) -> None:
    page = parties.http.post(parties.authorization_url(), data={"person": "mallory@example.com"})
    assert page.status_code == 400
    assert "That is not one of the people below." in page.text


def test_the_hint_of_the_client_fills_in_the_address(parties: Parties) -> None:
    page = parties.http.get(parties.authorization_url(login_hint="eve@example.com"))
    assert forms_in(page).inputs["email"]["value"] == "eve@example.com"
    assert "checked" in forms_in(page).inputs["email_verified"]


def test_pages_carry_the_headers(parties: Parties) -> None:
    for address in (f"{parties.issuer}", parties.authorization_url(), f"{parties.issuer}/authorize"):
        headers = parties.http.get(address).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self';")
        assert "form-action" not in headers["content-security-policy"], "it would stop the way back to the client"
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


def test_the_wrong_code_verifier_leaves_the_code_to_its_owner(parties: Parties) -> None:
    code = parties.code()
    parties.redeem(code, code_verifier="w" * 43)
    assert parties.redeem(code, code_verifier=VERIFIER).status_code == 200
