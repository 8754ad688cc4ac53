"""A real Chromium. Its headless shell is preferred: without windows to draw, it needs a third less CPU and memory."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@contextmanager
def running_chromium(*more: str) -> Iterator[Browser]:
    """``more`` are arguments. Skips the test if it is not installed, unless all tests must run."""
    as_root = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_installed(), args=[*QUIET, *as_root, *more])
        yield browser
        browser.close()


def _installed() -> str:
    if found := next((path for name in NAMES if (path := shutil.which(name))), None):
        return found
    reason = f"needs a browser: none of {', '.join(NAMES)} is installed"
    if os.environ.get("TOLLKEEPER_TESTS") == "complete":
        pytest.fail(reason)
    pytest.skip(reason)
