"""Long computing in short sections: others get their turn in between."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from assay_collector.store import Turn

SECTION_MICROSECONDS = 400


class Breath:
    """
    The turn to compute, given back whenever a section has lasted long enough.

    Called from within long work; where nobody holds the turn through it, calling it does nothing.
    """

    def __init__(self, turn: Turn, elapsed: Callable[[], int]) -> None:
        """
        Args:
            elapsed: Microseconds that have passed for everybody, from any moment on.
        """
        self._turn = turn
        self._elapsed = elapsed
        self._section: AbstractContextManager[None] | None = None
        self._since = 0
        self._before = 0  # how long all earlier sections lasted

    @contextmanager
    def held(self) -> Iterator[None]:
        """The turn, for work that can wait; not to be entered twice."""
        self._begin()
        try:
            yield
        finally:
            self._end()

    @property
    def worked(self) -> int:
        """For how many microseconds the turn was held in all; what others took in between is left out."""
        return self._before + (0 if self._section is None else self._elapsed() - self._since)

    def __call__(self) -> None:
        """Let others go first, if it is time to."""
        if self._section is not None and self._elapsed() - self._since > SECTION_MICROSECONDS:
            self._end()
            self._begin()

    def _begin(self) -> None:
        section = self._turn.background()
        section.__enter__()
        self._section, self._since = section, self._elapsed()

    def _end(self) -> None:
        section, self._section = self._section, None
        if section is not None:
            self._before += self._elapsed() - self._since
            section.__exit__(None, None, None)
