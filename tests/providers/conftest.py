"""Which tests of providers are in the long lane."""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is done with the invented provider too proves the seam, which changes rarely: the long lane does it."""
    for item in items:
        if (
            isinstance(item, pytest.Function)
            and hasattr(item, "callspec")
            and "pebble" in item.callspec.params.values()
        ):
            item.add_marker(pytest.mark.long)
