"""
Sweeps: from events and their presence to a value over time.

Each fold here is commutative and associative over its events: the order in which they are given never shows. Sums are
whole millionths, so no rounding depends on the order either.
"""

from bisect import bisect_left, insort
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import groupby
from typing import Any, NamedTuple

from assay_collector.pql.comparators import as_number
from assay_collector.pql.presence import FOREVER, Presence
from assay_collector.pql.steps import Steps

MILLIONTH = Decimal("0.000001")


class Occurrence(NamedTuple):
    """A matching event: when, whose, and the value of the property that the aggregate reads."""

    at: int
    event_id: bytes
    person: bytes = b""
    value: Any = None


Present = tuple[Occurrence, Presence]


def weighted(changes: Iterable[tuple[int, int]]) -> Steps[int]:
    """The running sum of changes (instant, amount), from 0."""
    turns: dict[int, int] = {}
    for at, amount in changes:
        turns[at] = turns.get(at, 0) + amount
    total = 0
    steps: list[tuple[int, int]] = []
    for at in sorted(turns):
        if turns[at] and at < FOREVER:
            total += turns[at]
            steps.append((at, total))
    return Steps(0, tuple(steps))


def counted(present: Iterable[Present]) -> Steps[int]:
    """How many are present."""
    return weighted(change for _, (start, end) in present for change in ((start, 1), (end, -1)))


def distinct(present: Iterable[tuple[Hashable, Presence]]) -> Steps[int]:
    """How many different things are present at least once."""
    spells: dict[Hashable, list[Presence]] = {}
    for thing, spell in present:
        spells.setdefault(thing, []).append(spell)
    return weighted(change for found in spells.values() for change in _union(found))


def _union(spells: list[Presence]) -> Iterable[tuple[int, int]]:
    """+1 where a thing comes, -1 where its last presence ends; overlapping presences are one."""
    end: int | None = None
    for start, until in sorted(spells):
        if end is None or start > end:
            if end is not None:
                yield end, -1
            yield start, 1
            end = until
        else:
            end = max(end, until)
    if end is not None:
        yield end, -1


def summed(present: Iterable[Present]) -> Steps[Decimal]:
    """The sum of the values that are numbers, to the millionth."""
    amounts = ((millionths(found.value), spell) for found, spell in present)
    total = weighted(
        change for amount, (start, end) in amounts if amount is not None for change in ((start, amount), (end, -amount))
    )
    return total.map(lambda amount: Decimal(amount) * MILLIONTH)


def millionths(value: Any) -> int | None:
    """A number as whole millionths, half to even; None: it is no number, or too large to add."""
    number = as_number(value)
    if number is None or abs(number) > Decimal(10) ** 18:
        return None
    return int((number / MILLIONTH).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def extreme(present: Iterable[Present], pick: str) -> Steps[Any]:
    """
    The value of one of those present; None while there is none.

    Args:
        pick: min or max, by the value (numbers only); first or last, by (time, event id).
    """
    by_value = pick in ("min", "max")
    entries: list[tuple[Any, Presence]] = []
    for found, spell in present:
        key = millionths(found.value) if by_value else (found.at, found.event_id)
        if key is not None and found.value is not None:
            # The least of "5" and 7 is the number 5, as it is the number in a sum.
            value = as_number(found.value) if by_value else found.value
            entries.append(((key, found.at, found.event_id, _Opaque(value)), spell))
    changes = sorted(
        (
            (at, comes, key)
            for key, (start, end) in entries
            for at, comes in ((start, True), (end, False))
            if at < FOREVER
        ),
        key=lambda change: change[0],
    )
    active: list[Any] = []
    steps: list[tuple[int, Any]] = []
    for at, group in groupby(changes, key=lambda change: change[0]):
        for _, comes, key in group:
            if comes:
                insort(active, key)
            else:
                del active[bisect_left(active, key)]
        chosen = None if not active else active[0] if pick in ("min", "first") else active[-1]
        steps.append((at, None if chosen is None else chosen[3].value))
    return Steps.of(None, steps)


@dataclass(frozen=True, slots=True)
class _Opaque:
    """A value that rides along with its key and is never compared: the keys before it are unique."""

    value: Any

    def __lt__(self, other: object) -> bool:
        return False
