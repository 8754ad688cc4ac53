"""Buyers without a browser, who try again as people do while the app does not respond."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar

import httpx2
from tests.endurance.shop import payment_of, use_control_page
from tests.support.running import Account, Browser, forms

T = TypeVar("T")

AGAIN: Final = 0.1  # seconds until somebody presses the button again
PART: Final = "5.00"
TOKEN: Final = "tollkeeper"


class ShopCloses(Exception):
    """The load has ended, so nobody waits any longer."""


@dataclass
class Buyer:
    """A buyer: what they did, the token of their login session, and how often they meant to pay."""

    email: str
    story: str
    token: str = ""
    meant_to_pay: int = 0


@dataclass
class Load:
    """Browsers that buy at the same time, without a pause, until they are stopped; and the buyers they brought."""

    site_url: str
    account: Account
    seed: int
    browsers: int
    buyers: list[Buyer] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Keep buyers coming during this context."""
        threads = [threading.Thread(target=self._browse, args=(n,), daemon=True) for n in range(self.browsers)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopping.set()
            for thread in threads:
                thread.join()

    def _browse(self, number: int) -> None:
        visit = Visit(self, number)
        try:
            while not self.stopping.is_set():
                visit.another_buyer()
        except ShopCloses:
            pass
        except Exception as error:
            self.broken.append(f"a browser gave up: {error!r}")


class Visit:
    """One browser, which several people use one after the other."""

    def __init__(self, load: Load, number: int) -> None:
        self._load = load
        self._number = number
        self._random = random.Random(f"{load.seed}-{number}")
        self._browser = Browser(load.site_url)
        self._browser.client.event_hooks = {"response": [self._note_trouble]}
        self._count = 0

    def another_buyer(self) -> None:
        """Simulate one new person, from sign-in to the end."""
        self._count += 1
        story = self._random.choices(list(STORIES), [often for often, _ in STORIES.values()])[0]
        self._buyer = Buyer(f"buyer-{self._number}-{self._count}@example.com", story)
        self._load.buyers.append(self._buyer)
        self._browser.client.cookies.clear()
        for step in STORIES[story][1]:
            step(self)

    def sign_in(self) -> None:
        self._buyer.token = self._until_it_works(self._sign_in)

    def look(self) -> None:
        """Go to the hosted page, but do not pay."""
        self._until_it_works(self._payable_page)

    def pay(self) -> None:
        """Pay once."""
        page = self._until_it_works(self._payable_page)
        self._buyer.meant_to_pay += 1
        self._pay(page)

    def doubt(self) -> None:
        """Press Purchase again, and try to pay: that must be impossible."""
        page = self._until_it_works(self._page_after_purchase)
        if _is_payable(page):
            self._pay(page)

    def come_back(self) -> None:
        """Follow the hosted page's link back. If the app is down, give up."""
        with suppress(httpx2.TransportError):
            self._browser.follow(self._answer)

    def refund(self) -> None:
        self._do(f"payments/{self._payment()}/refund")

    def refund_in_part(self) -> None:
        self._do(f"payments/{self._payment()}/refund", amount=PART)

    def dispute(self) -> None:
        self._dispute = self._do(f"payments/{self._payment()}/dispute", reason="fraudulent")

    def lose(self) -> None:
        self._do(f"disputes/{self._dispute}/lose")

    def win(self) -> None:
        self._do(f"disputes/{self._dispute}/win")

    def _until_it_works(self, attempt: Callable[[], T | None]) -> T:
        """Try again while the app is down, or shows an error page without the expected button."""
        while not self._load.stopping.is_set():
            with suppress(httpx2.TransportError, AssertionError):
                if found := attempt():
                    return found
            time.sleep(AGAIN)
        raise ShopCloses

    def _sign_in(self) -> str | None:
        if TOKEN not in self._browser.client.cookies:  # the app may have died after it had signed them in
            self._browser.sign_in("Nova Example", self._buyer.email)
        return self._browser.client.cookies.get(TOKEN)

    def _payable_page(self) -> httpx2.Response | None:
        page = self._page_after_purchase()
        return page if page and _is_payable(page) else None

    def _page_after_purchase(self) -> httpx2.Response | None:
        """Return where the Purchase button leads; the landing page itself if it has none, as for members."""
        page = self._browser.get("/")
        if any("Purchase" in button for form in forms(page) for button in form.buttons):
            page = self._browser.follow(self._browser.submit(page, "Purchase"))
        return page if page.status_code == 200 else None

    def _pay(self, page: httpx2.Response) -> None:
        self._page, self._answer = page, self._browser.pay(page)
        assert self._answer.is_redirect, self._answer.text

    def _payment(self) -> str:
        return payment_of(self._load.account, self._page)

    def _do(self, path: str, **form: str) -> str:
        return use_control_page(self._load.account, path, **form)

    def _note_trouble(self, answer: httpx2.Response) -> None:
        """Record an error page. Known errors are part of a crash; unexpected ones are not."""
        if answer.status_code == 500:
            self._load.broken.append(f"{answer.request.method} {answer.request.url.path} answered 500")


def _is_payable(page: httpx2.Response) -> bool:
    return any("card_number" in form.fields for form in forms(page))


# The behaviours with their weights.
STORIES: Final[dict[str, tuple[int, tuple[Callable[[Visit], None], ...]]]] = {
    "signs in": (1, (Visit.sign_in,)),
    "looks at the price": (1, (Visit.sign_in, Visit.look)),
    "pays and comes back": (4, (Visit.sign_in, Visit.pay, Visit.come_back)),
    "pays and never comes back": (4, (Visit.sign_in, Visit.pay)),
    "pays and presses Purchase again": (3, (Visit.sign_in, Visit.pay, Visit.doubt)),
    "is refunded": (2, (Visit.sign_in, Visit.pay, Visit.come_back, Visit.refund)),
    "is refunded at once": (2, (Visit.sign_in, Visit.pay, Visit.refund)),
    "is refunded in part": (1, (Visit.sign_in, Visit.pay, Visit.refund_in_part)),
    "is refunded and buys again": (2, (Visit.sign_in, Visit.pay, Visit.refund, Visit.pay, Visit.come_back)),
    "disputes and loses access": (2, (Visit.sign_in, Visit.pay, Visit.come_back, Visit.dispute, Visit.lose)),
    "disputes and withdraws": (1, (Visit.sign_in, Visit.pay, Visit.dispute, Visit.win)),
}
