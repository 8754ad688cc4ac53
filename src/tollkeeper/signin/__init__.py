"""Signing in at an OpenID Connect issuer or GitHub: a round trip of the browser that ends in an identity."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tollkeeper.errors import SignInFailed
from tollkeeper.model.people import Identity
from tollkeeper.signin.attempt import Attempt, AttemptSeal, Pending, check_belongs
from tollkeeper.signin.issuer import GITHUB, GitHubAddresses, Issuer
from tollkeeper.signin.settings import IssuerSettings

if TYPE_CHECKING:
    from tollkeeper.signin.wire import Wire

__all__ = ["Attempt", "AttemptSeal", "GitHubAddresses", "Pending", "SignInService"]


class SignInService:
    """The configured issuers.

    Args:
        issuers: their settings; ``id`` is unique.
        clock: Unix seconds, UTC.
        github: where GitHub answers.
        timeout: the total time that each request to an issuer may take, in seconds.
    """

    def __init__(
        self,
        issuers: Sequence[IssuerSettings],
        *,
        clock: Callable[[], int],
        github: GitHubAddresses = GITHUB,
        timeout: float = 10,
    ) -> None:
        self._settings = {settings.id: settings for settings in issuers}
        self._clock = clock
        self._github = github
        self._timeout = timeout
        self._opening = asyncio.Lock()
        self._opened: tuple[Wire, dict[str, Issuer]] | None = None

    async def begin(self, issuer_id: str, redirect_uri: str) -> Attempt:
        """Where to send a browser that wants to sign in, and the secrets it must bring back.

        Raises:
            SignInFailed: no such issuer, or its discovery document must not be trusted.
            IssuerUnavailable: it does not answer.
        """
        async with self._reached(issuer_id) as issuer:
            return await issuer.begin(redirect_uri)

    async def finish(
        self, attempt: Mapping[str, str], issuer_id: str, redirect_uri: str, params: Mapping[str, str]
    ) -> Identity:
        """Who came back. ``redirect_uri`` is the one the attempt was begun with; ``params`` is the query it received.

        Raises:
            SignInFailed: the answer is not one to this attempt, or must not be trusted, or the person refused.
            IssuerUnavailable: the issuer does not answer.
        """
        check_belongs(attempt, issuer_id, params)
        async with self._reached(issuer_id) as issuer:
            return await issuer.identify(attempt, redirect_uri, params)

    async def close(self) -> None:
        """Closes the connections to issuers."""
        if self._opened is not None:
            wire, _ = self._opened
            await wire.close()

    @asynccontextmanager
    async def _reached(self, issuer_id: str) -> AsyncIterator[Issuer]:
        if issuer_id not in self._settings:
            raise SignInFailed("no such issuer")
        async with self._opening:
            if self._opened is None:
                # Importing the libraries and reading the certificates would hold up the event loop.
                self._opened = await asyncio.to_thread(self._open)
            wire, issuers = self._opened
        with wire.failures_named():
            yield issuers[issuer_id]

    def _open(self) -> "tuple[Wire, dict[str, Issuer]]":
        from tollkeeper.signin.github import GitHubIssuer
        from tollkeeper.signin.openid import OpenIDIssuer
        from tollkeeper.signin.wire import Wire

        wire = Wire(self._timeout)

        def opened(settings: IssuerSettings) -> Issuer:
            if settings.kind == "github":
                return GitHubIssuer(settings, wire, self._github)
            return OpenIDIssuer(settings, wire, clock=self._clock)

        return wire, {issuer_id: opened(settings) for issuer_id, settings in self._settings.items()}
