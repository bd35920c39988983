"""Values, durations and steps as people and JSON say them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from assay.contract.times import DAY, HOUR, MINUTE, SECOND

_UNITS = ((DAY, "day", " "), (HOUR, "h", ""), (MINUTE, "m", ""))


def duration_in_words(length: int) -> str:
    """A duration, exactly and in the language's units: "30 days 4h 5m 1.5s", "0s"."""
    parts: list[str] = []
    for unit, name, gap in _UNITS:
        number, length = divmod(length, unit)
        if number:
            parts.append(f"{number}{gap}{name}{'s' if name == 'day' and number > 1 else ''}")
    if length or not parts:
        seconds = format(Decimal(length) / SECOND, "f")
        parts.append(f"{seconds.rstrip('0').rstrip('.') if '.' in seconds else seconds}s")
    return " ".join(parts)


def as_json(value: object) -> Any:
    """A value as plain JSON: decimals as numbers where a double says the same, else as text."""
    if not isinstance(value, Decimal):
        return value
    if value == value.to_integral_value():
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else format(value, "f")


def percent(share: Decimal) -> str:
    """A share as a per cent: 0.4 is "40%"."""
    return f"{plain((share * 100).normalize())}%"


def plain(value: object) -> str:
    """A value as a text."""
    if value is None:
        return "unknown"
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- steps that are missing ---


def in_words(step: Mapping[str, Any]) -> str:
    """A missing step as people say it: "1 more Invite Accepted (another invitee_id) before ..."."""
    if "trait" in step:
        return f"{step['trait']} must be {step['must be']}"
    if "value of" in step:
        return f"{step['value of']} must be {step['must be']}; it is {plain(step['is'])}"
    if "wait until" in step:
        return f"wait until {step['wait until']}"
    text = f"{step['events']} more {step['event']}"
    if "distinct" in step:
        text += f" (another {step['distinct']})"
    if "of" in step:
        text += f" with {step['of']} {plain(step['value'])}"
    if "where" in step:
        text += " where " + ", ".join(f"{path} is {test}" for path, test in step["where"].items())
    if "before" in step:
        text += f" before {step['before']}"
    return text


def obstacle_in_words(shown: Mapping[str, Any]) -> str:
    """What stands in the way, as people say it."""
    match shown["what"]:
        case "list":
            return f"it is on the list {shown['name']}"
        case "eligible":
            return "it is not eligible"
        case "hold":
            return f"it must go on to hold until {shown['until']}"
        case "cool-down":
            return f"it may begin again from {shown['until']} on"
        case "beyond":
            return f"{shown['signal']} must be {shown['must be']} to begin again"
        case "once":
            return "it qualified before, and does so once only"
        case "exit":
            return "what ended it has not passed"
        case "always":
            return "it has held from the beginning, and begins when it becomes true anew"
    return "the conditions do not hold"
