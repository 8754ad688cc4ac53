"""``python -m tollkeeper``."""

from tollkeeper.cli import main

main()
