"""In a network of its own: each service of the compose file, started as the file says, without containers.

Argument: a folder to work in. Every service is on one host here, and has the name that the others call it by. Programs
that are installed here stand in for the images, and folders for the volumes.
"""

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import yaml
from psycopg import sql
from tests.deploy.world import IN_TIME, ROOT, logged, set_up_network
from tests.proxies.proxies import found
from tests.support.databases import Cluster, new_cluster
from tests.support.processes import listens
from tests.support.running import Browser, eventually

DEPLOY = ROOT / "deploy"
APP = "http://localhost:8090"

# What the images run, if the file does not say: their entry points and commands.
PROGRAMS = {
    "localhost/tollkeeper": ([str(Path(sys.prefix) / "bin/tollkeeper")], ["serve"]),
    "python:3.13-slim": ([], ["python3"]),
    "caddy:2": ([], ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]),
}


def interpolated(text: str) -> str:
    """With the defaults of the variables, since none is set."""
    assert "$$" not in text
    return re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", text)


@dataclass(frozen=True)
class Service:
    """A service of the file."""

    name: str
    said: Mapping[str, Any]
    folder: Path

    @property
    def places(self) -> dict[str, Path]:
        """The folders and files on this machine, by the places that the service sees them in."""
        places = {}
        for volume in self.said.get("volumes", []):
            source, target = volume.split(":")[:2]
            places[target] = DEPLOY / source if source.startswith(".") else self.folder / "volumes" / source
        return places

    def here(self, text: str) -> str:
        """With this machine's places in place of the service's."""
        for target, place in self.places.items():
            text = re.sub(rf"(?<![\w/.]){re.escape(target)}(?![\w-])", str(place), text)
        return text

    @property
    def command(self) -> list[str]:
        entrypoint, command = PROGRAMS[self.said["image"]]
        words = [*self.said.get("entrypoint", entrypoint), *self.said.get("command", command)]
        return [self.here(word) for word in words]

    @property
    def options(self) -> dict[str, Any]:
        path = os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ["PATH"]])
        home = {name: str(self.folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
        settings = {name: self.here(str(value)) for name, value in self.said.get("environment", {}).items()}
        cwd = self.places.get("/data", self.folder)
        cwd.mkdir(parents=True, exist_ok=True)
        return {"cwd": cwd, "env": {"PATH": path, "LANG": "C.UTF-8", **home, **settings}}

    def run(self) -> None:
        """Run it to its end."""
        done = subprocess.run(self.command, **self.options, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{shlex.join(self.command)}\n{done.stdout}{done.stderr}"

    @contextmanager
    def running(self, port: int) -> Iterator[None]:
        """From when it listens; then it must end in time."""
        process = logged(self.folder, self.name, self.command, **self.options)
        try:
            eventually(lambda: listens(port) or process.poll() is not None, seconds=60)
            assert process.poll() is None, (self.folder / f"{self.name}.log").read_text()
            yield
        finally:
            process.terminate()
            process.wait(IN_TIME)


@contextmanager
def postgresql(service: Service) -> Iterator[Cluster]:
    """PostgreSQL as its image makes it: one user, its database, and a password for whoever comes over the network."""
    settings = service.said["environment"]
    user, name, password = (settings[f"POSTGRES_{one}"] for one in ("USER", "DB", "PASSWORD"))
    cluster = new_cluster()
    try:
        (cluster.folder / "data/pg_hba.conf").write_text("local all all trust\nhost all all all scram-sha-256\n")
        with psycopg.connect(cluster.url("postgres"), autocommit=True) as conn:
            conn.execute(sql.SQL("ALTER SYSTEM SET listen_addresses = '*'"))
            conn.execute(sql.SQL("CREATE USER {} PASSWORD {}").format(sql.Identifier(user), sql.Literal(password)))
            conn.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(user)))
        cluster.stop()
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


def open_to_others(said: Mapping[str, Any]) -> None:
    """A published port leads to the container's own address, where a service on 127.0.0.1 alone does not answer."""
    published = {int(port.rpartition(":")[2]) for one in said["services"].values() for port in one.get("ports", [])}
    assert published
    assert [port for port in published if not answers("127.0.0.2", port)] == []
    assert not answers("127.0.0.2", 8000), "Tollkeeper answers others than Caddy"


def answers(host: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((host, port), 2):
        return True
    return False


def is_in(browser: Browser) -> bool:
    page = browser.client.get(f"{APP}/")
    return page.status_code == 200 and "You are in" in page.text


def signs_in_pays_and_gets_in() -> None:
    """From the app, of which nothing is shown, to the sandbox and back into the app."""
    browser = Browser(APP)
    assert not is_in(browser)
    shop = browser.sign_in(path="/")
    assert urlsplit(str(shop.url)).netloc == "localhost:8080"
    assert not is_in(browser)
    paid = browser.pay(browser.follow(browser.submit(shop, "Purchase")))
    assert "You are in" in browser.follow(paid).text
    assert is_in(browser)
    assert not is_in(Browser(APP))


def main(folder: Path) -> None:
    said = yaml.safe_load(interpolated((DEPLOY / "compose.yaml").read_text("utf-8")))
    services = {name: Service(name, one, folder) for name, one in said["services"].items()}
    set_up_network(*services)
    assert found("caddy")
    with ExitStack() as up:
        up.enter_context(services["caddy"].running(8080))
        up.enter_context(services["app"].running(9000))
        up.enter_context(postgresql(services["postgres"]))
        up.enter_context(services["sandbox"].running(4001))
        services["setup"].run()
        services["setup"].run()  # as at each further start
        up.enter_context(services["tollkeeper"].running(8000))
        open_to_others(said)
        signs_in_pays_and_gets_in()
    sys.stdout.write("In.\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
