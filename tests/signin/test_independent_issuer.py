"""Sign-in at an issuer that somebody else wrote, so that it is not tuned to our own."""

from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
from oidc_provider_mock import User, run_server_in_thread  # type: ignore[import-untyped]
from tests.signin.conftest import Clock
from tests.support.issuers import CALLBACK, query_of, settings

from tollkeeper.errors import SignInFailed
from tollkeeper.model.people import Identity
from tollkeeper.signin import Attempt, SignInService

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:get_jwt_config:DeprecationWarning")]
PEOPLE = [
    User(sub="ada", claims={"name": "Ada Example", "email": "ada@example.com", "email_verified": True}),
    User(sub="bob", claims={"preferred_username": "bob", "email": "ada@example.com"}),
]


@pytest.fixture(scope="module")
def independent() -> Iterator[str]:
    with run_server_in_thread(user_claims=PEOPLE, require_nonce=True) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture(params=["client_secret_basic", "client_secret_post"])
async def sign_in(independent: str, clock: Clock, request: pytest.FixtureRequest) -> AsyncIterator[SignInService]:
    sign_in = SignInService([settings(independent, client_auth=request.param)], clock=clock)
    yield sign_in
    await sign_in.close()


async def choose(attempt: Attempt, **form: str) -> dict[str, str]:
    async with httpx2.AsyncClient() as browser:
        answer = await browser.post(attempt.url, data=form)
    return query_of(answer.headers["Location"])


UNVERIFIED = "the issuer does not say that the address is verified: email_verified is missing"


@pytest.mark.parametrize(
    ("subject", "name", "email", "dropped"),
    [("ada", "Ada Example", "ada@example.com", None), ("bob", "bob", None, UNVERIFIED)],
)
async def test_a_person_arrives(
    sign_in: SignInService, independent: str, subject: str, name: str, email: str | None, dropped: str | None
) -> None:
    attempt = await sign_in.begin("acme", CALLBACK)
    params = await choose(attempt, sub=subject)
    identity = await sign_in.finish(attempt.secrets, "acme", CALLBACK, params)
    assert identity == Identity(independent, subject, name, email, dropped)


async def test_g47_a_code_cannot_be_replayed(sign_in: SignInService) -> None:
    attempt = await sign_in.begin("acme", CALLBACK)
    params = await choose(attempt, sub="ada")
    await sign_in.finish(attempt.secrets, "acme", CALLBACK, params)
    with pytest.raises(SignInFailed):
        await sign_in.finish(attempt.secrets, "acme", CALLBACK, params)


async def test_g47_a_token_made_for_another_attempt_is_refused(sign_in: SignInService) -> None:
    mine, theirs = await sign_in.begin("acme", CALLBACK), await sign_in.begin("acme", CALLBACK)
    params = await choose(theirs, sub="ada") | {"state": mine.secrets["state"]}
    with pytest.raises(SignInFailed, match="nonce"):
        await sign_in.finish(mine.secrets, "acme", CALLBACK, params)


async def test_a_person_may_refuse(sign_in: SignInService) -> None:
    attempt = await sign_in.begin("acme", CALLBACK)
    params = await choose(attempt, action="deny") | {"state": attempt.secrets["state"]}
    with pytest.raises(SignInFailed) as refused:
        await sign_in.finish(attempt.secrets, "acme", CALLBACK, params)
    assert refused.value.denied
