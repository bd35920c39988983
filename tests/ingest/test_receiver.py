"""The way through the door: each message to its place, all of it durable, and nothing of it said aloud."""

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.contract.plan import Plan
from assay.contract.reading import EVENT_BYTES_MAX, Arrival, open_envelope
from assay_collector.identity.identifiers import identifier_hasher
from assay_collector.ingest.admission import Admitter
from assay_collector.ingest.port import REFUSED_BYTES_MAX, RequestSignals
from assay_collector.ingest.receiver import Receiver
from assay_collector.pql.matching import SignalIndex
from assay_collector.store import Outcome, Quarantined, ReceiptLine, Source, StoreUnavailable
from assay_collector.stores.sqlite.store import SQLiteStore
from builders import NOW, encoded, message, signal
from strategies import good_messages, messages

APP = Source(id="app", name="app")
OTHER = Source(id="other", name="other", unplanned="allow")


def schema(version: str, event: str | None = "Task Assigned", type: str = "track", **properties: object) -> bytes:
    about = {"type": type, "version": version, "owner": "growth", "description": "d", "purposes": ["analytics"]}
    named = {"event": event} if event else {}
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "x-assay": {**about, **named},
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    return json.dumps(document).encode()


COUNT, EMAIL = {"type": "integer"}, {"type": "string", "maxLength": 5, "x-pii": "email"}
PLAN = Plan.from_documents(
    {
        "plan.json": b'{"name": "test"}',
        "events/task/1-0-0.json": schema("1-0-0", count=COUNT, email=EMAIL),
        "events/task/1-1-0.json": schema("1-1-0", count=COUNT, email=EMAIL, more=COUNT),
        "events/identify/1-0-0.json": schema("1-0-0", None, "identify", email=EMAIL),
    }
)


class Door:
    """A receiver over a real store."""

    def __init__(self, store: SQLiteStore, plan: Plan | None = PLAN) -> None:
        self.store = store
        self._ids = count(1)
        self.receiver = Receiver(
            store.events,
            Admitter(identifier_hasher(b"k" * 32), SignalIndex([signal("Task Assigned")])),
            plan,
            new_message_id=lambda: f"drawn-{next(self._ids)}",
            new_quarantine_id=lambda: next(self._ids).to_bytes(16, "big"),
            turn=store.turn,
        )

    def send(self, *messages: object, source: Source = APP, gpc: bool = False, **batch: object) -> list[Outcome]:
        """Send a batch."""
        said = b",".join(encoded(said) for said in messages)
        head = "".join(f"{json.dumps(key)}:{json.dumps(value)}," for key, value in batch.items()).encode()
        signals = RequestSignals(gpc=gpc, dnt=False, ip="192.0.2.1", sources={"k-other": OTHER}.get)
        envelope = open_envelope(b"{" + head + b'"batch":[' + said + b"]}", None)
        return list(self.receiver.receive(envelope, source, Arrival(received_at=NOW), signals))

    def statuses(self, *messages: object, **how: Any) -> list[tuple[str, str | None]]:
        return [(outcome.status, outcome.code) for outcome in self.send(*messages, **how)]

    def quarantine(self) -> list[Quarantined]:
        """Oldest first."""
        return list(self.store.events.quarantine(reason=None, limit=99, before=None))[::-1]

    def receipt(self, message_id: str = "m1") -> ReceiptLine:
        [line] = self.store.events.receipts(message_id)
        return line


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "assay.db")
    yield store
    store.close()


@pytest.fixture
def door(store: SQLiteStore) -> Door:
    return Door(store)


def is_whole(raw: bytes) -> bool:
    """Whether junk is one message to whoever splits a batch by its brackets, commas and quotes."""
    return bool(raw.strip()) and not set(raw) & set(b'"{}[],\\')


INVALID = message(properties={"count": "three"})
UNPLANNED = message(event="Task Asigned")
UNKNOWN_VERSION = message(context={"schemaVersion": "9-0-0"})


def source(**modes: Any) -> Source:
    return Source(id="app", name="app", **modes)


# --- the plan ---


@pytest.mark.parametrize(
    ("said", "code", "pointer"),
    [
        (INVALID, "schema_violation", "/properties/count"),
        (message(type="identify", traits={"email": 7}), "schema_violation", "/traits/email"),
        (UNPLANNED, "unplanned_event", ""),
        (UNKNOWN_VERSION, "unknown_schema_version", "/context/schemaVersion"),
    ],
)
def test_what_fails_the_plan_is_quarantined(door: Door, said, code, pointer):
    """The default: the sender is told yes, and the message is kept with the reason."""
    assert [("quarantined", code)] == door.statuses(said)

    assert [(code, pointer, "m1")] == [(kept.reason, kept.pointer, kept.message_id) for kept in door.quarantine()]
    assert ("quarantined", code, pointer) == (door.receipt().status, door.receipt().code, door.receipt().pointer)


@pytest.mark.parametrize(
    ("said", "modes"),
    [(INVALID, {"invalid": "allow"}), (UNPLANNED, {"unplanned": "allow"}), (UNKNOWN_VERSION, {"invalid": "allow"})],
    ids=["invalid", "unplanned", "unknown version"],
)
def test_where_it_is_allowed_it_is_stored_with_its_flaw(door: Door, said, modes):
    """Flagged, and with the violations beside it."""
    assert [("stored", None)] == door.statuses(said, source=source(**modes))

    [(_, event)] = door.store.events.scan()
    assert 1 <= len(json.loads(event.violations))
    assert "stored_despite_violations" == door.receipt().code


@pytest.mark.parametrize(
    ("said", "modes"),
    [(INVALID, {"invalid": "reject-in-development"}), (UNPLANNED, {"unplanned": "reject-in-development"})],
    ids=["invalid", "unplanned"],
)
def test_a_developer_is_told_no(door: Door, said, modes):
    """The reason is in the answer, the message in the quarantine, and good messages beside it are stored."""
    good = message(messageId="good")
    first, second = door.send(said, good, source=source(**modes))

    assert ("rejected", True, "stored") == (first.status, bool(first.detail), second.status)
    assert ["m1"] == [kept.message_id for kept in door.quarantine()]


def test_modes_do_not_mix(door: Door):
    """What is allowed of one kind is not allowed of the other."""
    assert [("quarantined", "unplanned_event")] == door.statuses(UNPLANNED, source=source(invalid="allow"))
    assert [("quarantined", "schema_violation")] == door.statuses(INVALID, source=source(unplanned="allow"))


def test_only_track_events_need_a_plan(door: Door):
    """A page that nobody planned is a page; what is planned is held to it."""
    assert [("stored", None)] == door.statuses(message(type="page", name="Home"))
    assert [("stored", None)] == door.statuses(message(type="group", groupId="g", messageId="m2"))


def test_an_event_is_stored_with_the_version_it_was_held_to(door: Door):
    """The one it names, else the newest."""
    door.send(message(), message(messageId="m2", context={"schemaVersion": "1-0-0"}))

    assert ["1-1-0", "1-0-0"] == [event.schema_version for _, event in door.store.events.scan()]


@pytest.mark.parametrize("version", [None, 1, "", [], {"a": 1}], ids=repr)
def test_an_odd_version_is_no_crash(door: Door, version):
    """What is no text names no version."""
    assert door.statuses(message(context={"schemaVersion": version}))[0][0] in ("stored", "quarantined")


def test_without_a_plan_everything_is_taken_as_it_is(store: SQLiteStore):
    """A collector may begin without one."""
    assert [("stored", None), ("stored", None)] == Door(store, None).statuses(
        message(event="Anything"), {**INVALID, "messageId": "m2"}
    )


# --- the quarantine ---


def test_a_quarantined_message_is_kept_as_it_came(door: Door):
    """Raw bytes to the last one, with what is known of it."""
    raw = b'{"type" :"track","event":"Task Assigned","userId":"u","messageId":"m1","properties":{"count":NaN },'
    raw += b'"context":{"library":{"name":"analytics-go","version":"3.0.0"},"schemaVersion":"1-0-0"}}'
    door.send(raw)
    [kept] = door.quarantine()

    assert raw == kept.raw
    assert ("app", NOW, "track", "Task Assigned", "1-0-0", "analytics-go", "3.0.0") == (
        kept.source,
        kept.received_at,
        kept.type,
        kept.name,
        kept.schema_version,
        kept.library,
        kept.library_version,
    )


def test_a_message_that_is_none_still_says_who_made_it(door: Door):
    """Bug: of what could not be read into an event, the library was not kept."""
    library = {"library": {"name": "homegrown", "version": "0.1"}}
    door.send(message(userId=None, context=library))
    door.send(b"NaN", b"7", message(userId=None, properties={"n": float("nan")}), context=library)

    assert [("homegrown", "0.1")] * 4 == [(kept.library, kept.library_version) for kept in door.quarantine()]


def test_odd_libraries_are_no_crash(door: Door):
    """Whatever stands there."""
    for library in (None, "x", [], {"name": 7, "version": {}}, {"name": "n" * 1_000}):
        door.send({**INVALID, "context": {"library": library}})

    assert [None, None, None, None, "n" * 100] == [kept.library for kept in door.quarantine()]


def test_no_personal_value_is_told(door: Door):
    """Neither in the answer nor in the quarantine's detail, whatever is wrong with it."""
    [outcome] = door.send(message(properties={"email": "anna@example.org", "secret": "anna@example.org"}))

    assert ("quarantined", "schema_violation") == (outcome.status, outcome.code)
    assert [] == [told for told in (outcome.detail, door.quarantine()[0].detail) if "anna" in told]


def test_a_body_that_cannot_be_read_is_kept(door: Door):
    """Up to a size, with the code it was refused for."""
    door.receiver.refuse(b"\xff" * (REFUSED_BYTES_MAX + 1), APP, "invalid_json", "the body is cut off", NOW)
    [kept] = door.quarantine()

    assert ("invalid_json", "the body is cut off", REFUSED_BYTES_MAX) == (kept.reason, kept.detail, len(kept.raw))


# --- the batch ---


def test_each_message_has_its_outcome_in_order(door: Door):
    """Good and bad, repeated and contradicted, in one batch and one transaction."""
    door.send(message(messageId="old"))
    sent = [
        message(messageId="m1"),
        b'"junk"',
        message(messageId="m1"),
        message(messageId="old", properties={"count": 1}),
        message(messageId="big", properties={"text": "x" * EVENT_BYTES_MAX}),
        {**INVALID, "messageId": "bad"},
        message(messageId="m2"),
    ]

    assert [
        ("stored", None),
        ("quarantined", "invalid_json"),
        ("duplicate", None),
        ("conflict", "message_id_taken"),
        ("quarantined", "event_too_large"),
        ("quarantined", "schema_violation"),
        ("stored", None),
    ] == door.statuses(*sent)
    counts = door.store.events.counts()
    assert (3, 1, 1, 3) == (counts.stored, counts.duplicates, counts.conflicts, sum(counts.quarantined.values()))


def test_an_empty_batch_is_in_order(door: Door):
    """Some clients flush nothing."""
    assert [] == door.statuses()


def test_a_messages_own_key_wins(door: Door):
    """It names the source, whose rules then hold; a key nobody has quarantines that message alone."""
    own = message(event="Unheard Of", writeKey="k-other")
    unknown = message(messageId="m2", writeKey="k-nobody")

    assert [("stored", None), ("quarantined", "invalid_write_key")] == door.statuses(own, unknown)
    assert ["other"] == [event.source for _, event in door.store.events.scan()]
    assert [("app", "/writeKey")] == [(kept.source, kept.pointer) for kept in door.quarantine()]


def test_the_batchs_key_repeated_in_a_message_is_no_other_key(door: Door):
    """The Authorization header may have won over both."""
    assert [("stored", None)] == door.statuses(message(writeKey="k-batch"), writeKey="k-batch")


def test_the_same_id_in_two_sources_is_two_events(door: Door):
    """Sources never shadow each other."""
    assert [("stored", None), ("stored", None)] == door.statuses(message(), message(writeKey="k-other"))


def test_a_message_without_an_id_is_given_one(door: Door):
    """The receipt can be asked for by it."""
    [outcome] = door.send(message(messageId=None))

    assert ("stored", outcome.message_id) == (door.receipt(outcome.message_id).status, "drawn-1")


def test_the_batchs_time_and_context_hold_for_all(door: Door):
    """A clock two hours slow is corrected; consent denied for the batch is denied for each message."""
    denied = {"consent": {"categoryPreferences": {"pql_scoring": False}}}
    door.send(message(timestamp=(NOW // 10**6) - 7210), sentAt=(NOW // 10**6) - 7200, context=denied)
    [(_, event)] = door.store.events.scan()

    assert (NOW - 10 * 10**6, False) == (event.at, event.scored)


# --- consent ---


def test_what_is_denied_is_stored_and_never_tallied(door: Door):
    """One person says no, the other nothing."""
    denied = {"consent": {"categoryPreferences": {"pql_scoring": False}}}
    door.send(message(messageId="no", context=denied), message(messageId="yes", userId="u2"))

    assert [("no", False), ("yes", True)] == [(event.message_id, event.scored) for _, event in door.store.events.scan()]
    assert [1] == [row.n for row in door.store.tallies.all_rows()]


def test_the_global_privacy_control_of_a_request_is_recorded(door: Door):
    """For whoever its messages are about."""
    door.send(message(), gpc=True)
    [(_, event)] = door.store.events.scan()

    with door.store.snapshot() as facts:
        entries = facts.consents([event.leaf], ["sales_contact", "third_party_share"])
    assert {("sales_contact", "denied", "gpc"), ("third_party_share", "denied", "gpc")} == {
        (entry.purpose, entry.state, entry.signal) for entry in entries
    }


@pytest.mark.parametrize("action", ["drop", "anonymise"])
@pytest.mark.parametrize("mode", ["quarantine", "reject-in-development"])
def test_what_may_not_be_kept_whole_is_not_kept_in_the_quarantine_either(door: Door, action: str, mode: str):
    """It fails the plan, and its person refuses: that it came is counted. Whoever says yes is quarantined as ever."""
    strict = source(invalid=mode, on_deny={"analytics": action})
    no, yes = (
        {**INVALID, "messageId": id, "context": {"consent": {"categoryPreferences": {"analytics": said}}}}
        for id, said in (("no", False), ("yes", True))
    )
    (refused, other) = door.send(no, yes, source=strict)

    assert ("refused", "consent_denied") == (refused.status, refused.code)
    assert other.status in ("quarantined", "rejected")
    assert ["yes"] == [row.message_id for row in door.store.events.quarantine(reason=None, limit=9, before=None)]
    assert 0 == door.store.events.counts().stored


def test_addresses_are_not_written(door: Door):
    """The connection's address belongs to nobody's event."""
    door.send(message())

    assert [b"{}"] == [event.context for _, event in door.store.events.scan()]


@settings(max_examples=settings.default.max_examples // 2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(messages | good_messages | st.binary(max_size=30).filter(is_whole), max_size=5), st.booleans())
def test_whatever_is_sent_every_message_has_its_place(door: Door, sent, gpc):
    """Nothing is raised, and all that was sent is stored, repeated, in conflict or quarantined."""
    before = door.store.events.counts()
    outcomes = door.send(*sent, gpc=gpc, source=source(unplanned="allow"))
    after = door.store.events.counts()

    assert len(sent) == len(outcomes)
    assert len(sent) == sum(
        (
            after.stored - before.stored,
            after.duplicates - before.duplicates,
            after.conflicts - before.conflicts,
            sum(after.quarantined.values()) - sum(before.quarantined.values()),
        )
    )


# --- the store ---


def test_a_store_that_is_away_is_told_and_loses_nothing(door: Door):
    """Nothing was taken, so the sender should try again."""
    door.store.close()

    with pytest.raises(StoreUnavailable):
        door.send(message())
    with pytest.raises(StoreUnavailable):
        door.receiver.refuse(b"x", APP, "invalid_json", "", NOW)


def test_a_key_that_cannot_be_looked_up_takes_nothing_of_the_batch(door: Door):
    """Half a batch would be told to the sender as none."""

    def away(key: str) -> Source | None:
        raise StoreUnavailable("it is closed")

    signals = RequestSignals(gpc=False, dnt=False, ip=None, sources=away)
    body = encoded({"batch": [message(), message(messageId="m2", writeKey="k")]})
    with pytest.raises(StoreUnavailable):
        door.receiver.receive(open_envelope(body, None), APP, Arrival(received_at=NOW), signals)

    assert [] == list(door.store.events.scan())
    assert [("stored", None)] == door.statuses(message())


@pytest.mark.parametrize("plan", [PLAN, None], ids=["a plan", "no plan"])
def test_what_the_senders_own_plan_is_against_goes_into_quarantine(store: SQLiteStore, plan: Plan | None) -> None:
    """Whatever our plan says of it: theirs may be newer. The mark is that of the SDK's mode ``quarantine``."""
    mark = {"quarantine": {"verdict": "invalid", "plan": "0123456789abcdef"}}
    [outcome] = Door(store, plan).send(message(properties={"count": 1}, context=mark))

    assert ("quarantined", "refused_by_sender") == (outcome.status, outcome.code)
