"""Two versions of a definition, joined at an instant."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay_collector.pql.continuity import splice
from assay_collector.pql.lifecycle import ENDS, Moment

AT = 100


@st.composite
def courses(draw: st.DrawFn) -> list[Moment]:
    """Episodes one after the other, the last of them open or over, with rungs in some."""
    instants = sorted(draw(st.sets(st.integers(90, 110), max_size=9)))
    moments: list[Moment] = []
    for number, at in enumerate(instants):
        step = "qualified" if number % 2 == 0 else draw(st.sampled_from(ENDS))
        moments.append(Moment(number // 2 + 1, step, at))
        if step == "qualified" and draw(st.booleans()):
            end = instants[number + 1] if number + 1 < len(instants) else 111
            moments.append(Moment(number // 2 + 1, "stage:high", draw(st.integers(at, end - 1))))
    return sorted(moments, key=lambda moment: (moment.at, moment.episode))


def qualified_at(moments: list[Moment], at: int) -> bool:
    """An end at an instant has ended it."""
    begun = {moment.episode for moment in moments if moment.step == "qualified" and moment.at <= at}
    return bool(begun - {moment.episode for moment in moments if moment.step in ENDS and moment.at <= at})


@given(courses())
def test_a_version_spliced_onto_itself_is_itself(course):
    """So activating the same meaning again changes nothing."""
    assert course == splice(course, course, AT)


@given(courses(), courses(), st.integers(88, 112))
def test_before_the_elder_speaks_and_from_then_on_the_younger(elder, younger, instant):
    """Who is qualified at an instant is who was under the version in force."""
    speaks = elder if instant < AT else younger

    assert qualified_at(speaks, instant) == qualified_at(splice(elder, younger, AT), instant)


@given(courses(), courses())
def test_the_joined_course_is_a_course(elder, younger):
    """Steps alternate, episodes count up and do not overlap, and each step of an episode comes once."""
    joined = splice(elder, younger, AT)
    steps = [moment for moment in joined if not moment.step.startswith("stage:")]

    assert [number // 2 + 1 for number in range(len(steps))] == [moment.episode for moment in steps]
    assert all((one.step == "qualified") != (other.step == "qualified") for one, other in pairwise(steps))
    assert len({(moment.episode, moment.step) for moment in joined}) == len(joined)
    assert joined == sorted(joined, key=lambda moment: (moment.at, moment.episode))


def test_who_is_qualified_under_both_goes_on_in_the_same_episode():
    """And ends as the younger says."""
    elder = [Moment(1, "qualified", 90), Moment(1, "exited", 120)]
    younger = [Moment(1, "qualified", 80), Moment(1, "expired", 110)]

    assert [Moment(1, "qualified", 90), Moment(1, "expired", 110)] == splice(elder, younger, AT)


def test_who_is_qualified_under_the_younger_alone_begins_when_it_takes_over():
    """Not before: what the elder said of the time before stands."""
    elder = [Moment(1, "qualified", 50), Moment(1, "exited", 60)]
    younger = [Moment(1, "qualified", 80)]

    assert [*elder, Moment(2, "qualified", AT)] == splice(elder, younger, AT)


def test_who_is_qualified_under_the_elder_alone_exits_then():
    """Also when the younger knew it once."""
    younger = [Moment(1, "qualified", 10), Moment(1, "exited", 20)]

    assert [Moment(1, "qualified", 50), Moment(1, "exited", AT)] == splice([Moment(1, "qualified", 50)], younger, AT)


@pytest.mark.parametrize(
    ("elder", "younger", "expected"),
    [
        pytest.param(
            [(1, "qualified", 50), (1, "exited", AT)], [(1, "qualified", 80)], [(1, "qualified", 50)], id="elder ends"
        ),
        pytest.param([(1, "qualified", 50)], [(1, "qualified", AT)], [(1, "qualified", 50)], id="younger begins"),
        pytest.param([], [(1, "qualified", 80), (1, "exited", AT)], [], id="younger ends, and elder never began"),
        pytest.param(
            [(1, "qualified", 50)],
            [(1, "qualified", 80), (1, "expired", AT)],
            [(1, "qualified", 50), (1, "expired", AT)],
            id="younger ends what is open",
        ),
        pytest.param(
            [(1, "qualified", 50)],
            [(1, "qualified", 10), (1, "expired", 20)],
            [(1, "qualified", 50), (1, "exited", AT)],
            id="what ended long ago ends nothing",
        ),
    ],
)
def test_what_happens_at_the_very_instant_is_the_youngers(elder, younger, expected):
    """The elder speaks of the time before it; an end that the younger sets then is an end of what is open."""
    spliced = splice([Moment(*each) for each in elder], [Moment(*each) for each in younger], AT)

    assert [Moment(*each) for each in expected] == spliced
