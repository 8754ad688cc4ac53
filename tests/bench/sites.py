"""The measured apps, each in its own process: the minimal apps, the real app on either database, and nginx."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2
from tests.bench.load import WrongAnswer
from tests.bench.people import fill
from tests.endurance.shop import serve_sandbox
from tests.support.databases import Cluster, new_cluster
from tests.support.processes import Installation, Process, free_port, installed, run, running
from tests.support.running import Account

BARE: Final = str(Path(__file__).with_name("apps.py"))
PATIENCE: Final = 20  # seconds
PRODUCTS: Final = """
[products.basic]
name = "Basic"
unlocks = ["dashboard"]
stripe = ["{basic}"]
[products.pro]
name = "Pro"
unlocks = ["reports"]
stripe = ["{pro}"]
"""
NGINX: Final = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    keepalive_requests 1000000;
    upstream tollkeeper {{ server 127.0.0.1:{app}; keepalive 32; }}
    server {{
        listen 127.0.0.1:{port};
        root .;
        location = /healthz {{ return 200; }}
        location /open {{ try_files /page =404; }}
        location /gated {{ auth_request /ask; try_files /page =404; }}
        location = /ask {{
            internal;
            proxy_pass http://tollkeeper/gate/auth-request?feature=dashboard;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Site:
    """The app, installed with so many people."""

    app: Installation
    people: int

    @property
    def gate(self) -> str:
        """Asks whether a visitor may use a feature that they have."""
        return f"{self.app.url}/gate?feature=dashboard"


@contextmanager
def open_sandbox(folder: Path) -> Iterator[Account]:
    """The sandbox, for all sites."""
    port = free_port()
    with serve_sandbox(folder, port):
        yield Account(f"http://127.0.0.1:{port}")


def install(account: Account, folder: Path, database_url: str, people: int) -> Site:
    """The app in a folder of its own, with its database filled."""
    folder.mkdir()
    products = PRODUCTS.format(basic=account.price(name="Basic"), pro=account.price(name="Pro"))
    (folder / "tollkeeper.toml").write_text(products)
    app = installed(account, database_url, folder, PRODUCT_PRICE_ID="", SIGN_IN_RATE="", PURCHASE_RATE="")
    made = run("migrate", folder=folder)
    if made.returncode:
        raise WrongAnswer(made.stderr)
    fill(database_url, people, int(time.time()))
    return Site(app, people)


@contextmanager
def serving_bare(kind: str, folder: Path) -> Iterator[tuple[str, Process]]:
    """A bare app, ``starlette`` or ``raw``: its address and its process."""
    port = free_port()
    with running(BARE, kind, str(port), folder=folder, port=port) as process:
        yield f"http://127.0.0.1:{port}/", process


@contextmanager
def serving_nginx(folder: Path, app_port: int) -> Iterator[str]:
    """nginx with two pages: one for everybody, and one behind the gate."""
    port = free_port()
    (folder / "page").write_text("hello")
    (folder / "nginx.conf").write_text(NGINX.format(app=app_port, port=port))
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))
    command = ["nginx", "-p", str(folder), "-c", "nginx.conf"]
    with (folder / "nginx.log").open("wb") as log:
        nginx = subprocess.Popen(command, env=os.environ | {"PATH": path}, stdout=log, stderr=subprocess.STDOUT)
    try:
        first_answer(f"http://127.0.0.1:{port}/healthz", "", time.monotonic())
        yield f"http://127.0.0.1:{port}"
    finally:
        nginx.terminate()
        nginx.wait(10)


@contextmanager
def postgresql() -> Iterator[Cluster]:
    """A server of our own that waits for the disk, as one in production does."""
    cluster = new_cluster(durable=True)
    try:
        yield cluster
    finally:
        cluster.remove()


def first_answer(url: str, token: str, began: float) -> float:
    """Seconds from a moment until an address answers with 200. Raises ``WrongAnswer`` if it does not soon."""
    with httpx2.Client(cookies={"tollkeeper": token}) as client:
        while time.monotonic() < began + PATIENCE:
            try:
                if client.get(url).status_code == 200:
                    return time.monotonic() - began
            except httpx2.TransportError:
                time.sleep(0.002)
    raise WrongAnswer(f"{url} does not answer")


def memory(process: Process) -> float:
    """How much of a process is in memory, in MB."""
    return resident(Path(f"/proc/{process.popen.pid}/status").read_text())


def resident(status: str) -> float:
    """The same, from what Linux says about a process."""
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024
