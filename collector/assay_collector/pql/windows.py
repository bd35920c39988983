"""Durations and windows, from their text."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from assay.contract.times import DAY, HOUR, MINUTE, SECOND

DURATION_MAX: Final = 36_500 * DAY

_UNITS: Final = {"day": DAY, "days": DAY, "h": HOUR, "m": MINUTE, "s": SECOND}
_DURATION = re.compile(r"([0-9]{1,6}) ?(days?|h|m|s)")
# What people write -> how many of which unit it is.
_OTHER_UNITS: Final = {
    "d": (1, "days"),
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

    kind: Literal["ever", "anchored", "rolling", "calendar"]
    # Microseconds; 0 for `ever` and `this month`.
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
        return WindowText("calendar")
    length_text, of, anchor = text.partition(" of ")
    length = parse_duration(length_text)
    if length is None or (of and not anchor.strip()):
        return None
    if of:
        return WindowText("anchored", length, anchor.strip())
    return WindowText("calendar" if "day" in length_text else "rolling", length)


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
