"""Step functions of time."""

from hypothesis import given
from hypothesis import strategies as st

from assay_collector.pql.steps import Steps, combine

VALUES = st.sampled_from([None, True, False, 1])
CHANGES = st.lists(st.tuples(st.integers(0, 8), VALUES), max_size=8)
FUNCTIONS = st.builds(Steps.of, VALUES, CHANGES)
EVERY_INSTANT = range(-1, 10)


def naive(initial: object, changes: list[tuple[int, object]], instant: int) -> object:
    value = initial
    for at in EVERY_INSTANT:
        for when, changed in changes:
            if when == at <= instant:
                value = changed
    return value


@given(VALUES, CHANGES)
def test_the_last_change_up_to_an_instant_is_the_value(initial: object, changes: list[tuple[int, object]]):
    """Changes may come in any order of time; of several at one instant the last of the list counts."""
    steps = Steps.of(initial, changes)

    assert [naive(initial, changes, at) for at in EVERY_INSTANT] == [steps.at(at) for at in EVERY_INSTANT]


@given(FUNCTIONS)
def test_equal_functions_are_equal_values(steps: Steps[object]):
    """No change repeats the value before it, and instants ascend."""
    again = Steps.of(steps.initial, [(at, steps.at(at)) for at in EVERY_INSTANT])

    assert steps == again
    assert sorted({at for at, _ in steps.changes}) == [at for at, _ in steps.changes]


def test_true_is_not_one():
    """A truth and a number that Python takes for equal are two values."""
    assert ((1, True), (2, 1)) == Steps.of(None, [(1, True), (2, 1)]).changes


@given(FUNCTIONS, st.integers(-1, 9))
def test_the_next_change_is_the_first_instant_with_another_value(steps: Steps[object], after: int):
    """None once nothing changes any more."""
    later = [at for at in range(after + 1, 10) if repr(steps.at(at)) != repr(steps.at(at - 1))]

    assert (later[0] if later else None) == steps.next_change(after)


@given(FUNCTIONS)
def test_map_applies_at_every_instant(steps: Steps[object]):
    """Changes that the function does not see are gone."""
    mapped = steps.map(lambda value: value is True)

    assert [steps.at(at) is True for at in EVERY_INSTANT] == [mapped.at(at) for at in EVERY_INSTANT]


@given(st.lists(FUNCTIONS, max_size=4))
def test_combine_applies_to_all_values_at_once(parts: list[Steps[object]]):
    """Changes of several parts at one instant are one change."""
    combined = combine(tuple, parts)

    assert [tuple(part.at(at) for part in parts) for at in EVERY_INSTANT] == [combined.at(at) for at in EVERY_INSTANT]
