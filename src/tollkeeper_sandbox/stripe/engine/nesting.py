"""Lists inside objects have at most ten entries (https://docs.stripe.com/api/pagination).

Clients read the rest by page.
"""

from typing import Any

from tollkeeper_sandbox.stripe.engine.ledger import JSON

INLINE = 10
NESTED = frozenset({dict, list})


def list_of(url: str, data: list[JSON], *, has_more: bool = False) -> JSON:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def first_pages(body: Any) -> Any:
    """Return the object with its lists cut to their first ten entries."""
    if isinstance(body, list):
        return [_first_page(one) if type(one) in NESTED else one for one in body]
    return {name: _first_page(value) if type(value) in NESTED else value for name, value in body.items()}


def _first_page(value: Any) -> Any:
    shown = first_pages(value)
    if type(value) is dict and value.get("object") == "list" and len(value["data"]) > INLINE:
        return {**shown, "data": shown["data"][:INLINE], "has_more": True}
    return shown
