"""What a definition comes to: thresholds that decide nothing, and what is enough to qualify."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, assert_never

from assay.contract.times import DAY
from assay_collector.pql.comparators import Comparator, Truth, as_number
from assay_collector.pql.compilation import Source
from assay_collector.pql.decision import at_least
from assay_collector.pql.definition import (
    All,
    Anchored,
    AnyOf,
    AtLeast,
    CalendarDays,
    CalendarMonth,
    Condition,
    Criterion,
    Definition,
    Ever,
    Matcher,
    Members,
    NamedTrait,
    Not,
    Points,
    Project,
    Ratio,
    Rolling,
    Score,
    ScorePoints,
    Sequence,
    Subject,
    Trait,
    Use,
    Window,
    signals_of,
    subjects,
)
from assay_collector.pql.problems import Findings, quoted
from assay_collector.pql.signals import is_since
from assay_collector.pql.yaml_tree import Path, walk

_COUNTED: Final = ("count", "distinct", "active_days")
_SIGN_UP: Final = re.compile(
    r"sign(ed)?[ _-]?up|(account|user|workspace)[ _-]created|regist(ered|ration)|trial[ _-]started", re.I
)


@dataclass(frozen=True)
class MeaningLinter:
    """The rules D202, D203, D205 and D206 over one document."""

    source: Source
    project: Project
    findings: Findings

    def run(self) -> None:
        """Note whatever a definition probably does not mean to say."""
        for path, criterion in self.source.compiled.criteria:
            self._check_threshold(path, criterion)
        for path, value in walk(self.findings.tree.value):
            if path[-1:] == ("at_least",) and isinstance(value, dict):
                self._check_part(path, value)
        definition = self.source.definition
        if definition is not None:
            self._check_score(definition)
            self._check_what_is_enough(definition)
            self._check_marketing(definition)

    @property
    def _place(self) -> Path:
        """The clause that says who qualifies."""
        return ("stages",) if self.findings.tree.get(("qualify",)) is None else ("qualify",)

    # --- thresholds ---

    def _check_threshold(self, path: Path, criterion: Criterion) -> None:
        """D202."""
        subject, test = criterion.subject, criterion.test
        name = "having" if path[-1] == "having" else subject.name
        shown = quoted(f"{name}: {test}")
        if is_counted(subject):
            if "%" in test.text:
                self.findings.add("D202", path, f"{shown} asks a count for a share; a count is 0, 1, 2 and so on")
            elif not (test.operator.endswith("known") and isinstance(_window(subject), Anchored)):
                self._check_count(path, shown, test, _most(subject))
        elif _is_number(subject) and test.operator in ("equals", "any of") and not any(map(_number, test.operands)):
            self.findings.add("D202", path, f"{shown} never holds; this is a number, such as `at least 1`")
        elif is_since(subject) and test.operands and not test.turning_points() and not test.holds(0):
            self.findings.add("D202", path, f"{shown} never holds; a time since is never below nothing")

    def _check_count(self, path: Path, shown: str, test: Comparator, most: int | None) -> None:
        points = [point for point in test.turning_points() if most is None or point <= most]
        if not points:
            always = "always holds" if test.holds(0) else "never holds"
            values = "0, 1, 2 and so on" if most is None else f"at most {most} in this window"
            self.findings.add("D202", path, f"{shown} {always}; a count is {values}")

    def _check_part(self, path: Path, written: dict[str, Any]) -> None:
        of, need = written.get("of"), written.get("count")
        entries = len(of) if isinstance(of, dict | list) else 0
        if entries and isinstance(need, int) and need > entries:
            self.findings.add("D202", (*path, "count"), f"{need} of {entries} entries never hold; ask for fewer")
        share = written.get("share")
        if isinstance(share, str) and re.fullmatch(r"[0.]+%", share):
            self.findings.add("D202", (*path, "share"), f"a share of {share} always holds; ask for more")

    def _check_score(self, definition: Definition) -> None:
        """D202 for what the items of a score add up to at most."""
        score = _score_of(definition.qualify)
        most = None if score is None else _most_points(score.items)
        if score is None or most is None:
            return
        places = [
            (path, score.enter)
            for path, _ in walk(self.findings.tree.value)
            if path[:1] == self._place and path[-1:] == ("enter",)
        ]
        for path, criterion in self.source.compiled.criteria:
            least = criterion.test.operands[0] if criterion.test.operator in ("at least", "more than") else None
            if isinstance(criterion.subject, ScorePoints) and isinstance(least, Decimal):
                places.append((path, least))
        for path, least in places:
            if least > most:
                message = f"the score never reaches {least}; all items together give {most:f} at most"
                self.findings.add("D202", path, message)

    # --- what is enough ---

    def _check_what_is_enough(self, definition: Definition) -> None:
        """D203 and D205: what the definition says of somebody who has only signed up, and of everybody else."""
        if _truth(definition.qualify, None) is True:
            if not any(map(_comes_and_goes, subjects(definition.qualify))):
                message = (
                    "this holds of everybody before anything has happened, so nobody ever enters it; "
                    "ask for something that somebody does"
                )
                self.findings.add("D205", self._place, message, on_key=True)
            return
        events = _first_events(definition)
        if _truth(definition.qualify, events) is True:
            names = ", ".join(map(quoted, sorted(events))) or "any event"
            message = f"signing up is enough to qualify: {names} alone makes this hold; ask for something more"
            self.findings.add("D203", self._place, message, on_key=True)

    def _check_marketing(self, definition: Definition) -> None:
        """D206: reading about a product is not using it."""
        matchers = [
            signal.matcher for subject in subjects(definition.qualify) for signal in _signals_without_anchors(subject)
        ]
        names = {name for matcher in matchers for name in matcher.events}
        if names and all(matcher.events for matcher in matchers) and names <= set(self.project.marketing):
            listed = ", ".join(map(quoted, sorted(names)))
            message = f"only marketing events decide ({listed}); add a signal of somebody using the product"
            self.findings.add("D206", self._place, message, on_key=True)


# --- what can be said of a subject ------------------------------------------------------------------------------------


def is_counted(subject: Subject) -> bool:
    """Whether a subject is 0, 1, 2 and so on."""
    return isinstance(subject, Members | Sequence) or (
        isinstance(subject, Use) and subject.signal.aggregate in _COUNTED
    )


def _is_number(subject: Subject) -> bool:
    of_numbers = isinstance(subject, Use) and subject.signal.aggregate in ("sum", "min", "max")
    return of_numbers or isinstance(subject, Ratio | ScorePoints)


def _number(operand: object) -> bool:
    return not isinstance(operand, str) and as_number(operand) is not None


def _window(subject: Subject) -> Window | None:
    return subject.window if isinstance(subject, Use | Sequence) else None


def _most(subject: Subject) -> int | None:
    """The most that can be counted; None: there is no limit."""
    if not isinstance(subject, Use) or subject.signal.aggregate != "active_days":
        return None
    match subject.window:
        case CalendarDays(days=days):
            return days
        case CalendarMonth():
            return 31
        case Rolling(length=length) | Anchored(length=length):
            # It begins and ends in the middle of a day.
            return -(-length // DAY) + 1
        case Ever():
            return None
        case _:
            assert_never(subject.window)


def _most_points(items: tuple[Points, ...]) -> Decimal | None:
    """The most that a score can be; None: there is no limit."""
    total = Decimal(0)
    for item in items:
        if item.points > 0 and item.each is not None:
            if item.cap is None:
                return None
            total += item.cap
        elif item.points > 0:
            total += item.points
    return total


def _score_of(condition: Condition) -> Score | None:
    match condition:
        case Score():
            return condition
        case Not(of=inner):
            return _score_of(inner)
        case All(of=parts) | AnyOf(of=parts) | AtLeast(of=parts):
            return next((score for part in parts if (score := _score_of(part)) is not None), None)
    return None


def _comes_and_goes(subject: Subject) -> bool:
    """Whether time alone, or a later event, can make it what it was before."""
    match subject:
        case Use(window=window) | Sequence(window=window):
            return isinstance(window, Rolling | CalendarDays | CalendarMonth)
        case Members(inner=inner):
            return _comes_and_goes(inner)
        case Ratio(above=above, below=below):
            return _comes_and_goes(above) or _comes_and_goes(below)
    return False


def _signals_without_anchors(subject: Subject) -> Iterator[Any]:
    anchor = getattr(_window(subject), "anchor", None)
    return (signal for signal in signals_of(subject) if signal is not anchor)


# --- somebody new -----------------------------------------------------------------------------------------------------


def _first_events(definition: Definition) -> frozenset[str]:
    """The events that somebody who has only signed up has: those that start windows, and those that sound like it."""
    windows = [_window(subject) for subject in definition.uses]
    anchors = {name for window in windows if isinstance(window, Anchored) for name in window.anchor.matcher.events}
    named = {name for signal in definition.signals for name in signal.matcher.events if _SIGN_UP.search(name)}
    return frozenset(anchors | named)


def _truth(condition: Condition, events: frozenset[str] | None) -> Truth:
    """What holds of an entity with one each of these events (None: with none at all); its traits are unknown."""
    match condition:
        case Criterion(subject=subject, test=test):
            return _holds(subject, test, events)
        case Not(of=inner):
            value = _truth(inner, events)
            return None if value is None else not value
        case All(of=parts):
            return at_least(len(parts), [_truth(part, events) for part in parts])
        case AnyOf(of=parts):
            return at_least(1, [_truth(part, events) for part in parts])
        case AtLeast(of=parts):
            return at_least(condition.need, [_truth(part, events) for part in parts])
        case Score(items=items, enter=enter):
            return sum((_points(item, events) for item in items), Decimal(0)) >= enter
        case _:
            assert_never(condition)


def _points(item: Points, events: frozenset[str] | None) -> Decimal:
    if item.when is not None:
        return item.points if _truth(item.when, events) is True else Decimal(0)
    assert item.each is not None
    return item.points * (_value(item.each, events) or 0)


def _holds(subject: Subject, test: Comparator, events: frozenset[str] | None) -> Truth:
    if is_since(subject) and events is not None and _value(subject, events) is not None:
        # Time passes by itself: what is true some time after the event needs no other.
        return any(test.holds(elapsed) for elapsed in (0, *test.turning_points()))
    return test.holds(_value(subject, events))


def _value(subject: Subject, events: frozenset[str] | None) -> Any:
    """What somebody new has of a subject; None: unknown."""
    match subject:
        case Use():
            return _value_of_use(subject, events)
        case Sequence(first=first, then=then, window=window):
            if events is None:
                return None if isinstance(window, Anchored) else 0
            return int(_is_met(first.matcher, events) and _is_met(then.matcher, events))
        case Members(inner=inner, having=having, where=where):
            # The traits of whoever signed up are unknown.
            return int(events is not None and not where and having.holds(_value(inner, events)) is True)
        case Ratio(above=above, below=below):
            top, bottom = as_number(_value(above, events)), as_number(_value(below, events))
            return None if top is None or not bottom else top / bottom
        case Trait() | NamedTrait() | ScorePoints():
            return None
        case _:
            assert_never(subject)


def _value_of_use(use: Use, events: frozenset[str] | None) -> int | None:
    is_shifted = bool(getattr(use.window, "ago", 0))
    met = events is not None and not is_shifted and _is_met(use.signal.matcher, events)
    if events is None and isinstance(use.window, Anchored):
        return None  # it has not begun
    match use.signal.aggregate:
        case "count" | "distinct" | "active_days":
            return int(met)
        case "sum":
            return None if met else 0
        case "since":
            return 0 if met else None
    return None  # the property of an event that nobody knows


def _is_met(matcher: Matcher, events: frozenset[str]) -> bool:
    # Of any event with certain properties nobody knows whether signing up is one.
    return not events.isdisjoint(matcher.events) if matcher.events else not matcher.where
