"""What verification finds: every kind of planted damage, and nothing where all is well."""

from collections.abc import Iterator

import pytest

from assay.contract.times import DAY, HOUR
from assay_collector.pql.language import read_definitions
from builders import an_id
from qualify.house import IDENTIFY, House, opened
from qualify.wire import NOW, START, group, identify, track

DEFINITIONS = """
pql: {id: tasks, version: 1, entity: user, stage: activation, owner: growth}
why: It is a test.
predicts: {event: Subscription Started, within: 30 days}
signals: {tasks: {count: Task Assigned}, files: {distinct: File Uploaded, of: name}}
qualify: {tasks: at least 2, files: at least 1}
---
pql: {id: team, version: 1, entity: account, stage: activation, owner: growth}
why: It is a test.
predicts: {event: Subscription Started, within: 30 days}
signals: {tasks: {count: Task Assigned}}
qualify: {tasks: at least 3}
"""
STORY = [
    track("Task Assigned", START, anon="a1"),
    track("Task Assigned", START + HOUR, "anna", anon="a1", account="acme"),
    track("Task Assigned", START + DAY, "anna", account="acme"),
    track("File Uploaded", START + DAY, "anna", name="x"),
    track("File Uploaded", START + DAY + HOUR, "anna", name="y"),
    track("Task Assigned", START + DAY, "bert", account="acme"),
    track("Task Assigned", START + DAY, "bert", anon="a1"),
    track("Task Assigned", START, "carl", scoring=False),
    identify(START, "dora", plan="paid"),
    group("acme", START, "bert"),
]
ANNA, BERT, DORA = (IDENTIFY("default", "user", name) for name in ("anna", "bert", "dora"))
A1 = IDENTIFY("default", "anonymous", "a1")


@pytest.fixture
def house() -> Iterator[House]:
    """A collector after a story: a merge, a blocked link, a membership, a denial, two leads."""
    with opened(read_definitions({"all.yaml": DEFINITIONS})) as house:
        house.take_in(*STORY)
        yield house


def damage(house: House, sql: str, *values: object) -> None:
    """Change the file behind the collector's back."""
    with house.store.database.transaction() as connection:
        cursor = connection.execute(sql, values)
        assert cursor.rowcount > 0, "nothing was damaged"


def test_a_store_in_order_is_clean(house: House):
    """Everything computed again is what is stored; and the story has something of everything."""
    assert () == house.differences()

    assert ({"anna": START + DAY}, ["acme"]) == (house.since("tasks"), list(house.since("team")))


def test_an_empty_store_is_clean():
    """Nothing is nothing."""
    with opened(read_definitions({"all.yaml": DEFINITIONS})) as house:
        assert () == house.differences()


TALLY_ROW = "(entity, signal, bucket, leaf) = (SELECT entity, signal, bucket, leaf FROM tallies LIMIT 1)"
ITEM_ROW = "(entity, signal, bucket, leaf, item) = (SELECT entity, signal, bucket, leaf, item FROM tally_items LIMIT 1)"


@pytest.mark.parametrize(
    "sql",
    [
        f"UPDATE tallies SET n = n + 1 WHERE {TALLY_ROW}",
        f"UPDATE tallies SET first_at = first_at - 1 WHERE {TALLY_ROW}",
        f"UPDATE tallies SET last_at = last_at + 1 WHERE {TALLY_ROW}",
        f"UPDATE tallies SET bucket = bucket + 1000 WHERE {TALLY_ROW}",
        f"DELETE FROM tallies WHERE {TALLY_ROW}",
        "INSERT INTO tallies (entity, signal, bucket, leaf, n, first_at, last_at)"
        " SELECT entity, signal, bucket + 9, leaf, n, first_at, last_at FROM tallies LIMIT 1",
        f"DELETE FROM tally_items WHERE {ITEM_ROW}",
        f"UPDATE tally_items SET first_at = first_at - 1 WHERE {ITEM_ROW}",
        f"UPDATE tally_items SET item = x'{'ab' * 16}' WHERE {ITEM_ROW}",
        "INSERT INTO tally_items"
        " SELECT entity, signal, bucket, leaf, x'00', first_at, last_at FROM tally_items LIMIT 1",
        "UPDATE events SET scored = 1 WHERE scored = 0",
        "DELETE FROM events WHERE seq = (SELECT min(seq) FROM events)",
        "UPDATE events SET at = at + 1 WHERE seq = (SELECT min(seq) FROM events)",
    ],
)
def test_a_tally_that_no_event_explains_is_found(house: House, sql):
    """Changed, missing or invented; or the event behind it was."""
    damage(house, sql)

    assert [] != [difference for difference in house.differences() if difference.startswith("tally ")]


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ("UPDATE people SET person = ? WHERE leaf = ?", (A1, A1)),
        ("UPDATE people SET person = ? WHERE leaf = ?", (BERT, A1)),
        ("DELETE FROM people WHERE leaf = ?", (A1,)),
        ("INSERT INTO people (person, leaf) VALUES (?, ?)", (ANNA, DORA)),
        ("DELETE FROM links WHERE low IN (?, ?) AND state = 'active'", (ANNA, A1)),
    ],
    ids=["alone", "another's", "forgotten", "linked to nobody", "a link is gone"],
)
def test_a_wrong_person_is_found(house: House, sql, values):
    """Whoever is somebody else than the links say; bug: one that no link touches was not looked at."""
    damage(house, sql, *values)

    assert [] != [difference for difference in house.differences() if difference.startswith("person of")]


@pytest.mark.parametrize("state", ["active", "blocked"])
def test_a_link_in_the_wrong_state_is_found(house: House, state):
    """Bug: what is shown to people about a link was never compared."""
    other = {"active": "blocked", "blocked": "active"}[state]
    damage(house, f"UPDATE links SET state = '{other}' WHERE state = '{state}'")

    assert [] != [difference for difference in house.differences() if difference.startswith("link of")]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM transitions WHERE definition = 'tasks'",
        "UPDATE transitions SET effective_at = effective_at + 1 WHERE definition = 'team'",
        "UPDATE transitions SET change = 'retracted' WHERE definition = 'tasks'",
        "INSERT INTO transitions SELECT definition, definition_version, kind, entity, 2, step, revision, change,"
        " effective_at, recorded_at, cause, evidence FROM transitions LIMIT 1",
        "INSERT INTO transitions SELECT definition, definition_version, kind, entity, episode, 'exited', revision,"
        " change, effective_at, recorded_at, cause, evidence FROM transitions LIMIT 1",
        f"INSERT INTO transitions SELECT definition, definition_version, kind, x'{an_id(5).hex()}', episode, step,"
        " revision, change, effective_at, recorded_at, cause, evidence FROM transitions WHERE kind = 'user' LIMIT 1",
    ],
    ids=["missing", "moved", "retracted", "another episode", "an invented exit", "an invented lead"],
)
def test_a_line_of_the_ledger_that_is_not_true_is_found(house: House, sql):
    """Missing, moved, or invented for somebody who never did anything."""
    damage(house, sql)

    assert [] != [difference for difference in house.differences() if difference.startswith("ledger ")]


def test_what_is_still_due_is_a_difference(house: House):
    """Verification asks what is true now, not what was decided; so it is asked of a store at rest."""
    house.receive([track("File Uploaded", START + DAY, "bert", name="x")])
    assert [] != list(house.differences())

    house.decide()
    assert () == house.differences()


def test_verifying_changes_nothing(house: House):
    """It may be asked of the only copy."""
    before = (house.tallies(), house.ledger())
    damage(house, f"UPDATE tallies SET n = n + 1 WHERE {TALLY_ROW}")
    damaged = house.tallies()
    house.differences()

    assert (damaged, before[1]) == (house.tallies(), house.ledger())


def test_a_difference_names_no_person(house: House):
    """Operators paste it into tickets: ids are hashes."""
    damage(house, "UPDATE tallies SET n = n + 1")
    damage(house, "DELETE FROM transitions")
    told = " ".join(house.differences(NOW))

    assert [] == [name for name in ("anna", "bert", "acme", "a1 ") if name in told]
