"""The bounded queue between the app's threads and the sender, and the one set of counters."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from types import MappingProxyType
from typing import Literal, Protocol

from assay.delivery import BatchLimits, DropReason, fitting

WhenFull = Literal["drop_newest", "drop_oldest", "block"]


@dataclass(frozen=True, kw_only=True)
class Stats:
    """
    What became of every event: ``tracked == delivered + sum(dropped.values()) + pending``, at every moment.

    Counted from the making of the client, or from the fork, in a forked process.
    """

    # By calls of this client, and those that it took over from the spool of a process that ended.
    tracked: int
    delivered: int
    # By reason; see DropReason.
    dropped: Mapping[str, int]
    # Queued, being sent just now, or left in the spool for a later process.
    pending: int
    # Of those delivered, how many the collector keeps in quarantine.
    quarantined: int
    # Requests sent again.
    retried: int
    # Of those tracked, how many came from the spool of a process that ended.
    recovered: int = 0
    # Of those pending, how many are on disk.
    spooled: int = 0
    # Of those tracked, how many the disk did not take, so that they were kept in memory only.
    unspooled: int = 0


class Put(Enum):
    """What became of an event that was put into the buffer."""

    KEPT = "kept"
    MADE_ROOM = "made room"  # kept; the oldest was dropped for it
    FULL = "full"
    CLOSED = "closed"


class Waited(Enum):
    """Why the sender's wait for a batch ended."""

    BATCH = "batch"
    IDLE = "idle"  # nothing came for so long
    OVER = "over"  # closed and empty, or out of time


KEPT = Put.KEPT  # a global is found faster than a member of an Enum, and most events come to this


class Queue(Protocol):
    """
    Where events wait, first in, first out. Called under the buffer's lock only, so it needs none of its own.

    - An event that was taken stays the queue's business until ``end``, which comes in the order of taking.
    - ``losses`` tells what the queue itself gave up, such as what became too old, once.
    - ``leave`` is the end of sending: what lasts beyond the process stays, the rest is given up.
    """

    def append(self, event: bytes) -> bool:
        """Keep an event; False: there is no room."""
        ...

    def __len__(self) -> int:
        """How many have not been taken."""
        ...

    def take(self, limits: BatchLimits) -> list[bytes]:
        """The first events that fit into one batch."""
        ...

    def drop_oldest(self) -> bool:
        """Forget the first one that was not taken; False: there is none."""
        ...

    def end(self, count: int) -> None:
        """So many of those taken, the oldest, need to be kept no longer."""
        ...

    def losses(self) -> Mapping[DropReason, int]:
        """What was given up since the last time, by reason; it counts in ``__len__`` no more."""
        ...

    def leave(self) -> int:
        """Give up what does not outlast the process. Returns: how many."""
        ...

    def trouble(self) -> str:
        """What went wrong with the queue itself since the last time: a word and details for a log, or nothing."""
        ...

    def close(self) -> None:
        """The last call: let go of what is left, for others to find."""
        ...

    @property
    def lasts(self) -> bool:
        """Whether a later process can send what is left here."""
        ...

    @property
    def spooled(self) -> int:
        """How many events are on disk, taken ones included."""
        ...

    @property
    def unspooled(self) -> int:
        """How many should have come to disk and did not, ever."""
        ...


class MemoryQueue(deque[bytes]):
    """A queue of at most ``capacity`` events that ends with the process. A deque, for its quick ``len``."""

    lasts = False
    spooled = 0
    unspooled = 0

    def __init__(self, capacity: float) -> None:
        super().__init__()
        self._capacity = capacity

    def append(self, event: bytes) -> bool:  # type: ignore[override]  # it says whether there was room
        """See Queue."""
        if len(self) >= self._capacity:
            return False
        _append(self, event)
        return True

    def take(self, limits: BatchLimits) -> list[bytes]:
        """See Queue."""
        return [self.popleft() for _ in range(fitting(islice(self, limits.events_max), limits))]

    def drop_oldest(self) -> bool:
        """See Queue."""
        if self:
            self.popleft()
            return True
        return False

    def end(self, count: int) -> None:
        """Taken events are not here any more."""

    def losses(self) -> Mapping[DropReason, int]:
        """Memory gives nothing up."""
        return _NOTHING

    def leave(self) -> int:
        """See Queue."""
        count = len(self)
        self.clear()
        return count

    def trouble(self) -> str:
        """Memory has none."""
        return ""

    def close(self) -> None:
        """Nothing outlasts this."""


_append = deque.append
_NOTHING: Mapping[DropReason, int] = MappingProxyType({})


class Buffer:
    """
    Events in order, at most ``capacity`` queued, from any thread to one sender.

    An event is in one place at each moment: queued, in flight, delivered, or dropped for one reason. All moves happen
    under one lock, so ``stats`` always adds up. The lock is re-entrant, because a signal handler or a finaliser that
    tracks may run in the middle of ``put``.
    """

    def __init__(self, capacity: float, when_full: WhenFull, block_seconds: float, queue: Queue | None = None) -> None:
        self._capacity = capacity
        self._when_full = when_full
        self._block_seconds = block_seconds
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)  # the sender waits on it
        self._room = threading.Condition(self._lock)  # callers of put
        self._moved = threading.Condition(self._lock)  # callers of flush
        self._queue: Queue = MemoryQueue(capacity) if queue is None else queue
        self._wake_at: tuple[float, float] = (1, 1)
        self._in_flight = 0
        self._given_back = 0  # taken, not delivered, and left in the spool
        self._entered = 0  # ever queued; an event's number is this count when it came
        self._taken_to = 0  # number of the last event in flight
        self._flush_to = 0  # send without lingering up to this number
        self._hurries = 0
        self._closed = False
        self._released = False
        self._left = False  # closed, and nothing more is sent
        self._ends_at = float("inf")
        self._delivered = 0
        self._dropped: Counter[str] = Counter()
        self._refused = 0  # tracked, but never queued
        self._quarantined = 0
        self._retried = 0
        self._recovered = 0
        self._untold: Counter[DropReason] = Counter()
        self._sender: int | None = None

    # --- the app's side ---

    def put(self, event: bytes) -> Put:
        """Queue an event, or count it as dropped, by the policy. Only the policy ``block`` waits."""
        with self._lock:
            queue, result = self._queue, KEPT
            if self._closed or not queue.append(event):
                result = self._find_room(event)
                if result is Put.CLOSED or result is Put.FULL:
                    self.refuse(DropReason.CLOSED if result is Put.CLOSED else DropReason.QUEUE_FULL)
                    return result
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
                pending=len(self._queue) + self._in_flight + self._given_back,
                quarantined=self._quarantined,
                retried=self._retried,
                recovered=self._recovered,
                spooled=self._queue.spooled,
                unspooled=self._queue.unspooled,
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
            while (left := self._pending_up_to(goal)) and not self._on_sender() and not self._is_over():
                seconds = ends_at - time.monotonic()
                if seconds <= 0:
                    break
                self._moved.wait(min(seconds, threading.TIMEOUT_MAX))
            return left + self._given_back

    def close(self, ends_at: float) -> None:
        """Take no more events; what is here may be sent until the deadline (monotonic seconds)."""
        with self._lock:
            self._hurries += not self._closed
            self._closed = True
            self._ends_at = min(self._ends_at, ends_at)
            self._wake.notify_all()
            self._room.notify_all()

    def abandon(self) -> int:
        """Send nothing more. Returns: how many queued events were dropped; a spool keeps those it has."""
        with self._lock:
            self._left = True
            count = self._queue.leave()
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

    @property
    def lasts(self) -> bool:
        """Whether what is left here can be sent by a later process."""
        return self._queue.lasts

    @property
    def hurries(self) -> int:
        """How often somebody has flushed, or closed."""
        return self._hurries

    def wait_for_batch(self, limits: BatchLimits, linger_seconds: float, idle_seconds: float = float("inf")) -> Waited:
        """Wait for a batch: a full one, or what came within ``linger_seconds`` of the first event, or is flushed."""
        with self._lock:
            self._sender = threading.get_ident()
            idle_at = time.monotonic() + idle_seconds
            while not self._queue and not self._closed:
                if not self._wake.wait(_bounded(idle_at - time.monotonic())) and time.monotonic() >= idle_at:
                    return Waited.IDLE
            ends_at = time.monotonic() + linger_seconds
            full = min(limits.events_max, self._capacity)
            self._wake_at = 1, full
            while len(self._queue) < full and not self._closed and not self._pending_up_to(self._flush_to):
                seconds = ends_at - time.monotonic()
                if seconds <= 0:
                    break
                self._wake.wait(seconds)
            return Waited.BATCH if self._queue and time.monotonic() < self._ends_at else Waited.OVER

    def take(self, limits: BatchLimits) -> list[bytes]:
        """Move the first events that fit into one batch from queued to in flight."""
        with self._lock:
            events = self._queue.take(limits)
            count = len(events)
            self._count_losses()
            self._in_flight += count
            self._taken_to = self._entered - len(self._queue)
            self._room.notify(count)
            return events

    def recover(self, put: Callable[[], int]) -> None:
        """Take in what a process that ended has left. put: brings it into the queue and says how many these are."""
        with self._lock:
            count = put()
            self._entered += count
            self._recovered += count
            self._count_losses()

    def release(self) -> None:
        """Nothing is sent from here any more; what is left is for others."""
        with self._lock:
            self._queue.close()
            self._released = True
            self._moved.notify_all()

    def wait_for_release(self, until: float) -> None:
        """
        Wait until nothing is sent from here any more, or until a time (monotonic seconds).

        A signal handler may close the client in the middle of its own thread's ``put``. To wait here, and not for the
        sender's thread, lets go of the lock however often this thread has it, so the sender can go on.
        """
        with self._lock:
            while not self._released and (seconds := until - time.monotonic()) > 0:
                self._moved.wait(_bounded(seconds))

    def trouble(self) -> str:
        """See Queue."""
        with self._lock:
            return self._queue.trouble()

    def untold(self) -> Mapping[DropReason, int]:
        """What the queue gave up since the last time, and nobody was told of."""
        with self._lock:
            untold, self._untold = self._untold, Counter()
            return untold

    def settle(
        self, delivered: int = 0, dropped: Mapping[DropReason, int] = MappingProxyType({}), quarantined: int = 0
    ) -> None:
        """The oldest events in flight have come to their end; ``quarantined`` of the delivered ones in quarantine."""
        ended = delivered + sum(dropped.values())
        with self._lock:
            self._queue.end(ended)
            self._in_flight -= ended
            self._delivered += delivered
            self._quarantined += quarantined
            for reason, count in dropped.items():
                self._drop(reason, count)
            self._moved.notify_all()

    def give_back(self, count: int) -> None:
        """The oldest events in flight stay where a later process finds them; only for a queue that lasts."""
        with self._lock:
            self._in_flight -= count
            self._given_back += count
            self._moved.notify_all()

    def count_retry(self) -> None:
        """A batch is sent again."""
        with self._lock:
            self._retried += 1

    def wait(self, until: float, hurries: int) -> bool:
        """
        Wait until a time (monotonic seconds), or until somebody is in a hurry.

        Args:
            until: The time.
            hurries: What ``hurries`` was when the wait was begun.

        Returns:
            Whether somebody is in a hurry.
        """
        with self._lock:
            while self._hurries == hurries and (seconds := until - time.monotonic()) > 0:
                self._wake.wait(_bounded(seconds))
            return self._hurries != hurries

    # --- inside the lock ---

    def _find_room(self, event: bytes) -> Put:
        """Keep an event that there was no room for, if the policy finds some."""
        append = self._queue.append
        if self._closed:
            return Put.CLOSED
        if self._when_full == "block" and not self._on_sender():
            kept = False

            def is_settled() -> bool:
                nonlocal kept
                kept = not self._closed and append(event)
                return kept or self._closed

            self._room.wait_for(is_settled, self._block_seconds)
            return KEPT if kept else Put.CLOSED if self._closed else Put.FULL
        while self._when_full == "drop_oldest" and self._queue.drop_oldest():
            self._drop(DropReason.QUEUE_FULL, 1)
            self._untold[DropReason.QUEUE_FULL] += 1
            if append(event):
                return Put.MADE_ROOM
        return Put.FULL

    def _count_losses(self) -> None:
        for reason, count in self._queue.losses().items():
            self._drop(reason, count)
            self._untold[reason] += count
        self._moved.notify_all()

    def _is_over(self) -> bool:
        return self._left and not self._in_flight

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


def _bounded(seconds: float) -> float:
    """A time-out that locks take."""
    return max(0.0, min(seconds, threading.TIMEOUT_MAX))
