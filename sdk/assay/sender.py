"""The one thread that sends: takes batches, posts them, and settles each event exactly once."""

import os
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from assay import lifecycle, reports
from assay.buffer import Buffer, Waited
from assay.contract.times import format_instant
from assay.course import Breaker, Course, expires
from assay.delivery import (
    Answer,
    BatchLimits,
    Delivered,
    DropReason,
    Refused,
    Retry,
    Split,
    batch_body,
    decide,
    halves,
)
from assay.errors import EventQuarantined, EventsDropped
from assay.following import PlanFollower
from assay.notices import Notices
from assay.reports import REPORT_SECONDS
from assay.transport import Reporter, Transport

if TYPE_CHECKING:
    from assay.spool import Spool

# How often the spool is searched for what processes that ended have left.
LOOK_SECONDS = 5.0
REPORT_TIMEOUT_SECONDS = 1.0


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How the sender goes about its work. See the arguments of Client."""

    limits: BatchLimits
    linger_seconds: float
    timeout_seconds: float
    retry_seconds_max: float
    exit_seconds: float
    breaker: Breaker


class Sender:
    """
    Carries events from a buffer through a transport, on a daemon thread that starts with the first event.

    An event leaves the buffer's count of pending only after a clean acknowledgement, a final refusal, or a deadline.
    While it runs it is known to the at-exit hook, so events of a client that nobody kept or closed are sent too.
    """

    def __init__(
        self,
        buffer: Buffer,
        transport: Transport,
        notices: Notices,
        pace: Pace,
        spool: "Spool | None" = None,
        follower: PlanFollower | None = None,
    ) -> None:
        self._buffer = buffer
        self._follower = follower
        self._spool = spool
        self._look_at = 0.0
        self._transport = transport
        self._notices = notices
        self._pace = pace
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._course = Course(breaker=pace.breaker)
        self._gave_up = False
        self._told: reports.Counts = reports.NOTHING
        self._report_at = time.monotonic() + REPORT_SECONDS
        self._was_closed = False
        self.started = False

    def start(self) -> None:
        """Start the thread, once. Where no thread can be had any more, ``close`` sends on its own."""
        with self._starting:
            if self.started:
                return
            self.started = True
            lifecycle.started(self)
            # Known before it runs: a signal may close the client while this waits for the thread to begin.
            self._thread = threading.Thread(target=self._run, name="assay-sender", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # the interpreter is shutting down
                self._thread = None

    def nudge(self) -> None:
        """Send at once what is pending, without waiting for it."""
        self._buffer.flush(0)

    def flush(self, began: float) -> None:
        """Wait until what is pending has been sent, for ``exit_seconds`` from a moment on (monotonic seconds)."""
        self._buffer.flush(began + self._pace.exit_seconds - time.monotonic())

    def hurry(self, began: float) -> float:
        """Take no more events. Returns: monotonic seconds at which the time for the rest is over."""
        self._buffer.close(began + self._pace.exit_seconds)
        return self._buffer.ends_at

    def close(self, timeout_seconds: float) -> int:
        """
        Send what is left, for so long, then stop and close the transport.

        Returns:
            How many events were not delivered for want of time: dropped as ``deadline``, or still without an answer.
        """
        lost_before = self._lost()
        self._buffer.close(time.monotonic() + timeout_seconds)
        if self._thread is None:
            self._run()  # never started, or could not be: nothing else sends
        elif self._thread is not threading.current_thread():
            self._buffer.wait_for_release(self._buffer.ends_at)
        lifecycle.stopped(self)
        self._tell_dropped(DropReason.DEADLINE, self._buffer.abandon(), f"not sent within {timeout_seconds:g} s")
        stats = self._buffer.stats()
        if stats.spooled:
            self._notices.say("assay.events_left_in_spool", stats.spooled)
        if stats.pending > stats.spooled:
            self._notices.say("assay.unanswered_at_close", stats.pending - stats.spooled)
        self._notices.close()
        return self._lost() - lost_before + stats.pending

    def _lost(self) -> int:
        return self._buffer.stats().dropped.get(DropReason.DEADLINE, 0)

    def _run(self) -> None:
        try:
            while not self._gave_up and self._next() is not Waited.OVER:
                self._deliver(self._buffer.take(self._pace.limits))
            self._report(time.monotonic(), is_last=True)
        finally:
            self._transport.close()
            self._buffer.release()

    def _next(self) -> Waited:
        """Wait for a batch; look now and then for what other processes have left, and for another plan."""
        while True:
            self._look()
            seconds = min(self._look_at, self._follow()) - time.monotonic()
            waited = self._buffer.wait_for_batch(self._pace.limits, self._pace.linger_seconds, seconds)
            if waited is not Waited.IDLE:
                return waited

    def _look(self) -> None:
        spool, now = self._spool, time.monotonic()
        if spool is None:
            self._look_at = float("inf")
        elif now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            found = spool.find()
            self._buffer.recover(lambda: spool.put(found))
            self._tell_troubles()

    def _follow(self) -> float:
        """Look for another plan, if it is time. Returns: when to look again, in monotonic seconds."""
        if self._follower is None or self._buffer.closed:
            return float("inf")
        return self._follower.look(self._pace.timeout_seconds)

    def _tell_troubles(self) -> None:
        trouble = self._buffer.trouble()
        if trouble:
            self._notices.say(f"assay.spool_{trouble}")
        for reason, count in self._buffer.untold().items():
            self._tell_dropped(reason, count, "in the spool")

    def _deliver(self, batch: list[bytes]) -> None:
        """Send the same events until the collector, or the time we have, says the last word on each of them."""
        self._tell_troubles()
        # What is to be sent again goes back to the front, so events leave in their order.
        parts = deque([batch] if batch else [])
        first_at: float | None = None
        while parts and self._await_turn():
            part = parts.popleft()
            if self._course.is_open and len(part) > 1:
                # One event is enough to learn whether the collector is there again.
                parts.appendleft(part[1:])
                part = part[:1]
            first_at = time.monotonic() if first_at is None else first_at
            decision = decide(self._send(part), len(part), time.time())
            if isinstance(decision, Retry):
                parts.appendleft(part)
                if not self._may_retry(decision, first_at):
                    self._settle(_joined(parts), Refused(DropReason.EXPIRED, decision.detail))
                    return
                continue
            self._course = self._course.succeeded()
            if isinstance(decision, Split):
                parts.extendleft(reversed(halves(part)))
            else:
                self._settle(part, decision)
        if parts:
            self._settle(_joined(parts), Refused(DropReason.DEADLINE, ""))
        elif time.monotonic() >= self._report_at:
            self._report(time.monotonic(), is_last=False)

    def _may_retry(self, retry: Retry, first_at: float) -> bool:
        self._course = self._course.failed(retry, time.monotonic(), _draw())
        if expires(first_at, self._course.ready_at, self._pace.retry_seconds_max):
            return False
        self._buffer.count_retry()
        seconds = self._course.ready_at - time.monotonic()
        self._notices.say(
            f"assay.batch_retried reason={retry.detail!r}",
            detail=f"attempt={self._course.failures} delay_seconds={seconds:.1f}",
        )
        return True

    def _await_turn(self) -> bool:
        """Wait until a request may go. Returns: whether there is time for it; what has none now has none later."""
        hurries = self._buffer.hurries
        while not self._gave_up:
            if self._buffer.closed and not self._was_closed:
                self._was_closed = True
                self._course = self._course.closing()
            ready_at = self._course.ready_at
            if ready_at >= self._buffer.ends_at:
                self._gave_up = True
            elif ready_at <= time.monotonic():
                return True
            elif self._buffer.wait(ready_at, hurries):
                hurries = self._buffer.hurries
                self._course = self._course.hurried()
        return False

    def _send(self, events: list[bytes]) -> Answer:
        seconds = min(self._pace.timeout_seconds, self._buffer.ends_at - time.monotonic())
        if seconds <= 0:
            return Answer(status=0, failure="deadline")
        body = batch_body(events, format_instant(time.time_ns() // 1_000_000 * 1_000))
        try:
            return self._transport.send(body, timeout_seconds=seconds)
        except Exception as error:  # noqa: BLE001 - a transport of the app's own must not stop the thread
            return Answer(status=0, failure=type(error).__name__)

    def _report(self, now: float, *, is_last: bool) -> None:
        """Tell the collector how this client fares, if it is there; nobody waits for that, and no event hangs on it."""
        self._report_at = now + REPORT_SECONDS
        if not isinstance(self._transport, Reporter) or self._course.failures or self._gave_up:
            return
        current = reports.counts(self._buffer.stats())
        body = reports.report(current, self._told)
        seconds = min(REPORT_TIMEOUT_SECONDS, self._pace.timeout_seconds, self._buffer.ends_at - now)
        if body is None or seconds <= 0 or (is_last and not reports.has_losses(current, self._told)):
            return
        try:
            answer = self._transport.report(body, timeout_seconds=seconds)
        except Exception:  # noqa: BLE001 - a transport of the app's own must not stop the thread
            return
        if answer.status == 200:
            self._told = current

    def _settle(self, events: list[bytes], decision: Delivered | Refused) -> None:
        count = len(events)
        if isinstance(decision, Refused):
            if decision.reason is DropReason.DEADLINE and self._buffer.lasts:
                self._buffer.give_back(count)
                return
            self._buffer.settle(dropped={decision.reason: count})
            self._tell_dropped(decision.reason, count, decision.detail)
            return
        rejected = decision.rejected[:count]
        quarantined = decision.quarantined[: count - len(rejected)]
        self._buffer.settle(
            delivered=count - len(rejected), dropped={DropReason.REJECTED: len(rejected)}, quarantined=len(quarantined)
        )
        for each in rejected:
            self._tell_dropped(DropReason.REJECTED, 1, f"{each.code} {each.message_id}".strip())
        for each in quarantined:
            self._notices.failed(EventQuarantined(each.message_id, each.code))
            self._notices.say(f"assay.event_quarantined code={each.code!r}")

    def _tell_dropped(self, reason: DropReason, count: int, detail: str) -> None:
        if count:
            self._notices.dropped(reason, count, EventsDropped(reason, count, detail), f"detail={detail!r}")


def _draw() -> float:
    """A random number from [0, 1); the module for that takes long to import."""
    return int.from_bytes(os.urandom(4)) / 2**32


def _joined(parts: Iterable[list[bytes]]) -> list[bytes]:
    return [event for part in parts for event in part]
