"""A visitor with a real browser, who finds everything by the text on the pages."""

import re
import secrets
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Response,
    expect,
)
from tests.support.running import PAYS, eventually

PATIENCE_MS = 15_000

# The browser's own message about an error status, which is recorded with the response.
ECHO = "Failed to load resource: the server responded with a status of"

# Followed by text for screen readers if several things are sold.
PURCHASE = re.compile(r"^Purchase\b")

# A page was left, or a form sent again, before the page was complete.
LEFT = "net::ERR_ABORTED"


def new_email() -> str:
    """Return an unused address, so that each test has its own person."""
    return f"{secrets.token_hex(6)}@example.com"


def checkout_id(checkout: str) -> str:
    """Return the id in a hosted page's address."""
    return urlsplit(checkout).path.rpartition("/")[2]


@dataclass
class Visitor:
    """One browser with its own cookies. ``complaints`` are the errors in its console and network log."""

    site: str
    context: BrowserContext
    email: str
    name: str = "Flora Example"
    complaints: list[str] = field(default_factory=list)
    forgiven: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.on("console", self._console)
        self.context.on("weberror", lambda error: self.complaints.append(f"script: {error.error}"))
        self.context.on("requestfailed", self._failed)
        self.context.on("response", self._answered)
        self.page = self.context.new_page()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(ECHO):
            self.complaints.append(f"console: {message.text}")

    def _failed(self, request: Request) -> None:
        if request.failure != LEFT:
            self.complaints.append(f"failed: {request.method} {request.url} {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status} {response.url}")

    def forgive(self, complaint: str) -> None:
        """Ignore errors that contain this text: they are expected."""
        self.forgiven.append(complaint)

    def unforgiven(self) -> list[str]:
        return [said for said in self.complaints if not any(part in said for part in self.forgiven)]

    def new_tab(self) -> Page:
        """Open another tab of the same browser, and use it from now on."""
        self.page = self.context.new_page()
        return self.page

    def open(self, address: str = "/") -> None:
        """Open an address: a path of the site, or a complete one."""
        self.page.goto(self.site + address if address.startswith("/") else address)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    @property
    def purchase_button(self) -> Locator:
        return self.page.get_by_role("button", name=PURCHASE)

    def link(self, name: str) -> Locator:
        return self.page.get_by_role("link", name=name, exact=True)

    def press(self, name: str) -> None:
        self.button(name).click()

    def follow(self, name: str) -> None:
        self.link(name).click()

    def type(self, label: str, text: str) -> None:
        self.page.get_by_label(label, exact=True).fill(text)

    def type_on(self, target: Locator, keys: str) -> None:
        """Move to an element with the Tab key, and press Enter or type text there."""
        expect(target).to_be_visible()
        for _ in range(30):
            if target.evaluate("target => target === document.activeElement"):
                break
            self.page.keyboard.press("Tab")
        expect(target).to_be_focused()
        if keys == "Enter":
            self.page.keyboard.press(keys)
        else:
            self.page.keyboard.type(keys)

    def sees(self, heading: str) -> None:
        """Check which page this is, by its main heading."""
        expect(self.page.get_by_role("heading", level=1, name=heading, exact=True)).to_be_visible()

    def reads(self, words: str) -> None:
        """Check that the page has these words."""
        expect(self.page.get_by_text(words).first).to_be_visible()

    def is_at(self, path: str) -> None:
        """Check that this is a page of the site, with any query."""
        expect(self.page).to_have_url(re.compile(re.escape(self.site + path) + r"(\?.*)?"))

    def introduce(self) -> None:
        """Enter one's name and address on the issuer's page."""
        self.sees("Choose a person")
        self.type("Name", self.name)
        self.type("Email", self.email)
        self.press("Continue")

    def sign_in(self) -> None:
        self.open()
        self.follow("Login")
        self.introduce()
        self.sees(f"Hello, {self.name}")

    def purchase(self, product: str = "The Flying Machine") -> str:
        """Go from the landing page, or another with one product, to the hosted checkout. Returns its address."""
        self.purchase_button.click()
        self.sees(product)
        return self.page.url

    def fill_card(self, number: str = PAYS) -> None:
        self.type("Card number", number)
        self.type("Expiration", "12 / 40")
        self.type("CVC", "123")
        self.type("Cardholder name", self.name)
        self.page.get_by_label("Country", exact=True).select_option("Germany")

    def pay(self, number: str = PAYS) -> None:
        self.fill_card(number)
        self.press("Pay")

    def subscribe(self, number: str = PAYS) -> None:
        self.fill_card(number)
        self.press("Subscribe")

    def begin(self, button: str, product: str) -> None:
        """Go from the page of prices to the hosted checkout."""
        self.open("/pricing")
        self.press(button)
        self.sees(product)

    def reads_in_the_end(self, path: str, words: str) -> None:
        """Wait until a page has these words, after the provider's events have arrived."""

        def has_arrived() -> bool:
            self.open(path)
            return self.page.get_by_text(words).first.is_visible()

        eventually(has_arrived, seconds=PATIENCE_MS / 1000)

    def send(self, path: str, **fields: str) -> None:
        """Send a form as from a page that was opened earlier, with its values of that time."""
        self.page.evaluate(
            """([path, fields]) => {
                const form = document.createElement("form")
                form.method = "post"
                form.action = path
                fields.csrf_token = document.querySelector("[name=csrf_token]").value
                for (const [name, value] of Object.entries(fields)) {
                    form.append(Object.assign(document.createElement("input"), {name, value}))
                }
                document.body.append(form)
                form.submit()
            }""",
            [path, fields],
        )

    def buy(self) -> None:
        """Sign in and buy."""
        self.sign_in()
        self.purchase()
        self.pay()
        self.sees("Payment done")

    def is_kept_out(self) -> None:
        """Check in another tab that the dashboard does not open."""
        watched, tab = self.page, self.new_tab()
        self.open("/dashboard")
        self.sees(f"Hello, {self.name}")
        self.is_at("/")
        tab.close()
        self.page = watched

    def gets_in(self) -> None:
        self.open("/dashboard")
        self.is_at("/dashboard")
        self.sees("Dashboard")


class Lobby:
    """Creates visitors, and at the end closes their browsers and collects their errors.

    ``bypass_csp`` lets a test put a script into their pages, which the pages' own policy forbids.
    """

    def __init__(self, browser: Browser, site: str, *, bypass_csp: bool = False) -> None:
        self._browser = browser
        self._site = site
        self._bypass_csp = bypass_csp
        self._inside: list[Visitor] = []

    def __call__(self, email: str = "", *, scripts: bool = True) -> Visitor:
        """Create a browser, optionally with the e-mail address of a person who is signed in elsewhere."""
        context = self._browser.new_context(
            java_script_enabled=scripts, bypass_csp=self._bypass_csp, reduced_motion="reduce"
        )
        visitor = Visitor(self._site, context, email or new_email())
        self._inside.append(visitor)
        return visitor

    def __enter__(self) -> "Lobby":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        complaints = [said for visitor in self._inside for said in visitor.unforgiven()]
        for visitor in self._inside:
            visitor.context.close()
        if error is None and complaints:
            raise AssertionError("\n".join(["browsers complained:", *complaints]))
