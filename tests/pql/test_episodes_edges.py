"""Episodes where several ends, marks and exits meet."""

from decimal import Decimal
from typing import Any

import pytest

from assay_collector.pql.lifecycle import Course, Obstacle, obstacles, walk
from assay_collector.pql.steps import Steps


def truth(*spells: tuple[int, int | None]) -> Steps[Any]:
    """True within these spells, an open one to the end of time."""
    return Steps.of(
        False, [(at, value) for start, end in spells for at, value in ((start, True), (end, False)) if at is not None]
    )


def steps_of(may_begin: Steps[Any], **how: Any) -> list[tuple[int, str, int]]:
    ends = may_begin.map(lambda value: value is not True)
    made = Course(**{"may_begin": may_begin, "must_end": ends, **how})
    return [(moment.episode, moment.step, moment.at) for moment in walk(made, 1_000)]


@pytest.mark.parametrize(
    ("converted", "exit", "expire", "expected"),
    [
        ([30], 20, 40, ("exited", 20)),
        ([30], 40, 10, ("expired", 20)),
        ([15], 20, 10, ("converted", 15)),
        ([20], 20, 10, ("converted", 20)),
        ([30], 20, 10, ("exited", 20)),
        ([5, 10], 20, 30, ("converted", 10)),
        ([9], 20, 30, ("exited", 20)),
    ],
)
def test_the_earliest_end_is_the_end(converted: list[int], exit: int, expire: int, expected: tuple[str, int]):
    """Whichever it is; at one instant the better one, and a conversion at the instant of the beginning counts."""
    found = steps_of(truth((10, exit)), converted_at=converted, expire=expire)

    assert [(1, "qualified", 10), (1, *expected)] == found


def test_what_begins_anew_after_the_exit_is_free_of_it():
    """Where the condition had lapsed at the exit, and where it lapses later, whatever must_end says from then on."""
    assert [(1, "qualified", 10), (1, "exited", 20), (2, "qualified", 25)] == steps_of(
        truth((10, 20), (25, 40)), must_end=truth((20, 60)), requalify_after=0
    )
    assert [(1, "qualified", 10), (1, "exited", 20), (2, "qualified", 52)] == steps_of(
        truth((10, 30), (52, None)), must_end=truth((20, 35), (50, 60)), requalify_after=0
    )


def test_a_lapse_before_the_exit_frees_nobody_of_it():
    """Who still holds waits until what ended it is over, and holds out anew from there."""
    assert [(1, "qualified", 13), (1, "exited", 20), (2, "qualified", 43)] == steps_of(
        truth((2, 4), (10, None)), must_end=truth((20, 40)), requalify_after=0, hold=3
    )


def test_a_mark_is_the_peak_within_its_own_episode():
    """Neither of what came between the episodes, nor of the instant of the end; and the greatest, not the least."""
    users = Steps(0, ((10, 20), (15, 12), (20, 100), (24, 20), (28, 31), (35, 33), (40, 32), (70, 49), (80, 50)))
    may_begin = truth((10, 20), (27, 60), (65, None))
    begins = [
        at
        for _, step, at in steps_of(may_begin, requalify_after=1, beyond=((users, Decimal("1.5")),))
        if step == "qualified"
    ]

    assert [10, 28, 80] == begins


def test_the_mark_that_stands_in_the_way_is_that_of_the_last_episode():
    """Not of what was reached between the episodes."""
    users = Steps(0, ((10, 20), (20, 100), (24, 31), (60, 5)))
    may_begin = truth((10, 20), (25, 60), (65, None))
    made = Course(
        may_begin=may_begin,
        must_end=may_begin.map(lambda value: value is not True),
        requalify_after=1,
        beyond=((users, Decimal("1.5")),),
    )

    assert [Obstacle("beyond", mark=0, least=Decimal("46.5"))] == obstacles(made, walk(made, 70), 70)


def test_the_obstacles_of_an_open_episode_are_none():
    """Though the mark of the one before is not passed any more."""
    users = Steps(0, ((10, 20), (50, 30), (55, 5)))
    may_begin = truth((10, 20), (30, None))
    made = Course(
        may_begin=may_begin,
        must_end=may_begin.map(lambda value: value is not True),
        requalify_after=1,
        beyond=((users, Decimal("1.5")),),
    )

    assert [Obstacle("beyond", mark=0, least=Decimal("30.0"))] == obstacles(made, walk(made, 49)[:2], 49)
    assert [] == obstacles(made, walk(made, 56), 56)
