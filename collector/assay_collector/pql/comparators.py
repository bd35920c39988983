"""
Comparators: plain-English tests of one value, three-valued.

A test of an unknown value is unknown (None), except ``is known``, which asks exactly that.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from functools import lru_cache
from typing import Literal

from assay.contract.display import shorten
from assay.contract.errors import AssayError

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
        return _turning_points(self)

    @property
    def asks_for_more(self) -> bool:
        """Whether more can only help: a value that passes still passes when it grows."""
        return self.operator in ("at least", "more than")

    def holds_from(self, least: int) -> Truth:
        """Whether the test holds of a whole number of which only the least that it can be is known."""
        if any(number > least for number in self.turning_points()):
            return None
        return self.holds(least)

    def __str__(self) -> str:
        return self.text or self.operator


# A definition has few comparators, and each is asked at every decision.
@lru_cache(maxsize=10_000)
def _turning_points(test: Comparator) -> tuple[int, ...]:
    points: set[int] = set()
    for operand in test.operands:
        # A count is never equal to a text, whatever number the text spells.
        number = None if isinstance(operand, str) else as_number(operand)
        if number is not None:
            whole = int(number.to_integral_value(rounding="ROUND_FLOOR"))
            points |= {whole, whole + 1}
    if test.operator in ("is known", "is not known"):
        return ()
    return tuple(sorted(n for n in points if n >= 1 and test.holds(n) != test.holds(n - 1)))


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
class UnreadableComparator(AssayError):
    """A value that is no comparator."""

    text: str
    reason: str
    # What was probably meant.
    suggestion: str = ""

    def __str__(self) -> str:
        hint = f"; did you mean `{self.suggestion}`?" if self.suggestion else ""
        return f"`{shorten(self.text, 60)}` {self.reason}{hint}"


# So many digits that no arithmetic below rounds, and far more than anybody counts.
_NUMBER = r"(-?[0-9]{1,15}(?:\.[0-9]{1,9})?)\s*(%)?"
_BOUND = re.compile(rf"(at least|at most|more than|less than)\s+{_NUMBER}")
_BETWEEN = re.compile(rf"between\s+{_NUMBER}\s+and\s+{_NUMBER}")
_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?")


def parse_comparator(written: object, lists: Mapping[str, Sequence[Value]] | None = None) -> Comparator:
    """
    Read a comparator as a definition writes it.

    Equal tests are read alike however they are spelt: ``[admin]`` is ``admin``, ``3.0`` is ``3``.

    Args:
        written: Text such as ``at least 3``, a plain value (equality), or a list (any of them).
        lists: Named value lists of the project; ``not NAME`` and ``NAME`` stand for their values.

    Raises:
        UnreadableComparator: It reads like a comparator and is none, or is no value at all. A text that is meant as
            a value all the same can stand in a list.
    """
    lists = lists or {}
    if isinstance(written, list):
        return _any_of(written, show_value(written))
    if not isinstance(written, str):
        return Comparator("equals", (_plain(written),), show_value(written))
    text = " ".join(written.split())
    if text in ("is known", "is not known"):
        return Comparator("is known" if text == "is known" else "is not known", (), text)
    if bound := _BOUND.fullmatch(text):
        operator = next(known for known in _BOUNDED if known == bound[1])
        return Comparator(operator, (_number(bound[2], bound[3]),), text)
    if between := _BETWEEN.fullmatch(text):
        return _between(text, _number(between[1], between[2]), _number(between[3], between[4]))
    if text == "not" or text.startswith("not "):
        return _parse_not(text, lists)
    if text in lists:
        return _any_of(lists[text], text)
    _refuse_misspelt(text)
    return Comparator("equals", (text,), text)


def _between(text: str, low: Decimal, high: Decimal) -> Comparator:
    if low > high:
        raise UnreadableComparator(text, "has the larger number first")
    return Comparator("between", (low, high), text)


def _any_of(values: Sequence[object], text: str) -> Comparator:
    plain = _distinct(values, text)
    return Comparator("equals" if len(plain) == 1 else "any of", plain, text)


def _parse_not(text: str, lists: Mapping[str, Sequence[Value]]) -> Comparator:
    rest = text.removeprefix("not").strip()
    if rest in lists:
        return Comparator("none of", _distinct(lists[rest], text), text)
    if rest.startswith("[") and rest.endswith("]"):
        parts = [part.strip() for part in rest[1:-1].split(",")]
        return Comparator("none of", _distinct([_from_text(part) for part in parts if part], text), text)
    if not rest:
        raise UnreadableComparator(text, "is followed by nothing")
    _refuse_negated(text, rest)
    return Comparator("none of", (_from_text(rest),), text)


def _distinct(values: Sequence[object], text: str) -> tuple[Value, ...]:
    """Each value once; `true` and 1 are two values."""
    found = {(isinstance(value, bool), value): value for value in map(_plain, values)}
    if not found:
        raise UnreadableComparator(text, "names no value, so nothing could ever pass it")
    return tuple(found.values())


def _from_text(text: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    if _PLAIN_NUMBER.fullmatch(text):
        return _plain(float(text) if "." in text else int(text))
    return text.strip("'\"")


def _number(digits: str, percent: str | None) -> Decimal:
    number = Decimal(digits) / 100 if percent else Decimal(digits)
    # One spelling for equal numbers, and none with an exponent.
    return number.quantize(Decimal(1)) if number == number.to_integral_value() else number.normalize()


def _plain(value: object) -> Value:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str | int | float | bool):
        return value
    raise UnreadableComparator(show_value(value), "is no text, number, true, false or a list of them")


def show_value(value: object) -> str:
    """A value as a definition writes it."""
    if isinstance(value, list):
        return "[" + ", ".join(show_value(item) for item in value) + "]"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- what was meant ---------------------------------------------------------------------------------------------------

_ESCAPE = "a text that is meant as a value goes into a list: "
_SYMBOLS = {
    ">=": "at least",
    "=>": "at least",
    "≥": "at least",
    "<=": "at most",
    "=<": "at most",
    "≤": "at most",
    ">": "more than",
    "<": "less than",
    "!=": "not",
    "<>": "not",
    "≠": "not",
    "==": "",
    "=": "",
}
_SYNONYMS = {
    **dict.fromkeys(("least", "minimum", "min", "no less than", "no fewer than", "at minimum", "from"), "at least"),
    **dict.fromkeys(("most", "maximum", "max", "no more than", "up to", "at maximum"), "at most"),
    **dict.fromkeys(("over", "above", "greater than", "bigger than", "more", "exceeds"), "more than"),
    **dict.fromkeys(("under", "below", "fewer than", "smaller than", "less", "fewer"), "less than"),
    **dict.fromkeys(("exactly", "equals", "equal to", "is", "is equal to"), ""),
    "is not": "not",
}
_WAYS_TO_KNOW = {
    **dict.fromkeys(("is set", "is present", "exists"), "is known"),
    **dict.fromkeys(("is unknown", "is missing", "is absent", "is not set"), "is not known"),
}
_OPPOSITES = {"at least": "less than", "at most": "more than", "more than": "at most", "less than": "at least"}
# Longer texts are nobody's slip of the pen.
_SUSPECT_CHARACTERS_MAX = 60


def _refuse_misspelt(text: str) -> None:
    """Raise for a text that reads like a comparator and is none."""
    if len(text) > _SUSPECT_CHARACTERS_MAX:
        return
    suggestion = _suggest(text)
    if suggestion is not None:
        raise UnreadableComparator(text, f"is no comparator ({_ESCAPE}`[{text}]`)", suggestion)


def _suggest(text: str) -> str | None:
    """What a misspelt comparator was meant to be; "" if that is unclear; None if it looks like a plain value."""
    symbol = re.match(r"(>=|=>|≥|<=|=<|≤|<>|!=|≠|>|<|==|=)\s*(.+)", text)
    if symbol:
        return f"{_SYMBOLS[symbol[1]]} {_tidy(symbol[2])}".strip()
    if text.casefold() in _WAYS_TO_KNOW:
        return _WAYS_TO_KNOW[text.casefold()]
    words, rest = _split_at_number(text)
    folded = words.casefold()
    if folded in _SYNONYMS and _PLAIN_NUMBER.fullmatch(_tidy(rest).removesuffix("%")):
        return f"{_SYNONYMS[folded]} {_tidy(rest)}".strip()
    return _suggest_by_words(folded, rest)


def _suggest_by_words(words: str, rest: str) -> str | None:
    starts = next((operator for operator in (*_BOUNDED, "between") if f"{words} ".startswith(f"{operator} ")), "")
    near = starts or "".join(get_close_matches(words, (*_BOUNDED, "between", *_KNOWN), n=1, cutoff=0.76))
    if near in _KNOWN:
        return near if not rest else None
    if near == "between":
        numbers = re.findall(r"-?[0-9][0-9_,.]*%?", rest)
        return f"between {_tidy(numbers[0])} and {_tidy(numbers[1])}" if len(numbers) == 2 else ""
    if not near:
        return None
    number = _tidy(rest)
    return f"{near} {number}" if _PLAIN_NUMBER.fullmatch(number.removesuffix("%")) else ""


_KNOWN = ("is known", "is not known")


def _refuse_negated(text: str, rest: str) -> None:
    """Raise for `not at least 3`: the language says it the other way round."""
    if rest == "known":
        raise UnreadableComparator(text, f"is no comparator ({_ESCAPE}`not [known]`)", "is not known")
    words, number = _split_at_number(rest)
    if words in _OPPOSITES:
        raise UnreadableComparator(text, "negates a comparator", f"{_OPPOSITES[words]} {_tidy(number)}")
    if words == "between":
        raise UnreadableComparator(text, "negates a comparator; write `not: {...}` around the condition")
    _refuse_misspelt(rest)


def _split_at_number(text: str) -> tuple[str, str]:
    """The words of a text, and what follows from its first number on."""
    found = re.match(r"([^0-9]*?)\s*(-?\.?[0-9].*)?$", text)
    return (found[1].strip(), found[2] or "") if found else (text, "")


def _tidy(number: str) -> str:
    """A number as the language writes it: `2,000` is `2000`."""
    return re.sub(r"(?<=[0-9])[,_ '](?=[0-9]{3})", "", number.strip())
