"""Instants: whole microseconds since the Unix epoch, UTC, read leniently and written in one form."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from assay.contract.errors import AssayError

MICROSECOND = 1
MILLISECOND = 1_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ONE_MICROSECOND = timedelta(microseconds=1)
# Years 1 to 9999, the range in which an instant can be written as ISO 8601.
INSTANT_MIN = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // _ONE_MICROSECOND
INSTANT_MAX = (datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC) - _EPOCH) // _ONE_MICROSECOND

_LEAP_SECOND = re.compile(r"^(.*[T ]\d\d:\d\d:)60(.*)$")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?\Z")
_BASIC_DATE_CHARS = 8  # 20260301 is a day


@dataclass(eq=False)
class UnreadableTime(AssayError):
    """A value that is no point in time."""

    kind: str

    def __str__(self) -> str:
        return (
            f"a {self.kind} that is no time; send ISO 8601 such as 2026-03-01T09:00:00Z, "
            "or seconds or milliseconds since 1970"
        )


def parse_instant(value: object) -> int:
    """
    Read a time as clients really send it.

    ISO 8601 with ``Z``, an offset or nothing (read as UTC); a leap second counts as the second after it; numbers, also
    as strings, are seconds, milliseconds or microseconds since 1970, told apart by their size.

    Returns:
        Microseconds since the Unix epoch.

    Raises:
        UnreadableTime: The value is none of these, or lies outside the years 1 to 9999.
    """
    if isinstance(value, str):
        moment = _moment(value) if value[4:5] == "-" else None
        return _parse_odd_text(value.strip()) if moment is None else _micros(moment)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _from_number(value)
    raise UnreadableTime(type(value).__name__)


def format_instant(at: int) -> str:
    """
    Write an instant as ISO 8601 in UTC, with milliseconds, or microseconds where it has them.

    Args:
        at: Microseconds since the Unix epoch, within the years 1 to 9999.
    """
    moment = _EPOCH + timedelta(microseconds=at)
    unit = "milliseconds" if at % 1000 == 0 else "microseconds"
    return moment.replace(tzinfo=None).isoformat(timespec=unit) + "Z"


def _micros(moment: datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    at = (moment - _EPOCH) // _ONE_MICROSECOND
    return _in_range(at)


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _parse_odd_text(text: str) -> int:
    number = _NUMBER.match(text)
    # Left alone, datetime would read milliseconds such as 1711121231530 as 12 December 1711, 15:30.
    moment = _moment(text) if number is None or len(text) <= _BASIC_DATE_CHARS else None
    if moment is not None:
        return _micros(moment)
    if number:
        # More digits than any instant has need not be read exactly.
        return _from_number(float(text) if number[1] or len(text) > 20 else int(text))
    leap = _LEAP_SECOND.match(text)
    if leap:
        return _in_range(parse_instant(f"{leap[1]}59{leap[2]}") + SECOND)
    raise UnreadableTime("string")


def _from_number(number: float) -> int:
    if number != number or number in (float("inf"), float("-inf")):
        raise UnreadableTime("number")
    # 1e11 seconds is the year 5138 and 1e11 milliseconds is 1973, so real clocks fall on one side each.
    size = abs(number)
    unit = SECOND if size < 1e11 else MILLISECOND if size < 1e14 else MICROSECOND
    return _in_range(round(number * unit))


def _in_range(at: int) -> int:
    if not INSTANT_MIN <= at <= INSTANT_MAX:
        raise UnreadableTime("time outside the years 1 to 9999")
    return at
