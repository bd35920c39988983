"""
Episodes: when a qualification begins, how it ends, and when it may begin again.

A walk along truths over time. Nothing here knows what the truths are about.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from assay.contract.times import INSTANT_MIN
from assay_collector.pql.comparators import Truth, as_number
from assay_collector.pql.presence import FOREVER
from assay_collector.pql.steps import Steps, combine

# At one instant the better end wins.
ENDS = ("converted", "exited", "expired")


@dataclass(frozen=True, slots=True)
class Moment:
    """One step of an episode."""

    episode: int
    step: str  # qualified | exited | expired | converted
    at: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """What decides the course of an entity, over all of time. Durations are microseconds."""

    may_begin: Steps[Truth]
    must_end: Steps[Truth]
    converted_at: Sequence[int] = ()  # ascending
    hold: int = 0
    expire: int | None = None
    requalify_after: int | None = None  # None: never
    # How much the next episode must surpass the last: values over time, and the factor on the last one's peak.
    beyond: tuple[tuple[Steps[Any], Decimal], ...] = ()


def walk(course: Course, until: int) -> list[Moment]:
    """
    Every step of every episode up to an instant, in order of time, and the next one still to come if nothing happens.

    An episode begins once `may_begin` has held for `hold` without a break; what has always held has no beginning. It
    ends at the first of: a conversion, `must_end`, and `expire`. The next begins `requalify_after` the end at the
    earliest.
    """
    moments: list[Moment] = []
    episode, earliest = 1, INSTANT_MIN
    gate = course.may_begin
    while True:
        begin = _begin(gate, course.hold, earliest)
        if begin is None:
            return moments
        moments.append(Moment(episode, "qualified", begin))
        end = _end(course, begin)
        if end is None or begin > until:
            return moments
        moments.append(Moment(episode, end[1], end[0]))
        # Who may always begin again and always runs out would go on to the end of time.
        if course.requalify_after is None or end[0] > until:
            return moments
        episode += 1
        earliest = end[0] + max(course.requalify_after, 1)
        gate = _again(course, begin, *end)


def held(course: Course, moments: Sequence[Moment], at: int) -> tuple[int, int] | None:
    """
    Since when it has held without a break, and until when it must go on to, for the next episode to begin.

    Args:
        moments: What `walk` found, up to this instant and beyond.

    Returns:
        None: nothing is being waited for, or for the cool-down only.
    """
    coming = next((moment for moment in moments if moment.step == "qualified" and moment.at > at), None)
    if coming is None:
        return None
    gate = gate_of(course, moments, coming.episode)
    return next(
        (
            (start, coming.at)
            for start, end in spells_of(gate)
            if start <= at < end and coming.at == start + course.hold
        ),
        None,
    )


def gate_of(course: Course, moments: Sequence[Moment], episode: int) -> Steps[Truth]:
    """Whether an episode may begin, given how the one before it went."""
    before = {moment.step: moment.at for moment in moments if moment.episode == episode - 1}
    ended = next(((before[step], step) for step in ENDS if step in before), None)
    return course.may_begin if ended is None else _again(course, before["qualified"], *ended)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What keeps an episode from beginning, although its conditions hold."""

    # once: it ended, and may not begin again; cool-down; beyond: a mark is not passed; exit: what ended it still holds;
    # always: it has held from the beginning, so it begins when it becomes true anew; hold
    what: str
    since: int | None = None
    until: int | None = None
    mark: int | None = None  # the place in `Course.beyond`
    least: Decimal | None = None  # what must be reached


def obstacles(course: Course, moments: Sequence[Moment], at: int) -> list[Obstacle]:
    """
    What keeps the next episode from beginning at an instant, besides `may_begin` itself.

    Args:
        moments: What had happened by then.
    """
    episode = max((moment.episode for moment in moments), default=0)
    ends = [moment for moment in moments if moment.episode == episode and moment.step in ENDS]
    found = list(_between_episodes(course, moments, ends[-1], at)) if ends else []
    if any(each.what == "once" for each in found) or (moments and not ends):
        return found
    gate = gate_of(course, moments, episode + 1)
    since = next((start for start, end in spells_of(gate) if start <= at < end), None)
    if since is None and gate.at(at) is True:
        found.append(Obstacle("always"))
    elif since is not None and since + course.hold > at:
        found.append(Obstacle("hold", since=since, until=since + course.hold))
    return found


def _between_episodes(course: Course, moments: Sequence[Moment], end: Moment, at: int) -> Iterator[Obstacle]:
    if course.requalify_after is None:
        yield Obstacle("once", since=end.at)
        return
    earliest = end.at + max(course.requalify_after, 1)
    if at < earliest:
        yield Obstacle("cool-down", since=end.at, until=earliest)
    begin = next(moment.at for moment in moments if moment.episode == end.episode and moment.step == "qualified")
    for index, (values, factor) in enumerate(course.beyond):
        highest = peak(values, begin, end.at)
        if highest is not None and not _at_least(factor * highest)(values.at(at)):
            yield Obstacle("beyond", mark=index, least=factor * highest)
    if end.step == "exited" and _not_bound(course, end.at).at(at) is not True:
        yield Obstacle("exit")


def spells_of(truth: Steps[Truth]) -> list[tuple[int, int]]:
    """When a truth holds: from, inclusive, until, exclusive. What has always held is left out until it breaks."""
    spells: list[tuple[int, int]] = []
    start: int | None = None
    for at, value in truth.changes:
        if value is True and start is None:
            start = at
        elif value is not True and start is not None:
            spells.append((start, at))
            start = None
    if start is not None:
        spells.append((start, FOREVER))
    return spells


def _begin(gate: Steps[Truth], hold: int, earliest: int) -> int | None:
    for start, until in spells_of(gate):
        at = max(start + hold, earliest)
        if at < until:
            return at
    return None


def _end(course: Course, begin: int) -> tuple[int, str] | None:
    converted = next((at for at in course.converted_at if at >= begin), None)
    exited = _first_true_after(course.must_end, begin)
    expired = None if course.expire is None else begin + course.expire
    ends = [(at, step) for at, step in zip((converted, exited, expired), ENDS, strict=True) if at is not None]
    return min(ends, key=lambda end: (end[0], ENDS.index(end[1])), default=None)


def _first_true_after(truth: Steps[Truth], instant: int) -> int | None:
    """When it next becomes true. Whoever qualified in spite of it is not sent away by it at once."""
    return next((at for at, value in truth.changes if at > instant and value is True), None)


def _again(course: Course, begin: int, end: int, step: str) -> Steps[Truth]:
    """
    What may begin the next episode: the same, and every mark of the last one surpassed. Who exited, and merely still
    holds from before, begins again only once `must_end` no longer holds: an exit is not undone by what it ended.
    """
    tests = [
        values.map(_at_least(factor * highest))
        for values, factor in course.beyond
        if (highest := peak(values, begin, end)) is not None
    ]
    free = _not_bound(course, end) if step == "exited" else Steps(True)
    return combine(lambda truths: all(truth is True for truth in truths), [course.may_begin, free, *tests])


def _not_bound(course: Course, end: int) -> Steps[bool]:
    """Where `must_end` does not hold, or `may_begin` has become true anew since the end."""
    lapsed = _lapsed_at(course.may_begin, end)
    bound = course.must_end if lapsed is None else _until(course.must_end, lapsed)
    return bound.map(lambda value: value is not True)


def _lapsed_at(truth: Steps[Truth], instant: int) -> int | None:
    """When, from an instant on, it first does not hold."""
    if truth.at(instant) is not True:
        return instant
    return next((at for at, value in truth.changes if at > instant and value is not True), None)


def _until(truth: Steps[Truth], end: int) -> Steps[Truth]:
    """The same up to an instant; from there on it does not hold."""
    return Steps.of(truth.initial, [*((at, value) for at, value in truth.changes if at < end), (end, False)])


def _at_least(mark: Decimal) -> Callable[[object], bool]:
    def surpasses(value: object) -> bool:
        number = as_number(value)
        return number is not None and number >= mark

    return surpasses


def peak(values: Steps[Any], begin: int, end: int) -> Decimal | None:
    """The high-water mark of an episode; None: its value was never known."""
    met = [values.at(begin), *(value for at, value in values.changes if begin < at < end)]
    numbers = [number for value in met if (number := as_number(value)) is not None]
    return max(numbers, default=None)
