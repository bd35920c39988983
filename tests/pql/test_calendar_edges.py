"""Days and months at the very edges of the calendar, which ends with the year 9999."""

from datetime import date

import pytest

from assay.contract.times import INSTANT_MAX, INSTANT_MIN, parse_instant
from assay_collector.pql.presence import FOREVER, local_day, start_of_day, start_of_next_month


@pytest.mark.parametrize(
    ("at", "zone", "expected"),
    [
        (INSTANT_MAX, "Pacific/Kiritimati", date(9999, 12, 31)),
        (INSTANT_MIN, "Etc/GMT+12", date(1, 1, 1)),
        (INSTANT_MAX, "Etc/GMT+12", date(9999, 12, 31)),
        (INSTANT_MIN, "Pacific/Kiritimati", date(1, 1, 1)),
    ],
)
def test_a_zone_never_leads_out_of_the_calendar(at: int, zone: str, expected: date):
    """Where its day would be none, it is the day in UTC."""
    assert expected == local_day(at, zone)


def test_the_calendars_last_day_begins_and_the_one_after_it_does_not():
    """31 December 9999 is a day like any other; after it nothing begins."""
    at = parse_instant("9999-12-30T12:00:00Z")

    assert parse_instant("9999-12-31T00:00:00Z") == start_of_day(at, "UTC", 1)
    assert FOREVER == start_of_day(at, "UTC", 2)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("9999-10-05T12:00:00Z", parse_instant("9999-11-01T00:00:00Z")),
        ("9999-11-05T12:00:00Z", parse_instant("9999-12-01T00:00:00Z")),
        ("9999-12-05T12:00:00Z", FOREVER),
    ],
)
def test_the_calendars_last_month_begins_and_the_one_after_it_does_not(at: str, expected: int):
    """Likewise December."""
    assert expected == start_of_next_month(parse_instant(at), "UTC")
