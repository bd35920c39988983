"""How long things are kept: what is due goes, what verdicts need stays."""

import json

from assay_collector.pql.matching import SignalIndex
from assay_collector.privacy.office import Subject
from assay_collector.privacy.worker import Pace, Periods, Sweeper
from assay_collector.store import EventRow
from privacy.house import CATALOGUE, Desk
from qualify.wire import DAY, HOUR, START, identify, track

INDEX = SignalIndex(CATALOGUE.signals)


def reads(event: EventRow) -> bool:
    properties = json.loads(event.properties)
    return event.type == "track" and bool(
        INDEX.marks(event.name or "", properties, event.leaf, event.account, event.at)
    )


def swept(desk: Desk, **periods: int) -> dict[str, int]:
    events = periods.pop("events", 0)
    sweeper = Sweeper(desk.store.retention, Periods(events=events, others=periods), is_read=reads)  # type: ignore[arg-type]
    return sweeper.sweep(desk.clock[0], pause=lambda: None)


def test_for_ever_is_the_default(desk: Desk):
    """Without a setting nothing goes, however old it is."""
    desk.take_in(track("Made", START, "ada"), {"type": "nonsense", "userId": "ada"})
    desk.clock[0] += 10_000 * DAY

    assert {} == swept(desk)
    assert 1 == len(desk.rows()["quarantine"])


def test_each_class_goes_after_its_own_time(desk: Desk):
    """A day later than its period, and not before."""
    clash = track("Made", START, "ada")
    desk.take_in(clash, {**clash, "properties": {"another": True}}, {"type": "nonsense", "userId": "ada"})
    desk.deliver()
    desk.clock[0] += 30 * DAY

    assert {"quarantine": 0, "conflicts": 0, "outbox": 0} == swept(desk, quarantine=30, conflicts=30, outbox=30)
    desk.clock[0] += 1
    assert {"quarantine": 1, "conflicts": 1} == swept(desk, quarantine=30, conflicts=30)


def test_events_that_a_definition_reads_stay(desk: Desk):
    """Others go; tallies, verdicts, people and verification are as before."""
    unread = [
        identify(START, "ada", anon="v1", role="admin"),
        {**track("x", START, "ada"), "type": "page", "name": "Home"},
    ]
    desk.take_in(*unread, *[track("Made", START + n * HOUR, "ada", account="acme") for n in range(3)])
    before = desk.house.tallies(), desk.house.standing(), desk.rows()["people"], desk.rows()["traits"]
    desk.clock[0] += 100 * DAY

    assert {"events": 2} == swept(desk, events=90)
    assert ["Made"] * 3 == [event.name for _, event in desk.store.events.scan()]
    assert before == (desk.house.tallies(), desk.house.standing(), desk.rows()["people"], desk.rows()["traits"])
    assert () == desk.house.differences(desk.clock[0])


def test_who_was_told_outlasts_what_was_told(desk: Desk):
    """Recipients of messages that are no longer on record still learn of an erasure."""
    desk.take_in(*[track("Made", START + n * HOUR, "ada") for n in range(3)])
    desk.deliver()
    desk.clock[0] += 40 * DAY
    assert swept(desk, outbox=30)["outbox"] > 0
    assert [] == desk.rows()["outbox"]
    request = desk.office.enter("erase", Subject(value="ada"))
    desk.office.carry_out(request.request_id, pause=lambda: None)

    assert ["privacy.erased"] == [sent["type"] for sent in desk.deliver()]
    assert [] == desk.rows()["recipients"]


def test_pending_messages_are_never_swept(desk: Desk):
    """However long a receiver is down, its messages wait."""
    desk.take_in(*[track("Made", START + n * HOUR, "ada") for n in range(3)])
    pending = desk.store.outbox.pending()
    desk.clock[0] += 40 * DAY
    swept(desk, outbox=30)

    assert pending == desk.store.outbox.pending() > 0


def test_work_is_followed_by_rest():
    """Whoever worked for 20 ms rests for 80, so that others have most of the time."""
    clock, rests = [0], []
    pace = Pace(lambda: clock[0], rests.append)
    clock[0] += 20_000
    pace.pause()

    assert [0.08] == [round(rest, 6) for rest in rests]
