"""The bounded queue between the app's threads and the sender, and the one set of counters."""

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from types import MappingProxyType
from typing import Literal

from assay.delivery import BatchLimits, DropReason, fitting

WhenFull = Literal["drop_newest", "drop_oldest", "block"]


@dataclass(frozen=True, kw_only=True)
class Stats:
    """
    What became of every event: ``tracked == delivered + sum(dropped.values()) + pending``, at every moment.

    Counted from the making of the client, or from the fork, in a forked process.
    """

    tracked: int
    delivered: int
    # By reason; see DropReason.
    dropped: Mapping[str, int]
    # Queued, or being sent just now.
    pending: int
    # Of those delivered, how many the collector keeps in quarantine.
    quarantined: int
    # Requests sent again.
    retried: int


class Put(Enum):
    """What became of an event that was put into the buffer."""

    KEPT = "kept"
    MADE_ROOM = "made room"  # kept; the oldest was dropped for it
    FULL = "full"
    CLOSED = "closed"


KEPT = Put.KEPT  # a global is found faster than a member of an Enum, and most events come to this


class Buffer:
    """
    Events in order, at most ``capacity`` queued, from any thread to one sender.

    An event is in one place at each moment: queued, in flight, delivered, or dropped for one reason. All moves happen
    under one lock, so ``stats`` always adds up. The lock is re-entrant, because a signal handler or a finaliser that
    tracks may run in the middle of ``put``.
    """

    def __init__(self, capacity: int, when_full: WhenFull, block_seconds: float) -> None:
        self._capacity = capacity
        self._when_full = when_full
        self._block_seconds = block_seconds
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)  # the sender waits on it
        self._room = threading.Condition(self._lock)  # callers of put
        self._moved = threading.Condition(self._lock)  # callers of flush
        self._queue: deque[bytes] = deque()
        self._wake_at = (1, 1)
        self._in_flight = 0
        self._entered = 0  # ever queued; an event's number is this count when it came
        self._taken_to = 0  # number of the last event in flight
        self._flush_to = 0  # send without lingering up to this number
        self._hurries = 0
        self._closed = False
        self._ends_at = float("inf")
        self._delivered = 0
        self._dropped: Counter[str] = Counter()
        self._refused = 0  # tracked, but never queued
        self._quarantined = 0
        self._retried = 0
        self._sender: int | None = None

    # --- the app's side ---

    def put(self, event: bytes) -> Put:
        """Queue an event, or count it as dropped, by the policy. Only the policy ``block`` waits."""
        with self._lock:
            queue, result = self._queue, KEPT
            if self._closed or len(queue) >= self._capacity:
                result = self._find_room()
                if result is Put.CLOSED or result is Put.FULL:
                    self.refuse(DropReason.CLOSED if result is Put.CLOSED else DropReason.QUEUE_FULL)
                    return result
            queue.append(event)
            self._entered += 1
            # Only the first one and a full batch concern the sender; waking it for each would cost the caller.
            if len(queue) in self._wake_at:
                self._wake.notify()
            return result

    def refuse(self, reason: DropReason) -> None:
        """Count an event that never came into the queue."""
        with self._lock:
            self._refused += 1
            self._drop(reason, 1)

    def stats(self) -> Stats:
        """The counters of one moment."""
        with self._lock:
            return Stats(
                tracked=self._entered + self._refused,
                delivered=self._delivered,
                dropped=MappingProxyType({str(reason): count for reason, count in self._dropped.items()}),
                pending=len(self._queue) + self._in_flight,
                quarantined=self._quarantined,
                retried=self._retried,
            )

    def flush(self, timeout_seconds: float) -> int:
        """
        Wait until everything that is queued now has left.

        Returns:
            How many of those are still pending.
        """
        ends_at = time.monotonic() + timeout_seconds
        with self._lock:
            goal = self._flush_to = self._entered
            self._hurries += 1
            self._wake.notify()
            # A callback on the sender's own thread would wait for itself.
            while (left := self._pending_up_to(goal)) and not self._on_sender():
                seconds = ends_at - time.monotonic()
                if seconds <= 0:
                    break
                self._moved.wait(min(seconds, threading.TIMEOUT_MAX))
            return left

    def close(self, ends_at: float) -> None:
        """Take no more events; what is here may be sent until the deadline (monotonic seconds)."""
        with self._lock:
            self._hurries += not self._closed
            self._closed = True
            self._ends_at = min(self._ends_at, ends_at)
            self._wake.notify_all()
            self._room.notify_all()

    def abandon(self) -> int:
        """Drop what is still queued. Returns: how many."""
        with self._lock:
            count = len(self._queue)
            self._queue.clear()
            self._drop(DropReason.DEADLINE, count)
            self._moved.notify_all()
            return count

    # --- the sender's side ---

    @property
    def closed(self) -> bool:
        """Whether close was called."""
        return self._closed

    @property
    def ends_at(self) -> float:
        """Monotonic seconds after which nothing more may be sent; infinity while the client is open."""
        return self._ends_at

    def wait_for_batch(self, limits: BatchLimits, linger_seconds: float) -> bool:
        """
        Wait for a batch: a full one, or what came within ``linger_seconds`` of the first event, or what is flushed.

        Returns:
            Whether there is something to send; False: closed and empty, or out of time.
        """
        with self._lock:
            self._sender = threading.get_ident()
            while not self._queue and not self._closed:
                self._wake.wait()
            ends_at = time.monotonic() + linger_seconds
            full = min(limits.events_max, self._capacity)
            self._wake_at = 1, full
            while len(self._queue) < full and not self._closed and not self._pending_up_to(self._flush_to):
                seconds = ends_at - time.monotonic()
                if seconds <= 0:
                    break
                self._wake.wait(seconds)
            return bool(self._queue) and time.monotonic() < self._ends_at

    def take(self, limits: BatchLimits) -> list[bytes]:
        """Move the first events that fit into one batch from queued to in flight."""
        with self._lock:
            count = fitting(islice(self._queue, limits.events_max), limits)
            events = [self._queue.popleft() for _ in range(count)]
            self._in_flight += count
            self._taken_to = self._entered - len(self._queue)
            self._room.notify(count)
            return events

    def settle(
        self, delivered: int = 0, dropped: Mapping[DropReason, int] = MappingProxyType({}), quarantined: int = 0
    ) -> None:
        """The oldest events in flight have come to their end; ``quarantined`` of the delivered ones in quarantine."""
        with self._lock:
            self._in_flight -= delivered + sum(dropped.values())
            self._delivered += delivered
            self._quarantined += quarantined
            for reason, count in dropped.items():
                self._drop(reason, count)
            self._moved.notify_all()

    def pause(self, seconds: float, asked_seconds: float) -> bool:
        """
        Wait before a retry. A flush or close ends our own part of the wait, never the collector's wish.

        Args:
            seconds: How long to wait.
            asked_seconds: The part of it that the collector asked for.

        Returns:
            Whether there is still time to try again.
        """
        start = time.monotonic()
        with self._lock:
            self._retried += 1
            before = self._hurries
            while True:
                hurried = self._hurries != before
                until = start + (min(seconds, asked_seconds) if hurried else seconds)
                if until >= self._ends_at:
                    return False
                left = until - time.monotonic()
                if left <= 0:
                    return True
                self._wake.wait(left)

    # --- inside the lock ---

    def _find_room(self) -> Put:
        if self._when_full == "block" and not self._on_sender():
            self._room.wait_for(lambda: self._closed or len(self._queue) < self._capacity, self._block_seconds)
        if self._closed:
            return Put.CLOSED
        if len(self._queue) < self._capacity:
            return Put.KEPT
        if self._when_full != "drop_oldest":
            return Put.FULL
        self._queue.popleft()
        self._drop(DropReason.QUEUE_FULL, 1)
        return Put.MADE_ROOM

    def _drop(self, reason: DropReason, count: int) -> None:
        if count:
            self._dropped[reason] += count

    def _pending_up_to(self, number: int) -> int:
        """How many events up to this number are pending: the queue holds the newest, before it are those in flight."""
        queued = number - (self._entered - len(self._queue))
        flying = number - (self._taken_to - self._in_flight)
        return max(0, queued) + min(max(0, flying), self._in_flight)

    def _on_sender(self) -> bool:
        return self._sender == threading.get_ident()
