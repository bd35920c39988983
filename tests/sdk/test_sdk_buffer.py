"""The queue keeps its bound by the chosen policy, and its counters always add up."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.buffer import Buffer, Put, Stats
from assay.delivery import BatchLimits, DropReason


def pending_and_dropped(stats: Stats) -> tuple[int, dict[str, int]]:
    return stats.pending, dict(stats.dropped)


def test_the_newest_is_dropped_by_default():
    """A full queue keeps what it has."""
    buffer = Buffer(2, "drop_newest", 0)

    assert [Put.KEPT, Put.KEPT, Put.FULL] == [buffer.put(event) for event in (b"1", b"2", b"3")]
    assert (2, {"queue_full": 1}) == pending_and_dropped(buffer.stats())
    assert [b"1", b"2"] == buffer.take(BatchLimits())


def test_the_oldest_makes_room():
    """A full queue keeps what came last."""
    buffer = Buffer(2, "drop_oldest", 0)

    assert [Put.KEPT, Put.KEPT, Put.MADE_ROOM] == [buffer.put(event) for event in (b"1", b"2", b"3")]
    assert (2, {"queue_full": 1}) == pending_and_dropped(buffer.stats())
    assert [b"2", b"3"] == buffer.take(BatchLimits())


def test_a_blocked_caller_goes_on_when_there_is_room():
    """``block`` waits until the sender takes something."""
    buffer = Buffer(1, "block", 60)
    buffer.put(b"1")
    results: list[Put] = []
    caller = threading.Thread(target=lambda: results.append(buffer.put(b"2")))
    caller.start()

    while not results:
        buffer.take(BatchLimits())
        caller.join(0.01)

    assert [Put.KEPT] == results
    caller.join()


def test_a_blocked_caller_waits_no_longer_than_agreed():
    """Then the event is dropped and counted."""
    buffer = Buffer(1, "block", 0.01)
    buffer.put(b"1")

    assert Put.FULL is buffer.put(b"2")
    assert (1, {"queue_full": 1}) == pending_and_dropped(buffer.stats())


def test_a_closed_buffer_takes_nothing():
    """Late events are counted as such, and blocked callers go on."""
    buffer = Buffer(1, "block", 60)
    buffer.put(b"1")
    results: list[Put] = []
    caller = threading.Thread(target=lambda: results.append(buffer.put(b"2")))
    caller.start()
    buffer.close(time.monotonic())
    caller.join()

    assert [Put.CLOSED] == results
    assert Put.CLOSED is buffer.put(b"3")
    assert (1, {"closed": 2}) == pending_and_dropped(buffer.stats())


def test_flush_waits_for_what_was_there_before_it():
    """Not for later events, and not less because newer ones are dropped."""
    buffer = Buffer(2, "drop_oldest", 0)
    buffer.put(b"1")
    buffer.take(BatchLimits())  # in flight
    buffer.put(b"2")

    assert 2 == buffer.flush(0)
    for event in (b"3", b"4", b"5"):
        buffer.put(event)  # drops 2 and 3
    assert 1 == buffer._pending_up_to(2)
    buffer.settle(delivered=1)
    assert 0 == buffer._pending_up_to(2)
    assert 2 == buffer.flush(0)


def test_a_wait_ends_when_somebody_is_in_a_hurry():
    """A flush or close wakes the sender, which then learns from its course whether it may go."""
    buffer = Buffer(2, "drop_newest", 0)
    buffer.put(b"1")
    buffer.take(BatchLimits())
    hurried: list[bool] = []
    before = buffer.hurries
    sender = threading.Thread(target=lambda: hurried.append(buffer.wait(time.monotonic() + 60, before)))
    sender.start()
    buffer.flush(0)
    sender.join()

    assert [True] == hurried
    assert buffer.wait(time.monotonic() + 0.01, buffer.hurries) is False


@given(
    capacity=st.integers(1, 5),
    when_full=st.sampled_from(["drop_newest", "drop_oldest", "block"]),
    steps=st.lists(st.sampled_from(["put", "refuse", "take", "deliver", "drop", "abandon", "close"]), max_size=40),
)
def test_the_counters_add_up_after_every_step(capacity, when_full, steps):
    """tracked = delivered + dropped + pending, and tracked is the number of calls."""
    buffer = Buffer(capacity, when_full, 0)
    calls = in_flight = 0
    for step in steps:
        calls += step in ("put", "refuse")
        if step == "put":
            buffer.put(b"{}")
        elif step == "refuse":
            buffer.refuse(DropReason.TOO_LARGE)
        elif step == "take" and not in_flight:
            in_flight = len(buffer.take(BatchLimits(3)))
        elif step == "deliver":
            buffer.settle(delivered=in_flight)
            in_flight = 0
        elif step == "drop":
            buffer.settle(dropped={DropReason.REJECTED: in_flight})
            in_flight = 0
        elif step == "abandon":
            buffer.abandon()
        elif step == "close":
            buffer.close(time.monotonic())
        stats = buffer.stats()

        assert calls == stats.tracked == stats.delivered + sum(stats.dropped.values()) + stats.pending
        assert stats.pending <= capacity + 3


@pytest.mark.parametrize("when_full", ["drop_newest", "drop_oldest", "block"])
def test_no_event_is_lost_between_threads(when_full):
    """Four callers and a taker: every put is counted once."""
    buffer = Buffer(10, when_full, 10)
    callers = [threading.Thread(target=lambda: [buffer.put(b"{}") for _ in range(500)]) for _ in range(4)]
    for caller in callers:
        caller.start()
    taken = 0
    while any(caller.is_alive() for caller in callers) or buffer.stats().pending:
        events = buffer.take(BatchLimits(7))
        buffer.settle(delivered=len(events))
        taken += len(events)
    for caller in callers:
        caller.join()
    stats = buffer.stats()

    assert (2000, taken) == (stats.tracked, stats.delivered)
    assert 2000 == taken + stats.dropped.get("queue_full", 0)
    assert when_full != "block" or taken == 2000
