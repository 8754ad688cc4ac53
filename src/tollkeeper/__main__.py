"""``python -m tollkeeper``."""

from tollkeeper.cli.commands import main

main()
