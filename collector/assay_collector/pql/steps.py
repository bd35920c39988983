"""
Values over time.

Everything a decision is made from (a count, a trait, a truth) is a step function of time: a value that holds until the
next change. Conditions are then plain functions applied at every instant at once, and the questions "since when?", "is
it true now?" and "when may it change?" are three ways of reading one result.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Generic, TypeVar

V = TypeVar("V")
W = TypeVar("W")

_instant = itemgetter(0)


@dataclass(frozen=True, slots=True)
class Steps(Generic[V]):
    """
    A value over all of time: `initial` until the first change, then each change's value from its instant on.

    Instants ascend strictly, and no change repeats the value before it, so equal functions are equal values.
    """

    initial: V
    changes: tuple[tuple[int, V], ...] = ()

    @staticmethod
    def of(initial: W, changes: Iterable[tuple[int, W]]) -> "Steps[W]":
        """The function through these changes; of several at one instant the last counts."""
        kept: list[tuple[int, W]] = []
        for at, value in sorted(changes, key=_instant):
            if kept and kept[-1][0] == at:
                kept.pop()
            before = kept[-1][1] if kept else initial
            if value != before or type(value) is not type(before):
                kept.append((at, value))
        return Steps(initial, tuple(kept))

    def at(self, instant: int) -> V:
        """The value at an instant."""
        index = bisect_right(self.changes, instant, key=_instant)
        return self.changes[index - 1][1] if index else self.initial

    def next_change(self, after: int) -> int | None:
        """The first instant after `after` at which the value changes."""
        index = bisect_right(self.changes, after, key=_instant)
        return self.changes[index][0] if index < len(self.changes) else None

    def map(self, function: Callable[[V], W]) -> "Steps[W]":
        """The function applied at every instant."""
        return Steps.of(function(self.initial), [(at, function(value)) for at, value in self.changes])


def combine(function: Callable[[Sequence[Any]], W], parts: Sequence[Steps[Any]]) -> Steps[W]:
    """A function of several values, applied at every instant."""
    values = [part.initial for part in parts]
    initial = function(values)
    merged = sorted(
        ((at, index, value) for index, part in enumerate(parts) for at, value in part.changes),
        key=_instant,
    )
    changes: list[tuple[int, W]] = []
    for at, index, value in merged:
        values[index] = value
        # Several parts may change at one instant; `of` keeps the last, which has seen them all.
        changes.append((at, function(values)))
    return Steps.of(initial, changes)
