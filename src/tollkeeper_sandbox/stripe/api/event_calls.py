"""Reading events (https://docs.stripe.com/api/events), which are available for thirty days."""

from tollkeeper_sandbox.stripe.engine.errors import invalid, no_such
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Params, lister
from tollkeeper_sandbox.stripe.engine.periods import DAY
from tollkeeper_sandbox.stripe.engine.work import Work

KIND = "event"
KEPT = 30 * DAY
KEPT_ONLY = ("created >= :oldest",)


def list_events(work: Work, params: Params, id_: str) -> JSON:
    if "type" in params and "types" in params:
        raise invalid("You may pass either `type` or `types`, but not both.", "types")
    oldest = {"oldest": work.now - KEPT}
    return lister(KIND, "/v1/events", {"types": "type"}, KEPT_ONLY, oldest)(work, params, id_)


def retrieve(work: Work, _params: Params, id_: str) -> JSON:
    event = work.get(KIND, id_)
    if event["created"] < work.now - KEPT:
        raise no_such(KIND, id_)
    return event
