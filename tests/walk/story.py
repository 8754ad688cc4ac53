"""In a network of its own, where every port is free: a stranger follows one guide in a fresh clone, word for word.

Arguments: the guide, the clone, and the stranger's home, in which their shell has Tollkeeper.
"""

import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx2
from tests.deploy.world import set_up_network
from tests.proxies.proxies import certificate
from tests.support.running import Browser, eventually
from tests.walk.stranger import Shell, commands, printed

PAY, APP = "https://pay.example.com", "https://app.example.com"


class Walk:
    """One stranger, and what they have started so far."""

    def __init__(self, clone: Path, home: Path, up: ExitStack) -> None:
        self.clone, self.home, self.up = clone, home, up
        self.shell = Shell(home)

    def guide(self, name: str) -> Path:
        return self.clone / ("README.md" if name == "README" else f"docs/{name}.md")

    def block(self, name: str, heading: str, number: int = 0) -> list[str]:
        return commands(printed(self.guide(name), heading)[number])

    def starts(self, command: str, port: int) -> subprocess.Popen[bytes]:
        return self.up.enter_context(self.shell.starts(command, port))

    def makes_a_shop(self, address: str = "http://localhost:8000") -> None:
        """As README says, with the answers that the guide for beginners gives to ``init``."""
        (sandbox,) = self.block("getting-started", "Start the sandbox")
        self.starts(sandbox, 4001)
        self.shell.types(f"cd {self.home}")
        answers = self.block("getting-started", "Say what you sell")[-1].replace("http://localhost:8000", address)
        for command in self.block("README", "Sell something"):
            if command == "tollkeeper serve":
                break
            typed = answers if command == "tollkeeper init" else command
            self.shell.types(typed, answer="y" if "--write" in command else "")

    def serves(self) -> subprocess.Popen[bytes]:
        return self.starts(self.block("README", "Sell something")[-1], 8000)


def bought(browser: Browser, shop: httpx2.Response | None = None) -> httpx2.Response:
    """Press *Purchase*, on the front page if no other is given, and pay. The page after that."""
    shop = shop or browser.get("/")
    return browser.follow(browser.pay(browser.follow(browser.submit(shop, "Purchase"))))


def empty(*places: str) -> None:
    """Let folders of this machine be empty, for us alone."""
    for place in places:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)


def demo(walk: Walk) -> None:
    """The demo of the README is stopped as abruptly as can be, and who has paid still gets in."""
    browser = Browser("http://127.0.0.1:4000")
    for again in (False, True):
        process = walk.starts("scripts/demo", 4000)
        eventually(lambda: browser.client.get("http://127.0.0.1:4000/healthz").is_success)
        if not again:
            browser.sign_in()
            assert "Payment done" in bought(browser).text
        assert browser.enters()
        process.kill()
        process.wait()
    declined = Browser(browser.site)
    walk.starts("scripts/demo", 4000)
    declined.sign_in("Bob Example")
    assert "declined" in declined.pay(card="4000000000000002").text


def sell(walk: Walk) -> None:
    walk.makes_a_shop()
    walk.serves()
    browser = Browser("http://localhost:8000")
    browser.sign_in()
    assert "Payment done" in bought(browser).text
    assert browser.enters()
    said = walk.shell.types("tollkeeper check --online")
    assert "Everything that was asked is in order." in said, said


def library(walk: Walk) -> None:
    """The apps of the guide, then those of the examples, one after the other, in one shop."""
    walk.makes_a_shop("http://localhost:8000/pay")
    (serve,) = (commands(block)[0] for block in printed(walk.guide("library"), "FastAPI"))
    *_, example = commands(printed(walk.clone / "examples/README.md", "Examples")[0])
    example = example.replace("path/to/examples", f"{walk.clone}/examples")
    browser = Browser("http://localhost:8000")
    for framework in ("FastAPI", "Starlette"):
        (walk.home / "shop/main.py").write_text(printed(walk.guide("library"), framework, "py")[0])
        with walk.shell.starts(serve, 8000):
            if framework == "FastAPI":
                bought(browser, browser.sign_in(path="/reports"))
            assert "Reports for Alice Example" in browser.get("/reports").text
    for app, words in (("fastapi_app", "You may use: dashboard"), ("django_app", "Hello Alice Example")):
        with walk.shell.starts(example.replace("fastapi_app", app), 8000):
            assert words in browser.get("/").text


def backup(walk: Walk) -> None:
    """While it serves; then all is lost and restored; then the steps of an upgrade."""
    empty("/var/backups")
    users = walk.home / "passwd"
    users.write_text(Path("/etc/passwd").read_text() + "tollkeeper:x:990:990::/var/lib/tollkeeper:/usr/sbin/nologin\n")
    subprocess.run(["mount", "--bind", users, "/etc/passwd"], check=True)
    walk.makes_a_shop()
    server = walk.serves()
    browser = Browser("http://localhost:8000")
    browser.sign_in()
    bought(browser)
    for block in printed(walk.guide("backup"), "Back up"):
        walk.shell.types(*commands(block))
    server.kill()
    server.wait()
    walk.shell.types("mkdir lost && mv tollkeeper.sqlite3* lost")
    for block in printed(walk.guide("backup"), "Restore"):
        walk.shell.types(*commands(block))
    server = walk.serves()
    assert not browser.enters()
    browser.sign_in()
    assert browser.enters()
    for block in printed(walk.guide("backup"), "To a point in time, with PostgreSQL"):
        walk.shell.types(*commands(block))
    first, *rest = printed(walk.guide("backup"), "Upgrade")
    walk.shell.types(*commands(first), "tollkeeper backup before-upgrade.backup")
    server.kill()
    server.wait()
    *upgrade, serve = (command for block in rest for command in commands(block))
    walk.shell.types(*upgrade)
    walk.starts(serve, 8000)
    browser.sign_in()  # catching up has ended all login sessions
    assert browser.enters()


def stripe(walk: Walk) -> None:
    """Selling with Stripe, up to a changed price and a lost secret, with the sandbox in Stripe's place."""
    walk.makes_a_shop()
    guide = walk.guide("stripe")
    (catalog,) = printed(guide, "Say what you sell", "toml")
    (walk.home / "shop/tollkeeper.toml").write_text(catalog)
    create, use = printed(guide, "Create it at Stripe")[:2]
    walk.shell.types(*commands(create), answer="y")
    *before, serve = commands(use)
    walk.shell.types(*before)
    walk.starts(serve, 8000)
    browser = Browser("http://localhost:8000")
    browser.sign_in()
    pricing = browser.get("/pricing").text
    assert all(name in pricing for name in ("Pro", "The course", "€9.99", "€99.00", "€49.00"))
    (lost,) = printed(guide, "When the webhook secret is lost")
    walk.shell.types(*commands(lost), answer="y")


def nginx(walk: Walk) -> None:
    empty("/etc/nginx/conf.d", "/etc/nginx/sites-enabled", "/etc/ssl", "/var/log/nginx", "/run")
    shown = certificate(walk.home)
    Path("/etc/ssl/example.com.pem").write_bytes(shown.chain.read_bytes())
    Path("/etc/ssl/example.com.key").write_bytes(shown.key.read_bytes())
    configuration = printed(walk.guide("nginx"), "nginx in front of your app", "nginx")[0]
    Path("/etc/nginx/conf.d/app.conf").write_text(configuration)
    subprocess.run(["nginx", "-t"], check=True)
    behind(walk, "nginx", "nginx -g 'daemon off;'")


def caddy(walk: Walk) -> None:
    """With certificates that Caddy makes itself, because nobody who could sign others can be asked."""
    configuration = printed(walk.guide("caddy"), "Caddy in front of your app", "caddyfile")[0]
    file = walk.home / "Caddyfile"
    file.write_text("{\n\tlocal_certs\n\tskip_install_trust\n}\n" + configuration)
    behind(walk, "caddy", f"caddy run --config {file}")


def behind(walk: Walk, name: str, proxy: str) -> None:
    """The shop, an app that knows nothing of it, and a proxy in front of both."""
    walk.makes_a_shop()
    titles = {"nginx": "nginx in front of your app", "caddy": "Caddy in front of your app"}
    settings = printed(walk.guide(name), titles[name], "sh")[0]
    file = walk.home / "shop/.env"
    kept = [line for line in file.read_text().splitlines() if not line.startswith("PUBLIC_URL=")]
    file.write_text("\n".join([*kept, settings, "ALLOW_TEST_MODE=true"]))
    walk.shell.types("tollkeeper check")
    walk.serves()
    walk.starts(f"python3 -m http.server --bind 127.0.0.1 --directory {walk.clone}/deploy/app 9000", 9000)
    walk.starts(proxy, 443)
    browser = Browser(APP)
    browser.client = httpx2.Client(verify=False, headers={"Accept": "text/html"}, timeout=20)
    shop = browser.sign_in(path="/")
    assert str(shop.url).startswith(PAY), shop.url
    assert "You are in" not in shop.text
    assert "You are in" in browser.follow(bought(browser, shop)).text
    assert "You are in" in browser.get("/").text


STORIES: dict[str, Callable[[Walk], None]] = {
    "demo": demo,
    "sell": sell,
    "stripe": stripe,
    "library": library,
    "backup": backup,
    "nginx": nginx,
    "caddy": caddy,
}


def main(story: str, clone: Path, home: Path) -> None:
    set_up_network("pay.example.com", "app.example.com")
    with ExitStack() as up:
        STORIES[story](Walk(clone, home, up))
    sys.stdout.write("Arrived.\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
