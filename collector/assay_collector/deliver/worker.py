"""The deliver stage at work: takes what is due, sends it, records what came of it."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from assay.contract.errors import AssayError
from assay.contract.times import SECOND
from assay_collector.deliver.endpoints import Endpoint
from assay_collector.deliver.retry import Delivered, Retry, decide
from assay_collector.deliver.sender import NoAnswer, Sender, SendResult
from assay_collector.store import Delivery, Outbox, OutboxMessage, StoreUnavailable

log = logging.getLogger(__name__)

AT_ONCE_DEFAULT = 8
POLL_SECONDS = 0.5
# Beyond an attempt's own timeout, a lease covers resolving the host's name and recording the result.
LEASE_MARGIN = 60 * SECOND


MaySend = Callable[[OutboxMessage, str, int], bool]


def _always(_message: OutboxMessage, _purpose: str, _now: int) -> bool:
    return True


class Deliverer:
    """
    Sends what the outbox holds, at least once each, and in order for each endpoint and entity.

    A message is leased, sent with no transaction open, and recorded. Whoever dies in between leaves the lease to run
    out; then the same message is sent again under the same id.

    Endpoints do not wait for each other: each has its own share of the threads.
    """

    def __init__(
        self,
        outbox: Outbox,
        sender: Sender,
        endpoints: Sequence[Endpoint],
        *,
        clock: Callable[[], int],
        jitter: Callable[[], float],
        at_once: int = AT_ONCE_DEFAULT,
        may_send: MaySend = _always,
    ) -> None:
        """
        Args:
            endpoints: Messages to endpoints not among these stay in the outbox.
            clock: The time now.
            jitter: Uniform in [0, 1).
            may_send: Whether a message may leave for an endpoint's purpose now; one that may not never will.
            at_once: Messages under way at one time; at least one for each endpoint, so more with many endpoints.
        """
        self._outbox = outbox
        self._sender = sender
        self._endpoints = tuple(endpoints)
        self._clock = clock
        self._jitter = jitter
        self._may_send = may_send
        self._share = max(1, at_once // max(1, len(self._endpoints)))
        self._under_way: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._news = threading.Event()
        self._threads = ThreadPoolExecutor(max(1, self._share * len(self._endpoints)), "assay-deliver")

    def run(self, stop: threading.Event) -> None:
        """Deliver until told to stop; then wait for what is under way, at most as long as the slowest timeout."""
        while not stop.is_set():
            self._news.clear()
            try:
                self._start(self._clock)
            except StoreUnavailable as error:
                log.warning("assay.deliver_waiting", extra={"reason": error.reason})
            self._news.wait(POLL_SECONDS)
        self.close()

    def run_once(self, now: int) -> int:
        """
        Make one attempt at whatever is due now, up to each endpoint's share, and wait for the results.

        Returns:
            How many attempts were made. None means that nothing is due.

        Raises:
            StoreUnavailable: The outbox cannot be read, or a result was not recorded; that message is sent again.
        """
        attempts = self._start(lambda: now)
        wait(attempts)
        for attempt in attempts:
            attempt.result()
        return len(attempts)

    def wake(self) -> None:
        """Look into the outbox now rather than at the next poll; for whoever has just put something there."""
        self._news.set()

    def close(self) -> None:
        """Wait for what is under way and release the threads. Calling it again does nothing."""
        self._threads.shutdown(wait=True)

    def _start(self, clock: Callable[[], int]) -> list["Future[None]"]:
        return [
            self._threads.submit(self._attempt, endpoint, delivery, clock)
            for endpoint in self._endpoints
            for delivery in self._take(endpoint, clock())
        ]

    def _take(self, endpoint: Endpoint, now: int) -> Sequence[Delivery]:
        """Lease no more than can be sent at once, so that no lease runs out while its message waits for a thread."""
        with self._counting:
            free = self._share - self._under_way[endpoint.name]
        if free <= 0:
            return ()
        lease_until = now + int(endpoint.timeout_seconds * SECOND) + LEASE_MARGIN
        taken = self._outbox.due(endpoint.name, now, free, lease_until)
        with self._counting:
            self._under_way[endpoint.name] += len(taken)
        return taken

    def _attempt(self, endpoint: Endpoint, delivery: Delivery, clock: Callable[[], int]) -> None:
        try:
            if not self._may_send(delivery.message, endpoint.purpose, clock()):
                self._outbox.withhold(delivery.message.message_id, endpoint.purpose)
                log.info("assay.webhook_withheld", extra={**_fields(delivery), "purpose": endpoint.purpose})
                return
            result = self._send(endpoint, delivery, clock())
            self._record(delivery, result, clock())
        except StoreUnavailable as error:
            # Sent, perhaps, but not recorded: the lease runs out, and it is sent again under the same id.
            log.warning("assay.webhook_not_recorded", extra={**_fields(delivery), "reason": error.reason})
            raise
        finally:
            with self._counting:
                self._under_way[endpoint.name] -= 1
            self._news.set()

    def _send(self, endpoint: Endpoint, delivery: Delivery, now: int) -> SendResult:
        try:
            return self._sender.send(endpoint, delivery.message, now)
        except Exception as error:
            # A bug in sending counts as a failed attempt, or its message would be tried for ever.
            log.exception("assay.webhook_bug", extra=_fields(delivery))
            detail = str(error) if isinstance(error, AssayError) else type(error).__name__
            return NoAnswer(kind="broken", detail=detail)

    def _record(self, delivery: Delivery, result: SendResult, now: int) -> None:
        attempt = delivery.attempts + 1
        decision = decide(result, attempt=attempt, now=now, jitter=self._jitter())
        message_id = delivery.message.message_id
        if isinstance(decision, Delivered):
            self._outbox.delivered(message_id, now)
            log.debug("assay.webhook_delivered", extra=_fields(delivery))
        elif isinstance(decision, Retry):
            self._outbox.failed(message_id, decision.reason, decision.at)
            log.info(
                "assay.webhook_retried", extra={**_fields(delivery), "delay_seconds": (decision.at - now) / SECOND}
            )
        else:
            self._outbox.failed(message_id, decision.reason, None)
            log.warning("assay.webhook_dead", extra=_fields(delivery))


def _fields(delivery: Delivery) -> dict[str, object]:
    return {
        "endpoint": delivery.message.endpoint,
        "message_id": delivery.message.message_id,
        "attempt": delivery.attempts + 1,
    }
