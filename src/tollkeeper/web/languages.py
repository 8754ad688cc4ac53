"""In which language a browser's owner reads amounts. Pages are in English."""

import re

from starlette.requests import Request

from tollkeeper.words import LANGUAGES

# RFC 9110, section 12.5.4. Nobody sets more of them, or longer ones.
WISH = re.compile(r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,3})\s*(?:;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*)?")
WISHES = 10


def language_of(request: Request) -> str:
    """One of ``words.LANGUAGES``, by what the browser asks for."""
    return language_for(request.headers.get("accept-language", ""))


def language_for(accept_language: str) -> str:
    """The first of the languages asked for whose way to write amounts we know; else English. Never raises."""
    wishes = [found for part in accept_language.split(",", WISHES)[:WISHES] if (found := WISH.fullmatch(part))]
    for wish in sorted(wishes, key=_weight, reverse=True):  # of those alike, the first stays first
        known = next((one for one in _ever_wider(wish[1].lower()) if one in LANGUAGES), None)
        if known and _weight(wish) > 0:
            return known
    return "en"


def _weight(wish: re.Match[str]) -> float:
    return float(wish[2] or 1)


def _ever_wider(language: str) -> tuple[str, str, str]:
    """``de-latn-at`` is also ``de-at``, and ``de``: https://www.rfc-editor.org/rfc/rfc4647#section-3.4"""
    first, _, rest = language.partition("-")
    return language, f"{first}-{rest.rpartition('-')[2]}", first
