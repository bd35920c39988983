"""
Unmodified Node clients of others send their events in, and each is stored exactly once.

Run by `make test-node`; `make test` leaves these out, since it must not need Node.
"""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from assay.contract.times import parse_instant
from serving import serving, wait_until

from .house import House, opened_house, stored_events, stored_ids

pytestmark = pytest.mark.node

FOLDER = Path(__file__).parent / "node"
CURRENT, LEGACY, RUDDER = "@segment/analytics-node", "analytics-node", "@rudderstack/rudder-sdk-node"
AT = "2026-03-02T09:00:00.250Z"
RUN_SECONDS = 90.0
_numbers = count()

each_client = pytest.mark.parametrize("client", [CURRENT, LEGACY, RUDDER])

Call = tuple[str, dict[str, Any]]


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Iterator[House]:
    """One collector for all clients; every test has message ids of its own."""
    with opened_house(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    """Without the packages these tests fail, and say why; they are not skipped."""
    assert (FOLDER / "node_modules").exists(), "the clients are not installed; `make test-node` does that first"


def start(client: str, url: str, key: str, calls: list[Call], **options: Any) -> "subprocess.Popen[str]":
    """A process in which the client makes these calls, and flushes."""
    process = subprocess.Popen(
        ["node", "send.js", client],
        cwd=FOLDER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    orders = [{"url": url, "writeKey": key, "options": options}]
    orders += [{"call": call, "arguments": {"timestamp": AT, **arguments}} for call, arguments in calls]
    process.stdin.write("\n".join(map(json.dumps, orders)))
    process.stdin.close()
    process.stdin = None  # communicate() would close it again
    return process


def finish(process: "subprocess.Popen[str]") -> list[str]:
    """What the client reported as failed."""
    out, err = process.communicate(timeout=RUN_SECONDS)
    assert 0 == process.returncode, err
    return json.loads(out)


def run(client: str, house: House, calls: list[Call], **options: Any) -> list[str]:
    return finish(start(client, house.url, house.key, calls, **options))


def new_id() -> str:
    return f"n{next(_numbers)}"


def tasks(number: int) -> list[Call]:
    return [("track", {"userId": "ann", "event": "Task Assigned", "messageId": new_id()}) for _ in range(number)]


@each_client
def test_every_type_of_message_is_stored_once(client, house):
    """Each call of the client becomes one event with its type, name, time and content."""
    calls: list[Call] = [
        ("identify", {"userId": "42", "anonymousId": "anon-1", "traits": {"role": "admin", "naïve": "☃"}}),
        ("track", {"userId": "42", "event": "Task Assigned", "properties": {"deep": {"list": [1, 2.5, None]}}}),
        ("group", {"userId": "42", "groupId": "acme", "traits": {"employees": 70}}),
        ("page", {"anonymousId": "anon-1", "name": "Pricing", "properties": {"path": "/pricing"}}),
        ("screen", {"userId": "ann", "name": "Board", "properties": {"dark": True}}),
        ("alias", {"previousId": "anon-1", "userId": "42"}),
    ]
    calls = [(call, {**arguments, "messageId": new_id()}) for call, arguments in calls]

    failures = run(client, house, calls)

    assert [] == failures
    rows = {row.message_id: row for row in stored_events(house.folder)}
    sent = {arguments["messageId"]: (call, arguments) for call, arguments in calls}
    assert {id: [("stored", call, _name(arguments))] for id, (call, arguments) in sent.items()} == house.receipts(sent)
    for id, (_, arguments) in sent.items():
        said = arguments.get("traits", arguments.get("properties", {}))
        assert said.items() <= json.loads(rows[id].properties).items()
        assert parse_instant(AT) == rows[id].at


@each_client
def test_what_is_said_twice_is_stored_once(client, house):
    """The same messages within one batch, and in the next, are duplicates."""
    calls = tasks(5)
    before = house.counts()

    failures = run(client, house, calls * 3, flushAt=8)

    assert [] == failures
    after = house.counts()
    assert (5, 10, 0) == tuple(after[what] - before[what] for what in ("stored", "duplicates", "conflicts"))


@each_client
def test_a_wrong_key_is_refused_once(client, house):
    """An unknown key is answered with 401; the client gives up at once, and says so to its owner."""
    calls = tasks(1)
    before = house.refused("invalid_write_key")

    failures = finish(start(client, house.url, "no-such-key", calls))

    assert 1 == len(failures)
    assert 1 == house.refused("invalid_write_key") - before
    assert [[]] == list(house.receipts(_ids(calls)).values())


def test_a_kill_in_the_middle_loses_and_doubles_nothing(tmp_path):
    """The collector dies under the current client, which tries again until it is back."""
    # The older two give up within 1.7 s when connections are refused, which is shorter than a restart may take.
    calls = tasks(1_000)
    with opened_house(tmp_path) as house:
        process = start(CURRENT, house.url, house.key, calls, flushAt=10, maxRetries=20)
        wait_until(lambda: house.counts()["stored"] >= 50)
        house.collector.kill()

    with serving(tmp_path, port=house.collector.port):
        failures = finish(process)

    assert [] == failures
    assert Counter(_ids(calls)) == stored_ids(tmp_path)


def _ids(calls: list[Call]) -> list[str]:
    return [arguments["messageId"] for _, arguments in calls]


def _name(arguments: dict[str, Any]) -> str | None:
    return arguments.get("event", arguments.get("name"))
