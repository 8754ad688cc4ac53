"""Restore a backup into a new database: all of it or nothing, brought to this version's schema."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from tollkeeper.errors import StorageError
from tollkeeper.storage import dump, sqlite
from tollkeeper.storage.address import parse
from tollkeeper.storage.backup import Progress, contents_of_file, contents_of_postgresql, silent
from tollkeeper.storage.files import give_name, sync, unfinished
from tollkeeper.storage.gaps import Gap, open_one
from tollkeeper.storage.migrate import migrate
from tollkeeper.storage.schema import VERSION_TABLE, SchemaState, state_of, transaction

CONTINUE = "If an earlier restore was interrupted, continue it with `tollkeeper restore --catch-up`."


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored. The gap is the time of which the database knows nothing."""

    before: str
    """The schema's revision in the backup, and now."""
    after: str
    tables: dict[str, int]
    """The number of rows in the backup, by table."""
    gap: Gap


def restore(url: str, file: Path, now: int, *, since: int | None = None, progress: Progress = silent) -> Restored:
    """Restore a backup into the database at an address, which must not exist (SQLite) or be empty (PostgreSQL).

    All login sessions end. ``since`` is the beginning of the gap; by default the last thing that the backup knows.
    Raises ``StorageError``, with what to do, if the backup is damaged, foreign or of a newer version, or if
    there is a database already; then nothing was changed.
    """
    address = parse(url)
    in_file = isinstance(address, Path)
    if _is_dump(file) is in_file:
        kinds = ("PostgreSQL", "SQLite") if in_file else ("SQLite", "PostgreSQL")
        raise StorageError(f"{file} is a backup of {kinds[0]}, but DATABASE_URL names a {kinds[1]} database.")
    if isinstance(address, Path):
        return _restore_sqlite(address, file, now, since, progress)
    return _restore_postgresql(url, address, file, now, since, progress)


def _is_dump(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            head = opened.read(len(sqlite.HEADER))
    except OSError as error:
        raise StorageError(f"{file} cannot be read: {error.strerror}.") from error
    if head.startswith(dump.MAGIC):
        return True
    if head != sqlite.HEADER:
        raise StorageError(f"{file} is no backup that `tollkeeper backup` made.")
    return False


def _restore_sqlite(path: Path, file: Path, now: int, since: int | None, progress: Progress) -> Restored:
    for taken in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        if taken.exists():
            raise StorageError(f"{taken} exists, and a restore overwrites nothing. Move it away first. {CONTINUE}")
    progress("Checking the backup", 0, None)
    before, tables = contents_of_file(file)
    known = _readable(file, before)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with unfinished(path) as copy:
            shutil.copyfile(file, copy)
            _, after = migrate(f"sqlite:///{copy}")
            with transaction(copy, sqlite.engine(copy, begin="BEGIN IMMEDIATE")) as conn:
                gap = open_one(conn, now, since)
            sync(copy)
            if not give_name(copy, path):
                raise StorageError(f"{path} was made in the meantime, and was not overwritten.")
    except OSError as error:
        raise StorageError(f"The database {path} cannot be made: {error.strerror}.") from error
    return Restored(known, after, tables, gap)


def _restore_postgresql(
    url: str, address: URL, file: Path, now: int, since: int | None, progress: Progress
) -> Restored:
    from tollkeeper.storage import postgresql  # with its driver, which is an extra

    with transaction(address, postgresql.engine(address)) as conn:
        if any(contents_of_postgresql(conn)):
            raise StorageError(
                "The database at DATABASE_URL is not empty, and a restore overwrites nothing. Create an empty one, for"
                f" example with `createdb`, and name it in DATABASE_URL. {CONTINUE}"
            )
    archive = dump.read(file, VERSION_TABLE, lambda rows: progress("Checking rows", rows, None))
    known = _readable(file, next(iter(archive.rows), None))
    progress("Loading", 0, None)
    dump.load(address, file, archive.schema)
    with transaction(address, postgresql.engine(address)) as conn:
        _, counts = contents_of_postgresql(conn)
        if counts != archive.counts:
            raise StorageError("The restored database differs from the backup. Do not use it.")
    _, after = migrate(url)
    with transaction(address, postgresql.engine(address)) as conn:
        gap = open_one(conn, now, since)
    return Restored(known, after, archive.counts, gap)


def _readable(file: Path, revision: str | None) -> str:
    state = state_of(revision)
    if revision is None or state is SchemaState.MISSING:
        raise StorageError(f"{file} is not a backup of Tollkeeper's database.")
    if state is SchemaState.NEWER:
        raise StorageError(
            f"{file} was made by a newer version of Tollkeeper (schema {revision}). Restore it with that version."
            " Nothing was changed."
        )
    return revision
