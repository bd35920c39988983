"""The fence between ingest and a change of what it tallies."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Fence:
    """
    A lock that many hold together, or one alone.

    Whoever takes events in holds it from looking at them until they are committed. Whoever changes what is looked for
    waits for those on the way, and keeps the others out for a moment: so every event was looked at by what held before,
    and committed before, or by what holds afterwards, and committed afterwards.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._is_closed = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Together with others."""
        with self._changed:
            while self._is_closed:
                self._changed.wait()
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                if self._is_closed:
                    self._changed.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Alone; who comes meanwhile waits."""
        with self._changed:
            while self._is_closed:
                self._changed.wait()
            self._is_closed = True
            while self._inside:
                self._changed.wait()
        try:
            yield
        finally:
            with self._changed:
                self._is_closed = False
                self._changed.notify_all()
