"""Off sale: what the provider refuses to sell, everybody or one person, until somebody changes something."""

from collections import Counter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, select, update

from tollkeeper.errors import Scope
from tollkeeper.model.orders import Mode
from tollkeeper.model.selling import OffSale
from tollkeeper.storage.inserts import insert_into
from tollkeeper.storage.realms import in_mode
from tollkeeper.storage.rows import from_row, to_row
from tollkeeper.storage.tables import off_sale

EVERYBODY = ""


def note(conn: Connection, mode: Mode, found: OffSale) -> bool:
    """Keep that something was refused. False when it was known already, for the same cause."""
    news = to_row(found, "product", "price_id", "person_id")
    fresh = insert_into(conn.dialect.name, off_sale).values(**_key(mode, found), **news)
    if conn.scalar(fresh.on_conflict_do_nothing().returning(off_sale.c.id)) is not None:
        return True
    there = update(off_sale).where(*_same(mode, found))
    if conn.execute(there.where(off_sale.c.obstacle != found.obstacle).values(news)).rowcount == 1:
        return True
    conn.execute(there.values(tried_at=found.tried_at))
    return False


def known(conn: Connection, mode: Mode, person_id: str | None) -> tuple[OffSale, ...]:
    """What was refused to everybody, and to this person alone."""
    whose = [EVERYBODY] if person_id is None else [EVERYBODY, person_id]
    return _all(conn, in_mode(off_sale, mode), off_sale.c.person_id.in_(whose))


def newest(conn: Connection, mode: Mode, limit: int) -> tuple[OffSale, ...]:
    """What is off sale: first what concerns everybody, then the newest."""
    order = (off_sale.c.person_id != EVERYBODY, off_sale.c.since.desc(), off_sale.c.id.desc())
    rows = conn.execute(select(off_sale).where(in_mode(off_sale, mode)).order_by(*order).limit(limit))
    return tuple(_off_sale(row) for row in rows)


def count(conn: Connection, mode: Mode) -> dict[Scope, int]:
    """How much is off sale, by whom it concerns."""
    obstacles = conn.scalars(select(off_sale.c.obstacle).where(in_mode(off_sale, mode)))
    return dict.fromkeys(Scope, 0) | Counter(one.scope for one in obstacles)


def due(conn: Connection, mode: Mode, now: int, every: int) -> bool:
    """Whether anything that concerns everybody was not tried for ``every`` seconds."""
    return conn.scalar(select(off_sale.c.id).where(*_due(mode, now, every)).limit(1)) is not None


def claim(conn: Connection, mode: Mode, now: int, every: int) -> tuple[OffSale, ...]:
    """What is to be tried again now; nobody else tries it for ``every`` seconds."""
    claimed = update(off_sale).where(*_due(mode, now, every)).values(tried_at=now).returning(off_sale)
    return tuple(_off_sale(row) for row in conn.execute(claimed))


def lift(conn: Connection, mode: Mode, found: OffSale) -> bool:
    """It can be sold again, or is no longer to be. False when somebody else has noticed before."""
    return conn.execute(delete(off_sale).where(*_same(mode, found))).rowcount == 1


def forget(conn: Connection, before: int) -> None:
    """Delete what concerned one person, and was last tried before a time (Unix seconds)."""
    conn.execute(delete(off_sale).where(off_sale.c.person_id != EVERYBODY, off_sale.c.tried_at < before))


def _due(mode: Mode, now: int, every: int) -> tuple[ColumnElement[bool], ...]:
    """Later than its turn it is due, too: the clock was put back."""
    waits = and_(off_sale.c.tried_at > now - every, off_sale.c.tried_at < now + every)
    return in_mode(off_sale, mode), off_sale.c.person_id == EVERYBODY, ~waits


def _key(mode: Mode, found: OffSale) -> dict[str, Any]:
    person = found.person_id or EVERYBODY
    what = {"product": found.product, "price_id": found.price_id, "person_id": person}
    return {"provider": mode.provider, "live": mode.live, **what}


def _same(mode: Mode, found: OffSale) -> list[ColumnElement[bool]]:
    return [off_sale.c[name] == value for name, value in _key(mode, found).items()]


def _all(conn: Connection, *conditions: ColumnElement[bool]) -> tuple[OffSale, ...]:
    return tuple(_off_sale(row) for row in conn.execute(select(off_sale).where(*conditions)))


def _off_sale(row: Row[Any]) -> OffSale:
    return from_row(OffSale, row, person_id=row.person_id or None)
