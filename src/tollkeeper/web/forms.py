"""Forms that change something: only by POST from a page of ours, shown to this very login session."""

from starlette.datastructures import FormData
from starlette.requests import Request

from tollkeeper.errors import Refused
from tollkeeper.model.access import Visitor
from tollkeeper.redirects import LONGEST
from tollkeeper.web.rates import Rates
from tollkeeper.web.site import site_of

# How often one person may have a page ask the provider, whose own limits all buyers share.
LOOK_RATE = "60/minute"

# The longest field of a form, as it is sent: an address to come back to, every character of it encoded as three.
FIELD_BYTES = 4 * LONGEST


def same_origin(request: Request) -> None:
    """Refuse a request that another site's page sent. Browsers put the origin on every POST (RFC 6454, section 7)."""
    origins = request.headers.getlist("origin")
    if origins != [site_of(request).config.public_url]:
        raise Refused(403, "This form was not sent from our own page. Please open the page again and retry.")


async def posted(request: Request, visitor: Visitor) -> FormData:
    """The fields of a form that is certainly the visitor's own. Raises ``Refused`` (403)."""
    same_origin(request)
    form = await request.form(max_files=0, max_fields=20, max_part_size=FIELD_BYTES)
    token = form.get("csrf_token")
    if not isinstance(token, str) or not site_of(request).pages.csrf_holds(visitor, token):
        raise Refused(403, "This page has been open for too long. Please open it again and retry.")
    return form


def limit(rates: Rates, rate: str, *who: str) -> None:
    """Count one try against a rate such as ``30/minute``. Raises ``Refused`` (429)."""
    if not rates.hit(rate, *who):
        raise Refused(429, "There were too many attempts in a short time. Please wait a minute, then try again.")
