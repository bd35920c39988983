"""
From tallies to instants: what a signal was worth, and when it reached a number.

Tallies are kept by the hour. The first and the last instant of each hour are known, which answers most questions
exactly; when a question falls between them, the hour's own instants are asked for (`Instants`). So every answer is
exact, and raw events are read for an hour or two at most.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from assay.contract.times import HOUR, INSTANT_MAX, INSTANT_MIN

# (signal id, hour) -> the matching events of that hour, each (instant, item), in order of time.
Instants = Callable[[int, int], Sequence[tuple[int, bytes | None]]]


class Span(NamedTuple):
    """Events within one hour: how many, the first and the last."""

    hour: int
    n: int
    first_at: int
    last_at: int


@dataclass(frozen=True, slots=True)
class Series:
    """All that is folded of one signal for one entity; one span an hour, ascending."""

    signal: int
    spans: tuple[Span, ...] = ()
    items: Mapping[bytes, tuple[Span, ...]] = field(default_factory=dict)  # distinct value -> where it was seen

    @staticmethod
    def fold(signal: int, spans: Iterable[Span], items: Iterable[tuple[bytes, Span]] = ()) -> "Series":
        """
        Fold rows of any number of leaves.

        A commutative monoid: the order and grouping of the rows never show.
        """
        by_item: dict[bytes, list[Span]] = {}
        for item, span in items:
            by_item.setdefault(item, []).append(span)
        return Series(signal, _by_hour(spans), {item: _by_hour(found) for item, found in by_item.items()})

    @property
    def first_at(self) -> int | None:
        """The first matching event."""
        return self.spans[0].first_at if self.spans else None


def _by_hour(spans: Iterable[Span]) -> tuple[Span, ...]:
    hours: dict[int, Span] = {}
    for span in spans:
        known = hours.get(span.hour)
        hours[span.hour] = (
            span
            if known is None
            else Span(
                span.hour,
                known.n + span.n,
                min(known.first_at, span.first_at),
                max(known.last_at, span.last_at),
            )
        )
    return tuple(hours[hour] for hour in sorted(hours))


@dataclass(frozen=True, slots=True)
class Period:
    """From `start`, inclusive, to `end`, exclusive."""

    start: int = INSTANT_MIN
    end: int = INSTANT_MAX + 1

    def covers(self, span: Span) -> bool:
        """Every event of the span lies within."""
        return self.start <= span.first_at and span.last_at < self.end

    def misses(self, span: Span) -> bool:
        """No event of the span lies within."""
        return span.last_at < self.start or self.end <= span.first_at

    def __contains__(self, at: int) -> bool:
        return self.start <= at < self.end


def count(series: Series, period: Period, instants: Instants) -> int:
    """How many events lie within the period."""
    return sum(_count_of_span(series.signal, span, period, instants) for span in series.spans)


def reached(series: Series, number: int, period: Period, instants: Instants) -> int | None:
    """When the count within the period reached a number (>= 1); None: never."""
    before = 0
    for span in series.spans:
        within = _count_of_span(series.signal, span, period, instants)
        if before + within >= number:
            return _nth_of_span(series.signal, span, number - before, period, instants)
        before += within
    return None


def _count_of_span(signal: int, span: Span, period: Period, instants: Instants) -> int:
    if period.misses(span):
        return 0
    if period.covers(span):
        return span.n
    if span.n == 2:  # both instants are known
        return (span.first_at in period) + (span.last_at in period)
    return sum(at in period for at, _ in instants(signal, span.hour))


def _nth_of_span(signal: int, span: Span, nth: int, period: Period, instants: Instants) -> int:
    if period.covers(span) and nth == 1:
        return span.first_at
    if period.covers(span) and nth == span.n:
        return span.last_at
    return sorted(at for at, _ in instants(signal, span.hour) if at in period)[nth - 1]


def distinct_arrivals(series: Series, period: Period, instants: Instants) -> list[int]:
    """When each distinct value was first seen within the period; ascending."""
    found = (_first_within(series.signal, item, spans, period, instants) for item, spans in series.items.items())
    return sorted(at for at in found if at is not None)


def _first_within(signal: int, item: bytes, spans: Sequence[Span], period: Period, instants: Instants) -> int | None:
    for span in spans:
        if period.misses(span):
            continue
        if span.first_at in period:
            return span.first_at
        # The hour began before the period: its first sight of the value does not count, a later one may.
        inside = [at for at, seen in instants(signal, span.hour) if seen == item and at in period]
        if inside:
            return min(inside)
    return None


def hour_of(at: int) -> int:
    """The tally hour of an instant."""
    return at // HOUR
