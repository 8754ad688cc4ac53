"""GitHub, which speaks OAuth but not OpenID Connect.

https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
"""

from collections.abc import Mapping
from typing import Any

from tollkeeper.errors import IssuerUnavailable, SignInFailed
from tollkeeper.model.people import Identity
from tollkeeper.signin.attempt import Attempt, code_from
from tollkeeper.signin.claims import name_or_greeting, readable_name, usable_email
from tollkeeper.signin.issuer import GitHubAddresses
from tollkeeper.signin.settings import IssuerSettings
from tollkeeper.signin.wire import Wire

SCOPE = "read:user user:email"
NOT_VERIFIED = "GitHub tells addresses, but none of them is both the primary one and verified"


class GitHubIssuer:
    """Sign-in by a GitHub OAuth app. The identity is the account's number: logins change hands."""

    def __init__(self, settings: IssuerSettings, wire: Wire, addresses: GitHubAddresses) -> None:
        self._settings = settings
        self._wire = wire
        self._addresses = addresses

    async def begin(self, redirect_uri: str) -> Attempt:
        return self._wire.begin(self._settings, self._addresses.authorize, redirect_uri, SCOPE)

    async def identify(self, attempt: Mapping[str, str], redirect_uri: str, params: Mapping[str, str]) -> Identity:
        code = code_from(params, issuer=self._addresses.response_issuer, must_name_issuer=False)
        token = await self._wire.exchange(self._settings, self._addresses.token, redirect_uri, code, attempt)
        access_token = token.get("access_token")
        if not isinstance(access_token, str) or not access_token:
            raise SignInFailed("GitHub sent no access token")
        user = await self._wire.get_json(self._addresses.user, access_token)
        emails = await self._wire.get_json(self._addresses.emails, access_token)
        email = _primary_email(emails)
        name = readable_name(user.get("name"), user.get("login"))
        dropped = NOT_VERIFIED if emails and email is None else None
        return Identity(self._settings.issuer_url, _number(user), name_or_greeting(name, email), email, dropped)


def _number(user: Mapping[str, Any]) -> str:
    number = user.get("id")
    if type(number) is not int or number <= 0:  # True is an int too
        raise SignInFailed("GitHub named no account")
    return str(number)


def _primary_email(entries: object) -> str | None:
    if not isinstance(entries, list):
        raise IssuerUnavailable("GitHub answered no list of e-mail addresses")
    return next((usable_email(entry.get("email")) for entry in entries if _primary_and_verified(entry)), None)


def _primary_and_verified(entry: Mapping[str, Any]) -> bool:
    return entry.get("primary") is True and entry.get("verified") is True
