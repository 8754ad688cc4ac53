"""What no setting can tell by itself: modes, cookies, issuers and files that do not fit together."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tollkeeper.config.config import is_live
from tollkeeper.config.parsers import on_this_machine
from tollkeeper.config.sources import Texts
from tollkeeper.errors import Fault
from tollkeeper.redirects import login_reaches


def place_files(values: dict[str, Any], folder: Path, faults: list[Fault]) -> None:
    """Make paths absolute, and see that what must exist does."""
    for name, exists in {
        "SITE_LOGO": Path.is_file,
        "DASHBOARD_FILE": Path.is_file,
        "TEMPLATES_DIR": Path.is_dir,
    }.items():
        if values.get(name) is not None:
            values[name] = folder / values[name]
            if not exists(values[name]):
                kind = "folder" if exists is Path.is_dir else "file"
                faults.append(Fault(name, f"names no {kind}: {values[name]}", "Paths start in the working folder"))
    scheme, _, path = values.get("DATABASE_URL", "").partition(":///")
    if scheme == "sqlite":
        values["DATABASE_URL"] = f"sqlite:///{(folder / path).as_posix()}"


def mode_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Test and live never mix: no test card opens a public door, no real card is charged on somebody's desk."""
    key, public_url = values.get("STRIPE_API_KEY"), values.get("PUBLIC_URL")
    if key is None:
        return
    live = is_live(key)
    if public_url and live and on_this_machine(public_url.origin):
        yield Fault(
            "PUBLIC_URL", "is on this machine, but STRIPE_API_KEY is live", "Use a test key, or a public address"
        )
    if public_url and not live and not on_this_machine(public_url.origin) and not values.get("ALLOW_TEST_MODE", True):
        remedy = "Use the live key; on a staging site set ALLOW_TEST_MODE=true, and test cards will open every door"
        yield Fault("STRIPE_API_KEY", "is a test key, but PUBLIC_URL is a public address", remedy)
    publishable = values.get("STRIPE_PUBLIC")
    if publishable and is_live(publishable) != live:
        yield Fault("STRIPE_PUBLIC", "is not in the mode of STRIPE_API_KEY", "Use both in test mode, or both live")
    if live and values.get("STRIPE_API_BASE"):
        remedy = "Remove it, or use a test key"
        yield Fault("STRIPE_API_BASE", "would send a live key to a server that is not Stripe's", remedy)


def cookie_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """A cookie for a domain is set only by a host of it (RFC 6265, section 5.3)."""
    domain, public_url = values.get("COOKIE_DOMAIN"), values.get("PUBLIC_URL")
    if not domain or not public_url:
        return
    if not public_url.origin.startswith("https://"):
        yield Fault("COOKIE_DOMAIN", "is set, but PUBLIC_URL is not https", "Leave it out on this machine")
    elif not login_reaches(public_url.origin, public_url=f"https://{domain}", cookie_domain=domain):
        remedy = "Name a domain that PUBLIC_URL's host is under"
        yield Fault("COOKIE_DOMAIN", "is not a domain of PUBLIC_URL's host: no browser would keep the cookie", remedy)


_ISSUER_SETTINGS = (
    ("GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET"),
    ("GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET"),
    ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"),
)


def issuer_faults(texts: Texts) -> Iterator[Fault]:
    """An issuer is set completely or not at all, and there is at least one."""
    for names in _ISSUER_SETTINGS:
        missing = [name for name in names if name not in texts]
        if len(missing) < len(names):
            for name in missing:
                yield Fault(name, "is not set, though its companions are", f"Set all or none of {', '.join(names)}")
    if not any(name in texts for names in _ISSUER_SETTINGS for name in names):
        remedy = f"Set {', or '.join(' and '.join(names) for names in _ISSUER_SETTINGS)}"
        yield Fault("OIDC_ISSUER", "is not set, and neither is another issuer: nobody could sign in", remedy)
