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


# Keys that say of themselves how they are, as test cards do.
EXPIRED = re.compile(r"(sk|rk)_test_expired.*")
UNKNOWN = re.compile(r"(sk|rk)_test_unknown.*")
WITHOUT = re.compile(r"rk_test_without_(?P<resource>[a-z_]+)_(?P<right>read|write)")


def check(authorization: str) -> None:
    """Check an API key. Raises Stripe's 401. All test keys belong to the one account, except those named as refused."""
    key = _key(authorization)
    if not key:
        raise ApiError(401, NO_KEY)
    if key.startswith("pk_"):
        raise ApiError(401, PUBLISHABLE, code="secret_key_required")
    if EXPIRED.fullmatch(key):
        raise ApiError(401, f"Expired API Key provided: {masked(key)}", code="api_key_expired")
    if not TEST_KEY.fullmatch(key) or UNKNOWN.fullmatch(key):
        raise ApiError(401, f"Invalid API Key provided: {masked(key)}")


def check_permission(authorization: str, method: str, path: str, account: str) -> None:
    """Raises Stripe's 403 where a restricted key lacks what a call needs (https://docs.stripe.com/keys#limit-access).

    A permission goes by the call's path, such as ``checkout_sessions_write``. Who may write may also read.
    """
    key = _key(authorization)
    lacking = WITHOUT.fullmatch(key)
    if lacking is None:
        return
    resource, right = resource_of(path), "read" if method == "GET" else "write"
    if resource != lacking["resource"] or (right == "read" and lacking["right"] == "write"):
        return
    raise ApiError(
        403,
        f"The provided key '{masked(key)}' does not have the required permissions for this endpoint on account"
        f" '{account}'. Having the 'rak_{resource}_{right}' permission would allow this request to continue.",
    )


def resource_of(path: str) -> str:
    """What a call is about: ``checkout_sessions`` of ``/v1/checkout/sessions/cs_test_1/expire``."""
    steps = path.removeprefix("/v1/").split("/")
    return "_".join(steps[:2] if steps[0] in FAMILIES else steps[:1])


FAMILIES = {"billing", "billing_portal", "checkout", "tax", "test_helpers"}


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
