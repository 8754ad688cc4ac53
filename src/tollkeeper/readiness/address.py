"""Asks ``PUBLIC_URL`` who answers there, as a visitor would reach it: through DNS, certificates and proxies."""

import secrets
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import httpx2

from tollkeeper.config.config import Config
from tollkeeper.model.checks import CheckResult, Examination, kind_table
from tollkeeper.readiness.presence import HEADER, PATH, PROCESS, Presence, ask, digest, presence_of

WHAT, PROXIES = "PUBLIC_URL", "TRUSTED_PROXIES"

# The longest that one request may take. Seconds.
PATIENCE = 10
MOST_BYTES = 4096

# What proxies answer for an app that they cannot reach.
NO_UPSTREAM = {502, 503, 504, 521, 522, 523}

KINDS = kind_table(
    ok={
        "address_ok": "{url} reaches this very process.",
        "address_ok_other": "{url} reaches a process of this site, with the same settings.",
        "proxy_ok": "Requests come through a proxy at {sent_by}, which is trusted.",
        "proxy_none": "Requests come without a proxy, from {sent_by}.",
    },
    warnings={
        "address_silent": (
            "Nobody answers at {url}: {trouble}.",
            "Start `tollkeeper serve`. If it runs: see that the proxy passes requests on to its port.{more}",
        ),
        "address_other_settings": (
            "The server that answers at {url} was started with other settings than these.",
            "Restart it, so that it reads them again.",
        ),
        "proxy_sends_nothing": (
            "Requests come from {sent_by} without X-Forwarded headers, so all visitors count as one.",
            "Have the proxy send X-Forwarded-For: docs/nginx.md and docs/caddy.md show how.",
        ),
    },
    faults={
        "address_unreached": (
            "This server runs, but {url} does not reach it: {trouble}.",
            "See that PUBLIC_URL is right, and that the proxy passes requests on to this server's port.{more}",
        ),
        "address_unknown": (
            "The host of {url} is not known: {trouble}.",
            "Correct PUBLIC_URL, or add the name to your domain's DNS records.",
        ),
        "address_certificate": (
            "The certificate at {url} is not accepted: {trouble}.",
            "Get a new one for this very name, and have the proxy send its whole chain.",
        ),
        "address_redirects": (
            "{url} sends visitors on to {target}.",
            "Set PUBLIC_URL to the address that visitors end on, or remove the redirect.",
        ),
        "address_other": (
            "Somebody else answers at {url}: another program, or a Tollkeeper with another SECRET_KEY ({answer}).",
            "Correct PUBLIC_URL, or see where the proxy sends requests. If it is this site: run the check with the"
            " folder and environment of the server, or restart the server.",
        ),
        "proxy_not_trusted": (
            "Requests come through a proxy at {sent_by}, which is not trusted: all visitors count as one, and the gate"
            " cannot tell which page was asked for.",
            "Set TRUSTED_PROXIES={sent_by}",
        ),
    },
)


@dataclass(frozen=True, slots=True)
class Reached:
    """What came of asking, and whether this site answered."""

    examination: Examination
    by_us: bool


async def examine(config: Config, *, serving: bool) -> Reached:
    """Ask. ``serving``: this process serves the site, so nobody to answer is a fault."""
    url, nonce = config.base_url, secrets.token_urlsafe(24)
    headers = {HEADER: ask(config.secret_keys, nonce), "User-Agent": "tollkeeper", "Accept-Encoding": "identity"}
    try:
        async with (
            httpx2.AsyncClient(timeout=PATIENCE, follow_redirects=False) as client,
            client.stream("GET", url + PATH, headers=headers) as response,
        ):
            text = await _beginning(response)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        return Reached(Examination((_unanswered(url, error, serving),)), by_us=False)
    presence = presence_of(config.secret_keys, nonce, text) if response.status_code == httpx2.codes.OK else None
    if presence is None:
        return Reached(Examination((_by_another(url, response, serving),)), by_us=False)
    results = (_by_us(url, presence, config, serving), *_way(presence, config))
    # Not the clock: it is often that of this very machine, and would always agree.
    return Reached(Examination(results), by_us=True)


async def _beginning(response: httpx2.Response) -> str:
    """Return the start of a body, which may be anybody's and of any length."""
    read = b""
    async for part in response.aiter_bytes():
        read += part
        if len(read) > MOST_BYTES:
            break
    return read[:MOST_BYTES].decode("utf-8", "replace")


def _unanswered(url: str, error: Exception, serving: bool) -> CheckResult:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return KINDS["address_unknown"].of(WHAT, url=url, trouble=cause.strerror or cause)
        if isinstance(cause, ssl.SSLError):
            told = getattr(cause, "verify_message", "") or cause.reason or "no secure connection"
            return KINDS["address_certificate"].of(WHAT, url=url, trouble=told)
    trouble = "no answer in time" if isinstance(error, httpx2.TimeoutException) else "the connection is refused"
    return _silent(url, trouble, serving)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _silent(url: str, trouble: str, serving: bool) -> CheckResult:
    more = "" if url.startswith("http://") else " Firewalls and DNS may be in the way, too."
    return KINDS["address_unreached" if serving else "address_silent"].of(WHAT, url=url, trouble=trouble, more=more)


def _by_another(url: str, response: httpx2.Response, serving: bool) -> CheckResult:
    if response.is_redirect:
        return KINDS["address_redirects"].of(WHAT, url=url, target=response.headers["Location"][:200])
    if response.status_code in NO_UPSTREAM:
        return _silent(url, f"a proxy answers {response.status_code}, for it gets no answer from Tollkeeper", serving)
    return KINDS["address_other"].of(WHAT, url=url, answer=f"status {response.status_code}")


def _by_us(url: str, presence: Presence, config: Config, serving: bool) -> CheckResult:
    if serving and presence.process == PROCESS:
        return KINDS["address_ok"].of(WHAT, url=url)
    same = presence.settings == digest(config)
    return KINDS["address_ok_other" if same else "address_other_settings"].of(WHAT, url=url)


def _way(presence: Presence, config: Config) -> Iterator[CheckResult]:
    sent_by = presence.sent_by or "an unknown address"
    if presence.forwarded:
        yield KINDS["proxy_ok" if presence.trusted else "proxy_not_trusted"].of(PROXIES, sent_by=sent_by)
    else:
        yield KINDS["proxy_sends_nothing" if config.secure else "proxy_none"].of(PROXIES, sent_by=sent_by)
