"""Ids of people: derived from how they sign in, so that a database restored from a backup gives everybody the same id.

Their first eight digits come from the database's own key and are the same for everybody, so that an id that a provider
reports can be recognized as one of this site. The others come from the identity. See decision 25.
"""

import hashlib
import hmac
import json
import re
from itertools import count

from sqlalchemy import Connection, exists, select

from tollkeeper.model.people import Identity
from tollkeeper.storage.tables import id_keys, identities, people

FORM = re.compile(r"per_[0-9a-f]{8}[0-9a-f]{24}")


def free_id(conn: Connection, identity: Identity) -> str:
    """The id for a new person with this identity.

    It is the first that nobody else has or had: somebody who deleted their account comes back under another one. A
    person whose purchases were found again after a restore, and who is not known by any identity yet, has the id that
    is theirs.
    """
    key = _key(conn)
    for generation in count():
        id = _derive(key, identity, generation)
        if conn.scalar(select(exists().where(people.c.id == id))) is False or is_awaited(conn, id):
            return id
    raise AssertionError  # count() does not end


def is_awaited(conn: Connection, person_id: str) -> bool:
    """Whether this person was found at the provider after a restore, and has not signed in since."""
    known = exists().where(identities.c.person_id == people.c.id)
    wanted = select(people.c.id).where(people.c.id == person_id, people.c.erased_at.is_(None), ~known)
    return conn.scalar(wanted.with_for_update(of=people)) is not None


def is_ours(conn: Connection, person_id: str) -> bool:
    """Whether an id was derived with this database's key, or with that of a database it was restored from."""
    return FORM.fullmatch(person_id) is not None and person_id.startswith(_prefix(_key(conn)))


def _key(conn: Connection) -> bytes:
    return bytes.fromhex(conn.execute(select(id_keys.c.key)).scalar_one())


def _prefix(key: bytes) -> str:
    return f"per_{hashlib.sha256(key).hexdigest()[:8]}"


def _derive(key: bytes, identity: Identity, generation: int) -> str:
    # As JSON, so that no two identities are written alike.
    named = json.dumps([identity.issuer, identity.subject, generation]).encode()
    return _prefix(key) + hmac.new(key, named, hashlib.sha256).hexdigest()[:24]
