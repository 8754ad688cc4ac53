"""One call of the API: its address, its function, and the parameters that it supports."""

from collections.abc import Mapping
from dataclasses import dataclass

from tollkeeper_sandbox.stripe.api.parameters import Parameters
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Handler, Params
from tollkeeper_sandbox.stripe.engine.work import Work

PAGING = "expand limit starting_after ending_before"


@dataclass(frozen=True)
class Call:
    """One call. ``path`` has at most one ``{id}``."""

    method: str
    path: str
    run: Handler
    parameters: Parameters


def call(
    method: str,
    path: str,
    run: Handler,
    typed: str,
    handled: str = "",
    served: Mapping[str, tuple[object, ...]] | None = None,
    most: Mapping[str, int] | None = None,
    emptied: str = "",
) -> Call:
    given = Parameters(typed, frozenset(handled.split()), served or {}, most or {}, frozenset(emptied.split()))
    return Call(method, path, run, given)


def retriever(kind: str) -> Handler:
    def retrieve(work: Work, _params: Params, id_: str) -> JSON:
        return work.get(kind, id_)

    return retrieve
