"""Spans of time against the plain reading: is this instant in one of them?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.contract.times import INSTANT_MAX, INSTANT_MIN
from assay_collector.identity.spans import ALWAYS, Spans, before, both, contains, covers, misses

spans = st.lists(st.integers(0, 11), unique=True, max_size=6).map(
    lambda edges: tuple(zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False))
)
instants = st.integers(0, 11)


def within(found: Spans) -> set[int]:
    """The oracle: every instant that lies in one."""
    return {at for start, end in found for at in range(start, end)}


def is_in_order(found: Spans) -> bool:
    edges = [edge for span in found for edge in span]
    return edges == sorted(edges) and all(start < end for start, end in found)


@given(spans, instants)
def test_a_span_holds_its_first_instant_and_not_its_last(held, at):
    """Half-open, so that two which meet do not overlap."""
    assert (at in within(held)) == contains(held, at)


@given(spans, instants, instants)
def test_two_instants_and_all_between_are_covered_or_missed(held, one, other):
    """All of them within one span; none of them within any."""
    between = set(range(min(one, other), max(one, other) + 1))

    assert (between <= within(held)) == covers(held, min(between), max(between))
    assert (not between & within(held)) == misses(held, min(between), max(between))


@given(spans, spans)
def test_both_is_what_lies_in_the_one_and_in_the_other(one, other):
    """In order, without empty ones, whichever is named first."""
    assert within(one) & within(other) == within(both(one, other))
    assert both(one, other) == both(other, one)
    assert is_in_order(both(one, other))


@given(spans, st.none() | st.integers(-1, 13))
def test_before_an_instant_is_what_came_before_it(held, at):
    """Without an instant nothing is cut off."""
    assert {each for each in within(held) if at is None or each < at} == within(before(held, at))
    assert is_in_order(before(held, at))


@pytest.mark.parametrize("held", [(), ((1, 5),), ((1, 5), (7, 9)), ALWAYS])
def test_always_takes_nothing_away(held):
    """It is the very same spans, so that whoever was never limited is not copied for it."""
    assert held is both(held, ALWAYS)
    assert held is both(ALWAYS, held)


def test_always_has_no_end():
    """The first and the last instant there are belong to it."""
    assert covers(ALWAYS, INSTANT_MIN, INSTANT_MAX)
    assert not contains(ALWAYS, INSTANT_MIN - 1)
    assert not contains(ALWAYS, INSTANT_MAX + 1)
