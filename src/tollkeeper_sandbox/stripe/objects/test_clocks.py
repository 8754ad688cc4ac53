"""Test clocks: customers with a time of their own (https://docs.stripe.com/billing/testing/test-clocks)."""

from tollkeeper_sandbox.stripe.engine.errors import ApiError, invalid
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Params
from tollkeeper_sandbox.stripe.engine.periods import DAY
from tollkeeper_sandbox.stripe.engine.shapes import make
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.objects import customers
from tollkeeper_sandbox.stripe.objects.customers import CLOCK
from tollkeeper_sandbox.stripe.objects.happenings import happen

DAYS_KEPT = 30
MOST_AHEAD = 10 * 366 * DAY
ON_CLOCK = ("json_extract(body, '$.test_clock') = :clock",)


def create(work: Work, params: Params, _id: str) -> JSON:
    if not 0 < params["frozen_time"] <= work.now + MOST_AHEAD:
        raise invalid("This is no time for a test clock to begin at.", "frozen_time")
    clock = make(
        CLOCK,
        id=work.new_id("clock"),
        created=work.now,
        deletes_after=work.now + DAYS_KEPT * DAY,
        frozen_time=params["frozen_time"],
        livemode=False,
        name=params.get("name"),
        status="ready",
        status_details={},
    )
    return work.add(clock)


def advance(work: Work, params: Params, id_: str) -> JSON:
    """Advance a clock.

    What is due happens before the response, which still has the status ``advancing``, as at Stripe.
    """
    clock, target = _live(work, id_), params["frozen_time"]
    if target <= clock["frozen_time"]:
        raise invalid("The frozen_time must be after the test clock's current frozen_time.", "frozen_time")
    if target > clock["frozen_time"] + MOST_AHEAD:
        raise invalid("A test clock can be advanced by ten years at once.", "frozen_time")
    details = {"advancing": {"target_frozen_time": target}}
    advancing = {**clock, "status": "advancing", "status_details": details}
    work.emit(f"{CLOCK}.advancing", advancing)
    there = {**clock, "frozen_time": target}
    work.ledger.save(there)
    happen(work.at(target), id_)
    work.emit(f"{CLOCK}.ready", there)
    return advancing


def delete(work: Work, _params: Params, id_: str) -> JSON:
    """Delete a clock and its customers."""
    clock = _live(work, id_)
    for customer in work.ledger.page("customer", ON_CLOCK, {"clock": id_}, -1):
        customers.delete(work, {}, customer["id"])
    work.ledger.delete(id_)
    work.emit(f"{CLOCK}.deleted", clock)
    return {"id": id_, "object": CLOCK, "deleted": True}


def _live(work: Work, id_: str) -> JSON:
    clock = work.get(CLOCK, id_)
    if clock.get("deleted"):
        raise ApiError(404, f"No such test clock: '{id_}'", code="resource_missing", param="test_clock")
    return clock
