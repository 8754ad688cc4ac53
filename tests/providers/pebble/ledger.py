"""The ledger of Pebble, an invented payment provider: its content, and how it changes over time.

It does what any provider does, but in its own way: it returns everything about a buyer in one response, finds things by
the names that sellers give them, creates no bill for a trial, charges the difference to a dearer plan at once, and
counts a month as 30 days.
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

# The only card that is always declined.
BAD_CARD = "0000"

GOING = frozenset({"trialing", "active", "past_due"})


class Wrong(Exception):
    """Why Pebble refuses something: a code for programs, and a message for people."""

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
    """The state of a dispute about it."""


@dataclass
class Page:
    """A hosted page where a buyer pays."""

    id: str
    plan: Plan
    count: int
    buyer: Buyer | None
    marks: dict[str, str]
    """The seller's own reference."""
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
    """The charge for one period of a membership, or for the rest of one."""

    id: str
    starts: int
    ends: int
    at: int
    minor: int
    final_at: int | None
    """When a draft becomes final automatically; None: never, or it already is."""
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
    """What happens to bills while the seller has paused collection."""
    bills: list[Bill] = field(default_factory=list)
    """Newest first."""

    @property
    def next_at(self) -> float:
        """Return when the next scheduled change is due."""
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
    """The ledger of one shop, in test mode. ``now`` returns Unix seconds."""

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
        """Open the ledger for one caller at a time, after everything that is due has happened."""
        with self._lock:
            for one in self.memberships.values():
                while (at := one.next_at) <= self.now():
                    self._go_on(one, int(at))
            yield self

    # Plans and buyers

    def add_plan(self, title: str, minor: int, money: str, every: str | None = None, label: str | None = None) -> Plan:
        made = Plan(new_id("plan"), title, minor, money, every, label)
        self.plans[made.id] = made
        self._emit("plan.added", made.id)
        return made

    def plan(self, id: str) -> Plan:
        return _found(self.plans, id, "plan")

    def meet(self, label: str | None, title: str, mail: str | None) -> Buyer:
        """Return the buyer with the seller's name, or create one."""
        for one in self.buyers.values():
            if label is not None and one.label == label and not one.gone:
                return one
        _check_mail(mail)
        made = Buyer(new_id("buyer"), label, title, mail, int(self.now()))
        self.buyers[made.id] = made
        self._emit("buyer.met", made.id, made.id)
        return made

    def buyer(self, id: str) -> Buyer:
        """Return a buyer who was not deleted."""
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
        """Create a page, or return the one that was created with this ``once`` before."""
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
        """Expire a page where nobody has paid; any other does not change."""
        page = self.page(id)
        if page.state == "waiting":
            page.state = "shut"
            self._emit("page.shut", page.id, _id_of(page.buyer))
        return page

    def pay(self, id: str, card: str, mail: str | None, code: str = "") -> Page:
        """Pay on a page, as a buyer."""
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
        self._emit("page.used", page.id, _id_of(page.buyer))
        return page

    # Memberships

    def join(
        self, buyer: Buyer, plan: Plan, card: str | None, free_days: int = 0, off: int = 0, **of: Any
    ) -> Membership:
        """Start a membership; its first period is paid at once, or free."""
        now = self.now()
        ends = now + (free_days * DAY or PERIODS[plan.every or ""])
        one = Membership(new_id("member"), buyer, plan, card, now, now, ends, **of)
        self.memberships[one.id] = one
        self._emit("membership.began", one.id, buyer.id)
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
        """Return a membership that is not over."""
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
            self._emit("membership.changed", id, one.buyer.id)

    def quiet(self, id: str, becomes: str | None) -> None:
        """Pause or resume the collection of payments. ``becomes`` is what happens to bills in the meantime."""
        self.membership(id).quiet = becomes
        self._emit("membership.changed", id, self.memberships[id].buyer.id)

    def quote(self, id: str, plan_id: str) -> int:
        """Return what a change of plan costs at once: the difference for the remaining days of the period."""
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
        self._emit("membership.changed", id, one.buyer.id)

    def give_card(self, id: str, card: str) -> None:
        """Replace the card. If it is good, what is owed is charged at once."""
        self.membership(id).card = card
        if card != BAD_CARD:
            self.pay_owed(id)

    def pay_owed(self, id: str) -> None:
        one = self.memberships[id]
        for bill in one.bills:
            if bill.state == "failed":
                self._take(one, bill, self.now())

    def _go_on(self, one: Membership, at: int) -> None:
        """Apply the scheduled changes of a membership."""
        draft = next((bill for bill in one.bills if bill.final_at == at), None)
        if draft is not None:
            self._ask(one, draft, at)
        elif one.over_at is not None or (one.state == "trialing" and one.card is None):
            self._end(one, at)
        else:
            one.state = "active" if one.state == "trialing" else one.state
            one.starts, one.ends = at, at + PERIODS[one.plan.every or ""]
            self._bill(one, at).final_at = at + HOUR
            self._emit("membership.changed", one.id, one.buyer.id, at=at)

    def _end(self, one: Membership, at: int) -> None:
        one.state, one.over_at = "canceled", at
        self._emit("membership.ended", one.id, one.buyer.id, at=at)

    def _bill(self, one: Membership, at: int, off: int = 0) -> Bill:
        minor = one.plan.minor * one.count - off
        one.bills.insert(0, Bill(new_id("bill"), one.starts, one.ends, at, minor + _tax(minor, one.taxed), None))
        return one.bills[0]

    def _ask(self, one: Membership, bill: Bill, at: int) -> None:
        """Finalize a draft and try to collect it; or apply what was chosen for a pause."""
        bill.final_at = None
        if one.quiet is not None:
            bill.state = one.quiet
            self._emit("bill.unasked", one.id, one.buyer.id, at=at)
            return
        bill.due_at = at
        if bill.minor and one.card in {None, BAD_CARD}:
            bill.state, one.state = "failed", "past_due"
            self._emit("bill.failed", one.id, one.buyer.id, at=at)
        else:
            self._take(one, bill, at)

    def _take(self, one: Membership, bill: Bill, at: int) -> None:
        bill.state, bill.paid_at = "paid", at
        if bill.minor:
            bill.payment = self._payment(one.id, one.buyer.id, bill.minor, at)
        if one.state == "past_due" and not any(other.state == "failed" for other in one.bills):
            one.state = "active"
        self._emit("bill.paid", one.id, one.buyer.id, bill.payment, at)

    # Money

    def payment(self, id: str) -> Payment:
        return _found(self.payments, id, "payment")

    def give_back(self, id: str, minor: int) -> None:
        payment = self.payment(id)
        payment.back += minor
        self._emit("payment.back", payment.of, payment.buyer, payment)

    def fight(self, id: str) -> None:
        """Let the buyer's bank dispute a payment. The dispute names no customer."""
        payment = self.payment(id)
        payment.fight = "open"
        self._emit("payment.fought", payment.of, None, payment)

    def _payment(self, of: str, buyer: str | None, minor: int, at: int) -> Payment:
        made = Payment(new_id("pay"), of, buyer, minor, at)
        self.payments[made.id] = made
        self._emit("payment.made", of, buyer, made, at)
        return made

    # Events

    def send_news_to(self, url: str) -> str:
        """Send events to this address from now on, signed with a new secret if it was set before."""
        self.endpoints[url] = new_id("seal")
        return self.endpoints[url]

    def news_since(self, since: int, topics: list[str], place: int) -> tuple[list[News], int | None]:
        """Return a page of events, oldest first, and where the next page begins."""
        since = max(since, self.now() - NEWS_KEPT)
        found: list[News] = []
        for at, one in enumerate(self.news[place:], start=place):
            if len(found) == NEWS_AT_ONCE:
                return found, at
            if one.at >= since and one.topic in topics:
                found.append(one)
        return found, None

    def _emit(
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
