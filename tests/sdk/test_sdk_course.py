"""The course of delivery, as a state machine: what holds after any history of answers, flushes and time."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from assay.course import BUDGET_MAX, BUDGET_REFUND, Breaker, Course, expires
from assay.delivery import BACKOFF_SECONDS_FIRST, BACKOFF_SECONDS_MAX, DELAY_SECONDS_MAX, JITTER, Retry

DRAWS = st.floats(0, 1, exclude_max=True)
ASKED = st.just(0.0) | st.floats(0, 4_000)


class Delivery(RuleBasedStateMachine):
    """A client that sends as soon as it may, and what it may never do."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(failures_max=4, probe_seconds=10.0)
        self.course = Course(breaker=self.breaker)
        self.now = 1_000.0
        self.asked_until = 0.0
        self.in_a_row = 0
        self.successes = 0
        self.free_retries = 0  # failures met while the circuit was closed
        self.last_failure = 0.0

    @rule(asked=ASKED, draw=DRAWS)
    def fail(self, asked: float, draw: float) -> None:
        """A request that goes as early as it may, and fails."""
        self.now = max(self.now, self.course.ready_at)
        was_open = self.course.is_open
        self.course = self.course.failed(Retry("busy", asked), self.now, draw)
        self.in_a_row += 1
        self.free_retries += not was_open
        self.last_failure = self.now
        self.asked_until = max(self.asked_until, self.now + min(asked, DELAY_SECONDS_MAX))
        wait = self.course.ready_at - self.now
        floor = self.breaker.probe_seconds if self.course.is_open else BACKOFF_SECONDS_FIRST
        longest = DELAY_SECONDS_MAX * (1 + JITTER)
        assert floor - 1e-6 <= wait <= longest + 1e-6
        assert asked > 0 or wait <= BACKOFF_SECONDS_MAX * (1 + JITTER) + 1e-6

    @rule()
    def succeed(self) -> None:
        """A request that goes as early as it may, and gets its last word."""
        self.now = max(self.now, self.course.ready_at)
        self.course = self.course.succeeded()
        self.in_a_row = 0
        self.successes += 1
        assert not self.course.is_open
        assert self.course.ready_at <= self.now

    @rule()
    def flush(self) -> None:
        """Somebody is in a hurry; an open circuit is not."""
        before = self.course
        self.course = before.hurried()
        assert not before.is_open or self.course == before
        assert self.course.ready_at <= before.ready_at

    @rule(seconds=st.floats(0, 100))
    def pass_time(self, seconds: float) -> None:
        """Nothing happens for a while."""
        self.now += seconds

    @precondition(lambda self: self.in_a_row >= 4)
    @rule()
    def see_the_circuit(self) -> None:
        """So many failures in a row have opened it."""
        assert self.course.is_open

    @invariant()
    def the_collectors_wish_is_kept(self) -> None:
        """Whatever happens, nothing goes before the time that the collector asked for."""
        assert self.course.ready_at >= self.asked_until - 1e-6 or self.now >= self.asked_until - 1e-6
        assert self.course.asked_until <= self.course.ready_at

    @invariant()
    def retries_keep_to_the_budget(self) -> None:
        """Outside of probes, retries are at most ten and a tenth of the successes, and one after each closing."""
        opened_again = self.successes  # each success may have closed a circuit, and given one retry
        assert self.free_retries <= BUDGET_MAX + BUDGET_REFUND * self.successes + opened_again + 1e-6


TestDelivery = Delivery.TestCase


def failing(course: Course, times: int, now: float = 0.0) -> Course:
    for _ in range(times):
        course = course.failed(Retry("down"), max(now, course.ready_at), 0.0)
    return course


def test_the_circuit_opens_after_failures_in_a_row_and_closes_with_a_success():
    """Four failures are a bad moment, five an outage; one answer ends it."""
    assert [False, True] == [failing(Course(), times).is_open for times in (4, 5)]
    assert not failing(Course(), 5).succeeded().is_open


def test_probes_come_at_growing_intervals():
    """After 15 s, 30 s, then every minute."""
    course, waits = failing(Course(), 5), []
    for _ in range(4):
        waits.append(course.ready_at)
        course = course.failed(Retry("down"), course.ready_at, 0.0)

    assert [30.0, 60.0, 60.0] == [later - earlier for earlier, later in pairwise(waits)]


def test_a_collector_that_fails_now_and_then_uses_up_the_budget():
    """Every other request fails: not often enough in a row, but more than one in ten."""
    course, opened = Course(), False
    for _ in range(20):
        course = course.failed(Retry("busy"), 0.0, 0.0)
        opened = opened or course.is_open
        course = course.succeeded()

    assert opened


@pytest.mark.parametrize("asked", [0.0, 3.0, 100.0])
def test_a_close_waits_for_the_collector_only(asked):
    """Its deadline is short, so our own waits begin anew; the collector's wish stays."""
    course = failing(Course(), 7).failed(Retry("busy", asked), 500.0, 0.0).closing()

    assert (500.0 + asked, False, 0) == (course.ready_at, course.is_open, course.failures)


@given(st.integers(1, 2_000))
def test_a_day_of_outage_is_a_bounded_number_of_requests(failures):
    """Whatever the draws: after the first minute at most one request a minute."""
    course = failing(Course(), failures)

    assert course.ready_at >= (failures - 7) * BACKOFF_SECONDS_MAX


def test_a_batch_is_retried_for_so_long_and_no_longer():
    """Counted to when it would be sent again."""
    assert not expires(10.0, 20.0, 10.0)
    assert expires(10.0, 20.1, 10.0)
