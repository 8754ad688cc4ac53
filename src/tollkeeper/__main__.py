"""``python -m tollkeeper``."""

from tollkeeper.cli.app import main

main()
