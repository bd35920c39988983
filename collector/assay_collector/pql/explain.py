"""
Why: each criterion with its value and verdict, and the cheapest step that is still missing.

The result is plain JSON. It is written into the ledger as evidence and served by the API and the command line alike.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, assert_never

from assay.contract.times import DAY, HOUR, MINUTE, SECOND, format_instant
from assay_collector.pql import definition as d
from assay_collector.pql.comparators import Comparator, Truth
from assay_collector.pql.decision import EntityFacts, Judge
from assay_collector.pql.values import period_of

Json = dict[str, Any]


def evidence(definition: d.Definition, facts: EntityFacts, instant: int) -> Json:
    """
    Each criterion's value, threshold and verdict at an instant, and what follows from them.

    The criteria and the definition alone give the verdict again.
    """
    judge = Judge(definition, facts)
    qualify = judge.qualify_at(instant)
    shown: Json = {"qualify": _tree(judge, qualify, instant), "qualified": judge.truth_at(qualify, instant)}
    if definition.eligible is not None:
        shown["eligible"] = _tree(judge, definition.eligible, instant)
    if definition.fit is not None:
        fit = judge.truth_at(definition.fit, instant)
        shown["fit"] = {True: "match", False: "no match", None: "unknown"}[fit]
    return {"asOf": format_instant(instant), "version": definition.version, **shown, **_standing(judge, instant)}


def _standing(judge: Judge, instant: int) -> Json:
    """Score, tier, level, stage and variant, for a definition that has them."""
    definition = judge.definition
    shown: Json = {}
    score = judge.score.at(instant)
    if score is not None:
        shown["score"] = _json(score)
    if definition.tiers:
        shown["tier"] = judge.tier.at(instant)
    if definition.levels:
        level = judge.level.at(instant)
        shown["level"] = None if level is None else _percent(level)
    if definition.stages:
        shown["stage"] = judge.stage.at(instant)
    for variant in definition.variants:
        if judge.truth_at(variant.when, instant) is True:
            shown["variant"] = variant.name
            break
    return shown


def missing(definition: d.Definition, facts: EntityFacts, instant: int) -> Json:
    """
    What still keeps an entity from qualifying.

    Returns:
        ``steps``: the cheapest set of steps that would do (empty when nothing is missing, or nothing can do it);
        ``reachable``: whether steps can still do it; ``blockedOn``: unknown traits that stand in the way.
    """
    judge = Judge(definition, facts)
    conditions = [judge.qualify_at(instant), *([] if definition.eligible is None else [definition.eligible])]
    path = _together(_cheapest(judge, condition, instant, True) for condition in conditions)
    unknown = {
        trait.name
        for condition in conditions
        for criterion in d.criteria(condition)
        for trait in d.traits_of(criterion.subject)
        if trait.of == definition.entity and judge.value_at(trait, instant) is None
    }
    reachable = path.possible and facts.excluded_by is None
    shown: Json = {"reachable": reachable, "steps": list(path.steps.values()) if reachable else []}
    if unknown:
        shown["blockedOn"] = sorted(unknown)
    if facts.excluded_by is not None:
        shown["excludedBy"] = facts.excluded_by
    return shown


# --- what holds ----------------------------------------------------------------------------------------------------


def _tree(judge: Judge, condition: d.Condition, instant: int) -> Json:
    holds = judge.truth_at(condition, instant)
    match condition:
        case d.Criterion():
            return _criterion(judge, condition, instant, holds)
        case d.Not(of=inner):
            return {"not": _tree(judge, inner, instant), "holds": holds}
        case d.All(of=parts):
            return {"all": [_tree(judge, part, instant) for part in parts], "holds": holds}
        case d.AnyOf(of=parts):
            return {"any": [_tree(judge, part, instant) for part in parts], "holds": holds}
        case d.AtLeast(of=parts):
            trees = [_tree(judge, part, instant) for part in parts]
            satisfied = sum(tree["holds"] is True for tree in trees)
            return {"atLeast": condition.need, "satisfied": satisfied, "of": trees, "holds": holds}
        case d.Score(enter=enter, leave=leave):
            test = f"at least {_plain(enter)}" + ("" if enter == leave else f", until below {_plain(leave)}")
            score = judge.score.at(instant)
            items = [_item(judge, item, instant) for item in condition.items]
            return {"name": "score", "value": _json(score), "test": test, "holds": holds, "items": items}
        case _:
            assert_never(condition)


def _criterion(judge: Judge, criterion: d.Criterion, instant: int, holds: Truth) -> Json:
    subject = criterion.subject
    value = judge.value_at(subject, instant)
    if isinstance(subject, d.Use) and subject.signal.aggregate == "since" and value is not None:
        value = duration_in_words(value)
    shown: Json = {"name": criterion.name, "value": _json(value), "test": str(criterion.test), "holds": holds}
    window = getattr(subject, "window", None)
    if window is not None and not isinstance(window, d.Ever):
        shown["window"] = window.text
        period = period_of(window, judge.facts)
        if period is not None:
            shown["from"], shown["until"] = format_instant(period.start), format_instant(period.end)
    return shown


def _item(judge: Judge, item: d.Points, instant: int) -> Json:
    if item.when is not None:
        return {"points": _json(item.points), "when": _tree(judge, item.when, instant)}
    assert item.each is not None
    return {
        "points": _json(item.points),
        "each": item.each.name,
        "value": _json(judge.value_at(item.each, instant)),
        "given": _json(judge.points(item).at(instant)),
    }


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


def _cheapest(judge: Judge, condition: d.Condition, instant: int, wanted: bool) -> _Path:
    """The fewest steps after which the condition is true, or false, as wanted."""
    if judge.truth_at(condition, instant) is wanted:
        return _DONE
    match condition:
        case d.Criterion(subject=subject, test=test):
            return _one(judge, subject, test, instant, wanted)
        case d.Not(of=inner):
            return _cheapest(judge, inner, instant, not wanted)
        case d.All(of=parts):
            return _cheapest_of(judge, parts, len(parts) if wanted else 1, instant, wanted)
        case d.AnyOf(of=parts):
            return _cheapest_of(judge, parts, 1 if wanted else len(parts), instant, wanted)
        case d.AtLeast(of=parts):
            need = condition.need if wanted else len(parts) - condition.need + 1
            return _cheapest_of(judge, parts, need, instant, wanted)
        case d.Score(enter=enter, leave=leave):
            mark = f"at least {_plain(enter)}" if wanted else f"below {_plain(leave)}"
            return _must_be("score", judge.score.at(instant), mark)
        case _:
            assert_never(condition)


def _one(judge: Judge, subject: d.Subject, test: Comparator, instant: int, wanted: bool) -> _Path:
    must_be = str(test) if wanted else f"not ({test})"
    match subject:
        case d.Trait() | d.NamedTrait(trait=d.Trait()):
            trait = subject if isinstance(subject, d.Trait) else subject.trait
            return _Path({(trait, must_be): {"trait": trait.name, "must be": must_be}})
        case d.Use(signal=signal, window=window) if signal.aggregate in ("count", "distinct") and not _is_past(window):
            return _more_events(judge, subject, test, instant, wanted)
    return _must_be(subject.name, judge.value_at(subject, instant), must_be)


def _is_past(window: d.Window) -> bool:
    """What happens now does not count in a window that was shifted back."""
    return isinstance(window, d.Rolling | d.CalendarDays) and window.ago > 0


def _must_be(name: str, value: object, must_be: str) -> _Path:
    """A step that cannot be told in events: the value that is needed."""
    return _Path({(name, must_be): {"value of": name, "is": _json(value), "must be": must_be}})


def _cheapest_of(judge: Judge, parts: Sequence[d.Condition], need: int, instant: int, wanted: bool) -> _Path:
    """As many of the parts as are needed, the cheapest first, in the order of the file."""
    paths = [_cheapest(judge, part, instant, wanted) for part in parts]
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


def _more_events(judge: Judge, use: d.Use, test: Comparator, instant: int, wanted: bool) -> _Path:
    steps: dict[Hashable, Json] = {}
    until, value = None, judge.value_at(use, instant) or 0
    if isinstance(use.window, d.Anchored):
        anchor, period = use.window.anchor, period_of(use.window, judge.facts)
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


def _events(use: d.Use, needed: int, until: int | None) -> Json:
    step: Json = {"signal": use.name, "events": needed, "event": _named(use.signal.matcher)}
    if use.signal.of is not None:
        step["distinct"] = use.signal.of
    if use.signal.matcher.where:
        step["where"] = {path: str(test) for path, test in use.signal.matcher.where}
    if until is not None:
        step["before"] = format_instant(until)
    return step


def _named(matcher: d.Matcher) -> str:
    return " or ".join(matcher.events) or "any event"


# --- words ------------------------------------------------------------------------------------------------------------


def in_words(step: Json) -> str:
    """A missing step as people say it: "1 more Invite Accepted (another invitee_id) before ..."."""
    if "trait" in step:
        return f"{step['trait']} must be {step['must be']}"
    if "value of" in step:
        return f"{step['value of']} must be {step['must be']}; it is {_plain(step['is'])}"
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


def duration_in_words(length: int) -> str:
    """A duration as people say it, rounded down: "12 days", "5 h", "90 s"."""
    for unit, name in ((DAY, "days"), (HOUR, "h"), (MINUTE, "min")):
        if length >= 2 * unit:
            return f"{length // unit} {name}"
    return f"{length // SECOND} s"


def _json(value: object) -> Any:
    """A value as plain JSON: decimals as numbers where a double says the same, else as text."""
    if not isinstance(value, Decimal):
        return value
    if value == value.to_integral_value():
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else format(value, "f")


def _percent(share: Decimal) -> str:
    return f"{_plain((share * 100).normalize())}%"


def _plain(value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value).lower() if isinstance(value, bool) else str(value)
