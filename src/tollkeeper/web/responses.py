"""What most answers have in common: they are for one visitor at one moment, so no browser or proxy keeps them."""

from starlette.responses import RedirectResponse

NO_STORE = {"Cache-Control": "no-store"}


def redirect(url: str, status: int = 303) -> RedirectResponse:
    """Send the browser to an address, in which what may not stand there as it is gets encoded."""
    return RedirectResponse(url, status, NO_STORE)
