"""Several tabs of one browser that sign in at the same time, each on its way to another page."""

import re
import secrets

import pytest
from playwright.sync_api import Page, expect
from tests.journeys.demo import Demo
from tests.journeys.visitor import Lobby

from tollkeeper.redirects import LONGEST


def long(start: str) -> str:
    """Return an address of the maximum length, different for each tab."""
    return start + secrets.token_urlsafe(LONGEST)[: LONGEST - len(start)]


WANTED = {
    "short": [f"/account?tab={number}" for number in range(5)],
    "raw": [f"/account?tab={number}&filter={{a|b}}^2&q=`ls`&path=C:\\x&tags[]=1;2" for number in range(5)],
    "long": [long(f"/account?tab={number}&state={{|}}") for number in range(5)],
}


@pytest.mark.parametrize("wanted", WANTED.values(), ids=WANTED.keys())
def test_l91_five_tabs_sign_in_at_once_and_land_where_each_wanted_to_go(
    visit: Lobby, demo: Demo, wanted: list[str]
) -> None:
    visitor = visit()
    tabs: dict[str, Page] = {}
    for page in wanted:
        tabs[page] = visitor.new_tab()
        visitor.open(page)
        visitor.sees("Choose a person")
        visitor.type("Name", visitor.name)
        visitor.type("Email", visitor.email)
    for tab in tabs.values():  # none waits for another
        tab.evaluate(
            "() => { setTimeout(() => document.querySelector('form:has([name=email])').requestSubmit(), 300) }"
        )
    for page, tab in tabs.items():
        expect(tab.get_by_role("heading", level=1, name="Account", exact=True)).to_be_visible()
        expect(tab).to_have_url(re.compile(f"^{re.escape(demo.site + page)}$"))
    for tab in tabs.values():
        tab.reload()
        expect(tab.get_by_role("heading", level=1, name="Account", exact=True)).to_be_visible()
    left = {cookie.get("name") for cookie in visitor.context.cookies([demo.site, f"{demo.site}/login"])}
    assert left == {"tollkeeper"}
