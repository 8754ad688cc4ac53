import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from tests.storage.makers import DAY, NOW, keep_login_session, keep_person

from tollkeeper.storage import login_sessions


def test_a_person_sees_their_own_newest_first(conn: Connection) -> None:
    keep_person(conn, "ada")
    keep_person(conn, "bob")
    old = keep_login_session(conn, "ada", "a" * 64, created_at=NOW - 10)
    new = keep_login_session(conn, "ada", "b" * 64)
    keep_login_session(conn, "bob", "c" * 64)
    assert login_sessions.of_person(conn, "ada", NOW) == (new, old)


def test_an_expired_one_is_not_shown_and_can_be_forgotten(conn: Connection) -> None:
    keep_person(conn, "ada")
    keep_login_session(conn, "ada", "a" * 64, expires_at=NOW)
    lasting = keep_login_session(conn, "ada", "b" * 64, expires_at=NOW + 1)
    assert login_sessions.of_person(conn, "ada", NOW) == (lasting,)
    login_sessions.forget_expired(conn, NOW)
    assert login_sessions.of_person(conn, "ada", NOW - DAY) == (lasting,)


def test_only_its_person_can_end_a_login_session(conn: Connection) -> None:
    keep_person(conn, "ada")
    keep_person(conn, "bob")
    session = keep_login_session(conn, "ada", "a" * 64)
    assert not login_sessions.end(conn, session.id, "bob")
    assert login_sessions.of_person(conn, "ada", NOW) == (session,)
    assert login_sessions.end(conn, session.id, "ada")
    assert not login_sessions.end(conn, session.id, "ada")
    assert login_sessions.of_person(conn, "ada", NOW) == ()


def test_signing_out_everywhere_leaves_others_alone(conn: Connection) -> None:
    keep_person(conn, "ada")
    keep_person(conn, "bob")
    keep_login_session(conn, "ada", "a" * 64)
    keep_login_session(conn, "ada", "b" * 64)
    bobs = keep_login_session(conn, "bob", "c" * 64)
    login_sessions.end_all(conn, "ada")
    assert login_sessions.of_person(conn, "ada", NOW) == ()
    assert login_sessions.of_person(conn, "bob", NOW) == (bobs,)


def test_a_token_belongs_to_one_login_session(conn: Connection) -> None:
    keep_person(conn, "ada")
    keep_login_session(conn, "ada", "a" * 64)
    with pytest.raises(IntegrityError), conn.begin_nested():
        keep_login_session(conn, "ada", "a" * 64, id="another")


def test_a_login_session_needs_a_person(conn: Connection) -> None:
    with pytest.raises(IntegrityError), conn.begin_nested():
        keep_login_session(conn, "nobody", "a" * 64)
