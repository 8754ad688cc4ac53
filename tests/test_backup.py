"""``tollkeeper backup``, ``restore`` and ``migrate``, as an operator runs them beside a running server."""

import json
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.faults.restoring import with_grants
from tests.support.processes import ask
from tests.support.running import Sandbox, Site, look, newcomer, running_sandbox

from tollkeeper.storage.tables import gaps


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An account of one's own."""
    with running_sandbox() as sandbox:
        yield sandbox


def told(ended: subprocess.CompletedProcess[str]) -> Any:
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def buy(site: Site) -> None:
    browser = newcomer(site)
    browser.follow(browser.pay())
    assert browser.enters()


def test_a_backup_is_made_restored_and_caught_up_with(site: Site, empty_url: str, tmp_path: Path) -> None:
    file = tmp_path / "today.backup"
    buy(site)
    made = told(ask(site, tmp_path, "backup", str(file), "--json"))
    assert made["file"] == str(file)
    assert (made["tables"]["people"], made["size"]) == (1, file.stat().st_size)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = ask(site, tmp_path, "backup", str(file))
    assert (again.returncode, "--force" in again.stderr) == (1, True)
    assert "rows in" in ask(site, tmp_path, "backup", str(file), "--force").stdout
    buy(site)
    site.thread.stop()
    done = told(ask(site, tmp_path, "restore", str(file), "--json", DATABASE_URL=empty_url))
    assert done["ok"] is True
    assert done["restored"]["tables"]["people"] == 1
    assert (done["caught_up"]["customers"], done["caught_up"]["people"], done["caught_up"]["changes"]) == (1, 1, 1)
    assert done["caught_up"]["since"].endswith("Z")
    assert len(with_grants(empty_url)) == 2
    refused = ask(site, tmp_path, "restore", str(file), DATABASE_URL=empty_url)
    assert refused.returncode == 1
    assert "overwrites nothing" in refused.stderr
    assert "tollkeeper restore --catch-up" in refused.stderr
    words = ask(site, tmp_path, "restore", "--catch-up", "--since", "2026-01-02", DATABASE_URL=empty_url).stdout
    assert "Caught up from 2026-01-02T00:00:00Z" in words
    assert "2 customer(s) reconciled, 0 change(s) of what people hold" in words


def test_while_the_provider_is_away_a_restore_says_how_to_continue(site: Site, empty_url: str, tmp_path: Path) -> None:
    buy(site)
    told(ask(site, tmp_path, "backup", str(tmp_path / "today.backup"), "--json"))
    away = {"STRIPE_API_BASE": "http://127.0.0.1:9", "DATABASE_URL": empty_url}
    ended = ask(site, tmp_path, "restore", str(tmp_path / "today.backup"), **away)
    assert ended.returncode == 1
    assert "Restored" in ended.stdout
    assert "Run `tollkeeper restore --catch-up` to continue." in ended.stderr
    assert [row.closed_at for row in look(empty_url, lambda conn: list(conn.execute(gaps.select())))] == [None]
    assert "Caught up" in ask(site, tmp_path, "restore", "--catch-up", DATABASE_URL=empty_url).stdout


def test_a_restore_takes_a_file_or_catches_up(site: Site, tmp_path: Path) -> None:
    assert ask(site, tmp_path, "restore").returncode == 2
    assert ask(site, tmp_path, "restore", "x.backup", "--catch-up").returncode == 2


def test_i61_migrate_says_what_it_will_do_and_where_the_backup_is(site: Site, tmp_path: Path) -> None:
    url = site.settings["DATABASE_URL"]
    site.thread.stop()
    for undo in ("UPDATE tollkeeper_revision SET version_num = '0010'", "DROP TABLE gaps", "DROP TABLE id_keys"):
        look(url, lambda conn, undo=undo: conn.execute(text(undo)))
    said = ask(site, tmp_path, "migrate", "--dry-run").stdout
    assert "The database is at 0010, and will be brought to" in said
    assert "0011  The key for ids of people" in said
    assert look(url, lambda conn: conn.scalar(text("SELECT version_num FROM tollkeeper_revision"))) == "0010"
    assert list(tmp_path.glob("*.backup")) == []
    said = ask(site, tmp_path, "migrate").stdout
    kept = list(tmp_path.glob("tollkeeper.db.0010.*.backup"))
    if url.startswith("sqlite"):
        assert f"First, a backup is written to {kept[0]}." in said
        assert f"The backup is {kept[0]}." in said
    else:
        assert "No backup will be made" in said
    assert look(url, lambda conn: conn.scalar(text("SELECT version_num FROM tollkeeper_revision"))) > "0010"
    assert "already" in ask(site, tmp_path, "migrate").stdout
