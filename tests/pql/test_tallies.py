"""Hourly tallies answer as exactly as the raw events would."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.contract.times import HOUR, MINUTE
from assay_collector.pql.tallies import Instants, Period, Series, Span, count, distinct_arrivals, reached
from pql.facts import START, series_of

SIGNAL = 7
Seen = tuple[int, bytes]

# Around the edges of a few hours, and within them.
INSTANTS = st.builds(
    lambda hour, offset: START + hour * HOUR + offset,
    st.integers(-1, 2),
    st.sampled_from([0, 1, 10 * MINUTE, 20 * MINUTE, 20 * MINUTE + 1, 30 * MINUTE, 50 * MINUTE, HOUR - 1]),
)
EVENTS = st.lists(st.tuples(INSTANTS, st.sampled_from([b"x", b"y", b"z"])), max_size=12)
PERIODS = st.just(Period()) | st.tuples(INSTANTS, INSTANTS).map(lambda ends: Period(min(ends), max(ends)))
LEAVES = st.integers(1, 3)


def reading(events: Sequence[Seen]) -> Instants:
    return lambda signal, hour: sorted((at, item) for at, item in events if at // HOUR == hour)


def never(signal: int, hour: int) -> Sequence[Seen]:
    raise AssertionError("the tallies say enough")


@given(EVENTS, PERIODS, LEAVES)
def test_a_count_is_that_of_the_raw_events(events: list[Seen], period: Period, leaves: int):
    """Whatever hours the period cuts through."""
    series = series_of(SIGNAL, events, leaves)

    assert len([at for at, _ in events if period.start <= at < period.end]) == count(series, period, reading(events))


@given(EVENTS, PERIODS, LEAVES, st.integers(1, 13))
def test_a_number_is_reached_when_that_many_raw_events_have_happened(
    events: list[Seen], period: Period, leaves: int, number: int
):
    """Exactly at the number-th event of the period; never, if there are fewer."""
    within = sorted(at for at, _ in events if period.start <= at < period.end)
    expected = within[number - 1] if len(within) >= number else None

    assert expected == reached(series_of(SIGNAL, events, leaves), number, period, reading(events))


@given(EVENTS, PERIODS, LEAVES)
def test_a_distinct_value_arrives_with_its_first_raw_event(events: list[Seen], period: Period, leaves: int):
    """Sights of it before the period do not count, and do not hide later ones."""
    firsts: dict[bytes, int] = {}
    for at, item in sorted(events):
        if period.start <= at < period.end:
            firsts.setdefault(item, at)

    assert sorted(firsts.values()) == distinct_arrivals(series_of(SIGNAL, events, leaves), period, reading(events))


@given(st.permutations(range(6)), st.lists(st.tuples(INSTANTS, st.sampled_from([b"x", b"y"])), min_size=6, max_size=6))
def test_folding_knows_no_order(order: list[int], events: list[Seen]):
    """Rows of any leaves in any order fold to the same series."""
    rows = [(item, Span(at // HOUR, 1, at, at)) for at, item in events]
    shuffled = [rows[index] for index in order]

    assert Series.fold(SIGNAL, [s for _, s in rows], rows) == Series.fold(SIGNAL, [s for _, s in shuffled], shuffled)


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        pytest.param(Period(START + 20, START + 30), 0, id="both outside"),
        pytest.param(Period(START + 10, START + 40), 1, id="the first, not the last: its end is exclusive"),
        pytest.param(Period(START + 11, START + 41), 1, id="the last"),
        pytest.param(Period(START + 10, START + 41), 2, id="both"),
        pytest.param(Period(START + 41, START + 90), 0, id="after both"),
    ],
)
def test_two_events_of_one_hour_are_known_without_reading(period: Period, expected: int):
    """A period within the hour may hold neither, though it lies between them."""
    series = series_of(SIGNAL, [(START + 10, None), (START + 40, None)])

    assert expected == count(series, period, never)


def test_whole_hours_are_never_read_again():
    """The first and the last event of an hour are known."""
    series = series_of(SIGNAL, [(START + index, None) for index in range(5)])

    assert 5 == count(series, Period(START, START + HOUR), never)
    assert START == reached(series, 1, Period(), never)
    assert START + 4 == reached(series, 5, Period(), never)
