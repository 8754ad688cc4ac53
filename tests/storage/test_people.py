from sqlalchemy import Connection
from tests.storage.makers import NOW, an_identity, keep_person

from tollkeeper.model import Person
from tollkeeper.storage import people


def test_somebody_new_becomes_a_person(conn: Connection) -> None:
    made = people.person_of(conn, an_identity("ada", name="Ada", email="ada@example.org"), new_id="p1", now=NOW)
    assert made == Person("p1", "Ada", "ada@example.org", NOW)
    assert people.find(conn, "p1") == made


def test_the_same_identity_is_the_same_person(conn: Connection) -> None:
    first = people.person_of(conn, an_identity("ada"), new_id="p1", now=NOW)
    assert people.person_of(conn, an_identity("ada"), new_id="p2", now=NOW + 9) == first
    assert people.find(conn, "p2") is None


def test_g48_the_same_email_address_at_another_issuer_is_another_person(conn: Connection) -> None:
    one = people.person_of(conn, an_identity("ada", email="ada@example.org"), new_id="p1", now=NOW)
    other = an_identity("ada", issuer="https://other.example", email="ada@example.org")
    assert people.person_of(conn, other, new_id="p2", now=NOW).id != one.id


def test_name_and_email_follow_the_issuer(conn: Connection) -> None:
    people.person_of(conn, an_identity("ada", name="Ada", email="old@example.org"), new_id="p1", now=NOW)
    again = people.person_of(conn, an_identity("ada", name="Ada L.", email=None), new_id="p2", now=NOW + 9)
    assert again == Person("p1", "Ada L.", None, NOW)
    assert people.find(conn, "p1") == again


def test_nobody_has_an_unknown_id(conn: Connection) -> None:
    assert people.find(conn, "p1") is None


def test_identities_tell_issuer_and_first_use(conn: Connection) -> None:
    keep_person(conn, "ada")
    keep_person(conn, "bob")
    assert people.identities(conn, "ada") == (("https://id.example", NOW),)
