"""The glossary lists every noun, and the architecture every part."""

import inspect
import re
from configparser import ConfigParser
from importlib import import_module
from pkgutil import iter_modules

from tests.docs.documents import ROOT, first_cells, text_of

from tollkeeper import model

PACKAGE = ROOT / "src" / "tollkeeper"


def test_glossary_knows_every_noun_of_the_model() -> None:
    rooms = [import_module(f"{model.__name__}.{found.name}") for found in iter_modules(model.__path__)]
    nouns = {
        name
        for room in rooms
        for name, cls in inspect.getmembers(room, inspect.isclass)
        if cls.__module__ == room.__name__
    }
    reported = set(re.findall(r"`(\w+)`", text_of("docs/glossary.md")))
    assert nouns - reported == set()


def rooms() -> list[str]:
    """The parts in the architecture's table, from top to bottom."""
    house = text_of("docs/architecture.md").partition("## The packages")[2].partition("### Where to start")[0]
    return [cell.removesuffix(".py").removesuffix("/") for cell in first_cells(house)]


def test_architecture_knows_every_room() -> None:
    inside = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert set(rooms()) == inside - {"__init__"}


def test_parts_are_listed_in_the_order_of_their_layers() -> None:
    contracts = ConfigParser()
    contracts.read(ROOT / ".importlinter")
    layers = contracts["importlinter:contract:layers"]["layers"].split()
    assert rooms() == [layer for layer in layers if layer != "|"]


def test_architecture_knows_every_family_of_pages() -> None:
    inside_web = text_of("docs/architecture.md").partition("Inside `web/`")[2].partition("###")[0]
    pages = {path.name for path in (PACKAGE / "web").glob("*.py")} - {"__init__.py"}
    assert pages - set(re.findall(r"`(\w+\.py)`", inside_web)) == set()


def test_architecture_knows_every_folder_of_tests() -> None:
    reported = text_of("docs/architecture.md").partition("## The tests")[2]
    folders = {path.name for path in (ROOT / "tests").iterdir() if any(path.glob("**/*.py"))}
    assert {f"{name}/" for name in folders} - set(first_cells(reported)) == set()
