"""In the background: erasures go on, requests are finished, and what was kept long enough goes."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from assay.contract.times import DAY, SECOND
from assay_collector.privacy.office import Office
from assay_collector.store import EventRow, Retention, RetentionClass, StoreUnavailable

log = logging.getLogger("assay_collector.privacy")

LOOK_SECONDS = 1.0
SWEEP_EVERY = 3_600 * SECOND
SWEEP_ROWS = 200
# Erasing takes at most this share of a processor's time, so that whoever writes beside it has the rest.
BUSY_SHARE = 0.2
PAUSE_SECONDS_MIN = 0.002


@dataclass(frozen=True, kw_only=True, slots=True)
class Periods:
    """How long things are kept, in days; 0: for ever."""

    events: int = 0  # those that no definition reads
    others: Mapping[RetentionClass, int] = field(default_factory=dict)


class Sweeper:
    """Removes what was kept long enough."""

    def __init__(self, retention: Retention, periods: Periods, *, is_read: Callable[[EventRow], bool]) -> None:
        """
        Args:
            is_read: Whether a definition reads an event; then it is kept.
        """
        self._retention = retention
        self._periods = periods
        self._is_read = is_read
        self._position = 0  # up to here, whatever is left is read by somebody

    def sweep(self, now: int, pause: Callable[[], None]) -> dict[str, int]:
        """Everything that is due now; returns how many rows of each class went."""
        removed = {
            what: self._sweep(what, now - days * DAY, pause) for what, days in self._periods.others.items() if days
        }
        found: dict[str, int] = {str(what): rows for what, rows in removed.items()}
        if self._periods.events:
            found["events"] = self._sweep_events(now - self._periods.events * DAY, pause)
        return found

    def _sweep(self, what: RetentionClass, before: int, pause: Callable[[], None]) -> int:
        total = 0
        while removed := self._retention.sweep(what, before, SWEEP_ROWS):
            total += removed
            pause()
        return total

    def _sweep_events(self, before: int, pause: Callable[[], None]) -> int:
        total = 0
        while True:
            removed, self._position = self._retention.sweep_events(before, SWEEP_ROWS, self._position, self._is_read)
            if removed is None:
                return total
            total += removed
            pause()


class Pace:
    """Rests after work in proportion to it."""

    def __init__(self, clock: Callable[[], int], rest: Callable[[float], object]) -> None:
        """
        Args:
            clock: Microseconds of work done, best the thread's own: who waits for others need not rest for it.
            rest: Waits so many seconds.
        """
        self._clock = clock
        self._rest = rest
        self._since = clock()

    def begin(self) -> None:
        """Work begins now."""
        self._since = self._clock()

    def pause(self) -> None:
        """Rest for the work done since it was last asked."""
        worked = max(0, self._clock() - self._since) / SECOND
        self._rest(max(PAUSE_SECONDS_MIN, worked * (1 - BUSY_SHARE) / BUSY_SHARE))
        self._since = self._clock()


class PrivacyWorker:
    """Carries erasures on, whoever entered them, and sweeps now and then."""

    def __init__(
        self, office: Office, sweeper: Sweeper, *, clock: Callable[[], int], work_clock: Callable[[], int]
    ) -> None:
        """
        Args:
            clock: The time now.
            work_clock: How much this thread has worked, in microseconds.
        """
        self._work_clock = work_clock
        self._office = office
        self._sweeper = sweeper
        self._clock = clock
        self._swept_at = -SWEEP_EVERY

    def run(self, stopping: threading.Event) -> None:
        """Until told to stop; what is under way then goes on at the next start."""
        pace = Pace(self._work_clock, stopping.wait)
        while not stopping.is_set():
            try:
                self._round(stopping, pace)
            except _Stopped:
                return
            except StoreUnavailable as error:
                log.warning("assay.privacy_postponed", extra={"reason": error.reason})
            except Exception:
                # A bug here must not end it: the requests stay under way, and become overdue if nobody looks.
                log.exception("assay.privacy_failed")
            stopping.wait(LOOK_SECONDS)

    def _round(self, stopping: threading.Event, pace: Pace) -> None:
        def pause() -> None:
            pace.pause()
            if stopping.is_set():
                raise _Stopped

        pace.begin()
        for request_id in self._office.erasures():
            self._office.carry_out(request_id, pause)
        self._office.settle()
        if self._clock() - self._swept_at >= SWEEP_EVERY:
            for what, removed in self._sweeper.sweep(self._clock(), pause).items():
                if removed:
                    log.info("assay.retention_swept", extra={"what": what, "rows": removed})
            self._swept_at = self._clock()


class _Stopped(Exception):
    """The worker was told to stop in the middle of something."""
