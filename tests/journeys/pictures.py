"""The pictures in README.md, from the running demo: ``python -m tests.journeys.pictures FOLDER``."""

import base64
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser
from tests.journeys.demo import Demo
from tests.journeys.visitor import Visitor
from tests.support.chromium import running_chromium
from tests.support.processes import free_port

# README.md shows three of them side by side, at less than half of this size, so that text is sharp on every screen.
WIDTH, HEIGHT = 640, 720
QUALITY = 75


def take_pictures(browser: Browser, site: str, folder: Path) -> list[Path]:
    """Buy something in the demo at ``site``, and return the pictures of the pages on the way."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light", reduced_motion="reduce"
    )
    alice = Visitor(site, context, "alice@example.com", "Alice Example")
    alice.sign_in()
    pictures = [_picture(alice, folder / "landing.webp")]
    alice.purchase()
    alice.fill_card()
    pictures.append(_picture(alice, folder / "checkout.webp"))
    alice.press("Pay")
    alice.sees("Payment done")
    alice.gets_in()
    pictures.append(_picture(alice, folder / "dashboard.webp"))
    context.close()
    return pictures


def _picture(visitor: Visitor, file: Path) -> Path:
    """What the browser shows, without its cursor. Playwright itself writes no WebP."""
    visitor.page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    options = {"format": "webp", "quality": QUALITY}
    taken = visitor.context.new_cdp_session(visitor.page).send("Page.captureScreenshot", options)
    file.write_bytes(base64.b64decode(taken["data"]))
    return file


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as temporary:
        demo = Demo(Path(temporary), free_port(neighbours=2))
        with demo.started(), running_chromium() as browser:
            for picture in take_pictures(browser, demo.site, folder):
                sys.stdout.write(f"{picture}: {picture.stat().st_size // 1024} KiB\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
