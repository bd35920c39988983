"""Durations, windows and tests of durations, from their text to what they mean, and back."""

from decimal import Decimal

import pytest

from assay.contract.times import DAY, HOUR, MINUTE, SECOND
from assay_collector.pql.comparators import Comparator, UnreadableComparator
from assay_collector.pql.windows import (
    WindowText,
    is_elapsed,
    parse_duration,
    parse_elapsed,
    parse_window,
    rewrite_duration,
    show_duration,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 day", DAY),
        ("14 days", 14 * DAY),
        ("48h", 48 * HOUR),
        ("48 h", 48 * HOUR),
        ("30m", 30 * MINUTE),
        ("10s", 10 * SECOND),
        ("999999s", 999_999 * SECOND),
        ("1000000s", None),
        ("0h", 0),
        ("-1h", None),
        ("1.5h", None),
        ("days", None),
        ("2 weeks", None),
        ("48h ", None),
        ("", None),
    ],
)
def test_a_duration_is_a_whole_number_of_one_unit(text: str, expected: int | None):
    """In microseconds, a day as 24 hours; anything else is none."""
    assert expected == parse_duration(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ever", WindowText("ever")),
        ("this month", WindowText("month")),
        ("48h", WindowText("rolling", 48 * HOUR)),
        ("2 days", WindowText("days", 2 * DAY)),
        ("14 days of Signed Up", WindowText("anchored", 14 * DAY, "Signed Up")),
        ("48h of  Signed Up ", WindowText("anchored", 48 * HOUR, "Signed Up")),
        ("14 days of  ", None),
        ("14 days of", None),
        ("soon of Signed Up", None),
        ("last month", None),
        ("", None),
    ],
)
def test_a_window_is_ever_a_month_a_duration_or_that_of_an_event(text: str, expected: WindowText | None):
    """Days are those of the calendar, hours roll; a window of an event names it."""
    assert expected == parse_window(text)


@pytest.mark.parametrize(
    ("length", "expected"),
    [(48 * HOUR, "48h"), (90 * MINUTE, "90m"), (10 * SECOND, "10s"), (61 * SECOND, "61s"), (DAY, "24h")],
)
def test_a_duration_is_shown_in_its_largest_whole_unit(length: int, expected: str):
    """And read back it is the same."""
    assert expected == show_duration(length)
    assert length == parse_duration(show_duration(length))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 weeks", "14 days"),
        ("1 week", "7 days"),
        ("1d", "1 day"),
        (" 3 Days", "3 days"),
        ("1 month", "30 days"),
        ("2 years", "730 days"),
        ("12 hours", "12h"),
        ("5 mins", "5m"),
        ("90sec", "90s"),
        ("2 weeks of Signed Up ", "14 days of Signed Up"),
        ("2 Weeks of Signed Up", "14 days of Signed Up"),
        ("2 fortnights", None),
        ("some days", None),
        ("48 hours or so", None),
    ],
)
def test_what_is_meant_is_written_as_the_language_writes_it(text: str, expected: str | None):
    """Other units and spellings have one meaning, or none is guessed; the event's name stays as it is."""
    assert expected == rewrite_duration(text)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("more than 30 days", Comparator("more than", (Decimal(30 * DAY),), "more than 30 days")),
        ("at  least 1h", Comparator("at least", (Decimal(HOUR),), "at least 1h")),
        ("at most 0s", Comparator("at most", (Decimal(0),), "at most 0s")),
        (
            "between 1h and 2 days",
            Comparator("between", (Decimal(HOUR), Decimal(2 * DAY)), "between 1h and 2 days"),
        ),
        ("between 1h and 1h", Comparator("between", (Decimal(HOUR), Decimal(HOUR)), "between 1h and 1h")),
        ("between 0s and 60m", Comparator("between", (Decimal(0), Decimal(HOUR)), "between 0s and 60m")),
        ("is known", Comparator("is known", (), "is known")),
        ("is not known", Comparator("is not known", (), "is not known")),
    ],
)
def test_a_test_of_a_duration_has_microseconds_as_operands(written: str, expected: Comparator):
    """Both ends of `between` belong to it, and may be the same."""
    assert expected == parse_elapsed(written)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("more than 30 days", True),
        ("between 1h and 2 days", True),
        ("is known", False),
        ("at least 3", False),
        ("soon", False),
        (3, False),
    ],
)
def test_only_what_measures_time_is_a_test_of_a_duration(written: object, expected: bool):
    """A number without a unit is a count, and whether something is known has no length."""
    assert expected is is_elapsed(written)


@pytest.mark.parametrize(
    ("written", "suggestion"),
    [
        ("over 30 days", "more than 30 days"),
        ("> 2 weeks", "more than 14 days"),
        ("30 days", "at least 30 days"),
        ("at least 3", "at least 3 days"),
        ("at least 2 fortnights", ""),
        ("at least", ""),
        ("at least 1 hour and 2 days", ""),
        ("between 1 hour and 2 weeks", "between 1h and 14 days"),
        ("between 1 hour, and 2 days", "between 1h and 2 days"),
        ("between 1, and 2 days", "between 1 day and 2 days"),
        ("between 1h", ""),
        ("betwen 1h and 2h", "between 1h and 2h"),
        ("between 2 days and 1h", ""),
        ("admin 3 days", ""),
        ("not 3 days", ""),
        (30, "at least 30 days"),
    ],
)
def test_a_misspelt_test_of_a_duration_is_refused_with_what_was_meant(written: object, suggestion: str):
    """Or with nothing, where that would be a guess."""
    with pytest.raises(UnreadableComparator) as refused:
        parse_elapsed(written)

    assert suggestion == refused.value.suggestion


def test_a_range_of_durations_has_the_shorter_one_first():
    """The refusal says so."""
    with pytest.raises(UnreadableComparator, match="has the longer duration first"):
        parse_elapsed("between 2 days and 1h")
