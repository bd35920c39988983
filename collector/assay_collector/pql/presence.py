"""
Presence: a window says, of an event, from when until when it counts.

An event at `at` counts `ever` from `at` on, within `48h` from `at` until 48 hours later, within `7 days` until midnight
after the sixth day following. Counting within any window is then the same sweep over beginnings and ends.
"""

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import assert_never
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from assay.contract.times import HOUR, INSTANT_MAX, MICROSECOND, MINUTE
from assay_collector.pql.definition import Anchored, CalendarDays, CalendarMonth, Ever, Rolling, Window
from assay_collector.pql.tallies import Period

Presence = tuple[int, int]  # from, inclusive, until, exclusive
FOREVER = INSTANT_MAX + 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WHOLE_MINUTES = (datetime(1973, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=MICROSECOND)
# An area and a place, or UTC: what names a place on earth, and not a file of this machine.
_ZONE_NAME = re.compile(r"UTC|[A-Z][A-Za-z_]+(/[A-Za-z0-9_+-]+){1,2}")


def presence(window: Window, at: int, anchored: Period | None) -> Presence | None:
    """
    From when until when an event counts in a window; None: never.

    Args:
        anchored: The period of an anchored window; None for other windows, or when it has not begun.
    """
    match window:
        case Ever():
            return at, FOREVER
        case Anchored():
            return (at, FOREVER) if anchored is not None and at in anchored else None
        case Rolling(length=length, ago=ago):
            return min(at + ago, FOREVER), min(at + ago + length, FOREVER)
        case CalendarDays(days=days, zone=zone, ago=ago):
            begins = start_of_day(at, zone, ago) if ago else at
            return begins, start_of_day(at, zone, ago + days)
        case CalendarMonth(zone=zone):
            return at, start_of_next_month(at, zone)
        case _:
            assert_never(window)


def reach(window: Window, first: int, anchored: Period | None) -> int:
    """
    The last instant at which another event stands, together with one at `first`, for whatever lies between the two:
    what is between is present only where one of them is. Presence begins and ends in the order of events, so this is
    where the presence of the later one begins as that of the first ends.
    """
    match window:
        case Ever():
            return FOREVER
        case Anchored():
            if anchored is None or anchored.end <= first:
                return FOREVER
            return (anchored.start if first < anchored.start else anchored.end) - 1
        case Rolling(length=length):
            return first + length
        case CalendarDays(days=days, zone=zone, ago=ago):
            return start_of_day(first, zone, days + 1) - 1 if ago else start_of_day(first, zone, days)
        case CalendarMonth(zone=zone):
            return start_of_next_month(first, zone)
        case _:
            assert_never(window)


def seen_whole(window: Window, observed: int) -> int | None:
    """
    From when on a window lies wholly in the time in which somebody was observed.

    Args:
        observed: Since when that is.

    Returns:
        None: the window does not move along; what happened before anybody looked is not asked for.
    """
    match window:
        case Ever() | Anchored():
            return None
        case Rolling(length=length, ago=ago):
            return min(observed + ago + length, FOREVER)
        case CalendarDays(days=days, zone=zone, ago=ago):
            begun = start_of_day(observed, zone, 0) < observed  # that day is over before it can be a whole one
            return start_of_day(observed, zone, ago + days - 1 + begun)
        case CalendarMonth(zone=zone):
            month = local_day(observed, zone).replace(day=1)
            return observed if _start(month.toordinal(), zone) == observed else start_of_next_month(observed, zone)
        case _:
            assert_never(window)


def is_zone(name: object) -> bool:
    """Whether this is the IANA name of a time zone."""
    return isinstance(name, str) and len(name) < 64 and _is_zone(name)


@lru_cache(maxsize=1_000)
def _is_zone(name: str) -> bool:
    try:
        return _ZONE_NAME.fullmatch(name) is not None and ZoneInfo(name) is not None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False


def local_day(at: int, zone: str) -> date:
    """The calendar day of an instant in a time zone."""
    day = _day_of_hour(at // HOUR, zone)
    if day is not None:
        return day
    # Since then clocks have been set at whole minutes only, so all of a minute lies in one day.
    return _local_day(at - at % MINUTE if at >= _WHOLE_MINUTES else at, zone)


@lru_cache(maxsize=200_000)
def _day_of_hour(hour: int, zone: str) -> date | None:
    """The day in which all of an hour lies; None: it is not all in one, or the clocks change in it."""
    try:
        first, last = (
            (_EPOCH + timedelta(microseconds=at)).astimezone(_zone(zone)) for at in (hour * HOUR, (hour + 1) * HOUR - 1)
        )
    except OverflowError:
        return None
    return first.date() if first.date() == last.date() and first.utcoffset() == last.utcoffset() else None


@lru_cache(maxsize=200_000)
def _local_day(at: int, zone: str) -> date:
    moment = _EPOCH + timedelta(microseconds=at)
    try:
        return moment.astimezone(_zone(zone)).date()
    except OverflowError:
        return moment.date()  # at the very edges of the calendar, where a zone would lead out of it


def start_of_day(at: int, zone: str, later: int) -> int:
    """When the day begins that comes `later` days after the day of an instant."""
    found = _start_after_hour(at // HOUR, zone, later)
    return _start(local_day(at, zone).toordinal() + later, zone) if found is None else found


@lru_cache(maxsize=200_000)
def _start_after_hour(hour: int, zone: str, later: int) -> int | None:
    day = _day_of_hour(hour, zone)
    return None if day is None else _start(day.toordinal() + later, zone)


def start_of_next_month(at: int, zone: str) -> int:
    """When the month after the month of an instant begins."""
    day = local_day(at, zone)
    months = day.year * 12 + day.month
    if months // 12 > date.max.year:
        return FOREVER
    return _start(date(months // 12, months % 12 + 1, 1).toordinal(), zone)


@lru_cache(maxsize=50_000)
def _start(ordinal: int, zone: str) -> int:
    if ordinal > date.max.toordinal():
        return FOREVER
    day = date.fromordinal(ordinal)
    # Where midnight is skipped, the offset before the change makes this the instant of the change; where it comes
    # twice, this is the first: so days are always next to each other, whatever the clocks do.
    moment = datetime(day.year, day.month, day.day, tzinfo=_zone(zone))
    offset = moment.utcoffset() or timedelta(0)
    naive = moment.replace(tzinfo=UTC)
    return (naive - _EPOCH - offset) // timedelta(microseconds=MICROSECOND)


@lru_cache(maxsize=1_000)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
