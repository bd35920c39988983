"""
What is still missing: the cheapest steps that would make an entity qualify, how near it is, and what blocks it.

Ways are looked for criterion by criterion and put together, the cheapest first. Whether one of them really does is not
argued but tried: it is supposed to have been taken (``supposing``), and decided again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import combinations, islice
from typing import Any, assert_never

from assay.contract.times import format_instant
from assay_collector.pql import definition as d
from assay_collector.pql.comparators import Comparator, as_number
from assay_collector.pql.decision import EntityFacts, Judge
from assay_collector.pql.explain import named, what_stands_in_the_way
from assay_collector.pql.supposing import (
    ANY_EVENT,
    NO_WITNESS,
    Deed,
    NoWitness,
    Wish,
    properties_for,
    suppose,
    witness,
)
from assay_collector.pql.values import period_of
from assay_collector.pql.words import as_json, plain

Json = dict[str, Any]

# So many ways are kept of each condition, and so many are tried in the end.
_KEPT = 12
_TRIED = 24
# What cannot be told as something to do is told only where nothing else is, and waiting after that.
_COST_OF_A_VALUE = 20
_COST_OF_WAITING = 1_000


def missing(definition: d.Definition, facts: EntityFacts, instant: int) -> Json:
    """
    What still keeps an entity from qualifying.

    Returns:
        ``steps``: the cheapest set of steps that would do (empty when nothing is missing, or nothing can do it);
        ``reachable``: whether steps can still do it; ``notBefore``: when a cool-down ends; ``blockedOn``: unknown
        traits whose knowing could decide it; ``inTheWay``: whatever stands in the way, the conditions included.
    """
    judge = Judge(definition, facts)
    in_the_way = what_stands_in_the_way(judge, instant)
    kinds = {each["what"]: each for each in in_the_way}
    found = None if {"list", "once"} & kinds.keys() else _first_that_does(definition, judge, instant)
    shown: Json = {"reachable": found is not None, "steps": [] if found is None else found.told(judge)}
    blocked = _blocked_on(judge, instant)
    if blocked:
        shown["blockedOn"] = blocked
    if facts.excluded_by is not None:
        shown["excludedBy"] = facts.excluded_by
    if "cool-down" in kinds:
        shown["notBefore"] = kinds["cool-down"]["until"]
    return shown | ({"inTheWay": in_the_way} if in_the_way else {})


# --- steps ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _Events:
    """So many more events."""

    name: str  # the signal's; "" for an anchor
    signal: d.Signal
    number: int
    value: Any = None  # of the property that the aggregate reads, unless they are to differ in it
    until: int | None = None

    @property
    def cost(self) -> int:
        return self.number

    def deeds(self) -> list[Deed] | None:
        """Events that would do; None: there are none."""
        matcher, of = self.signal.matcher, self.signal.of
        properties = properties_for(matcher.where)
        if properties is None:
            return None
        event = matcher.events[0] if matcher.events else ANY_EVENT
        if of is None or (self.signal.aggregate != "distinct" and self.value is None):
            return [Deed(event, properties)] * self.number
        if self.signal.aggregate != "distinct":
            return [Deed(event, properties | {of: self.value})] * self.number
        if of == "user_id":
            return [Deed(event, properties, b"another %d" % n) for n in range(self.number)]
        return [Deed(event, {of: f"another {n}", **properties}) for n in range(self.number)]

    def told(self) -> Json:
        shown: Json = {"signal": self.name} if self.name else {}
        shown |= {"events": self.number, "event": named(self.signal.matcher)}
        if self.signal.aggregate == "distinct":
            shown["distinct"] = self.signal.of
        elif self.value is not None:
            shown |= {"of": self.signal.of, "value": as_json(self.value)}
        if self.signal.matcher.where:
            shown["where"] = {path: str(test) for path, test in self.signal.matcher.where}
        if self.until is not None:
            shown["before"] = format_instant(self.until)
        deeds = self.deeds()
        example = {"event": deeds[0].event, "properties": dict(deeds[0].properties)} if deeds else None
        return shown | ({"example": example} if example else {})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Value:
    """A trait, or another value that cannot be told in events, that must pass these tests."""

    subject: d.Subject
    wishes: tuple[Wish, ...]

    @property
    def cost(self) -> int:
        return 1 if isinstance(self.subject, d.Trait) else _COST_OF_A_VALUE

    @property
    def must_be(self) -> str:
        return " and ".join(str(test) if wanted else f"not ({test})" for test, wanted in self.wishes)

    def told(self, judge: Judge, instant: int) -> Json:
        if isinstance(self.subject, d.Trait):
            example = witness(self.wishes)
            shown = {"trait": self.subject.name, "must be": self.must_be}
            return shown if isinstance(example, NoWitness) else {**shown, "example": example}
        value = judge.value_at(self.subject, instant)
        return {"value of": self.subject.name, "is": as_json(value), "must be": self.must_be}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wait:
    """Time must pass."""

    until: int

    @property
    def cost(self) -> int:
        return _COST_OF_WAITING


_Step = _Events | _Value | _Wait
_Key = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class _Way:
    """
    Steps to make a condition hold, by what they add to.

    One event serves every criterion on the same signal, and an anchor counts in the window it opens: so of two steps
    that add to the same the larger does for both.
    """

    instant: int
    steps: Mapping[_Key, _Step] = field(default_factory=dict)

    @property
    def cost(self) -> int:
        return sum(step.cost for step in self.steps.values())

    def told(self, judge: Judge) -> list[Json]:
        """The steps as plain JSON."""
        return [self._told(judge, step) for step in self.steps.values()]

    def _told(self, judge: Judge, step: _Step) -> Json:
        match step:
            case _Events():
                return step.told()
            case _Value():
                return step.told(judge, self.instant)
            case _Wait(until=until):
                return {"wait until": format_instant(until)}
            case _:
                assert_never(step)


def _together(ways: Sequence[_Way]) -> _Way:
    steps: dict[_Key, _Step] = {}
    for way in ways:
        for key, step in way.steps.items():
            steps[key] = step if key not in steps else _both(steps[key], step)
    return _Way(ways[0].instant, steps)


def _both(one: _Step, other: _Step) -> _Step:
    if isinstance(one, _Value) and isinstance(other, _Value):
        return _Value(subject=one.subject, wishes=tuple(dict.fromkeys((*one.wishes, *other.wishes))))
    if isinstance(one, _Wait) and isinstance(other, _Wait):
        return _Wait(until=max(one.until, other.until))
    return one if one.cost >= other.cost else other


# --- ways -------------------------------------------------------------------------------------------------------------


def _first_that_does(definition: d.Definition, judge: Judge, instant: int) -> _Way | None:
    """The cheapest way of those tried after which the entity may begin."""
    conditions = _wanted(judge, instant)
    ways = _ways_of(judge, conditions, len(conditions), instant, wanted=True, negated=False)
    return next((way for way in ways[:_TRIED] if _does(definition, judge.facts, way, instant)), None)


def _wanted(judge: Judge, instant: int) -> list[d.Condition]:
    eligible = judge.definition.eligible
    return [judge.qualify_at(instant), *([] if eligible is None else [eligible])]


def _does(definition: d.Definition, facts: EntityFacts, way: _Way, instant: int) -> bool:
    """By really deciding what would be, if it were taken."""
    deeds: list[Deed] = []
    traits: dict[d.Trait, Any] = {}
    values: dict[d.Subject, Any] = {}
    at = instant
    for step in way.steps.values():
        match step:
            case _Events():
                more = step.deeds()
                if more is None:
                    return False
                deeds += more
            case _Value(subject=subject, wishes=wishes):
                value = witness(wishes)
                if value is NO_WITNESS:
                    return False
                if isinstance(subject, d.Trait):
                    traits[subject] = value
                else:
                    values[subject] = value
            case _Wait(until=until):
                at = max(at, until)
    then = suppose(definition, facts, instant, deeds, traits)
    return Judge(definition, then, values).gate.at(at) is True


def _ways(judge: Judge, condition: d.Condition, instant: int, wanted: bool, negated: bool) -> list[_Way]:
    """Ways after which the condition is true, or false, as wanted; the cheapest first, none if there is none."""
    if judge.truth_at(condition, instant, negated) is wanted:
        return [_Way(instant)]
    match condition:
        case d.Criterion():
            return _ways_to_pass(judge, condition, instant, wanted, negated)
        case d.Not(of=inner):
            return _ways(judge, inner, instant, not wanted, not negated)
        case d.All(of=parts):
            need = len(parts) if wanted else 1
        case d.AnyOf(of=parts):
            need = 1 if wanted else len(parts)
        case d.AtLeast(of=parts):
            need = condition.need if wanted else len(parts) - condition.need + 1
        case d.Score(enter=enter, leave=leave):
            least = Comparator(
                "at least", (enter if wanted else leave,), f"at least {plain(enter if wanted else leave)}"
            )
            return _as_value(d.ScorePoints(), least, instant, wanted)
        case _:
            assert_never(condition)
    return _ways_of(judge, parts, need, instant, wanted, negated)


def _ways_of(
    judge: Judge, parts: Sequence[d.Condition], need: int, instant: int, wanted: bool, negated: bool
) -> list[_Way]:
    """Ways for as many of the parts as are needed; of equally cheap ones, in the order of the file."""
    found = [ways for part in parts if (ways := _ways(judge, part, instant, wanted, negated))]
    if need > len(found):
        return []
    in_order = sorted(range(len(found)), key=lambda index: found[index][0].cost)
    chosen = [sorted(some) for some in islice(combinations(in_order, need), _TRIED)]
    together = [way for some in chosen for way in _product([found[index] for index in some], instant)]
    return sorted(together, key=lambda way: way.cost)[:_KEPT]


def _product(parts: Sequence[Sequence[_Way]], instant: int) -> list[_Way]:
    found = [_Way(instant)]
    for ways in parts:
        found = sorted((_together([one, other]) for one in found for other in ways), key=lambda way: way.cost)[:_KEPT]
    return found


def _ways_to_pass(judge: Judge, criterion: d.Criterion, instant: int, wanted: bool, negated: bool) -> list[_Way]:
    subject, test = criterion.subject, criterion.test
    if isinstance(subject, d.NamedTrait):
        return _as_value(subject.trait, test, instant, wanted)
    if isinstance(subject, d.Trait):
        return _as_value(subject, test, instant, wanted)
    ways: list[_Way] = []
    if isinstance(subject, d.Use) and not _is_past(subject.window):
        ways = _in_events(judge, subject, test, instant, wanted)
    if not ways and not _is_told_in_events(subject):
        ways = _as_value(subject, test, instant, wanted)
    later = next(
        (at for at, truth in judge.truth(criterion, negated).changes if at > instant and truth is wanted), None
    )
    return ways + ([] if later is None else [_Way(instant, {("wait", None): _Wait(until=later)})])


def _as_value(subject: d.Subject, test: Comparator, instant: int, wanted: bool) -> list[_Way]:
    step = _Value(subject=subject, wishes=((test, wanted),))
    return [] if witness(step.wishes) is NO_WITNESS else [_Way(instant, {("value", subject): step})]


def _is_past(window: d.Window) -> bool:
    """What happens now does not count in a window that was shifted back."""
    return isinstance(window, d.Rolling | d.CalendarDays) and window.ago > 0


def _is_told_in_events(subject: d.Subject) -> bool:
    """Whether there is nothing to ask for beside events: what no events bring about, nothing does but time."""
    return isinstance(subject, d.Use) and subject.signal.aggregate in ("count", "distinct", "since")


def _in_events(judge: Judge, use: d.Use, test: Comparator, instant: int, wanted: bool) -> list[_Way]:
    steps: dict[_Key, _Step] = {}
    until, value = None, judge.value_at(use, instant)
    if isinstance(use.window, d.Anchored):
        anchor, period = use.window.anchor, period_of(use.window, judge.facts)
        if period is None:
            steps["events", anchor.id] = _Events(name="", signal=anchor, number=1)
            value = int(use.signal.id == anchor.id)
        elif instant >= period.end:
            return []
        else:
            until = period.end
    number, of_value = _needed(use, test, value, wanted)
    if number is None:
        return []
    if number:
        # What an anchor of its own signal counted already is asked for with the rest.
        total = number + (1 if ("events", use.signal.id) in steps else 0)
        key = ("events", use.signal.id if of_value is None else (use.signal.id, test))
        steps[key] = _Events(name=use.name, signal=use.signal, number=total, value=of_value, until=until)
    return [_Way(instant, steps)]


def _needed(use: d.Use, test: Comparator, value: Any, wanted: bool) -> tuple[int | None, Any]:
    """How many more events, with which value, make the test true, or false, as wanted; None: no number does."""
    match use.signal.aggregate:
        case "count" | "distinct":
            return _more(test, int(value or 0), wanted), None
        case "active_days":
            # One event today makes one day more; the others take their time.
            return (1, None) if _more(test, int(value or 0), wanted) == 1 else (None, None)
        case "since":
            return (1, None) if test.holds(0) is wanted else (None, None)
        case "sum":
            total = witness([(test, wanted)])
            before = as_number(value) or Decimal(0)
            more = None if as_number(total) is None else (as_number(total) or Decimal(0)) - before
            return (None, None) if more is None else (1, as_json(more))
        case "min" | "max" | "last" | "first":
            found = witness([(test, wanted)])
            return (None, None) if isinstance(found, NoWitness) or found is None else (1, found)
        case _:
            assert_never(use.signal.aggregate)


def _more(test: Comparator, value: int, wanted: bool) -> int | None:
    if test.holds(value) is wanted:
        return 0
    points = (number for number in test.turning_points() if number > value)
    return next((number - value for number in points if test.holds(number) is wanted), None)


# --- what is not known -----------------------------------------------------------------------------------------------


def _blocked_on(judge: Judge, instant: int) -> list[str]:
    """The unknown traits whose knowing could make the entity qualify."""
    if judge.facts.excluded_by is not None or judge.gate.at(instant) is True:
        return []
    conditions = d.All(tuple(_wanted(judge, instant)))
    found = set(_deciding(judge, conditions, instant)) | set(_choosing(judge, instant))
    return sorted(trait.name for trait in found)


def _deciding(judge: Judge, condition: d.Condition, instant: int, negated: bool = False) -> Iterable[d.Trait]:
    """The unknown traits on which the truth of a condition hangs; none, if it is settled whatever they are."""
    if _may_be(judge, condition, instant, negated) is not None:
        return
    match condition:
        case d.Criterion(subject=subject):
            yield from _unknown(judge, subject, instant)
        case d.Not(of=inner):
            yield from _deciding(judge, inner, instant, not negated)
        case d.All(of=parts) | d.AnyOf(of=parts) | d.AtLeast(of=parts):
            for part in parts:
                yield from _deciding(judge, part, instant, negated)
        case d.Score(items=items):
            for item in items:
                if item.when is not None and item.points > 0:
                    yield from _deciding(judge, item.when, instant)
        case _:
            assert_never(condition)


def _may_be(judge: Judge, condition: d.Condition, instant: int, negated: bool = False) -> bool | None:
    """The truth of a condition; unknown only where the unknown traits could still decide it, else as bad as can be."""
    match condition:
        case d.Criterion(subject=subject, test=test):
            holds = judge.truth_at(condition, instant, negated)
            unknown = _unknown(judge, subject, instant)
            if unknown and holds is negated and not test.operands:
                return None  # that it is, or is not, known is what is asked for
            return negated if holds is None and not unknown else holds
        case d.Not(of=inner):
            value = _may_be(judge, inner, instant, not negated)
            return None if value is None else not value
        case d.All(of=parts):
            need = len(parts)
        case d.AnyOf(of=parts):
            need = 1
        case d.AtLeast(of=parts):
            need = condition.need
        case d.Score(items=items, enter=enter):
            if judge.truth_at(condition, instant) is True:
                return True
            open_items = [i for i in items if i.when is not None and _may_be(judge, i.when, instant) is None]
            more = sum((item.points for item in open_items if item.points > 0), Decimal(0))
            return None if (judge.score.at(instant) or 0) + more >= enter else False
        case _:
            assert_never(condition)
    truths = [_may_be(judge, part, instant, negated) for part in parts]
    if truths.count(True) >= need:
        return True
    return None if truths.count(True) + truths.count(None) >= need else False


def _unknown(judge: Judge, subject: d.Subject, instant: int) -> list[d.Trait]:
    """The traits that would have to be known for a subject to be; none, if something else is unknown as well."""
    match subject:
        case d.Trait():
            return [subject] if judge.value_at(subject, instant) is None else []
        case d.NamedTrait(trait=trait):
            return _unknown(judge, trait, instant)
        case d.Ratio(above=above, below=below):
            found = [(part, _unknown(judge, part, instant)) for part in (above, below)]
            settled = all(traits or judge.value_at(part, instant) is not None for part, traits in found)
            return [trait for _, traits in found for trait in traits] if settled else []
    return []


def _choosing(judge: Judge, instant: int) -> Iterable[d.Trait]:
    """The unknown traits that would make it a variant that qualifies."""
    for variant in judge.definition.variants:
        when = judge.truth_at(variant.when, instant)
        if when is True:
            return
        eligible = judge.definition.eligible
        others = [variant.qualify, *([] if eligible is None else [eligible])]
        if when is None and all(_may_be(judge, condition, instant) is not False for condition in others):
            yield from _deciding(judge, variant.when, instant)


# --- how near --------------------------------------------------------------------------------------------------------


def nearness(judge: Judge, instant: int) -> Fraction:
    """
    How much of what is asked for is there, from 0 to 1.

    A criterion that holds is 1, a number on its way its part of what is needed, all else 0. `all` is the mean of its
    entries, `any` the best of them, `at_least` the mean of the best, a score its part of `enter`.
    """
    return _nearness(judge, judge.qualify_at(instant), instant, False)


def _nearness(judge: Judge, condition: d.Condition, instant: int, negated: bool) -> Fraction:
    holds = judge.truth_at(condition, instant, negated)
    if holds is True:
        return Fraction(1)
    match condition:
        case d.Criterion(subject=subject, test=test):
            return _part(judge.value_at(subject, instant), test)
        case d.Not():
            return Fraction(0)
        case d.All(of=parts):
            need = len(parts)
        case d.AnyOf(of=parts):
            need = 1
        case d.AtLeast(of=parts):
            need = condition.need
        case d.Score(enter=enter):
            return _share(judge.score.at(instant) or Decimal(0), enter)
        case _:
            assert_never(condition)
    best = sorted((_nearness(judge, part, instant, negated) for part in parts), reverse=True)[:need]
    return sum(best, Fraction(0)) / need if len(best) == need else Fraction(0)


def _part(value: Any, test: Comparator) -> Fraction:
    number, need = as_number(value), test.operands[0] if test.operands else None
    if number is None or not isinstance(need, Decimal) or test.operator not in ("at least", "more than", "between"):
        return Fraction(0)
    return _share(number, need)


def _share(number: Decimal, need: Decimal) -> Fraction:
    return Fraction(0) if number <= 0 or need <= 0 else min(Fraction(number) / Fraction(need), Fraction(1))
