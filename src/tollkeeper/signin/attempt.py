"""One attempt to sign in: its secrets, the cookie they travel in, and the rules for the issuer's answer to it."""

import hmac
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer

from tollkeeper.errors import IssuerUnavailable, SignInFailed, TollkeeperError

ATTEMPT_SECONDS = 600
_SALT = "tollkeeper.login-attempt"
_TEMPORARY = frozenset({"temporarily_unavailable", "server_error"})


@dataclass(frozen=True, slots=True)
class Attempt:
    """Where to send the browser, and what only that browser may know until it comes back."""

    url: str
    secrets: dict[str, str]


@dataclass(frozen=True, slots=True)
class Pending:
    """An attempt that a browser brought back in its cookie."""

    secrets: dict[str, str]
    return_to: str
    login_session_id: str = ""
    """The login session that the browser had when it began; empty for none."""


class AttemptSeal:
    """Signs the login-attempt cookie. The first key signs, all of them verify, so that keys can be rotated."""

    def __init__(self, keys: Sequence[str], *, clock: Callable[[], int]) -> None:
        class Signer(TimestampSigner):
            def get_timestamp(self) -> int:
                return clock()

        self._serializer = URLSafeTimedSerializer(
            list(reversed(keys)),  # itsdangerous signs with the last one
            salt=_SALT,
            signer=Signer,
            signer_kwargs={"key_derivation": "hmac", "digest_method": "sha256"},
        )

    def seal(self, secrets: Mapping[str, str], return_to: str, login_session_id: str = "") -> str:
        """The cookie's value: signed, not encrypted."""
        return self._serializer.dumps([dict(secrets), return_to, login_session_id])

    def unseal(self, value: str) -> Pending | None:
        """What was sealed, or None if it was not sealed by us or is older than ``ATTEMPT_SECONDS``."""
        try:
            return Pending(*self._serializer.loads(value, max_age=ATTEMPT_SECONDS))
        except (BadData, UnicodeError):
            return None


def new_secrets(issuer_id: str) -> dict[str, str]:
    """State, nonce and PKCE code verifier (RFC 7636 section 4.1), each of 256 random bits."""
    return {
        "issuer": issuer_id,
        "state": secrets.token_urlsafe(32),
        "nonce": secrets.token_urlsafe(32),
        "code_verifier": secrets.token_urlsafe(32),
    }


def check_belongs(attempt: Mapping[str, str], issuer_id: str, params: Mapping[str, str]) -> None:
    """Refuse an answer that this browser did not ask for, or asked of another issuer.

    State is RFC 6749 section 10.12; the issuer is RFC 9700 section 4.4, mix-up attacks.
    """
    if not all(attempt.get(name) for name in ("issuer", "state", "nonce", "code_verifier")):
        raise SignInFailed("no attempt to sign in was under way")
    if attempt["issuer"] != issuer_id:
        raise SignInFailed("the attempt was begun at another issuer")
    if not hmac.compare_digest(attempt["state"].encode(), params.get("state", "").encode()):
        raise SignInFailed("the state is not the one of this attempt")


def code_from(params: Mapping[str, str], *, issuer: str, must_name_issuer: bool) -> str:
    """The authorization code of an answer, if it is one: RFC 6749 section 4.1.2 and RFC 9207 section 2.4."""
    if "iss" in params or must_name_issuer:
        check_same_issuer(params.get("iss"), issuer)
    if "error" in params:
        raise refusal(params["error"])
    code = params.get("code")
    if not code:
        raise SignInFailed("the answer holds no code")
    return code


def check_same_issuer(named: str | None, issuer: str) -> None:
    if named != issuer:
        raise SignInFailed("the answer does not name the issuer it was asked of")


def refusal(error: str) -> TollkeeperError:
    """Our error for an OAuth error code. Only what looks like a code is repeated, for it will be logged."""
    if error == "access_denied":
        return SignInFailed("the person refused", denied=True)
    if error in _TEMPORARY:
        return IssuerUnavailable(f"the issuer answered {error}")
    return SignInFailed(f"the issuer answered {error if re.fullmatch('[a-z_]{1,40}', error) else 'an unknown error'}")
