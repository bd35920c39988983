"""Hours that a period cuts through: what is read again, and what must not be."""

from collections.abc import Sequence

import pytest

from assay.contract.times import HOUR
from assay_collector.pql.tallies import Instants, Period, count, distinct_arrivals, reached
from pql.facts import START, series_of

SIGNAL = 7
Seen = tuple[int, bytes | None]


def reading(events: Sequence[Seen]) -> Instants:
    return lambda signal, hour: sorted((at, item) for at, item in events if at // HOUR == hour)


def never(signal: int, hour: int) -> Sequence[Seen]:
    raise AssertionError("the tallies say enough")


@pytest.mark.parametrize(
    "period",
    [
        pytest.param(Period(START - 90, START + 10), id="it ends where the hour's first event is"),
        pytest.param(Period(START + 31, START + 90), id="it begins after the hour's last event"),
        pytest.param(Period(START - 2 * HOUR, START - HOUR), id="it lies before"),
        pytest.param(Period(START + HOUR, START + 2 * HOUR), id="it lies after"),
    ],
)
def test_an_hour_outside_of_the_period_is_not_read(period: Period):
    """Its first and last event say that none of it counts."""
    series = series_of(SIGNAL, [(START + offset, b"x") for offset in (10, 20, 30)])

    assert 0 == count(series, period, never)
    assert None is reached(series, 1, period, never)
    assert [] == distinct_arrivals(series, period, never)


def test_of_an_hour_cut_at_its_beginning_the_first_is_the_first_within():
    """What came earlier in the hour is neither counted nor taken for the first."""
    events = [(START + offset, None) for offset in (10, 20, 30, 40)]
    series, period = series_of(SIGNAL, events), Period(START + 15, START + HOUR)

    assert [START + 20, START + 30, START + 40, None] == [
        reached(series, number, period, reading(events)) for number in (1, 2, 3, 4)
    ]


def test_of_an_hour_cut_at_its_end_the_last_is_not_reached():
    """The first of it counts at once; the last lies outside."""
    events = [(START + offset, None) for offset in (10, 20, 30)]
    series, period = series_of(SIGNAL, events), Period(START, START + 30)

    assert [START + 10, START + 20, None] == [reached(series, number, period, reading(events)) for number in (1, 2, 3)]


def test_a_value_seen_before_and_within_the_period_arrives_with_its_first_sight_within():
    """Of the same hour only the sights of that value, and only those within."""
    events = [(START + at, item) for at, item in ((10, b"x"), (17, b"y"), (20, b"x"), (30, b"x"), (95, b"x"))]
    series = series_of(SIGNAL, events)

    assert [START + 17, START + 20] == distinct_arrivals(series, Period(START + 16, START + 90), reading(events))
    assert [START + 20] == distinct_arrivals(series, Period(START + 18, START + 90), reading(events))


def test_a_values_first_sight_of_an_hour_is_known_without_reading():
    """Whatever else the hour holds."""
    series = series_of(SIGNAL, [(START + offset, item) for offset, item in ((10, b"x"), (20, b"y"), (30, b"x"))])

    assert [START + 10, START + 20] == distinct_arrivals(series, Period(START + 10, START + 25), never)


def test_a_value_seen_only_around_the_period_waits_for_a_later_hour():
    """Sights before and after a short period are none within it; the next hour may bring one."""
    events = [(START + 10, b"x"), (START + 40, b"x"), (START + HOUR + 5, b"x")]
    series = series_of(SIGNAL, events)

    assert [] == distinct_arrivals(series, Period(START + 20, START + 30), reading(events))
    assert [START + HOUR + 5] == distinct_arrivals(series, Period(START + 41, START + 2 * HOUR), reading(events))
