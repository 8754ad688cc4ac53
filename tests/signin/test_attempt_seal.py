"""The login-attempt cookie's seal."""

import pytest
from tests.signin.conftest import Clock

from tollkeeper.signin import AttemptSeal, Pending

OLD, NEW = "old-key-" * 4, "new-key-" * 4
SECRETS = {"issuer": "acme", "state": "s", "nonce": "n", "code_verifier": "v"}


def test_what_is_sealed_comes_back(clock: Clock) -> None:
    seal = AttemptSeal([NEW], clock=clock)
    assert seal.unseal(seal.seal(SECRETS, "/dashboard?a=ü")) == Pending(SECRETS, "/dashboard?a=ü")


def test_the_first_key_signs_and_all_verify(clock: Clock) -> None:
    sealed_before = AttemptSeal([OLD], clock=clock).seal(SECRETS, "/")
    both = AttemptSeal([NEW, OLD], clock=clock)
    assert both.unseal(sealed_before) is not None
    sealed_after = both.seal(SECRETS, "/")
    assert AttemptSeal([NEW], clock=clock).unseal(sealed_after) is not None
    assert AttemptSeal([OLD], clock=clock).unseal(sealed_after) is None


@pytest.mark.parametrize(("seconds", "good"), [(0, True), (600, True), (601, False), (-1, False)])
def test_an_attempt_lasts_ten_minutes(clock: Clock, seconds: int, good: bool) -> None:
    seal = AttemptSeal([NEW], clock=clock)
    value = seal.seal(SECRETS, "/")
    clock.now += seconds
    assert (seal.unseal(value) is not None) == good


def test_g47_a_forged_cookie_is_no_attempt(clock: Clock) -> None:
    seal = AttemptSeal([NEW], clock=clock)
    value = seal.seal(SECRETS, "/")
    changed = ("A" if value[0] != "A" else "B") + value[1:]
    for forged in ("", ".", "..", "a.b.c", changed, value[:-1], value + "x", value[::-1], "ü.\x00.\udcff"):
        assert seal.unseal(forged) is None
