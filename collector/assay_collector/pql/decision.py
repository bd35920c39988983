"""
The verdict: a definition and facts to truth over time, and truth to episodes.

Pure: the same facts give the same answer whatever the order in which they became known.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, assert_never

from assay_collector.pql import definition as d
from assay_collector.pql.comparators import Comparator, Truth
from assay_collector.pql.continuity import splice
from assay_collector.pql.lifecycle import ENDS, Course, Moment, held, walk
from assay_collector.pql.presence import FOREVER, seen_whole
from assay_collector.pql.steps import Steps, combine
from assay_collector.pql.tallies import Instants, Period, Series, count, distinct_arrivals, reached
from assay_collector.pql.values import UNKNOWN, EntityFacts, period_of, score_values, since_truth, values

__all__ = ["EntityFacts", "Judge", "Moment", "Verdict", "at_least", "decide"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a definition says of an entity, as of a moment."""

    moments: tuple[Moment, ...]  # up to that moment
    next_at: int | None  # when time alone may change it
    held: tuple[int, int] | None = None  # since when it has held, until when it must

    @property
    def is_qualified(self) -> bool:
        """An episode is open."""
        return self.status == "qualified"

    @property
    def status(self) -> str:
        """qualified, held, how the last episode ended, or not qualified."""
        if self.held is not None:
            return "held"
        steps = [moment.step for moment in self.moments if moment.step == "qualified" or moment.step in ENDS]
        return steps[-1] if steps else "not qualified"

    @property
    def since(self) -> int | None:
        """Since when the status is what it is; None: it never was anything."""
        if self.held is not None:
            return self.held[0]
        found = [moment.at for moment in self.moments if moment.step == "qualified" or moment.step in ENDS]
        return found[-1] if found else None


def decide(definition: d.Definition, facts: EntityFacts, as_of: int) -> Verdict:
    """
    The episodes of an entity under a definition.

    It qualifies once `qualify` and `eligible` have held for `hold`; `eligible` is asked only then. See
    ``lifecycle`` for how episodes end and begin again.
    """
    if facts.excluded_by is not None:
        return Verdict((), None)
    return Judge(definition, facts).verdict(as_of)


class Judge:
    """One definition applied to one entity; what is computed once is kept."""

    def __init__(
        self, definition: d.Definition, facts: EntityFacts, supposed: Mapping[d.Subject, Any] | None = None
    ) -> None:
        """
        Args:
            supposed: What subjects are taken to be worth throughout, whatever the facts say.
        """
        in_zone = facts.zone is not None and definition.reads_calendar
        self.definition = definition.in_zone(str(facts.zone)) if in_zone else definition
        self.facts = facts
        self._supposed = supposed or {}
        self._truths: dict[tuple[int, bool], tuple[d.Criterion, Steps[Truth]]] = {}
        self._values: dict[d.Subject, Steps[Any]] = {subject: Steps(value) for subject, value in self._supposed.items()}

    # --- episodes ---

    def verdict(self, as_of: int) -> Verdict:
        """What the definition says as of a moment; whoever is on a list is not looked at."""
        if self.facts.excluded_by is not None:
            return Verdict((), None)
        moments = self.moments(as_of)
        upcoming = [moment.at for moment in moments if moment.at > as_of]
        return Verdict(
            moments=tuple(moment for moment in moments if moment.at <= as_of),
            next_at=min(upcoming, default=None),
            held=held(self.course, moments, as_of) if self.definition.lifecycle.hold else None,
        )

    def moments(self, until: int) -> list[Moment]:
        """Every step of every episode, and every rung of the ladder reached within one; see `walk`."""
        moments = walk(self.course, until)
        own = sorted([*moments, *self._rungs(moments)], key=lambda moment: (moment.at, moment.episode))
        elder = self.definition.elder
        if elder is None:
            return own
        return splice(Judge(elder.definition, self.facts).moments(elder.until), own, elder.until)

    @cached_property
    def course(self) -> Course:
        """What decides when episodes begin and end."""
        lifecycle = self.definition.lifecycle
        return Course(
            may_begin=self.gate,
            must_end=self._must_end,
            converted_at=self._conversions,
            hold=lifecycle.hold,
            expire=lifecycle.expire,
            requalify_after=None if lifecycle.requalify is None else lifecycle.requalify.after,
            beyond=self._beyond,
        )

    @cached_property
    def qualify(self) -> Steps[Truth]:
        """Whether the entity's own way to qualify holds."""
        if self.definition.stages:
            parts = [self._rung(rung) for rung in self.definition.stages]
            return combine(lambda truths: at_least(1, truths), parts)
        return self._varied(self.truth(self.definition.qualify), stage=None)

    @cached_property
    def gate(self) -> Steps[Truth]:
        """Whether an episode may begin, as far as the entity itself goes."""
        if self.definition.eligible is None:
            return self.qualify
        return combine(lambda truths: at_least(2, truths), [self.qualify, self.truth(self.definition.eligible)])

    @property
    def _must_end(self) -> Steps[Truth]:
        wanted = self.definition.lifecycle.exit
        if wanted is None:
            return self.qualify.map(lambda value: value is not True)
        return self.truth(wanted)

    @property
    def _conversions(self) -> list[int]:
        convert = self.definition.lifecycle.convert
        return [] if convert is None else sorted(found.at for found in self.facts.occurrences(convert.id))

    @property
    def _beyond(self) -> tuple[tuple[Steps[Any], Decimal], ...]:
        requalify = self.definition.lifecycle.requalify
        return () if requalify is None else tuple((self.value(s), factor) for s, factor in requalify.beyond)

    # --- variants, stages, tiers, levels ---

    def _varied(self, base: Steps[Truth], stage: str | None) -> Steps[Truth]:
        """The base, replaced by the first variant for this stage whose `when` holds."""
        variants = [variant for variant in self.definition.variants if variant.stage == stage]
        if not variants:
            return base
        whens = [self.truth(variant.when) for variant in variants]
        instead = [self.truth(variant.qualify) for variant in variants]

        def choose(found: Sequence[Any]) -> Truth:
            own, rest = found[0], found[1:]
            for when, truth in zip(rest[: len(whens)], rest[len(whens) :], strict=True):
                if when is True:
                    return bool(truth) if truth is not None else None
            return bool(own) if own is not None else None

        return combine(choose, [base, *whens, *instead])

    def _rung(self, rung: d.Rung) -> Steps[Truth]:
        return self._varied(self.truth(rung.qualify), stage=rung.name)

    @cached_property
    def stage(self) -> Steps[str | None]:
        """The highest stage that holds."""
        names = [rung.name for rung in self.definition.stages]

        def highest(truths: Sequence[Any]) -> str | None:
            return next((n for n, truth in zip(reversed(names), reversed(truths), strict=True) if truth is True), None)

        return combine(highest, [self._rung(rung) for rung in self.definition.stages])

    @cached_property
    def tier(self) -> Steps[str | None]:
        """The first tier that holds."""
        names = [rung.name for rung in self.definition.tiers]

        def first(truths: Sequence[Any]) -> str | None:
            return next((name for name, truth in zip(names, truths, strict=True) if truth is True), None)

        return combine(first, [self.truth(rung.qualify) for rung in self.definition.tiers])

    @cached_property
    def level(self) -> Steps[Decimal | None]:
        """The highest level whose share of the criteria is satisfied."""
        parts = self._criteria_of_levels()

        def highest(truths: Sequence[Any]) -> Decimal | None:
            satisfied = sum(truth is True for truth in truths)
            return max((level for level in self.definition.levels if satisfied >= level * len(truths)), default=None)

        return combine(highest, [self.truth(part) for part in parts])

    def _criteria_of_levels(self) -> tuple[d.Condition, ...]:
        qualify = self.definition.qualify
        return qualify.of if isinstance(qualify, d.AtLeast | d.All | d.AnyOf) else (qualify,)

    def _rungs(self, moments: Sequence[Moment]) -> list[Moment]:
        """When each stage was first reached within each episode."""
        found: list[Moment] = []
        begins = [moment for moment in moments if moment.step == "qualified"]
        for begin in begins if self.definition.stages else ():
            ends = [m.at for m in moments if m.episode == begin.episode and m.step in ENDS]
            until = ends[0] if ends else None
            for rung in self.definition.stages:
                at = _first_held(self._rung(rung), begin.at, until)
                if at is not None:
                    found.append(Moment(begin.episode, f"stage:{rung.name}", at))
        return found

    # --- at one instant ---

    def value_at(self, subject: d.Subject, instant: int) -> Any:
        """What a subject is worth at an instant; None: unknown."""
        if isinstance(subject, d.Use) and not self._is_supposed(subject):
            if _only_grows(subject):
                return growing_value(subject, self.facts, instant)
            if subject.signal.aggregate == "since":
                last = max((e.at for e in self.facts.occurrences(subject.signal.id) if e.at <= instant), default=None)
                return None if last is None else instant - last
        return self.value(subject).at(instant)

    def truth_at(self, condition: d.Condition, instant: int, negated: bool = False) -> Truth:
        """Whether a condition holds at an instant; see `truth`."""
        match condition:
            case d.Criterion():
                return self._criterion_at(condition, instant, negated)
            case d.Not(of=inner):
                value = self.truth_at(inner, instant, not negated)
                return None if value is None else not value
            case d.All(of=parts):
                return at_least(len(parts), [self.truth_at(part, instant, negated) for part in parts])
            case d.AnyOf(of=parts):
                return at_least(1, [self.truth_at(part, instant, negated) for part in parts])
            case d.AtLeast(of=parts):
                return at_least(condition.need, [self.truth_at(part, instant, negated) for part in parts])
            case d.Score():
                return self.truth(condition).at(instant)
            case _:
                assert_never(condition)

    def _criterion_at(self, criterion: d.Criterion, instant: int, negated: bool) -> Truth:
        if d.needs_watch(criterion, negated):
            return self._criterion(criterion, negated).at(instant)
        return criterion.test.holds(self.value_at(criterion.subject, instant))

    def qualify_at(self, instant: int) -> d.Condition:
        """The condition by which the entity would qualify at an instant: its own, or that of the variant it is."""
        for variant in self.definition.variants:
            if variant.stage is None and self.truth_at(variant.when, instant) is True:
                return variant.qualify
        if not self.definition.stages:
            return self.definition.qualify
        return d.AnyOf(tuple(self._rung_at(rung, instant) for rung in self.definition.stages))

    def _rung_at(self, rung: d.Rung, instant: int) -> d.Condition:
        for variant in self.definition.variants:
            if variant.stage == rung.name and self.truth_at(variant.when, instant) is True:
                return variant.qualify
        return rung.qualify

    # --- conditions, over all of time ---

    def value(self, subject: d.Subject) -> Steps[Any]:
        """What a subject is worth over time."""
        if subject not in self._values:
            score = self.score if isinstance(subject, d.ScorePoints) else UNKNOWN
            self._values[subject] = values(subject, self.facts, score)
        return self._values[subject]

    @cached_property
    def score(self) -> Steps[Any]:
        """The score over time; unknown where the definition has none."""
        if self._is_supposed(d.ScorePoints()):
            return self._values[d.ScorePoints()]
        found = next((c for c in _parts(self.definition.qualify) if isinstance(c, d.Score)), None)
        return UNKNOWN if found is None else score_values(found, self.facts, self.truth)

    def points(self, item: d.Points) -> Steps[Decimal]:
        """The points that an item of the score gives over time."""
        return score_values(d.Score((item,), Decimal(0), Decimal(0)), self.facts, self.truth)

    def truth(self, condition: d.Condition, negated: bool = False) -> Steps[Truth]:
        """
        Whether a condition holds, over all of time.

        What holds because something was not seen holds only of who was observed for so long; until then it is unknown.

        Args:
            negated: It stands under an odd number of `not`, so that it is its absence that is asked for.
        """
        match condition:
            case d.Criterion():
                return self._criterion(condition, negated)
            case d.Not(of=inner):
                return self.truth(inner, not negated).map(lambda value: None if value is None else not value)
            case d.All(of=parts):
                need = len(parts)
            case d.AnyOf(of=parts):
                need = 1
            case d.AtLeast(of=parts):
                need = condition.need
            case d.Score(enter=enter, leave=leave):
                return _hysteresis(self.score, enter, leave)
            case _:
                assert_never(condition)
        return combine(lambda truths: at_least(need, truths), [self.truth(part, negated) for part in parts])

    def _criterion(self, criterion: d.Criterion, negated: bool) -> Steps[Truth]:
        # By identity, as a definition says each thing once; the criterion is kept so that nothing else takes its place.
        key = (id(criterion), negated)
        if key not in self._truths:
            self._truths[key] = (criterion, self._truth_of(criterion, negated))
        return self._truths[key][1]

    def _truth_of(self, criterion: d.Criterion, negated: bool) -> Steps[Truth]:
        subject, test = criterion.subject, criterion.test
        if self._is_supposed(subject):
            return self.value(subject).map(test.holds)
        if isinstance(subject, d.Use):
            if subject.signal.aggregate == "since":
                return since_truth(subject, test, self.facts, self.observed)
            if _only_grows(subject):
                return _growing_truth(subject, test, self.facts)
        found = self.value(subject)
        if not d.needs_watch(criterion, negated):
            return found.map(test.holds)
        return combine(_backed(test, negated), [found, self.seen_whole(subject)])

    @cached_property
    def observed(self) -> int | None:
        """Since when the entity is observed: its first event; None: it is not."""
        return self.facts.series_of(self.definition.observed).first_at

    def _is_supposed(self, subject: d.Subject) -> bool:
        # To look a subject up it is hashed, all the way down; nearly always nothing is supposed.
        return bool(self._supposed) and subject in self._supposed

    def seen_whole(self, subject: d.Subject) -> Steps[bool]:
        """Whether a moving window lies in the time in which the entity was observed."""
        window = getattr(subject, "window", None)
        since = None if window is None or self.observed is None else seen_whole(window, self.observed)
        return Steps(False) if since is None or since >= FOREVER else Steps(False, ((since, True),))


def _backed(test: Comparator, negated: bool) -> Callable[[Sequence[Any]], Truth]:
    """The truth about a count; where less was seen than there may have been, only what more would not undo."""

    def holds(found: Sequence[Any]) -> Truth:
        value, whole = found
        truth = test.holds(value)
        return truth if whole or truth is negated or value is None else test.holds_from(value)

    return holds


def _only_grows(use: d.Use) -> bool:
    return use.signal.aggregate in ("count", "distinct") and isinstance(use.window, d.Ever | d.Anchored)


def at_least(need: int, truths: Sequence[Truth]) -> Truth:
    """Kleene's "at least `need` of these": unknown only where the unknown ones could still decide."""
    true = sum(value is True for value in truths)
    if true >= need:
        return True
    unknown = sum(value is None for value in truths)
    return None if true + unknown >= need else False


def _growing_truth(use: d.Use, test: Comparator, facts: EntityFacts) -> Steps[Truth]:
    """The truth about a count that only ever grows, from tallies: an instant for each number at which it turns."""
    begins = isinstance(use.window, d.Anchored)
    period = period_of(use.window, facts) if begins else Period()
    if period is None:
        return Steps(test.holds(None))
    series = facts.series_of(use.signal)
    changes: list[tuple[int, Truth]] = [(period.start, test.holds(0))] if begins else []
    for number in test.turning_points():
        at = _reached(use.signal, series, number, period, facts.instants)
        if at is None:
            break
        changes.append((at, test.holds(number)))
    return Steps.of(test.holds(None if begins else 0), changes)


def _reached(signal: d.Signal, series: Series, number: int, period: Period, instants: Instants) -> int | None:
    if signal.aggregate == "count":
        return reached(series, number, period, instants)
    arrivals = distinct_arrivals(series, period, instants)
    return arrivals[number - 1] if len(arrivals) >= number else None


def growing_value(use: d.Use, facts: EntityFacts, instant: int) -> int | None:
    """What a count that only ever grows was worth at an instant; None: its window had not begun."""
    period = period_of(use.window, facts) if isinstance(use.window, d.Anchored) else Period()
    if period is None or period.start > instant:
        return None
    until = Period(period.start, min(period.end, instant + 1))
    series = facts.series_of(use.signal)
    if use.signal.aggregate == "distinct":
        return len(distinct_arrivals(series, until, facts.instants))
    return count(series, until, facts.instants)


def _hysteresis(score: Steps[Any], enter: Decimal, leave: Decimal) -> Steps[Truth]:
    """True from `enter` on until below `leave`."""
    holds = score.initial is not None and score.initial >= enter
    initial, changes = holds, []
    for at, value in score.changes:
        holds = value is not None and value >= (leave if holds else enter)
        changes.append((at, holds))
    return Steps.of(initial, changes)


def _parts(condition: d.Condition) -> list[d.Condition]:
    """A condition and everything within it."""
    match condition:
        case d.Not(of=inner):
            return [condition, *_parts(inner)]
        case d.All(of=parts) | d.AnyOf(of=parts) | d.AtLeast(of=parts):
            return [condition, *(found for part in parts for found in _parts(part))]
        case _:
            return [condition]


def _first_held(truth: Steps[Truth], since: int, until: int | None) -> int | None:
    if truth.at(since) is True:
        return since
    return next(
        (at for at, value in truth.changes if at > since and value is True and (until is None or at < until)), None
    )
