"""The keys that an issuer publishes (RFC 7517)."""

from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet, import_key

from tollkeeper.errors import IssuerUnavailable


def usable_keys(document: object) -> KeySet:
    """The keys of a set that can be used. Unknown keys are ignored, as RFC 7517 section 5 requires.

    Raises ``IssuerUnavailable`` if it is no set of keys.
    """
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise IssuerUnavailable("the issuer publishes no keys")
    return KeySet([key for entry in listed if (key := _usable_key(entry)) is not None])


def _usable_key(entry: object) -> Key | None:
    if not isinstance(entry, dict):
        return None
    try:
        return import_key(entry)
    except (JoseError, ValueError, TypeError, LookupError):
        return None
