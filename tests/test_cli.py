"""The commands, run as an operator runs them."""

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.support.processes import free_port, run, run_here
from tests.support.running import SECRET_KEY
from typer.testing import CliRunner

from tollkeeper.cli.app import app

SOUND = {
    "PUBLIC_URL": "http://127.0.0.1:4000",
    "SECRET_KEY": SECRET_KEY,
    "STRIPE_API_KEY": "sk_test_cli",
    "PRODUCT_PRICE_ID": "price_1",
    "OIDC_ISSUER": "http://127.0.0.1:4001/identity",
    "OIDC_CLIENT_ID": "client",
    "OIDC_CLIENT_SECRET": "a-secret",
    "OIDC_NAME": "Example ID",
}

OPERATORS = ("people", "why", "grant", "revoke", "payments", "reconcile", "events", "replay")
COMMANDS = ("demo", "serve", "sandbox", "check", "migrate", "backup", "restore", *OPERATORS)


def write(folder: Path, settings: Mapping[str, str]) -> None:
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))


def ask(*arguments: str, folder: Path, environment: Mapping[str, str] | None = None) -> CompletedProcess[str]:
    """Run a command that neither serves nor goes by the folder that it is run in."""
    return run_here(*arguments, folder=folder, environment={"HOME": str(folder), **(environment or {})})


def test_help_names_every_command(tmp_path: Path) -> None:
    words = run("--help", folder=tmp_path).stdout
    assert all(command in words for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert f"Example: tollkeeper {command}" in shown.stdout


def test_check_finds_sound_settings_in_order(tmp_path: Path) -> None:
    write(tmp_path, SOUND)
    ended = ask("check", folder=tmp_path)
    assert ended.returncode == 0
    assert "http://127.0.0.1:4000" in ended.stdout
    assert SECRET_KEY not in ended.stdout + ended.stderr


def test_check_answers_machines(tmp_path: Path) -> None:
    write(tmp_path, SOUND)
    ended = ask("check", "--json", folder=tmp_path)
    assert json.loads(ended.stdout) == {
        "ok": True,
        "public_url": "http://127.0.0.1:4000",
        "mode": "test",
        "database": "SQLite",
        "sign_in": ["Example ID"],
        "products": ["dashboard"],
        "webhooks": False,
        "warnings": [],
        "off_sale": None,
        "online": None,
    }


def test_check_says_where_it_cannot_look_for_what_is_off_sale(tmp_path: Path) -> None:
    write(tmp_path, SOUND | {"DATABASE_URL": "sqlite:///made.sqlite3"})
    before = ask("check", folder=tmp_path)
    assert before.returncode == 0
    assert "What is off sale is not known" in before.stdout
    ask("migrate", folder=tmp_path)
    assert "off sale" not in ask("check", folder=tmp_path).stdout
    assert json.loads(ask("check", "--json", folder=tmp_path).stdout)["off_sale"] == []


def test_check_names_every_fault_to_people(tmp_path: Path) -> None:
    write(tmp_path, SOUND | {"SECRET_KEY": "short", "PUBLIC_URL": "ftp://example.com", "STRIPE_WEBHOK_SECRET": "x"})
    ended = ask("check", folder=tmp_path)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert all(name in ended.stderr for name in ("SECRET_KEY", "PUBLIC_URL", "STRIPE_WEBHOK_SECRET"))
    assert "Did you mean STRIPE_WEBHOOK_SECRET?" in ended.stderr


def test_check_names_every_fault_to_machines(tmp_path: Path) -> None:
    write(tmp_path, SOUND | {"SECRET_KEY": "", "STRIPE_API_KEY": "pk_test_1"})
    ended = ask("check", "--json", folder=tmp_path)
    assert ended.returncode == 1
    reported = json.loads(ended.stdout)
    assert reported["ok"] is False
    assert {fault["variable"] for fault in reported["faults"]} == {"SECRET_KEY", "STRIPE_API_KEY"}
    assert all(fault["problem"] and fault["remedy"] for fault in reported["faults"])


def test_settings_may_live_in_another_folder(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    write(tmp_path / "etc", SOUND)
    assert ask("check", folder=tmp_path).returncode == 1
    assert run("check", "--folder=etc", folder=tmp_path).returncode == 0


def test_the_environment_outranks_the_file(tmp_path: Path) -> None:
    write(tmp_path, SOUND)
    ended = ask("check", "--json", folder=tmp_path, environment={"OIDC_NAME": "Another ID"})
    assert json.loads(ended.stdout)["sign_in"] == ["Another ID"]


def test_migrate_makes_the_database_once(tmp_path: Path) -> None:
    write(tmp_path, SOUND | {"DATABASE_URL": "sqlite:///made.sqlite3"})
    first = json.loads(ask("migrate", "--json", folder=tmp_path).stdout)
    second = json.loads(ask("migrate", "--json", folder=tmp_path).stdout)
    assert first["from"] is None
    assert {step["revision"] for step in first["steps"]} >= {"0001", first["to"]}
    assert second == {"from": first["to"], "to": first["to"], "steps": [], "backup": None, "dry_run": False}
    assert (tmp_path / "made.sqlite3").exists()
    assert "already" in ask("migrate", folder=tmp_path).stdout


def test_serve_says_clearly_that_the_port_is_taken(tmp_path: Path) -> None:
    write(tmp_path, SOUND)
    assert ask("migrate", folder=tmp_path).returncode == 0
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        ended = run("serve", f"--port={port}", folder=tmp_path)
    assert ended.returncode == 1
    assert f"127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_serve_does_not_make_a_database_next_to_a_broken_one(tmp_path: Path) -> None:
    write(tmp_path, SOUND | {"DATABASE_URL": "sqlite:///broken.sqlite3"})
    (tmp_path / "broken.sqlite3").write_bytes(b"this is not a database")
    ended = run("serve", f"--port={free_port()}", folder=tmp_path)
    assert ended.returncode == 1
    assert "broken.sqlite3" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "broken.sqlite3").read_bytes() == b"this is not a database"


def test_serve_says_clearly_that_postgresql_does_not_answer(tmp_path: Path) -> None:
    address = f"postgresql://somebody:canary-password@127.0.0.1:{free_port()}/tollkeeper"
    write(tmp_path, SOUND | {"DATABASE_URL": address})
    ended = run("serve", f"--port={free_port()}", folder=tmp_path)
    assert ended.returncode == 1
    assert "PostgreSQL" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "canary-password" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_port_that_cannot_be_is_refused(tmp_path: Path, port: str) -> None:
    assert run("serve", f"--port={port}", folder=tmp_path).returncode == 2
