"""Durations, windows and tests of durations, from their text."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from assay.contract.times import DAY, HOUR, MINUTE, SECOND
from assay_collector.pql.comparators import Comparator, Operator, UnreadableComparator, parse_comparator

DURATION_MAX: Final = 36_500 * DAY

_UNITS: Final = {"day": DAY, "days": DAY, "h": HOUR, "m": MINUTE, "s": SECOND}
_DURATION = re.compile(r"([0-9]{1,6}) ?(days?|h|m|s)")
# What people write -> how many of which unit it is.
_OTHER_UNITS: Final = {
    "d": (1, "days"),
    "day": (1, "days"),
    "w": (7, "days"),
    "week": (7, "days"),
    "month": (30, "days"),
    "year": (365, "days"),
    "hour": (1, "h"),
    "hr": (1, "h"),
    "minute": (1, "m"),
    "min": (1, "m"),
    "second": (1, "s"),
    "sec": (1, "s"),
}


@dataclass(frozen=True, slots=True)
class WindowText:
    """A window as a definition writes it."""

    kind: Literal["ever", "anchored", "rolling", "days", "month"]
    # Microseconds, a day as 24 hours; 0 for `ever` and `this month`.
    length: int = 0
    # The event that starts it; "" unless anchored.
    anchor: str = ""


def parse_duration(text: str) -> int | None:
    """
    Read a duration such as ``14 days``, ``48h``, ``30m`` or ``10s``.

    Returns:
        Microseconds, a day as 24 hours; None if the text is no duration.
    """
    found = _DURATION.fullmatch(text)
    return int(found[1]) * _UNITS[found[2]] if found else None


def parse_window(text: str) -> WindowText | None:
    """Read a window; None if the text is none."""
    if text == "ever":
        return WindowText("ever")
    if text == "this month":
        return WindowText("month")
    length_text, of, anchor = text.partition(" of ")
    length = parse_duration(length_text)
    if length is None or (of and not anchor.strip()):
        return None
    if of:
        return WindowText("anchored", length, anchor.strip())
    return WindowText("days" if counts_days(length_text) else "rolling", length)


def counts_days(text: str) -> bool:
    """Whether a duration is of calendar days: ``2 days`` is, ``48h`` is not."""
    return "day" in text


def show_duration(length: int) -> str:
    """The shortest way to write a duration, without days: 48h, 90m, 10s."""
    for name, unit in (("h", HOUR), ("m", MINUTE)):
        if length % unit == 0:
            return f"{length // unit}{name}"
    return f"{length // SECOND}s"


def rewrite_duration(text: str) -> str | None:
    """How the language writes a duration that is written otherwise: ``2 weeks`` is ``14 days``; None if unclear."""
    found = re.fullmatch(r"([0-9]{1,4})\s*([a-z]+)(\s+of\s.+)?", text.strip().casefold())
    if not found:
        return None
    unit = _OTHER_UNITS.get(found[2]) or _OTHER_UNITS.get(found[2].removesuffix("s"))
    if unit is None:
        return None
    number, name = int(found[1]) * unit[0], unit[1]
    rest = text.strip()[found.start(3) :] if found[3] else ""
    return (f"{number} day{'' if number == 1 else 's'}" if name == "days" else f"{number}{name}") + rest


# --- tests of durations ---

_LENGTH = "[0-9]{1,6} ?(?:days?|h|m|s)"
_BOUNDS: Final[tuple[Operator, ...]] = ("at least", "at most", "more than", "less than")
_BOUND = re.compile(rf"({'|'.join(_BOUNDS)}) ({_LENGTH})")
_BETWEEN = re.compile(rf"between ({_LENGTH}) and ({_LENGTH})")


def parse_elapsed(written: object) -> Comparator:
    """
    Read a test of the time since something, such as ``more than 30 days`` or ``between 1h and 2 days``.

    Returns:
        A comparator whose operands are microseconds, a day as 24 hours.

    Raises:
        UnreadableComparator: It is none.
    """
    text = " ".join(written.split()) if isinstance(written, str) else str(written)
    if text in ("is known", "is not known"):
        return parse_comparator(text)
    if bound := _BOUND.fullmatch(text):
        operator = next(known for known in _BOUNDS if known == bound[1])
        return Comparator(operator, (Decimal(parse_duration(bound[2]) or 0),), text)
    if between := _BETWEEN.fullmatch(text):
        low, high = (Decimal(parse_duration(part) or 0) for part in between.groups())
        if low > high:
            raise UnreadableComparator(text, "has the longer duration first")
        return Comparator("between", (low, high), text)
    raise UnreadableComparator(text, "is no test of a duration", _suggest_elapsed(text))


def is_elapsed(written: object) -> bool:
    """Whether a text is a test of a duration."""
    try:
        test = parse_elapsed(written)
    except UnreadableComparator:
        return False
    return bool(test.operands)


def _suggest_elapsed(text: str) -> str:
    """What was probably meant; "" if that is unclear."""
    operator = _suggest_operator(re.split("[0-9]", text, maxsplit=1)[0].strip())
    parts = [part.strip() for part in re.findall(r"[0-9][0-9,_]*\s*[a-zA-Z]*", text.replace(" and", " ,"))]
    lengths = [_suggest_length(part.rstrip(",")) for part in parts]
    if operator is None or None in lengths or len(lengths) != (2 if operator == "between" else 1):
        return ""
    return f"{operator} {' and '.join(filter(None, lengths))}"


def _suggest_operator(words: str) -> str | None:
    """The comparator that words or a symbol stand for: ``over`` and ``>`` are ``more than``."""
    words = words or "at least"
    if words in (*_BOUNDS, "between"):
        return words
    try:
        test = parse_comparator(f"{words} 1 and 2" if words.startswith("betw") else f"{words} 1")
    except UnreadableComparator as error:
        return next((known for known in (*_BOUNDS, "between") if error.suggestion.startswith(known)), None)
    return test.operator if test.operator in _BOUNDS else None


def _suggest_length(text: str) -> str | None:
    """A duration as the language writes it; of a bare number days are assumed."""
    if parse_duration(text) is not None:
        return text
    return rewrite_duration(f"{text} days" if text.isdigit() else text)
