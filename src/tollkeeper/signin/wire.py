"""Requests to an issuer: HTTP with limits, the two OAuth requests, and one place that turns failures into our errors.

Importing this takes a tenth of a second: Authlib, cryptography and the HTTP client come with it.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx2
from authlib.integrations.base_client import OAuthError  # type: ignore[import-untyped]
from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]
from joserfc.errors import ClaimError, JoseError

from tollkeeper.errors import IssuerUnavailable, SignInFailed, TollkeeperError
from tollkeeper.signin.attempt import Attempt, new_secrets, refusal
from tollkeeper.signin.settings import IssuerSettings

MAX_ANSWER_BYTES = 1024 * 1024

# A connection that was idle for longer than two seconds is not reused. Servers close theirs after five seconds or
# more; a request on a connection that is just closing would be a failed sign-in.
LIMITS = httpx2.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=2)
KEPT_HEADERS = ("Content-Type", "Date", "Age")
_HEADERS = {"Accept": "application/json", "User-Agent": "tollkeeper"}


class Wire:
    """HTTP to issuers. Redirects are not followed; every request may take ``timeout`` seconds and 1 MiB in total."""

    def __init__(self, timeout: float) -> None:
        self._transport = _BoundedTransport(timeout)
        self._http = httpx2.AsyncClient(transport=self._transport, timeout=None, headers=_HEADERS)

    async def close(self) -> None:
        await self._http.aclose()

    async def get_json(self, url: str, access_token: str | None = None) -> Any:
        """The JSON at an address.

        Raises:
            IssuerUnavailable: the answer is not 200, or is not JSON.
        """
        return self.json_of(await self.get(url, access_token))

    async def get(self, url: str, access_token: str | None = None) -> httpx2.Response:
        """Whatever is answered at an address."""
        headers = {"Authorization": f"Bearer {access_token}"} if access_token else {}
        return await self._http.get(url, headers=headers)

    def json_of(self, response: httpx2.Response) -> Any:
        """The JSON of an answer. Raises ``IssuerUnavailable`` if it is not 200, or is not JSON."""
        host = urlsplit(str(response.request.url)).hostname
        if response.status_code != httpx2.codes.OK:
            raise IssuerUnavailable(f"{host} answered {response.status_code}")
        try:
            return response.json()
        except (ValueError, RecursionError):
            raise IssuerUnavailable(f"{host} answered something other than JSON") from None

    def begin(self, settings: IssuerSettings, endpoint: str, redirect_uri: str, scope: str) -> Attempt:
        """The authorization request (RFC 6749 section 4.1.1) with PKCE by S256 (RFC 7636)."""
        secrets = new_secrets(settings.id)
        url, _ = self._oauth(settings).create_authorization_url(
            endpoint,
            redirect_uri=redirect_uri,
            scope=scope,
            state=secrets["state"],
            nonce=secrets["nonce"],
            code_verifier=secrets["code_verifier"],
        )
        return Attempt(url, secrets)

    async def exchange(
        self, settings: IssuerSettings, endpoint: str, redirect_uri: str, code: str, attempt: Mapping[str, str]
    ) -> dict[str, Any]:
        """The token request (RFC 6749 section 4.1.3): a code for tokens."""
        oauth = self._oauth(settings)
        oauth.register_compliance_hook("access_token_response", _definite)
        token: dict[str, Any] = await oauth.fetch_token(
            endpoint,
            grant_type="authorization_code",
            code=code,
            redirect_uri=redirect_uri,
            code_verifier=attempt["code_verifier"],
        )
        return token

    async def try_code(
        self, settings: IssuerSettings, endpoint: str, redirect_uri: str, code: str, verifier: str
    ) -> httpx2.Response:
        """The same request with a code that does not exist, and whatever is answered to it."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        form |= {"code_verifier": verifier}
        auth: httpx2.Auth = httpx2.Auth()  # adds nothing
        if settings.client_auth == "client_secret_basic":
            # RFC 6749 section 2.3.1 would have both form-encoded first; nobody does, and Authlib does not either.
            auth = httpx2.BasicAuth(settings.client_id, settings.client_secret)
        else:
            form |= {"client_id": settings.client_id, "client_secret": settings.client_secret}
        return await self._http.post(endpoint, data=form, auth=auth)

    @contextmanager
    def failures_named(self) -> Iterator[None]:
        """Turns whatever fails into our errors, with reasons that hold no code, token or secret.

        The cause is dropped on purpose: the messages of libraries may quote the input that they failed on.
        """
        try:
            yield
        except TollkeeperError:
            raise
        except OAuthError as error:
            raise refusal(str(error.error)) from None
        except ClaimError as error:
            raise SignInFailed(f"the ID token has a bad claim: {error.claim} ({error.error})") from None
        except JoseError as error:
            raise SignInFailed(f"the ID token is not to be trusted: {error.error}") from None
        except (httpx2.HTTPError, OSError) as error:  # TimeoutError is an OSError
            raise IssuerUnavailable(f"the issuer could not be reached: {type(error).__name__}") from None
        except Exception as error:  # a hostile answer may make any library fail in any way
            raise SignInFailed(f"the issuer's answer could not be used: {type(error).__name__}") from None

    def _oauth(self, settings: IssuerSettings) -> Any:
        # One for each use: it remembers the last token. Of an issuer's metadata it is given nothing, because it
        # would take any entry named like one of its own options (verify, proxy, timeout) for that option.
        return AsyncOAuth2Client(
            settings.client_id,
            settings.client_secret,
            token_endpoint_auth_method=settings.client_auth,
            code_challenge_method="S256",
            transport=self._transport,
            timeout=None,
        )


class _BoundedTransport(httpx2.AsyncBaseTransport):
    """Reads whole answers, within a time and a size."""

    def __init__(self, timeout: float) -> None:
        self._inner = httpx2.AsyncHTTPTransport(limits=LIMITS)
        self._timeout = timeout

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["Accept-Encoding"] = "identity"
        async with asyncio.timeout(self._timeout):
            response = await self._inner.handle_async_request(request)
            try:
                body = await _bounded_body(response)
            finally:
                await response.aclose()
        # Nothing else of it is used; cookies above all must not go from one person's sign-in to the next.
        headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
        return httpx2.Response(response.status_code, headers=headers, content=body)

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _bounded_body(response: httpx2.Response) -> bytes:
    # A small compressed answer can be a huge one, so none is unpacked.
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise IssuerUnavailable("the issuer compressed an answer unasked")
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > MAX_ANSWER_BYTES:
            raise IssuerUnavailable("the issuer's answer is too long")
    return bytes(body)


def _definite(response: httpx2.Response) -> httpx2.Response:
    """Tokens come with 2xx, refusals with 400 or 401 (RFC 6749 section 5); nothing else is an answer."""
    refused = response.status_code in (httpx2.codes.BAD_REQUEST, httpx2.codes.UNAUTHORIZED)
    if not response.is_success and not refused:
        raise IssuerUnavailable(f"the issuer answered {response.status_code} to the code")
    return response
