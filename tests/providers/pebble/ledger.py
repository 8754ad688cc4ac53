"""The books of Pebble, an invented payment provider: what is in them, and what becomes of it as time goes by.

It does what any provider does, and does it in ways of its own: it tells all of a buyer in one answer, finds things by
the names that sellers give them, makes no bill for a trial, charges a dearer plan's difference at once, and counts a
month as 30 days.
"""

import queue
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

# Seconds.
HOUR = 3600
DAY = 24 * HOUR
PERIODS = {"day": DAY, "week": 7 * DAY, "month": 30 * DAY, "year": 365 * DAY}
NEWS_KEPT = 90 * DAY

TAX_PERCENT = 19
NEWS_AT_ONCE = 100

# The one card that pays for nothing.
BAD_CARD = "0000"

GOING = frozenset({"trialing", "active", "past_due"})


class Wrong(Exception):
    """Why Pebble does not do something: a word for programs, and words for people."""

    def __init__(self, word: str, words: str) -> None:
        super().__init__(words)
        self.word = word


@dataclass
class Plan:
    id: str
    title: str
    minor: int
    money: str
    every: str | None = None
    label: str | None = None
    """The seller's own name for it."""


@dataclass
class Buyer:
    id: str
    label: str | None
    """The seller's own name for them."""
    title: str
    mail: str | None
    at: int = 0
    gone: bool = False
    parted: str | None = None
    """Whom the seller no longer knows by it."""


@dataclass
class Payment:
    id: str
    of: str
    """The page or the membership that was paid for."""
    buyer: str | None
    minor: int
    at: int
    back: int = 0
    fight: str = "none"
    """How a dispute about it stands."""


@dataclass
class Page:
    """Where a buyer pays: a hosted page."""

    id: str
    plan: Plan
    count: int
    buyer: Buyer | None
    marks: dict[str, str]
    """What the seller wants to know it by."""
    success: str
    cancel: str
    codes: bool
    taxed: bool
    free_days: int
    cardless: bool
    at: int
    state: str = "waiting"
    mail: str | None = None
    off: int = 0
    tax: int = 0
    payment: Payment | None = None
    membership: str | None = None

    @property
    def asked(self) -> int:
        return self.plan.minor * self.count

    @property
    def needs_card(self) -> bool:
        return self.asked > 0 and not (self.free_days and self.cardless)

    @property
    def button(self) -> str:
        if self.plan.every:
            return "Subscribe"
        return "Pay" if self.asked else "Complete order"


@dataclass
class Bill:
    """What is asked for one period of a membership, or for the rest of one."""

    id: str
    starts: int
    ends: int
    at: int
    minor: int
    final_at: int | None
    """When a draft is asked for by itself; None: never, or it was."""
    state: str = "draft"
    due_at: int | None = None
    paid_at: int | None = None
    payment: Payment | None = None


@dataclass
class Membership:
    id: str
    buyer: Buyer
    plan: Plan
    card: str | None
    at: int
    starts: int
    ends: int
    count: int = 1
    marks: dict[str, str] = field(default_factory=dict)
    page: str | None = None
    taxed: bool = False
    state: str = "active"
    trial_ends: int | None = None
    over_at: int | None = None
    quiet: str | None = None
    """What bills become while the seller asks for none of them."""
    bills: list[Bill] = field(default_factory=list)
    """Newest first."""

    @property
    def next_at(self) -> float:
        """When something will happen to it by itself."""
        drafts = [one.final_at for one in self.bills if one.final_at is not None]
        return min([self.ends, *drafts]) if self.state in GOING else float("inf")


@dataclass
class Desk:
    """One visit of a buyer who changes or ends a membership."""

    id: str
    buyer: Buyer
    back: str
    membership: str | None
    plan: str | None


@dataclass
class News:
    id: str
    topic: str
    at: int
    about: str
    buyer: str | None
    payment: str | None
    shop: str
    real: bool = False


class Ledger:
    """One shop's books, in test mode. ``now`` gives Unix seconds."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.now = now
        self.shop = new_id("shop")
        self.key = f"pb_test_{secrets.token_hex(12)}"
        self.url = ""
        self.taxes = True
        self.plans: dict[str, Plan] = {}
        self.buyers: dict[str, Buyer] = {}
        self.pages: dict[str, Page] = {}
        self.payments: dict[str, Payment] = {}
        self.memberships: dict[str, Membership] = {}
        self.desks: dict[str, Desk] = {}
        self.codes: dict[str, int] = {}
        self.endpoints: dict[str, str] = {}
        """The secret of each address that news are sent to."""
        self.news: list[News] = []
        self.outbox: queue.SimpleQueue[News | None] = queue.SimpleQueue()
        self.once: dict[str, tuple[Mapping[str, Any], Page]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def open(self) -> Iterator["Ledger"]:
        """One at a time, and what is due happens before."""
        with self._lock:
            for one in self.memberships.values():
                while (at := one.next_at) <= self.now():
                    self._go_on(one, int(at))
            yield self

    # Plans and buyers

    def add_plan(self, title: str, minor: int, money: str, every: str | None = None, label: str | None = None) -> Plan:
        made = Plan(new_id("plan"), title, minor, money, every, label)
        self.plans[made.id] = made
        self._tell("plan.added", made.id)
        return made

    def plan(self, id: str) -> Plan:
        return _found(self.plans, id, "plan")

    def meet(self, label: str | None, title: str, mail: str | None) -> Buyer:
        """The buyer whom the seller calls so, new if there is none."""
        for one in self.buyers.values():
            if label is not None and one.label == label and not one.gone:
                return one
        _check_mail(mail)
        made = Buyer(new_id("buyer"), label, title, mail, int(self.now()))
        self.buyers[made.id] = made
        self._tell("buyer.met", made.id, made.id)
        return made

    def buyer(self, id: str) -> Buyer:
        """One who is not gone."""
        found = _found(self.buyers, id, "buyer")
        if found.gone:
            raise Wrong("no_buyer", "That buyer is gone.")
        return found

    def write_to(self, id: str, mail: str | None) -> None:
        _check_mail(mail)
        self.buyer(id).mail = mail

    def part(self, id: str, parted: str) -> None:
        self.buyer(id).parted = parted

    def buyers_after(self, last: str | None, limit: int) -> list[Buyer]:
        """The next ones who are not gone, after the one with this id."""
        there = [one for one in self.buyers.values() if not one.gone]
        begin = next((at + 1 for at, one in enumerate(there) if one.id == last), 0)
        return there[begin : begin + limit]

    def forget(self, id: str) -> None:
        self.buyer(id).gone = True
        for one in self.memberships.values():
            if one.buyer.id == id and one.state in GOING:
                self.end(one.id, at_once=True)

    # Pages

    def make_page(self, once: str | None, **asked: Any) -> Page:
        """A new page, or the one that was made for ``once`` before."""
        if once in self.once:
            before, page = self.once[once]
            if before != asked:
                raise Wrong("other_once", "That was asked once before, with other words.")
            return page
        if asked["taxed"] and not self.taxes:
            raise Wrong("no_tax", "This shop reckons no tax.")
        buyer = asked["buyer"] and self.buyer(asked["buyer"])
        known = asked | {"plan": self.plan(asked["plan"]), "buyer": buyer}
        page = Page(id=new_id("page"), at=self.now(), **known)
        self.pages[page.id] = page
        if once is not None:
            self.once[once] = (asked, page)
        return page

    def page(self, id: str) -> Page:
        return _found(self.pages, id, "page")

    def shut(self, id: str) -> Page:
        """End a page where nobody has paid; any other stays as it is."""
        page = self.page(id)
        if page.state == "waiting":
            page.state = "shut"
            self._tell("page.shut", page.id, _id_of(page.buyer))
        return page

    def pay(self, id: str, card: str, mail: str | None, code: str = "") -> Page:
        """What a buyer does on a page."""
        page = self.page(id)
        if page.state != "waiting":
            raise Wrong("not_open", "This page is closed.")
        if page.needs_card and card in {"", BAD_CARD}:
            raise Wrong("declined", "The card was declined.")
        if code and not (page.codes and code in self.codes):
            raise Wrong("no_code", "There is no such promotion code.")
        page.off = page.asked * self.codes.get(code, 0) // 100
        page.tax = _tax(page.asked - page.off, page.taxed)
        page.mail = mail or (page.buyer.mail if page.buyer else None)
        page.state = "used"
        if page.plan.every:
            page.membership = self._join_by(page, card).id
        elif minor := page.asked - page.off + page.tax:
            page.payment = self._payment(page.id, _id_of(page.buyer), minor, self.now())
        self._tell("page.used", page.id, _id_of(page.buyer))
        return page

    # Memberships

    def join(
        self, buyer: Buyer, plan: Plan, card: str | None, free_days: int = 0, off: int = 0, **of: Any
    ) -> Membership:
        """Begin a membership; its first period is paid at once, or free."""
        now = self.now()
        ends = now + (free_days * DAY or PERIODS[plan.every or ""])
        one = Membership(new_id("member"), buyer, plan, card, now, now, ends, **of)
        self.memberships[one.id] = one
        self._tell("membership.began", one.id, buyer.id)
        if free_days:
            one.state, one.trial_ends = "trialing", ends
        else:
            self._ask(one, self._bill(one, now, off), now)
        return one

    def _join_by(self, page: Page, card: str) -> Membership:
        buyer = page.buyer or self.meet(None, "", page.mail)
        of = {"count": page.count, "marks": page.marks, "page": page.id, "taxed": page.taxed}
        return self.join(buyer, page.plan, card or None, page.free_days, page.off, **of)

    def membership(self, id: str) -> Membership:
        """One that goes on."""
        found = _found(self.memberships, id, "membership")
        if found.state not in GOING:
            raise Wrong("no_membership", "That membership is over.")
        return found

    def end(self, id: str, *, at_once: bool, marks: Mapping[str, str] | None = None) -> None:
        one = self.membership(id)
        one.marks = one.marks | dict(marks or {})
        one.over_at = one.ends
        if at_once:
            self._end(one, self.now())
        else:
            self._tell("membership.changed", id, one.buyer.id)

    def quiet(self, id: str, becomes: str | None) -> None:
        """Ask for no payments, or ask again. ``becomes`` is what bills are meanwhile."""
        self.membership(id).quiet = becomes
        self._tell("membership.changed", id, self.memberships[id].buyer.id)

    def quote(self, id: str, plan_id: str) -> int:
        """What another plan costs at once: the difference, for the days that are left of the period."""
        one, plan = self.membership(id), self.plan(plan_id)
        if plan.every is None or plan.money != one.plan.money:
            raise Wrong("unfit", "No membership of that kind can have this plan.")
        more = max(0, plan.minor - one.plan.minor) * one.count
        left, whole = -((self.now() - one.ends) // DAY), (one.ends - one.starts) // DAY
        minor = 0 if one.state == "trialing" else more * left // whole
        return minor + _tax(minor, one.taxed)

    def change(self, id: str, plan_id: str) -> None:
        one, minor, now = self.membership(id), self.quote(id, plan_id), self.now()
        if minor and one.card in {None, BAD_CARD}:
            raise Wrong("declined", "The card was declined.")
        one.plan = self.plan(plan_id)
        if minor:
            one.bills.insert(0, Bill(new_id("bill"), now, one.ends, now, minor, None, due_at=now))
            self._take(one, one.bills[0], now)
        self._tell("membership.changed", id, one.buyer.id)

    def give_card(self, id: str, card: str) -> None:
        """Another card, of which what is owed is taken at once if it is good."""
        self.membership(id).card = card
        if card != BAD_CARD:
            self.pay_owed(id)

    def pay_owed(self, id: str) -> None:
        one = self.memberships[id]
        for bill in one.bills:
            if bill.state == "failed":
                self._take(one, bill, self.now())

    def _go_on(self, one: Membership, at: int) -> None:
        """What happens to a membership by itself."""
        draft = next((bill for bill in one.bills if bill.final_at == at), None)
        if draft is not None:
            self._ask(one, draft, at)
        elif one.over_at is not None or (one.state == "trialing" and one.card is None):
            self._end(one, at)
        else:
            one.state = "active" if one.state == "trialing" else one.state
            one.starts, one.ends = at, at + PERIODS[one.plan.every or ""]
            self._bill(one, at).final_at = at + HOUR
            self._tell("membership.changed", one.id, one.buyer.id, at=at)

    def _end(self, one: Membership, at: int) -> None:
        one.state, one.over_at = "canceled", at
        self._tell("membership.ended", one.id, one.buyer.id, at=at)

    def _bill(self, one: Membership, at: int, off: int = 0) -> Bill:
        minor = one.plan.minor * one.count - off
        one.bills.insert(0, Bill(new_id("bill"), one.starts, one.ends, at, minor + _tax(minor, one.taxed), None))
        return one.bills[0]

    def _ask(self, one: Membership, bill: Bill, at: int) -> None:
        """A draft becomes final, and is paid or not; or what it is to be while nobody is asked."""
        bill.final_at = None
        if one.quiet is not None:
            bill.state = one.quiet
            self._tell("bill.unasked", one.id, one.buyer.id, at=at)
            return
        bill.due_at = at
        if bill.minor and one.card in {None, BAD_CARD}:
            bill.state, one.state = "failed", "past_due"
            self._tell("bill.failed", one.id, one.buyer.id, at=at)
        else:
            self._take(one, bill, at)

    def _take(self, one: Membership, bill: Bill, at: int) -> None:
        bill.state, bill.paid_at = "paid", at
        if bill.minor:
            bill.payment = self._payment(one.id, one.buyer.id, bill.minor, at)
        if one.state == "past_due" and not any(other.state == "failed" for other in one.bills):
            one.state = "active"
        self._tell("bill.paid", one.id, one.buyer.id, bill.payment, at)

    # Money

    def payment(self, id: str) -> Payment:
        return _found(self.payments, id, "payment")

    def give_back(self, id: str, minor: int) -> None:
        payment = self.payment(id)
        payment.back += minor
        self._tell("payment.back", payment.of, payment.buyer, payment)

    def fight(self, id: str) -> None:
        """The buyer's bank wants the money back, and names nobody."""
        payment = self.payment(id)
        payment.fight = "open"
        self._tell("payment.fought", payment.of, None, payment)

    def _payment(self, of: str, buyer: str | None, minor: int, at: int) -> Payment:
        made = Payment(new_id("pay"), of, buyer, minor, at)
        self.payments[made.id] = made
        self._tell("payment.made", of, buyer, made, at)
        return made

    # News

    def send_news_to(self, url: str) -> str:
        """From now on, sealed with a new secret if they were sent there before."""
        self.endpoints[url] = new_id("seal")
        return self.endpoints[url]

    def news_since(self, since: int, topics: list[str], place: int) -> tuple[list[News], int | None]:
        """A page of what happened, oldest first, and the place where the next one begins."""
        since = max(since, self.now() - NEWS_KEPT)
        found: list[News] = []
        for at, one in enumerate(self.news[place:], start=place):
            if len(found) == NEWS_AT_ONCE:
                return found, at
            if one.at >= since and one.topic in topics:
                found.append(one)
        return found, None

    def _tell(
        self, topic: str, about: str, buyer: str | None = None, payment: Payment | None = None, at: int | None = None
    ) -> None:
        made = News(new_id("news"), topic, at or self.now(), about, buyer, _id_of(payment), self.shop)
        self.news.append(made)
        self.outbox.put(made)


def new_id(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(8)}"


def _id_of(thing: Buyer | Payment | None) -> str | None:
    return thing.id if thing else None


def _found(things: Mapping[str, T], id: str, kind: str) -> T:
    if id not in things:
        raise Wrong(f"no_{kind}", f"There is no such {kind}.")
    return things[id]


def _check_mail(mail: str | None) -> None:
    if mail is not None and "." not in mail.rpartition("@")[2]:
        raise Wrong("bad_mail", "That is no address that mail can be sent to.")


def _tax(minor: int, taxed: bool) -> int:
    return minor * TAX_PERCENT // 100 if taxed else 0
