"""What no setting can tell by itself: modes, cookies, issuers and files that do not fit together."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tollkeeper.errors import Fault
from tollkeeper.providers.protocol import ProviderKind
from tollkeeper.redirects import login_reaches
from tollkeeper.settings.parsers import on_this_machine


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


def mode_faults(values: Mapping[str, Any], provider: ProviderKind) -> Iterator[Fault]:
    """Test and live never mix: a test card gives no access to a public site, and no real card is charged on somebody's
    own machine.
    """
    key, public_url = values.get(provider.key), values.get("PUBLIC_URL")
    if key is None or public_url is None:
        return
    live, here = provider.is_live(key), on_this_machine(public_url.origin)
    if live and here:
        yield Fault(
            "PUBLIC_URL", f"is on this machine, but {provider.key} is live", "Use a test key, or a public address"
        )
    if not live and not here and not values.get("ALLOW_TEST_MODE", True):
        remedy = (
            "Use the live key; on a staging site set ALLOW_TEST_MODE=true, and everybody can get in with a test card"
        )
        yield Fault(provider.key, "is a test key, but PUBLIC_URL is a public address", remedy)


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
