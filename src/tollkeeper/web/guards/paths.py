"""Pages below a path of ``PUBLIC_URL``."""

from starlette.types import ASGIApp, Receive, Scope, Send

from tollkeeper.errors import Misplaced


class AtOurPath:
    """Restores the path of PUBLIC_URL, which a proxy, or the app that mounts our pages, may have removed."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self.app = app
        self.path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = placed(scope, self.path)
        await self.app(scope, receive, send)


def placed(scope: Scope, path: str) -> Scope:
    """A request with our path as ``root_path`` and at the start of ``path``, as ASGI has it.

    https://asgi.readthedocs.io/en/latest/specs/www.html#http-connection-scope. Raises ``Misplaced``.
    """
    mounted = scope.get("root_path", "")
    if mounted not in {"", path}:
        raise Misplaced(mounted)
    if not path:
        return scope
    within = _without(path, scope["path"])
    raw = _without(path, scope.get("raw_path", b"").decode("latin-1"))
    return dict(scope, root_path=path, path=path + within, raw_path=(path + raw).encode("latin-1"))


def _without(path: str, address: str) -> str:
    within = address.removeprefix(path) if f"{address}/".startswith(f"{path}/") else address
    return within or "/"
