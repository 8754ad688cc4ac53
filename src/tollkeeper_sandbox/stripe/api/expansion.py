"""``expand``: replaces ids by their objects (https://docs.stripe.com/api/expanding_objects)."""

from collections.abc import Callable
from typing import Any

from tollkeeper_sandbox.stripe.engine.errors import ApiError, invalid
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.nesting import list_of
from tollkeeper_sandbox.stripe.engine.shapes import CLASSES, class_of, declared, expandable
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.objects import invoices, subscriptions
from tollkeeper_sandbox.stripe.objects.checkout_sessions import all_line_items
from tollkeeper_sandbox.stripe.objects.refunds import latest_of_charge

MAX_LEVELS = 4
MAX_PATHS = 20


def _none_yet(path: str) -> Callable[[Work, JSON], JSON]:
    def empty(_work: Work, owner: JSON) -> JSON:
        return list_of(path.format(id=owner["id"]), [])

    return empty


# Fields that are in the response only when they are expanded.
INCLUDED: dict[tuple[str, str], Callable[[Work, JSON], JSON | None]] = {
    ("checkout.session", "line_items"): all_line_items,
    ("charge", "refunds"): latest_of_charge,
    ("invoice", "confirmation_secret"): invoices.secret_of,
    ("invoice", "payments"): invoices.payments_of,
    ("customer", "sources"): _none_yet("/v1/customers/{id}/sources"),
    ("customer", "subscriptions"): subscriptions.of_customer,
    ("customer", "tax_ids"): _none_yet("/v1/customers/{id}/tax_ids"),
}


def expand(work: Work, body: JSON, paths: list[str]) -> JSON:
    """Return the body with these paths expanded. Raises Stripe's 400 for a path that cannot be expanded."""
    if len(paths) > MAX_PATHS:
        raise invalid(f"You cannot expand more than {MAX_PATHS} properties.", "expand")
    for number, path in enumerate(paths):
        steps = path.split(".")
        if len(steps) > MAX_LEVELS:
            message = f"You cannot expand more than {MAX_LEVELS} levels of a property (property: {path[:200]})."
            raise invalid(message, f"expand[{number}]")
        _expand(work, body, steps, f"expand[{number}]")
    return body


def _expand(work: Work, owner: JSON, steps: list[str], param: str, part_of: type | None = None) -> None:
    """Expand one path. ``part_of`` is the class of an owner without an id of its own."""
    if owner.get("object") == "list":
        _expand_list(work, owner, steps, param)
        return
    kind = owner.get("object")
    of = class_of(kind) if kind in CLASSES else part_of
    name, rest = steps[0], steps[1:]
    inner = _expanded(work, owner, of, name, param, last=not rest)
    if rest:
        for one in inner if isinstance(inner, list) else [inner]:
            if one is not None:
                _expand(work, one, rest, param, declared(of).get(name) if of else None)


def _expand_list(work: Work, owner: JSON, steps: list[str], param: str) -> None:
    if steps[0] != "data":
        raise _cannot(steps[0], param, f" You may want to try expanding 'data.{steps[0][:200]}' instead.")
    if len(steps) == 1:
        raise _cannot("data", param)
    for one in owner["data"]:
        _expand(work, one, steps[1:], param)


def _expanded(work: Work, owner: JSON, of: type | None, name: str, param: str, *, last: bool) -> Any:
    """Return the object in this field, after replacing its id; None if there is nothing, or its owner is deleted."""
    if owner.get("deleted"):
        return None
    value, kind = owner.get(name), owner.get("object", "")
    if (kind, name) in INCLUDED:
        if name not in owner:
            owner[name] = INCLUDED[kind, name](work, owner)
        return owner[name]
    if of and name in declared(of) and name not in owner:
        message = f"Stripe expands {name} of a {kind or of.__name__}, but this sandbox does not serve it."
        raise invalid(message, param, "sandbox_unsupported_parameter")
    if of and name in expandable(of):
        if isinstance(value, list):
            owner[name] = [_referred(work, one, param) if isinstance(one, str) else one for one in value]
        elif isinstance(value, str):
            owner[name] = _referred(work, value, param)
        return owner[name]
    if not last and value is None and of and name in declared(of):
        return None
    if last or not isinstance(value, dict | list):
        raise _cannot(name, param)
    return value


def _referred(work: Work, id_: str, param: str) -> JSON:
    found = work.ledger.find(id_)
    if found is None:
        message = f"This sandbox keeps no object {id_} that it could expand."
        raise invalid(message, param, "sandbox_unsupported_parameter")
    return found


def _cannot(name: str, param: str, hint: str = "") -> ApiError:
    return invalid(f"This property cannot be expanded ({name[:200]}).{hint}", param)
