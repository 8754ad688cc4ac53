"""Under systemd, and as the first process of a container: what is said when, and an end in time."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.deploy.world import IN_TIME, first_of, require_namespaces
from tests.support.processes import Installation, Process, clean_environment, free_port, installed, wait_until_up
from tests.support.running import Sandbox, settings_without_provider

COMMAND = [sys.executable, "-m", "tollkeeper", "serve"]


@pytest.fixture
def site(sandbox: Sandbox, sqlite_url: str, tmp_path: Path) -> Installation:
    return installed(sandbox, sqlite_url, tmp_path)


@contextmanager
def serving(folder: Path, *command: str, **environment: str) -> Iterator[Process]:
    with (folder / "log").open("wb") as log:
        variables = clean_environment(folder) | environment
        popen = subprocess.Popen(command, cwd=folder, env=variables, stdout=log, stderr=subprocess.STDOUT)
        process = Process(popen, folder / "log")
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def manager(folder: Path, *, abstract: bool) -> Iterator[tuple[str, socket.socket]]:
    """What systemd listens with. Abstract names begin with an at sign."""
    name = f"@tollkeeper-{os.getpid()}" if abstract else str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name.replace("@", "\0", 1))
        listening.settimeout(30)
        yield name, listening


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_systemd_is_told_of_the_start_the_life_and_the_end(site: Installation, abstract: bool) -> None:
    with manager(site.folder, abstract=abstract) as (name, told):
        asked = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "200000"}
        with serving(site.folder, *COMMAND, f"--port={site.port}", **asked) as process:
            assert told.recv(100) == b"READY=1"
            with socket.create_connection(("127.0.0.1", site.port), 5):
                pass  # it listens before it says so
            assert [told.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
            process.tell(signal.SIGTERM)
            assert process.ended() == 0, process.output()
            said = [told.recv(100)]
            while said[-1] == b"WATCHDOG=1":
                said.append(told.recv(100))
            assert said[-1] == b"STOPPING=1"


def test_a_manager_that_is_gone_stops_nothing(site: Installation) -> None:
    with serving(site.folder, *COMMAND, f"--port={site.port}", NOTIFY_SOCKET=str(site.folder / "gone")) as process:
        wait_until_up(process, site.port)


def test_the_first_process_of_a_container_ends_in_time(site: Installation) -> None:
    with serving(site.folder, *require_namespaces(), *COMMAND, f"--port={site.port}") as process:
        wait_until_up(process, site.port)
        os.kill(first_of(process.popen), signal.SIGTERM)
        assert process.ended(IN_TIME) == 0, process.output()


def test_the_first_process_of_a_container_ends_in_time_while_it_starts(sandbox: Sandbox, tmp_path: Path) -> None:
    """While it waits for a database that accepts connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as database:
        database.settimeout(30)
        url = f"postgresql://u:p@127.0.0.1:{database.getsockname()[1]}/toll"
        provider = {"STRIPE_API_KEY": "sk_test_1", "STRIPE_API_BASE": sandbox.url, "PRODUCT_PRICE_ID": "price_1"}
        port = free_port()
        settings = settings_without_provider(f"http://127.0.0.1:{port}", sandbox, url) | provider
        with serving(tmp_path, *require_namespaces(), *COMMAND, f"--port={port}", **settings) as process:
            asked, _ = database.accept()
            with asked:
                os.kill(first_of(process.popen), signal.SIGTERM)
                assert process.ended(IN_TIME) == 128 + signal.SIGTERM, process.output()
