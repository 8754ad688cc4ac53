"""The answers to visitors who may not pass: sign in, buy, or nothing that would help."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from starlette.datastructures import Headers
from starlette.responses import Response

from tollkeeper.gate.access import Deny, NotAllowed, Pay, SignIn
from tollkeeper.web.errors import CHALLENGE, problem
from tollkeeper.web.responses import redirect
from tollkeeper.wording.pages import NOT_FOR_SALE, TO_BE_BOUGHT_FIRST


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody may not pass, and where they can change that."""

    status: int
    detail: str
    remedy: str | None
    """Where to send a browser; None if nothing helps."""
    links: Mapping[str, str] = field(default_factory=dict)
    """For a program: the addresses to ``sign_in`` and to ``buy``, if that helps."""

    def as_redirect(self) -> Response | None:
        """Return the response for a browser that requests a page."""
        return redirect(self.remedy, 302) if self.remedy else None

    def as_problem(self) -> Response:
        """For a program: problem details (RFC 9457)."""
        return problem(self.status, self.detail, self.challenge, **(self.links if self.remedy else {}))

    @property
    def challenge(self) -> dict[str, str]:
        """The header of its status."""
        return CHALLENGE if self.status == 401 else {}


def refusal(decision: NotAllowed, *, sign_in: str, buy: str, nothing_helps: str = NOT_FOR_SALE) -> Refusal:
    """The refusal for a decision that lets nobody in.

    ``sign_in`` and ``buy`` are where a browser goes to change that; ``nothing_helps`` is what to say where it cannot.
    """
    match decision:
        case SignIn():
            return Refusal(401, "Sign in first.", sign_in)
        case Pay():
            return Refusal(402, TO_BE_BOUGHT_FIRST, buy)
        case Deny():
            return Refusal(403, nothing_helps, None)


def refusal_at_gate(decision: NotAllowed, feature: str, *, base_url: str, page: str | None) -> Refusal:
    """The same before another app. ``page`` is the page of it to come back to, judged already."""
    back = {"return_to": page} if page else {}
    sign_in, pricing, asked = f"{base_url}/login", f"{base_url}/pricing", {"feature": feature}
    refused = refusal(decision, sign_in=sign_in + query(back), buy=pricing + query(asked | back))
    return replace(refused, links={"sign_in": sign_in, "buy": pricing + query(asked)})


def query(parameters: dict[str, str]) -> str:
    """The end of an address, if there is anything to say."""
    return f"?{urlencode(parameters)}" if parameters else ""


def is_navigation(headers: Headers) -> bool:
    """Whether a person waits for a page. Browsers say so (Fetch Metadata); other clients if they accept HTML."""
    mode = headers.get("sec-fetch-mode")
    return mode == "navigate" if mode else "text/html" in headers.get("accept", "")
