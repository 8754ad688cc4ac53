"""Turn a template and its context into a page. No page is kept by a browser or a proxy."""

import hmac
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, pass_context, select_autoescape
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.responses import HTMLResponse

from tollkeeper.config.config import Config
from tollkeeper.model.access import Visitor
from tollkeeper.web.responses import NO_STORE
from tollkeeper.words import day, iso, moment, money, per


@cache
def _environment(templates_dir: Path | None, path: str) -> Environment:
    """The templates, compiled once in a process however many sites are made at the same path."""
    own = [FileSystemLoader(templates_dir)] if templates_dir else []
    environment = Environment(
        loader=ChoiceLoader([*own, PackageLoader("tollkeeper.web")]),
        autoescape=select_autoescape(),
        auto_reload=bool(own),  # ours do not change while it runs, and to look costs four files at each page
    )
    environment.globals["drawn"] = cache(lambda template: Markup(environment.get_template(template).render()))  # noqa: S704 - our own
    # ``url`` is a filter, for those of plain text are worked out when a template is compiled.
    environment.filters |= {"money": _money, "per": per, "day": day, "moment": moment, "iso": iso}
    environment.filters["url"] = lambda page: path + page
    return environment


@pass_context
def _money(context: Context, amount: int, currency: str) -> str:
    """An amount as the visitor reads it, where the page knows their ``language``."""
    return money(amount, currency, context.get("language") or "en")


class Pages:
    """The templates of one site. A folder of the operator's own comes first."""

    def __init__(self, config: Config) -> None:
        self._environment = _environment(config.site.templates_dir, config.path)
        self._keys = [key.encode() for key in config.secret_keys]
        self._site = {
            "name": config.site.name,
            "logo_url": f"{config.path}/static/logo" if config.site.logo else None,
            "test_mode": not config.live,
        }

    def render(
        self,
        template: str,
        *,
        visitor: Visitor | None = None,
        owns: bool = False,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **context: Any,
    ) -> HTMLResponse:
        """Answer with a page. ``visitor`` is whom it greets; ``owns`` whether the dashboard is open to them."""
        shown = {"name": visitor.person.name, "email": visitor.person.email, "owns": owns} if visitor else None
        html = self._environment.get_template(template).render(
            context
            | {
                "status": status,
                "site": self._site,
                "visitor": shown,
                "csrf_token": self.csrf_token(visitor) if visitor else None,
            }
        )
        return HTMLResponse(html, status, {**NO_STORE, **(headers or {})})

    def csrf_token(self, visitor: Visitor) -> str:
        """A token that only pages shown to this login session hold."""
        return _csrf_token(self._keys[0], visitor)

    def csrf_holds(self, visitor: Visitor, token: str) -> bool:
        """Whether a form came from a page shown to this login session. Compared in constant time."""
        return any(hmac.compare_digest(_csrf_token(key, visitor).encode(), token.encode()) for key in self._keys)


def _csrf_token(key: bytes, visitor: Visitor) -> str:
    return hmac.digest(key, b"csrf " + visitor.login_session_id.encode(), "sha256").hex()
