"""
Why: each criterion with its value and verdict, and the cheapest step that is still missing.

The result is plain JSON. It is written into the ledger as evidence and served by the API and the command line alike.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, assert_never

from assay.contract.times import format_instant
from assay_collector.pql.comparators import Comparator, Truth
from assay_collector.pql.decision import EntityFacts, at_least, period_of, value_at
from assay_collector.pql.definition import (
    All,
    Anchored,
    AnyOf,
    AtLeast,
    Condition,
    Criterion,
    Definition,
    Matcher,
    Not,
    Trait,
    Use,
    criteria,
)

Json = dict[str, Any]


def evidence(definition: Definition, facts: EntityFacts, instant: int) -> Json:
    """
    Each criterion's value, threshold and verdict at an instant, and what follows from them.

    The criteria and the definition alone give the verdict again.
    """
    shown: Json = {
        "qualify": _tree(definition.qualify, facts, instant),
        "qualified": _truth_at(definition.qualify, facts, instant),
    }
    if definition.eligible is not None:
        shown["eligible"] = _tree(definition.eligible, facts, instant)
    if definition.fit is not None:
        fit = _truth_at(definition.fit, facts, instant)
        shown["fit"] = {True: "match", False: "no match", None: "unknown"}[fit]
    return {"asOf": format_instant(instant), "version": definition.version, **shown}


def missing(definition: Definition, facts: EntityFacts, instant: int) -> Json:
    """
    What still keeps an entity from qualifying.

    Returns:
        ``steps``: the cheapest set of steps that would do (empty when nothing is missing, or nothing can do it);
        ``reachable``: whether steps can still do it; ``blockedOn``: unknown traits that stand in the way.
    """
    conditions = [definition.qualify, *([] if definition.eligible is None else [definition.eligible])]
    path = _together(_cheapest(condition, facts, instant, True) for condition in conditions)
    unknown = {
        criterion.name
        for condition in conditions
        for criterion in criteria(condition)
        if isinstance(criterion.subject, Trait) and _truth_at(criterion, facts, instant) is None
    }
    reachable = path.possible and facts.excluded_by is None
    shown: Json = {"reachable": reachable, "steps": list(path.steps.values()) if reachable else []}
    if unknown:
        shown["blockedOn"] = sorted(unknown)
    if facts.excluded_by is not None:
        shown["excludedBy"] = facts.excluded_by
    return shown


# --- what holds ----------------------------------------------------------------------------------------------------


def _tree(condition: Condition, facts: EntityFacts, instant: int) -> Json:
    holds = _truth_at(condition, facts, instant)
    match condition:
        case Criterion():
            return _criterion(condition, facts, instant, holds)
        case Not(of=inner):
            return {"not": _tree(inner, facts, instant), "holds": holds}
        case All(of=parts):
            return {"all": [_tree(part, facts, instant) for part in parts], "holds": holds}
        case AnyOf(of=parts):
            return {"any": [_tree(part, facts, instant) for part in parts], "holds": holds}
        case AtLeast(of=parts):
            trees = [_tree(part, facts, instant) for part in parts]
            satisfied = sum(tree["holds"] is True for tree in trees)
            return {"atLeast": condition.need, "satisfied": satisfied, "of": trees, "holds": holds}
        case _:
            assert_never(condition)


def _criterion(criterion: Criterion, facts: EntityFacts, instant: int, holds: Truth) -> Json:
    shown: Json = {
        "name": criterion.name,
        "value": value_at(criterion.subject, facts, instant),
        "test": str(criterion.test),
        "holds": holds,
    }
    if isinstance(criterion.subject, Use) and isinstance(criterion.subject.window, Anchored):
        period = period_of(criterion.subject, facts)
        shown["window"] = criterion.subject.window.text
        if period is not None:
            shown["from"], shown["until"] = format_instant(period.start), format_instant(period.end)
    return shown


def _truth_at(condition: Condition, facts: EntityFacts, instant: int) -> Truth:
    match condition:
        case Criterion(subject=subject, test=test):
            return test.holds(value_at(subject, facts, instant))
        case Not(of=inner):
            value = _truth_at(inner, facts, instant)
            return None if value is None else not value
        case All(of=parts):
            return at_least(len(parts), [_truth_at(part, facts, instant) for part in parts])
        case AnyOf(of=parts):
            return at_least(1, [_truth_at(part, facts, instant) for part in parts])
        case AtLeast(of=parts):
            return at_least(condition.need, [_truth_at(part, facts, instant) for part in parts])
        case _:
            assert_never(condition)


# --- what is missing --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Path:
    """
    Steps to make a condition hold, by what they add to, and whether they can do it at all.

    One event serves every criterion on the same signal, and an anchor counts in the window it opens: so of two steps
    that add to the same the larger does for both.
    """

    steps: Mapping[Hashable, Json] = field(default_factory=dict)
    possible: bool = True

    @property
    def cost(self) -> float:
        """How many events and traits it takes; infinite: it cannot be done."""
        return sum(step.get("events", 1) for step in self.steps.values()) if self.possible else math.inf


_DONE = _Path()
_NEVER = _Path(possible=False)


def _cheapest(condition: Condition, facts: EntityFacts, instant: int, wanted: bool) -> _Path:
    """The fewest steps after which the condition is true, or false, as wanted."""
    if _truth_at(condition, facts, instant) is wanted:
        return _DONE
    match condition:
        case Criterion(subject=subject, test=test):
            if isinstance(subject, Trait):
                must_be = str(test) if wanted else f"not ({test})"
                return _Path({(subject, must_be): {"trait": subject.name, "must be": must_be}})
            return _more_events(subject, test, facts, instant, wanted)
        case Not(of=inner):
            return _cheapest(inner, facts, instant, not wanted)
        case All(of=parts):
            return _cheapest_of(parts, len(parts) if wanted else 1, facts, instant, wanted)
        case AnyOf(of=parts):
            return _cheapest_of(parts, 1 if wanted else len(parts), facts, instant, wanted)
        case AtLeast(of=parts):
            need = condition.need if wanted else len(parts) - condition.need + 1
            return _cheapest_of(parts, need, facts, instant, wanted)
        case _:
            assert_never(condition)


def _cheapest_of(parts: Sequence[Condition], need: int, facts: EntityFacts, instant: int, wanted: bool) -> _Path:
    """As many of the parts as are needed, the cheapest first, in the order of the file."""
    paths = [_cheapest(part, facts, instant, wanted) for part in parts]
    if need > len(paths):
        return _NEVER
    chosen = sorted(range(len(paths)), key=lambda index: paths[index].cost)[:need]
    return _together([paths[index] for index in sorted(chosen)])


def _together(paths: Iterable[_Path]) -> _Path:
    steps: dict[Hashable, Json] = {}
    possible = True
    for path in paths:
        possible = possible and path.possible
        for key, step in path.steps.items():
            known = steps.get(key)
            if known is None or known.get("events", 1) < step.get("events", 1):
                steps[key] = step
    return _Path(steps, possible)


def _more_events(use: Use, test: Comparator, facts: EntityFacts, instant: int, wanted: bool) -> _Path:
    steps: dict[Hashable, Json] = {}
    until, value = None, value_at(use, facts, instant) or 0
    if isinstance(use.window, Anchored):
        anchor, period = use.window.anchor, period_of(use, facts)
        if period is None:
            steps[anchor.id] = {"events": 1, "event": _named(anchor.matcher)}
            value = int(use.signal.id == anchor.id)
        elif instant >= period.end:
            return _NEVER
        else:
            until = period.end
    needed = _needed(test, value, wanted)
    if needed is None:
        return _NEVER
    if needed:
        # What an anchor of its own signal counted already is asked for with the rest.
        total = needed + (value if use.signal.id in steps else 0)
        steps[use.signal.id] = _events(use, total, until)
    return _Path(steps)


def _needed(test: Comparator, value: int, wanted: bool) -> int | None:
    """How many more make the test true, or false, as wanted; None: no number does."""
    if test.holds(value) is wanted:
        return 0
    points = (number for number in test.turning_points() if number > value)
    return next((number - value for number in points if test.holds(number) is wanted), None)


def _events(use: Use, needed: int, until: int | None) -> Json:
    step: Json = {"signal": use.name, "events": needed, "event": _named(use.signal.matcher)}
    if use.signal.of is not None:
        step["distinct"] = use.signal.of
    if use.signal.matcher.where:
        step["where"] = {path: str(test) for path, test in use.signal.matcher.where}
    if until is not None:
        step["before"] = format_instant(until)
    return step


def _named(matcher: Matcher) -> str:
    return " or ".join(matcher.events) or "any event"


# --- words ------------------------------------------------------------------------------------------------------------


def in_words(step: Json) -> str:
    """A missing step as people say it: "1 more Invite Accepted (another invitee_id) before ..."."""
    if "trait" in step:
        return f"{step['trait']} must be {step['must be']}"
    text = f"{step['events']} more {step['event']}"
    if "distinct" in step:
        text += f" (another {step['distinct']})"
    if "where" in step:
        text += " where " + ", ".join(f"{path} is {test}" for path, test in step["where"].items())
    if "before" in step:
        text += f" before {step['before']}"
    return text


def reasons(tree: Json) -> list[str]:
    """The criteria that hold, as people say them: "tasks = 4 (at least 3)"."""
    if "name" in tree:
        return [f"{tree['name']} = {_plain(tree['value'])} ({tree['test']})"] if tree["holds"] else []
    parts = tree.get("all") or tree.get("any") or tree.get("of") or []
    return [reason for part in parts for reason in reasons(part)]


def _plain(value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value).lower() if isinstance(value, bool) else str(value)
