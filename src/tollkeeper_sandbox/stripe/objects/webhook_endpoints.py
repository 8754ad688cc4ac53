"""Where events are delivered to (https://docs.stripe.com/api/webhook_endpoints)."""

from tollkeeper_sandbox.stripe.engine.errors import invalid
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Params
from tollkeeper_sandbox.stripe.engine.shapes import make
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.objects.common import check_url, merged_metadata, null_if_empty

KIND = "webhook_endpoint"
MOST = 500  # Stripe allows 16; a test suite that shares a sandbox creates one for each app it starts


def create(work: Work, params: Params, _id: str) -> JSON:
    """Create an endpoint. Only this response shows the signing secret."""
    check_url(params["url"], "url")
    _check_events(params["enabled_events"])
    if len(work.ledger.page(KIND, (), {}, MOST)) == MOST:
        message = f"You have reached the maximum of {MOST} webhook endpoints."
        raise invalid(message, code="resource_limit_exceeded")
    endpoint = make(
        KIND,
        id=work.new_id("we"),
        api_version=params.get("api_version"),
        created=work.now,
        description=null_if_empty(params.get("description")),
        enabled_events=params["enabled_events"],
        livemode=False,
        metadata=merged_metadata({}, params.get("metadata", {})),
        status="enabled",
        url=params["url"],
    )
    secret = f"whsec_{work.token(16)}"
    work.ledger.add(endpoint, {"secret": secret})
    return {**endpoint, "secret": secret}


def update(work: Work, params: Params, id_: str) -> JSON:
    endpoint = work.get_live(KIND, id_)
    changes: JSON = {name: params[name] for name in ("url", "enabled_events") if name in params}
    if "url" in params:
        check_url(params["url"], "url")
    if "enabled_events" in params:
        _check_events(params["enabled_events"])
    if "description" in params:
        changes["description"] = null_if_empty(params["description"])
    if "disabled" in params:
        changes["status"] = "disabled" if params["disabled"] else "enabled"
    if "metadata" in params:
        changes["metadata"] = merged_metadata(endpoint["metadata"], params["metadata"])
    endpoint |= changes
    work.ledger.save(endpoint)
    return endpoint


def delete(work: Work, _params: Params, id_: str) -> JSON:
    """Delete an endpoint. Its undelivered events are never delivered."""
    work.get_live(KIND, id_)
    work.ledger.delete(id_)
    work.ledger.run("UPDATE deliveries SET next_at = NULL WHERE endpoint = ?", id_)
    return {"id": id_, "object": KIND, "deleted": True}


def _check_events(enabled: list[str]) -> None:
    if not enabled:
        raise invalid("You must listen to at least one event.", "enabled_events")
