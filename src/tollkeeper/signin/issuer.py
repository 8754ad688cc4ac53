"""The interface of an issuer of any kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tollkeeper.model.people import Identity
from tollkeeper.signin.attempt import Attempt


class Issuer(Protocol):
    """Signs people in."""

    async def begin(self, redirect_uri: str) -> Attempt: ...

    async def identify(self, attempt: Mapping[str, str], redirect_uri: str, params: Mapping[str, str]) -> Identity: ...


@dataclass(frozen=True, slots=True)
class GitHubAddresses:
    """Where GitHub answers."""

    authorize: str = "https://github.com/login/oauth/authorize"
    token: str = "https://github.com/login/oauth/access_token"  # noqa: S105
    user: str = "https://api.github.com/user"
    emails: str = "https://api.github.com/user/emails?per_page=100"
    response_issuer: str = "https://github.com/login/oauth"
    """What GitHub calls itself in the ``iss`` of its answers to the browser (RFC 9207), when it sends one."""


GITHUB = GitHubAddresses()
