"""What an entity waits for between its episodes, and what stands in its way although its conditions hold."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay_collector.pql.lifecycle import ENDS, Course, Moment, Obstacle, held, obstacles, walk
from assay_collector.pql.steps import Steps

# Twenty people at the peak of the first episode, thirty at that of the second, and forty-five from 90 on.
USERS = Steps(0, ((10, 20), (40, 29), (50, 30), (90, 45)))
BY_HALF = ((USERS, Decimal("1.5")),)
ONCE = Obstacle("once", since=20)


def truth(*spells: tuple[int, int | None]) -> Steps[Any]:
    """True within these spells, an open one to the end of time."""
    return Steps.of(
        False, [(at, value) for start, end in spells for at, value in ((start, True), (end, False)) if at is not None]
    )


def course(may_begin: Steps[Any], **how: Any) -> Course:
    ends = may_begin.map(lambda value: value is not True)
    return Course(**{"may_begin": may_begin, "must_end": ends, **how})


def found(made: Course, at: int) -> list[Obstacle]:
    """The obstacles at an instant, after all that happened up to it."""
    return obstacles(made, [moment for moment in walk(made, at) if moment.at <= at], at)


def test_walking_stops_behind_the_instant_asked_for():
    """The next step still to come is told, and not what would follow from it."""
    made = course(truth((10, 20), (25, None)), requalify_after=30)

    assert [Moment(1, "qualified", 10)] == walk(made, 5)
    assert [Moment(1, "qualified", 10), Moment(1, "exited", 20)] == walk(made, 19)
    assert [Moment(1, "qualified", 10), Moment(1, "exited", 20), Moment(2, "qualified", 50)] == walk(made, 20)


@pytest.mark.parametrize(
    ("made", "at", "expected"),
    [
        pytest.param(course(truth((30, None)), hold=5), 29, None, id="it does not hold yet"),
        pytest.param(course(truth((30, None)), hold=5), 30, (30, 35), id="it has just come to hold"),
        pytest.param(course(truth((30, None)), hold=5), 34, (30, 35), id="it has nearly held for long enough"),
        pytest.param(course(truth((30, None)), hold=5), 35, None, id="it has held for long enough"),
        pytest.param(course(truth((10, 14), (30, None)), hold=5), 12, None, id="it will not hold for long enough"),
        pytest.param(course(truth((10, 20), (25, None)), hold=5, requalify_after=60), 26, None, id="cool-down only"),
        pytest.param(
            course(truth((10, 20), (30, None)), hold=5, requalify_after=1, beyond=BY_HALF), 52, (50, 55), id="its mark"
        ),
        pytest.param(
            course(truth((10, 20), (30, None)), hold=5, requalify_after=1, beyond=BY_HALF), 32, None, id="not its mark"
        ),
    ],
)
def test_what_holds_already_is_waited_for(made: Course, at: int, expected: tuple[int, int] | None):
    """Since when it has held, and until when it has to; nothing, if that is not what is being waited for."""
    assert expected == held(made, walk(made, at), at)


@pytest.mark.parametrize(
    ("made", "at", "expected"),
    [
        pytest.param(course(truth((30, None))), 20, [], id="the condition itself is missing"),
        pytest.param(course(truth((10, None))), 15, [], id="an episode is open"),
        pytest.param(course(Steps(True)), 15, [Obstacle("always")], id="it has always held"),
        pytest.param(course(truth((10, 20), (30, None)), hold=2), 20, [ONCE], id="it ended this instant"),
        pytest.param(course(truth((10, 18), (30, None)), hold=5), 31, [Obstacle("once", since=18)], id="once is all"),
    ],
)
def test_an_episode_begins_once_and_not_from_the_beginning(made: Course, at: int, expected: list[Obstacle]):
    """Nothing stands in the way where the condition is missing, or an episode is open already."""
    assert expected == found(made, at)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (29, []),
        (30, [Obstacle("hold", since=30, until=35)]),
        (34, [Obstacle("hold", since=30, until=35)]),
        (35, []),
        (12, [Obstacle("hold", since=10, until=15)]),
        (14, []),
    ],
)
def test_a_hold_stands_in_the_way_until_it_is_over(at: int, expected: list[Obstacle]):
    """Of the stretch of this instant, and none once that has ended."""
    assert expected == obstacles(course(truth((10, 14), (30, None)), hold=5), [], at)


@pytest.mark.parametrize(
    ("requalify", "at", "expected"),
    [
        (30, 20, [Obstacle("cool-down", since=20, until=50)]),
        (30, 49, [Obstacle("cool-down", since=20, until=50)]),
        (30, 50, []),
        (0, 20, [Obstacle("cool-down", since=20, until=21)]),
        (0, 21, []),
    ],
)
def test_a_cool_down_stands_in_the_way_until_it_is_over(requalify: int, at: int, expected: list[Obstacle]):
    """At least for the instant at which the last episode ended."""
    assert expected == found(course(truth((10, 20)), requalify_after=requalify), at)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (40, [Obstacle("beyond", mark=0, least=Decimal("30.0"))]),
        (49, [Obstacle("beyond", mark=0, least=Decimal("30.0"))]),
        (50, []),
        (75, [Obstacle("beyond", mark=0, least=Decimal("45.0"))]),
        (90, []),
    ],
)
def test_a_mark_stands_in_the_way_until_it_is_surpassed(at: int, expected: list[Obstacle]):
    """It is that of the episode before, whatever those before that one were."""
    made = course(truth((10, 20), (30, 60), (70, None)), requalify_after=1, beyond=BY_HALF)

    assert expected == found(made, at)


def test_each_mark_is_named_by_its_place_and_an_unknown_one_asks_for_nothing():
    """What was never known in the last episode cannot be surpassed; what is unknown now surpasses nothing."""
    unknown, gone = Steps(None), Steps(0, ((10, 20), (30, None)))
    beyond = ((unknown, Decimal(2)), (USERS, Decimal(1)), (gone, Decimal(1)))
    made = course(truth((10, 20), (30, None)), requalify_after=1, beyond=beyond)

    assert [Obstacle("beyond", mark=2, least=Decimal(20))] == found(made, 40)


def test_the_hold_after_a_mark_begins_with_the_mark():
    """Not with the condition, which held before."""
    made = course(truth((10, 18), (30, None)), hold=5, requalify_after=1, beyond=BY_HALF)

    assert [Obstacle("hold", since=50, until=55)] == found(made, 52)


def test_an_exit_stands_in_the_way_while_what_ended_it_holds():
    """Of who still holds from before; not of who has come to hold anew, nor after an expiry."""
    holds_on = course(truth((10, None)), must_end=truth((20, 40)), requalify_after=0)
    anew = course(truth((10, 22), (25, None)), must_end=truth((20, 40)), requalify_after=0, hold=5)
    expired = course(truth((10, None)), must_end=truth((15, 40)), requalify_after=0, expire=5, hold=5)

    assert [Obstacle("exit")] == found(holds_on, 30)
    assert [] == found(holds_on, 40)
    assert [Obstacle("hold", since=25, until=30)] == found(anew, 26)
    assert [Obstacle("cool-down", since=20, until=21)] == found(expired, 20)


def test_what_held_before_its_exit_was_lifted_begins_with_that():
    """The hold, too, is counted from when nothing stands in its way any more."""
    made = course(truth((10, None)), must_end=truth((20, 40)), requalify_after=0, hold=5)

    assert [Obstacle("exit")] == found(made, 39)
    assert [Obstacle("hold", since=40, until=45)] == found(made, 41)


SPELLS = (
    st.lists(st.integers(0, 60), max_size=8, unique=True)
    .map(sorted)
    .map(lambda ends: [(ends[i], ends[i + 1] if i + 1 < len(ends) else None) for i in range(0, len(ends), 2)])
)


@given(
    SPELLS,
    SPELLS,
    st.integers(0, 5),
    st.none() | st.integers(1, 20),
    st.none() | st.integers(0, 20),
    st.sampled_from([(), BY_HALF]),
    st.integers(0, 90),
)
def test_whoever_holds_is_in_an_episode_or_has_an_obstacle(may_begin, must_end, hold, expire, requalify, beyond, at):
    """There is no third; and what is in an episode has none."""
    made = Course(
        may_begin=truth(*may_begin),
        must_end=truth(*must_end),
        hold=hold,
        expire=expire,
        requalify_after=requalify,
        beyond=beyond,
    )
    happened = [moment for moment in walk(made, at) if moment.at <= at]
    is_open = bool(happened) and happened[-1].step not in ENDS
    in_the_way = obstacles(made, happened, at)

    assert not (is_open and in_the_way)
    assert is_open or bool(in_the_way) or made.may_begin.at(at) is not True
