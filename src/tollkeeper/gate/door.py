"""Who is this, and may they pass? Every page asks here, and only the login session's cookie counts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tollkeeper.catalog import Catalog
from tollkeeper.gate.access import Allow, Decision, decide
from tollkeeper.gate.login_sessions import digest
from tollkeeper.model.access import Visitor
from tollkeeper.storage.database import Database

# A token of 32 random bytes in base64 is 43 characters long; nothing else is worth a look-up.
TOKEN_LENGTH = 43


@dataclass(frozen=True, slots=True)
class Gate:
    """Finds the visitor behind a request, and decides."""

    database: Database
    catalog: Catalog
    live: bool
    clock: Callable[[], int]
    cookie: str
    """The name of the login session's cookie."""
    cookie_apart: str
    """Its name on a host that has its own login sessions."""

    async def visitor(self, headers: Iterable[tuple[bytes, bytes]], host: str = "") -> Visitor | None:
        """The person behind a request, or None. Asks the database each time, so the answer is never stale.

        ``host`` is the requested host, if it has its own login sessions: only those count there, and nowhere else.
        """
        token_hash = self._token_hash(headers, self.cookie_apart if host else self.cookie)
        if token_hash is None:
            return None
        return await self.database.find_visitor(token_hash, host=host, live=self.live, now=self.clock())

    def allow_at_once(self, headers: Iterable[tuple[bytes, bytes]], feature: str) -> Allow | None:
        """The same with the decision, without waiting: None if they may not pass, or the database is not ready.

        Not for hosts that have their own login sessions.
        """
        find, token_hash = self.database.find_at_once, self._token_hash(headers, self.cookie)
        if find is None or token_hash is None:
            return None
        decision = self.decide(find(token_hash, live=self.live, now=self.clock()), feature)
        return decision if isinstance(decision, Allow) else None

    def _token_hash(self, headers: Iterable[tuple[bytes, bytes]], cookie: str) -> str | None:
        token = cookie_in(headers, cookie)
        return digest(token) if len(token) == TOKEN_LENGTH else None

    def decide(self, visitor: Visitor | None, feature: str) -> Decision:
        """Whether the visitor may use a feature now."""
        return decide(visitor, feature, self.catalog, self.clock())


def cookie_in(headers: Iterable[tuple[bytes, bytes]], cookie: str) -> str:
    """One cookie's value in a request's headers (with lower-case names); the last of several, as frameworks do.

    All other cookies stay unparsed: a gate also sees those of the app behind it. Only blanks and tabs are stripped from
    names, as in browsers (RFC 6265, section 5.2). If other Unicode spaces were stripped too, a name starting with one
    would be ours here, but a browser would not protect it, and other hosts of the domain could set it.
    """
    wanted, found = cookie.encode(), b""
    for name, value in headers:
        if name == b"cookie" and wanted in value:
            for pair in value.split(b";"):
                key, _, said = pair.partition(b"=")
                if key.strip(b" \t") == wanted:
                    found = said.strip(b" \t")
    return found.decode("latin-1")
