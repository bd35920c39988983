"""Telling the app and its logs what went wrong: every case to the callbacks, one log line per reason and interval."""

import logging
import threading
import time
from collections.abc import Callable

from assay.contract.errors import AssayError

log = logging.getLogger("assay")

# Event names come into keys, and some apps make them up; beyond this many they share a line.
KEYS_MAX = 500

OnDrop = Callable[[str, int], None]
OnError = Callable[[AssayError], None]


class Notices:
    """
    Calls back and logs. It holds and writes reasons, names and counts; never payload, never the key.

    Args:
        on_drop: Called with a reason and how many events were dropped for it.
        on_error: Called with each error.
        interval_seconds: Between two log lines of the same reason; what comes between is summed up in the next.
    """

    def __init__(self, on_drop: OnDrop | None, on_error: OnError | None, interval_seconds: float = 60.0) -> None:
        self._on_drop = on_drop
        self._on_error = on_error
        self._interval_seconds = interval_seconds
        self._lock = threading.RLock()
        # line -> (time of the last one, count since)
        self._lines: dict[str, tuple[float, int]] = {}

    @property
    def wants_errors(self) -> bool:
        return self._on_error is not None

    def dropped(self, reason: str, count: int, error: AssayError, detail: str = "") -> None:
        """Events were dropped. detail: goes into the log line; an error's code or class, never content."""
        if self._on_drop is not None:
            self._call(self._on_drop, reason, count)
        self.failed(error)
        self.say(f"assay.events_dropped reason={reason}", count, detail)

    def failed(self, error: AssayError) -> None:
        """Something went wrong that the app may want to know."""
        if self._on_error is not None:
            self._call(self._on_error, error)

    def is_due(self, line: str) -> bool:
        """Whether the next ``say`` of this line writes it."""
        with self._lock:
            said_at, _ = self._lines.get(line, (float("-inf"), 0))
            return time.monotonic() - said_at >= self._interval_seconds

    def say(self, line: str, count: int = 1, detail: str = "") -> None:
        """Write the line with its count and detail, or add to the count of the next one."""
        due = self._counted(line, count)
        if due:
            log.warning("%s count=%d%s", line, due, f" {detail}" if detail else "")

    def close(self) -> None:
        """Write what was counted since the last lines."""
        with self._lock:
            left = [(line, count) for line, (_, count) in self._lines.items() if count]
            self._lines.clear()
        for line, count in left:
            log.warning("%s count=%d", line, count)

    def _counted(self, line: str, count: int) -> int:
        now = time.monotonic()
        with self._lock:
            if line not in self._lines and len(self._lines) >= KEYS_MAX:
                line = line.partition(" ")[0]
            said_at, waiting = self._lines.get(line, (float("-inf"), 0))
            is_due = now - said_at >= self._interval_seconds
            self._lines[line] = (now, 0) if is_due else (said_at, waiting + count)
            return waiting + count if is_due else 0

    def _call(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            callback(*arguments)
        except Exception as error:  # noqa: BLE001 - an app's callback must not stop its own events
            self.say(f"assay.callback_failed error={type(error).__name__}")
