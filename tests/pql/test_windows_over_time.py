"""Windows and folds over time, held against what each window says in words, counted by hand at single instants."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.contract.times import DAY, HOUR, MINUTE, parse_instant
from assay_collector.pql import definition as d
from assay_collector.pql.comparators import parse_comparator
from assay_collector.pql.decision import Judge
from assay_collector.pql.presence import FOREVER, local_day, presence, start_of_day, start_of_next_month
from assay_collector.pql.steps import Steps
from assay_collector.pql.sweeps import Occurrence
from assay_collector.pql.tallies import Period, Series, Span, hour_of
from assay_collector.pql.values import EntityFacts, values
from assay_collector.pql.windows import parse_elapsed

# Around the change to summer time in Berlin, and to winter time in New York on another day.
START = parse_instant("2026-03-28T20:00:00Z")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Etc/GMT+12", "Asia/Kathmandu")
ANCHOR = d.Signal("user", "count", d.Matcher(("Signed Up",)))
SIGNAL = d.Signal("user", "count", d.Matcher(("Worked",)))

INSTANTS = st.builds(
    lambda base, minutes, micro: START + base + minutes * MINUTE + micro,
    st.sampled_from([0, 4 * HOUR, 5 * HOUR, DAY, 2 * DAY, 7 * DAY]),
    st.integers(-90, 90),
    st.sampled_from([0, 0, 0, -1, 1]),
)
WINDOWS = st.one_of(
    st.just(d.Ever()),
    st.just(d.Anchored(2 * DAY, ANCHOR, "2 days of Signed Up")),
    st.builds(d.Rolling, st.sampled_from([30 * MINUTE, 5 * HOUR, 48 * HOUR]), st.sampled_from([0, HOUR, 24 * HOUR])),
    st.builds(d.CalendarDays, st.integers(1, 7), st.sampled_from(ZONES), st.sampled_from([0, 0, 1, 5])),
    st.builds(d.CalendarMonth, st.sampled_from(ZONES)),
)


def _facts(events: list[tuple[int, object]], anchored_at: int | None, signal: d.Signal = SIGNAL) -> EntityFacts:
    found = [Occurrence(at, index.to_bytes(16, "big"), b"", value) for index, (at, value) in enumerate(events)]
    spans = [Span(hour_of(each.at), 1, each.at, each.at) for each in found]
    items = [(e.value, s) for e, s in zip(found, spans, strict=True) if isinstance(e.value, bytes)]
    series = {signal.id: Series.fold(signal.id, spans, items)} if found else {}
    if anchored_at is not None:
        series[ANCHOR.id] = Series.fold(ANCHOR.id, [Span(hour_of(anchored_at), 1, anchored_at, anchored_at)])
    return EntityFacts(
        kind="user",
        series=series,
        instants=lambda _, hour: sorted((e.at, e.value) for e in found if hour_of(e.at) == hour),
        occurrences=lambda wanted: found if wanted == signal.id else [],
    )


def _counts(window: d.Window, event: int, now: int, anchored_at: int | None) -> bool:
    """Whether an event counts now, as the window says in words."""
    match window:
        case d.Ever():
            return event <= now
        case d.Anchored(length=length):
            return anchored_at is not None and anchored_at <= event < anchored_at + length and event <= now
        case d.Rolling(length=length, ago=ago):
            return now - ago - length < event <= now - ago
        case d.CalendarDays(days=days, zone=zone, ago=ago):
            last = _day(now, zone) - timedelta(days=ago)
            return last - timedelta(days=days) < _day(event, zone) <= last and event <= now
        case d.CalendarMonth(zone=zone):
            then, today = _day(event, zone), _day(now, zone)
            return (then.year, then.month) == (today.year, today.month) and event <= now
    raise AssertionError(window)


def _day(at: int, zone: str):
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).astimezone(ZoneInfo(zone)).date()


def _known(window: d.Window, now: int, anchored_at: int | None) -> bool:
    return not isinstance(window, d.Anchored) or (anchored_at is not None and anchored_at <= now)


@given(st.lists(INSTANTS, max_size=8), WINDOWS, st.none() | INSTANTS, INSTANTS)
def test_a_count_is_what_the_window_says(events, window, anchored_at, now):
    """At any instant a count is the number of events that the window's own words include."""
    facts = _facts([(at, None) for at in events], anchored_at)
    expected = sum(_counts(window, at, now, anchored_at) for at in events) if _known(window, now, anchored_at) else None

    assert expected == values(d.Use("x", SIGNAL, window), facts).at(now)


@given(st.lists(INSTANTS, max_size=8), WINDOWS, st.none() | INSTANTS, st.integers(1, 4))
def test_tallies_and_events_tell_the_same_truth(events, window, anchored_at, number):
    """For windows that only grow, the quick way by tallies and the way by events agree over all of time."""
    if not isinstance(window, d.Ever | d.Anchored):
        window = d.Ever()
    facts = _facts([(at, None) for at in events], anchored_at)
    use, test = d.Use("x", SIGNAL, window), parse_comparator(f"at least {number}")
    judge = Judge(_definition(d.Criterion(use, test)), facts)

    assert values(use, facts).map(test.holds) == judge.truth(d.Criterion(use, test))


@given(st.lists(st.tuples(INSTANTS, st.sampled_from([b"a", b"b", b"c"])), max_size=8), WINDOWS, INSTANTS)
def test_distinct_counts_each_value_once(events, window, now):
    """However often and however overlapping a value is seen, it counts once, and as long as any sight of it counts."""
    signal = d.Signal("user", "distinct", d.Matcher(("Worked",)), "of")
    facts = _facts(events, START, signal)
    expected = len({value for at, value in events if _counts(window, at, now, START)})

    assert (expected if _known(window, now, START) else None) == values(d.Use("x", signal, window), facts).at(now)


@given(st.lists(INSTANTS, max_size=8), WINDOWS, INSTANTS, st.sampled_from(ZONES))
def test_active_days_are_days_of_the_zone(events, window, now, zone):
    """Days are counted by the calendar of the zone, across changes of the clocks and at the edges of the map."""
    signal = d.Signal("user", "active_days", d.Matcher(("Worked",)))
    facts = _facts([(at, None) for at in events], START, signal)
    expected = len({_day(at, zone) for at in events if _counts(window, at, now, START)})

    assert (expected if _known(window, now, START) else None) == values(d.Use("x", signal, window, zone), facts).at(now)


NUMBERS = st.sampled_from([1, -2, 0.1, 0.2, 3.5, "7", "many", None, True])


@given(st.lists(st.tuples(INSTANTS, NUMBERS), max_size=8), WINDOWS, INSTANTS)
def test_sums_are_exact(events, window, now):
    """A sum is exact to the millionth, takes numbers only, and does not depend on the order of events."""
    signal = d.Signal("user", "sum", d.Matcher(("Worked",)), "of")
    numbers = {1: "1", -2: "-2", 0.1: "0.1", 0.2: "0.2", 3.5: "3.5", "7": "7"}
    wanted = [
        Decimal(numbers[value])
        for at, value in events
        if _counts(window, at, now, START) and not isinstance(value, bool) and value in numbers
    ]
    use = d.Use("x", signal, window)

    assert (sum(wanted, Decimal(0)) if _known(window, now, START) else None) == values(
        use, _facts(events, START, signal)
    ).at(now)
    assert values(use, _facts(events, START, signal)) == values(use, _facts(events[::-1], START, signal))


@pytest.mark.parametrize("pick", ["first", "last", "min", "max"])
@given(events=st.lists(st.tuples(INSTANTS, st.integers(-3, 3)), max_size=8), window=WINDOWS, now=INSTANTS)
def test_the_first_last_least_and_greatest_are_those_that_count(pick, events, window, now):
    """Of the events that count, the value of the first or last by time, or the least or greatest."""
    signal = d.Signal("user", pick, d.Matcher(("Worked",)), "of")
    counting = [(at, index, value) for index, (at, value) in enumerate(events) if _counts(window, at, now, START)]
    found = values(d.Use("x", signal, window), _facts(events, START, signal)).at(now)
    expected = None
    if counting:
        expected = {
            "first": min(counting)[2],
            "last": max(counting)[2],
            "min": min(value for _, _, value in counting),
            "max": max(value for _, _, value in counting),
        }[pick]

    assert expected == found


@pytest.mark.parametrize("zone", ZONES)
@given(st.integers(-400, 400))
def test_days_lie_next_to_each_other(zone, days):
    """Where one day ends the next begins, for every day of two years and wherever the clocks change."""
    at = START + days * DAY
    following = start_of_day(at, zone, 1)

    assert start_of_day(at, zone, 0) <= at < following
    assert local_day(following, zone) == local_day(at, zone) + timedelta(days=1)
    assert local_day(following - 1, zone) == local_day(at, zone)


def test_a_day_without_midnight_begins_when_the_clocks_change():
    """Where the clocks skip midnight, the day begins at the instant of the change."""
    noon = parse_instant("2018-11-03T15:00:00Z")

    assert parse_instant("2018-11-04T03:00:00Z") == start_of_day(noon, "America/Sao_Paulo", 1)


@pytest.mark.parametrize(
    ("at", "expected"),
    [("2026-12-31T12:00:00Z", "2027-01-01T00:00:00Z"), ("2026-01-31T23:59:59Z", "2026-02-01T00:00:00Z")],
)
def test_a_month_ends_with_its_last_day(at, expected):
    """The month after December is January of the next year."""
    assert parse_instant(expected) == start_of_next_month(parse_instant(at), "UTC")


@pytest.mark.parametrize("window", [d.CalendarDays(7, "UTC"), d.CalendarMonth("UTC"), d.Rolling(DAY)])
def test_the_end_of_the_calendar_is_no_end(window):
    """An event on the calendar's last day counts forever, and nothing overflows."""
    at = parse_instant("9999-12-31T23:59:59Z")

    assert (at, FOREVER) == presence(window, at, None)


def test_an_event_at_the_windows_far_edge_is_out():
    """48 hours later to the microsecond an event no longer counts; a microsecond before it does."""
    counted = values(d.Use("x", SIGNAL, d.Rolling(48 * HOUR)), _facts([(START, None)], None))

    assert (1, 0) == (counted.at(START + 48 * HOUR - 1), counted.at(START + 48 * HOUR))


def test_what_always_holds_has_no_change_at_the_end_of_time():
    """A count over all time has no change beyond its events, so no timer is ever set for the year 10000."""
    assert Steps(0, ((START, 1),)) == values(d.Use("x", SIGNAL, d.Ever()), _facts([(START, None)], None))


def test_an_anchored_window_is_unknown_before_it_begins():
    """Before its anchor a window is not empty but unknown, so `at most` cannot hold of it."""
    window = d.Anchored(DAY, ANCHOR)

    assert None is values(d.Use("x", SIGNAL, window), _facts([], None)).at(START)
    assert 0 == values(d.Use("x", SIGNAL, window), _facts([], START)).at(START)


def test_an_events_presence_in_an_anchored_window_needs_the_anchor():
    """Without the anchor's period an event never counts."""
    window = d.Anchored(DAY, ANCHOR)

    assert None is presence(window, START, None)
    assert (START, FOREVER) == presence(window, START, Period(START, START + DAY))


def _definition(qualify: d.Condition) -> d.Definition:
    return d.Definition(
        id="probe", version=1, entity="user", stage="activation", owner="growth", why="", qualify=qualify
    )


def test_the_time_since_nothing_is_unknown():
    """Without any event there is nothing to measure from, and asking is no error."""
    use = d.Use("quiet", d.Signal("user", "since", d.Matcher(())), d.Ever())
    judge = Judge(_definition(d.Criterion(use, parse_elapsed("more than 30 days"))), _facts([], None))

    assert Steps(None) == judge.qualify
