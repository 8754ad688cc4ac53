"""Pages of the sandbox: one folder of templates, one set of headers, no scripts."""

from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.templating import Jinja2Templates

HERE = Path(__file__).parent

# No `form-action`: browsers also apply it to redirects, and these forms lead to the merchant's address.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def render(request: Request, template_name: str, status: int = 200, **context: object) -> Response:
    """Return a page from ``templates/<template_name>``, with every value escaped."""
    return _templates().TemplateResponse(request, template_name, context, status_code=status, headers=HEADERS)


@cache
def _templates() -> Jinja2Templates:
    return Jinja2Templates(directory=HERE / "templates")
