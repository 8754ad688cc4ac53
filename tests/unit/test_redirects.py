"""Where a browser may be sent: a corpus, and a judge that parses addresses as browsers do."""

import ipaddress
import random
import re
import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from tollkeeper.redirects import LONGEST, host_apart, login_reaches, may_return_to

PUBLIC_URL = "https://pay.example.com"
GATED_HOSTS = frozenset({"app.example.com", "tools.example.com:8443", "[2001:db8::1]"})


def allowed(address: str, public_url: str = PUBLIC_URL) -> bool:
    return may_return_to(address, public_url=public_url, gated_hosts=GATED_HOSTS)


ALLOWED = [
    "/",
    "/dashboard",
    "/dashboard/",
    "/reports/2026/q3.pdf",
    "/reports?year=2026&sort=-amount#top",
    "/?a=1",
    "/#top",
    "/search?q=tea%20and%20cake&tags[]=a;b",
    "/search?next=%2Freports&path=C%3A%5Cx&to=https://evil.example/..//",
    # what browsers send in queries as it is typed, and keep in fragments
    "/search?filter={a|b}^2",
    "/search?q=`ls`&path=C:\\x\\y",
    "/?|{}^`[]\\",
    "/a/?//evil.example",
    "/?\\\\evil.example",
    "/?\\/evil.example&@evil.example",
    "/reports#{a|b}^`\\",
    "https://app.example.com/render?target=sum({a,b}|c)&from=-1h",
    "https://app.example.com?\\@evil.example",
    "https://app.example.com#\\@evil.example",
    "https://app.example.com/?|@evil.example/..//\\evil.example",
    "/caf%C3%A9",
    "/100%25",
    "/@ada/likes:all,(really)!*'$&+=~_-",
    "/...",
    "/.well-known/x",
    "/a..b/c.",
    "/%20",
    "https://pay.example.com",
    "https://pay.example.com/",
    "https://pay.example.com:443/dashboard",
    "https://PAY.Example.COM/dashboard",
    "https://pay.example.com?a=1",
    "https://pay.example.com#top",
    "https://app.example.com/reports",
    "https://app.example.com:443/reports",
    "https://tools.example.com:8443/",
    "https://[2001:DB8::1]/",
    "/" + "a" * (LONGEST - 1),
    "/?" + "|" * (LONGEST - 2),
    "https://app.example.com/?" + "%41" * 2_000,
]


@pytest.mark.parametrize("address", ALLOWED)
def test_g50_our_own_pages_and_gated_hosts_pass(address: str) -> None:
    assert allowed(address)


HOSTILE = [
    # nothing, and what is no path
    "",
    " ",
    "dashboard",
    ".",
    "..",
    "./dashboard",
    "?a=1",
    "#top",
    "*",
    "%2f",
    "%2Fdashboard",
    # an authority hidden in a path
    "//evil.example",
    "//evil.example/%2e%2e",
    "//pay.example.com",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "\\evil.example",
    "/\\/evil.example",
    "/dashboard\\..\\evil",
    "/a//evil.example",
    "/.//evil.example",
    "/..//evil.example",
    "/./",
    "/.",
    "/..",
    "/../",
    "/a/../b",
    "/a/..",
    "/a/.?x",
    "/a/..#x",
    "/%2e%2e//evil.example",
    "/%2e%2e/admin",
    "/.%2E/admin",
    "/%2f%2fevil.example",
    "/%2Fevil.example",
    "/%252fevil.example",
    "/%25252fevil.example",
    "/%5cevil.example",
    "/%5Cevil.example",
    "/%255cevil.example",
    "/;@evil.example",
    "/..;/admin",
    "/dashboard;jsessionid=1",
    # control characters and blanks, plain
    "/dashboard\r\nSet-Cookie: a=b",
    "/dashboard\n",
    "\n/dashboard",
    "/dash\tboard",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r/evil.example",
    "\t//evil.example",
    " /dashboard",
    "/dashboard ",
    " //evil.example",
    "/dash board",
    "/\x00/evil.example",
    "\x00//evil.example",
    "/\x0b/evil.example",
    "/\x1f",
    "/\x7f",
    "/\x85",
    "/\x9f",
    "\xa0//evil.example",
    "/\u2028",
    "/\u200b",
    "\ufeff/dashboard",
    "https://pay.example.com/\t",
    "https:\t//evil.example",
    # control characters, encoded
    "/%0d%0aSet-Cookie:a=b",
    "/%0D%0A",
    "/%0a",
    "/%00",
    "/%09",
    "/%1f",
    "/%7f",
    "/%7F",
    "/%250d%250aSet-Cookie:a=b",
    "/?q=%0d%0aSet-Cookie:a=b",
    "/?q=%250a",
    "/#%0d%0a",
    "https://pay.example.com/%0d%0a",
    # broken encodings
    "/%",
    "/%2",
    "/%zz",
    "/?q=%",
    "/%u0041",
    # characters that no address has
    '/"onmouseover=alert(1)',
    "/<script>",
    "/?<script>",
    "/{a}",
    "/a|b",
    "/a^b",
    "/`",
    "/[a]",
    "/a\\b",
    "/a|b?c",
    "/{a}?b",
    "/\\?a",
    "/a/\\evil.example?a",
    "https://app.example.com/a|b",
    "https://app.example.com/\\evil.example?a",
    "https://app.example.com\\?a",
    "https://app.example.com|?a",
    "https://{app.example.com}?a",
    "https://app.example.com^.evil.example?a",
    # characters that no query has, for browsers send them encoded
    "/?a b",
    '/?"',
    "/?<",
    "/?>",
    "/?a\x7f",
    "/?\\\t",
    "/?|\r\nSet-Cookie: a=b",
    "/#<script>",
    "/a#b#c",
    # absolute, but crooked
    "https:",
    "https:/",
    "https://",
    "https:evil.example",
    "https:pay.example.com",
    "https:/evil.example",
    "https:/dashboard",
    "https:///evil.example",
    "https:////evil.example",
    "https:///pay.example.com/",
    "https:\\\\evil.example",
    "https:/\\evil.example",
    "https://\\evil.example",
    "https://pay.example.com\\@evil.example",
    "https://pay.example.com\\.evil.example",
    "https://evil.example\\@pay.example.com",
    "https://evil.example#@pay.example.com",
    "https://evil.example?@pay.example.com",
    "https://evil.example/@pay.example.com",
    "https://pay.example.com//evil.example",
    "https://pay.example.com/..//evil.example",
    "https://pay.example.com;evil.example/",
    "https://pay.example.com&evil.example/",
    "https://pay.example.com,evil.example/",
    "https://pay.example.com%2eevil.example/",
    "https://pay%2eexample.com/",
    "https://pay.example.com%00.evil.example/",
    "https://pay.example.com%0d%0a.evil.example/",
    "HTTPS://pay.example.com/",
    "Https://pay.example.com/",
    # somebody in front of the host
    "https://pay.example.com@evil.example",
    "https://pay.example.com:443@evil.example",
    "https://ada@pay.example.com/",
    "https://ada:secret@pay.example.com/",
    "https://@pay.example.com/",
    "https://:@pay.example.com/",
    "https://pay.example.com%40evil.example",
    # another host, or nearly ours
    "https://evil.example",
    "https://evil.example/https://pay.example.com",
    "https://pay.example.com.evil.example/",
    "https://evilpay.example.com/",
    "https://pay.example.com./",
    "https://.pay.example.com/",
    "https://pay..example.com/",
    "https://example.com/",
    "https://sub.app.example.com/",
    "https://*.example.com/",
    "https://app.example.com.:443/",
    "https://payXexample.com/",
    "https://pay-example.com/",
    # another port
    "https://pay.example.com:8443/",
    "https://pay.example.com:80/",
    "https://pay.example.com:/",
    "https://pay.example.com:0443/",
    "https://pay.example.com:443443/",
    "https://pay.example.com:443:443/",
    "https://pay.example.com:+443/",
    "https://tools.example.com/",
    "https://tools.example.com:443/",
    "https://[2001:db8::1]:8443/",
    # not ASCII
    "https://pay。example.com/",
    "https://pay．example.com/",
    "https://pay｡example.com/",
    "//evil。example",
    "/／evil.example",
    "／evil.example",
    "/＼evil.example",
    "https://pay.exаmple.com/",
    "https://pay.example.com／.evil.example",
    "https://pay.example.com℀.evil.example",
    "ℎttps://pay.example.com/",
    "httpſ://pay.example.com/",
    "https://pay.example.ﬁ/",
    "/é",
    "/?é",
    "/①",
    "https://pay.example.com:４４３/",
    # addresses of machines
    "https://127.0.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://0/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[2001:db8:0:0::1]/",
    "https://[2001:db8::1%25eth0]/",
    "https://[2001:db8::1/",
    "https://2001:db8::1]/",
    "https://[pay.example.com]/",
    "https://[]/",
    # another scheme
    "http://pay.example.com/",
    "http://pay.example.com:443/",
    "http://app.example.com/",
    "http://localhost:4000/",
    "javascript:alert(1)",
    "javascript://pay.example.com/%0aalert(1)",
    "JaVaScRiPt:alert(1)",
    "java\nscript:alert(1)",
    "\x01javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "file:///etc/passwd",
    "ftp://pay.example.com/",
    "ws://pay.example.com/",
    "blob:https://pay.example.com/1",
    "view-source:https://pay.example.com/",
    "mailto:ada@example.com",
    "https+x://pay.example.com/",
    "://pay.example.com/",
    ":443/",
    # too long
    "/" + "a" * LONGEST,
    "/?" + "|" * (LONGEST - 1),
    "https://pay.example.com/" + "a" * LONGEST,
]


@pytest.mark.parametrize("address", HOSTILE)
def test_g50_hostile_addresses_do_not_pass(address: str) -> None:
    assert not allowed(address)


def test_g50_a_gated_host_with_a_wildcard_matches_nothing() -> None:
    gated = frozenset({"*.example.com", "*", ".example.com", ""})
    for address in ("https://a.example.com/", "https://*.example.com/", "https://.example.com/", "https:///"):
        assert not may_return_to(address, public_url=PUBLIC_URL, gated_hosts=gated)


@pytest.mark.parametrize(
    ("public_url", "address", "verdict"),
    [
        ("http://localhost:4000", "http://localhost:4000/dashboard", True),
        ("http://localhost:4000", "https://localhost:4000/dashboard", False),
        ("http://localhost:4000", "http://localhost:4001/", False),
        ("http://localhost:4000", "http://localhost/", False),
        ("http://localhost:4000", "http://127.0.0.1:4000/", False),
        ("http://localhost:4000", "http://app.example.com/", True),
        ("http://localhost:4000", "https://app.example.com/", True),
        ("http://localhost:4000", "http://app.example.com:443/", False),
        ("http://localhost", "http://localhost:80/", True),
        ("http://localhost", "https://localhost/", False),
        ("http://127.0.0.1:4000", "http://127.0.0.1:4000/", True),
        ("http://[::1]:4000", "http://[::1]:4000/", True),
        ("http://pay.example.com", "http://pay.example.com/", False),
        ("http://localhost.evil.example", "http://localhost.evil.example/", False),
        ("https://pay.example.com:8443", "https://pay.example.com:8443/", True),
        ("https://pay.example.com:8443", "https://pay.example.com/", False),
    ],
)
def test_g50_plain_http_is_for_this_machine_alone(public_url: str, address: str, verdict: bool) -> None:
    assert allowed(address, public_url) is verdict


@pytest.mark.parametrize(
    ("address", "cookie_domain", "reaches"),
    [
        ("/dashboard", None, True),
        ("https://pay.example.com/a", None, True),
        ("https://PAY.example.com:8443/a", None, True),
        ("https://app.example.com/a", None, False),
        ("https://app.example.com/a", "example.com", True),
        ("https://App.Example.com:8443?a", "example.com", True),
        ("https://example.com/", "example.com", True),
        ("https://badexample.com/", "example.com", False),
        ("https://example.com.evil.example/", "example.com", False),
        ("https://[2001:db8::1]/", "example.com", False),
    ],
)
def test_where_the_login_cookie_goes(address: str, cookie_domain: str | None, reaches: bool) -> None:
    assert login_reaches(address, public_url=PUBLIC_URL, cookie_domain=cookie_domain) is reaches
    assert (host_apart(address, public_url=PUBLIC_URL, cookie_domain=cookie_domain) is None) is reaches


def test_a_host_apart_is_recognized_as_cookies_know_it() -> None:
    address = "https://App.Example.net:8443/page"
    assert host_apart(address, public_url=PUBLIC_URL, cookie_domain="example.com") == "app.example.net"


# The judge: where a browser would go, by the steps of the WHATWG URL Standard ("basic URL parser", "host parser").
# It shares no code and no approach with what it judges: it accepts everything, and says where it leads.

SPECIAL_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21}


def browser_host(raw: str) -> str:
    """The host a browser connects to."""
    if raw.startswith("["):
        return f"[{ipaddress.IPv6Address(raw[1:-1]).compressed}]"
    host = unicodedata.normalize("NFKC", unquote(raw)).casefold()
    host = re.sub("[\u3002\uff0e\uff61]", ".", host)
    host = re.sub("[\u00ad\u200b\u2060\ufeff]", "", host)
    labels = host.removesuffix(".").split(".")
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        return str(ipaddress.IPv4Address(machine_number(labels)))
    return host


def machine_number(labels: list[str]) -> int:
    """An IPv4 address in any of the spellings that browsers take."""
    parts = [int(x[2:] or "0", 16) if x.startswith("0x") else int(x, 8 if x[0] == "0" else 10) for x in labels]
    return sum(part << 8 * (3 - place) for place, part in enumerate(parts[:-1])) + parts[-1]


def browser_goes_to(address: str, base: str) -> tuple[str, str, int | None]:
    """(scheme, host, port) of where a browser ends that follows ``address`` on a page of ``base``."""
    base_scheme, base_rest = base.split("://")
    address = address.strip("".join(map(chr, range(0x21))))
    address = re.sub("[\t\n\r]", "", address)
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", address, re.DOTALL)
    scheme, rest = (found[1].lower(), found[2]) if found else (base_scheme, address)
    if scheme not in SPECIAL_PORTS:
        return scheme, "", None
    rest = rest.replace("\\", "/") if found or address[:1] in ("/", "\\") else rest
    if scheme == base_scheme and not rest.startswith("//"):
        rest = "//" + base_rest
    authority = re.split(r"[/?#]", rest.lstrip("/"), maxsplit=1)[0].rsplit("@", 1)[-1]
    split = re.fullmatch(r"(.*?)(?::([0-9]*))?", authority, re.DOTALL)
    assert split is not None
    return scheme, browser_host(split[1]), int(split[2] or SPECIAL_PORTS[scheme])


def may_arrive_at(public_url: str) -> set[tuple[str, str, int | None]]:
    """Every place that an allowed address may lead to."""
    schemes = ["https", "http"] if public_url.startswith("http:") else ["https"]
    gated = {(s, h, p or SPECIAL_PORTS[s]) for s in schemes for h, p in GATED_PAIRS}
    return gated | {browser_goes_to("/", public_url)}


GATED_PAIRS: list[tuple[str, int | None]] = [
    ("app.example.com", None),
    ("tools.example.com", 8443),
    ("[2001:db8::1]", None),
]


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("/a", "pay.example.com"),
        ("a", "pay.example.com"),
        ("?a", "pay.example.com"),
        ("//evil.example", "evil.example"),
        ("/\\evil.example", "evil.example"),
        ("/\t/evil.example", "evil.example"),
        ("\x01//evil.example", "evil.example"),
        ("https:///evil.example", "evil.example"),
        ("https:\\\\evil.example", "evil.example"),
        ("https:evil.example", "pay.example.com"),
        ("http:evil.example", "evil.example"),
        ("https://pay.example.com\\@evil.example", "pay.example.com"),
        ("https://pay.example.com@evil.example:1", "evil.example"),
        ("https://evil。example", "evil.example"),
        ("https://0x7f.1/", "127.0.0.1"),
        ("https://2130706433/", "127.0.0.1"),
        ("javascript:alert(1)", ""),
    ],
)
def test_the_judge_reads_as_browsers_do(address: str, host: str) -> None:
    assert browser_goes_to(address, PUBLIC_URL)[1] == host


PIECES = r"""
    / // \ . .. : :443 :8443 @ ; ? # % %2f %5c %2e %0d%0a %00 %25 [ ] & = * - ~ a evil.example pay.example.com
    | { } ^ ` ?\ ?| app.example.com tools.example.com [2001:db8::1] localhost:4000 localhost 127.0.0.1 0x7f.1 1
    https: http: https
    https:// http:// javascript: 。 ． ｡ ／ ＼ é ﬁ
"""
blanks = st.sampled_from(["\t", "\n", "\r", "\x00", " ", "\x7f", "\x85", "\u200b", "\xad"])
pieces = st.sampled_from(PIECES.split()) | blanks
starts = st.sampled_from(
    [
        "",
        "/",
        "//",
        "/\\",
        "https://",
        PUBLIC_URL,
        "https://app.example.com",
        "http://app.example.com",
        "http://localhost",
    ]
)
RAW = ["|", "{", "}", "^", "`", "\\", "?\\\\", "?|"]
made_up = st.builds(lambda start, rest: start + "".join(rest), starts, st.lists(pieces, max_size=5))
one_slip = st.builds(
    lambda address, place, slip: address[: place % (len(address) + 1)] + slip + address[place % (len(address) + 1) :],
    st.sampled_from(ALLOWED[:-1]),
    st.integers(0, 200),
    pieces | st.characters(),
)
decent = st.builds(
    lambda start, rest: start + "/" + "".join(rest),
    st.sampled_from(["", PUBLIC_URL, "http://localhost:4000", "https://tools.example.com:8443"]),
    st.lists(
        st.sampled_from([*["a", "a/", ".a", "%20", "%25", "%2", "5", "f", "@", ":", "-", "?", "#", "=", "&"], *RAW]),
        max_size=9,
    ),
)


@pytest.mark.no_cover
@pytest.mark.parametrize("public_url", [PUBLIC_URL, "http://localhost:4000"])
@given(address=decent | made_up | one_slip | st.text(max_size=40))
@example("/%5c%5cevil.example")
@settings(deadline=None, max_examples=1_000)
def test_g50_what_passes_leads_only_to_our_hosts(public_url: str, address: str) -> None:
    verdict = allowed(address, public_url)
    event("passes" if verdict else "is refused")
    if not verdict:
        return
    assert browser_goes_to(address, public_url) in may_arrive_at(public_url)
    path = re.split(r"[?#]", address, maxsplit=1)[0]
    once = unquote(path)
    for careless in (once, unquote(once)):
        assert browser_goes_to(careless, public_url) in may_arrive_at(public_url)
    assert not re.search(r"[\x00-\x1f\x7f]", unquote(unquote(address)))


SLIPS = [*PIECES.split(), *"\t\n\r\x00 \x7f\x85\u200b\xad"]
PLAIN = ["a", "a/", ".a", "%20", "%25", "%2", "5", "f", "@", ":", "-", "?", "#", "=", "&", "?\\\\", "?|"]
STARTS = ["", "/", "//", "/\\", "https://", PUBLIC_URL, "https://app.example.com", "http://app.example.com"]
DECENT = ["/", f"{PUBLIC_URL}/", "http://localhost:4000/", "https://tools.example.com:8443/"]


def addresses(chance: random.Random, count: int) -> list[str]:
    """Made up, decent, and decent but for one slip: a third each."""
    return [_ADDRESSES[number % 3](chance) for number in range(count)]


def _made_up(chance: random.Random) -> str:
    return chance.choice(STARTS) + "".join(chance.choices(SLIPS, k=chance.randrange(6)))


def _decent(chance: random.Random) -> str:
    return chance.choice(DECENT) + "".join(chance.choices(PLAIN, k=chance.randrange(10)))


def _with_a_slip(chance: random.Random) -> str:
    address = chance.choice([*ALLOWED[:-1], _decent(chance)])
    place = chance.randrange(len(address) + 1)
    return f"{address[:place]}{chance.choice([*SLIPS, chr(chance.randrange(0x3000))])}{address[place:]}"


_ADDRESSES = (_made_up, _decent, _with_a_slip)


@pytest.mark.parametrize("public_url", [PUBLIC_URL, "http://localhost:4000"])
def test_g50_none_of_a_hundred_thousand_addresses_leads_elsewhere(public_url: str) -> None:
    """Half of them for each public address. Says its seed if it fails."""
    seed = random.randrange(2**32)
    passing = [one for one in addresses(random.Random(seed), 50_000) if allowed(one, public_url)]
    strays = [one for one in passing if browser_goes_to(one, public_url) not in may_arrive_at(public_url)]
    assert strays == [], f"seed {seed}"
    assert len(passing) > 5_000


@pytest.mark.parametrize("start", ["/", "/?a=", "https://app.example.com/?a="])
def test_l89_an_address_may_have_8_kib_and_no_more(start: str) -> None:
    assert allowed(start.ljust(8_192, "a"))
    assert not allowed(start.ljust(8_193, "a"))
