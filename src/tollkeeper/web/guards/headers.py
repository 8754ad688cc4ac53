"""The headers that tell browsers what pages may do."""

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tollkeeper.config.config import Config


class SecurityHeaders:
    """The same careful headers on every answer."""

    def __init__(self, app: ASGIApp, config: Config) -> None:
        self.app = app
        headers = security_headers(config)
        self.headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name for name, _ in message["headers"]}  # in lower case, as ASGI has it
                message["headers"].extend(header for header in self.headers if header[0] not in said)
            await send(message)

        await self.app(scope, receive, adding)


def security_headers(config: Config) -> dict[str, str]:
    """Nothing is loaded from elsewhere, nothing is scripted, nobody may frame us.

    ``form-action`` also holds for where a posted form is redirected to (CSP level 3, section 6.4.1): the hosted
    checkout page and the billing portal, the issuers when a form is posted after the login session has ended, and the
    page behind a gate that the visitor first asked for.
    """
    issuers = {origin(issuer.issuer_url) for issuer in config.issuers}
    policy = {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "form-action": " ".join(["'self'", *sorted(issuers | config.gated_origins | config.hosted_origins)]),
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    headers = {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        # Not no-referrer: that would make our own forms post with "Origin: null".
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if config.secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return headers


def origin(url: str) -> str:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
