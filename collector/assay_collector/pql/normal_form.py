"""
The normal form of a definition, and its hash: the same for every way to write down the same meaning.

Order of keys, comments, layout and the spelling of a comparator do not show. Nor does what decides nothing: version,
owner, reason, prediction, levels. So a new hash means that somebody else may qualify.
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
    Condition,
    Criterion,
    Exclusion,
    Not,
    Use,
    Window,
)


def definition_hash(
    id: str,
    entity: str,
    conditions: Iterable[Condition | None],
    uses: Iterable[Use],
    exclude: Iterable[Exclusion],
) -> str:
    """
    Hash what decides: entity, signals with their windows, conditions and exclusions; and the id.

    Args:
        conditions: `qualify`, `eligible` and `fit`, in this order.

    Returns:
        32 hexadecimal digits.
    """
    document = [
        id,
        entity,
        [None if condition is None else _condition(condition) for condition in conditions],
        sorted([use.name, use.signal.id, _window(use.window)] for use in uses),
        sorted([each.name, each.of, sorted([key, _test(test)] for key, test in each.tests)] for each in exclude),
    ]
    return blake2b(msgspec.json.encode(document), digest_size=16, person=b"assay.definition").hexdigest()


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
        case _:
            assert_never(condition)


def _unordered(parts: Iterable[Condition]) -> list[Any]:
    return sorted((_condition(part) for part in parts), key=msgspec.json.encode)


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


def _window(window: Window) -> list[int]:
    return [window.length, window.anchor.id] if isinstance(window, Anchored) else []
