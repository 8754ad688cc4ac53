"""Every parameter that the SDK declares for a call is supported or refused by name; none is ignored."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, get_args, get_origin

import pytest
from typing_extensions import is_typeddict

from tollkeeper_sandbox.stripe.api.call import Call
from tollkeeper_sandbox.stripe.api.calls import CALLS
from tollkeeper_sandbox.stripe.api.forms import Form
from tollkeeper_sandbox.stripe.api.parameters import choices, fields_of, members, typed_dict
from tollkeeper_sandbox.stripe.engine.errors import ApiError

by_name = pytest.mark.parametrize("call", CALLS, ids=[f"{call.method} {call.path}" for call in CALLS])


def declared_paths(typed: type, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every parameter at every depth, with its type."""
    for name, hint in fields_of(typed).items():
        below = f"{path}.{name}" if path else name
        yield below, hint
        for inner in nested(hint):
            yield from declared_paths(inner, below)


def nested(hint: Any) -> Iterator[type]:
    for one in members(hint):
        if is_typeddict(one):
            yield one
        elif get_origin(one) is list:
            yield from nested(get_args(one)[0])


def a_value(hint: Any) -> "str | Form":
    """Something that Stripe would take for this type."""
    for one in members(hint):
        if is_typeddict(one):
            return {name: a_value(of) for name, of in fields_of(one).items() if name in one.__required_keys__}
        if get_origin(one) is list:
            return {"0": a_value(get_args(one)[0])}
        if get_origin(one) is dict:
            return {"key": "value"}
    words = [word for word in choices(members(hint)) if word]
    plain = {int: "12", bool: "true", Decimal: "12", float: "1.5", str: "text"}
    return words[0] if words else next(plain[one] for one in members(hint) if one in plain)


def form_with(typed: type, path: str) -> Form:
    """A form with this parameter alone, inside whatever it is nested in."""
    name, _, rest = path.partition(".")
    hint = fields_of(typed)[name]
    if not rest:
        return {name: a_value(hint)}
    inner = form_with(next(nested(hint)), rest)
    in_list = any(get_origin(one) is list for one in members(hint))
    return {name: {"0": inner} if in_list else inner}


def refusal(call: Call, form: Form) -> ApiError | None:
    try:
        call.parameters.check(form)
    except ApiError as error:
        return error
    return None


def dotted(param: str | None) -> str:
    """line_items[0][price] as line_items.price."""
    steps = (param or "").replace("]", "").split("[")
    return ".".join(step for step in steps if not step.isdigit())


@by_name
def test_every_declared_parameter_is_served_or_refused_by_name(call: Call) -> None:
    typed = typed_dict(call.parameters.typed)
    for path, _ in declared_paths(typed):
        error = refusal(call, form_with(typed, path))
        if call.parameters.contains(path):
            assert error is None or error.code in SERVED, (path, error)
        else:
            assert error, path
            assert error.code == "sandbox_unsupported_parameter"
            assert f"{path}.".startswith(f"{dotted(error.param)}.")
            assert error.param
            assert error.param in error.message


# Supported parameters may still be refused for their value, or because another one is missing.
SERVED = {"parameter_missing", "sandbox_unsupported_value", "sandbox_unsupported_parameter"}


@by_name
def test_served_parameters_are_not_refused_as_unsupported(call: Call) -> None:
    typed = typed_dict(call.parameters.typed)
    for path in call.parameters.handled:
        error = refusal(call, form_with(typed, path))
        assert error is None or error.code != "sandbox_unsupported_parameter", path


@by_name
def test_the_table_names_declared_parameters_only(call: Call) -> None:
    declared = dict(declared_paths(typed_dict(call.parameters.typed)))
    assert call.parameters.handled <= declared.keys()
    assert call.parameters.served.keys() <= call.parameters.handled


@by_name
def test_undeclared_parameters_are_unknown_at_every_depth(call: Call) -> None:
    assert refusal(call, {"foo": "1"}).code == "parameter_unknown"  # type: ignore[union-attr]
    typed = typed_dict(call.parameters.typed)
    for path, hint in declared_paths(typed):
        if any(nested(hint)) and call.parameters.contains(path):
            error = refusal(call, form_with(typed, path) | _with_foo(typed, path))
            assert error, path
            assert (error.code, dotted(error.param)) == ("parameter_unknown", f"{path}.foo")


def _with_foo(typed: type, path: str) -> Form:
    form = form_with(typed, path)
    deepest: Any = form
    for step in path.split("."):
        deepest = deepest[step] if step in deepest else deepest["0"][step]
    deepest.get("0", deepest)["foo"] = "1"
    return form


def test_the_options_of_the_sdk_are_no_parameters() -> None:
    assert "api_key" not in fields_of(typed_dict("_customer_create_params:CustomerCreateParams"))


def test_many_parameters_were_looked_at() -> None:
    """So that the tests above cannot pass by finding nothing."""
    session = typed_dict("checkout._session_create_params:SessionCreateParams")
    assert len(list(declared_paths(session))) > 400
