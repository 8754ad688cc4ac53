"""The protocol: Authlib's authorization server with this issuer's code grant, PKCE rule and ID token."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from authlib.common.urls import add_params_to_uri  # type: ignore[import-untyped]
from authlib.oauth2 import OAuth2Error, OAuth2Request  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749 import AuthorizationServer, InvalidRequestError  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749.authenticate_client import (  # type: ignore[import-untyped]
    authenticate_client_secret_basic,
)
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload  # type: ignore[import-untyped]
from authlib.oauth2.rfc7636 import CodeChallenge  # type: ignore[import-untyped]
from authlib.oidc.core import OpenIDCode  # type: ignore[import-untyped]
from joserfc.jwk import RSAKey
from starlette.responses import JSONResponse, RedirectResponse, Response

from tollkeeper_sandbox.identity.client import AUTH_METHODS, Client, same
from tollkeeper_sandbox.identity.expiring import Expiring
from tollkeeper_sandbox.people import Person

CODE_SECONDS = 60
TOKEN_SECONDS = 3600
OUTSTANDING = 10_000
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code that is not redeemed yet, with the methods that Authlib calls."""

    code: str
    redirect_uri: str
    scope: str
    person: Person
    nonce: str | None
    code_challenge: str | None
    code_challenge_method: str | None
    auth_time: int

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str | None:
        return self.nonce

    def get_auth_time(self) -> int:
        return self.auth_time

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Access:
    """What an access token gives access to."""

    person: Person
    scope: str


class Payload(BasicOAuth2Payload):  # type: ignore[misc]
    """The parameters of a request, each at most once."""

    @property
    def response_type(self) -> str | None:
        # Authlib quotes it in an error description, which allows only some characters.
        given: str | None = self.data.get("response_type")
        return given if given is None or re.fullmatch(r"[a-z_ ]{1,100}", given) else "unknown"


class ProtocolRequest(OAuth2Request):  # type: ignore[misc]
    """A request to the authorization or token endpoint, in the form that Authlib needs."""

    def __init__(self, method: str, parameters: dict[str, str], headers: Mapping[str, str] | None = None) -> None:
        # Authlib refuses plain http here, but a sandbox may be served over it.
        super().__init__(method, "https://sandbox.invalid", headers=headers)
        self.payload = Payload(parameters)
        self._form = parameters

    @property
    def form(self) -> dict[str, str]:
        return self._form


class Grant(AuthorizationCodeGrant):  # type: ignore[misc]
    """Authorization codes that are valid for 60 seconds and only once."""

    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = list(AUTH_METHODS)
    server: "IdentityServer"

    def generate_authorization_code(self) -> str:
        return self.server.token(SECRET_BYTES)

    def save_authorization_code(self, code: str, request: ProtocolRequest) -> None:
        data = request.payload.data
        waiting = Code(
            code=code,
            redirect_uri=data["redirect_uri"],
            scope=request.scope,
            person=request.user,
            nonce=data.get("nonce"),
            code_challenge=data.get("code_challenge"),
            code_challenge_method=data.get("code_challenge_method"),
            auth_time=self.server.now(),
        )
        self.server.codes.keep(code, waiting)

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        return self.server.codes.get(code)

    def delete_authorization_code(self, authorization_code: Code) -> None:
        self.server.codes.drop(authorization_code.code)

    def authenticate_user(self, authorization_code: Code) -> Person:
        return authorization_code.person


class S256Only(CodeChallenge):  # type: ignore[misc]
    """PKCE (RFC 7636) without the method ``plain``, which is also the default method."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: Grant, redirect_uri: str) -> None:
        super().validate_code_challenge(grant, redirect_uri)
        data = grant.request.payload.data
        if "code_challenge" in data and "code_challenge_method" not in data:
            raise InvalidRequestError("The code_challenge_method must be S256.")


class IdToken(OpenIDCode):  # type: ignore[misc]
    """The ID token that comes with an access token, for the scope ``openid``."""

    def __init__(self, server: "IdentityServer") -> None:
        super().__init__(require_nonce=False)
        self._server = server

    def exists_nonce(self, nonce: str, request: ProtocolRequest) -> bool:
        return False  # the client checks it

    def resolve_client_private_key(self, client: Client) -> RSAKey:
        return self._server.key

    def get_client_algorithm(self, client: Client) -> str:
        return "RS256"

    def get_encode_header(self, client: Client) -> dict[str, str | None]:
        return {"alg": "RS256", "typ": "JWT", "kid": self._server.key.kid}

    def get_client_claims(self, client: Client) -> dict[str, str | int]:
        now = self._server.now()
        return {
            "iss": self._server.issuer,
            "aud": client.client_id,
            "iat": now,
            "exp": now + TOKEN_SECONDS,
        }

    def generate_user_info(self, user: Person, scope: str) -> dict[str, str | bool]:
        return user.claims(scope)


class IdentityServer(AuthorizationServer):  # type: ignore[misc]
    """Authlib's server, with Starlette's responses and with secrets in memory."""

    def __init__(
        self,
        issuer: str,
        client: Client,
        key: RSAKey,
        clock: Callable[[], float],
        token: Callable[[int], str],
    ) -> None:
        super().__init__()
        self.issuer = issuer
        self.key = key
        self.token = token
        self.codes = Expiring[Code](lifetime=CODE_SECONDS, limit=OUTSTANDING, clock=clock)
        self.accesses = Expiring[Access](lifetime=TOKEN_SECONDS, limit=OUTSTANDING, clock=clock)
        self._client = client
        self._clock = clock
        self.register_grant(Grant, [S256Only(required=False), IdToken(self)])
        self.register_token_generator("default", self._bearer_token)
        self.register_client_auth_method("client_secret_basic", _authenticate_basic)

    def begin(self, parameters: dict[str, str]) -> Grant:
        """Check an authorization request.

        Raises ``OAuth2Error``, with ``redirect_uri`` if the error may be sent there.
        """
        grant: Grant = self.get_consent_grant(ProtocolRequest("GET", parameters))
        return grant

    def finish(self, grant: Grant, person: Person | None) -> Response:
        """Send the browser back: with a code for ``person``, or denied."""
        response: Response = self.create_authorization_response(grant.request, person, grant)
        return response

    def redeem(self, form: dict[str, str], headers: Mapping[str, str]) -> Response:
        """Return the response to a request to the token endpoint."""
        response: Response = self.create_token_response(ProtocolRequest("POST", form, headers))
        return response

    def refuse(self, error: OAuth2Error) -> Response:
        """Return an error response: a redirect if the error has an address for it, otherwise JSON."""
        response: Response = self.handle_error_response(None, error)
        return response

    def now(self) -> int:
        return int(self._clock())

    def query_client(self, client_id: str) -> Client | None:
        return self._client if same(client_id, self._client.client_id) else None

    def create_oauth2_request(self, request: ProtocolRequest) -> ProtocolRequest:
        return request

    def save_token(self, token: dict[str, Any], request: ProtocolRequest) -> None:
        self.accesses.keep(token["access_token"], Access(request.user, token["scope"]))

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Do nothing: nobody listens to signals."""

    def handle_response(self, status: int, body: dict[str, Any] | str, headers: list[tuple[str, str]]) -> Response:
        named = dict(headers)
        if location := named.get("Location"):
            return self._redirect(location)
        return JSONResponse(body, status, named)

    def _redirect(self, location: str) -> Response:
        # RFC 9207: a response names its issuer. RFC 9700, 4.12: 303, so that a form post becomes a GET.
        named = add_params_to_uri(location, {"iss": self.issuer})
        return RedirectResponse(named, 303, {"Cache-Control": "no-store"})

    def _bearer_token(self, scope: str, **_: object) -> dict[str, str | int]:
        return {
            "token_type": "Bearer",
            "access_token": self.token(SECRET_BYTES),
            "expires_in": TOKEN_SECONDS,
            "scope": scope,
        }


def _authenticate_basic(query_client: Callable[[str], Client | None], request: ProtocolRequest) -> object:
    try:
        return authenticate_client_secret_basic(query_client, request)
    except ValueError:  # credentials that are not text
        return None
