"""What the calls record, what they refuse, and what they tell."""

import json
import re
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import assay
from assay import Client, DropReason
from assay.calls import EVENT_BYTES_MAX, Stamps
from assay.contract import reading
from assay.contract.messages import Event
from assay.contract.plan import Plan, PlanError
from assay.contract.times import parse_instant
from assay.delivery import Answer
from assay.testing import SUCCESS, CapturingTransport

URL = "http://collector.test"

PLAN = Plan.from_documents(
    {
        "plan.json": b'{"name": "test", "description": "A test.", "owner": "qa"}',
        **{
            f"events/{slug}/{version}.json": json.dumps(
                {
                    "$schema": "https://json-schema.org/draft/2020-12/schema",
                    "x-assay": {
                        "version": version,
                        "owner": "qa",
                        "description": "An event.",
                        "purposes": ["analytics"],
                        **block,
                    },
                    "type": "object",
                    **schema,
                }
            ).encode()
            for slug, version, block, schema in [
                (
                    "task-assigned",
                    "1-0-0",
                    {"type": "track", "event": "Task Assigned"},
                    {
                        "required": ["task_id"],
                        "properties": {"task_id": {"type": "string"}, "hours": {"type": "number"}},
                    },
                ),
                (
                    "task-assigned",
                    "2-0-0",
                    {"type": "track", "event": "Task Assigned"},
                    {"required": ["id"], "properties": {"id": {"type": "string"}}},
                ),
                (
                    "identify",
                    "1-0-0",
                    {"type": "identify"},
                    {"properties": {"age": {"type": "integer"}, "score": {"type": ["number", "null"]}}},
                ),
            ]
        },
    }
)


@pytest.fixture
def transport() -> CapturingTransport:
    return CapturingTransport()


@pytest.fixture
def client(transport: CapturingTransport) -> Iterator[Client]:
    with Client(URL, "key", transport=transport) as client:
        yield client


def sent(client: Client, transport: CapturingTransport) -> list[dict[str, Any]]:
    """The events so far, without what differs from run to run."""
    assert client.flush() == 0
    volatile = ("messageId", "timestamp", "context")
    return [{name: value for name, value in event.items() if name not in volatile} for event in transport.events]


def test_each_call_is_a_segment_message(client, transport):
    """Names and places of the fields are Segment's."""
    client.track("u1", "Task Assigned", {"task_id": "t1"})
    client.identify("u1", {"plan": "pro"})
    client.group("u1", "acme", {"name": "Acme"})
    client.page("u1", "Docs", "Pricing", {"path": "/pricing"})
    client.screen(anonymous_id="a1", name="Home")
    client.alias("a1", "u1")

    assert [
        {"type": "track", "userId": "u1", "event": "Task Assigned", "properties": {"task_id": "t1"}},
        {"type": "identify", "userId": "u1", "traits": {"plan": "pro"}},
        {"type": "group", "userId": "u1", "groupId": "acme", "traits": {"name": "Acme"}},
        {"type": "page", "userId": "u1", "category": "Docs", "name": "Pricing", "properties": {"path": "/pricing"}},
        {"type": "screen", "anonymousId": "a1", "name": "Home", "properties": {}},
        {"type": "alias", "userId": "u1", "previousId": "a1"},
    ] == sent(client, transport)


def test_an_event_says_when_it_was_and_who_sent_it(client, transport):
    """A time in UTC with microseconds, a message id of version 7 that the call returns, and our library."""
    before = datetime.now(UTC)
    message_id = client.track("u1", "Seen")
    client.flush()
    [event] = transport.events

    assert message_id == event["messageId"]
    assert 7 == uuid.UUID(message_id).version
    assert before <= datetime.fromisoformat(event["timestamp"]) <= datetime.now(UTC)
    assert {"library": {"name": "assay-python", "version": assay.__version__}} == event["context"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", transport.batches[0]["sentAt"])


def test_what_the_caller_gives_is_kept(client, transport):
    """Context beside our library, switches, the message id, and the time brought to UTC."""
    at = datetime(2026, 3, 1, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    client.track("u1", "Seen", context={"ip": "10.0.0.1"}, timestamp=at, integrations={"All": False}, message_id="m1")
    client.track("u1", "Seen", timestamp="2026-03-01T10:00:00.5+00:00")
    client.track("u1", "Seen", timestamp=datetime(2026, 3, 1, 10))
    client.flush()
    first, second, third = transport.events

    assert {"ip": "10.0.0.1"} == {name: value for name, value in first["context"].items() if name != "library"}
    assert ("m1", {"All": False}) == (first["messageId"], first["integrations"])
    assert "2026-03-01T10:00:00.000Z" == first["timestamp"] == third["timestamp"]
    assert "2026-03-01T10:00:00.500Z" == second["timestamp"]


def test_a_time_that_cannot_be_read_costs_no_event(client, transport):
    """The time of the call stands in."""
    before = parse_instant(datetime.now(UTC).isoformat())
    client.track("u1", "Seen", timestamp="yesterday")
    client.flush()

    assert before <= parse_instant(transport.events[0]["timestamp"])


@pytest.mark.parametrize(
    ("given_id", "expected"),
    [("u1", "u1"), (42, "42"), (uuid.UUID(int=1), str(uuid.UUID(int=1))), ("\ud800", "\ufffd")],
)
def test_ids_are_sent_as_text(client, transport, given_id, expected):
    """As given, numbers written out."""
    client.track(given_id, "Seen", anonymous_id=given_id)
    [event] = sent(client, transport)

    assert (expected, expected) == (event["userId"], event["anonymousId"])


def test_odd_properties_reach_the_collector_and_hurt_no_neighbour(client, transport):
    """NaN, bytes, a cycle and half a surrogate among plain events."""
    cycle: dict[str, Any] = {}
    cycle["self"] = cycle
    for value in (1, float("nan"), b"x", "\ud800", Decimal("1.5"), cycle, object()):
        client.track("u1", "Seen", {"value": value})

    expected = [1, None, "eA==", "\ufffd", 1.5, {"self": "<cycle>"}, "<object>"]
    assert expected == [event["properties"]["value"] for event in sent(client, transport)]


def test_the_event_is_taken_as_it_was_at_the_call(client, transport):
    """What the app does to its dict afterwards does not matter."""
    properties = {"n": 1}
    client.track("u1", "Seen", properties)
    properties["n"] = 2

    assert {"n": 1} == sent(client, transport)[0]["properties"]


def test_a_name_that_is_no_text_is_left_out(transport):
    """A page has no name then; numbers are written out."""
    with Client(URL, "key", plan=PLAN, on_invalid="warn", transport=transport) as client:
        client.page("u1", 7, ["Pricing"])
        client.screen("u1", name={"secret"})

    assert [(None, "7"), (None, None)] == [(event.get("name"), event.get("category")) for event in transport.events]


MALFORMED = [
    (lambda client: client.track(event="Seen"), "user_id"),
    (lambda client: client.track("", "Seen"), "user_id"),
    (lambda client: client.track("u1"), "name of an event"),
    (lambda client: client.track("u1", ""), "name of an event"),
    (lambda client: client.track("u1", "Seen", ["secret"]), "mapping"),
    (lambda client: client.group("u1"), "group_id"),
    (lambda client: client.alias("a1"), "user_id"),
    (lambda client: client.alias(user_id="u1"), "previous_id"),
]


@pytest.mark.parametrize(("call", "word"), MALFORMED)
def test_a_call_that_is_no_event_is_counted_and_told(call, word):
    """It returns None; it raises only in the mode for development."""
    errors: list[assay.AssayError] = []
    with Client(URL, "key", transport=CapturingTransport(), on_error=errors.append) as client:
        assert call(client) is None
        assert {"malformed": 1} == client.stats().dropped
    with Client(URL, "key", transport=CapturingTransport(), on_invalid="raise") as client:
        with pytest.raises(assay.MalformedCall, match=word):
            call(client)
        assert (1, {"malformed": 1}) == (client.stats().tracked, dict(client.stats().dropped))

    assert word in str(errors[0])
    assert "secret" not in str(errors[0])


def test_an_event_above_32_kb_is_refused_without_its_content(client, transport, caplog):
    """At the call, by reason and size; one byte less passes."""
    fixed = {"user_id": "u1", "event": "Seen", "message_id": "m1", "timestamp": "2026-03-01T00:00:00Z"}
    errors: list[assay.AssayError] = []
    client.track(**fixed, properties={"text": ""})
    client.flush()
    room = EVENT_BYTES_MAX - len(msgspec.json.encode(transport.events[0]))
    with Client(URL, "key", transport=CapturingTransport(), on_error=errors.append) as other:
        assert other.track(**fixed, properties={"text": "x" * room})
        assert not other.track(**fixed, properties={"text": "x" * (room + 1)})
        assert (1, {"too_large": 1}) == (other.stats().pending, dict(other.stats().dropped))

    assert [EVENT_BYTES_MAX + 1] == [error.size_bytes for error in errors if isinstance(error, assay.EventTooLarge)]
    assert "xxx" not in caplog.text + str(errors[0]) + repr(errors[0])


def test_sdk_and_collector_agree_on_an_events_size():
    """What the one lets pass the other takes."""
    assert reading.EVENT_BYTES_MAX == EVENT_BYTES_MAX


def test_what_comes_out_is_an_event_to_the_collector():
    """The contract's own reader takes the deepest and oddest event that the SDK lets out."""
    deep: Any = "x"
    for _ in range(200):
        deep = {"d": deep}
    transport = CapturingTransport()
    with Client(URL, "key", transport=transport) as client:
        message_id = client.track("u1", "Seen", {"deep": deep, "nul": "\0"}, context={"page": {"deep": deep}})
    raw = msgspec.json.encode(transport.events[0])
    event = reading.read_item(raw, None, reading.Arrival(received_at=2_000_000_000_000_000), lambda: "new")

    assert isinstance(event, Event)
    assert ("track", "Seen", message_id) == (event.type, event.name, event.message_id)


# --- the plan -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("properties", "context", "outcome", "text"),
    [
        ({"id": 5}, None, "invalid", "/id"),
        ({"task_id": "t", "hours": "2"}, {"schemaVersion": "1-0-0"}, "invalid", "/hours"),
        ({"id": "t"}, {"schemaVersion": "9-0-0"}, "unknown_version", "unknown_version"),
    ],
)
def test_an_event_against_the_plan_raises_in_development(properties, context, outcome, text):
    """In the mode ``raise``, with every violation; the event is dropped and counted."""
    with Client(URL, "key", plan=PLAN, on_invalid="raise", transport=CapturingTransport()) as client:
        with pytest.raises(assay.PlanViolation, match=text) as raised:
            client.track("u1", "Task Assigned", properties, context)

        assert outcome == raised.value.verdict
        assert {"invalid": 1} == client.stats().dropped


def test_an_event_that_fits_the_plan_passes():
    """The newest version counts, unless the event names another; what is sent is what is judged."""
    with Client(URL, "key", plan=PLAN, on_invalid="raise", transport=CapturingTransport()) as client:
        assert client.track("u1", "Task Assigned", {"id": "t"})
        assert client.track(
            "u1", "Task Assigned", {"task_id": "t", "hours": Decimal("1.5")}, {"schemaVersion": "1-0-0"}
        )
        assert client.identify("u1", {"age": 30})
        assert client.alias("a1", "u1")
        assert client.identify("u1", {"score": float("nan")})
        with pytest.raises(assay.PlanViolation):
            client.identify("u1", {"age": float("nan")})
        with pytest.raises(assay.PlanViolation, match="unplanned"):
            client.track("u1", "Unheard Of")


def test_a_warning_sends_the_event_and_says_so_once(caplog):
    """One line per event and interval, without values; every case goes to on_error."""
    transport, errors = CapturingTransport(), []
    with Client(URL, "key", plan=PLAN, transport=transport, on_error=errors.append) as client:
        for _ in range(3):
            assert client.track("u1", "Task Assigned", {"id": 12345})

    assert 3 == len(transport.events)
    assert ["invalid"] * 3 == [error.verdict for error in errors]
    first, rest = [record.getMessage() for record in caplog.records]
    assert "assay.event_invalid type=track event='Task Assigned' count=1 broken='/id:type'" == first
    assert "assay.event_invalid type=track event='Task Assigned' count=2" == rest


def test_a_plan_can_be_a_folder(tmp_path):
    """The client reads it; a folder that is no plan is told at once."""
    for file, content in PLAN.documents.items():
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with Client(URL, "key", plan=tmp_path, on_invalid="raise", transport=CapturingTransport()) as client:
        assert client.track("u1", "Task Assigned", {"id": "t"})

    with pytest.raises(PlanError):
        Client(URL, "key", plan=str(tmp_path / "events"))


def test_off_means_off():
    """No plan is even read."""
    with Client(URL, "key", plan="nowhere", on_invalid="off", transport=CapturingTransport()) as client:
        assert client.track("u1", "Unheard Of")


# --- settings and secrets -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "collector.test"},
        {"url": "ftp://collector.test"},
        {"url": "https://user:secret@collector.test"},
        {"url": "https://collector.test?key=secret"},
        {"url": None},
        {"write_key": ""},
        {"write_key": "secret\n"},
        {"write_key": None},
        {"on_invalid": "quarantined"},
        {"when_full": "grow"},
        {"queue_events_max": 0},
        {"batch_events_max": 2501},
        {"batch_bytes_max": 500_001},
        {"batch_bytes_max": 1_000},
        {"exit_seconds": float("nan")},
    ],
    ids=str,
)
def test_a_setting_that_cannot_work_is_told_at_once(settings):
    """By its name, and without what may be secret."""
    with pytest.raises(assay.InvalidSetting) as raised:
        Client(**{"url": URL, "write_key": "key", **settings})

    assert next(iter(settings)) == raised.value.name
    assert "secret" not in str(raised.value)


def test_the_key_is_shown_nowhere():
    """Not in the client's representation, nor in its parts'."""
    with Client(URL, "s3cret-key") as client:
        assert "s3cret" not in repr(client) + repr(vars(client))


# --- what is told ---------------------------------------------------------------------------------------------------


def test_a_full_queue_is_told_in_one_line(caplog):
    """A thousand lost events: exact counters, a call for each, one line and one more at the end."""
    drops: list[tuple[str, int]] = []
    gate = GatedTransport()
    client = Client(
        URL, "key", queue_events_max=100, batch_events_max=100, transport=gate, on_drop=lambda *drop: drops.append(drop)
    )
    for _ in range(1000):
        client.track("u1", "Seen")
    gate.open.set()
    client.close()
    stats = client.stats()

    assert 1000 == stats.tracked == stats.delivered + stats.dropped["queue_full"]
    assert [("queue_full", 1)] * stats.dropped["queue_full"] == drops
    assert 2 == len(caplog.records)


def test_callbacks_that_raise_stop_nothing(caplog):
    """Not the call, not the sender's thread."""

    def fail(*_: object) -> None:
        raise RuntimeError("secret")

    transport = CapturingTransport([Answer(status=400)])
    with Client(URL, "key", transport=transport, on_drop=fail, on_error=fail) as client:
        client.track("u1", "Lost")
        client.flush()
        client.track(event="Nobody")
        client.track("u1", "Kept")

    assert ["Kept"] == [event["event"] for event in transport.events]
    assert "secret" not in caplog.text


def test_callbacks_may_use_the_client():
    """A callback on the sender's own thread that tracks, flushes or closes waits for nothing."""
    transport = CapturingTransport([Answer(status=400)])
    done = threading.Event()

    def report(reason: str, count: int) -> None:
        client.track("u1", "Reported", {"reason": reason, "count": count})
        client.flush(60)
        done.set()

    client = Client(URL, "key", transport=transport, on_drop=report, queue_events_max=1, when_full="block")
    client.track("u1", "Lost")
    client.flush()
    assert done.wait(10)
    client.close()

    assert [{"reason": "rejected", "count": 1}] == [event["properties"] for event in transport.events]


def test_a_broken_transport_stops_nothing():
    """What a transport of the app's own raises is a failed attempt."""

    class Broken(CapturingTransport):
        def send(self, body: bytes, *, timeout_seconds: float) -> Answer:
            raise RuntimeError("broken")

    client = Client(URL, "key", transport=Broken(), retry_seconds_max=0)
    client.track("u1", "Lost")

    assert 0 == client.flush()
    assert {"expired": 1} == client.stats().dropped
    client.close()


def test_after_close_nothing_is_taken(client):
    """It is counted and said, and closing again does nothing."""
    client.close()

    assert client.track("u1", "Late") is None
    assert {"closed": 1} == client.stats().dropped
    assert 0 == client.close()


class GatedTransport(CapturingTransport):
    """Answers nothing until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()

    def send(self, body: bytes, *, timeout_seconds: float) -> Answer:
        self.open.wait()
        return super().send(body, timeout_seconds=timeout_seconds)


PARTLY = b'{"success":true,"results":[{"status":"rejected"},{"status":"quarantined"}]}'
ANSWERS = st.sampled_from(
    [SUCCESS, SUCCESS, Answer(status=200, body=PARTLY)]
    + [Answer(status=status) for status in (200, 400, 401, 413, 413, 500, 503, 0)]
)
CALLS = st.sampled_from(["good", "good", "good", "bad", "large", "flush"])


@settings(deadline=None)
@given(
    answers=st.lists(ANSWERS, max_size=12),
    calls=st.lists(CALLS, max_size=30),
    when_full=st.sampled_from(["drop_newest", "drop_oldest"]),
    retry_seconds_max=st.sampled_from([0, 3600]),
    closes=st.booleans(),
)
def test_tracked_is_delivered_and_dropped_and_pending(answers, calls, when_full, retry_seconds_max, closes):
    """At every moment, under any script of answers; and in the end nothing is pending."""

    class Watching(CapturingTransport):
        def send(self, body: bytes, *, timeout_seconds: float) -> Answer:
            seen_while_sending.append(client.stats())
            return super().send(body, timeout_seconds=timeout_seconds)

    seen_while_sending: list[assay.Stats] = []
    client = Client(
        URL,
        "key",
        transport=Watching(answers),
        queue_events_max=8,
        batch_events_max=4,
        when_full=when_full,
        retry_seconds_max=retry_seconds_max,
        breaker_seconds=0.001,
    )
    for call in calls:
        if call == "flush":
            client.flush(0.001)
        else:
            client.track("" if call == "bad" else "u1", "Seen", {"text": "x" * (40_000 if call == "large" else 1)})
        assert_adds_up(client)
    if closes:
        client.close(0.01)
    while client.flush(0.002):  # each flush ends a wait before a retry
        assert_adds_up(client)
    client.close(5)

    assert len(calls) - calls.count("flush") == assert_adds_up(client).tracked
    assert 0 == client.stats().pending
    assert all(adds_up(stats) for stats in seen_while_sending)


def adds_up(stats: assay.Stats) -> bool:
    return stats.tracked == stats.delivered + sum(stats.dropped.values()) + stats.pending


def assert_adds_up(client: Client) -> assay.Stats:
    stats = client.stats()
    assert adds_up(stats)
    return stats


# --- ids ------------------------------------------------------------------------------------------------------------


def test_ids_are_unique_versioned_and_in_order():
    """A hundred thousand of them; ordered by time as texts, as UUIDs of version 7 are."""
    stamps = Stamps()
    ids = [stamps.draw()[1] for _ in range(100_000)]
    heads = [each[:13] for each in ids]

    assert 100_000 == len(set(ids))
    assert sorted(heads) == heads
    assert {(7, uuid.RFC_4122)} == {(uuid.UUID(each).version, uuid.UUID(each).variant) for each in ids[:2000]}


def test_ids_are_unique_across_threads():
    """Threads share a block of random bits and get different counts of it."""
    stamps, ids = Stamps(), []
    threads = [threading.Thread(target=lambda: ids.extend(stamps.draw()[1] for _ in range(5_000))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 20_000 == len(set(ids))


# --- the default client ---------------------------------------------------------------------------------------------


def test_small_apps_use_the_default_client(monkeypatch):
    """Configure once, then call the module."""
    monkeypatch.setattr("assay._default._client", None)
    transport = CapturingTransport()
    with pytest.raises(assay.NotConfigured, match=r"assay\.configure"):
        assay.track("u1", "Seen")

    assay.configure(URL, "key", transport=transport)
    assert assay.track("u1", "Seen", {"n": 1})
    assert 0 == assay.flush()
    assert 1 == assay.stats().delivered
    assay.configure(URL, "key2", transport=transport)
    assert 0 == assay.stats().tracked
    assay.close()

    assert [{"n": 1}] == [event["properties"] for event in transport.events]


def test_reasons_are_words():
    """They are metric labels and JSON keys."""
    assert "queue_full" == str(DropReason.QUEUE_FULL)
