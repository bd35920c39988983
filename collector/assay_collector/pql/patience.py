"""
Patience: how much may still happen to an entity before its verdict has to be looked at again.

A verdict tells, beside what is true, how far each of its criteria is from turning. One more event adds at most one to a
count, so whoever has 1,600 of 2,000 messages can be left alone for the next 399. Until then an event costs nothing but
its own row, however long the history of its entity is.

The proof in three steps. No event changes what was true before it happened. Between `floor` and `until` no criterion
turns by itself. And within that time, with so many marks of each signal and no more, none of those turns on which the
next step of the entity depends: conditions are monotone in Kleene's order (false, unknown, true), so it is enough to
look at the least and the greatest that each criterion may become.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from assay.contract.times import HOUR, INSTANT_MIN
from assay_collector.pql import definition as d
from assay_collector.pql.comparators import Comparator, Truth, as_number
from assay_collector.pql.decision import Judge, Verdict, at_least, growing_value
from assay_collector.pql.happened import Happened, bit_of, bits_of
from assay_collector.pql.lifecycle import ENDS, peak
from assay_collector.pql.presence import FOREVER, local_day, start_of_day
from assay_collector.pql.steps import Steps

# Events come out of order all the time; those later than this are looked at at once.
LATENESS = HOUR
UNBOUNDED = 1 << 60
_TRIED = (64, 16, 4, 2, 1)
_RANKS: Mapping[Truth, int] = {False: 0, None: 1, True: 2}

Span = tuple[Truth, Truth]  # the least and the greatest that a condition may become


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """Within these limits a verdict stays what it is, whatever plain events come."""

    floor: int = INSTANT_MIN  # they happen at this instant or later
    until: int = FOREVER  # the verdict is asked for before this instant
    spare: tuple[tuple[int, int], ...] = ()  # (bit of a signal, how many of them mark it); of others, any number
    reads: int = -1  # the bits of every signal that matters at all
    next_at: int | None = None  # when time alone changes the verdict, as things stand
    is_used: bool = False

    def bears(self, happened: Happened, now: int) -> bool:
        """Whether the verdict is still what it was, now that this has happened."""
        if not happened.signals & self.reads:
            return True
        return (
            self.floor <= happened.earliest
            and now < self.until
            and all(happened.marks <= spare for bit, spare in self.spare if happened.signals & bit)
        )

    def after(self, happened: Happened) -> "Patience":
        """What is left of it."""
        if not happened.signals & self.reads:
            return self
        left = tuple((bit, n - happened.marks if happened.signals & bit else n) for bit, n in self.spare)
        return replace(self, spare=left, is_used=True)

    def limited(self, until: int | None) -> "Patience":
        """The same for facts that hold until an instant only; None: for ever."""
        if until is None:
            return self
        next_at = until if self.next_at is None else min(self.next_at, until)
        return replace(self, until=min(self.until, until), next_at=next_at)

    @property
    def due_at(self) -> int | None:
        """
        When the verdict is to be looked at again at the latest; None: never.

        What has happened since may outlast what was foreseen without it, so `until` counts as soon as anything has.
        """
        return self.next_at if not self.is_used else None if self.until >= FOREVER else self.until


def patience_without_prospects(definition: d.Definition, marked: AbstractSet[int]) -> Patience:
    """Whoever cannot qualify by what was marked is left alone until something is that never was."""
    reads = {signal.id for signal in definition.signals}
    return Patience(spare=tuple((bit_of(signal), 0) for signal in sorted(reads - marked)), reads=bits_of(reads))


def patience_of(judge: Judge, verdict: Verdict, as_of: int) -> Patience:
    """How much may happen after a verdict, as of the moment it was asked for, before it may become another."""
    if judge.definition.elder is not None:
        return Patience(until=INSTANT_MIN, next_at=verdict.next_at)  # two versions speak; what bears for one may not do
    reads = bits_of(signal.id for signal in judge.definition.signals)
    if judge.facts.excluded_by is not None:
        return Patience(reads=reads)
    stake = _stake(judge, verdict, as_of)
    if stake == _Stake(until=stake.until):
        # It is over, or nothing can begin until then.
        floor = max([as_of - LATENESS, *(moment.at + 1 for moment in verdict.moments[-1:])])
        until = min(stake.until, FOREVER if verdict.next_at is None else verdict.next_at)
        return Patience(floor=floor, until=until, reads=reads, next_at=verdict.next_at)
    leaves = _all_leaves(judge.definition, stake)
    turns = [at for condition, negated in leaves for at, _ in judge.truth(condition, negated).changes]
    steps = [moment.at + 1 for moment in verdict.moments[-1:]]
    floor = max([as_of - LATENESS, *steps, *(at for at in turns if at <= as_of)])
    next_at = FOREVER if verdict.next_at is None else verdict.next_at
    # Within a day, whatever comes makes one more active day at most.
    tomorrow = [start_of_day(as_of, use.zone, 1) for use in _counted_by_day(judge.definition, leaves)]
    until = min([next_at, stake.until, *tomorrow, *(at for at in turns if at > as_of)])
    spare = _Outlook(judge, stake, leaves, floor, max(until, floor + 1)).spare()
    by_bit: dict[int, int] = {}
    for signal, marks in spare.items():
        by_bit[bit_of(signal)] = min(marks, by_bit.get(bit_of(signal), UNBOUNDED))
    return Patience(floor=floor, until=until, spare=tuple(by_bit.items()), reads=reads, next_at=verdict.next_at)


# --- what the next step depends on ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stake:
    """What the next step of an entity depends on, given how far it has come."""

    may_begin: bool = False
    must_end: bool = False
    rungs: tuple[d.Rung, ...] = ()  # those not reached yet
    beyond: tuple[d.Criterion, ...] = ()  # the marks of the last episode, to be surpassed
    touchy: frozenset[int] = frozenset()  # signals of which any mark may be the next step
    until: int = FOREVER  # then it depends on something else

    def conditions(self, definition: d.Definition) -> Iterator[d.Condition]:
        """Every condition at stake."""
        leaves_by_itself = self.must_end and definition.lifecycle.exit is None
        if self.may_begin or leaves_by_itself:
            yield from [rung.qualify for rung in definition.stages] or [definition.qualify]
        if self.may_begin or leaves_by_itself or self.rungs:
            yield from (part for variant in definition.variants for part in (variant.when, variant.qualify))
        if self.may_begin and definition.eligible is not None:
            yield definition.eligible
        if self.must_end and definition.lifecycle.exit is not None:
            yield definition.lifecycle.exit
        yield from (rung.qualify for rung in self.rungs)
        yield from self.beyond


def _stake(judge: Judge, verdict: Verdict, as_of: int) -> _Stake:
    lifecycle = judge.definition.lifecycle
    steps = [moment for moment in verdict.moments if moment.step == "qualified" or moment.step in ENDS]
    if not steps:
        return _Stake(may_begin=True)
    last = steps[-1]
    if last.step == "qualified":
        reached = {moment.step for moment in verdict.moments if moment.episode == last.episode}
        rungs = tuple(rung for rung in judge.definition.stages if f"stage:{rung.name}" not in reached)
        convert = frozenset() if lifecycle.convert is None else frozenset({lifecycle.convert.id})
        return _Stake(must_end=True, rungs=rungs, touchy=convert)
    if lifecycle.requalify is None:
        return _Stake()
    earliest = last.at + max(lifecycle.requalify.after, 1)
    if as_of < earliest:
        return _Stake(until=earliest)
    peaks = [
        (subject, factor, peak(judge.value(subject), steps[-2].at, last.at))
        for subject, factor in lifecycle.requalify.beyond
    ]
    beyond = [
        d.Criterion(subject, Comparator("at least", (factor * met,)))
        for subject, factor, met in peaks
        if met is not None
    ]
    return _Stake(may_begin=True, must_end=last.step == "exited", beyond=tuple(beyond))


def _all_leaves(definition: d.Definition, stake: _Stake) -> list[tuple[d.Criterion | d.Score, bool]]:
    """Every criterion and score at stake, each once."""
    found = dict.fromkeys(leaf for condition in stake.conditions(definition) for leaf in _leaves(condition))
    if any(isinstance(leaf, d.Criterion) and isinstance(leaf.subject, d.ScorePoints) for leaf, _ in found):
        found |= dict.fromkeys(leaf for item in _scored(definition) if item.when for leaf in _leaves(item.when))
    return list(found)


def _scored(definition: d.Definition) -> tuple[d.Points, ...]:
    """The items of the definition's score."""
    return next((leaf.items for leaf, _ in _leaves(definition.qualify) if isinstance(leaf, d.Score)), ())


def _leaves(condition: d.Condition, negated: bool = False) -> Iterator[tuple[d.Criterion | d.Score, bool]]:
    """Every criterion and score within a condition, and whether it is asked for its absence."""
    match condition:
        case d.Not(of=inner):
            yield from _leaves(inner, not negated)
        case d.All(of=parts) | d.AnyOf(of=parts) | d.AtLeast(of=parts):
            for part in parts:
                yield from _leaves(part, negated)
        case d.Score(items=items):
            for item in items:
                if item.when is not None:
                    yield from _leaves(item.when)
            yield condition, negated
        case d.Criterion():
            yield condition, negated


def _counted_by_day(definition: d.Definition, leaves: Iterable[tuple[d.Criterion | d.Score, bool]]) -> Iterator[d.Use]:
    """Whatever active days are counted of at stake."""
    scored = (item.each for item in _scored(definition))
    subjects = (leaf.subject for leaf, _ in leaves if isinstance(leaf, d.Criterion))
    for subject in (*scored, *subjects):
        if isinstance(subject, d.Use) and subject.signal.aggregate == "active_days":
            yield subject


# --- how far it is from turning ---------------------------------------------------------------------------------------


@dataclass
class _Outlook:
    """What marks can do within a time in which no criterion turns by itself."""

    judge: Judge
    stake: _Stake
    leaves: Sequence[tuple[d.Criterion | d.Score, bool]]
    floor: int  # inclusive
    until: int  # exclusive
    # The least marks of each signal that may turn a criterion; of others no number does.
    distances: dict[tuple[d.Criterion, bool], Mapping[int, int]] = field(default_factory=dict)
    _marks: dict[int, int] = field(default_factory=dict)  # what is assumed to come
    _ranges: dict[int, tuple[Decimal, Decimal]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for leaf, negated in self.leaves:
            if isinstance(leaf, d.Criterion):
                self.distances[leaf, negated] = self._distances(leaf, negated)

    def spare(self) -> dict[int, int]:
        """For each signal of which only so many marks change nothing: how many."""
        fixed = dict.fromkeys(self.stake.touchy | self._untimely(), 0)
        self._marks = dict(fixed)
        if self._holds():
            return fixed
        tried: dict[int, set[int]] = {}
        for distances in self.distances.values():
            for signal, marks in distances.items():
                tried.setdefault(signal, set()).add(marks - 1)
        counted = [signal.id for item in self._items() if item.each for signal in d.signals_of(item.each)]
        for signal in counted:
            tried.setdefault(signal, set()).update((0, *_TRIED))
        # With the least of everything nothing turns; from there on each signal gets what it can have.
        self._marks = {signal: min(numbers) for signal, numbers in tried.items()} | fixed
        self._marks.update(dict.fromkeys(counted, 0))
        for signal, numbers in tried.items():
            self._raise(signal, [] if signal in fixed else sorted({UNBOUNDED, *numbers}, reverse=True))
        return {signal: marks for signal, marks in self._marks.items() if marks < UNBOUNDED}

    def _raise(self, signal: int, numbers: Iterable[int]) -> None:
        least = self._marks[signal]
        for marks in numbers:
            self._marks[signal] = max(marks, least)
            if marks <= least or self._holds():
                return

    def _holds(self) -> bool:
        """Whether nothing at stake can change with the marks that are assumed."""
        stake, definition = self.stake, self.judge.definition
        spans: list[Span] = []
        if stake.may_begin:
            parts = [self._qualify(), *(self._span(part) for part in stake.beyond)]
            parts += [] if definition.eligible is None else [self._span(definition.eligible)]
            spans.append(_together(len(parts), parts))
        if stake.must_end:
            leave = definition.lifecycle.exit
            spans.append(self._qualify() if leave is None else self._span(leave))
        if stake.may_begin and stake.must_end:
            # Whether it lapsed in between counts as well, whatever else keeps it from beginning.
            spans.append(self._gate())
        spans += [self._varied(self._span(rung.qualify), rung.name) for rung in stake.rungs]
        return all(least is True or greatest is not True for least, greatest in spans)

    def _gate(self) -> Span:
        eligible = self.judge.definition.eligible
        return self._qualify() if eligible is None else _together(2, [self._qualify(), self._span(eligible)])

    def _qualify(self) -> Span:
        definition = self.judge.definition
        if definition.stages:
            return _together(1, [self._varied(self._span(rung.qualify), rung.name) for rung in definition.stages])
        return self._varied(self._span(definition.qualify), None)

    def _varied(self, base: Span, stage: str | None) -> Span:
        for variant in reversed([variant for variant in self.judge.definition.variants if variant.stage == stage]):
            least, greatest = self._span(variant.when)
            if least is True:
                base = self._span(variant.qualify)
            elif greatest is True:
                base = _either(base, self._span(variant.qualify))
        return base

    def _span(self, condition: d.Condition, negated: bool = False) -> Span:
        match condition:
            case d.Criterion():
                return self._criterion(condition, negated)
            case d.Not(of=inner):
                least, greatest = self._span(inner, not negated)
                return _not(greatest), _not(least)
            case d.All(of=parts):
                return _together(len(parts), [self._span(part, negated) for part in parts])
            case d.AnyOf(of=parts):
                return _together(1, [self._span(part, negated) for part in parts])
            case d.AtLeast(of=parts):
                return _together(condition.need, [self._span(part, negated) for part in parts])
            case d.Score():
                return self._score(condition)

    def _criterion(self, criterion: d.Criterion, negated: bool) -> Span:
        truth = self.judge.truth(criterion, negated).at(self.floor)
        turns = any(self._may_come(signal) >= marks for signal, marks in self.distances[criterion, negated].items())
        if isinstance(criterion.subject, d.ScorePoints):
            turns = turns or not self._score_stays(criterion.test)
        return (False, True) if turns else (truth, truth)

    def _may_come(self, signal: int) -> int:
        return self._marks.get(signal, UNBOUNDED)

    # --- the score ---

    def _items(self) -> list[d.Points]:
        """What of the score counts events one by one."""
        reads_score = any(
            isinstance(leaf, d.Score) or isinstance(leaf.subject, d.ScorePoints) for leaf, _ in self.leaves
        )
        return [item for item in _scored(self.judge.definition) if item.each is not None] if reads_score else []

    def _score(self, score: d.Score) -> Span:
        truth = self.judge.truth(score)
        held, holds = truth.at(self.floor - 1) is True, truth.at(self.floor)
        up, down = self._score_moves()
        lowest, highest = self._worth()
        if holds is True:
            stays = down == 0 or (held and lowest - down >= score.leave)
        else:
            stays = up == 0 or (not held and highest + up < score.enter)
        return (holds, holds) if stays else (False, True)

    def _score_stays(self, test: Comparator) -> bool:
        up, down = self._score_moves()
        least, most = self._worth()
        ends = {test.holds(least - down), test.holds(most + up)}
        one_sided = test.operator in ("at least", "more than", "at most", "less than")
        return up == down == 0 or (one_sided and len(ends) == 1)

    def _score_moves(self) -> tuple[Decimal, Decimal]:
        """By how much the score may rise, and fall."""
        up = down = Decimal(0)
        for item in _scored(self.judge.definition):
            rises, falls = self._moves(item)
            up, down = up + rises, down + falls
        return up, down

    def _moves(self, item: d.Points) -> tuple[Decimal, Decimal]:
        points = item.points
        if item.when is not None:
            least, greatest = self._span(item.when)
            gains = points if greatest is True and least is not True else Decimal(0)
            holds = self.judge.truth(item.when).at(self.floor) is True
            rises, falls = (Decimal(0), gains) if holds else (gains, Decimal(0))
            return (rises, falls) if points >= 0 else (-falls, -rises)
        rises, falls = self._moves_of_each(item)
        if item.cap is not None:
            lowest, highest = self._given(item)
            rises = min(rises, item.cap - lowest) if points >= 0 else rises
            falls = min(falls, highest - item.cap) if points < 0 else falls
        return rises, falls

    def _moves_of_each(self, item: d.Points) -> tuple[Decimal, Decimal]:
        each, points = item.each, item.points
        assert each is not None
        more = self._more(each)
        if more == 0:
            return Decimal(0), Decimal(0)
        counts = isinstance(each, d.Sequence) or each.signal.aggregate == "count"
        if item.half_life is None or counts:
            # Each adds what it is worth at most, and takes nothing from the others.
            return (more * points, Decimal(0)) if points >= 0 else (Decimal(0), -more * points)
        # Whose points are fading may be another's turn; what is given lies between none and all of it.
        all_of_it = abs(points) * (more + self._between(id(each), lambda: self.judge.value(each))[1])
        least, most = self._given(item)
        return (all_of_it, most) if points >= 0 else (-least, all_of_it)

    def _worth(self) -> tuple[Decimal, Decimal]:
        return self._between(id(self.judge), lambda: self.judge.score)

    def _given(self, item: d.Points) -> tuple[Decimal, Decimal]:
        return self._between(id(item), lambda: self.judge.points(item))

    def _between(self, key: int, steps: Callable[[], Steps[Any]]) -> tuple[Decimal, Decimal]:
        """The least and the most that a value is within the time."""
        if key not in self._ranges:
            found = _numbers(steps(), self.floor, self.until)
            self._ranges[key] = (min(found), max(found))
        return self._ranges[key]

    def _more(self, each: d.Use | d.Sequence) -> int:
        """By how much what is counted may grow."""
        begun = self._anchor(each.window)
        if any(self._may_come(signal) for signal in begun):
            return UNBOUNDED
        if self._is_closed(each.window):
            return 0
        if isinstance(each, d.Use):
            marks = self._may_come(each.signal.id)
            return min(marks, self._days(each)) if each.signal.aggregate == "active_days" else marks
        return self._may_come(each.then.id) + (self._open(each) if self._may_come(each.first.id) else 0)

    # --- distances ---

    def _distances(self, criterion: d.Criterion, negated: bool) -> Mapping[int, int]:
        subject, test = criterion.subject, criterion.test
        watched: dict[int, int] = {}
        if d.needs_watch(criterion, negated) and not self._is_fixed(self.judge.observed):
            watched = {self.judge.definition.observed.id: 1}
        return {**self._distances_of(subject, test, self.judge.truth(criterion, negated).at(self.floor)), **watched}

    def _distances_of(self, subject: d.Subject, test: Comparator, truth: Truth) -> Mapping[int, int]:
        window = getattr(subject.inner if isinstance(subject, d.Members) else subject, "window", d.Ever())
        begun = self._anchor(window)
        if self._is_closed(window):
            return begun
        match subject:
            case d.Use(signal=signal):
                nearest = self._nearest(subject, test, truth)
            case d.Members(inner=inner):
                signal = inner.signal
                falls = not _only_rises(inner, subject.having)
                nearest = _to_turning_point(_values(self.judge.value(subject), self.floor, self.until), test, falls)
            case d.Sequence(first=first, then=then):
                found = _values(self.judge.value(subject), self.floor, self.until)
                nearest = _to_turning_point(found, test, False)
                if nearest is None:
                    return begun
                left = nearest - self._open(subject)
                return {**begun, **({then.id: left} if left > 0 else {first.id: 1, then.id: 1})}
            case d.Ratio():
                return {signal.id: 1 for signal in d.signals_of(subject)}
            case _:
                return {}
        return begun if nearest is None else {**begun, signal.id: nearest}

    def _nearest(self, use: d.Use, test: Comparator, truth: Truth) -> int | None:
        match use.signal.aggregate:
            case "count" | "distinct" if isinstance(use.window, d.Ever | d.Anchored):
                first = growing_value(use, self.judge.facts, self.floor)
                last = growing_value(use, self.judge.facts, self.until - 1)
                # The values in between are passed one by one.
                found = None if last is None else range(first or 0, last + 1)
                return None if found is None else _to_turning_point(found, test, False)
            case "count" | "distinct" | "active_days":
                nearest = _to_turning_point(_values(self.judge.value(use), self.floor, self.until), test, False)
                is_too_far = nearest is not None and use.signal.aggregate == "active_days" and nearest > self._days(use)
                return None if is_too_far else nearest
            case "since":
                return self._nearest_since(use, test)
            case "min" | "max" | "first" | "last":
                return None if self._is_kept(use, test, truth) else 1
        return 1

    def _nearest_since(self, use: d.Use, test: Comparator) -> int | None:
        """An event sets it back to nothing: that changes nothing where no turning point has been passed."""
        spans = self.judge.facts.series_of(use.signal).spans
        # Where the hour goes on beyond the floor, its first event will do: it only makes the time since longer.
        before = next((span for span in reversed(spans) if span.first_at <= self.floor), None)
        if before is None:
            return 1
        last = before.last_at if before.last_at <= self.floor else before.first_at
        return 1 if any(point <= self.floor - last for point in test.turning_points()) else None

    def _days(self, use: d.Use) -> int:
        """How many days there are in which something may come."""
        first, last = local_day(self.floor, use.zone), local_day(self.until - 1, use.zone)
        return last.toordinal() - first.toordinal() + 1

    def _is_kept(self, use: d.Use, test: Comparator, truth: Truth) -> bool:
        """Whether the test of an extreme stays as it is, whatever comes."""
        found = _values(self.judge.value(use), self.floor, self.until)
        if None in found:
            return False
        if not test.operands:
            return True  # what is known stays known
        if use.signal.aggregate == "first":
            return isinstance(use.window, d.Ever | d.Anchored) and self._is_known_before(use)
        rises = use.signal.aggregate == "max"
        if use.signal.aggregate == "last" or truth is None:
            return False
        return truth is (test.operator in (("at least", "more than") if rises else ("at most", "less than"))) and (
            test.operator in ("at least", "more than", "at most", "less than")
        )

    def _is_known_before(self, use: d.Use) -> bool:
        return self.judge.value(use).at(self.floor - 1) is not None

    def _open(self, sequence: d.Sequence) -> int:
        """How many second steps lie where a new first one may still complete them."""
        spans = self.judge.facts.series_of(sequence.then).spans
        return sum(span.n for span in spans if span.last_at >= self.floor)

    def _untimely(self) -> frozenset[int]:
        """
        The signals whose marks may change what was before them: whoever does anything becomes a member, and where
        members count who did nothing, always was one.
        """
        found = [leaf.subject for leaf, _ in self.leaves if isinstance(leaf, d.Criterion)]
        return frozenset(
            subject.inner.signal.id
            for subject in found
            if isinstance(subject, d.Members) and True in (subject.having.holds(0), subject.having.holds(None))
        )

    # --- anchored windows ---

    def _anchor(self, window: d.Window) -> Mapping[int, int]:
        """The anchor, while a mark of it may still move the window."""
        if not isinstance(window, d.Anchored) or self._is_fixed(self._start(window)):
            return {}
        return {window.anchor.id: 1}

    def _start(self, window: d.Anchored) -> int | None:
        return self.judge.facts.series_of(window.anchor).first_at

    def _is_fixed(self, first_at: int | None) -> bool:
        return first_at is not None and first_at <= self.floor

    def _is_closed(self, window: d.Window) -> bool:
        """Whether nothing that comes can count any more."""
        if not isinstance(window, d.Anchored):
            return False
        start = self._start(window)
        return start is not None and start + window.length <= self.floor


def _to_turning_point(values: Iterable[Any], test: Comparator, falls: bool) -> int | None:
    """How many steps up, or down, a count is from the nearest number at which a test of it turns; None: it never is."""
    points = test.turning_points()
    found: list[int] = []
    if isinstance(values, range):
        if any(values[0] < point <= values[-1] for point in points):
            return 1
        values = (values[-1],)
    for value in set(values) - {None}:
        above = bisect_right(points, value)
        found += [points[above] - value] if above < len(points) else []
        found += [value - points[above - 1] + 1] if falls and above else []
    return min(found, default=None)


def _only_rises(inner: d.Use, having: Comparator) -> bool:
    """Whether more events never make a member count no more."""
    counts = inner.signal.aggregate in ("count", "distinct", "active_days")
    return counts and having.operator in ("at least", "more than")


def _values(steps: Steps[Any], floor: int, until: int) -> list[Any]:
    """Every value between two instants."""
    first = bisect_right(steps.changes, floor, key=lambda change: change[0])
    last = bisect_left(steps.changes, until, key=lambda change: change[0])
    return [steps.at(floor), *(value for _, value in steps.changes[first:last])]


def _numbers(steps: Steps[Any], floor: int, until: int) -> list[Decimal]:
    found = [as_number(value) for value in _values(steps, floor, until)]
    return [Decimal(0) if number is None else number for number in found]


def _together(need: int, spans: Sequence[Span]) -> Span:
    return at_least(need, [least for least, _ in spans]), at_least(need, [greatest for _, greatest in spans])


def _either(one: Span, other: Span) -> Span:
    rank: Callable[[Truth], int] = _RANKS.__getitem__
    return min(one[0], other[0], key=rank), max(one[1], other[1], key=rank)


def _not(truth: Truth) -> Truth:
    return None if truth is None else not truth
