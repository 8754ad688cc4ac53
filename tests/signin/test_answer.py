"""The response that the browser brings back: whose it is, and to which request."""

from typing import Any

import pytest
from tests.signin.conftest import Clock, Traveller
from tests.support.issuers import CALLBACK, LyingIssuer, Stage, query_of, settings, visit

from tollkeeper.errors import IssuerUnavailable, SignInFailed
from tollkeeper.signin import SignInService

pytestmark = pytest.mark.anyio


async def test_g47_the_request_carries_pkce_state_and_nonce(sign_in: SignInService) -> None:
    attempt = await sign_in.begin("acme", CALLBACK)
    asked = query_of(attempt.url)
    assert asked["response_type"] == "code"
    assert asked["scope"] == "openid profile email"
    assert asked["redirect_uri"] == CALLBACK
    assert asked["code_challenge_method"] == "S256"
    assert (asked["state"], asked["nonce"]) == (attempt.secrets["state"], attempt.secrets["nonce"])
    assert attempt.secrets["code_verifier"] not in attempt.url
    assert attempt.secrets["issuer"] == "acme"


async def test_g47_no_two_attempts_share_a_secret(sign_in: SignInService) -> None:
    one, two = await sign_in.begin("acme", CALLBACK), await sign_in.begin("acme", CALLBACK)
    for name in ("state", "nonce", "code_verifier"):
        assert one.secrets[name] != two.secrets[name]
        assert len(one.secrets[name]) == 43


async def test_g47_an_answer_to_another_browsers_attempt_is_refused(
    sign_in: SignInService, issuer: LyingIssuer, stage: Stage
) -> None:
    mine, theirs = await sign_in.begin("acme", CALLBACK), await sign_in.begin("acme", CALLBACK)
    params = await visit(theirs.url)
    with pytest.raises(SignInFailed, match="state"):
        await sign_in.finish(mine.secrets, "acme", CALLBACK, params)
    assert stage.asked["/token"] == 0


@pytest.mark.parametrize("state", [None, "", "wrong", "wröng"])
async def test_g47_a_wrong_state_is_refused(sign_in: SignInService, issuer: LyingIssuer, state: str | None) -> None:
    attempt = await sign_in.begin("acme", CALLBACK)
    issuer.response = {"state": state}
    with pytest.raises(SignInFailed, match="state"):
        await sign_in.finish(attempt.secrets, "acme", CALLBACK, await visit(attempt.url))


@pytest.mark.parametrize("missing", ["issuer", "state", "nonce", "code_verifier"])
@pytest.mark.parametrize("how", ["absent", "empty"])
async def test_g47_an_attempt_without_its_secrets_is_refused(sign_in: SignInService, missing: str, how: str) -> None:
    attempt = await sign_in.begin("acme", CALLBACK)
    params = await visit(attempt.url)
    kept = {name: value for name, value in attempt.secrets.items() if name != missing}
    if how == "empty":
        kept[missing] = ""
        params |= {"state": ""} if missing == "state" else {}
    with pytest.raises(SignInFailed, match="no attempt"):
        await sign_in.finish(kept, "acme", CALLBACK, params)


async def test_g47_a_callback_for_another_issuer_than_the_attempts_is_refused(
    issuer: LyingIssuer, clock: Clock, stage: Stage
) -> None:
    sign_in = SignInService([settings(issuer.url), settings(issuer.url, id="evil")], clock=clock)
    attempt = await sign_in.begin("acme", CALLBACK)
    with pytest.raises(SignInFailed, match="another issuer"):
        await sign_in.finish(attempt.secrets, "evil", CALLBACK, await visit(attempt.url))
    assert stage.asked["/token"] == 0
    await sign_in.close()


async def test_g47_a_code_cannot_be_replayed(sign_in: SignInService) -> None:
    attempt = await sign_in.begin("acme", CALLBACK)
    params = await visit(attempt.url)
    await sign_in.finish(attempt.secrets, "acme", CALLBACK, params)
    with pytest.raises(SignInFailed, match="invalid_grant"):
        await sign_in.finish(attempt.secrets, "acme", CALLBACK, params)


@pytest.mark.parametrize("changed", ["code_verifier", "redirect_uri"])
async def test_g47_a_stolen_code_is_worth_nothing_elsewhere(sign_in: SignInService, changed: str) -> None:
    attempt = await sign_in.begin("acme", CALLBACK)
    params = await visit(attempt.url)
    secrets = attempt.secrets | ({"code_verifier": "v" * 43} if changed == "code_verifier" else {})
    redirect_uri = CALLBACK + ("/other" if changed == "redirect_uri" else "")
    with pytest.raises(SignInFailed, match="invalid_grant"):
        await sign_in.finish(secrets, "acme", redirect_uri, params)


@pytest.mark.parametrize("extra", [{}, {"error": "access_denied"}])
async def test_g47_an_answer_that_names_another_issuer_is_refused(
    traveller: Traveller, issuer: LyingIssuer, stage: Stage, extra: dict[str, str]
) -> None:
    issuer.response = {"iss": "https://evil.example", **extra}
    with pytest.raises(SignInFailed, match="does not name the issuer") as refused:
        await traveller.arrive()
    assert not refused.value.denied
    assert stage.asked["/token"] == 0


async def test_g47_an_answer_without_the_promised_issuer_is_refused(
    traveller: Traveller, issuer: LyingIssuer, stage: Stage
) -> None:
    issuer.discovery = {"authorization_response_iss_parameter_supported": True}
    with pytest.raises(SignInFailed, match="does not name the issuer"):
        await traveller.arrive()
    assert stage.asked["/token"] == 0


@pytest.mark.parametrize("promised", [True, None])
async def test_an_answer_that_names_its_issuer_is_accepted(
    traveller: Traveller, issuer: LyingIssuer, promised: bool | None
) -> None:
    issuer.discovery = {"authorization_response_iss_parameter_supported": promised}
    issuer.response = {"iss": issuer.url}
    assert (await traveller.arrive()).subject == "person-1"


async def test_a_person_who_refuses_is_told_apart(traveller: Traveller, issuer: LyingIssuer) -> None:
    issuer.response = {"code": None, "error": "access_denied"}
    with pytest.raises(SignInFailed) as refused:
        await traveller.arrive()
    assert refused.value.denied


@pytest.mark.parametrize("error", ["temporarily_unavailable", "server_error"])
async def test_e38_an_issuer_that_says_it_is_in_trouble_is_unavailable(
    traveller: Traveller, issuer: LyingIssuer, error: str
) -> None:
    issuer.response = {"code": None, "error": error}
    with pytest.raises(IssuerUnavailable):
        await traveller.arrive()


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ({"error": "invalid_scope"}, "the issuer answered invalid_scope"),
        ({"error": "forged\nlog line"}, "the issuer answered an unknown error"),
        ({"error": ""}, "the issuer answered an unknown error"),
        ({"code": ""}, "the answer holds no code"),
        ({"code": None}, "the answer holds no code"),
    ],
)
async def test_other_answers_fail_with_a_reason_fit_for_a_log(
    sign_in: SignInService, response: dict[str, Any], reason: str
) -> None:
    attempt = await sign_in.begin("acme", CALLBACK)
    params = {"state": attempt.secrets["state"]} | {k: v for k, v in response.items() if v is not None}
    with pytest.raises(SignInFailed) as failed:
        await sign_in.finish(attempt.secrets, "acme", CALLBACK, params)
    assert failed.value.reason == reason
    assert not failed.value.denied


async def test_an_issuer_that_is_not_configured_does_not_exist(sign_in: SignInService) -> None:
    with pytest.raises(SignInFailed, match="no such issuer"):
        await sign_in.begin("elsewhere", CALLBACK)


async def test_a_wrong_client_secret_is_named(issuer: LyingIssuer, clock: Clock) -> None:
    sign_in = SignInService([settings(issuer.url, client_secret="mistyped")], clock=clock)
    with pytest.raises(SignInFailed, match="invalid_client"):
        await Traveller(sign_in).arrive()
    await sign_in.close()
