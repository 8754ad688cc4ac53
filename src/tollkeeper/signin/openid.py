"""Any OpenID Connect issuer, by the authorization code flow."""

from collections.abc import Callable, Mapping
from typing import Any

from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from tollkeeper.errors import SignInFailed
from tollkeeper.model.people import Identity
from tollkeeper.signin.attempt import Attempt, code_from
from tollkeeper.signin.claims import name_or_greeting, readable_name, subject_of, verified_email, why_dropped
from tollkeeper.signin.discovery import Discovery, discovery_address, read_discovery
from tollkeeper.signin.kept import Kept
from tollkeeper.signin.keys import usable_keys
from tollkeeper.signin.settings import IssuerSettings
from tollkeeper.signin.wire import Wire

SCOPE = "openid profile email"
KEEP_SECONDS = 3600
REFETCH_SECONDS = 60
LEEWAY_SECONDS = 60


class OpenIDIssuer:
    """Sign-in by OpenID Connect Core 1.0 section 3.1, with discovery."""

    def __init__(self, settings: IssuerSettings, wire: Wire, *, clock: Callable[[], int]) -> None:
        self._settings = settings
        self._wire = wire
        self._clock = clock
        self._discovery = Kept(self._fetch_discovery, clock=clock)
        self._keys = Kept(self._fetch_keys, clock=clock)

    async def begin(self, redirect_uri: str) -> Attempt:
        discovery = await self._discovery.get(KEEP_SECONDS)
        return self._wire.begin(self._settings, discovery.authorization_endpoint, redirect_uri, SCOPE)

    async def identify(self, attempt: Mapping[str, str], redirect_uri: str, params: Mapping[str, str]) -> Identity:
        discovery = await self._discovery.get(KEEP_SECONDS)
        code = code_from(params, issuer=self._settings.issuer_url, must_name_issuer=discovery.names_itself)
        token = await self._wire.exchange(self._settings, discovery.token_endpoint, redirect_uri, code, attempt)
        claims = await self._id_token_claims(token, discovery, attempt["nonce"])
        subject = subject_of(claims)
        name, email, dropped = _name(claims), verified_email(claims), why_dropped(claims)
        if name is None or email is None:
            more = await self._userinfo(token, discovery, subject)
            # An address counts by the email_verified that came with it, so the two sets of claims are never mixed.
            name, email, dropped = name or _name(more), email or verified_email(more), dropped or why_dropped(more)
        shown = name_or_greeting(name, email)
        return Identity(self._settings.issuer_url, subject, shown, email, None if email else dropped)

    async def _id_token_claims(self, token: Mapping[str, Any], discovery: Discovery, nonce: str) -> Mapping[str, Any]:
        id_token = token.get("id_token")
        if not isinstance(id_token, str):
            raise SignInFailed("the issuer sent no ID token")
        decoded = await self._verify_signature(id_token, discovery.algorithms)
        # Authlib only requires that these are present, unless it is given the value.
        expected = {
            "iss": {"essential": True, "value": self._settings.issuer_url},
            "aud": {"essential": True, "value": self._settings.client_id},
        }
        context = {"client_id": self._settings.client_id, "nonce": nonce, "access_token": token.get("access_token")}
        claims: Mapping[str, Any] = CodeIDToken(decoded.claims, decoded.header, expected, context)
        claims.validate(now=self._clock(), leeway=LEEWAY_SECONDS)  # type: ignore[attr-defined]
        return claims

    async def _verify_signature(self, id_token: str, algorithms: tuple[str, ...]) -> jwt.Token:
        registry = JWSRegistry(algorithms=algorithms, strict_check_header=False)
        try:
            return jwt.decode(id_token, await self._keys.get(KEEP_SECONDS), registry=registry)
        except (InvalidKeyIdError, BadSignatureError):
            # The keys may have been rotated since: ask again, but not for every token.
            return jwt.decode(id_token, await self._keys.get(REFETCH_SECONDS), registry=registry)

    async def _userinfo(self, token: Mapping[str, Any], discovery: Discovery, subject: str) -> Mapping[str, Any]:
        access_token = token.get("access_token")
        if discovery.userinfo_endpoint is None or not isinstance(access_token, str):
            return {}
        claims = await self._wire.get_json(discovery.userinfo_endpoint, access_token)
        # OpenID Connect Core section 5.3.2: otherwise it may be about somebody else.
        if not isinstance(claims, dict) or claims.get("sub") != subject:
            raise SignInFailed("the user info is not about the person of the ID token")
        return claims

    async def _fetch_discovery(self) -> Discovery:
        document = await self._wire.get_json(discovery_address(self._settings.issuer_url))
        return read_discovery(document, self._settings.issuer_url)

    async def _fetch_keys(self) -> KeySet:
        discovery = await self._discovery.get(KEEP_SECONDS)
        return usable_keys(await self._wire.get_json(discovery.jwks_uri))


def _name(claims: Mapping[str, Any]) -> str | None:
    return readable_name(*(claims.get(name) for name in ("name", "preferred_username", "nickname")))
