"""What subjects are worth over time, by hand: the time since, sequences, ratios, members and points."""

from decimal import Decimal
from typing import Any

import pytest

from assay.contract.times import DAY, HOUR, MINUTE
from assay_collector.pql import definition as d
from assay_collector.pql.comparators import parse_comparator
from assay_collector.pql.steps import Steps
from assay_collector.pql.sweeps import Occurrence
from assay_collector.pql.tallies import hour_of
from assay_collector.pql.values import EntityFacts, score_values, since_truth, values
from assay_collector.pql.windows import parse_elapsed
from pql.facts import START, series_of

ADA, BEN, CLEO = b"ada", b"ben", b"cleo"
TRIED, BOUGHT = (d.Signal("account", "count", d.Matcher((name,))) for name in ("Tried", "Bought"))
QUIET = d.Use("quiet", d.Signal("account", "since", d.Matcher(("Tried",))), d.Ever())
ROLE, SEATS, USED = d.Trait("user", "role"), d.Trait("account", "seats"), d.Trait("account", "used")


def facts(
    told: dict[int, list[tuple[int, bytes]]],
    traits: dict[Any, Any] | None = None,
    roles: dict[bytes, str] | None = None,
) -> EntityFacts:
    """From (instant, person) by signal; traits hold from the beginning, roles from START on."""
    found = {
        signal: [Occurrence(at, index.to_bytes(16, "big"), person) for index, (at, person) in enumerate(seen)]
        for signal, seen in told.items()
    }
    return EntityFacts(
        kind="account",
        series={signal: series_of(signal, [(at, None) for at, _ in seen]) for signal, seen in told.items()},
        instants=lambda signal, hour: sorted((each.at, None) for each in found[signal] if hour_of(each.at) == hour),
        occurrences=lambda signal: found.get(signal, []),
        traits={trait: Steps(value) for trait, value in (traits or {}).items()},
        traits_of_member=lambda person: {ROLE: Steps(None, ((START, (roles or {})[person]),))} if roles else {},
    )


def changes_of(found: Steps[Any]) -> list[tuple[int, Any]]:
    """In minutes from the start."""
    return [((at - START) // MINUTE, value) for at, value in found.changes]


def minutes(*at: int) -> list[tuple[int, bytes]]:
    return [(START + each * MINUTE, ADA) for each in at]


@pytest.mark.parametrize(
    ("events", "test", "observed", "expected"),
    [
        ((0, 120, 150), "at least 1h", None, [(0, False), (60, True), (120, False), (210, True)]),
        ((0, 60), "at least 1h", None, [(0, False), (120, True)]),
        ((0, 61), "at least 1h", None, [(0, False), (60, True), (61, False), (121, True)]),
        ((150, 0, 120), "at least 1h", None, [(0, False), (60, True), (120, False), (210, True)]),
        (
            (0, 20, 40),
            "at least 15m",
            None,
            [(0, False), (15, True), (20, False), (35, True), (40, False), (55, True)],
        ),
        ((0,), "at most 1h", None, [(0, True), (61, False)]),
        ((0,), "at most 0s", None, [(0, True), (1, False)]),
        ((0,), "between 1h and 2h", None, [(0, False), (60, True), (121, False)]),
        ((), "at least 1h", 0, [(60, True)]),
        ((), "at least 1h", None, []),
        ((30,), "at least 1h", 0, [(30, False), (90, True)]),
        ((60,), "at least 1h", 0, [(60, False), (120, True)]),
        ((180,), "at least 1h", 0, [(60, True), (180, False), (240, True)]),
        ((), "at least 0s", 0, [(0, True)]),
        ((), "between 1h and 2h", 0, [(121, False)]),
        ((), "is known", 0, []),
        ((30,), "is known", 0, [(30, True)]),
    ],
)
def test_the_time_since_counts_from_each_event_until_the_next(
    events: tuple[int, ...], test: str, observed: int | None, expected: list[tuple[int, bool]]
):
    """Before the first it is as long as somebody has looked, once that alone says it."""
    made = facts({QUIET.signal.id: minutes(*events)})
    # The microsecond in which `at most` and `between` end is rounded up to its minute.
    found = since_truth(QUIET, parse_elapsed(test), made, None if observed is None else START + observed * MINUTE)

    assert expected == [(-((START - at) // MINUTE), value) for at, value in found.changes]
    assert (False if test == "is known" else None) is found.initial


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        ((0,), (60,), [(60, 1)]),
        ((0,), (61,), []),
        ((10,), (10,), [(10, 1)]),
        ((11,), (10,), []),
        ((50, 0), (55, 60), [(55, 1), (60, 2)]),
        ((100, 0), (50,), [(50, 1)]),
        ((0, 100), (61, 99, 160), [(160, 1)]),
        ((), (10,), []),
    ],
)
def test_a_sequence_is_a_second_step_close_enough_behind_a_first(
    first: tuple[int, ...], then: tuple[int, ...], expected: list[tuple[int, int]]
):
    """Up to its distance, inclusive; the same instant is close enough."""
    sequence = d.Sequence("bought soon", TRIED, BOUGHT, HOUR, d.Ever())

    assert expected == changes_of(values(sequence, facts({TRIED.id: minutes(*first), BOUGHT.id: minutes(*then)})))


@pytest.mark.parametrize(
    ("above", "below", "expected"),
    [
        (3, 4, Decimal("0.75")),
        (0, 4, Decimal(0)),
        (3, 0, None),
        (None, 4, None),
        (3, None, None),
        ("3", "4", Decimal("0.75")),
    ],
)
def test_a_ratio_is_unknown_while_a_part_of_it_is(above: Any, below: Any, expected: Decimal | None):
    """And of nothing there is no share."""
    ratio = d.Ratio("load", USED, d.NamedTrait("seats", SEATS))

    assert Steps(expected) == values(ratio, facts({}, {USED: above, SEATS: below}))


def test_the_score_is_worth_what_it_is():
    """For conditions that ask for it."""
    assert Steps(Decimal(3)) == values(d.ScorePoints(), facts({}), Steps(Decimal(3)))


@pytest.mark.parametrize(
    ("said", "zone"),
    [
        (Steps(None), None),
        (Steps("Europe/Berlin"), "Europe/Berlin"),
        (Steps(None, ((1, "Asia/Tokyo"), (2, "Europe/Berlin"), (3, "America/New_York"))), "America/New_York"),
        (Steps("Europe/Berlin", ((1, "Nowhere"),)), None),
        (Steps("Europe/Berlin", ((1, 3),)), None),
    ],
)
def test_an_accounts_zone_is_the_latest_word(said: Steps[Any], zone: str | None):
    """If that names one."""
    made = EntityFacts(kind="account", instants=lambda _, __: (), traits={d.ZONE: said})

    assert (zone, said.changes[-1][1] if said.changes else said.initial) == (made.zone, made.said_zone)


def members(**how: Any) -> d.Members:
    return d.Members("active", d.Use("tried", TRIED, d.Ever()), parse_comparator("at least 2"), **how)


SEEN = [(START + at * MINUTE, who) for at, who in ((1, ADA), (2, BEN), (3, BEN), (4, ADA), (5, CLEO), (6, ADA))]


def test_members_are_people_of_whom_each_has_enough():
    """Each from the instant at which they do; events of others do not help."""
    assert Steps(0, ((START + 3 * MINUTE, 1), (START + 4 * MINUTE, 2))) == values(members(), facts({TRIED.id: SEEN}))
    assert Steps(0) == values(members(), facts({}))


def test_members_have_the_right_traits_all_of_them():
    """What is not known of a person is not right."""
    roles = {ADA: "owner", BEN: "admin", CLEO: "owner"}
    right = ((ROLE, parse_comparator("admin")),)
    both = (*right, (d.Trait("user", "team"), parse_comparator("is known")))

    assert [(3, 1)] == changes_of(values(members(where=right), facts({TRIED.id: SEEN}, roles=roles)))
    assert [] == changes_of(values(members(where=both), facts({TRIED.id: SEEN}, roles=roles)))
    assert [] == changes_of(values(members(where=right), facts({TRIED.id: SEEN})))


def test_who_lacks_enough_may_be_what_is_asked_for():
    """Those who did anything at all are asked; nobody else is a member."""
    few = d.Members("new", d.Use("tried", TRIED, d.Ever()), parse_comparator("at most 1"))
    found = values(few, facts({TRIED.id: SEEN}))

    assert (3, 1) == (found.initial, found.at(START + DAY))


def score(*items: d.Points) -> d.Score:
    return d.Score(items, Decimal(10), Decimal(10))


EACH = d.Use("tried", TRIED, d.Ever())


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (d.Points(Decimal(4), each=EACH), [(1, 4), (2, 8), (3, 12)]),
        (d.Points(Decimal("0.5"), each=EACH), [(1, Decimal("0.5")), (2, 1), (3, Decimal("1.5"))]),
        (d.Points(Decimal(4), each=EACH, cap=Decimal(10)), [(1, 4), (2, 8), (3, 10)]),
        (d.Points(Decimal(4), each=EACH, cap=Decimal(0)), []),
        (d.Points(Decimal(-4), each=EACH, cap=Decimal(-6)), [(1, -4), (2, -6)]),
        (d.Points(Decimal(7), when=d.Criterion(EACH, parse_comparator("at least 2"))), [(2, 7)]),
    ],
)
def test_points_are_given_for_each_up_to_a_cap_or_once(item: d.Points, expected: list[tuple[int, Any]]):
    """A cap bounds from above what is given, from below what is taken."""
    truth = Steps(None, ((START + 2 * MINUTE, True),))
    found = score_values(score(item), facts({TRIED.id: minutes(1, 2, 3)}), lambda _: truth)

    assert Decimal(0) == found.initial
    assert expected == changes_of(found)


def test_a_score_is_the_sum_of_its_items():
    """And nothing without any."""
    items = (d.Points(Decimal(4), each=EACH), d.Points(Decimal(-1), each=EACH))

    assert [(1, 3), (2, 6)] == changes_of(
        score_values(score(*items), facts({TRIED.id: minutes(1, 2)}), lambda _: Steps(None))
    )
    assert Steps(Decimal(0)) == score_values(score(), facts({}), lambda _: Steps(None))


@pytest.mark.parametrize(("half_life", "unit"), [(2 * DAY, DAY), (2 * DAY - HOUR, HOUR), (DAY, HOUR)])
def test_points_halve_in_their_half_life(half_life: int, unit: int):
    """By the day, or by the hour where it is shorter than two days; each event from its own instant on."""
    item = d.Points(Decimal(8), each=EACH, half_life=half_life)
    found = score_values(score(item), facts({TRIED.id: minutes(0)}), lambda _: Steps(None))

    assert [8, 4, 2, 1] == [found.at(START + age * half_life) for age in range(4)]
    assert 8 == found.at(START + unit - 1)
    assert 8 > found.at(START + unit) > 4
    assert 0 == found.at(START + 200 * half_life)


def test_points_that_decay_end_with_their_window():
    """What is left of them goes at once."""
    week = d.Use("tried", TRIED, d.Rolling(7 * DAY))
    item = d.Points(Decimal(8), each=week, half_life=7 * DAY)
    found = score_values(score(item), facts({TRIED.id: minutes(0)}), lambda _: Steps(None))

    assert found.at(START + 7 * DAY - 1) > 4
    assert (START + 7 * DAY, Decimal(0)) == found.changes[-1]


def of_values(signal: d.Signal, *seen: tuple[int, str]) -> EntityFacts:
    found = [Occurrence(START + at * MINUTE, b"%d" % at, ADA, value) for at, value in seen]
    return EntityFacts(kind="account", instants=lambda _, __: (), occurrences=lambda _: found)


@pytest.mark.parametrize(
    ("window", "half_life", "expected"),
    [
        (d.Ever(), None, [(0, 8), (30, 16)]),
        (d.Rolling(2 * HOUR), None, [(0, 8), (30, 16), (150, 8), (190, 0)]),
        # Of two that are present, the one that came first is the first to go.
        (d.Rolling(2 * HOUR), HOUR, [(0, 8), (30, 16), (60, 12), (90, 8), (120, 6), (150, 2), (190, 0)]),
    ],
)
def test_a_value_gives_points_once_for_as_long_as_it_is_present(
    window: d.Window, half_life: int | None, expected: list[tuple[int, int]]
):
    """However often it is seen meanwhile."""
    signal = d.Signal("account", "distinct", d.Matcher(("Tried",)), "of")
    item = d.Points(Decimal(8), each=d.Use("kinds", signal, window), half_life=half_life)
    found = score_values(score(item), of_values(signal, (0, "x"), (30, "y"), (70, "x")), lambda _: Steps(None))

    assert expected == changes_of(found)


def test_points_that_do_not_decay_end_with_their_window():
    """Each event's with its own."""
    item = d.Points(Decimal(4), each=d.Use("tried", TRIED, d.Rolling(HOUR)))
    found = score_values(score(item), facts({TRIED.id: minutes(0, 30)}), lambda _: Steps(None))

    assert [(0, 4), (30, 8), (60, 4), (90, 0)] == changes_of(found)


@pytest.mark.parametrize(
    ("window", "half_life", "expected"),
    [
        (d.Ever(), None, [(30, 4), (90, 8)]),
        (d.Rolling(2 * HOUR), None, [(30, 4), (90, 8), (150, 4), (210, 0)]),
        (d.Rolling(2 * HOUR), HOUR, [(30, 4), (90, 6), (150, 2), (210, 0)]),
    ],
)
def test_a_sequence_gives_points_for_each_time_that_it_was_completed(
    window: d.Window, half_life: int | None, expected: list[tuple[int, int]]
):
    """From its second step on; a second step that no first one preceded gives none."""
    item = d.Points(Decimal(4), each=d.Sequence("sold", TRIED, BOUGHT, HOUR, window), half_life=half_life)
    told = facts({TRIED.id: minutes(0, 60), BOUGHT.id: minutes(-1, 30, 90, 200)})

    assert expected == changes_of(score_values(score(item), told, lambda _: Steps(None)))


def test_the_time_since_has_no_value_that_steps():
    """It grows at every instant, so that only its truth can be told over time; see `since_truth`."""
    assert Steps(None) == values(QUIET, facts({TRIED.id: minutes(0, 30)}))
