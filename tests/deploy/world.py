"""A network of its own, where every port is free and every name is ours, and processes that are the first of theirs."""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APART = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child", "--mount"]
IN_TIME = 10
"""Seconds after which Docker, among others, kills what it told to stop."""

SIOCSIFFLAGS = 0x8914  # netdevice(7)
IFF_UP = 1


def require(*programs: str) -> None:
    """Skip without a program, except where all tests have to run."""
    missing = [name for name in programs if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None]
    if missing and os.environ.get("TOLLKEEPER_TESTS") == "complete":
        pytest.fail(f"the complete tests need {', '.join(missing)}")
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")


def require_namespaces(*kinds: str) -> list[str]:
    """The command that makes what follows the first process of its own namespaces. Skips where nobody lets us."""
    command = [*APART, *kinds]
    require("unshare")
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may make no namespaces")
    return command


def in_a_world_of_its_own(module: str, *arguments: str | Path, seconds: float) -> str:
    """Run a module of these tests with a network of its own, and return what it printed. Fails if it does."""
    command = [*require_namespaces("--net"), sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def set_up_network(*names: str) -> None:
    """Bring up this world's loopback device, and let each name mean it. Nobody outside sees anything of this."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))
    with tempfile.NamedTemporaryFile("w", prefix="hosts-") as hosts:
        hosts.write(f"127.0.0.1 {' '.join(['localhost', *names])}\n")
        hosts.flush()
        Path(hosts.name).chmod(0o644)
        subprocess.run(["mount", "--bind", hosts.name, "/etc/hosts"], check=True)


def first_of(process: subprocess.Popen[bytes]) -> int:
    """The first process of the namespace that ``unshare`` made, as it is called here."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 1, children
    return int(children[0])


def logged(folder: Path, name: str, command: Sequence[str], **options: object) -> subprocess.Popen[bytes]:
    """A command that writes to ``name.log`` in a folder."""
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, **options)  # type: ignore[call-overload, no-any-return]
