"""Lists: filters and cursor pagination, newest first (https://docs.stripe.com/api/pagination)."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tollkeeper_sandbox.stripe.engine.errors import invalid, no_such
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.nesting import list_of
from tollkeeper_sandbox.stripe.engine.work import Work

COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
CURSORS = ("starting_after", "ending_before")
BOTH_CURSORS = "Received both starting_after and ending_before parameters. Please pass in only one."
PAGING = {"limit", "starting_after", "ending_before", "expand"}

Params = dict[str, Any]
Handler = Callable[[Work, Params, str], JSON]


def lister(
    kind: str,
    url: str,
    fields: Mapping[str, str] | None = None,
    where: Sequence[str] = (),
    values: Mapping[str, object] | None = None,
) -> Handler:
    """Return a call that lists this kind. ``fields`` has the object's field for filters with another name.

    ``where`` are additional conditions, with the ``values`` that they bind.
    """
    fixed, bound = where, values or {}

    def call(work: Work, params: Params, _id: str) -> JSON:
        _check_customer(work, params)
        where: list[str] = [*fixed]
        values: dict[str, object] = {**bound}
        for name in params.keys() - PAGING:
            condition, value = _condition(name, (fields or {}).get(name, name), params[name])
            where.append(condition)
            values |= value
        return page_of(work, kind, url, params, where, values)

    return call


def _check_customer(work: Work, params: Params) -> None:
    """Check that a customer exists, or was deleted and so has a history. https://docs.stripe.com/api/charges/list"""
    if "customer" in params and work.ledger.find(params["customer"], "customer") is None:
        raise no_such("customer", params["customer"], param="customer", status=400)


def page_of(work: Work, kind: str, url: str, params: Params, where: list[str], values: dict[str, object]) -> JSON:
    limit = limit_of(params)
    where, values = [*where], {**values}
    if cursor := _cursor(work, kind, params):
        direction, position = cursor
        where.append(f"seq {'>' if direction == 'before' else '<'} :{direction}")
        values[direction] = position
    found = work.ledger.page(kind, where, values, limit + 1)
    data = found[:limit]
    if "before" in values:
        data.reverse()
    return list_of(url, data, has_more=len(found) > limit)


def page_within(items: list[JSON], params: Params, url: str) -> JSON:
    """Return a page of the parts of an object, in their own order, as Stripe does."""
    limit = limit_of(params)
    ids = [item["id"] for item in items]
    start, end = 0, len(items)
    given = [name for name in CURSORS if name in params]
    if len(given) == 2:
        raise invalid(BOTH_CURSORS)
    for name in given:
        if params[name] not in ids:
            raise invalid(f"No such item: '{params[name]}'", name, "resource_missing")
    if "starting_after" in params:
        start = ids.index(params["starting_after"]) + 1
    if "ending_before" in params:
        end = ids.index(params["ending_before"])
        start = max(start, end - limit)
    has_more = start > 0 if "ending_before" in params else end - start > limit
    return list_of(url, items[start:end][:limit], has_more=has_more)


def limit_of(params: Params) -> int:
    limit: int = params.get("limit", 10)
    if limit < 1:
        raise invalid("This value must be greater than or equal to 1.", "limit", "parameter_invalid_integer")
    if limit > 100:
        raise invalid("This value must be less than or equal to 100.", "limit", "parameter_invalid_integer")
    return limit


def _cursor(work: Work, kind: str, params: Params) -> tuple[str, int] | None:
    given = [name for name in CURSORS if name in params]
    if len(given) == 2:
        raise invalid(BOTH_CURSORS)
    if not given:
        return None
    position = work.ledger.position(params[given[0]], kind)
    if position is None:
        raise no_such(kind, params[given[0]], param=given[0], status=400)
    return ("after" if given[0] == "starting_after" else "before"), position


def _condition(name: str, at: str, value: Any) -> tuple[str, dict[str, object]]:
    """Return a SQL condition and the values that it binds; ``name`` and ``at`` come from our own tables."""
    if name == "created":
        return _created(value)
    column = "id" if at == "id" else f"json_extract(body, '$.{at}')"
    if isinstance(value, list):
        return f"{column} IN (SELECT value FROM json_each(:{name}))", {  # noqa: S608
            name: json.dumps(value)
        }
    if isinstance(value, dict):
        return _all_of(at, value)
    if name == "type" and "*" in value:
        return f"{column} LIKE :type ESCAPE '\\'", {name: value.replace("_", "\\_").replace("*", "%")}
    same = " COLLATE NOCASE" if name == "code" else ""
    return f"{column} = :{name}{same}", {name: value}


def _all_of(at: str, inner: Params) -> tuple[str, dict[str, object]]:
    found = [_condition(f"{at}_{key}".replace(".", "_"), f"{at}.{key}", value) for key, value in inner.items()]
    values = {name: value for _, bound in found for name, value in bound.items()}
    return " AND ".join([condition for condition, _ in found] or ["1"]), values


def _created(value: int | dict[str, int]) -> tuple[str, dict[str, object]]:
    if isinstance(value, int):
        return "created = :created", {"created": value}
    conditions = [f"created {COMPARISONS[key]} :created_{key}" for key in value]
    return " AND ".join(conditions or ["1"]), {f"created_{key}": bound for key, bound in value.items()}
