"""Which headers are believed of whom: only a configured proxy says where a request comes from."""

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from tollkeeper.settings.parsers import Network
from tollkeeper.web.addresses import address_of, plain

log = structlog.get_logger()


NAME_YOUR_PROXY = (
    "If that is your own proxy, add its address to TRUSTED_PROXIES. If not, a stranger reached us past it."
)


# Where a request's scope keeps the client and headers that it arrived with.
_ARRIVED = "tollkeeper.arrived"


def arrival_of(scope: Scope) -> tuple[str, bool, bool]:
    """From which address a request came, whether with ``X-Forwarded-…``, and whether that came from a proxy of ours."""
    client, headers = scope[_ARRIVED]
    forwarded = any(map(_forwarded, headers))
    return client[0] if client else "", forwarded, forwarded and any(map(_forwarded, scope["headers"]))


class OnlyOurProxies:
    """Whatever strangers say in ``X-Forwarded-…`` is unsaid before anybody reads it: what is left, our proxies said."""

    def __init__(self, app: ASGIApp, trusted_headers: "TrustedHeaders") -> None:
        self.app = app
        self.trusted_headers = trusted_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            # uvicorn, which goes by the same list to tell whom a proxy speaks for, must know it by the same address.
            headers, client = self.trusted_headers(scope), plain(scope.get("client"))
            scope = dict(scope, headers=headers, client=client, **{_ARRIVED: (client, scope["headers"])})
        await self.app(scope, receive, send)


class TrustedHeaders:
    """A request's headers, without ``X-Forwarded-…`` unless one of our proxies sent it.

    A proxy that the settings do not name makes all its visitors one, and the gate forget their pages. So the first few
    addresses that send such headers without being trusted are logged, once each: a stranger who comes first must not
    hide a proxy.
    """

    MOST_LOGGED = 5

    def __init__(self, trusted: tuple[Network, ...]) -> None:
        self._trusted = trusted
        self._reported: set[str] = set()

    def __call__(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if not any(map(_forwarded, headers)):
            return headers
        address = address_of(scope["client"])
        if address is not None and any(address in network for network in self._trusted):
            return headers
        self._report(str(address or "unknown"))
        return [header for header in headers if not _forwarded(header)]

    def _report(self, address: str) -> None:
        if address not in self._reported and len(self._reported) < self.MOST_LOGGED:
            self._reported.add(address)
            log.warning("not believed", header="X-Forwarded-...", sent_by=address, advice=NAME_YOUR_PROXY)


def _forwarded(header: tuple[bytes, bytes]) -> bool:
    return header[0].startswith(b"x-forwarded-")
