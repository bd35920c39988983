"""Instants are read as clients really send them, and written in one form."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.contract.times import INSTANT_MAX, INSTANT_MIN, SECOND, UnreadableTime, format_instant, parse_instant

instants = st.integers(INSTANT_MIN, INSTANT_MAX)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("2026-03-01T09:00:00Z", "2026-03-01T09:00:00.000Z"),
        ("2026-03-01T09:00:00.1Z", "2026-03-01T09:00:00.100Z"),
        ("2026-03-01T09:00:00.123456789Z", "2026-03-01T09:00:00.123456Z"),
        ("2026-03-01T09:00:00", "2026-03-01T09:00:00.000Z"),
        ("2026-03-01 09:00:00", "2026-03-01T09:00:00.000Z"),
        ("2026-03-01T09:00", "2026-03-01T09:00:00.000Z"),
        ("2026-03-01", "2026-03-01T00:00:00.000Z"),
        ("20260301", "2026-03-01T00:00:00.000Z"),
        ("20260301T090000Z", "2026-03-01T09:00:00.000Z"),
        ("  2026-03-01T09:00:00Z\n", "2026-03-01T09:00:00.000Z"),
        ("2026-03-01T14:30:00+05:30", "2026-03-01T09:00:00.000Z"),
        ("2026-03-01T01:00:00-0800", "2026-03-01T09:00:00.000Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"),
        ("2016-12-31T23:59:60.250Z", "2017-01-01T00:00:00.250Z"),
        ("2017-01-01T05:29:60+05:30", "2017-01-01T00:00:00.000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.000Z"),
        (1_772_355_600, "2026-03-01T09:00:00.000Z"),
        (1_772_355_600.25, "2026-03-01T09:00:00.250Z"),
        (1_772_355_600_123, "2026-03-01T09:00:00.123Z"),
        (1_772_355_600_123_456, "2026-03-01T09:00:00.123456Z"),
        ("1772355600", "2026-03-01T09:00:00.000Z"),
        ("1772355600.25", "2026-03-01T09:00:00.250Z"),
        ("1772355600123", "2026-03-01T09:00:00.123Z"),
    ],
)
def test_a_time_is_read_as_clients_send_it(sent, expected):
    """ISO 8601 with or without zone, leap seconds, and numbers in seconds, milliseconds or microseconds."""
    assert expected == format_instant(parse_instant(sent))


def test_milliseconds_as_text_are_no_date():
    """Bug: Python reads 1711121231530 as 12 December 1711, 15:30; it is a moment of March 2024."""
    assert parse_instant(1_711_121_231_530) == parse_instant("1711121231530")


@pytest.mark.parametrize(
    "sent",
    [
        *("", "soon", "null", "2026-13-01T00:00:00Z", "2026-03-01T25:00:00Z", "Sun, 01 Mar 2026 09:00:00 GMT"),
        *(
            "9999-12-31T23:59:60Z",
            "0001-01-01T00:00:00+01:00",
            "9" * 18,
            "1" * 5000,
            "1e5",
            "\ud800",
            "\x00",
            "١٧٧٢٣٥٥٦٠٠",
        ),
        *(None, True, False, [], {}, b"2026", float("nan"), float("inf"), float("-inf"), 10**400, -(10**18), 1e300),
    ],
    ids=lambda sent: repr(sent)[:40],
)
def test_what_is_no_time_is_refused(sent):
    """Whatever is no point in time between the years 1 and 9999 raises the one error."""
    with pytest.raises(UnreadableTime):
        parse_instant(sent)


def test_the_refusal_quotes_nothing():
    """A value where a time was expected may be anything, so it is not repeated."""
    with pytest.raises(UnreadableTime) as caught:
        parse_instant("anna@example.org")

    assert "anna" not in str(caught.value)


@given(instants)
def test_what_is_written_is_read_back(at):
    """Writing loses nothing, over all the years that can be written."""
    assert at == parse_instant(format_instant(at))


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)), st.integers(-23 * 60, 23 * 60))
def test_a_zone_offset_names_the_same_instant(moment, offset_minutes):
    """An instant told in any zone is the instant itself."""
    zoned = moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=offset_minutes)))

    assert parse_instant(moment.isoformat() + "Z") == parse_instant(zoned.isoformat())


@given(st.integers(-(10**11) + 1, 10**11 - 1).filter(lambda number: abs(number) > 10**8))
def test_a_number_and_its_text_are_one_time(seconds):
    """Whether a client quotes its number makes no difference; up to eight digits a text may be a day."""
    try:
        expected = parse_instant(seconds)
    except UnreadableTime:
        expected = None

    if expected is not None:
        assert expected == parse_instant(str(seconds)) == seconds * SECOND


@given(st.text() | st.floats() | st.integers() | st.binary() | st.none())
def test_only_one_error_is_ever_raised(value):
    """Whatever comes, it is an instant in range or UnreadableTime."""
    try:
        at = parse_instant(value)
    except UnreadableTime:
        return

    assert INSTANT_MIN <= at <= INSTANT_MAX
