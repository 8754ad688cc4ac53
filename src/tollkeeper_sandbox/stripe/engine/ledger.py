"""The sandbox's storage: one SQLite file that survives a kill, committed before any response is sent.

Used from one event loop: a transaction never spans an ``await``, so calls run one after the other.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

JSON = dict[str, Any]

# `hidden` has the facts about an object that its API representation never shows.
SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    created INTEGER NOT NULL,
    body TEXT NOT NULL,
    hidden TEXT NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS objects_by_kind ON objects (kind, deleted, seq);
CREATE INDEX IF NOT EXISTS objects_by_customer ON objects (kind, json_extract(body, '$.customer'), seq);
CREATE INDEX IF NOT EXISTS objects_by_payment ON objects (kind, json_extract(body, '$.payment_intent'), seq);
CREATE INDEX IF NOT EXISTS objects_by_email ON objects (kind, json_extract(body, '$.email'), seq);
CREATE INDEX IF NOT EXISTS objects_by_status ON objects (kind, json_extract(body, '$.status'), seq);
CREATE INDEX IF NOT EXISTS objects_by_charge ON objects (kind, json_extract(body, '$.charge'), seq);
CREATE INDEX IF NOT EXISTS objects_by_subscription
    ON objects (kind, json_extract(body, '$.parent.subscription_details.subscription'), seq);
CREATE INDEX IF NOT EXISTS objects_by_invoice ON objects (kind, json_extract(body, '$.invoice'), seq);
CREATE TABLE IF NOT EXISTS later (object TEXT PRIMARY KEY, outcome TEXT NOT NULL, at INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS later_by_time ON later (at);
CREATE TABLE IF NOT EXISTS deliveries (
    id TEXT PRIMARY KEY,
    event TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    created INTEGER NOT NULL,
    next_at REAL,
    delivered INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS deliveries_by_event ON deliveries (event);
CREATE TABLE IF NOT EXISTS tries (
    delivery TEXT NOT NULL,
    at REAL NOT NULL,
    seconds REAL NOT NULL,
    status INTEGER,
    error TEXT
);
CREATE INDEX IF NOT EXISTS tries_by_delivery ON tries (delivery);
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY,
    call TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    request TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    created INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS faults (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS faulted (delivery TEXT NOT NULL, effect TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS faulted_by_delivery ON faulted (delivery);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Ledger:
    """Objects, deliveries, saved responses and settings in one SQLite database (``:memory:`` for no file)."""

    def __init__(self, path: str | Path) -> None:
        if str(path) != ":memory:":
            Path(path).touch(mode=0o600)
        # Created in one thread and used in the server's, but never in two at once.
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA busy_timeout = 500")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Run a part of a transaction, and undo only that part if it raises."""
        self._db.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK TO part")
            raise
        finally:
            self._db.execute("RELEASE part")

    def clear(self) -> None:
        """Forget everything, settings and the moved clock included."""
        for table in self.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"):
            self.run(f"DELETE FROM {table['name']}")  # noqa: S608 - the schema's own names

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        return self._db.execute(sql, values).fetchall()

    def run(self, sql: str, *values: object) -> int:
        """Run a statement and return the number of rows that it changed."""
        return self._db.execute(sql, values).rowcount

    def add(self, body: JSON, hidden: JSON | None = None) -> None:
        self.run(
            "INSERT INTO objects (id, kind, created, body, hidden) VALUES (?, ?, ?, ?, ?)",
            *(body["id"], body["object"], body.get("created", 0), json.dumps(body), json.dumps(hidden or {})),
        )

    def save(self, body: JSON) -> None:
        self.run("UPDATE objects SET body = ? WHERE id = ?", json.dumps(body), body["id"])

    def hide(self, id_: str, hidden: JSON) -> None:
        self.run("UPDATE objects SET hidden = ? WHERE id = ?", json.dumps(hidden), id_)

    def delete(self, id_: str) -> None:
        self.run("UPDATE objects SET deleted = 1 WHERE id = ?", id_)

    def find(self, id_: str, kind: str | None = None) -> JSON | None:
        """Return the object, or Stripe's stub for a deleted one, or None."""
        found = self.rows("SELECT kind, body, deleted FROM objects WHERE id = ?", id_)
        if not found or (kind and found[0]["kind"] != kind):
            return None
        if found[0]["deleted"]:
            return {"id": id_, "object": found[0]["kind"], "deleted": True}
        body: JSON = json.loads(found[0]["body"])
        return body

    def hidden(self, id_: str) -> JSON:
        found: JSON = json.loads(self.rows("SELECT hidden FROM objects WHERE id = ?", id_)[0]["hidden"])
        return found

    def page(self, kind: str, where: Sequence[str], values: Mapping[str, object], limit: int) -> list[JSON]:
        """Return objects, newest first. ``where`` has SQL conditions that this package wrote, never input."""
        conditions = " AND ".join(["kind = :kind", "deleted = 0", *where])
        order = "ASC" if "before" in values else "DESC"
        sql = f"SELECT body FROM objects WHERE {conditions} ORDER BY seq {order} LIMIT :limit"  # noqa: S608
        found = self._db.execute(sql, {**values, "kind": kind, "limit": limit}).fetchall()
        return [json.loads(row["body"]) for row in found]

    def position(self, id_: str, kind: str) -> int | None:
        found = self.rows("SELECT seq FROM objects WHERE id = ? AND kind = ?", id_, kind)
        return int(found[0]["seq"]) if found else None

    def setting(self, name: str, default: str) -> str:
        found = self.rows("SELECT value FROM settings WHERE name = ?", name)
        return str(found[0]["value"]) if found else default

    def set(self, name: str, value: str) -> None:
        self.run("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", name, value)
