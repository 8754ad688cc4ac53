"""The answers to visitors who may not pass: sign in, buy, or nothing that would help."""

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response

from tollkeeper.gate.access import Deny, Pay, SignIn
from tollkeeper.web.errors import problem
from tollkeeper.wording.pages import NOT_FOR_SALE, TO_BE_BOUGHT_FIRST

NO_STORE = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody may not pass, and where they can change that."""

    status: int
    detail: str
    sign_in: str
    """The address where a browser signs in."""
    buy: str
    """The address of the page that sells the feature."""
    remedy: str | None
    """Where to send a browser, so that it comes back to the page it asked for; None if nothing helps."""

    def as_redirect(self) -> Response | None:
        """For a browser that waits for a page."""
        return RedirectResponse(self.remedy, 302, NO_STORE) if self.remedy else None

    def as_problem(self) -> Response:
        """For a program: problem details (RFC 9457)."""
        links = {"sign_in": self.sign_in, "buy": self.buy} if self.remedy else {}
        return problem(self.status, self.detail, self.challenge, **links)

    @property
    def challenge(self) -> dict[str, str]:
        """What a 401 has to say (RFC 9110, section 11.6.1)."""
        return {"WWW-Authenticate": "Cookie"} if self.status == 401 else {}


def refusal(decision: SignIn | Pay | Deny, feature: str, *, base_url: str, page: str | None) -> Refusal:
    """The refusal for a decision that lets nobody in. ``page`` is where a browser may come back to, already checked."""
    back = {"return_to": page} if page else {}
    sign_in, pricing = f"{base_url}/login", f"{base_url}/pricing"
    buy = pricing + query({"feature": feature})
    match decision:
        case SignIn():
            return Refusal(401, "Sign in first.", sign_in, buy, sign_in + query(back))
        case Pay():
            remedy = pricing + query({"feature": feature} | back)
            return Refusal(402, TO_BE_BOUGHT_FIRST, sign_in, buy, remedy)
        case Deny():
            return Refusal(403, NOT_FOR_SALE, sign_in, buy, None)


def query(parameters: dict[str, str]) -> str:
    """The end of an address, if there is anything to say."""
    return f"?{urlencode(parameters)}" if parameters else ""


def is_navigation(headers: Headers) -> bool:
    """Whether a person waits for a page. Browsers say so (Fetch Metadata); other clients if they accept HTML."""
    mode = headers.get("sec-fetch-mode")
    return mode == "navigate" if mode else "text/html" in headers.get("accept", "")
