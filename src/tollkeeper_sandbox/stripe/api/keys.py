"""API keys: only test keys, sent in either way that Stripe accepts (https://docs.stripe.com/api/authentication)."""

import base64
import binascii
import re

from tollkeeper_sandbox.stripe.engine.errors import ApiError

TEST_KEY = re.compile(r"(sk|rk)_test_[A-Za-z0-9_]{1,240}")
KNOWN_PREFIX = re.compile(r"(sk|rk|pk)_(live|test)_|")
NO_KEY = (
    "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer "
    "auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for "
    "details, or we can help at https://support.stripe.com/."
)
PUBLISHABLE = (
    "This API call cannot be made with a publishable API key. Please use a secret API key. You can find a list of "
    "your API keys at https://dashboard.stripe.com/account/apikeys."
)


def check(authorization: str) -> None:
    """Check an API key. Raises Stripe's 401. All test keys belong to the sandbox's one account."""
    key = _key(authorization)
    if not key:
        raise ApiError(401, NO_KEY)
    if key.startswith("pk_"):
        raise ApiError(401, PUBLISHABLE, code="secret_key_required")
    if not TEST_KEY.fullmatch(key):
        raise ApiError(401, f"Invalid API Key provided: {masked(key)}")


def masked(key: str) -> str:
    """Return a key without its secret part: a live key that was sent here by mistake must not end up in a log."""
    prefix = KNOWN_PREFIX.match(key)
    shown = prefix[0] if prefix else ""
    return shown + "*" * min(len(key) - len(shown), 24)


def _key(authorization: str) -> str:
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(rest.strip(), validate=True).decode("ascii").partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""
