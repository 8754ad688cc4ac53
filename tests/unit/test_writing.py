"""New texts of the settings files: the values that were to change do, and nothing else does."""

import io
import re
import tomllib
from typing import NamedTuple

import pytest
from dotenv.parser import parse_stream
from hypothesis import given, settings
from hypothesis import strategies as st

from tollkeeper.settings.writing import NotWritable, with_env, with_products

COMMENT = re.compile(r"#.*")
IDS = st.lists(st.sampled_from([f"price_{letter}" for letter in "abcdef"]), unique=True, max_size=4)
NOTES = st.sampled_from(["", "  # launch", " # 'quoted' \"twice\"", "\t# [x] = 1"])
BETWEEN = st.sampled_from(["", "\n", "# by hand\n", "# [products.old]\n# name = 'x'\n", '\n# note = "\n\n'])
OTHERS = ['name = "Pro"  # [sic]\n', 'unlocks = ["dashboard"] # both\n', "grace_days = 3 # days\n"]


class File(NamedTuple):
    """A file, and the lines of it that are to stay, in their order."""

    text: str
    stays: list[str]


def lines_of_list(draw: st.DrawFn, name: str) -> str:
    """A list in one of the ways in which people write one."""
    items, form, note = draw(IDS), draw(st.sampled_from(["none", "line", "lines", "text"])), draw(NOTES)
    if form == "none":
        return ""
    if form == "text" and items:
        return f"{name} = '{items[0]}'{note}\n"
    if form == "lines":
        inner = "".join(f'{draw(BETWEEN)}    "{item}",{draw(NOTES)}\n' for item in items)
        return f"{name} = [{draw(NOTES)}\n{inner}{draw(BETWEEN)}]{note}\n"
    return f"{name} = [{', '.join(map(repr, items))}]{note}\n"


@st.composite
def files(draw: st.DrawFn) -> File:
    """Two products, with a list before or after other lines, or none, and comments anywhere."""
    text, stays = "", []

    def add(lines: str, *, stay: bool = True) -> None:
        nonlocal text
        text += lines
        stays.extend(lines.splitlines() if stay else [])

    add(draw(BETWEEN) + "site_name = 'X'\n")
    for key in draw(st.permutations(["pro", "basic"])):
        add(f"{draw(BETWEEN)}[products.{key}]{draw(NOTES)}\n")
        names = ["offers", "stripe", draw(st.sampled_from(["stripe_also", "STRIPE_ALSO"]))]
        for name in draw(st.permutations(names)):
            add(draw(BETWEEN))
            if name == "offers":
                add(f'offers = ["9 EUR"]{draw(NOTES)}\n')
            else:
                add(lines_of_list(draw, name), stay=key == "basic")
        for line in draw(st.lists(st.sampled_from(OTHERS), unique=True)):
            add(line)
        add(draw(BETWEEN))
    return File(text, stays)


@settings(max_examples=60, deadline=None)
@given(file=files(), stripe=IDS, also=IDS)
def test_every_comment_and_every_other_line_stays(file: File, stripe: list[str], also: list[str]) -> None:
    wanted = {"pro": {"stripe": stripe, "stripe_also": also}}
    after = with_products(file.text, wanted)
    now, before = (tomllib.loads(each)["products"] for each in (after, file.text))
    found = {name.lower(): [value] if isinstance(value, str) else value for name, value in now["pro"].items()}
    assert [found["stripe"], found["stripe_also"]] == [stripe, also]
    assert now["basic"] == before["basic"]
    assert in_order(file.stays, after.splitlines())
    assert sorted(COMMENT.findall(after)) == sorted(COMMENT.findall(file.text))
    assert with_products(after, wanted) == after


def in_order(some: list[str], lines: list[str]) -> bool:
    """Whether some lines are among others, in the same order."""
    rest = iter(lines)
    return all(line in rest for line in some)


ENV_LINES = [
    "# by hand\n",
    "\n",
    "PUBLIC_URL=https://example.com  # ours\n",
    "export SITE_NAME='A # b'\n",
    "  X = 1\n",
    'Y="2" # c\n',
]
OLD = [
    "",
    "STRIPE_WEBHOOK_SECRET=\n",
    "STRIPE_WEBHOOK_SECRET= # later\n",
    "STRIPE_WEBHOOK_SECRET=whsec_1 # old\n",
    "export STRIPE_WEBHOOK_SECRET = 'whsec_1'\n",
    'STRIPE_WEBHOOK_SECRET="whsec_1"\t# x\n',
    "STRIPE_WEBHOOK_SECRET\n",
]
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(
    lines=st.lists(st.sampled_from(ENV_LINES), unique=True),
    old=st.sampled_from(OLD),
    value=VALUES,
    place=st.integers(0),
)
def test_one_variable_changes_and_every_other_line_stays(lines: list[str], old: str, value: str, place: int) -> None:
    at = place % (len(lines) + 1)
    after = with_env("".join([*lines[:at], old, *lines[at:]]), {"STRIPE_WEBHOOK_SECRET": value})
    found = {one.key: one.value for one in parse_stream(io.StringIO(after)) if one.key}
    assert found["STRIPE_WEBHOOK_SECRET"] == value
    (changed,) = (line for line in after.splitlines(keepends=True) if "STRIPE_WEBHOOK_SECRET" in line)
    assert changed.endswith("".join(COMMENT.findall(old)) + "\n")
    assert [line for line in after.splitlines(keepends=True) if line != changed] == lines
    assert with_env(after, {"STRIPE_WEBHOOK_SECRET": value}) == after


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        ("", "a b", "A='a b'\n"),
        ("B=1", "2", "B=1\nA=2\n"),
        ("A=1 # why\n", "2", "A=2 # why\n"),
        ('A="1"\n', "2", 'A="2"\n'),
        ("A='1'\n", "it's", "A='it\\'s'\n"),
        ("A\n", "2", "A=2\n"),
        ("A=1\nA=2\n", "3", "A=1\nA=3\n"),
        ("A=1 # why\n", "1", "A=1 # why\n"),
    ],
)
def test_a_variable_keeps_its_quotes_and_its_comment(before: str, value: str, after: str) -> None:
    assert with_env(before, {"A": value}) == after


def test_what_no_line_can_hold_is_refused() -> None:
    for before in ("", "'A B'=1\n"):
        with pytest.raises(NotWritable, match="A B that cannot be changed safely"):
            with_env(before, {"A B": "2"})


def test_a_new_list_follows_the_offers_and_not_a_comment_about_the_next_table() -> None:
    text = '[products.pro]\noffers = ["9 EUR"]  # price\n\n# Another one\n[products.basic]\nname = "B"'
    after = with_products(text, {"pro": {"stripe": ["p1"], "stripe_also": ["p2"]}, "basic": {"stripe": ["p3"]}})
    assert after == (
        '[products.pro]\noffers = ["9 EUR"]  # price\nstripe = ["p1"]\nstripe_also = ["p2"]\n\n'
        '# Another one\n[products.basic]\nname = "B"\nstripe = ["p3"]\n'
    )


def test_comments_stay_with_their_items_and_those_of_items_that_are_gone_come_last() -> None:
    text = '[products.pro]\nstripe = [  # mine\n  "a",  # first\n  # second\n  "b",\n  # end\n]\n'
    after = with_products(text, {"pro": {"stripe": ["c", "b"]}})
    assert after == (
        '[products.pro]\nstripe = [\n    "c",\n    # second\n    "b",\n    # mine\n    # first\n    # end\n]\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        '[products]\npro = {name = "Pro"}\n',
        'products.pro.name = "Pro"\nsite_name = "x"\n',
        '[products.pro]\nname = "Pro"\n[x]\na = 1\n[products.two]\nname = "Two"\n',
    ],
    ids=["inline", "dotted", "apart"],
)
def test_tables_are_found_however_they_are_written(text: str) -> None:
    after = tomllib.loads(with_products(text, {"pro": {"stripe": ["p1"]}}))
    wanted = tomllib.loads(text)
    wanted["products"]["pro"]["stripe"] = ["p1"]
    assert after == wanted


MISSING = ["", "[products.two]\n", "products = 1\n", "[products]\npro = 1\n", "[products.pro\n"]


@pytest.mark.parametrize("text", MISSING)
def test_a_file_without_that_table_is_left_alone(text: str) -> None:
    with pytest.raises(NotWritable):
        with_products(text, {"pro": {"stripe": ["p1"]}})
