"""The example apps, and the one in the README, each served as its user would serve it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.processes import Installation, installed, running
from tests.support.running import Browser, Sandbox, eventually

from tollkeeper.storage.tables import grants

ROOT = Path(__file__).parents[2]
PROGRAM = {"Accept": "application/json"}


@contextmanager
def served(app: str, folder: Path, installation: Installation) -> Iterator[Browser]:
    """An app by the name that uvicorn knows it by, in the folder of its settings."""
    command = ("-m", "uvicorn", app, f"--app-dir={folder}", f"--port={installation.port}")
    with running(*command, folder=installation.folder, port=installation.port):
        yield Browser(installation.url.removesuffix("/pay"))


@pytest.fixture
def shop(sandbox: Sandbox, sqlite_url: str, tmp_path: Path) -> Installation:
    """Settings for a Tollkeeper that is mounted at /pay."""
    return installed(sandbox, sqlite_url, tmp_path, path="/pay")


def buys(browser: Browser, wanted: str) -> str:
    """From a page that is not open yet, through sign-in and payment. Answers the page where that ends."""
    sold = browser.sign_in("Lea Library", "lea@example.com", wanted)
    assert "Flying lessons" in sold.text
    assert str(sold.url).startswith(f"{browser.site}/pay/pricing?")
    hosted = browser.follow(browser.submit(sold, "Purchase"))
    page = browser.follow(browser.pay(hosted))
    assert str(page.url) == f"{browser.site}{wanted}"
    return page.text


def refund(sandbox: Sandbox, shop: Installation) -> None:
    (grant,) = shop.rows(grants)
    sandbox.stripe.v1.refunds.create({"payment_intent": grant.reference})
    eventually(lambda: shop.rows(grants)[0].revoked_at)


def test_the_fastapi_app(sandbox: Sandbox, shop: Installation) -> None:
    with served("fastapi_app:app", ROOT / "examples", shop) as browser:
        assert "Sign in" in browser.get("/").text
        assert browser.client.get(f"{browser.site}/reports", headers=PROGRAM).status_code == 401
        assert buys(browser, "/reports") == '{"reports for":"Lea Library"}'
        assert browser.get("/").text == "You may use: dashboard"
        refund(sandbox, shop)
        assert browser.client.get(f"{browser.site}/reports", headers=PROGRAM).status_code == 402
        assert browser.get("/").text == "You may use: nothing yet"


def test_the_django_app(sandbox: Sandbox, shop: Installation) -> None:
    with served("django_app:app", ROOT / "examples", shop) as browser:
        assert buys(browser, "/lessons/7") == "Lesson 7"
        forged = {"Remote-Name": "Mallory", "Remote_Groups": "everything"}
        answer = browser.client.get(browser.site, headers=forged)
        assert answer.text == "Hello Lea Library, you may use dashboard"
        assert browser.get("/none").status_code == 404
        refund(sandbox, shop)
        assert browser.client.get(browser.site, headers=PROGRAM).status_code == 402


def test_the_readme_app(shop: Installation) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert len(code.splitlines()) <= 15
    (shop.folder / "main.py").write_text(code)
    with served("main:app", shop.folder, shop) as browser:
        assert "Lea Library" in buys(browser, "/reports")
