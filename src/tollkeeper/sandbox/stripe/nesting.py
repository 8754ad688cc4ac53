"""Lists inside objects: ten entries at most (https://docs.stripe.com/api/pagination); the rest is read page by page."""

from typing import Any

from tollkeeper.sandbox.stripe.ledger import JSON

INLINE = 10


def list_of(url: str, data: list[JSON], *, has_more: bool = False) -> JSON:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def first_pages(body: Any) -> Any:
    """The same, with the lists inside cut to their first ten: the rest is read page by page."""
    if isinstance(body, list):
        return [first_pages(one) for one in body]
    if not isinstance(body, dict):
        return body
    shown = {name: first_pages(value) for name, value in body.items()}
    return {name: _first_page(value) for name, value in shown.items()}


def _first_page(value: Any) -> Any:
    if isinstance(value, dict) and value.get("object") == "list" and len(value["data"]) > INLINE:
        return {**value, "data": value["data"][:INLINE], "has_more": True}
    return value
