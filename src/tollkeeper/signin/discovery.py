"""PURE. An issuer's discovery document, read strictly."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tollkeeper.errors import SignInFailed

# Symmetric algorithms would let anyone who knows the client secret sign; "none" lets everybody.
TRUSTED_ALGORITHMS = (
    *("RS256", "RS384", "RS512"),
    *("PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512"),
    "EdDSA",
)


@dataclass(frozen=True, slots=True)
class Discovery:
    """The parts of the document that sign-in uses; the rest is not stored."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    algorithms: tuple[str, ...]
    names_itself: bool
    """Whether answers to the browser carry the issuer's name: RFC 9207 section 3."""


def discovery_address(issuer: str) -> str:
    """OpenID Connect Discovery section 4."""
    return issuer.rstrip("/") + "/.well-known/openid-configuration"


def read_discovery(document: object, issuer: str) -> Discovery:
    """The document of ``issuer``.

    Raises:
        SignInFailed: it is another issuer's (OpenID Connect Discovery section 4.3, RFC 8414 section 3.3), or lacks
            what is needed.
    """
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise SignInFailed("the discovery document does not name the configured issuer, character by character")
    return Discovery(
        authorization_endpoint=_endpoint(document, "authorization_endpoint", issuer),
        token_endpoint=_endpoint(document, "token_endpoint", issuer),
        jwks_uri=_endpoint(document, "jwks_uri", issuer),
        userinfo_endpoint=_endpoint(document, "userinfo_endpoint", issuer) if "userinfo_endpoint" in document else None,
        algorithms=_algorithms(document),
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(document: Mapping[str, Any], name: str, issuer: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
        raise SignInFailed(f"the discovery document has no usable {name}")
    address = urlsplit(value)
    # Plain http is only for an issuer on one's own machine that itself uses plain http.
    if address.scheme not in {"https", urlsplit(issuer).scheme} or not address.hostname:
        raise SignInFailed(f"the discovery document has an unsafe {name}")
    return value


def _algorithms(document: Mapping[str, Any]) -> tuple[str, ...]:
    advertised = document.get("id_token_signing_alg_values_supported", ["RS256"])
    algorithms = tuple(name for name in TRUSTED_ALGORITHMS if name in advertised)
    if not algorithms:  # an empty list would mean "any" further down
        raise SignInFailed("the issuer signs with no algorithm that is trusted")
    return algorithms
