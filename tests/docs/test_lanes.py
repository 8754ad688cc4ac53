"""The names in the list of the long lane are those of tests that exist: a renamed test must not change lanes unseen."""

import pytest
from tests.conftest import LONG
from tests.docs.documents import ROOT


@pytest.mark.parametrize("place", LONG)
def test_there_is_such_a_test(place: str) -> None:
    file, _, name = place.partition("::")
    tests = ROOT / "tests"
    files = [path for path in tests.rglob("test_*.py") if path.relative_to(tests).as_posix().startswith(file)]
    assert files
    assert not name or f"def {name.partition('[')[0]}" in files[0].read_text("utf-8")
