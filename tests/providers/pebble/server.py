"""Pebble's servers: the API that sellers' programs call, the pages that buyers see, and the events that it sends."""

import hmac
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from html import escape
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from tests.providers.pebble.ledger import GOING, Desk, Ledger, Membership, News, Page, Payment, Wrong, new_id
from tests.support.issuers import serving

PLACEHOLDER = "__PAGE__"
SIGNATURE = "Pebble-Signature"

Told = dict[str, Any]


@contextmanager
def running_pebble(now: Callable[[], int]) -> Iterator[Ledger]:
    """Pebble on a free port, with one shop."""
    ledger = Ledger(now)
    posting = threading.Thread(target=_send_news, args=(ledger,), daemon=True)
    with serving(_Server(ledger).app) as ledger.url:
        posting.start()
        try:
            yield ledger
        finally:
            ledger.outbox.put(None)
            posting.join(10)


# The API: one address for each call, a JSON object in and out


def _page(ledger: Ledger, page: Page) -> Told:
    return {
        "page": page.id,
        "state": page.state,
        "link": f"{ledger.url}/pay/{page.id}" if page.state == "waiting" else None,
        "membership": page.membership,
        "sale": None if page.plan.every or page.state != "used" else _sale(ledger, page),
    }


def _sale(ledger: Ledger, page: Page) -> Told:
    amounts = {"asked": page.asked, "off": page.off, "tax": page.tax, "money": page.plan.money}
    return {
        "amounts": amounts,
        "goods": [page.plan.id, page.count],
        "marks": page.marks,
        "buyer": page.buyer and page.buyer.id,
        "mail": page.mail,
        "at": page.at,
        "payment": _payment(ledger, page.payment),
    }


def _payment(ledger: Ledger, payment: Payment | None) -> Told | None:
    return {**asdict(payment), "slip": f"{ledger.url}/slips/{payment.id}"} if payment else None


def _membership(ledger: Ledger, one: Membership) -> Told:
    reported = {name: value for name, value in asdict(one).items() if name not in {"plan", "buyer", "count", "card"}}
    bills = [{**asdict(bill), "payment": _payment(ledger, bill.payment)} for bill in one.bills]
    who = {"buyer": one.buyer.id, "mail": one.buyer.mail}
    return reported | who | {"goods": [one.plan.id, one.count], "money": one.plan.money, "bills": bills}


def _story(ledger: Ledger, buyer: str) -> Told:
    """Return everything that somebody ever bought, even if they were deleted."""
    if buyer not in ledger.buyers:
        raise Wrong("no_buyer", "There is no such buyer.")
    return {
        "pages": [_page(ledger, one) for one in ledger.pages.values() if one.buyer and one.buyer.id == buyer],
        "memberships": [_membership(ledger, one) for one in ledger.memberships.values() if one.buyer.id == buyer],
    }


def _trace(ledger: Ledger, id: str) -> Told:
    """Return what was bought, by its own id or that of a page or a payment."""
    of = ledger.payments[id].of if id in ledger.payments else id
    page = ledger.pages.get(of)
    membership = ledger.memberships.get((page.membership if page else of) or "")
    return {
        "page": _page(ledger, page) if page else None,
        "membership": _membership(ledger, membership) if membership else None,
    }


def _find_page(ledger: Ledger, buyer: str, order: str) -> Told:
    mine = [one for one in ledger.pages.values() if one.buyer and one.buyer.id == buyer]
    found = next((one for one in mine if one.marks.get("order") == order), None)
    return {"found": _page(ledger, found) if found else None}


def _quote(ledger: Ledger, membership: str, plan: str) -> Told:
    one = ledger.membership(membership)
    minor = ledger.quote(membership, plan)
    return {"minor": minor, "money": one.plan.money, "next_at": one.ends, "free": one.state == "trialing"}


def _open_desk(ledger: Ledger, buyer: str, back: str, membership: str | None = None, plan: str | None = None) -> Told:
    if membership and plan:
        ledger.quote(membership, plan)
    desk = Desk(new_id("desk"), ledger.buyer(buyer), back, membership, plan)
    ledger.desks[desk.id] = desk
    return {"link": f"{ledger.url}/desk/{desk.id}"}


def _end(ledger: Ledger, membership: str, at_once: bool, marks: dict[str, str]) -> Told:
    ledger.end(membership, at_once=at_once, marks=marks)
    return {}


def _write(ledger: Ledger, buyer: str, mail: str | None) -> Told:
    ledger.write_to(buyer, mail)
    return {}


def _read_news(ledger: Ledger, since: int, topics: list[str], place: int) -> Told:
    news, following = ledger.news_since(since, topics, place)
    return {"news": [asdict(one) for one in news], "next": following}


API: dict[str, Callable[..., Told]] = {
    "shop": lambda ledger: {"shop": ledger.shop},
    "plan": lambda ledger, plan: asdict(ledger.plan(plan)),
    "plans": lambda ledger: {"plans": [asdict(one) for one in ledger.plans.values()]},
    "add_plan": lambda ledger, **reported: asdict(ledger.add_plan(**reported)),
    "meet_buyer": lambda ledger, **reported: {"buyer": ledger.meet(**reported).id},
    "write_to_buyer": _write,
    "part_with_buyer": lambda ledger, buyer, parted: ledger.part(buyer, parted) or {},
    "buyers": lambda ledger, after: {"buyers": [asdict(one) for one in ledger.buyers_after(after, limit=2)]},
    "story": _story,
    "trace": _trace,
    "payer": lambda ledger, payment: {"buyer": ledger.payment(payment).buyer},
    "make_page": lambda ledger, **reported: _page(ledger, ledger.make_page(**reported)),
    "page": lambda ledger, page: _page(ledger, ledger.page(page)),
    "shut_page": lambda ledger, page: _page(ledger, ledger.shut(page)),
    "find_page": _find_page,
    "end_membership": _end,
    "quote": _quote,
    "open_desk": _open_desk,
    "news": _read_news,
    "endpoints": lambda ledger: {"endpoints": list(ledger.endpoints)},
    "send_news_to": lambda ledger, url: {"secret": ledger.send_news_to(url)},
}


class _Server:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.app = Starlette(
            routes=[
                Route("/api/{call}", self.answer, methods=["POST"]),
                Route("/pay/{id}", self.show_page),
                Route("/pay/{id}", self.pay, methods=["POST"]),
                Route("/desk/{id}", self.show_desk),
                Route("/desk/{id}", self.use_desk, methods=["POST"]),
                Route("/slips/{id}", self.show_slip),
            ],
            exception_handlers={Wrong: _refuse_buyer},
        )

    async def answer(self, request: Request) -> Response:
        reported = await request.json()
        try:
            if request.headers.get("Pebble-Key") != self.ledger.key:
                raise Wrong("bad_key", f"{request.headers.get('Pebble-Key')} is no key of this shop.")
            with self.ledger.open() as ledger:
                return JSONResponse(API[request.path_params["call"]](ledger, **reported))
        except Wrong as error:
            return JSONResponse({"wrong": error.word, "words": str(error)}, 401 if error.word == "bad_key" else 422)

    # The pages for buyers

    async def show_page(self, request: Request) -> Response:
        with self.ledger.open() as ledger:
            page = ledger.page(request.path_params["id"])
            if page.state != "waiting":
                raise Wrong("not_open", "This page is closed.")
        mail = page.buyer and page.buyer.mail
        fields = [
            "" if mail else '<label>E-mail <input name="mail" type="email"></label>',
            '<label>Card <input name="card"></label>' if page.needs_card else "",
            '<label>Promotion code <input name="code"></label>' if page.codes else "",
        ]
        price = f"{page.asked} {page.plan.money}"
        back = f'<a href="{escape(page.cancel.replace(PLACEHOLDER, page.id))}">Back</a>'
        return _html(page.plan.title, f"<p>{price}</p>{_form(page.button, *fields)}{back}")

    async def pay(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        with self.ledger.open() as ledger:
            page = ledger.pay(
                request.path_params["id"], form.get("card", ""), form.get("mail") or None, form.get("code", "")
            )
        return RedirectResponse(page.success.replace(PLACEHOLDER, page.id), 303)

    async def show_desk(self, request: Request) -> Response:
        """Return the page to confirm a change, or the one to end memberships and replace the card."""
        with self.ledger.open() as ledger:
            desk = _desk(ledger, request)
            back = f'<a href="{escape(desk.back)}">Back</a>'
            if desk.membership and desk.plan:
                return _html(ledger.plan(desk.plan).title, _form("Change") + back)
            ends = [
                _form(f"End {one.plan.title}", f'<input type="hidden" name="end" value="{one.id}">')
                for one in _mine(ledger, desk)
            ]
        card = _form("Keep card", '<label>Card <input name="card"></label>')
        return _html("Your memberships", "".join(ends) + card + back)

    async def use_desk(self, request: Request) -> Response:
        form = await request.form()
        with self.ledger.open() as ledger:
            desk = _desk(ledger, request)
            for one in _mine(ledger, desk):
                if one.id == desk.membership and desk.plan:
                    ledger.change(one.id, desk.plan)
                elif one.id == form.get("end"):
                    ledger.end(one.id, at_once=False)
                elif "card" in form:
                    ledger.give_card(one.id, str(form["card"]))
        return RedirectResponse(desk.back, 303)

    async def show_slip(self, request: Request) -> Response:
        with self.ledger.open() as ledger:
            payment = ledger.payment(request.path_params["id"])
        return _html("Receipt", f"<p>{payment.id}: {payment.minor}</p>")


def _desk(ledger: Ledger, request: Request) -> Desk:
    if request.path_params["id"] not in ledger.desks:
        raise Wrong("no_desk", "There is no such page.")
    return ledger.desks[request.path_params["id"]]


def _mine(ledger: Ledger, desk: Desk) -> list[Membership]:
    """Return the buyer's memberships that are not over."""
    return [one for one in ledger.memberships.values() if one.buyer is desk.buyer and one.state in GOING]


async def _refuse_buyer(request: Request, error: Exception) -> Response:
    return _html("Sorry", f"<p>{escape(str(error))}</p>", 402)


def _html(title: str, body: str, status: int = 200) -> Response:
    return HTMLResponse(f"<!doctype html><title>{escape(title)}</title><h1>{escape(title)}</h1>{body}", status)


def _form(button: str, *fields: str) -> str:
    return f'<form method="post">{"".join(fields)}<button>{escape(button)}</button></form>'


# Events


def signature(secret: str, body: bytes, at: int) -> str:
    """Return the time and the signature, which only somebody with the secret can compute."""
    seal = hmac.digest(secret.encode(), b"%d\n%b" % (at, body), "sha512")
    return f"{at}:{seal.hex()}"


def _send_news(ledger: Ledger) -> None:
    """Send each event once. What does not arrive can be read in the list."""
    with httpx2.Client(timeout=5) as http:
        while (one := ledger.outbox.get()) is not None:
            for url, secret in list(ledger.endpoints.items()):
                _send(http, url, secret, one, ledger.now())


def _send(http: httpx2.Client, url: str, secret: str, news: News, at: int) -> None:
    body = json.dumps(asdict(news)).encode()
    headers = {SIGNATURE: signature(secret, body, at), "Content-Type": "application/json"}
    with suppress(httpx2.HTTPError):
        http.post(url, content=body, headers=headers)
