from sqlalchemy import Connection
from tests.storage.makers import LIVE_MODE, NOW, an_identity, keep_grant, keep_person

from tollkeeper.model.people import Person
from tollkeeper.reasons import Code, because
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


def test_an_address_is_found_in_any_case_and_a_name_never_passes_for_one(conn: Connection) -> None:
    ada = keep(conn, "per_1", "Ada", "ada@example.org")
    bob = keep(conn, "per_2", "per_1", "ADA@example.org", NOW + 1)
    keep(conn, "per_3", "ada@example.org", "cleo@example.org")
    assert people.with_address(conn, "Ada@Example.org", 10) == (ada, bob)
    assert people.with_address(conn, "Ada@Example.org", 1) == (ada,)
    assert people.with_address(conn, "ada@example", 10) == ()
    assert people.with_address(conn, "%", 10) == ()


def test_an_address_is_found_by_an_index(conn: Connection) -> None:
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql("SET LOCAL enable_seqscan = off")  # there is nobody yet
    explain = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}[conn.dialect.name]
    asked = people._WITH_ADDRESS.params(address="ada@example.org").compile(conn, compile_kwargs={"literal_binds": True})
    plan = conn.exec_driver_sql(f"{explain} {asked}").all()
    assert any("ix_people_email" in str(row) for row in plan), plan


def test_letters_that_only_look_alike_make_another_address(conn: Connection) -> None:
    keep(conn, "per_1", "Kai", "\N{KELVIN SIGN}ai@example.org")
    assert people.with_address(conn, "kai@example.org", 10) == ()
    assert people.sharing_address(conn, keep(conn, "per_2", "Kai", "kai@example.org"), False, NOW) == ()


def test_somebody_is_called_by_a_whole_name_that_is_no_address(conn: Connection) -> None:
    ada, namesake = keep(conn, "per_1", "Ada"), keep(conn, "per_2", "ADA", at=NOW + 1)
    assert people.called(conn, "ada", 10) == (ada, namesake)
    assert people.called(conn, "ada", 1) == (ada,)
    assert people.called(conn, "Ad", 10) == ()
    for sign in people.AT_SIGNS:
        keep(conn, f"per_{ord(sign)}", f"vip{sign}example.org")
        assert people.called(conn, f"vip{sign}example.org", 10) == ()
        assert people.search(conn, "vip", 10) == people.search(conn, f"{sign}example", 10) == ()
    assert len(people.search(conn, "", 10)) == 5


def test_k77_who_shares_a_verified_address_is_reported_with_what_they_have(conn: Connection) -> None:
    ada = keep(conn, "per_1", "Ada", "ada@example.org")
    assert people.sharing_address(conn, ada, False, NOW) == ()
    other = keep(conn, "per_2", "Other", "ADA@example.org", NOW + 1)
    keep(conn, "per_3", "Ada", None)
    for product, until in (("pro", None), ("basic", NOW + 1), ("gone", NOW)):
        keep_grant(conn, "per_2", f"cs_{product}", product=product, until=until, reason=because(Code.PAID))
    keep_grant(conn, "per_2", "cs_live", product="live", origin=LIVE_MODE, reason=because(Code.PAID))
    assert people.sharing_address(conn, ada, False, NOW) == (
        people.Namesake(other, ("https://id.example",), ("basic", "pro"), ()),
    )
    assert [one.person for one in people.sharing_address(conn, other, False, NOW)] == [ada]
    assert people.sharing_address(conn, keep(conn, "per_3", "Ada", None), False, NOW) == ()


def test_issuers_of_several_people(conn: Connection) -> None:
    keep(conn, "per_1", "Ada")
    keep(conn, "per_2", "Bob")
    assert people.issuers_of(conn, ["per_1"]) == {"per_1": ("https://id.example",)}
    assert people.issuers_of(conn, []) == {}
