"""``docs/commands.md`` lists every command and every option, and none that do not exist."""

import re

import typer
from tests.docs.documents import text_of
from typer.core import TyperCommand, TyperGroup, TyperOption

from tollkeeper.cli.app import app

SECTION = re.compile(r"^## `tollkeeper ([^`]+)`$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def options(command: TyperCommand | TyperGroup) -> set[str]:
    return {max(parameter.opts, key=len) for parameter in command.params if isinstance(parameter, TyperOption)}


def existing() -> dict[str, set[str]]:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return commands_of(group)


def commands_of(group: TyperGroup, prefix: str = "") -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            found |= commands_of(command, f"{prefix}{name} ")
            if command.invoke_without_command:
                found[f"{prefix}{name}"] = options(command)
        elif isinstance(command, TyperCommand):
            found[f"{prefix}{name}"] = options(command)
    return found


def documented() -> dict[str, set[str]]:
    sections = SECTION.findall(text_of("docs/commands.md"))
    return {name: set(re.findall(r"^\| `(--[a-z-]+)` \|", body, re.MULTILINE)) for name, body in sections}


def test_commands_and_options_are_documented() -> None:
    assert documented() == existing()
