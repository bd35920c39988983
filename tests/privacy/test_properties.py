"""What must hold of any history in which somebody is erased: it is as if that person had never been there."""

from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay_collector.privacy.office import Subject, UnknownSubject
from privacy.house import Desk, id_of, open_desk
from qualify.house import House
from qualify.stories import CATALOGUE, HISTORIES, LATER, NOW
from qualify.wire import Message

# An example goes through a real file some ten times over.
FEWER = settings(max_examples=settings.default.max_examples * 2 // 5)
WHO = st.sampled_from(["ada", "ada", "v1", "bob", "v2"])

# What is kept of the erased, and names nobody: keyed hashes, and how much of what went.
KEPT = {"consent_log", "tombstones", "privacy_requests", "privacy_subjects"}


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with open_desk(CATALOGUE) as desk:
        desk.clock[0] = LATER
        yield desk


@pytest.fixture(scope="module")
def other() -> Iterator[Desk]:
    """A second house, in which the person never was."""
    with open_desk(CATALOGUE) as desk:
        desk.clock[0] = LATER
        yield desk


def told(desk: Desk, history: Sequence[Message]) -> None:
    desk.clear()
    desk.house.receive(history, now=NOW)
    desk.house.decide(LATER)


def without(history: Sequence[Message], erased: frozenset[bytes]) -> list[Message]:
    """The history as it would have been without a person: its events, and its ids on others' events, are gone."""
    found = []
    for message in history:
        anonymous = message.get("anonymousId")
        if is_of(message, erased):
            continue
        if anonymous and id_of("anonymous", anonymous) in erased:
            message = {key: value for key, value in message.items() if key != "anonymousId"}
        found.append(message)
    return found


def state(house: House) -> dict[str, Any]:
    """Everything that is derived from events."""
    tables = ("identifiers", "memberships", "participations", "traits")
    with house.store.database.reading() as connection:
        rows = {table: sorted(connection.execute(f"SELECT * FROM {table}")) for table in tables}
        links = sorted(connection.execute("SELECT low, high, kind, at, state, reason FROM links"))
        people = sorted(connection.execute("SELECT leaf, person, shared_from FROM people"))
    # Whoever is alone is a person of its own, whether that is written down or not.
    return {**rows, "links": links, "people": [row for row in people if row[0] != row[1] or row[2] is not None]}


def sizes(desk: Desk) -> Counter[str]:
    # Verdicts of others may be said anew, and who they are is due; the rest is what was received, and what follows.
    added = ("privacy_requests", "privacy_subjects", "tombstones", "transitions", "agenda", "settings", "outbox")
    return Counter({table: len(rows) for table, rows in desk.rows().items() if table not in added})


@FEWER
@given(history=HISTORIES, who=WHO)
def test_after_an_erasure_all_is_as_without_the_person(desk: Desk, other: Desk, history: list[Message], who: str):
    """Tallies, people, traits and standing verdicts equal a replay without; verification agrees; no row was added."""
    told(desk, history)
    try:
        erased = frozenset(desk.office.find(Subject(value=who)))
    except UnknownSubject:
        return
    before = sizes(desk)
    desk.erase(who)
    after = sizes(desk)
    told(other, without(history, erased))

    assert other.house.tallies() == desk.house.tallies()
    assert state(other.house) == state(desk.house)
    assert other.house.standing() == desk.house.standing()
    assert () == desk.house.differences(LATER)
    assert after <= before
    assert set() == desk.rows_naming(*erased).keys() - KEPT


@FEWER
@given(history=HISTORIES, who=WHO, random=st.randoms(use_true_random=False))
def test_nothing_brings_the_person_back(desk: Desk, history: list[Message], who: str, random: Random):
    """Neither a replay in any order, nor what comes later under the same ids, is stored, scored or sent."""
    told(desk, history)
    try:
        erased = frozenset(desk.office.find(Subject(value=who)))
    except UnknownSubject:
        return
    desk.erase(who)
    tallies, standing = desk.house.tallies(), desk.house.standing()
    again = [{**message, "messageId": f"again-{index}"} for index, message in enumerate(history)]
    mine = [message for message in [*history, *again] if is_of(message, erased)]
    outcomes = desk.house.receive(random.sample(mine, len(mine)), now=LATER)
    desk.house.decide(LATER)

    assert {"erased_subject"} >= {outcome.code for outcome in outcomes}
    assert (tallies, standing) == (desk.house.tallies(), desk.house.standing())
    assert set() == desk.rows_naming(*erased).keys() - KEPT


def is_of(message: Message, erased: frozenset[bytes]) -> bool:
    user = message.get("userId")
    return (id_of("user", user) if user else id_of("anonymous", message["anonymousId"])) in erased
