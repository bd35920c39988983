"""
Comparators: plain-English tests of one value, three-valued.

A test of an unknown value is unknown (None), except ``is known``, which asks exactly that.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Literal

Value = str | int | float | bool
Truth = bool | None
Operator = Literal[
    "at least",
    "at most",
    "more than",
    "less than",
    "between",
    "equals",
    "any of",
    "none of",
    "is known",
    "is not known",
]
_BOUNDED: tuple[Operator, ...] = ("at least", "at most", "more than", "less than")
OPERATORS = (*_BOUNDED, "between", "not", "is known", "is not known")


@dataclass(frozen=True, slots=True)
class Comparator:
    """
    One test.

    ``operands`` are numbers (Decimal) for the bounded operators and ``between`` (low, high: both inclusive), plain
    values for ``equals``, ``any of`` and ``none of``. A per cent is held as its fraction: ``80%`` is Decimal("0.8").
    """

    operator: Operator
    operands: tuple[Decimal | Value, ...] = ()
    text: str = ""  # as it was written

    def holds(self, value: object) -> Truth:
        """Whether the test holds of a value; None when the value is unknown or of a kind the test cannot compare."""
        if self.operator == "is known":
            return value is not None
        if self.operator == "is not known":
            return value is None
        if value is None:
            return None
        if self.operator == "equals":
            return _same(value, self.operands[0])
        if self.operator == "any of":
            return any(_same(value, operand) for operand in self.operands)
        if self.operator == "none of":
            return not any(_same(value, operand) for operand in self.operands)
        return self._holds_of_number(value)

    def _holds_of_number(self, value: object) -> Truth:
        number = as_number(value)
        if number is None:
            return None
        low = self.operands[0]
        assert isinstance(low, Decimal)
        match self.operator:
            case "at least":
                return number >= low
            case "at most":
                return number <= low
            case "more than":
                return number > low
            case "less than":
                return number < low
        high = self.operands[1]
        assert isinstance(high, Decimal)
        return low <= number <= high

    def turning_points(self) -> tuple[int, ...]:
        """
        For a value that counts up from 0: every n >= 1 at which the verdict of n may differ from that of n - 1.

        This is all that has to be known of a count: when it reached each of these.
        """
        points: set[int] = set()
        for operand in self.operands:
            number = operand if isinstance(operand, Decimal) else as_number(operand)
            if number is not None:
                whole = int(number.to_integral_value(rounding="ROUND_FLOOR"))
                points |= {whole, whole + 1}
        if self.operator in ("is known", "is not known"):
            return ()
        return tuple(sorted(n for n in points if n >= 1 and self.holds(n) != self.holds(n - 1)))

    def __str__(self) -> str:
        return self.text or self.operator


def as_number(value: object) -> Decimal | None:
    """A JSON number, or a string that is one, exactly; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, Decimal):
        return value
    if isinstance(value, float | str):
        try:
            number = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
        except InvalidOperation:
            return None
        return number if number.is_finite() else None
    return None


def _same(value: object, operand: object) -> bool:
    """Equality as people mean it: 3 is 3.0, `true` is not 1, and text is compared exactly."""
    if isinstance(value, bool) or isinstance(operand, bool):
        return value is operand
    if isinstance(value, str) and isinstance(operand, str):
        return value == operand
    if isinstance(value, int | float | Decimal) and isinstance(operand, int | float | Decimal):
        return as_number(value) == as_number(operand)
    return False


@dataclass(eq=False)
class UnreadableComparator(ValueError):
    """A value that is no comparator."""

    text: str
    reason: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.text!r}"


_NUMBER = r"(-?\d+(?:\.\d+)?)\s*(%)?"
_BOUND = re.compile(rf"^(at least|at most|more than|less than)\s+{_NUMBER}$")
_BETWEEN = re.compile(rf"^between\s+{_NUMBER}\s+and\s+{_NUMBER}$")


def parse_comparator(written: object, lists: Mapping[str, Sequence[Value]] | None = None) -> Comparator:
    """
    Read a comparator as a definition writes it.

    Args:
        written: Text such as ``at least 3``, a plain value (equality), or a list (any of them).
        lists: Named value lists of the project; ``not NAME`` and ``NAME`` stand for their values.

    Raises:
        UnreadableComparator: It starts like a comparator and is none, or is no value at all.
    """
    lists = lists or {}
    if isinstance(written, list):
        return Comparator("any of", tuple(_plain(item) for item in written), _show(written))
    if not isinstance(written, str):
        return Comparator("equals", (_plain(written),), _show(written))
    text = " ".join(written.split())
    if text in ("is known", "is not known"):
        return Comparator("is known" if text == "is known" else "is not known", (), text)
    if bound := _BOUND.match(text):
        operator = next(known for known in _BOUNDED if known == bound[1])
        return Comparator(operator, (_number(bound[2], bound[3]),), text)
    if between := _BETWEEN.match(text):
        low, high = _number(between[1], between[2]), _number(between[3], between[4])
        if low > high:
            raise UnreadableComparator(text, "the smaller number comes first in `between`")
        return Comparator("between", (low, high), text)
    if text.startswith("not "):
        return _parse_not(text, lists)
    if re.match(r"^(at|more|less|between|is)\b.*(\d|known)", text):
        raise UnreadableComparator(text, f"not a comparator; known are {', '.join(OPERATORS)}")
    if text in lists:
        return Comparator("any of", tuple(lists[text]), text)
    return Comparator("equals", (text,), text)


def _parse_not(text: str, lists: Mapping[str, Sequence[Value]]) -> Comparator:
    rest = text.removeprefix("not ").strip()
    if rest in lists:
        return Comparator("none of", tuple(lists[rest]), text)
    if rest.startswith("[") and rest.endswith("]"):
        return Comparator("none of", tuple(part.strip() for part in rest[1:-1].split(",")), text)
    number = as_number(rest)
    plain: Value = {"true": True, "false": False}.get(rest, rest)
    return Comparator("none of", (number if number is not None else plain,), text)


def _number(digits: str, percent: str | None) -> Decimal:
    return Decimal(digits) / 100 if percent else Decimal(digits)


def _plain(value: object) -> Value:
    if isinstance(value, str | int | float | bool):
        return value
    raise UnreadableComparator(_show(value), "expected a text, number, true, false or a list of them")


def _show(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_show(item) for item in value) + "]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
