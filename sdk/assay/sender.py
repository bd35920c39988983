"""The one thread that sends: takes batches, posts them, and settles each event exactly once."""

import random
import threading
import time
from collections import deque
from dataclasses import dataclass

from assay import lifecycle
from assay.buffer import Buffer
from assay.contract.times import format_instant
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
    jittered_seconds,
    retry_delay_seconds,
)
from assay.errors import EventQuarantined, EventsDropped
from assay.notices import Notices
from assay.transport import Transport


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How the sender goes about its work. See the arguments of Client."""

    limits: BatchLimits
    linger_seconds: float
    timeout_seconds: float
    retry_seconds_max: float
    exit_seconds: float


class Sender:
    """
    Carries events from a buffer through a transport, on a daemon thread that starts with the first event.

    An event leaves the buffer's count of pending only after a clean acknowledgement, a final refusal, or a deadline.
    While it runs it is known to the at-exit hook, so events of a client that nobody kept or closed are sent too.
    """

    def __init__(self, buffer: Buffer, transport: Transport, notices: Notices, pace: Pace) -> None:
        self._buffer = buffer
        self._transport = transport
        self._notices = notices
        self._pace = pace
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._gave_up = False
        self._not_before = 0.0
        self.started = False

    def start(self) -> None:
        """Start the thread, once. Where no thread can be had any more, ``close`` sends on its own."""
        with self._starting:
            if self.started:
                return
            self.started = True
            lifecycle.started(self)
            thread = threading.Thread(target=self._run, name="assay-sender", daemon=True)
            try:
                thread.start()
                self._thread = thread
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
            self._thread.join(max(0.0, min(self._buffer.ends_at - time.monotonic(), threading.TIMEOUT_MAX)))
        lifecycle.stopped(self)
        self._tell_dropped(DropReason.DEADLINE, self._buffer.abandon(), f"not sent within {timeout_seconds:g} s")
        unanswered = self._buffer.stats().pending
        if unanswered:
            self._notices.say("assay.unanswered_at_close", unanswered)
        self._notices.close()
        return self._lost() - lost_before + unanswered

    def _lost(self) -> int:
        return self._buffer.stats().dropped.get(DropReason.DEADLINE, 0)

    def _run(self) -> None:
        try:
            while not self._gave_up and self._buffer.wait_for_batch(self._pace.limits, self._pace.linger_seconds):
                self._deliver(self._buffer.take(self._pace.limits))
        finally:
            self._transport.close()

    def _deliver(self, batch: list[bytes]) -> None:
        # Halves of a split batch go back to the front, so events leave in their order.
        parts = deque([batch])
        while parts:
            part = parts.popleft()
            decision = self._final_answer(part)
            if isinstance(decision, Split):
                parts.extendleft(reversed(halves(part)))
            else:
                self._settle(part, decision)

    def _final_answer(self, events: list[bytes]) -> Delivered | Refused | Split:
        """Send the same events until the collector, or the time we have, says the last word on them."""
        attempt, first_at, was_closed = 0, time.monotonic(), self._buffer.closed
        while True:
            if not self._wait_as_asked():
                return Refused(DropReason.DEADLINE, "")
            attempt += 1
            decision = decide(self._send(events), len(events), time.time())
            if not isinstance(decision, Retry):
                return decision
            reason = self._wait(decision, attempt, first_at)
            if reason is not None:
                return Refused(reason, decision.detail)
            if self._buffer.closed and not was_closed:
                attempt, was_closed = 0, True  # the last seconds are too few for the long waits of an outage

    def _send(self, events: list[bytes]) -> Answer:
        seconds = min(self._pace.timeout_seconds, self._buffer.ends_at - time.monotonic())
        if seconds <= 0:
            return Answer(status=0, failure="deadline")
        body = batch_body(events, format_instant(time.time_ns() // 1_000_000 * 1_000))
        try:
            return self._transport.send(body, timeout_seconds=seconds)
        except Exception as error:  # noqa: BLE001 - a transport of the app's own must not stop the thread
            return Answer(status=0, failure=type(error).__name__)

    def _wait(self, retry: Retry, attempt: int, first_at: float) -> DropReason | None:
        delay = retry_delay_seconds(attempt, retry.asked_seconds)
        seconds = jittered_seconds(delay, random.random())  # noqa: S311 - spreads clients; no secret
        now = time.monotonic()
        asked_seconds = min(retry.asked_seconds, seconds)
        self._not_before = now + asked_seconds
        if now - first_at + seconds > self._pace.retry_seconds_max:
            return DropReason.EXPIRED
        self._notices.say(
            f"assay.batch_retried reason={retry.detail!r}", detail=f"attempt={attempt} delay_seconds={seconds:.1f}"
        )
        return None if self._pause(seconds, asked_seconds) else DropReason.DEADLINE

    def _wait_as_asked(self) -> bool:
        """A Retry-After is for the collector's sake, so it also holds for the batch that comes next."""
        seconds = self._not_before - time.monotonic()
        return not self._gave_up and (seconds <= 0 or self._pause(seconds, seconds))

    def _pause(self, seconds: float, asked_seconds: float) -> bool:
        in_time = self._buffer.pause(seconds, asked_seconds)
        # What cannot be tried again in time is no use trying for every batch that is left.
        self._gave_up = not in_time
        return in_time

    def _settle(self, events: list[bytes], decision: Delivered | Refused) -> None:
        count = len(events)
        if isinstance(decision, Refused):
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
