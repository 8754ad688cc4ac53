"""The app behind the gate. It has no sign-in, sells nothing, and greets by the headers that its proxy sends."""

from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from tollkeeper_sandbox.pages import HERE, render

HEADERS = ("Remote-User", "Remote-Name", "Remote-Email", "Remote-Groups")


def logbook_routes(shop: str, control: str) -> list[Route]:
    """The app's page, at every path, and its style sheet."""

    async def page(request: Request) -> Response:
        said = {name: unquote(request.headers.get(name, "")) for name in HEADERS}
        query = request.url.query
        return render(
            request,
            "logbook.html",
            said=said,
            asked=f"{request.url.path}?{query}" if query else request.url.path,
            arrived=request.headers.items(),
            shop=shop,
            control=control,
        )

    async def style(_request: Request) -> Response:
        return FileResponse(HERE / "static/logbook.css")

    return [Route("/logbook.css", style), Route("/{path:path}", page)]
