"""How a check finds out who answers at ``PUBLIC_URL``: a signed question, which nobody but the same site can answer.

The question travels in a header, and only somebody with the site's secret key can ask it: to everybody else the address
does not exist. The answer says which process gave it, with which settings, and how the question reached it.
"""

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from itsdangerous import BadData, URLSafeSerializer

from tollkeeper.config.config import Config

HEADER = "Tollkeeper-Check"
PATH = "/check"

PROCESS = secrets.token_hex(8)
"""This very process."""


@dataclass(frozen=True, slots=True)
class Presence:
    """Who answered, and what they saw of the question's way to them."""

    nonce: str
    process: str
    settings: str
    """A digest of all settings."""
    sent_by: str
    """The address at the other end of the connection; empty where there is none."""
    forwarded: bool
    """Whether the question came with ``X-Forwarded-…`` headers."""
    trusted: bool
    """Whether whoever sent those is a proxy that the settings name."""


def ask(keys: Sequence[str], nonce: str) -> str:
    """The question: the value of its header."""
    return _sealed("question", keys).dumps(nonce)


def nonce_of(keys: Sequence[str], question: str) -> str | None:
    """The nonce of a question that was asked with one of our keys; None for any other."""
    found = _opened("question", keys, question)
    return found if isinstance(found, str) else None


def answer(keys: Sequence[str], presence: Presence) -> str:
    """The answer's text."""
    return _sealed("answer", keys).dumps(asdict(presence))


def presence_of(keys: Sequence[str], nonce: str, text: str) -> Presence | None:
    """Who gave an answer; None if it is not one to this question, by somebody with one of our keys."""
    found = _opened("answer", keys, text)
    return Presence(**found) if found is not None and found["nonce"] == nonce else None


def digest(config: Config) -> str:
    """Tells settings apart without telling them."""
    providers = [(one.kind.name, asdict(cast(Any, one.settings))) for one in config.providers]
    told = {**asdict(replace(config, providers=())), "providers": providers}
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=_plain).encode()).hexdigest()[:32]


def _plain(value: object) -> object:
    return sorted(map(str, value)) if isinstance(value, set | frozenset) else str(value)


def _sealed(purpose: str, keys: Sequence[str]) -> URLSafeSerializer:
    return URLSafeSerializer(
        list(reversed(keys)),  # itsdangerous signs with the last one
        salt=f"tollkeeper.check.{purpose}",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )


def _opened(purpose: str, keys: Sequence[str], text: str) -> Any:
    try:
        return _sealed(purpose, keys).loads(text)
    except (BadData, UnicodeError):
        return None
