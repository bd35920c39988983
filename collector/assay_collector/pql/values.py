"""
Values over time: what a subject (a signal, a trait, a ratio, members, a sequence, the score) is worth at every instant.

One way for all windows and aggregates: the matching events, the presence that the window gives each, and a sweep over
those. For counts in windows that only ever grow there is a second, quicker way to the same truth, from tallies alone;
``decision`` takes it where it can, and tests hold the two against each other.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, assert_never

from assay.contract.times import DAY, HOUR
from assay_collector.pql import definition as d
from assay_collector.pql.comparators import Comparator, Truth, as_number
from assay_collector.pql.presence import FOREVER, Presence, is_zone, local_day, presence, reach, start_of_day
from assay_collector.pql.steps import Steps, combine
from assay_collector.pql.sweeps import (
    MILLIONTH,
    Occurrence,
    counted,
    distinct,
    extreme,
    millionths,
    summed,
    weighted,
)
from assay_collector.pql.tallies import Instants, Period, Series

UNKNOWN: Steps[Any] = Steps(None)
# Until when, inclusive, another event stands together with one at an instant for all between them.
StandsUntil = Callable[[int], int]
# Decayed points are computed to so many digits before they are rounded to millionths.
_DIGITS = 40


@dataclass(frozen=True, kw_only=True)
class EntityFacts:
    """Everything known of one person or account that may be used."""

    kind: d.EntityKind
    series: Mapping[int, Series] = field(default_factory=dict)  # by signal id
    traits: Mapping[d.Trait, Steps[Any]] = field(default_factory=dict)
    excluded_by: str | None = None  # the name of the list
    instants: Instants
    # The matching events of a signal, in any order; every one that may be used.
    occurrences: Callable[[int], Sequence[Occurrence]] = lambda _: ()
    # The same, without those that lie between two which stand for them.
    sights: Callable[[int, StandsUntil], Sequence[Occurrence]] | None = None
    # Called now and then during long work, so that others get their turn; no value depends on it.
    breathe: Callable[[], None] = lambda: None
    # For accounts: the traits of its people.
    traits_of_member: Callable[[bytes], Mapping[d.Trait, Steps[Any]]] = lambda _: {}

    def sights_of(self, signal: d.Signal, stands_until: StandsUntil) -> Sequence[Occurrence]:
        """
        Matching events of a signal, for whoever asks only where something was seen at all.

        Args:
            stands_until: Up to when two events, of one person and with one value, say all of what is between them.
        """
        return self.occurrences(signal.id) if self.sights is None else self.sights(signal.id, stands_until)

    def series_of(self, signal: d.Signal) -> Series:
        """The folded tallies of a signal."""
        return self.series.get(signal.id) or Series(signal.id)

    @cached_property
    def said_zone(self) -> Any:
        """The latest word on the account's time zone, whatever it is; None: there is none."""
        said = self.traits.get(d.ZONE, UNKNOWN)
        return said.changes[-1][1] if said.changes else said.initial

    @property
    def zone(self) -> str | None:
        """The account's time zone; None: nobody said, or what was said is none."""
        return self.said_zone if is_zone(self.said_zone) else None


def period_of(window: d.Window, facts: EntityFacts) -> Period | None:
    """The period of an anchored window; None: it has not begun, or the window is of another kind."""
    if not isinstance(window, d.Anchored):
        return None
    start = facts.series_of(window.anchor).first_at
    return None if start is None else Period(start, start + window.length)


def values(subject: d.Subject, facts: EntityFacts, score: Steps[Any] = UNKNOWN) -> Steps[Any]:
    """
    What a subject is worth over time; None where it is unknown.

    Args:
        score: The definition's score, for conditions that ask for it.
    """
    match subject:
        case d.Trait():
            return facts.traits.get(subject, UNKNOWN)
        case d.NamedTrait(trait=trait):
            return facts.traits.get(trait, UNKNOWN)
        case d.Use():
            return _known_from(subject.window, facts, _fold(subject, _seen(subject, facts), facts))
        case d.Sequence():
            return _known_from(subject.window, facts, counted(_sequences(subject, facts)))
        case d.Ratio(above=above, below=below):
            return combine(_divide, [values(above, facts), values(below, facts)])
        case d.Members():
            return _members(subject, facts)
        case d.ScorePoints():
            return score
        case _:
            assert_never(subject)


def since_truth(use: d.Use, test: Comparator, facts: EntityFacts, observed: int | None) -> Steps[Truth]:
    """
    Whether a test holds of the time since the last event.

    Before the first it is unknown, and at least as long as the entity was observed without one.

    Args:
        observed: Since when it was; None: never.
    """
    # Between two events that are closer than any turning point nothing turns.
    nearest = min(test.turning_points(), default=FOREVER)
    spans = facts.series_of(use.signal).spans
    if all(span.n <= 2 or span.last_at - span.first_at < nearest for span in spans):
        instants = sorted({at for span in spans for at in (span.first_at, span.last_at)})
    else:
        instants = sorted({found.at for found in facts.occurrences(use.signal.id)})
    turns = [(elapsed, test.holds(elapsed)) for elapsed in (0, *test.turning_points())]
    changes: list[tuple[int, Truth]] = []
    if observed is not None and test.operands:
        settled = max(test.turning_points(), default=0)
        # If an event comes first, the changes from there on take over.
        if not instants or observed + settled < instants[0]:
            changes.append((observed + settled, test.holds(settled)))
    for at, following in pairwise([*instants, FOREVER]):
        changes += [(at + elapsed, truth) for elapsed, truth in turns if at + elapsed < following]
    return Steps.of(test.holds(None), changes)


# --- signals -------------------------------------------------------------------------------------------------------


def _seen(use: d.Use, facts: EntityFacts) -> Sequence[Occurrence]:
    """The events that a signal is folded from; where only presence counts, without those that lie between others."""
    if use.signal.aggregate not in ("distinct", "active_days"):
        return facts.occurrences(use.signal.id)
    period, by_day = period_of(use.window, facts), use.signal.aggregate == "active_days"

    def stands_until(first: int) -> int:
        last = reach(use.window, first, period)
        return min(last, start_of_day(first, use.zone, 1) - 1) if by_day else last

    return facts.sights_of(use.signal, stands_until)


def _fold(use: d.Use, occurrences: Iterable[Occurrence], facts: EntityFacts) -> Steps[Any]:
    present = list(_present(use.window, occurrences, facts))
    match use.signal.aggregate:
        case "count":
            return counted(present)
        case "distinct":
            return distinct((found.value, spell) for found, spell in present)
        case "active_days":
            return distinct((local_day(found.at, use.zone), spell) for found, spell in present)
        case "sum":
            return summed(present)
        case "min" | "max" | "first" | "last":
            return extreme(present, use.signal.aggregate)
        case "since":
            return extreme(present, "last")
        case _:
            assert_never(use.signal.aggregate)


def _present(
    window: d.Window, occurrences: Iterable[Occurrence], facts: EntityFacts
) -> Iterable[tuple[Occurrence, Presence]]:
    period = period_of(window, facts)
    for index, found in enumerate(occurrences):
        if index % 512 == 0:
            facts.breathe()
        spell = presence(window, found.at, period)
        if spell is not None:
            yield found, spell


def _known_from(window: d.Window, facts: EntityFacts, steps: Steps[Any]) -> Steps[Any]:
    """An anchored window is unknown until it begins."""
    if not isinstance(window, d.Anchored):
        return steps
    period = period_of(window, facts)
    if period is None:
        return UNKNOWN
    return Steps.of(None, [(period.start, steps.at(period.start)), *steps.changes])


def _sequences(sequence: d.Sequence, facts: EntityFacts) -> Iterable[tuple[Occurrence, Presence]]:
    """Each second step that a first one preceded closely enough; it counts from its own instant."""
    firsts = sorted(found.at for found in facts.occurrences(sequence.first.id))
    completed = [
        found
        for found in facts.occurrences(sequence.then.id)
        if _any_between(firsts, found.at - sequence.apart, found.at)
    ]
    return _present(sequence.window, completed, facts)


def _any_between(ascending: Sequence[int], low: int, high: int) -> bool:
    index = bisect_left(ascending, low)
    return index < len(ascending) and ascending[index] <= high


def _members(members: d.Members, facts: EntityFacts) -> Steps[int]:
    by_person: dict[bytes, list[Occurrence]] = {}
    for found in _seen(members.inner, facts):
        by_person.setdefault(found.person, []).append(found)
    always = 0
    turns: list[tuple[int, int]] = []
    for person, own in by_person.items():
        has = _known_from(members.inner.window, facts, _fold(members.inner, own, facts)).map(members.having.holds)
        if members.where:
            traits = facts.traits_of_member(person)
            tests = [traits.get(trait, UNKNOWN).map(test.holds) for trait, test in members.where]
            has = combine(lambda truths: all(truth is True for truth in truths), [has, *tests])
        counts = has.map(lambda truth: int(truth is True))
        always += counts.initial
        turns += [(at, 2 * value - 1) for at, value in counts.changes]
    return weighted(turns).map(lambda number: always + number)


def _divide(pair: Sequence[Any]) -> Decimal | None:
    above, below = as_number(pair[0]), as_number(pair[1])
    return None if above is None or not below else above / below


# --- score ---------------------------------------------------------------------------------------------------------


def score_values(score: d.Score, facts: EntityFacts, truth: Callable[[d.Condition], Steps[Truth]]) -> Steps[Decimal]:
    """
    The score over time.

    Args:
        truth: The truth of the items' conditions.
    """
    parts = [_points(item, facts, truth) for item in score.items]
    return combine(sum, parts).map(lambda amount: Decimal(amount) * MILLIONTH) if parts else Steps(Decimal(0))


def _points(item: d.Points, facts: EntityFacts, truth: Callable[[d.Condition], Steps[Truth]]) -> Steps[int]:
    """An item's points in millionths."""
    points = millionths(item.points) or 0
    if item.when is not None:
        return truth(item.when).map(lambda holds: points if holds is True else 0)
    assert item.each is not None
    given = weighted(change for spell in _spells(item.each, facts) for change in _decay(spell, item))
    if item.cap is None:
        return given
    cap = millionths(item.cap) or 0
    return given.map(lambda amount: min(amount, cap) if points >= 0 else max(amount, cap))


def _spells(each: d.Use | d.Sequence, facts: EntityFacts) -> Iterable[Presence]:
    if isinstance(each, d.Sequence):
        return [spell for _, spell in _sequences(each, facts)]
    seen = _seen(each, facts)
    if each.signal.aggregate == "count":
        return [spell for _, spell in _present(each.window, seen, facts)]
    # Each value gives points once, for as long as it is present at all.
    return _as_spells(_fold(each, seen, facts))


def _as_spells(steps: Steps[int]) -> list[Presence]:
    """A count over time as so many presences: each rise begins one, each fall ends the oldest."""
    open_since: list[int] = []
    spells: list[Presence] = []
    before = steps.initial
    for at, value in steps.changes:
        open_since += [at] * (value - before)
        spells += [(open_since.pop(0), at) for _ in range(before - value)]
        before = value
    return spells + [(start, FOREVER) for start in open_since]


def _decay(spell: Presence, item: d.Points) -> Iterable[tuple[int, int]]:
    """What one event adds and takes away over time."""
    start, end = spell
    if item.half_life is None:
        return ((start, millionths(item.points) or 0), (end, -(millionths(item.points) or 0)))
    unit = decay_unit(item.half_life)
    changes: list[tuple[int, int]] = []
    before = 0
    for age, amount in enumerate(_decayed(item.points, item.half_life)):
        at = start + age * unit
        if at >= end:
            break
        changes.append((at, amount - before))
        before = amount
    return (*changes, (end, -before))


def decay_unit(half_life: int) -> int:
    """In which steps points decay: by the day, or by the hour where a half-life is below two days."""
    return DAY if half_life >= 2 * DAY else HOUR


@lru_cache(maxsize=1_000)
def _decayed(points: Decimal, half_life: int) -> tuple[int, ...]:
    """The points in millionths at age 0, 1, 2 ... units, until nothing is left."""
    amounts: list[int] = []
    with localcontext() as context:
        context.prec = _DIGITS
        factor = Decimal(2) ** (-Decimal(decay_unit(half_life)) / Decimal(half_life))
        rest = points
        while (amount := millionths(rest) or 0) != 0:
            amounts.append(amount)
            rest *= factor
    return (*amounts, 0)
