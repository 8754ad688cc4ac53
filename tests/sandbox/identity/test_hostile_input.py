"""Whatever is sent, the issuer responds with a page, a redirect or a clear refusal, never with an error of its own."""

import base64
import string
from functools import cache
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from tests.sandbox.identity.parties import REDIRECT, app_with

from tollkeeper_sandbox.identity import IdentitySandbox
from tollkeeper_sandbox.people import CLIENT_ID, CLIENT_SECRET

SANDBOX = "http://127.0.0.1:4001"
NAMES = [
    "response_type", "client_id", "client_secret", "redirect_uri", "scope", "state", "nonce", "prompt", "login_hint",
    "code", "code_challenge", "code_challenge_method", "code_verifier", "grant_type", "response_mode", "max_age",
    "person", "name", "email", "email_verified", "deny",
]  # fmt: skip
RIGHT = [
    "code", CLIENT_ID, CLIENT_SECRET, REDIRECT, "openid", "openid profile", "S256", "plain", "c" * 43,
    "authorization_code", "none", "login", "alice@example.com", "http://localhost:99999/", "https://[::1/", "form_post",
]  # fmt: skip

values = st.one_of(st.sampled_from(RIGHT), st.text(max_size=60))
parameters = st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=12)
complete = st.just(
    [("response_type", "code"), ("client_id", CLIENT_ID), ("redirect_uri", REDIRECT), ("scope", "openid")]
)
requests = st.builds(lambda base, extra: base + extra, st.one_of(complete, st.just([])), parameters)
headers = st.one_of(
    st.binary(max_size=40).map(lambda raw: b"Basic " + base64.b64encode(raw)),
    st.sampled_from([b"Basic", b"Basic \xe9", b"Bearer", b"Bearer \xff", b"basic Og=="]),
    st.text(string.printable, max_size=60).map(lambda text: text.encode()),
)


@cache
def _browser() -> TestClient:
    issuer = IdentitySandbox(base_url=SANDBOX)
    return TestClient(app_with(issuer), base_url=SANDBOX, follow_redirects=False)


def _encoded(pairs: list[tuple[str, str]]) -> str:
    return urlencode(pairs, errors="surrogatepass")


@settings(max_examples=150, deadline=None)
@given(query=requests, form=parameters, body=st.binary(max_size=80), authorization=headers, raw=st.booleans())
def test_nothing_is_a_server_error(
    query: list[tuple[str, str]], form: list[tuple[str, str]], body: bytes, authorization: bytes, raw: bool
) -> None:
    browser = _browser()
    sent = {
        "headers": {
            "Authorization": authorization,
            "Content-Type": b"application/x-www-form-urlencoded",
        },
        "content": body if raw else _encoded(form),
    }
    answers = [
        browser.get("/identity/authorize?" + _encoded(query)),
        browser.post("/identity/authorize?" + _encoded(query), **sent),  # type: ignore[arg-type]
        browser.post("/identity/token", **sent),  # type: ignore[arg-type]
        browser.post("/identity/userinfo", **sent),  # type: ignore[arg-type]
    ]
    for answer in answers:
        assert answer.status_code in {200, 303, 400, 401}
        if "location" in answer.headers:
            assert answer.headers["location"].startswith((REDIRECT + "?", "/identity/authorize?"))
