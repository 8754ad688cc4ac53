"""PURE. What an issuer says about a person, made safe to store and to show."""

import unicodedata
from collections.abc import Mapping
from typing import Any

from tollkeeper.errors import SignInFailed

NAME_LENGTH = 200
NAMELESS = "Friend"
_SUBJECT_LENGTH = 255
_EMAIL_LENGTH = 254
_JOINERS = "\u200c\u200d"
_UNWANTED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def subject_of(claims: Mapping[str, Any]) -> str:
    """Who it is, at this issuer: OpenID Connect Core section 2, ``sub``.

    Raises:
        SignInFailed: it is not 1 to 255 printable characters.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= _SUBJECT_LENGTH or not subject.isprintable():
        raise SignInFailed("the subject is not a usable identifier")
    return subject


def verified_email(claims: Mapping[str, Any]) -> str | None:
    """The e-mail address, if these very claims call it verified. Anything but a plain ``true`` does not."""
    if claims.get("email_verified") is not True:
        return None
    return usable_email(claims.get("email"))


def why_dropped(claims: Mapping[str, Any]) -> str | None:
    """Why ``verified_email`` ignores an address; None if it does not, or if there is none."""
    if not claims.get("email") or verified_email(claims) is not None:
        return None
    match claims.get("email_verified"):
        case None:
            return "the issuer does not say that the address is verified: email_verified is missing"
        case False:
            return "the issuer says that the address is not verified: email_verified is false"
        case True:
            return "the address is not one that can be used"
        case other:
            return f"email_verified is neither true nor false, but a {type(other).__name__}"


def usable_email(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > _EMAIL_LENGTH or not value.isprintable() or " " in value:
        return None
    local, _, domain = value.rpartition("@")
    return value if local and domain else None


def readable_name(*candidates: object) -> str | None:
    """The first text that leaves something to read, on one line, without control characters and direction overrides."""
    cleaned = (_clean(candidate) for candidate in candidates if isinstance(candidate, str))
    return next((name for name in cleaned if name), None)


def name_or_greeting(name: str | None, email: str | None) -> str:
    """A name to greet by: the name, else the part of the e-mail address before the @, else a friendly word."""
    return name or readable_name((email or "").rpartition("@")[0]) or NAMELESS


def _clean(text: str) -> str:
    one_line = " ".join(text[: 4 * NAME_LENGTH].split())
    legible = " ".join("".join(filter(_wanted, one_line)).split())
    return legible[:NAME_LENGTH].strip(_JOINERS + " ")


def _wanted(character: str) -> bool:
    # The joiners are format characters too, but scripts and emoji need them.
    return character in _JOINERS or unicodedata.category(character) not in _UNWANTED
