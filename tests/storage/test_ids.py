"""Ids of people, derived from how they sign in."""

from sqlalchemy import Connection, insert, update
from tests.storage.makers import NOW, an_identity

from tollkeeper.storage import ids, people, privacy
from tollkeeper.storage.tables import id_keys
from tollkeeper.storage.tables import people as people_table

ADA = an_identity("ada", name="Ada", email="ada@example.org")


def test_the_same_identity_leads_to_the_same_id_and_no_other_does(conn: Connection) -> None:
    id = ids.free_id(conn, ADA)
    assert ids.FORM.fullmatch(id)
    assert ids.free_id(conn, an_identity("ada")) == id
    others = {
        ids.free_id(conn, other)
        for other in (
            an_identity("eve"),
            an_identity("ada", issuer="https://other.example"),
            an_identity('ada", 0', issuer="https://id.example"),
            an_identity("", issuer='https://id.example", "ada'),
        )
    }
    assert len(others | {id}) == 5
    assert len({other[:12] for other in others | {id}}) == 1


def test_another_database_gives_other_ids(conn: Connection) -> None:
    id = ids.free_id(conn, ADA)
    conn.execute(update(id_keys).values(key="00" * 32))
    assert ids.free_id(conn, ADA)[4:12] != id[4:12]
    assert ids.free_id(conn, ADA)[12:] != id[12:]
    assert not ids.is_ours(conn, id)


def test_ids_of_this_database_are_recognized(conn: Connection) -> None:
    id = ids.free_id(conn, ADA)
    assert ids.is_ours(conn, id)
    for other in (id.upper(), id[:-1], f"{id}0", id.replace("per_", "ord_"), f"per_{'0' * 24}", ""):
        assert not ids.is_ours(conn, other)


def test_who_has_signed_in_before_keeps_the_id_they_have(conn: Connection) -> None:
    people.person_of(conn, ADA, new_id="per_of_old", now=NOW)
    assert people.person_of(conn, ADA, now=NOW + 9).id == "per_of_old"


def test_who_comes_back_after_deletion_is_somebody_new_each_time(conn: Connection) -> None:
    seen = []
    for _ in range(4):
        person = people.person_of(conn, ADA, now=NOW)
        privacy.erase(conn, person.id, NOW)
        seen.append(person.id)
    assert len(set(seen)) == 4


def test_i62_who_was_found_at_the_provider_is_recognized_when_they_sign_in(conn: Connection) -> None:
    id = ids.free_id(conn, ADA)
    assert people.take_up(conn, id, NOW)
    assert not people.take_up(conn, id, NOW + 1)
    awaited = people.find(conn, id)
    assert awaited is not None
    assert (awaited.name, awaited.email, awaited.created_at) == (people.AWAITED_NAME, None, NOW)
    assert people.person_of(conn, an_identity("eve"), now=NOW).id != id
    assert people.person_of(conn, ADA, now=NOW + 9).id == id
    found = people.find(conn, id)
    assert found is not None
    assert (found.name, found.email, found.created_at) == ("Ada", "ada@example.org", NOW)
    assert people.has_identity(conn, id, ADA)


def test_i62_nobody_else_becomes_a_person_who_has_signed_in(conn: Connection) -> None:
    """Whatever way somebody with another identity got that id."""
    id = ids.free_id(conn, ADA)
    people.person_of(conn, an_identity("eve"), new_id=id, now=NOW)
    assert people.person_of(conn, ADA, now=NOW).id != id


def test_i62_who_was_deleted_again_does_not_come_back(conn: Connection) -> None:
    id = ids.free_id(conn, ADA)
    conn.execute(insert(people_table).values(id=id, name="x", created_at=NOW, erased_at=NOW))
    assert people.person_of(conn, ADA, now=NOW).id != id
