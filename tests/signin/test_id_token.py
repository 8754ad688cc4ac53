"""What an ID token must say, and who must have signed it (OpenID Connect Core section 3.1.3.7)."""

import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from tests.signin.conftest import Traveller
from tests.support.issuers import CLIENT_ID, CLIENT_SECRET, LyingIssuer, public, segment

from tollkeeper.errors import SignInFailed
from tollkeeper.model.people import Identity

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Soon:
    """A time that counts from when a test runs, not from when it was collected."""

    seconds: int


def timed(claims: dict[str, Any]) -> dict[str, Any]:
    now = int(time.time())
    return {name: now + value.seconds if isinstance(value, Soon) else value for name, value in claims.items()}


async def test_an_honest_token_names_the_person(traveller: Traveller, issuer: LyingIssuer) -> None:
    assert await traveller.arrive() == Identity(issuer.url, "person-1", "Ada Example", "ada@example.com")


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://evil.example"}, "iss"),
        ({"iss": "http://127.0.0.1/"}, "iss"),
        ({"iss": ["http://127.0.0.1"]}, "iss"),
        ({"iss": None}, "iss"),
        ({"aud": "another-client"}, "aud"),
        ({"aud": ["another-client"], "azp": CLIENT_ID}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": [CLIENT_ID, "another-client"]}, "azp"),
        ({"aud": [CLIENT_ID, "another-client"], "azp": "another-client"}, "azp"),
        ({"azp": "another-client"}, "azp"),
        ({"nonce": "another-nonce"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"exp": Soon(-90)}, "exp"),
        ({"exp": None}, "exp"),
        ({"exp": "never"}, "exp"),
        ({"exp": float("nan")}, "exp"),
        ({"iat": Soon(90)}, "iat"),
        ({"iat": None}, "iat"),
        ({"nbf": Soon(90)}, "nbf"),
        ({"at_hash": "AAAA"}, "at_hash"),
        ({"sub": None}, "sub"),
        ({"sub": 1}, "sub"),
        ({"sub": ""}, "subject"),
        ({"sub": "x" * 256}, "subject"),
        ({"sub": "nul\x00"}, "subject"),
        ({"sub": "line\nbreak"}, "subject"),
    ],
)
async def test_g47_a_token_with_a_bad_claim_is_refused(
    traveller: Traveller, issuer: LyingIssuer, claims: dict[str, Any], reason: str
) -> None:
    issuer.claims = timed(claims)
    with pytest.raises(SignInFailed) as refused:
        await traveller.arrive()
    assert reason in refused.value.reason


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": [CLIENT_ID]},
        {"aud": [CLIENT_ID, "another-client"], "azp": CLIENT_ID},
        {"exp": Soon(-30)},
        {"iat": Soon(30)},
    ],
)
async def test_a_token_within_the_rules_is_accepted(
    traveller: Traveller, issuer: LyingIssuer, claims: dict[str, Any]
) -> None:
    issuer.claims = timed(claims)
    assert (await traveller.arrive()).subject == "person-1"


async def test_a_subject_may_have_255_characters(traveller: Traveller, issuer: LyingIssuer) -> None:
    issuer.claims = issuer.userinfo = {"sub": "x" * 255}
    assert (await traveller.arrive()).subject == "x" * 255


@pytest.mark.parametrize("id_token", [None, "", "a.b.c", "a.b.c.d.e", 1, {"a": 1}, "x" * 200_000])
async def test_g47_what_is_no_token_is_refused(traveller: Traveller, issuer: LyingIssuer, id_token: object) -> None:
    issuer.token = {"id_token": id_token}
    with pytest.raises(SignInFailed):
        await traveller.arrive()


@pytest.mark.filterwarnings("ignore:JWS algorithm .none. is deprecated")
async def test_g47_alg_none_is_refused_even_if_advertised(traveller: Traveller, issuer: LyingIssuer) -> None:
    issuer.discovery = {"id_token_signing_alg_values_supported": ["none", "RS256"]}
    issuer.header = {"alg": "none", "kid": None}
    with pytest.raises(SignInFailed, match="unsupported_algorithm"):
        await traveller.arrive()


@pytest.mark.parametrize("secret", ["the public key", "the client secret"])
async def test_g47_hs256_is_refused_even_if_advertised_with_its_key(
    traveller: Traveller, issuer: LyingIssuer, first_key: RSAKey, secret: str
) -> None:
    issuer.shared_secret = first_key.as_pem(private=False) if secret == "the public key" else CLIENT_SECRET.encode()
    issuer.header = {"kid": "shared"}
    issuer.published.append({"kty": "oct", "kid": "shared", "k": segment(issuer.shared_secret)})
    issuer.discovery = {"id_token_signing_alg_values_supported": ["HS256", "RS256"]}
    with pytest.raises(SignInFailed, match="unsupported_algorithm"):
        await traveller.arrive()


@pytest.mark.parametrize("advertised", [["HS256"], ["none"], [], "none"])
async def test_g47_an_issuer_without_a_trusted_algorithm_is_refused_at_once(
    traveller: Traveller, issuer: LyingIssuer, advertised: object
) -> None:
    issuer.discovery = {"id_token_signing_alg_values_supported": advertised}
    with pytest.raises(SignInFailed, match="no algorithm that is trusted"):
        await traveller.arrive()


async def test_g47_an_algorithm_that_is_not_advertised_is_refused(traveller: Traveller, issuer: LyingIssuer) -> None:
    issuer.discovery = {"id_token_signing_alg_values_supported": ["ES256"]}
    with pytest.raises(SignInFailed, match="unsupported_algorithm"):
        await traveller.arrive()


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("PS256", RSAKey.generate_key(2048, {"kid": "k"})),
        ("ES256", ECKey.generate_key("P-256", {"kid": "k"})),
        ("EdDSA", OKPKey.generate_key("Ed25519", {"kid": "k"})),
    ],
)
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
async def test_other_asymmetric_algorithms_are_accepted(
    traveller: Traveller, issuer: LyingIssuer, algorithm: str, key: Key
) -> None:
    issuer.key, issuer.published = key, [public(key)]
    issuer.header = {"alg": algorithm}
    issuer.discovery = {"id_token_signing_alg_values_supported": [algorithm]}
    assert (await traveller.arrive()).subject == "person-1"


async def test_g47_a_forged_signature_is_refused(traveller: Traveller, issuer: LyingIssuer, second_key: RSAKey) -> None:
    issuer.key, issuer.header = second_key, {"kid": "first"}
    with pytest.raises(SignInFailed, match="bad_signature"):
        await traveller.arrive()


async def test_g47_a_key_inside_the_token_is_not_believed(traveller: Traveller, issuer: LyingIssuer) -> None:
    issuer.published = [public(ECKey.generate_key("P-256"))]
    issuer.key = ECKey.generate_key("P-256")
    issuer.header = {"alg": "ES256", "kid": None, "jwk": public(issuer.key)}
    issuer.discovery = {"id_token_signing_alg_values_supported": ["ES256"]}
    with pytest.raises(SignInFailed, match="bad_signature"):
        await traveller.arrive()


async def test_g47_claims_changed_after_signing_are_refused(
    traveller: Traveller, issuer: LyingIssuer, first_key: RSAKey
) -> None:
    head, _, signature = jwt.encode({"alg": "RS256", "kid": "first"}, {"sub": "person-1"}, first_key).split(".")
    forged = segment(json.dumps({"sub": "person-2"}).encode())
    issuer.token = {"id_token": f"{head}.{forged}.{signature}"}
    with pytest.raises(SignInFailed, match="bad_signature"):
        await traveller.arrive()


@pytest.mark.parametrize(
    "stranger",
    [
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"},
        {"kty": "EC", "crv": "brainpoolP256r1", "x": "AA", "y": "AA"},
        {"kty": "RSA", "n": "$$", "e": "AQAB"},
        {"kty": ["RSA"]},
        "nonsense",
    ],
)
async def test_a_key_that_is_not_understood_is_passed_over(
    traveller: Traveller, issuer: LyingIssuer, stranger: Any
) -> None:
    issuer.published.insert(0, stranger)
    assert (await traveller.arrive()).subject == "person-1"
