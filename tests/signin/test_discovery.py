"""The discovery document in cases that a server on this machine cannot show: issuers over https."""

import pytest

from tollkeeper.errors import SignInFailed
from tollkeeper.signin.discovery import discovery_address, read_discovery

ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")


def document(issuer: str) -> dict[str, str]:
    return {"issuer": issuer} | {name: f"https://login.example/{name}" for name in ENDPOINTS}


def test_an_issuer_may_have_its_endpoints_on_another_host() -> None:
    read = read_discovery(document("https://id.example"), "https://id.example")
    assert read.token_endpoint == "https://login.example/token_endpoint"
    assert read.algorithms == ("RS256",)
    assert not read.names_itself


@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize("scheme", ["http", "ftp", "javascript"])
def test_g47_an_issuer_over_https_may_not_lead_elsewhere(name: str, scheme: str) -> None:
    led_astray = document("https://id.example") | {name: f"{scheme}://login.example/"}
    with pytest.raises(SignInFailed, match=name):
        read_discovery(led_astray, "https://id.example")


@pytest.mark.parametrize("issuer", ["https://id.example", "https://id.example/"])
def test_the_document_is_where_the_issuers_name_says(issuer: str) -> None:
    assert discovery_address(issuer) == "https://id.example/.well-known/openid-configuration"
