"""What there is to set of the issuers that people sign in with."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from tollkeeper.errors import Fault
from tollkeeper.settings import Setting
from tollkeeper.settings.parsers import issuer, matching, text_, token
from tollkeeper.settings.sources import Texts

GOOGLE_ISSUER = "https://accounts.google.com"
GITHUB_ISSUER = "https://github.com"

SETTINGS: tuple[Setting, ...] = (
    Setting("GOOGLE_CLIENT_ID", token, "Sign in with Google.", "1234-abcd.apps.googleusercontent.com"),
    Setting("GOOGLE_CLIENT_SECRET", token, "The secret that belongs to it.", "GOCSPX-...", secret=True),
    Setting(
        "GITHUB_CLIENT_ID",
        token,
        "Sign in with GitHub: the id of an OAuth app, not of a GitHub App.",
        "Ov23li0123456789abcd",
    ),
    Setting("GITHUB_CLIENT_SECRET", token, "The secret that belongs to it.", "...", secret=True),
    Setting("OIDC_ISSUER", issuer, "Sign in with any OpenID Connect issuer.", "https://id.example.com/realms/main"),
    Setting("OIDC_CLIENT_ID", token, "The client id at that issuer.", "tollkeeper"),
    Setting("OIDC_CLIENT_SECRET", token, "The secret that belongs to it.", "...", secret=True),
    Setting("OIDC_NAME", text_, "Its name on the sign-in button. By default the issuer's host.", "Example ID"),
    Setting(
        "OIDC_CLIENT_AUTH",
        matching("client_secret_basic|client_secret_post", "is neither client_secret_basic nor client_secret_post"),
        "How the client secret is sent to that issuer: client_secret_basic or client_secret_post.",
        "client_secret_post",
        default="client_secret_basic",
    ),
)


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """One way to sign in. ``id`` is its place in addresses, ``name`` the word on its button."""

    id: str
    name: str
    kind: Literal["openid", "github"]
    issuer_url: str
    """The issuer, exactly as it names itself; where discovery starts, except at GitHub, which has none."""
    client_id: str
    client_secret: str = field(repr=False)
    client_auth: str = "client_secret_basic"


def read(values: Mapping[str, Any]) -> Iterator[IssuerSettings]:
    """The issuers from the values of their settings, which have no fault."""
    if client_id := values["GOOGLE_CLIENT_ID"]:
        yield IssuerSettings("google", "Google", "openid", GOOGLE_ISSUER, client_id, values["GOOGLE_CLIENT_SECRET"])
    if client_id := values["GITHUB_CLIENT_ID"]:
        # GitHub documents the secret as a form parameter only.
        yield IssuerSettings(
            "github", "GitHub", "github", GITHUB_ISSUER, client_id, values["GITHUB_CLIENT_SECRET"], "client_secret_post"
        )
    if issuer := values["OIDC_ISSUER"]:
        yield IssuerSettings(
            "oidc",
            values["OIDC_NAME"] or str(urlsplit(issuer).hostname),
            "openid",
            issuer,
            values["OIDC_CLIENT_ID"],
            values["OIDC_CLIENT_SECRET"],
            values["OIDC_CLIENT_AUTH"],
        )


WAYS: Mapping[str, tuple[str, ...]] = {
    "google": ("GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET"),
    "github": ("GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET"),
    "oidc": ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"),
}
"""The settings of each way to sign in that go together, by its place in addresses."""

REGISTRATION: Mapping[str, str] = {
    "google": "in the Google Cloud console, under APIs & Services > Credentials, as a web application",
    "github": "at GitHub, under Settings > Developer settings > OAuth Apps",
    "oidc": "at your issuer: a confidential client for the authorization code flow",
}
"""Where the client of each way is registered."""


def faults(texts: Texts) -> Iterator[Fault]:
    """An issuer is set completely or not at all, and there is at least one."""
    for names in WAYS.values():
        missing = [name for name in names if name not in texts]
        if len(missing) < len(names):
            for name in missing:
                yield Fault(name, "is not set, though its companions are", f"Set all or none of {', '.join(names)}")
    if not any(name in texts for names in WAYS.values() for name in names):
        remedy = f"Set {', or '.join(' and '.join(names) for names in WAYS.values())}"
        yield Fault("OIDC_ISSUER", "is not set, and neither is another issuer: nobody could sign in", remedy)
