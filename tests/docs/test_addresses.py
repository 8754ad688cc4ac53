"""``docs/addresses.md`` lists every address, and none that do not exist."""

from starlette.routing import Mount, Route
from tests.docs.documents import first_cells, text_of

from tollkeeper.app import routes
from tollkeeper.web.gate import DOORS


def spoken(route: Route | Mount) -> set[str]:
    if isinstance(route, Mount):
        return {f"GET {route.path}/…"}
    return {f"{method} {route.path}" for method in (route.methods or {"GET"}) - {"HEAD"}}


def test_addresses_are_documented() -> None:
    served = {address for route in routes(webhooks_for=["stripe"], metrics=True) for address in spoken(route)}
    served |= {f"GET {door}" for door in DOORS}
    assert set(first_cells(text_of("docs/addresses.md"))) == served
