"""
When the next request may go: waits, the collector's wishes, the budget of retries, and the circuit breaker.

The rule of this floor: no I/O, no clock, no randomness. A ``Course`` is a value; what happened comes in, with the time
and the draw for the jitter, and the next one comes out. All instants are monotonic seconds.

A request fails when its answer is a ``Retry``. What is told here holds over all batches, since it is about the
collector and not about one of them:

- After each failure the next request waits: 0.5 s, 1 s, 2 s ... up to a minute, and longer by chance.
- A Retry-After is a floor under that wait; nothing and nobody sends earlier.
- The circuit opens after ``failures_max`` failures in a row, or when failures among successes have used up the budget.
  While it is open, single events are sent as probes, at growing intervals. One success closes it.
- A flush or close ends our own part of a wait, never the collector's; and a flush cannot hurry an open circuit, else an
  app that flushes after each request of its own would hammer on a collector that is down.
"""

import msgspec
from msgspec.structs import replace

from assay.delivery import BACKOFF_SECONDS_MAX, DELAY_SECONDS_MAX, Retry, jittered_seconds, retry_delay_seconds

# Retries that may be made before the circuit opens, and how much of one each success gives back: a collector that
# fails now and then meets one retry for ten requests, not a storm.
BUDGET_MAX = 10.0
BUDGET_REFUND = 0.1


class Breaker(msgspec.Struct, frozen=True):
    """When the circuit opens, and how long it stays so."""

    # Failures in a row that open it.
    failures_max: int = 5
    # Until the first probe; each that fails doubles it, up to a minute.
    probe_seconds: float = 15.0


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """What the past says about the next request."""

    breaker: Breaker = Breaker()
    # In a row.
    failures: int = 0
    # Probes that failed since the circuit opened.
    probes: int = 0
    is_open: bool = False
    # Retries that are left.
    budget: float = BUDGET_MAX
    # Nothing is sent before.
    ready_at: float = 0.0
    # The collector's part of that wait; never above ready_at.
    asked_until: float = 0.0

    def failed(self, retry: Retry, now: float, draw: float) -> "Course":
        """A request came to nothing, or to a "not now". draw: from [0, 1)."""
        failures = self.failures + 1
        budget = max(0.0, self.budget - 1.0)
        is_open = self.is_open or failures >= self.breaker.failures_max or budget == 0.0
        probes = self.probes + 1 if self.is_open else 0
        if is_open:
            own = min(self.breaker.probe_seconds * 2.0 ** min(probes, 16), BACKOFF_SECONDS_MAX)
        else:
            own = retry_delay_seconds(failures)
        # A wish is a floor also for its jitter: clients that were told the same come back one after the other.
        asked = min(retry.asked_seconds, DELAY_SECONDS_MAX)
        wait = jittered_seconds(max(own, asked), draw)
        return replace(
            self,
            failures=failures,
            probes=probes,
            is_open=is_open,
            budget=budget,
            ready_at=now + wait,
            asked_until=now + min(jittered_seconds(asked, draw), wait),
        )

    def succeeded(self) -> "Course":
        """A request got its last word, whatever it was: the collector is there."""
        # An open circuit has spent its budget. One probe is enough to close it, but not to pay for another outage.
        budget = max(self.budget, 1.0) if self.is_open else self.budget
        refunded = min(BUDGET_MAX, budget + BUDGET_REFUND)
        return Course(breaker=self.breaker, budget=refunded)

    def hurried(self) -> "Course":
        """Somebody flushes: our own part of the wait ends, unless the circuit is open."""
        return self if self.is_open else replace(self, ready_at=self.asked_until)

    def closing(self) -> "Course":
        """The client closes: its last seconds are too few for the long waits of an outage, so they begin anew."""
        return Course(breaker=self.breaker, ready_at=self.asked_until, asked_until=self.asked_until)


def expires(first_at: float, ready_at: float, retry_seconds_max: float) -> bool:
    """Whether a batch that was first sent at one time would be sent again too late."""
    return ready_at - first_at > retry_seconds_max
