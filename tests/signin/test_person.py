"""Which of an issuer's claims about a person are trusted, and how they are stored."""

from typing import Any

import pytest
from tests.signin.conftest import Clock, Traveller
from tests.support.issuers import LyingIssuer, Stage, answers, new_key, serving, settings

from tollkeeper.errors import SignInFailed
from tollkeeper.signin import SignInService

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("verdict", [False, None, "true", "True", 1, "", [True]])
async def test_g48_an_email_that_is_not_plainly_verified_does_not_count(
    traveller: Traveller, issuer: LyingIssuer, verdict: object
) -> None:
    issuer.claims = {"email_verified": verdict}
    arrived = await traveller.arrive()
    assert arrived.email is None
    assert arrived.dropped is not None
    assert "email_verified is " in arrived.dropped
    assert "ada" not in arrived.dropped


async def test_g48_an_email_does_not_borrow_the_verdict_on_another(traveller: Traveller, issuer: LyingIssuer) -> None:
    issuer.claims = {"email": "victim@example.com", "email_verified": None}
    issuer.userinfo = {"email_verified": True}
    assert (await traveller.arrive()).email is None
    issuer.claims = {"email": None, "email_verified": True}
    issuer.userinfo = {"email": "victim@example.com", "email_verified": False}
    arrived = await traveller.arrive()
    assert (arrived.email, str(arrived.dropped)[-23:]) == (None, "email_verified is false")


@pytest.mark.parametrize(
    "email", [None, 1, "", "nobody", "@example.com", "a@", "a b@example.com", "a@b\nc", "a\x00@b", f"{'a' * 251}@b.c"]
)
async def test_g48_what_is_no_address_does_not_count(traveller: Traveller, issuer: LyingIssuer, email: object) -> None:
    issuer.claims = {"email": email}
    assert (await traveller.arrive()).email is None


async def test_an_address_that_cannot_be_used_is_dropped_for_that(traveller: Traveller, issuer: LyingIssuer) -> None:
    issuer.claims = {"email": "nobody"}
    assert (await traveller.arrive()).dropped == "the address is not one that can be used"


async def test_an_address_that_counts_by_the_user_info_is_not_dropped(
    traveller: Traveller, issuer: LyingIssuer
) -> None:
    issuer.claims = {"email_verified": None}
    issuer.userinfo = {"email": "ada@example.com", "email_verified": True}
    arrived = await traveller.arrive()
    assert (arrived.email, arrived.dropped) == ("ada@example.com", None)


async def test_g48_the_same_email_at_another_issuer_is_another_identity(
    traveller: Traveller, issuer: LyingIssuer, clock: Clock
) -> None:
    here = await traveller.arrive()
    other = LyingIssuer("", new_key("other"))
    with serving(other.app()) as other.url:
        sign_in = SignInService([settings(other.url)], clock=clock)
        there = await Traveller(sign_in).arrive()
        await sign_in.close()
    assert (here.email, here.subject) == (there.email, there.subject)
    assert here.issuer != there.issuer


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": "Ada"}, "Ada"),
        ({"name": "  Ada \n  Example\t"}, "Ada Example"),
        ({"name": "Ada\x00\x1b[31m\u202e"}, "Ada[31m"),
        ({"name": "x" * 201}, "x" * 200),
        ({"name": "👩\u200d🚀"}, "👩\u200d🚀"),
        ({"name": None, "preferred_username": "ada"}, "ada"),
        ({"name": "\u200b \u200d", "preferred_username": "ada"}, "ada"),
        ({"name": 1, "nickname": "Addie"}, "Addie"),
        ({"name": None}, "ada"),
        ({"name": None, "email": None}, "Friend"),
        ({"name": None, "email_verified": False}, "Friend"),
    ],
)
async def test_there_is_always_a_name_to_greet_by(
    traveller: Traveller, issuer: LyingIssuer, claims: dict[str, Any], name: str
) -> None:
    issuer.claims = claims
    assert (await traveller.arrive()).name == name


async def test_half_a_character_is_left_out_for_it_could_not_be_kept(
    traveller: Traveller, issuer: LyingIssuer, stage: Stage
) -> None:
    issuer.claims = {"name": None}
    stage.detours["/userinfo"] = answers(200, {"sub": "person-1", "name": "Ada\ud800", "email": "a\ud800@b.c"})
    assert (await traveller.arrive()).name == "Ada"


async def test_what_the_token_lacks_comes_from_the_user_info(
    traveller: Traveller, issuer: LyingIssuer, stage: Stage
) -> None:
    issuer.claims = {"name": None, "email": None, "email_verified": None}
    issuer.userinfo = {"name": "Ada", "email": "ada@example.org", "email_verified": True}
    identity = await traveller.arrive()
    assert (identity.name, identity.email) == ("Ada", "ada@example.org")


async def test_the_token_has_the_word_where_both_speak(traveller: Traveller, issuer: LyingIssuer) -> None:
    issuer.claims = {"name": None}
    issuer.userinfo = {"name": "Ada", "email": "other@example.org", "email_verified": True}
    identity = await traveller.arrive()
    assert (identity.name, identity.email) == ("Ada", "ada@example.com")


async def test_user_info_is_not_asked_for_what_the_token_says(traveller: Traveller, stage: Stage) -> None:
    await traveller.arrive()
    assert stage.asked["/userinfo"] == 0


@pytest.mark.parametrize("subject", ["person-2", None, ""])
async def test_g47_user_info_about_somebody_else_is_refused(
    traveller: Traveller, issuer: LyingIssuer, subject: str | None
) -> None:
    issuer.claims = {"name": None}
    issuer.userinfo = {"sub": subject}
    with pytest.raises(SignInFailed, match="not about the person"):
        await traveller.arrive()


@pytest.mark.parametrize("lacking", ["endpoint", "access token"])
async def test_an_issuer_without_user_info_will_do(traveller: Traveller, issuer: LyingIssuer, lacking: str) -> None:
    issuer.claims = {"name": None}
    issuer.discovery = {"userinfo_endpoint": None} if lacking == "endpoint" else {}
    issuer.token = {"access_token": None} if lacking == "access token" else {}
    assert (await traveller.arrive()).name == "ada"
