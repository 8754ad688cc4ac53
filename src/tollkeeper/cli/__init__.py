"""The commands, and what they say. Help lists them in the order in which they are imported here."""

from tollkeeper.cli.app import app, main

# isort: split
from tollkeeper.cli import running

# isort: split
from tollkeeper.cli import beginning

# isort: split
from tollkeeper.cli import set_up

# isort: split
from tollkeeper.cli import backup

# isort: split
from tollkeeper.cli import people

# isort: split
from tollkeeper.cli import purchases

# isort: split
from tollkeeper.cli import events

__all__ = ["app", "backup", "beginning", "events", "main", "people", "purchases", "running", "set_up"]
