"""
The verdict: a definition and facts to truth over time, and truth to episodes.

Pure: the same facts give the same answer whatever the order in which they became known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from assay_collector.pql.comparators import Comparator, Truth
from assay_collector.pql.definition import (
    All,
    Anchored,
    AnyOf,
    AtLeast,
    Condition,
    Criterion,
    Definition,
    EntityKind,
    Not,
    Signal,
    Trait,
    Use,
)
from assay_collector.pql.steps import Steps, combine
from assay_collector.pql.tallies import Instants, Period, Series, count, distinct_arrivals, reached

UNKNOWN: Steps[Any] = Steps(None)


@dataclass(frozen=True, kw_only=True)
class EntityFacts:
    """Everything known of one person or account that may be used."""

    kind: EntityKind
    series: Mapping[int, Series] = field(default_factory=dict)  # by signal id
    traits: Mapping[Trait, Steps[Any]] = field(default_factory=dict)
    excluded_by: str | None = None  # the name of the list
    instants: Instants

    def series_of(self, signal: Signal) -> Series:
        """The folded tallies of a signal."""
        return self.series.get(signal.id) or Series(signal.id)


@dataclass(frozen=True, slots=True)
class Moment:
    """One step of an episode."""

    episode: int
    step: str  # qualified | exited
    at: int


# --- values --------------------------------------------------------------------------------------------------------


def period_of(use: Use, facts: EntityFacts) -> Period | None:
    """The window in which a signal counts for an entity; None: it has not begun."""
    if not isinstance(use.window, Anchored):
        return Period()
    start = facts.series_of(use.window.anchor).first_at
    return None if start is None else Period(start, start + use.window.length)


def value_at(subject: Use | Trait, facts: EntityFacts, instant: int) -> Any:
    """What a signal or trait was worth at an instant; None: unknown."""
    if isinstance(subject, Trait):
        return facts.traits.get(subject, UNKNOWN).at(instant)
    period = period_of(subject, facts)
    if period is None or period.start > instant:
        return None
    until = Period(period.start, min(period.end, instant + 1))
    series = facts.series_of(subject.signal)
    if subject.signal.aggregate == "distinct":
        return len(distinct_arrivals(series, until, facts.instants))
    return count(series, until, facts.instants)


# --- truth ---------------------------------------------------------------------------------------------------------


def truth(condition: Condition, facts: EntityFacts) -> Steps[Truth]:
    """Whether a condition holds, over all of time."""
    match condition:
        case Criterion(subject=subject, test=test):
            if isinstance(subject, Trait):
                return facts.traits.get(subject, UNKNOWN).map(test.holds)
            return _signal_truth(subject, test, facts)
        case Not(of=inner):
            return truth(inner, facts).map(lambda value: None if value is None else not value)
        case All(of=parts):
            return combine(lambda values: at_least(len(values), values), [truth(part, facts) for part in parts])
        case AnyOf(of=parts):
            return combine(lambda values: at_least(1, values), [truth(part, facts) for part in parts])
        case AtLeast(of=parts):
            need = condition.need
            return combine(lambda values: at_least(need, values), [truth(part, facts) for part in parts])
        case _:
            assert_never(condition)


def at_least(need: int, values: Sequence[Truth]) -> Truth:
    """Kleene's "at least `need` of these": unknown only where the unknown ones could still decide."""
    true = sum(value is True for value in values)
    if true >= need:
        return True
    unknown = sum(value is None for value in values)
    return None if true + unknown >= need else False


def _signal_truth(use: Use, test: Comparator, facts: EntityFacts) -> Steps[Truth]:
    period = period_of(use, facts)
    if period is None:
        return Steps(test.holds(None))
    series = facts.series_of(use.signal)
    changes: list[tuple[int, Truth]] = []
    begins = isinstance(use.window, Anchored)
    if begins:
        changes.append((period.start, test.holds(0)))
    for number in test.turning_points():
        at = _reached(use.signal, series, number, period, facts.instants)
        if at is None:
            break
        changes.append((at, test.holds(number)))
    return Steps.of(test.holds(None if begins else 0), changes)


def _reached(signal: Signal, series: Series, number: int, period: Period, instants: Instants) -> int | None:
    if signal.aggregate == "count":
        return reached(series, number, period, instants)
    arrivals = distinct_arrivals(series, period, instants)
    return arrivals[number - 1] if len(arrivals) >= number else None


# --- episodes ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a definition says of an entity, as of a moment."""

    moments: tuple[Moment, ...]  # up to that moment
    next_at: int | None  # when time alone may change it

    @property
    def is_qualified(self) -> bool:
        return bool(self.moments) and self.moments[-1].step == "qualified"


def decide(definition: Definition, facts: EntityFacts, as_of: int) -> Verdict:
    """
    The episodes of an entity under a definition.

    It qualifies at the first instant at which `qualify` and `eligible` both hold; `eligible` is asked only then. It
    exits when `qualify` no longer holds, and does not qualify again on its own.
    """
    if facts.excluded_by is not None:
        return Verdict((), None)
    qualify = truth(definition.qualify, facts)
    gate = qualify if definition.eligible is None else _both(qualify, truth(definition.eligible, facts))
    moments: list[Moment] = []
    entered = _first(gate, lambda value: value is True, from_instant=None)
    if entered is not None:
        moments.append(Moment(1, "qualified", entered))
        left = _first(qualify, lambda value: value is not True, from_instant=entered)
        if left is not None:
            moments.append(Moment(1, "exited", left))
    upcoming = [moment.at for moment in moments if moment.at > as_of]
    return Verdict(tuple(moment for moment in moments if moment.at <= as_of), min(upcoming, default=None))


def _both(left: Steps[Truth], right: Steps[Truth]) -> Steps[Truth]:
    return combine(lambda values: at_least(2, values), [left, right])


def _first(steps: Steps[Truth], wanted: Any, from_instant: int | None) -> int | None:
    """The first change to a wanted value, after an instant. What has always held has no beginning and is no event."""
    return next(
        (at for at, value in steps.changes if (from_instant is None or at > from_instant) and wanted(value)), None
    )
