"""Unmodified Python clients of others send their events in, and each is stored exactly once."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from assay.contract.times import parse_instant
from serving import serving, wait_until

from .house import House, opened_house, stored_events, stored_ids
from .peers import Call, Peer, PeerMissing

RUDDER = Peer("rudder-sdk-python==2.1.9", "rudderstack.analytics.client")
PEERS = (
    Peer("segment-analytics-python==2.4.*", "segment.analytics.client"),
    Peer("segment-analytics-python==2.3.4", "segment.analytics.client"),
    Peer("analytics-python==1.4.post1", "analytics.client"),
    RUDDER,
)
AT = "2026-03-02T10:00:00.250+01:00"
STORED_ONCE = [("stored", "track", "Task Assigned")]
_numbers = count()

each_peer = pytest.mark.parametrize("peer", PEERS, ids=str)


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Iterator[House]:
    """One collector for all clients; every test has message ids of its own."""
    with opened_house(tmp_path_factory.mktemp("house")) as house:
        yield house


def options(house: House, **others: Any) -> dict[str, Any]:
    return {"host": house.url, "write_key": house.key, **others}


def new_id() -> str:
    return f"m{next(_numbers)}"


def task(message_id: str, **properties: Any) -> Call:
    who = {"user_id": "ann", "event": "Task Assigned", "timestamp": AT}
    return "track", {**who, "properties": {"task_id": message_id, **properties}, "message_id": message_id}


def one_of_each() -> dict[str, Call]:
    """A call of each type, by message id."""
    calls = [
        ("identify", {"user_id": 42, "anonymous_id": "anon-1", "traits": {"role": "admin", "naïve": "☃"}}),
        ("track", {"user_id": 42, "event": "Task Assigned", "properties": {"deep": {"list": [1, 2.5, None]}}}),
        ("group", {"user_id": 42, "group_id": "acme", "traits": {"employees": 70}}),
        ("page", {"anonymous_id": "anon-1", "category": "Docs", "name": "Pricing", "properties": {"path": "/pricing"}}),
        ("screen", {"user_id": "ann", "name": "Board", "properties": {"dark": True}}),
        ("alias", {"previous_id": "anon-1", "user_id": "42"}),
    ]
    ids = [new_id() for _ in calls]
    return {
        id: (call, {**rest, "timestamp": AT, "message_id": id}) for id, (call, rest) in zip(ids, calls, strict=True)
    }


@each_peer
@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
def test_every_type_of_message_is_stored_once(peer, gzip, house):
    """Each call of the client becomes one event with its type, name, person, time and content."""
    calls = one_of_each()

    failures = peer.run(options(house, gzip=gzip), calls.values())

    assert [] == failures
    expected = [
        ("identify", None, {"role": "admin", "naïve": "☃"}),
        ("track", "Task Assigned", {"deep": {"list": [1, 2.5, None]}}),
        ("group", None, {"employees": 70}),
        ("page", "Pricing", {"path": "/pricing"}),
        ("screen", "Board", {"dark": True}),
        ("alias", None, {}),
    ]
    rows = [row for row in stored_events(house.folder) if row.message_id in calls]
    assert expected == [(row.type, row.name, json.loads(row.properties)) for row in rows]
    assert {parse_instant(AT)} == {row.at for row in rows}
    people = {row.type: row.leaf for row in rows}
    assert people["identify"] == people["track"] == people["group"] == people["alias"], (
        "a number is an id like its text"
    )
    assert {id: [("stored", row.type, row.name)] for id, row in zip(calls, rows, strict=True)} == house.receipts(calls)


@each_peer
def test_what_is_said_twice_is_stored_once(peer, house):
    """The same messages within one batch, and in the next, are duplicates."""
    calls = [task(new_id()) for _ in range(5)]
    before = house.counts()

    failures = peer.run(options(house, upload_size=8), calls * 3)

    assert [] == failures
    assert (5, 10, 0) == difference(before, house.counts())
    assert all(STORED_ONCE == lines for lines in house.receipts(ids_of(calls)).values())


@each_peer
def test_a_nan_hurts_nobody(peer, house):
    """A NaN makes the client's batch invalid JSON; the event is stored with null in its place, like its neighbours."""
    calls = [task(new_id()), task(new_id(), effort=float("nan")), task(new_id())]

    failures = peer.run(options(house), calls)

    assert [] == failures
    assert all(STORED_ONCE == lines for lines in house.receipts(ids_of(calls)).values())
    stored = {row.message_id: json.loads(row.properties) for row in stored_events(house.folder)}
    assert {"task_id": ids_of(calls)[1], "effort": None} == stored[ids_of(calls)[1]]


def test_an_oversize_event_costs_only_itself(house):
    """One client lets 4 MB through; what is too large is quarantined, its neighbours in the batch are stored."""
    calls = [task(new_id()), task(new_id(), note="x" * 40_000), task(new_id())]

    failures = RUDDER.run(options(house), calls)

    assert [] == failures
    receipts = house.receipts(ids_of(calls))
    assert [STORED_ONCE, [("quarantined", "track", "Task Assigned")], STORED_ONCE] == list(receipts.values())


@each_peer
def test_a_kill_in_the_middle_loses_and_doubles_nothing(peer, tmp_path):
    """The collector dies between two batches, or in one; the client tries again until it is back."""
    calls = [task(new_id()) for _ in range(1_000)]
    with opened_house(tmp_path) as house:
        running = peer.start(options(house, upload_size=10), calls)
        wait_until(lambda: house.counts()["stored"] >= 50)
        house.collector.kill()
        before = len(stored_ids(tmp_path))

    with serving(tmp_path, port=house.collector.port):
        failures = running.wait()

    assert [] == failures
    assert 50 <= before < 1_000
    assert Counter(ids_of(calls)) == stored_ids(tmp_path)


@each_peer
def test_a_wrong_key_is_refused_once(peer, house):
    """An unknown key is answered with 401; the client gives the batch up at once, and says so to its owner."""
    calls = [task(new_id()) for _ in range(3)]
    before = house.refused("invalid_write_key")

    failures = peer.run({**options(house), "write_key": "no-such-key"}, calls)

    assert [3] == [failure["messages"] for failure in failures]
    assert "invalid_write_key" in failures[0]["error"]
    assert 1 == house.refused("invalid_write_key") - before
    assert all([] == lines for lines in house.receipts(ids_of(calls)).values())


def test_a_missing_client_is_a_failure_with_a_reason():
    """Without the registry these tests fail, and say why; they are not skipped."""
    with pytest.raises(PeerMissing, match="could not be installed; this test needs a package registry"):
        Peer("no such requirement", "nothing").install()


def ids_of(calls: list[Call]) -> list[str]:
    return [arguments["message_id"] for _, arguments in calls]


def difference(before: dict[str, Any], after: dict[str, Any]) -> tuple[int, ...]:
    return tuple(after[what] - before[what] for what in ("stored", "duplicates", "conflicts"))
