"""Taking turns: one thread computes at a time, and background work goes last."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# How long background work lets others go first, and how often it looks. It never waits longer, so that under any load
# it gets about one turn in as many milliseconds.
PATIENCE_SECONDS = 0.005
LOOK_SECONDS = 0.0005
# For each turn that others have had of late, background work rests this long before its own, up to the most it may.
# The lock alone is not enough: whoever comes back from the disk waits for the interpreter, and a thread that computes
# gives that up late.
REST_SECONDS = 0.0005
REST_SECONDS_MAX = 0.01


class Turns:
    """
    A lock that knows whether somebody is waiting for it.

    A plain lock is not fair: a thread that releases and takes it again in a loop keeps the others out for as long as it
    likes. Requests must not wait for a backlog of decisions, so those ask for their turn with `background`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting = 0
        self._taken = 0  # turns of others than background work
        self._looked_at = 0  # how many of them there had been when background work last asked

    def __enter__(self) -> None:
        self._taken += 1
        if not self._lock.acquire(blocking=False):
            # Not exact under a race, and need not be: it only decides who is polite to whom.
            self._waiting += 1
            self._lock.acquire()
            self._waiting -= 1

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @contextmanager
    def background(self) -> Iterator[None]:
        """A turn for work that can wait: others go first, for a few milliseconds at most."""
        others, self._looked_at = self._taken - self._looked_at, self._taken
        if others:
            time.sleep(min(others * REST_SECONDS, REST_SECONDS_MAX))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (self._waiting > 0 or self._lock.locked()) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        with self._lock:
            yield
