"""
The normal form of a definition, and its hash: the same for every way to write down the same meaning.

Order of keys, comments, layout and the spelling of a comparator do not show. Nor does what decides nothing: version,
owner, reason, prediction, tiers, levels, routes. So a new hash means that somebody else may qualify.
"""

from collections.abc import Iterable
from decimal import Decimal
from hashlib import blake2b
from typing import Any, assert_never

import msgspec

from assay_collector.pql.comparators import Comparator, as_number
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
    Exclusion,
    Lifecycle,
    Members,
    NamedTrait,
    Not,
    Points,
    Ratio,
    Rolling,
    Score,
    ScorePoints,
    Sequence,
    Subject,
    Trait,
    Use,
    Variant,
    Window,
    criteria,
    subjects,
)


def definition_hash(definition: Definition) -> str:
    """
    Hash what decides: the id; entity, signals with their windows, conditions, stages, variants, lifecycle, exclusions.

    Returns:
        32 hexadecimal digits.
    """
    document = [
        definition.id,
        definition.entity,
        [_optional(part) for part in (definition.qualify, definition.eligible, definition.fit)],
        sorted([subject.name, _subject(subject)] for subject in definition.uses),
        [[rung.name, _condition(rung.qualify)] for rung in definition.stages],
        [_variant(variant) for variant in definition.variants],
        _lifecycle(definition.lifecycle),
        sorted(_exclusion(exclusion) for exclusion in definition.exclude),
    ]
    return blake2b(msgspec.json.encode(document), digest_size=16, person=b"assay.definition").hexdigest()


def content_hash(definition: Definition) -> str:
    """
    Hash everything that a definition says, also what decides nothing; layout, comments and order of keys aside.

    Returns:
        32 hexadecimal digits.
    """
    said = msgspec.json.encode([definition.hash, definition.document], order="deterministic", enc_hook=str)
    return blake2b(said, digest_size=16, person=b"assay.content").hexdigest()


def criteria_in_use(definition: Definition) -> frozenset[bytes]:
    """What a definition asks of those it looks at, criterion by criterion, whatever its signals are called."""
    found: list[Any] = []
    for condition in (definition.qualify, definition.eligible):
        if condition is None:
            continue
        tested = {criterion.subject for criterion in criteria(condition)}
        found += [[_subject(criterion.subject), _test(criterion.test)] for criterion in criteria(condition)]
        found += [[_subject(subject), "each"] for subject in subjects(condition) if subject not in tested]
    return frozenset(msgspec.json.encode(each) for each in found)


def _optional(condition: Condition | None) -> Any:
    return None if condition is None else _condition(condition)


def _condition(condition: Condition) -> Any:
    match condition:
        case Criterion(test=test):
            return ["is", condition.name, _test(test)]
        case Not(of=inner):
            return ["not", _condition(inner)]
        case All(of=parts):
            return ["all", _unordered(parts)]
        case AnyOf(of=parts):
            return ["any", _unordered(parts)]
        case AtLeast(of=parts):
            # 40 % of seven is three of seven: only the number that is needed decides.
            return ["at least", condition.need, _unordered(parts)]
        case Score(items=items, enter=enter, leave=leave):
            listed = sorted(map(_points, items), key=msgspec.json.encode)
            return ["score", listed, _plain(enter), _plain(leave)]
        case _:
            assert_never(condition)


def _unordered(parts: Iterable[Condition]) -> list[Any]:
    return sorted((_condition(part) for part in parts), key=msgspec.json.encode)


def _points(item: Points) -> Any:
    return [
        _plain(item.points),
        _optional(item.when),
        None if item.each is None else item.each.name,
        None if item.cap is None else _plain(item.cap),
        item.half_life,
    ]


def _variant(variant: Variant) -> Any:
    return [variant.stage, _condition(variant.when), _condition(variant.qualify)]


def _lifecycle(lifecycle: Lifecycle) -> Any:
    requalify = lifecycle.requalify
    return [
        lifecycle.hold,
        _optional(lifecycle.exit),
        lifecycle.expire,
        None if lifecycle.convert is None else lifecycle.convert.id,
        None
        if requalify is None
        else [requalify.after, sorted([subject.name, _plain(factor)] for subject, factor in requalify.beyond)],
    ]


def _exclusion(exclusion: Exclusion) -> Any:
    return [exclusion.name, exclusion.of, sorted([key, _test(test)] for key, test in exclusion.tests)]


def _subject(subject: Subject) -> Any:
    """What a subject is computed from; its name does not show."""
    match subject:
        case Trait():
            return ["trait", subject.name]
        case NamedTrait(trait=trait):
            return ["trait", trait.name]
        case Use(signal=signal, window=window, zone=zone):
            days_of = [zone] if signal.aggregate == "active_days" else []
            return ["signal", signal.id, _window(window), *days_of]
        case Ratio(above=above, below=below):
            return ["ratio", _subject(above), _subject(below)]
        case Members(inner=inner, having=having, where=where):
            tests = sorted([trait.name, _test(test)] for trait, test in where)
            return ["members", _subject(inner), _test(having), tests]
        case Sequence(first=first, then=then, apart=apart, window=window):
            return ["sequence", first.id, then.id, apart, _window(window)]
        case ScorePoints():
            return ["score"]
        case _:
            assert_never(subject)


def _window(window: Window) -> list[Any]:
    """48 hours and 2 days are two windows; 48 hours and 2880 minutes are one."""
    match window:
        case Ever():
            return []
        case Anchored(length=length, anchor=anchor):
            return [length, anchor.id]
        case Rolling(length=length, ago=ago):
            return ["rolling", length, ago]
        case CalendarDays(days=days, zone=zone, ago=ago):
            return ["days", days, zone, ago]
        case CalendarMonth(zone=zone):
            return ["month", zone]
        case _:
            assert_never(window)


def _test(test: Comparator) -> Any:
    operands = [_operand(operand) for operand in test.operands]
    return [test.operator, operands if test.operator == "between" else sorted(operands)]


def _operand(operand: object) -> list[str]:
    """A value with its kind, so that 3, "3" and true stay apart, and 3 and 3.0 do not."""
    number = None if isinstance(operand, str) else as_number(operand)
    if number is not None:
        return ["number", _plain(number)]
    return [type(operand).__name__, str(operand)]


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
