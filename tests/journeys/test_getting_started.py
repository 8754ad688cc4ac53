"""``docs/getting-started.md`` word for word: every command that it shows is run in its order, then somebody buys."""

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from tests.docs.documents import text_of
from tests.journeys.visitor import Lobby
from tests.support.processes import Process, clean_environment, free_port, started, wait_until_up

CONSOLE = re.compile(r"^```console$(.*?)^```$", re.MULTILINE | re.DOTALL)
# Where several tests run on one machine, each takes ports of its own instead.
PORTS = ("8000", "4001")
# What the whole walk may take, without the installation. Seconds.
LIMIT = 120


def commands(part: str) -> list[str]:
    """The commands in one part of the guide, continued lines joined."""
    section = re.search(rf"^## {re.escape(part)}$(.*?)(?=^## |\Z)", text_of("docs/getting-started.md"), re.M | re.S)
    assert section, part
    text = "".join(CONSOLE.findall(section[1])).replace("\\\n", " ")
    return [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]


class Walk:
    """Somebody who types what the guide says, in one folder, on ports of their own."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        self.ports = {port: str(free_port()) for port in PORTS}
        self.running: dict[str, Process] = {}
        self.said: dict[str, str] = {}

    def types(self, command: str) -> str:
        for port, own in self.ports.items():
            command = command.replace(port, own)
        words = shlex.split(command)
        if words[:2] in (["tollkeeper", "sandbox"], ["tollkeeper", "serve"]):
            return self._starts(words)
        # As a shell does it, environment variables before the command included.
        python = f'tollkeeper() {{ {shlex.quote(sys.executable)} -m tollkeeper "$@"; }}; '
        ended = subprocess.run(
            ["bash", "-c", python + command],
            cwd=self.folder,
            env=clean_environment(self.folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
        assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
        if words[0] == "cd":
            self.folder /= words[1]
        return ended.stdout + ended.stderr

    def _starts(self, words: list[str]) -> str:
        if words[1] in self.running:
            self.running[words[1]].kill()
        process = self._stack.enter_context(started("-m", *words, folder=self.folder))
        wait_until_up(process, int(self.ports["8000" if words[1] == "serve" else "4001"]))
        self.running[words[1]] = process
        return process.output()


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    with ExitStack() as stack:
        yield Walk(tmp_path, stack)


def test_the_guide_leads_from_nothing_to_a_purchase(
    browser: Browser, walk: Walk, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    for part in ("Start the sandbox", "Say what you sell", "Set up the account", "Open the shop"):
        for command in commands(part):
            at = time.monotonic()
            walk.types(command)
            with capsys.disabled():
                print(f"\n  {time.monotonic() - at:5.1f} s  {command}", end="")  # noqa: T201
    shop = f"http://localhost:{walk.ports['8000']}"
    with Lobby(browser, shop) as visit:
        someone = visit()
        at = time.monotonic()
        someone.sign_in()
        someone.purchase("Flying lessons")
        someone.pay()
        someone.sees("Payment done")
        someone.gets_in()
    taken = time.monotonic() - began
    with capsys.disabled():
        print(f"\n  {time.monotonic() - at:5.1f} s  a purchase in Chromium\n  {taken:5.1f} s  in all")  # noqa: T201
    assert taken < LIMIT
    change, *rest = commands("Change a price")
    walk.types(change)
    assert "have changed since the prices were created" in walk.types("tollkeeper serve --port 8000")
    said = "".join(walk.types(command) for command in rest)
    assert "have changed since the prices were created" in said
    assert "Written: " in said
    assert "have changed" not in walk.types("tollkeeper check")
    with Lobby(browser, shop) as visit:
        another = visit()
        another.sign_in()
        another.reads("€59.00")
