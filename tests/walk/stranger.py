"""Somebody who follows a guide: types what it prints, and nothing else."""

import os
import pty
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import listens
from tests.support.running import eventually

# Text, and the block that follows it.
PARTS = re.compile(r"(.*?)^( *)```(\w*)\n(.*?)^\2```$", re.MULTILINE | re.DOTALL)

PATIENCE = 300
"""Seconds for one command: the longest installs everything."""


def printed(document: Path, heading: str, language: str = "console") -> list[str]:
    """The blocks in a language that a document prints under a heading, without the indentation of lists."""
    above, found = "", []
    for prose, indent, named, block in PARTS.findall(document.read_text("utf-8")):
        above = [above, *re.findall(r"^#+ (.*)$", prose, re.MULTILINE)][-1]
        if (above, named) == (heading, language):
            found.append(re.sub(rf"^{indent}", "", block, flags=re.MULTILINE))
    assert found, f"{document.name} prints no {language} under {heading!r}"
    return found


def commands(block: str) -> list[str]:
    """What is to be typed in a block: what follows a prompt, with the lines that continue it."""
    return re.findall(r"^[$#] ((?:.*\\\n)*.*)$", block, re.MULTILINE)


class Shell:
    """A shell that keeps its folder and its variables from one command to the next, and between processes."""

    def __init__(self, home: Path, folder: Path | None = None) -> None:
        self.home = home
        self._state = home / "shell"
        if folder:
            self._state.write_text(f"cd {shlex.quote(str(folder))}\n")

    @property
    def _environment(self) -> dict[str, str]:
        """No settings of ours, and pip's own, without which nothing could be installed on some machines."""
        passed = {name: text for name, text in os.environ.items() if name.startswith(("PIP_", "SSL_CERT_FILE"))}
        return passed | {"PATH": os.environ["PATH"], "HOME": str(self.home), "COLUMNS": "200", "LANG": "C.UTF-8"}

    def _script(self, command: str) -> list[str]:
        state = shlex.quote(str(self._state))
        keep = f'{{ export -p; printf "cd %q\\n" "$PWD"; }} >{state}'
        return ["bash", "-c", f". {state}\n{command}\nstatus=$?\n{keep}\nexit $status"]

    def types(self, *lines: str, answer: str = "") -> str:
        """Type commands, and an answer to what they ask. Returns what they said. Fails if one of them does."""
        return "".join(self._types(line, answer) for line in lines)

    def _types(self, command: str, answer: str) -> str:
        ours, theirs = pty.openpty()
        try:
            os.write(ours, f"{answer}\n".encode() if answer else b"")
            done = subprocess.run(
                self._script(command),
                env=self._environment,
                stdin=theirs if answer else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=PATIENCE,
            )
        finally:
            os.close(ours)
            os.close(theirs)
        assert done.returncode == 0, f"$ {command}\n{done.stdout}"
        return done.stdout

    @contextmanager
    def starts(self, command: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
        """Type a command that does not end, in a terminal of its own, and wait until it answers."""
        script = f". {shlex.quote(str(self._state))}\nexec {command}"
        log = self.home / f"log-{port}"
        with log.open("wb") as written:
            process = subprocess.Popen(
                ["bash", "-c", script],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
            )
        try:
            eventually(lambda: listens(port) or process.poll() is not None, seconds=60)
            assert process.poll() is None, f"$ {command}\n{log.read_text()}"
            yield process
        finally:
            process.kill()
            process.wait()
