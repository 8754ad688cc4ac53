"""Real nginx and real Caddy, each with exactly the configuration from its guide in ``docs/``."""

import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.processes import free_port
from tests.support.running import Browser, eventually

DOCS = Path(__file__).parents[2] / "docs"
PAY, APP, APART = HOSTS = ("pay.example.com", "app.example.com", "app.example.net")

NGINX = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include guide.conf;
}
"""
CADDY = """
{{
	admin off
	auto_https off
	https_port {port}
	default_bind 127.0.0.1
}}
"""


@dataclass(frozen=True)
class Certificate:
    """What all hosts show, signed by nobody else."""

    chain: Path
    key: Path


@dataclass(frozen=True)
class Proxy:
    """A running proxy."""

    name: str
    port: int
    trust: ssl.SSLContext

    def browser(self) -> Browser:
        """A browser that knows all hosts by their names, and sends what browsers send."""
        browser = Browser(f"https://{PAY}")
        mounts = {f"https://{host}": Wire(self) for host in HOSTS}
        headers = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}
        browser.client = httpx2.Client(mounts=mounts, headers=headers, timeout=20)
        return browser

    def connect(self, host: str = APP) -> ssl.SSLSocket:
        """A bare connection, for what no client would send."""
        plain = socket.create_connection(("127.0.0.1", self.port), 10)
        return self.trust.wrap_socket(plain, server_hostname=host)

    def ask(self, *lines: str) -> bytes:
        """Send a request head exactly as given, and read the whole answer."""
        with self.connect() as wire:
            wire.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1"))
            answer = b""
            with suppress(ConnectionError, ssl.SSLError):
                while more := wire.recv(65536):
                    answer += more
            return answer


class Wire(httpx2.BaseTransport):
    """Leads every host to one proxy, as its name server would."""

    def __init__(self, proxy: Proxy) -> None:
        self._port = proxy.port
        self._inner = httpx2.HTTPTransport(verify=proxy.trust)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url.copy_with(host="127.0.0.1", port=self._port)
        shown = request.extensions | {"sni_hostname": request.url.host}
        return self._inner.handle_request(
            httpx2.Request(request.method, url, headers=request.headers, stream=request.stream, extensions=shown)
        )

    def close(self) -> None:
        self._inner.close()


def certificate(folder: Path) -> Certificate:
    """A certificate for all hosts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "example.com")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), critical=False)
        .sign(key, hashes.SHA256())
    )
    made = Certificate(folder / "chain.pem", folder / "key.pem")
    made.chain.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    made.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return made


BY_PATH, FROM_ELSEWHERE = "Features by path", "Calls from another origin"


def blocks(name: str, language: str) -> dict[str, list[str]]:
    """All blocks in a language that a guide prints, under the titles of its sections; those before any under none."""
    sections = re.split(r"^## (.*)\n", "\n" + (DOCS / f"{name}.md").read_text("utf-8"), flags=re.MULTILINE)
    texts = dict(zip(["", *sections[1::2]], sections[::2], strict=True))
    return {title: re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL) for title, text in texts.items()}


def printed(name: str, language: str) -> str:
    """The blocks of a guide, one below the other as it says; without what it says may be put in."""
    wanted = {title: said for title, said in blocks(name, language).items() if title not in (BY_PATH, FROM_ELSEWHERE)}
    return "".join("".join(said) for said in wanted.values())


def extended(name: str) -> str:
    """A guide's configuration with everything put in, at the places that it says."""
    language = LANGUAGES[name]
    by_path, from_elsewhere = (blocks(name, language)[title] for title in (BY_PATH, FROM_ELSEWHERE))
    text = printed(name, language)
    if name == "nginx":
        (maps, refusal, asked), (origin, answer) = by_path, from_elsewhere
        text = replaced(text, f"server_name {APP};\n", f"server_name {APP};\n{refusal}")
        text = replaced(
            text, "    location / {\n        auth_request", f"    location / {{\n{answer}        auth_request"
        )
        return maps + origin + replaced(text, re.sub(r"feature=.*", "feature=dashboard;", asked), asked)
    (start, asked), (answer,) = by_path, from_elsewhere
    text = replaced(text, f"{APP} {{\n\troute {{\n", f"{APP} {{\n\troute {{\n{start}{answer}")
    return replaced(text, re.sub(r"feature=.*", "feature=dashboard", asked), asked)


def with_service_workers(name: str) -> str:
    """A guide's configuration without the lines that keep service workers out."""
    text = printed(name, LANGUAGES[name])
    left = "\n".join(line for line in text.split("\n") if "service_worker" not in line)
    assert left != text
    return left


def replaced(text: str, old: str, new: str) -> str:
    """With the first of something replaced, which must be there."""
    assert old in text, old
    return text.replace(old, new, 1)


LANGUAGES = {"nginx": "nginx", "caddy": "caddyfile", "streamlit": "caddyfile"}


def guide_settings(name: str) -> dict[str, str]:
    """Tollkeeper's settings, as a guide prints them; where it prints one again, the last counts."""
    lines = (line.partition("=") for line in printed(name, "sh").splitlines())
    return {variable: value for variable, _, value in lines}


def guide(text: str, own: dict[str, str]) -> str:
    """The configuration that a guide prints, with ports and files of the test's own."""
    for old, new in own.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def nginx(
    folder: Path, port: int, upstreams: dict[str, str], shown: Certificate, *, text: str | None = None
) -> list[str]:
    names = {"pem": str(shown.chain), "key": str(shown.key)}
    files = {f"/etc/ssl/example.{top}.{kind}": file for top in ("com", "net") for kind, file in names.items()}
    listen = {"listen 443 ssl": f"listen 127.0.0.1:{port} ssl"}
    (folder / "guide.conf").write_text(guide(text or printed("nginx", "nginx"), upstreams | files | listen))
    (folder / "nginx.conf").write_text(NGINX)
    return [str(found("nginx")), "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]


def caddy(
    folder: Path,
    port: int,
    upstreams: dict[str, str],
    shown: Certificate,
    *,
    text: str | None = None,
    hosts: Sequence[str] = HOSTS,
) -> list[str]:
    sites = {f"{host} {{\n": f"{host} {{\n\ttls {shown.chain} {shown.key}\n" for host in hosts}
    text = guide(text or printed("caddy", "caddyfile"), upstreams | sites)
    (folder / "Caddyfile").write_text(CADDY.format(port=port) + text)
    return ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


Setup = Callable[[Path, int, dict[str, str], Certificate], list[str]]

PROXIES: dict[str, Setup] = {"nginx": nginx, "caddy": caddy}
FURTHER_GUIDES: dict[str, Setup] = {
    "streamlit": partial(caddy, text=printed("streamlit", "caddyfile"), hosts=(PAY, APP)),
    "nginx, extended": partial(nginx, text=extended("nginx")),
    "caddy, extended": partial(caddy, text=extended("caddy")),
    "nginx, service workers wanted": partial(nginx, text=with_service_workers("nginx")),
    "caddy, service workers wanted": partial(caddy, text=with_service_workers("caddy")),
}


@contextmanager
def running_proxy(name: str, folder: Path, tollkeeper: str, app: str) -> Iterator[Proxy]:
    """A proxy in front of an app, ``host:port``, that asks Tollkeeper at another."""
    must_exist("nginx" if name.startswith("nginx") else "caddy")
    folder.mkdir()
    port, shown = free_port(), certificate(folder)
    command = (PROXIES | FURTHER_GUIDES)[name](
        folder, port, {"127.0.0.1:8000": tollkeeper, "127.0.0.1:9000": app}, shown
    )
    paths = {name: str(folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | paths)
    try:
        eventually(lambda: process.poll() is not None or listens(port))
        assert process.poll() is None, (folder / "log").read_text()
        yield Proxy(name, port, ssl.create_default_context(cafile=shown.chain))
    finally:
        process.terminate()
        process.wait(10)


def must_exist(name: str) -> None:
    """Skip without the proxy, except where all tests have to run."""
    if found(name) is None:
        if os.environ.get("TOLLKEEPER_TESTS") == "complete":
            pytest.fail(f"the complete tests need {name}")
        pytest.skip(f"{name} is not installed")


def found(name: str) -> str | None:
    """The program. Debian's nginx is where only administrators look."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
