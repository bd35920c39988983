"""Episodes: how they begin, end, and begin again."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from assay_collector.pql.lifecycle import ENDS, Course, Moment, walk
from assay_collector.pql.steps import Steps

NEVER = Steps(False)


def truth(*spells: tuple[int, int | None]) -> Steps:
    """True within these spells, an open one to the end of time."""
    return Steps.of(
        False, [(at, value) for start, end in spells for at, value in ((start, True), (end, False)) if at is not None]
    )


def opposite(steps: Steps) -> Steps:
    return steps.map(lambda value: value is not True)


def course(may_begin: Steps, **how) -> Course:
    return Course(**{"may_begin": may_begin, "must_end": opposite(may_begin), **how})


def steps_of(made: Course) -> list[tuple[int, str, int]]:
    return [(moment.episode, moment.step, moment.at) for moment in walk(made, 1_000)]


def test_it_begins_and_ends_with_the_condition():
    """Without a lifecycle an episode lasts as long as the condition, and does not come again."""
    assert [(1, "qualified", 10), (1, "exited", 20)] == steps_of(course(truth((10, 20), (30, None))))


def test_what_has_always_held_has_no_beginning():
    """A condition that was never false marks no moment."""
    assert [] == steps_of(course(Steps(True)))


def test_hold_asks_for_an_unbroken_stretch():
    """A spell shorter than the hold counts for nothing; a longer one begins when the hold is over."""
    assert [(1, "qualified", 35)] == steps_of(course(truth((10, 14), (30, None)), hold=5))


def test_a_spell_as_long_as_the_hold_is_too_short():
    """What ends at the very instant at which the hold would be over did not hold."""
    assert [] == steps_of(course(truth((10, 15)), hold=5))


def test_expiry_ends_what_still_holds():
    """An episode runs out although the condition holds."""
    assert [(1, "qualified", 10), (1, "expired", 24)] == steps_of(course(truth((10, None)), expire=14))


def test_conversion_beats_exit_at_one_instant():
    """Who converts at the instant of leaving has converted."""
    made = course(truth((10, 20)), converted_at=[5, 20], expire=10)

    assert [(1, "qualified", 10), (1, "converted", 20)] == steps_of(made)


def test_an_exit_of_its_own_waits_until_it_becomes_true():
    """Whoever qualifies although the exit condition holds stays until it becomes true anew."""
    made = course(truth((10, None)), must_end=truth((0, 30), (40, None)))

    assert [(1, "qualified", 10), (1, "exited", 40)] == steps_of(made)


def test_requalifying_waits_for_the_cool_down():
    """The next episode begins when the cool-down is over, if the condition holds then."""
    made = course(truth((10, 20), (25, None)), requalify_after=30)

    assert [(1, "qualified", 10), (1, "exited", 20), (2, "qualified", 50)] == steps_of(made)


def test_requalifying_may_ask_for_more_than_last_time():
    """Beyond 150 % of the last episode's peak, and not one less."""
    users = Steps(0, ((10, 20), (40, 29), (50, 30)))
    made = course(truth((10, 20), (30, None)), requalify_after=1, beyond=((users, Decimal("1.5")),))

    assert [(1, "qualified", 10), (1, "exited", 20), (2, "qualified", 50)] == steps_of(made)


def test_who_always_runs_out_and_may_always_begin_again_does_not_go_on_forever():
    """Episodes are told up to the moment asked for, and the next step after it."""
    made = course(truth((10, None)), expire=10, requalify_after=0)

    assert walk(made, 1_000)[-1].at > 1_000 >= walk(made, 1_000)[-2].at


SPELLS = (
    st.lists(st.integers(0, 60), max_size=8, unique=True)
    .map(sorted)
    .map(lambda found: [(found[i], found[i + 1] if i + 1 < len(found) else None) for i in range(0, len(found), 2)])
)


@given(
    SPELLS,
    SPELLS,
    st.lists(st.integers(0, 80), max_size=3).map(sorted),
    st.integers(0, 5),
    st.none() | st.integers(1, 20),
    st.none() | st.integers(0, 20),
)
def test_kinds_alternate_and_episodes_do_not_overlap(may_begin, must_end, converted, hold, expire, requalify):
    """Each episode begins once, ends at most once and later, and the next waits for the cool-down."""
    found = walk(
        Course(
            may_begin=truth(*may_begin),
            must_end=truth(*must_end),
            converted_at=converted,
            hold=hold,
            expire=expire,
            requalify_after=requalify,
        ),
        200,
    )
    begins = [moment for moment in found if moment.step == "qualified"]
    ends = [moment for moment in found if moment.step in ENDS]

    assert [moment.episode for moment in begins] == list(range(1, len(begins) + 1))
    assert len(ends) in (len(begins), len(begins) - 1)
    assert all(isinstance(moment, Moment) for moment in found)
    for begin, end in zip(begins, ends, strict=False):
        assert begin.at < end.at or (end.step == "converted" and begin.at == end.at)
    for end, following in zip(ends, begins[1:], strict=False):
        assert requalify is not None
        assert following.at >= end.at + max(requalify, 1)


def test_an_exit_is_not_undone_by_what_it_ended():
    """Who still holds from before begins again only once the exit condition no longer holds, however short the wait."""
    made = course(truth((10, None)), must_end=truth((20, 40), (50, None)), requalify_after=0)

    assert [(1, "qualified", 10), (1, "exited", 20), (2, "qualified", 40), (2, "exited", 50)] == steps_of(made)


def test_who_qualifies_anew_does_so_in_spite_of_the_exit_condition():
    """As they could the first time."""
    made = course(truth((10, 30), (40, None)), must_end=truth((20, None)), requalify_after=0)

    assert [(1, "qualified", 10), (1, "exited", 20), (2, "qualified", 40)] == steps_of(made)


def test_after_an_expiry_the_exit_condition_does_not_matter():
    """Nor does the hold begin again, for what never ceased to hold."""
    made = course(truth((10, None)), must_end=Steps(True), hold=5, expire=100, requalify_after=0)

    assert [(1, "qualified", 15), (1, "expired", 115), (2, "qualified", 116)] == steps_of(made)[:3]
