"""Reach: two events of one thing stand for all between them, as long as the window lets them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import event, given
from hypothesis import strategies as st

from assay.contract.times import DAY, HOUR, MINUTE, parse_instant
from assay_collector.pql.definition import Anchored, CalendarDays, CalendarMonth, Ever, Matcher, Rolling, Signal
from assay_collector.pql.presence import local_day, presence, reach
from assay_collector.pql.tallies import Period

# Clocks change in Berlin on the 29th, in Lord Howe (by half an hour) and Santiago (at midnight) a week later.
START = parse_instant("2026-03-27T00:00:00Z")
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu"])
ANCHOR = Signal("user", "count", Matcher(("Signed Up",)))
DAYS, AGO = st.integers(1, 8), st.integers(0, 3)
WINDOWS = st.one_of(
    st.just(Ever()),
    st.builds(Anchored, st.just(2 * DAY), st.just(ANCHOR)),
    st.builds(Rolling, st.integers(1, 50).map(lambda n: n * HOUR), st.integers(0, 50).map(lambda n: n * HOUR)),
    st.builds(CalendarDays, DAYS, ZONES, AGO),
    st.builds(CalendarMonth, ZONES),
)
TIMES = st.one_of(
    st.integers(0, 14 * 24 * 4).map(lambda n: START + n * 15 * MINUTE),
    st.integers(0, 14 * DAY).map(lambda n: START + n),
)
PERIODS = st.one_of(st.none(), TIMES.map(lambda at: Period(at, at + 2 * DAY)))


@given(WINDOWS, PERIODS, TIMES, TIMES, TIMES)
def test_what_lies_between_two_that_reach_each_other_adds_nothing(window, period, one, two, three):
    """At any instant at which it is present, one of the two is."""
    first, between, last = sorted((one, two, three))
    stands = last <= reach(window, first, period)
    event(f"stands: {stands}")
    if not stands:
        return
    spell = presence(window, between, period)
    ends = [found for at in (first, last) if (found := presence(window, at, period)) is not None]
    covered_to = spell[0] if spell else 0
    for start, end in sorted(ends):
        covered_to = max(covered_to, end) if start <= covered_to else covered_to

    assert spell is None or covered_to >= spell[1]


@given(WINDOWS, PERIODS, TIMES)
def test_everything_reaches_itself(window, period, at):
    """And never back."""
    assert reach(window, at, period) >= at


@given(TIMES, ZONES)
def test_the_day_of_an_instant_is_what_the_calendar_says(at, zone):
    """Also in an hour in which midnight falls or the clocks change."""
    moment = datetime.fromtimestamp(at // 1_000_000, UTC).astimezone(ZoneInfo(zone))

    assert moment.date() == local_day(at, zone)
