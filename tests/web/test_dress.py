"""What an operator changes about the pages: name, colour, logo, dashboard, templates."""

from pathlib import Path

import pytest
from tests.support.running import Browser, Site
from tests.web.conftest import OpenSite

SVG = '<svg xmlns="http://www.w3.org/2000/svg"/>'


def test_as_it_comes(plain_site: Site) -> None:
    browser = Browser(plain_site.url)
    assert "· Tollkeeper</title>" in browser.get("/").text
    assert "Test mode" in browser.get("/").text
    assert "--accent: #ffb81c" in browser.get("/static/theme.css").text
    assert browser.get("/static/logo").status_code == 404
    assert "/static/logo" not in browser.get("/").text


def test_name_and_colour(open_site: OpenSite) -> None:
    browser = Browser(open_site(SITE_NAME="Ada & Sons", ACCENT_COLOR="#0f766e").url)
    assert "· Ada &amp; Sons</title>" in browser.get("/").text
    theme = browser.get("/static/theme.css")
    assert theme.headers["Content-Type"].startswith("text/css")
    assert "--accent: #0f766e; --on-accent: #fff" in theme.text


def test_logo(open_site: OpenSite, tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_text(SVG)
    browser = Browser(open_site(SITE_LOGO="logo.svg").url)
    assert 'src="/static/logo"' in browser.get("/").text
    answer = browser.get("/static/logo")
    assert (answer.text, answer.headers["Content-Type"]) == (SVG, "image/svg+xml")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]  # an SVG opened alone runs no script


def test_dashboard_file(open_site: OpenSite, tmp_path: Path) -> None:
    (tmp_path / "mine.html").write_text("<p id='mine'>Grüße</p>", "utf-8")
    site = open_site(DASHBOARD_FILE="mine.html")
    browser = Browser(site.url)
    assert browser.get("/dashboard").status_code == 302
    browser.sign_in("Alice Example")
    assert "Grüße" not in browser.follow(browser.get("/dashboard")).text
    browser.follow(browser.pay())
    assert "<p id='mine'>Grüße</p>" in browser.get("/dashboard").text


def test_own_templates_come_first(open_site: OpenSite, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "landing.html").write_text(
        '{% extends "base.html" %}{% block title %}Mine{% endblock %}'
        "{% block content %}<h1>{{ site.name }}</h1>{% endblock %}"
    )
    browser = Browser(open_site(TEMPLATES_DIR="own", SITE_NAME="<Mine>").url)
    assert "<h1>&lt;Mine&gt;</h1>" in browser.get("/").text
    assert "<title>Logout" in browser.get("/logout").text


@pytest.mark.parametrize("path", ["style.css", "favicon.svg", "dashboard.css", "theme.css"])
def test_static_files_are_there(standing_site: Site, path: str) -> None:
    assert Browser(standing_site.url).get(f"/static/{path}").status_code == 200


@pytest.mark.parametrize("path", ["../home.py", "..%2fhome.py", "%2e%2e/templates/base.html", "/etc/passwd", "."])
def test_static_files_end_at_their_folder(standing_site: Site, path: str) -> None:
    assert Browser(standing_site.url).get(f"/static/{path}").status_code == 404
