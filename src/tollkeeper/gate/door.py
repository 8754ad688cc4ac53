"""Who is this, and may they pass? Every page asks here, and nothing counts but the login session's cookie."""

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
    """Its name at a host that has login sessions of its own."""

    async def visitor(self, headers: Iterable[tuple[bytes, bytes]], host: str = "") -> Visitor | None:
        """The person behind a request, or None. Asks the database each time: what it answers is never old.

        ``host`` is the host asked for, if it has login sessions of its own: no other counts there, nor they elsewhere.
        """
        token_hash = self._token_hash(headers, self.cookie_apart if host else self.cookie)
        if token_hash is None:
            return None
        return await self.database.find_visitor(token_hash, host=host, live=self.live, now=self.clock())

    def allow_at_once(self, headers: Iterable[tuple[bytes, bytes]], feature: str) -> Allow | None:
        """The same and the decision, without waiting: None if they may not pass, or the database must be waited for.

        Not for hosts that have login sessions of their own.
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
    """What a request's headers, their names in lower case, say in one cookie; the last of several, as frameworks do.

    All other cookies stay unparsed: a gate sees those of the app behind it, too. Names lose blanks and tabs alone, as
    in browsers (RFC 6265, section 5.2). Were more taken off, as text loses what Unicode calls a space, then a name with
    that in front would be ours here, but nothing to protect to a browser, and other hosts of the domain could set it.
    """
    wanted, found = cookie.encode(), b""
    for name, value in headers:
        if name == b"cookie" and wanted in value:
            for pair in value.split(b";"):
                key, _, said = pair.partition(b"=")
                if key.strip(b" \t") == wanted:
                    found = said.strip(b" \t")
    return found.decode("latin-1")
