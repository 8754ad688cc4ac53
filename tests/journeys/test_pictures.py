"""The pictures in README.md can be taken again, and are of the pages that they say."""

from pathlib import Path

from playwright.sync_api import Browser
from tests.docs.documents import ROOT
from tests.journeys.demo import Demo
from tests.journeys.pictures import take_pictures


def test_every_picture_of_the_readme_can_be_taken_again(browser: Browser, demo: Demo, tmp_path: Path) -> None:
    taken = take_pictures(browser, demo.site, tmp_path)
    shown = sorted((ROOT / "docs/pictures").iterdir())
    assert sorted(picture.name for picture in taken) == [picture.name for picture in shown]
    for picture in [*taken, *shown]:
        head = picture.read_bytes()[:12]
        assert head[:4] + head[8:] == b"RIFFWEBP"
