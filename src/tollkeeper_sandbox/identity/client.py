"""The only client of the issuer, and where a browser may be sent."""

import hmac
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import InvalidRequestError  # type: ignore[import-untyped]

AUTH_METHODS = ("client_secret_basic", "client_secret_post")
SCOPES = ("openid", "profile", "email")

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
URI = re.compile(r"[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]{1,2000}")  # RFC 3986, without the fragment


@dataclass(frozen=True, slots=True)
class Client:
    """The app that signs people in, with the methods that Authlib calls."""

    client_id: str
    client_secret: str

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        return None

    def get_allowed_scope(self, scope: str | None) -> str:
        return " ".join(word for word in (scope or "").split() if word in SCOPES)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        if not may_redirect_to(redirect_uri):
            raise InvalidRequestError("The redirect_uri must be https, or http on this machine.")
        return True

    def check_client_secret(self, client_secret: str) -> bool:
        return same(client_secret, self.client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in AUTH_METHODS

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


def may_redirect_to(uri: str) -> bool:
    """Return whether a browser may be sent to ``uri``: https anywhere, or http on the loopback interface.

    Refused are a fragment (RFC 6749, 3.1.2), a user name or password, and characters that are not allowed in a URI.
    """
    if not URI.fullmatch(uri):
        return False
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return False
    if not parts.hostname or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def same(given: str, expected: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(given.encode(), expected.encode())
