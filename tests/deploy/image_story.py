"""In a network of its own: the image, run as its user with a read-only root, sells something and stops when told.

Arguments: the image's root folder, its configuration as JSON, and a folder to work in.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.deploy.world import APART, IN_TIME, first_of, logged, set_up_network
from tests.support.processes import listens
from tests.support.running import API_KEY, SECRET_KEY, Account, Browser, eventually

from tollkeeper_sandbox import CLIENT_ID, CLIENT_SECRET

APP, SANDBOX = "http://127.0.0.1:8000", "http://127.0.0.1:4001"

# What a container engine does: a read-only root, /proc, /dev, temporary files in memory, the volume, the secrets.
RUN = """
root=$1 data=$2 secrets=$3 user=$4
shift 4
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/run"
mkdir "$root/run/secrets"
mount --bind "$secrets" "$root/run/secrets"
mount --bind "$data" "$root/data"
cd /
exec chroot --userspec "$user" --groups "" "$root" env --ignore-environment "$@"
"""


class Image:
    """An image that is run without an engine."""

    def __init__(self, root: Path, config: Mapping[str, Any], folder: Path) -> None:
        self.config = config
        self._root, self._folder = root, folder
        self.data, self._secrets = folder / "data", folder / "secrets"
        owner = int(config["User"].split(":")[0])
        for made in (self.data, self._secrets):
            made.mkdir(mode=0o700)
            os.chown(made, owner, owner)
        self._owner = owner

    def secret(self, name: str, value: str) -> None:
        """Put a secret where engines do, for the user of the image alone."""
        file = self._secrets / name
        file.write_text(f"{value}\n")
        file.chmod(0o400)
        os.chown(file, self._owner, self._owner)

    def command(self, *arguments: str, **settings: str) -> list[str]:
        """Run something in a container. ``arguments``: the whole command."""
        inside = [f"--chdir={self.config['WorkingDir']}", *self.config["Env"]]
        given = [f"{name}={value}" for name, value in settings.items()]
        places = [str(self._root), str(self.data), str(self._secrets), self.config["User"]]
        return [*APART, "sh", "-euc", RUN, "sh", *places, *inside, *given, *arguments]

    def run(self, *arguments: str, **settings: str) -> str:
        """Run something that ends by itself. Its output; fails with it."""
        done = subprocess.run(
            self.command(*arguments, **settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    @contextmanager
    def running(self, name: str, port: int, *arguments: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
        """The image's entry point with arguments, or with its own. From when it listens; then it must end in time."""
        command = self.command(*self.config["Entrypoint"], *(arguments or self.config["Cmd"]), **settings)
        process = logged(self._folder, name, command)
        log = self._folder / f"{name}.log"
        eventually(lambda: listens(port) or process.poll() is not None, seconds=60)
        assert process.poll() is None, log.read_text()
        yield process
        os.kill(first_of(process), signal.SIGTERM)
        assert process.wait(IN_TIME) == 0, log.read_text()


def settings_of(image: Image) -> dict[str, str]:
    """As somebody sets it who sells one thing. Every secret is in a file."""
    account = Account(SANDBOX)
    secrets = {
        "SECRET_KEY": SECRET_KEY,
        "STRIPE_API_KEY": API_KEY,
        "STRIPE_WEBHOOK_SECRET": account.webhook_secret(APP),
        "OIDC_CLIENT_SECRET": CLIENT_SECRET,
    }
    for name, value in secrets.items():
        image.secret(name.lower(), value)
    return {f"{name}_FILE": f"/run/secrets/{name.lower()}" for name in secrets} | {
        "PUBLIC_URL": APP,
        "STRIPE_API_BASE": SANDBOX,
        "PRODUCT_PRICE_ID": account.price(),
        "OIDC_ISSUER": f"{SANDBOX}/identity",
        "OIDC_CLIENT_ID": CLIENT_ID,
    }


def runs_as_little(image: Image) -> None:
    """Nobody's user, and no place to write but the volume and temporary files."""
    say = image.run("sh", "-c", "id -u; touch /data/x /tmp/x; touch /opt/x /etc/x 2>&1 || true")
    assert say.splitlines()[0] == "10001", say
    assert say.count("Read-only file system") == 2, say


def buys(image: Image) -> None:
    browser = Browser(APP)
    browser.sign_in()
    assert not browser.enters()
    assert "Payment done" in browser.follow(browser.pay()).text
    assert browser.enters()


def is_healthy(image: Image, **settings: str) -> bool:
    kind, *probe = image.config["Healthcheck"]["Test"]
    assert kind == "CMD"
    return subprocess.run(image.command(*probe, **settings), capture_output=True, timeout=60).returncode == 0


def main(root: Path, config: Path, folder: Path) -> None:
    set_up_network()
    image = Image(root, json.loads(config.read_text()), folder)
    runs_as_little(image)
    assert not is_healthy(image)
    with image.running("sandbox", 4001, "sandbox", "--data", "/data/sandbox"):
        settings = settings_of(image)
        image.run(*image.config["Entrypoint"], "migrate", **settings)
        with image.running("app", 8000, **settings):
            assert is_healthy(image)
            buys(image)
    sys.stdout.write("Bought.\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
