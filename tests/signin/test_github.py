"""GitHub, which has no discovery and no ID token."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.signin.conftest import Clock, Traveller
from tests.support.issuers import CALLBACK, GitHubStandIn, Stage, answers, query_of, settings, visit

from tollkeeper.errors import IssuerUnavailable, SignInFailed, TollkeeperError
from tollkeeper.model.people import Identity
from tollkeeper.signin import SignInService
from tollkeeper.signin.github import NOT_VERIFIED

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sign_in(github: GitHubStandIn, clock: Clock) -> AsyncIterator[SignInService]:
    known = settings("https://github.com", kind="github", client_auth="client_secret_post")
    sign_in = SignInService([known], clock=clock, github=github.addresses)
    yield sign_in
    await sign_in.close()


async def test_the_identity_is_the_accounts_number(traveller: Traveller) -> None:
    assert await traveller.arrive() == Identity("https://github.com", "583231", "Octo Example", "octo@example.com")


async def test_the_request_carries_pkce_and_the_two_scopes(sign_in: SignInService) -> None:
    asked = query_of((await sign_in.begin("acme", CALLBACK)).url)
    assert asked["scope"] == "read:user user:email"
    assert asked["code_challenge_method"] == "S256"


async def test_the_public_addresses_are_githubs(clock: Clock) -> None:
    sign_in = SignInService([settings("https://github.com", kind="github")], clock=clock)
    attempt = await sign_in.begin("acme", CALLBACK)
    assert attempt.url.startswith("https://github.com/login/oauth/authorize?")
    await sign_in.close()


async def test_who_renames_the_account_stays_who_they_are(traveller: Traveller, github: GitHubStandIn) -> None:
    before = await traveller.arrive()
    github.facts.user |= {"login": "renamed", "name": None}
    after = await traveller.arrive()
    assert (after.issuer, after.subject, after.name) == (before.issuer, before.subject, "renamed")


@pytest.mark.parametrize(
    "emails",
    [
        [],
        [{"email": "octo@example.com", "primary": True, "verified": False}],
        [{"email": "octo@example.com", "primary": True, "verified": "true"}],
        [{"email": "octo@example.com", "primary": False, "verified": True}],
        [{"email": None, "primary": True, "verified": True}],
    ],
)
async def test_g48_only_the_verified_primary_email_counts(
    traveller: Traveller, github: GitHubStandIn, emails: object
) -> None:
    github.facts.emails = emails
    github.facts.user["email"] = "public@example.com"
    arrived = await traveller.arrive()
    assert arrived.email is None
    assert arrived.dropped == (NOT_VERIFIED if emails else None)


@pytest.mark.parametrize("number", [None, "583231", True, 0, -1, 1.5])
async def test_g47_an_account_without_a_number_is_refused(
    traveller: Traveller, github: GitHubStandIn, number: object
) -> None:
    github.facts.user["id"] = number
    with pytest.raises(SignInFailed, match="named no account"):
        await traveller.arrive()


async def test_g47_a_code_cannot_be_replayed(sign_in: SignInService) -> None:
    attempt = await sign_in.begin("acme", CALLBACK)
    params = await visit(attempt.url)
    await sign_in.finish(attempt.secrets, "acme", CALLBACK, params)
    with pytest.raises(SignInFailed, match="bad_verification_code"):
        await sign_in.finish(attempt.secrets, "acme", CALLBACK, params)


async def test_g47_a_stolen_code_is_worth_nothing_elsewhere(sign_in: SignInService) -> None:
    attempt = await sign_in.begin("acme", CALLBACK)
    secrets = attempt.secrets | {"code_verifier": "v" * 43}
    with pytest.raises(SignInFailed, match="bad_verification_code"):
        await sign_in.finish(secrets, "acme", CALLBACK, await visit(attempt.url))


async def test_g47_a_wrong_state_is_refused(traveller: Traveller, github: GitHubStandIn) -> None:
    github.response = {"state": "wrong"}
    with pytest.raises(SignInFailed, match="state"):
        await traveller.arrive()


async def test_github_may_name_itself(traveller: Traveller, github: GitHubStandIn) -> None:
    github.response = {"iss": "https://github.com/login/oauth"}
    assert (await traveller.arrive()).subject == "583231"


async def test_g47_an_answer_that_names_another_issuer_is_refused(
    traveller: Traveller, github: GitHubStandIn, stage: Stage
) -> None:
    github.response = {"iss": "https://evil.example"}
    with pytest.raises(SignInFailed, match="does not name the issuer"):
        await traveller.arrive()
    assert stage.asked["/login/oauth/access_token"] == 0


async def test_a_person_who_refuses_is_told_apart(traveller: Traveller, github: GitHubStandIn) -> None:
    github.response = {"code": None, "error": "access_denied"}
    with pytest.raises(SignInFailed) as refused:
        await traveller.arrive()
    assert refused.value.denied


@pytest.mark.parametrize("path", ["/login/oauth/access_token", "/user", "/user/emails"])
@pytest.mark.parametrize("status", [302, 403, 429, 500, 503])
async def test_e38_github_in_trouble_is_unavailable(traveller: Traveller, stage: Stage, path: str, status: int) -> None:
    stage.detours[path] = answers(status, b"unicorn", Location="/elsewhere")
    with pytest.raises(IssuerUnavailable):
        await traveller.arrive()
    assert stage.asked["/elsewhere"] == 0


@pytest.mark.parametrize("path", ["/login/oauth/access_token", "/user", "/user/emails"])
@pytest.mark.parametrize("body", [None, [1], {}, "x", 1, {"access_token": 1}, {"access_token": "bad\r\nheader"}])
async def test_an_answer_of_another_shape_never_signs_in_wrongly_and_nothing_raw_escapes(
    traveller: Traveller, stage: Stage, path: str, body: Any
) -> None:
    stage.detours[path] = answers(200, body)
    with pytest.raises(TollkeeperError) as failed:
        await traveller.arrive()
    assert type(failed.value) in (SignInFailed, IssuerUnavailable)
