"""A shop, a backup of it, and another database to restore that into."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.support.running import Browser, look, running_sandbox
from tests.support.shops import Shop, running_shop

from tollkeeper.app import open_services
from tollkeeper.config import load as config
from tollkeeper.operating.catch_up import CaughtUp, Progress, catch_up
from tollkeeper.storage import tables
from tollkeeper.storage.backup import silent


@pytest.fixture
def shop(database_url: str, tmp_path: Path) -> Iterator[Shop]:
    with running_sandbox() as sandbox, running_shop(sandbox, database_url, tmp_path) as shop:
        yield shop


def caught_up(shop: Shop, folder: Path, url: str, progress: Progress = silent) -> CaughtUp:
    """Catch up as the command does, at the shop's own time."""

    async def work() -> CaughtUp:
        settings = config.load(shop.site.settings | {"DATABASE_URL": url}, folder)
        async with open_services(settings, shop.site.clock) as services:
            return await catch_up(services, progress)

    return asyncio.run(work())


def with_grants(url: str) -> set[str]:
    """The people who hold something."""
    return look(
        url,
        lambda conn: set(conn.scalars(select(tables.grants.c.person_id).where(tables.grants.c.revoked_at.is_(None)))),
    )


def who(shop: Shop, browser: Browser) -> str:
    return str(browser.get("/api/me").json()["visitor"]["id"])
