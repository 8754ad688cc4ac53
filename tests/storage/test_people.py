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


def test_an_identity_is_one_persons(conn: Connection) -> None:
    keep_person(conn, "ada")
    keep_person(conn, "bob")
    assert people.has_identity(conn, "ada", an_identity("ada"))
    assert not people.has_identity(conn, "bob", an_identity("ada"))
    assert not people.has_identity(conn, "ada", an_identity("ada", issuer="https://other.example"))
    assert not people.has_identity(conn, "ada", an_identity("nobody"))


def keep(conn: Connection, id: str, name: str, email: str | None = None, at: int = NOW) -> Person:
    return people.person_of(conn, an_identity(id, name=name, email=email), new_id=id, now=at)


def test_a_search_finds_parts_in_any_case_newest_first_and_no_more_than_asked_for(conn: Connection) -> None:
    ada = keep(conn, "per_1", "Ada Example", "ada@example.org")
    bob = keep(conn, "per_2", "Bob", "bob_1@EXAMPLE.org", NOW + 1)
    cleo = keep(conn, "per_3", "Cleo 100%", at=NOW + 2)
    assert people.search(conn, "example", 10) == (bob, ada)
    assert people.search(conn, "", 2) == (cleo, bob)
    assert people.search(conn, "%", 10) == (cleo,)
    assert people.search(conn, "b_1@", 10) == (bob,)
    assert people.search(conn, "PER_3", 10) == (cleo,)


def test_somebody_is_called_by_id_before_address_before_name(conn: Connection) -> None:
    ada = keep(conn, "per_1", "Ada", "ada@example.org")
    bob = keep(conn, "per_2", "per_1", "ADA@example.org", NOW + 1)
    cleo = keep(conn, "per_3", "ada@example.org", "cleo@example.org")
    assert people.called(conn, "per_1", 10) == (ada,)
    assert people.called(conn, "Ada@Example.org", 10) == (ada, bob)
    assert people.called(conn, "Ada@Example.org", 1) == (ada,)
    assert people.called(conn, "cleo@example.org", 10) == (cleo,)
    assert people.called(conn, "ADA", 10) == (ada,)
    assert people.called(conn, "Ad", 10) == ()


def test_issuers_of_several_people(conn: Connection) -> None:
    keep(conn, "per_1", "Ada")
    keep(conn, "per_2", "Bob")
    assert people.issuers_of(conn, ["per_1"]) == {"per_1": ("https://id.example",)}
    assert people.issuers_of(conn, []) == {}
