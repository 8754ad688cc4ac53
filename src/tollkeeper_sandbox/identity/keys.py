"""The issuer's signing key, kept in a file if there is a folder for it."""

import json
import os
import tempfile
from pathlib import Path

from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

FILE_NAME = "identity-signing-key.json"


def signing_key(folder: Path | None) -> RSAKey:
    """Return the key in ``folder``, created on first use (mode 0600); without a folder, a new one.

    Raises ``ValueError`` if the file contains anything but a private RSA key.
    """
    if folder is None:
        return _new_key()
    file = folder / FILE_NAME
    if not file.exists():
        _write(file, _new_key())
    return _read(file)


def _new_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)


def _read(file: Path) -> RSAKey:
    try:
        key = RSAKey.import_key(json.loads(file.read_bytes()))
    except (ValueError, TypeError, AttributeError, JoseError) as error:
        raise ValueError(f"{file} is not a signing key; delete it to have a new one made") from error
    if not key.is_private:
        raise ValueError(f"{file} holds only a public key; delete it to have a new one made")
    return key


def _write(file: Path, key: RSAKey) -> None:
    # Written completely under another name (with mode 0600), so that a crash leaves no partial key.
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=FILE_NAME)
    with os.fdopen(handle, "w") as out:
        json.dump(key.as_dict(private=True), out)
    Path(name).replace(file)
