"""Asks an issuer what can be asked without a person: discovery, keys, clock, and whether it knows our client secret."""

from collections.abc import Callable, Mapping
from typing import Any

import httpx2

from tollkeeper.errors import IssuerUnavailable, SignInFailed, TollkeeperError
from tollkeeper.model.checks import CheckResult, ClockReading, Examination, clock_reading, date_of, kind_table
from tollkeeper.signin.discovery import discovery_address, read_discovery
from tollkeeper.signin.issuer import GITHUB, GitHubAddresses
from tollkeeper.signin.keys import usable_keys
from tollkeeper.signin.settings import IssuerSettings
from tollkeeper.signin.wire import Wire

# No issuer has given out this code, so it opens nothing.
NO_CODE = "tollkeeper-check-no-such-code"
NO_VERIFIER = "tollkeeper-check-no-such-verifier-0123456789abc"

# What an issuer answers to a code that does not exist, once it has accepted the client: RFC 6749 section 5.2; GitHub's
# own: https://docs.github.com/en/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors
CLIENT_KNOWN = {"invalid_grant", "bad_verification_code"}
CLIENT_REFUSED = {"invalid_client", "unauthorized_client", "incorrect_client_credentials"}
REDIRECT_REFUSED = {"redirect_uri_mismatch"}

KINDS = kind_table(
    ok={
        "issuer_ok": "It answers, its {keys} signing keys can be read, and it knows {client_id} and the secret.",
        "issuer_client_ok": "It answers, and knows {client_id} and the secret.",
    },
    warnings={
        "issuer_client_unknown": (
            "It answers, but does not tell whether it knows {client_id} and the secret: {answer}.",
            "Sign in once yourself at {login}.",
        ),
        "issuer_client_auth": (
            "It takes client secrets by {offered}, and OIDC_CLIENT_AUTH is {used}.",
            "Set OIDC_CLIENT_AUTH={first}.",
        ),
    },
    faults={
        "issuer_unreachable": (
            "{address} cannot be used: {trouble}. Nobody can sign in there now.",
            "Open the address in a browser. If it does not answer there either, ask whoever runs the issuer;"
            " if it does, this machine's network, DNS, firewall or certificates are in the way. {setting}",
        ),
        "issuer_other_name": (
            "The issuer calls itself {named}, and is set as {used}. Nobody can sign in there.",
            "Set OIDC_ISSUER={named}",
        ),
        "issuer_discovery": (
            "Its discovery document cannot be used: {trouble}. Nobody can sign in there.",
            "See that the issuer is an OpenID Connect issuer, and set OIDC_ISSUER as it names itself.",
        ),
        "issuer_keys": (
            "No usable signing key at {address}: {trouble}. Nobody can sign in there.",
            "Give the issuer a signing key for one of these algorithms: {algorithms}.",
        ),
        "issuer_client_refused": (
            "It refuses {client_id} with the secret that is set ({answer}). Nobody can sign in there.",
            "Copy the client id and the secret again from {page} into {id_setting} and {secret_setting}.{more}",
        ),
        "issuer_redirect_refused": (
            "It does not know our address to come back to, {redirect_uri}. Nobody can sign in there.",
            "Add exactly that redirect address to the client at {page}.",
        ),
    },
)

PAGES = {
    "google": "https://console.cloud.google.com/apis/credentials",
    "github": "https://github.com/settings/developers",
}


async def examine(
    settings: IssuerSettings,
    base_url: str,
    clock: Callable[[], int],
    *,
    github: GitHubAddresses = GITHUB,
    patience: float = 10,
) -> Examination:
    """Ask one issuer. ``base_url`` is what our own addresses begin with; ``patience`` is for each request, in
    seconds.
    """
    wire = Wire(patience)
    question = _Question(settings, base_url, clock, wire)
    try:
        results = await (question.github(github) if settings.kind == "github" else question.openid())
    finally:
        await wire.close()
    return Examination(results, tuple(question.clocks[-1:]))


class _Question:
    """What is asked of one issuer, up to the first thing that is wrong."""

    def __init__(self, settings: IssuerSettings, base_url: str, clock: Callable[[], int], wire: Wire) -> None:
        self._settings = settings
        self._login = f"{base_url}/login/{settings.id}"
        self._clock = clock
        self._wire = wire
        self.clocks: list[ClockReading] = []

    async def openid(self) -> tuple[CheckResult, ...]:
        address = discovery_address(self._settings.issuer_url)
        try:
            document = await self._json(address)
        except TollkeeperError as error:
            return (self._unreachable(address, error),)
        named = document.get("issuer") if isinstance(document, dict) else None
        if isinstance(named, str) and named != self._settings.issuer_url:
            return (self._result("issuer_other_name", named=named[:200], used=self._settings.issuer_url),)
        try:
            discovery = read_discovery(document, self._settings.issuer_url)
        except SignInFailed as error:
            return (self._result("issuer_discovery", trouble=error.reason),)
        algorithms = ", ".join(discovery.algorithms)
        try:
            keys = usable_keys(await self._json(discovery.jwks_uri))
            if not keys.keys:
                raise IssuerUnavailable("the list of keys is empty, or holds none that can be read")
        except TollkeeperError as error:
            return (self._result("issuer_keys", address=discovery.jwks_uri, trouble=error, algorithms=algorithms),)
        return (*self._client_auth(document), await self._client(discovery.token_endpoint, len(keys.keys)))

    async def github(self, addresses: GitHubAddresses) -> tuple[CheckResult, ...]:
        return (await self._client(addresses.token, None),)

    def _client_auth(self, document: Mapping[str, Any]) -> tuple[CheckResult, ...]:
        """https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata: left out, it means basic."""
        offered = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        ours = [one for one in ("client_secret_basic", "client_secret_post") if one in offered]
        if self._settings.id != "oidc" or self._settings.client_auth in offered or not ours:
            return ()
        words = " and ".join(ours)
        used = self._settings.client_auth
        return (self._result("issuer_client_auth", offered=words, used=used, first=ours[0]),)

    async def _client(self, endpoint: str, keys: int | None) -> CheckResult:
        """Redeem a code that does not exist: an issuer looks at the client first (RFC 6749 section 4.1.3)."""
        redirect_uri = f"{self._login}/callback"
        try:
            with self._wire.failures_named():
                response = await self._wire.try_code(self._settings, endpoint, redirect_uri, NO_CODE, NO_VERIFIER)
        except TollkeeperError as error:
            return self._unreachable(endpoint, error)
        self._note_clock(response)
        answer = _error_of(response)
        client_id = self._settings.client_id
        if answer in CLIENT_KNOWN:
            code = "issuer_client_ok" if keys is None else "issuer_ok"
            return self._result(code, client_id=client_id, keys=keys)
        if answer in REDIRECT_REFUSED:
            return self._result("issuer_redirect_refused", redirect_uri=redirect_uri, page=self._page)
        if answer in CLIENT_REFUSED or response.status_code == httpx2.codes.UNAUTHORIZED or self._unknown_app(response):
            return self._refused(answer or f"status {response.status_code}")
        if response.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR:
            return self._unreachable(endpoint, IssuerUnavailable(f"it answered {response.status_code}"))
        told = answer or f"status {response.status_code}"
        return self._result("issuer_client_unknown", client_id=client_id, answer=told, login=self._login)

    def _unknown_app(self, response: httpx2.Response) -> bool:
        """GitHub answers 404 to a client id that it does not know."""
        return self._settings.kind == "github" and response.status_code == httpx2.codes.NOT_FOUND

    def _refused(self, answer: str) -> CheckResult:
        other = {"client_secret_basic": "client_secret_post"}.get(self._settings.client_auth, "client_secret_basic")
        return self._result(
            "issuer_client_refused",
            client_id=self._settings.client_id,
            answer=answer,
            page=self._page,
            id_setting=self._setting("CLIENT_ID"),
            secret_setting=self._setting("CLIENT_SECRET"),
            more=f" If they are right, try OIDC_CLIENT_AUTH={other}." if self._settings.id == "oidc" else "",
        )

    def _unreachable(self, address: str, error: TollkeeperError) -> CheckResult:
        setting = f"If the address is wrong, correct {self._setting('ISSUER')}." if self._settings.id == "oidc" else ""
        return self._result("issuer_unreachable", address=address, trouble=error, setting=setting)

    async def _json(self, address: str) -> Any:
        """Raises ``IssuerUnavailable`` and ``SignInFailed``."""
        with self._wire.failures_named():
            response = await self._wire.get(address)
            self._note_clock(response)
            return self._wire.json_of(response)

    def _note_clock(self, response: httpx2.Response) -> None:
        well_kept = self._settings.id in PAGES  # the large ones, which run on no machine of ours
        date = date_of(response.headers)
        self.clocks += clock_reading(self._settings.name, date, self._clock(), well_kept=well_kept)

    @property
    def _page(self) -> str:
        return PAGES.get(self._settings.id, "the issuer")

    def _setting(self, name: str) -> str:
        return f"{self._settings.id.upper()}_{name}"

    def _result(self, code: str, **facts: object) -> CheckResult:
        return KINDS[code].of(f"issuer {self._settings.name}", **facts)


def _error_of(response: httpx2.Response) -> str:
    """The error code of an answer, if it has one that looks like one."""
    try:
        error = response.json().get("error")
    except (ValueError, RecursionError, AttributeError):
        return ""
    return error if isinstance(error, str) and error.replace("_", "").isalpha() and len(error) <= 40 else ""
