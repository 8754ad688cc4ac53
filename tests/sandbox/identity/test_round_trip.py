"""Sign-in from discovery to userinfo, by a client that knows only the issuer's address."""

from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet, RSAKey
from tests.sandbox.identity.parties import NOW, REDIRECT, VERIFIER, Parties

from tollkeeper_sandbox.people import CLIENT_ID, CLIENT_SECRET, PEOPLE, Person

ALICE = PEOPLE[0]


def claims_in(parties: Parties, id_token: str) -> dict[str, Any]:
    """The claims, if the issuer's published key signed them with RS256."""
    keys = KeySet.import_key_set(parties.http.get(f"{parties.issuer}/jwks.json").json())
    return jwt.decode(id_token, keys, algorithms=["RS256"]).claims


def test_from_discovery_to_userinfo(parties: Parties) -> None:
    found = parties.http.get(f"{parties.issuer}/.well-known/openid-configuration").json()
    client = parties.client()
    url, _ = client.create_authorization_url(
        found["authorization_endpoint"], state="s-1", nonce="n-1", code_verifier=VERIFIER
    )
    assert "Choose a person" in parties.http.get(url).text

    answer = parties.answer(url, person=ALICE.email)
    assert answer.keys() == {"code", "state", "iss"}
    assert (answer["state"], answer["iss"]) == ("s-1", found["issuer"])

    token = client.fetch_token(found["token_endpoint"], code=answer["code"], code_verifier=VERIFIER)
    claims = claims_in(parties, token["id_token"])
    assert claims.pop("at_hash")
    assert claims == {
        "iss": parties.issuer,
        "aud": CLIENT_ID,
        "sub": ALICE.subject,
        "iat": NOW,
        "exp": NOW + 3600,
        "auth_time": NOW,
        "nonce": "n-1",
        "name": "Alice Example",
        "email": "alice@example.com",
        "email_verified": True,
    }
    userinfo = client.get(found["userinfo_endpoint"]).json()
    assert userinfo == ALICE.claims("openid profile email")


def test_the_id_token_does_not_pass_with_another_key(parties: Parties) -> None:
    id_token = parties.redeem(parties.code()).json()["id_token"]
    other = KeySet([RSAKey.generate_key(2048, {"kid": _kid(parties)})])
    with pytest.raises(BadSignatureError):
        jwt.decode(id_token, other, algorithms=["RS256"])


def _kid(parties: Parties) -> str:
    (key,) = parties.http.get(f"{parties.issuer}/jwks.json").json()["keys"]
    assert key.keys() == {"kty", "n", "e", "use", "alg", "kid"}, "nothing private is published"
    return str(key["kid"])


def test_metadata_is_the_same_at_the_address_of_rfc_8414(parties: Parties) -> None:
    one = parties.http.get(f"{parties.issuer}/.well-known/openid-configuration")
    other = parties.http.get(f"{parties.base_url}/.well-known/oauth-authorization-server/identity")
    assert one.json() == other.json()
    assert one.json()["issuer"] == parties.issuer
    assert one.json()["code_challenge_methods_supported"] == ["S256"]


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_both_ways_of_giving_the_secret_work(parties: Parties, method: str) -> None:
    client = parties.client(token_endpoint_auth_method=method)
    token = client.fetch_token(f"{parties.issuer}/token", code=parties.code(), code_verifier=VERIFIER)
    assert token["token_type"] == "Bearer"


def test_nonce_state_and_pkce_may_be_left_out(parties: Parties) -> None:
    url = f"{parties.issuer}/authorize?response_type=code&client_id={CLIENT_ID}&redirect_uri={REDIRECT}&scope=openid"
    answer = parties.answer(url, person=ALICE.email)
    assert answer.keys() == {"code", "iss"}
    response = parties.http.post(
        f"{parties.issuer}/token",
        data={"grant_type": "authorization_code", "code": answer["code"], "redirect_uri": REDIRECT},
        auth=(CLIENT_ID, CLIENT_SECRET),
    )
    claims = claims_in(parties, response.json()["id_token"])
    assert "nonce" not in claims
    assert "email" not in claims, "the scope was openid alone"


def test_without_the_scope_openid_there_is_no_id_token(parties: Parties) -> None:
    url = parties.authorization_url(parties.client(scope="email"))
    token = parties.redeem(parties.answer(url, person=ALICE.email)["code"]).json()
    assert "id_token" not in token
    assert token["scope"] == "email"


def test_anybody_can_sign_in(parties: Parties) -> None:
    answer = parties.answer(
        parties.authorization_url(), name="  Zoë O'Brien ", email="Zoe@Example.com", email_verified="yes"
    )
    claims = claims_in(parties, parties.redeem(answer["code"]).json()["id_token"])
    assert (claims["name"], claims["email"], claims["email_verified"]) == ("Zoë O'Brien", "Zoe@Example.com", True)
    assert claims["sub"] == Person("somebody", "zoe@example.com").subject


def test_an_unchecked_box_means_an_unverified_address(parties: Parties) -> None:
    answer = parties.answer(parties.authorization_url(), name="Dan", email="dan@example.com")
    claims = claims_in(parties, parties.redeem(answer["code"]).json()["id_token"])
    assert claims["email_verified"] is False


def test_a_client_may_post_its_request(parties: Parties) -> None:
    path, _, query = parties.authorization_url().partition("?")
    response = parties.http.post(path, content=query, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert response.status_code == 303
    chooser = parties.http.get(f"{parties.base_url}{response.headers['location']}")
    assert "Choose a person" in chooser.text


def test_userinfo_wants_a_live_token(parties: Parties) -> None:
    address = f"{parties.issuer}/userinfo"
    nothing = parties.http.get(address)
    assert (nothing.status_code, nothing.headers["www-authenticate"]) == (401, "Bearer")

    wrong = parties.http.get(address, headers={"Authorization": "Bearer wrong"})
    assert (wrong.status_code, wrong.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')

    token = parties.redeem(parties.code()).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert parties.http.post(address, headers=bearer).json()["sub"] == ALICE.subject
    parties.clock.now += 3600
    assert parties.http.get(address, headers=bearer).status_code == 401
