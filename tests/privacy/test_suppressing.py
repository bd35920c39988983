"""Leaving somebody alone: nothing new is scored, sent or stored, until it is lifted."""

import pytest

from assay_collector.privacy.office import Subject, UnknownRequest
from privacy.house import Desk, id_of
from qualify.wire import DAY, HOUR, START, identify, track

ADA = Subject(value="ada")
MADE = [track("Made", START + n * HOUR, "ada", account="acme") for n in range(3)]


@pytest.fixture
def met(desk: Desk) -> Desk:
    """Ada was here, and the CRM was told."""
    desk.take_in(identify(START, "ada", anon="v1"), *MADE, track("Made", START, "bob", account="acme"))
    return desk


def test_verdicts_are_taken_back_and_come_back(met: Desk):
    """While it is in force the person is as if not there; lifted, everything is as before."""
    before = met.house.standing()
    assert {"ada"} == met.house.since("u-made").keys()
    request = met.office.enter("suppress", ADA)
    met.house.decide(met.clock[0])
    during = met.house.since_by(["u-made", "a-made", "a-people"])
    met.office.lift(request.request_id)
    met.house.decide(met.clock[0])

    assert {} == during
    assert before == met.house.standing()
    assert () == met.house.differences(met.clock[0])


def test_new_events_are_refused_and_say_why(met: Desk):
    """Nothing of them is stored; they are counted."""
    met.office.enter("suppress", ADA)
    outcomes = met.house.receive([track("Made", START, "ada"), track("Made", START, anon="v1")], now=met.clock[0])

    assert [("refused", "suppressed_subject")] * 2 == [(each.status, each.code) for each in outcomes]
    assert {"suppressed_subject": 2} == met.store.events.counts().refused


def test_new_events_are_kept_unscored_where_that_is_set(met: Desk):
    """They are there, and never count, not even when it is lifted."""
    office = met.new_office(keeps_suppressed_events=True)
    tallies = met.house.tallies()
    request = office.enter("suppress", ADA)
    (outcome,) = met.house.receive([track("Made", START, "ada")], now=met.clock[0])
    office.lift(request.request_id)

    assert "stored" == outcome.status
    assert tallies == met.house.tallies()
    assert () == met.house.differences(met.clock[0])


def test_pending_messages_are_withdrawn_and_none_is_made(met: Desk):
    """From the moment of the request on, nothing about the person leaves the house."""
    about = {id_of("user", "ada"), id_of("anonymous", "v1")}
    assert about & {row[3] for row in met.rows()["outbox"]}
    met.office.enter("suppress", ADA)
    met.house.decide(met.clock[0])
    due = met.store.outbox.due("crm", met.clock[0], 100, met.clock[0])

    assert not about & {delivery.message.entity for delivery in due}


def test_a_suppression_is_lifted_once(met: Desk):
    """Lifting what is not in force is an error that says so; asking for it again replaces it."""
    first = met.office.enter("suppress", ADA)
    second = met.office.enter("suppress", ADA)
    with pytest.raises(UnknownRequest):
        met.office.lift(first.request_id)
    met.office.lift(second.request_id)
    with pytest.raises(UnknownRequest):
        met.office.lift(second.request_id)

    assert ["lifted", "done"] == [request.state for request in met.office.requests()]


def test_an_erasure_goes_beyond_a_suppression(met: Desk):
    """Who was left alone and wants to be forgotten is; lifting is no longer possible."""
    first = met.office.enter("suppress", ADA)
    met.erase("ada")

    assert "done" == met.office.request(first.request_id).state
    assert [] == met.rows()["suppressions"]
    with pytest.raises(UnknownRequest):
        met.office.lift(first.request_id)


def test_requests_fall_due(met: Desk):
    """What is not done by its date is overdue; a suppression in force is done."""
    met.office.enter("suppress", Subject(value="bob"))
    met.office.enter("export", ADA)
    assert (1, 0) == met.office.overdue()
    met.clock[0] += 31 * DAY

    assert (1, 1) == met.office.overdue()
    assert [True, False] == [met.office.describe(each)["overdue"] for each in met.office.requests()]
