"""Event objects: one for each change, with a snapshot of what changed (https://docs.stripe.com/api/events)."""

from typing import Any

from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.nesting import first_pages
from tollkeeper_sandbox.stripe.engine.shapes import make

API_VERSION = "2026-10-28.endive"


def event_of(type_: str, body: JSON, previous: JSON | None, **values: Any) -> JSON:
    """Create an event. ``previous`` has the former values of the fields that an update changed."""
    data = {"object": first_pages(body)}
    if previous is not None:
        data["previous_attributes"] = first_pages(previous)
    return make("event", type=type_, data=data, api_version=API_VERSION, livemode=False, **values)
