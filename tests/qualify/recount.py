"""
The oracle's arithmetic: what a definition says of one entity, asked instant by instant, each time from all its events.

Nothing here is incremental and nothing is clever: windows are read as their words say, and whatever may change is
looked at again at every instant at which anything could.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache, cached_property
from typing import Any, Protocol
from zoneinfo import ZoneInfo, available_timezones

from assay.contract.times import DAY, HOUR
from assay_collector.pql import definition as d

BEFORE_ALL_TIME = -(10**18)
MILLIONTH = Decimal("0.000001")
ENDS = ("converted", "exited", "expired")
ZONES = available_timezones()


class Happened(Protocol):
    """One event of the entity."""

    id: bytes
    at: int
    name: str
    properties: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of the entity."""

    events: list[Any]  # in order of (time, id)
    person: Callable[[Any], Any]  # whose an event is
    user: Callable[[Any], Any]  # the same, None for nobody known
    trait: Callable[[d.Trait, int], Any]  # at an instant
    trait_of_member: Callable[[Any, d.Trait, int], Any]
    trait_instants: frozenset[int] = frozenset()
    zone: Any = None  # what was last said of the account's time zone


class Recount:
    """One entity under one definition."""

    def __init__(self, definition: d.Definition, known: Known, horizon: int) -> None:
        """
        Args:
            horizon: Nothing is asked beyond.
        """
        self.definition, self.known, self.horizon = definition, known, horizon
        self.zone = known.zone if known.zone in ZONES else None
        self.observed = min((e.at for e in known.events), default=None)
        self.truth = cache(self._truth)
        self.qualifies = cache(self._qualifies)

    # --- values ---

    def value(self, subject: d.Subject, at: int) -> Any:
        match subject:
            case d.Trait():
                return self.known.trait(subject, at)
            case d.NamedTrait(trait=trait):
                return self.known.trait(trait, at)
            case d.Ratio(above=above, below=below):
                over, under = _number(self.value(above, at)), _number(self.value(below, at))
                return None if over is None or not under else over / under
            case d.ScorePoints():
                return self.score(at)
            case d.Use():
                return self._fold(subject, at, self.known.events)
            case d.Sequence():
                if not self._has_begun(subject.window, at):
                    return None
                return len(self._completed(subject, at))
            case d.Members():
                return self._members(subject, at)
        raise AssertionError(subject)

    def _fold(self, use: d.Use, at: int, events: list[Any]) -> Any:
        if not self._has_begun(use.window, at):
            return None
        seen = [e for e in events if matches(use.signal.matcher, e) and self._counts(use.window, e.at, at)]
        of = [(e, read(e.properties, use.signal.of)) for e in seen] if use.signal.of else []
        numbers = [(_number(value), e.at, e.id) for e, value in of if _number(value) is not None]
        values = [value for _, value in of if value is not None]
        match use.signal.aggregate:
            case "count":
                return len(seen)
            case "active_days":
                return len({_day(e.at, self.zone or use.zone) for e in seen})
            case "distinct" if use.signal.of == "user_id":
                return len({self.known.user(e) for e in seen} - {None})
            case "distinct":
                return len(set(values))
            case "sum":
                return sum((_rounded(number) for number, _, _ in numbers), Decimal(0))
            case "min" | "max":
                pick = min if use.signal.aggregate == "min" else max
                return pick(numbers)[0] if numbers else None
            case "first" | "last":
                return None if not values else values[0 if use.signal.aggregate == "first" else -1]
            case "since":
                return at - seen[-1].at if seen else None
        raise AssertionError(use)

    def _members(self, members: d.Members, at: int) -> int:
        people = {self.known.person(e) for e in self.known.events if e.at <= at}
        return sum(
            members.having.holds(self._fold(members.inner, at, self._of(person))) is True
            and all(test.holds(self.known.trait_of_member(person, trait, at)) is True for trait, test in members.where)
            for person in people
        )

    def _of(self, person: Any) -> list[Any]:
        return [e for e in self.known.events if self.known.person(e) == person]

    def _completed(self, sequence: d.Sequence, at: int) -> list[Any]:
        firsts = [e.at for e in self.known.events if matches(sequence.first.matcher, e)]
        thens = [e for e in self.known.events if matches(sequence.then.matcher, e)]
        return [
            e
            for e in thens
            if self._counts(sequence.window, e.at, at) and any(0 <= e.at - first <= sequence.apart for first in firsts)
        ]

    # --- windows, as their words say ---

    def _start(self, window: d.Anchored) -> int | None:
        return min((e.at for e in self.known.events if matches(window.anchor.matcher, e)), default=None)

    def _has_begun(self, window: d.Window, at: int) -> bool:
        if not isinstance(window, d.Anchored):
            return True
        start = self._start(window)
        return start is not None and start <= at

    def _counts(self, window: d.Window, event: int, now: int) -> bool:
        if event > now:
            return False
        match window:
            case d.Ever():
                return True
            case d.Anchored(length=length):
                start = self._start(window)
                return start is not None and start <= event < start + length
            case d.Rolling(length=length, ago=ago):
                return now - ago - length < event <= now - ago
            case d.CalendarDays(days=days, zone=zone, ago=ago):
                zone = self.zone or zone
                last = _day(now, zone) - timedelta(days=ago)
                return last - timedelta(days=days) < _day(event, zone) <= last
            case d.CalendarMonth(zone=zone):
                zone = self.zone or zone
                return f"{_day(event, zone):%Y-%m}" == f"{_day(now, zone):%Y-%m}"
        raise AssertionError(window)

    # --- what was not seen ---

    def _test(self, criterion: d.Criterion, at: int, negated: bool) -> bool | None:
        """A test; one that holds because something was not seen holds only if somebody was there to see it."""
        subject, test = criterion.subject, criterion.test
        value = self.value(subject, at)
        if self.observed is None or self.observed > at or not test.operands:
            seen_for: int | None = None
        else:
            seen_for = at - self.observed
        if isinstance(subject, d.Use) and subject.signal.aggregate == "since":
            if value is not None or seen_for is None:
                return test.holds(value)
            return _of_everything_from(test, seen_for)
        truth = test.holds(value)
        counts = isinstance(subject, d.Sequence) or (
            isinstance(subject, d.Use) and subject.signal.aggregate in ("count", "distinct", "active_days")
        )
        if not counts or not test.operands or value is None or truth is negated or self._saw_all(subject.window, at):
            return truth
        return _of_everything_from(test, value)

    def _saw_all(self, window: d.Window, at: int) -> bool:
        """Whether everything in a window happened under our eyes."""
        if isinstance(window, d.Moving) and (self.observed is None or at < self.observed):
            return False
        match window:
            case d.Rolling(length=length, ago=ago):
                begins = at - ago - length
            case d.CalendarDays(days=days, zone=zone, ago=ago):
                begins = _midnight(_day(at, self.zone or zone) - timedelta(days=ago + days - 1), self.zone or zone)
            case d.CalendarMonth(zone=zone):
                begins = _midnight(_day(at, self.zone or zone).replace(day=1), self.zone or zone)
            case _:
                return True
        return (self.observed or 0) <= begins

    # --- the score ---

    @cached_property
    def _score(self) -> d.Score | None:
        return next((part for part in _parts(self.definition.qualify) if isinstance(part, d.Score)), None)

    def score(self, at: int) -> Decimal | None:
        return None if self._score is None else sum((self._points(i, at) for i in self._score.items), Decimal(0))

    def _points(self, item: d.Points, at: int) -> Decimal:
        if item.when is not None:
            return item.points if self.truth(item.when, at) is True else Decimal(0)
        given = self._each(item, at)
        if item.cap is None:
            return given
        return min(given, item.cap) if item.points >= 0 else max(given, item.cap)

    def _each(self, item: d.Points, at: int) -> Decimal:
        each = item.each
        assert each is not None
        if item.half_life is None:
            return item.points * int(self.value(each, at) or 0)
        unit = DAY if item.half_life >= 2 * DAY else HOUR
        if isinstance(each, d.Sequence):
            counted = self._completed(each, at)
        else:
            events = [e for e in self.known.events if matches(each.signal.matcher, e)]
            counted = [e for e in events if self._counts(each.window, e.at, at)]
        ages = [(at - e.at) // unit * unit for e in counted]
        halves = [Decimal(2) ** (Decimal(-age) / Decimal(item.half_life)) for age in ages]
        return sum((_rounded(item.points * half) for half in halves), Decimal(0))

    @cached_property
    def _entered(self) -> list[bool]:
        """At each instant, whether it entered and did not leave since."""
        assert self._score is not None
        found = [False]
        for points in map(self.score, self.instants):
            found.append((points or 0) >= (self._score.leave if found[-1] else self._score.enter))
        return found[1:]

    # --- conditions ---

    def _truth(self, condition: d.Condition, at: int, negated: bool = False) -> bool | None:
        match condition:
            case d.Criterion():
                return self._test(condition, at, negated)
            case d.Score():
                return self._entered[bisect_right(self.instants, at) - 1]
            case d.Not(of=inner):
                value = self.truth(inner, at, not negated)
                return None if value is None else not value
            case d.All(of=parts):
                need = len(parts)
            case d.AnyOf(of=parts):
                need = 1
            case d.AtLeast(of=parts):
                # A share p of n holds iff satisfied >= p x n.
                need = condition.count or next(k for k in range(100) if k >= (condition.share or 0) * len(parts))
        values = [self.truth(part, at, negated) for part in parts]
        if values.count(True) >= need:
            return True
        return None if values.count(True) + values.count(None) >= need else False

    def _own(self, base: d.Condition, stage: str | None, at: int) -> bool | None:
        """The base, or what the first variant that fits puts in its place."""
        for variant in self.definition.variants:
            if variant.stage == stage and self.truth(variant.when, at) is True:
                return self.truth(variant.qualify, at)
        return self.truth(base, at)

    def _qualifies(self, at: int) -> bool | None:
        if not self.definition.stages:
            return self._own(self.definition.qualify, None, at)
        rungs = [self._own(rung.qualify, rung.name, at) for rung in self.definition.stages]
        return True if True in rungs else None if None in rungs else False

    def may_begin(self, at: int) -> bool:
        eligible = self.definition.eligible
        return self.qualifies(at) is True and (eligible is None or self.truth(eligible, at) is True)

    def must_end(self, at: int) -> bool:
        wanted = self.definition.lifecycle.exit
        return self.qualifies(at) is not True if wanted is None else self.truth(wanted, at) is True

    def stage(self, at: int) -> str | None:
        held = [r.name for r in self.definition.stages if self._own(r.qualify, r.name, at) is True]
        return held[-1] if held else None

    def tier(self, at: int) -> str | None:
        return next((t.name for t in self.definition.tiers if self.truth(t.qualify, at) is True), None)

    # --- when anything could change ---

    @cached_property
    def instants(self) -> list[int]:
        events = {e.at for e in self.known.events}
        found = events | self.known.trait_instants
        for subject in self.definition.subjects:
            found |= {at for event in events for at in self._edges(subject, event)}
        if self._score is not None:
            for half_life in {i.half_life for i in self._score.items if i.half_life is not None}:
                unit = DAY if half_life >= 2 * DAY else HOUR
                # After so many half-lives less than a millionth is left of any points.
                found |= {event + age for event in events for age in range(0, 30 * half_life, unit)}
        tests = [c.test for condition in self.definition.conditions for c in d.criteria(condition)]
        lengths = {int(o) + more for t in tests for o in t.operands if isinstance(o, Decimal) for more in (0, 1)}
        if any(isinstance(s, d.Use) and s.signal.aggregate == "since" for s in self.definition.subjects):
            found |= {event + length for event in events for length in lengths}
        return [BEFORE_ALL_TIME, *sorted(at for at in found if at <= self.horizon)]

    def _edges(self, subject: d.Subject, event: int) -> Iterator[int]:
        match subject:
            case d.Ratio(above=above, below=below):
                yield from self._edges(above, event)
                yield from self._edges(below, event)
            case d.Members(inner=inner):
                yield from self._edges(inner, event)
            case d.Use(window=window) | d.Sequence(window=window):
                match window:
                    case d.Rolling(length=length, ago=ago):
                        yield from (event + ago, event + ago + length)
                    case d.CalendarDays(zone=zone, days=days, ago=ago):
                        yield from _midnights(event, self.zone or zone, range(days + ago + 1))
                    case d.CalendarMonth(zone=zone):
                        yield from _midnights(event, self.zone or zone, range(32))

    # --- episodes ---

    def episodes(self) -> dict[tuple[int, str], int]:
        """(episode, step) -> when; up to the horizon."""
        lifecycle = self.definition.lifecycle
        steps: dict[tuple[int, str], int] = {}
        episode, since, until = 1, BEFORE_ALL_TIME, None
        while (begin := self._begin(since, until)) is not None:
            steps[episode, "qualified"] = begin
            until = self._end(begin)
            steps |= {(episode, f"stage:{name}"): at for name, at in self._rungs(begin, until)}
            if until is None:
                break
            steps[episode, until[1]] = until[0]
            if lifecycle.requalify is None:
                break
            self._last = (begin, until[0])
            since, episode = until[0] + max(lifecycle.requalify.after, 1), episode + 1
        return steps

    def _begin(self, earliest: int, ended: tuple[int, str] | None) -> int | None:
        """The first instant at which it has been possible for long enough, counted from when it became so."""
        run: int | None = None
        before = True  # what has always held has no beginning
        for at, following in self._pairs():
            may = self.may_begin(at) and (ended is None or self._may_again(at, *ended))
            if not may:
                run = None
            elif not before:
                run = at
            if may and run is not None:
                begin = max(run + self.definition.lifecycle.hold, earliest)
                if begin < following:
                    return begin
            before = may
        return None

    def _pairs(self) -> Iterable[tuple[int, int]]:
        return zip(self.instants, [*self.instants[1:], self.horizon + 1], strict=True)

    def _may_again(self, at: int, ended: int, step: str) -> bool:
        """Beyond the last high-water mark; and who left and still holds from before must not be bound to leave."""
        requalify = self.definition.lifecycle.requalify
        assert requalify is not None
        for subject, factor in requalify.beyond:
            begin, end = self._last
            met = [self.value(subject, i) for i in [begin, *self.instants] if begin <= i < end or i == begin]
            peak = max((n for v in met if (n := _number(v)) is not None), default=None)
            now = _number(self.value(subject, at))
            if peak is not None and (now is None or now < factor * peak):
                return False
        lapsed = any(not self.may_begin(i) for i in [ended, *self.instants] if ended <= i <= at)
        return step != "exited" or lapsed or not self.must_end(at)

    def _end(self, begin: int) -> tuple[int, str] | None:
        lifecycle = self.definition.lifecycle
        found: list[tuple[int, int, str]] = []
        if lifecycle.convert is not None:
            converted = [e.at for e in self.known.events if matches(lifecycle.convert.matcher, e) and e.at >= begin]
            found += [(at, 0, "converted") for at in converted]
        for before, at in self._pairs():
            if begin < at <= self.horizon and self.must_end(at) and not self.must_end(before):
                found.append((at, 1, "exited"))
        if lifecycle.expire is not None:
            found.append((begin + lifecycle.expire, 2, "expired"))
        reached = [(at, step) for at, _, step in sorted(found) if at <= self.horizon]
        return reached[0] if reached else None

    def _rungs(self, begin: int, end: tuple[int, str] | None) -> Iterator[tuple[str, int]]:
        for rung in self.definition.stages:
            times = [begin, *(at for at in self.instants if begin < at and (end is None or at < end[0]))]
            held = [at for at in times if self._own(rung.qualify, rung.name, at) is True]
            if held:
                yield rung.name, held[0]


# --- reading ----------------------------------------------------------------------------------------------------------


def matches(matcher: d.Matcher, event: Happened) -> bool:
    """Whether an event has the right name, and its properties pass."""
    if matcher.events and event.name not in matcher.events:
        return False
    return all(test.holds(read(event.properties, path)) is True for path, test in matcher.where)


def read(properties: dict[str, Any], path: str | None) -> Any:
    """A property of an event; the small definitions ask for no nested ones."""
    return properties.get(path or "")


def _parts(condition: d.Condition) -> Iterator[d.Condition]:
    yield condition
    for part in getattr(condition, "of", ()) if isinstance(condition, d.All | d.AnyOf | d.AtLeast) else ():
        yield from _parts(part)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return Decimal(str(value))
    except ArithmeticError:
        return None


def _rounded(number: Any) -> Decimal:
    return Decimal(number).quantize(MILLIONTH, rounding=ROUND_HALF_EVEN)


def _local(at: int, zone: str) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).astimezone(ZoneInfo(zone))


def _day(at: int, zone: str) -> Any:
    return _local(at, zone).date()


def _midnight(day: Any, zone: str) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp()) * 1_000_000


def _of_everything_from(test: Any, least: int) -> bool | None:
    """What a test says of every whole number from the least on, if it says one thing."""
    numbers = [int(o) + more for o in test.operands if isinstance(o, Decimal | int) for more in (-1, 0, 1, 2)]
    said = {test.holds(number) for number in [least, *numbers] if number >= least}
    return said.pop() if len(said) == 1 else None


@cache
def _midnights(event: int, zone: str, days: Iterable[int]) -> list[int]:
    """When the days after an event's own begin."""
    midnight = _local(event, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return [int((midnight + timedelta(days=ahead)).timestamp()) * 1_000_000 for ahead in days]
