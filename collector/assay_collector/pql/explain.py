"""
Why: each criterion with its value and verdict, and the cheapest step that is still missing.

The result is plain JSON. It is written into the ledger as evidence and served by the API and the command line alike.
"""

import math
from dataclasses import dataclass
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
    paths = [_cheapest(condition, facts, instant) for condition in conditions]
    path = _Path(sum(p.cost for p in paths), tuple(step for p in paths for step in p.steps))
    unknown = {
        criterion.name
        for condition in conditions
        for criterion in criteria(condition)
        if isinstance(criterion.subject, Trait) and _truth_at(criterion, facts, instant) is None
    }
    reachable = math.isfinite(path.cost) and facts.excluded_by is None
    shown: Json = {"reachable": reachable, "steps": list(path.steps) if reachable else []}
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
    """Steps to make a condition hold, and how many events or traits they take; infinite: it cannot be done."""

    cost: float
    steps: tuple[Json, ...] = ()


_DONE = _Path(0)
_NEVER = _Path(math.inf)


def _cheapest(condition: Condition, facts: EntityFacts, instant: int) -> _Path:
    if _truth_at(condition, facts, instant) is True:
        return _DONE
    match condition:
        case Criterion(subject=subject, test=test):
            if isinstance(subject, Trait):
                return _Path(1, ({"trait": subject.name, "must be": str(test)},))
            return _more_events(subject, test, facts, instant)
        case Not():
            return _NEVER  # an event that happened cannot be made not to have happened
        case All(of=parts):
            return _sum(sorted((_cheapest(part, facts, instant) for part in parts), key=_cost))
        case AnyOf(of=parts):
            return min((_cheapest(part, facts, instant) for part in parts), key=_cost, default=_NEVER)
        case AtLeast(of=parts):
            paths = sorted((_cheapest(part, facts, instant) for part in parts), key=_cost)
            return _sum(paths[: condition.need])
        case _:
            assert_never(condition)


def _more_events(use: Use, test: Comparator, facts: EntityFacts, instant: int) -> _Path:
    if isinstance(use.window, Anchored):
        period = period_of(use, facts)
        if period is None:
            anchor = {"events": 1, "event": _named(use.window.anchor.matcher)}
            needed = _needed(test, 0)
            return _NEVER if needed is None else _Path(1 + needed, (anchor, *_events(use, needed, None)))
        if instant >= period.end:
            return _NEVER
        until = period.end
    else:
        until = None
    value = value_at(use, facts, instant)
    needed = _needed(test, value or 0)
    return _NEVER if needed is None else _Path(needed, _events(use, needed, until))


def _needed(test: Comparator, value: int) -> int | None:
    """How many more make the test hold; None: no number does."""
    if test.holds(value):
        return 0
    return next((number - value for number in test.turning_points() if number > value and test.holds(number)), None)


def _events(use: Use, needed: int, until: int | None) -> tuple[Json, ...]:
    if not needed:
        return ()
    step: Json = {"signal": use.name, "events": needed, "event": _named(use.signal.matcher)}
    if use.signal.of is not None:
        step["distinct"] = use.signal.of
    if use.signal.matcher.where:
        step["where"] = {path: str(test) for path, test in use.signal.matcher.where}
    if until is not None:
        step["before"] = format_instant(until)
    return (step,)


def _named(matcher: Matcher) -> str:
    return " or ".join(matcher.events) or "any event"


def _sum(paths: list[_Path]) -> _Path:
    return _Path(sum(path.cost for path in paths), tuple(step for path in paths for step in path.steps))


def _cost(path: _Path) -> float:
    return path.cost


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
