"""Only the providers' own packages name a provider, so that another one takes a folder and a line."""

import re
from pathlib import Path

import pytest

import tollkeeper
from tollkeeper.config.providers import PROVIDERS

SOURCE = Path(tollkeeper.__file__).parent

# Those that there are, and those that are known of.
NAMES = re.compile("|".join({*(one.name for one in PROVIDERS), "stripe", "paddle", "polar", "lemon ?squeezy"}), re.I)
# The source of a rule may be named anywhere.
SOURCES = re.compile(r"https://docs\.[a-z.]+/[^\s,;)\"]*")
# Words of their own that only begin so.
OTHERS = re.compile(r"-stripes|stripes-")

ALLOWED = {
    "config/providers.py": "the list of providers",
    "demo.py": "the demo of an account at the sandbox's Stripe",
    "cli/running.py": "the sandbox's own words",
}
ROOMS = sorted(
    path.relative_to(SOURCE).as_posix()
    for path in SOURCE.rglob("*")
    if path.suffix in {".py", ".html", ".js", ".css"}
    and not (path.relative_to(SOURCE).parts[0] == "providers" and len(path.relative_to(SOURCE).parts) > 2)
    and "migrations" not in path.parts
)


def named_in(text: str) -> list[str]:
    """The lines that name a provider."""
    lines = (OTHERS.sub("", SOURCES.sub("", line)) for line in text.splitlines())
    return [line.strip() for line in lines if NAMES.search(line)]


@pytest.mark.parametrize("room", ROOMS)
def test_a_neutral_room_names_no_provider(room: str) -> None:
    assert bool(named_in((SOURCE / room).read_text("utf-8"))) == (room in ALLOWED)


def test_a_name_is_seen_wherever_it_stands() -> None:
    for text in ('name = "stripe"', "# as Paddle does", "STRIPE_API_KEY", "see https://dashboard.stripe.com/x"):
        assert named_in(text)
    assert not named_in("https://docs.stripe.com/api/events, and so on")
