"""The pages for subscribers: an invoice that can be paid, and the customer portal."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tollkeeper_sandbox.pages import render
from tollkeeper_sandbox.stripe.engine.errors import ApiError
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.posts import check_origin, read_form
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.known.cards import BY_NUMBER, SUGGESTED
from tollkeeper_sandbox.stripe.known.countries import COUNTRIES
from tollkeeper_sandbox.stripe.objects import card_form, intents
from tollkeeper_sandbox.stripe.objects.accounts import NAME
from tollkeeper_sandbox.stripe.objects.happenings import happen
from tollkeeper_sandbox.stripe.pages import card_entry

Step = Callable[[Request, Work, JSON, Mapping[str, str]], Response]
Kept = Callable[[Work, JSON, JSON], Response]
LABELS = {
    "email": "Email",
    "card_number": "Card number",
    "expiration": "Expiration",
    "cvc": "CVC",
    "cardholder_name": "Cardholder name",
    "country": "Country",
}


class Pages:
    """Pages about objects of one kind. ``begin`` opens a unit of work; ``done`` is called after one."""

    def __init__(self, kind: str, begin: Callable[[], Work], done: Callable[[], None]) -> None:
        self._kind = kind
        self._begin = begin
        self._done = done

    def route(self, path: str, method: str, step: Step) -> Route:
        async def page(request: Request) -> Response:
            try:
                check_origin(request)
                form = await read_form(request) if request.method == "POST" else dict(request.query_params)
                response = self._transact(step, request, form)
            except ApiError as error:
                return message(request, error.status, "That cannot be done", error.message)
            self._done()
            return response

        return Route(path, page, methods=[method])

    def _transact(self, step: Step, request: Request, form: Mapping[str, str]) -> Response:
        work = self._begin()
        with work.ledger.transaction():
            happen(work)
            return step(request, work, work.get(self._kind, request.path_params["id"]), form)


def message(request: Request, status: int, heading: str, words: str, link: tuple[str, str] | None = None) -> Response:
    return render(request, "message.html", status, heading=heading, words=words, link=link)


def card_page(request: Request, work: Work, customer: JSON, values: Mapping[str, str], **more: Any) -> Response:
    """Return the form for a card. ``more`` has its purpose, its address and its errors."""
    context: dict[str, Any] = {"errors": {}, "status": 200, **more}
    return render(
        request,
        "card_entry.html",
        context.pop("status"),
        merchant=NAME,
        values={"country": "US", **values},
        known_email=customer["email"],
        labels=LABELS,
        countries=COUNTRIES,
        cards=[(BY_NUMBER[number].spaced, words) for number, words in SUGGESTED],
        **context,
    )


def entered(
    request: Request, work: Work, owner: JSON, customer: JSON, values: Mapping[str, str], kept: Kept, **more: Any
) -> Response:
    """Handle an entered card: save it, let its bank ask, or show the form again."""
    form = card_form.read(values, customer["email"], work.now)
    errors = form.errors
    if not errors:
        here = str(more["action"])
        setup = card_entry.enter(work, owner["id"], customer["id"], form, f"{work.base_url}{here}")
        method = card_entry.method_of(work, setup)
        if method:
            return kept(work, owner, method)
        if card_entry.waiting(work, owner["id"]):
            return RedirectResponse(f"{here}/authenticate", 303)
        errors = intents.errors_of(setup)
    return card_page(request, work, customer, card_form.kept(values), errors=errors, **{"status": 402, **more})


def bank_page(request: Request, work: Work, owner: JSON, question: str, back: str) -> Response:
    if card_entry.waiting(work, owner["id"]) is None:
        return RedirectResponse(back, 303)
    return render(request, "authenticate.html", merchant=NAME, question=question)


def answered(work: Work, owner: JSON, values: Mapping[str, str], kept: Kept, back: str) -> Response:
    setup = card_entry.waiting(work, owner["id"])
    if setup:
        setup = card_entry.answer(work, setup, agreed=values.get("answer") == "complete")
        method = card_entry.method_of(work, setup)
        if method:
            return kept(work, owner, method)
    return RedirectResponse(back, 303)
