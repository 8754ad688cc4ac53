"""Install a wheel by its hash where nothing else is, without extras, and ask its demo for a page.

``python -m tests.deploy.clean_install WHEEL``
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx2
from tests.deploy.world import IN_TIME, ROOT
from tests.support.processes import Process, clean_environment, free_port, wait_until_up
from tests.support.running import Browser

EXTRA = ("psycopg", "psycopg-binary", "psycopg-pool")


def install(wheel: Path, folder: Path) -> Path:
    """Everything that is locked, and the wheel, by hashes. Takes away what only an extra needs. The new environment."""
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=60)
    python = environment / "bin/python"
    listed = folder / "wheel.txt"
    listed.write_text(f"{wheel.absolute()} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    by_hash = ["install", "--require-hashes", "--no-deps", "-r", ROOT / "requirements/app.txt", "-r", listed]
    for command in (by_hash, ["uninstall", "--yes", *EXTRA], ["check"]):
        subprocess.run([*pip, *command], check=True, timeout=300, stdout=sys.stderr)
    return environment


def shows_a_page(environment: Path, folder: Path) -> None:
    """Start the demo from the environment, ask for its first page and its sandbox's, buy something, and stop it."""
    port = free_port(neighbours=2)
    command = [str(environment / "bin/tollkeeper"), "demo", f"--port={port}"]
    with (folder / "log").open("wb") as log:
        popen = subprocess.Popen(
            command, cwd=folder, env=clean_environment(folder), stdout=log, stderr=subprocess.STDOUT
        )
    process = Process(popen, folder / "log")
    try:
        wait_until_up(process, port)
        for place in (port, port + 1):
            httpx2.get(f"http://127.0.0.1:{place}/").raise_for_status()
        opens_the_gate(port)
        popen.terminate()
        assert process.ended(IN_TIME) == 0, process.output()
    finally:
        process.kill()


def opens_the_gate(port: int) -> None:
    """Pay for the app behind the gate, and come in."""
    browser, gated = Browser(f"http://127.0.0.1:{port}"), f"http://127.0.0.1:{port + 2}/"
    pricing = browser.sign_in("Alice Example", path=gated)
    entered = browser.follow(browser.pay(browser.follow(browser.submit(pricing, "Purchase", product="dashboard"))))
    assert str(entered.url) == gated, entered.url
    assert "Hello, Alice Example" in entered.text
    browser.get(f"{gated}logbook.css").raise_for_status()


def names_the_extra(environment: Path, folder: Path) -> None:
    """Without the driver, PostgreSQL is refused in words."""
    code = "from tollkeeper.storage.migrate import migrate; migrate('postgresql://u:secret@h/d')"
    command = [str(environment / "bin/python"), "-c", code]
    said = subprocess.run(command, cwd=folder, env=clean_environment(folder), capture_output=True, text=True).stderr
    assert "tollkeeper[postgresql]" in said, said
    assert "secret@" not in said, said


def main(wheel: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = install(wheel, folder)
        shows_a_page(environment, folder)
        names_the_extra(environment, folder)
    sys.stdout.write("Installed by hashes into an empty environment; its demo answers 200.\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
