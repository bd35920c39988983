"""Folds of events into a value over time, where their arithmetic has its edges."""

from decimal import Decimal
from typing import Any

import pytest

from assay_collector.pql.presence import FOREVER
from assay_collector.pql.steps import Steps
from assay_collector.pql.sweeps import Occurrence, Present, extreme, millionths, summed

E18 = 10**18


def present(*values: Any) -> list[Present]:
    """One event each a microsecond after the other, present from then on."""
    return [(Occurrence(at, bytes([at]), b"", value), (at, FOREVER)) for at, value in enumerate(values, start=1)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.0000005", 0),
        ("0.0000015", 2),
        ("0.0000025", 2),
        ("0.0000026", 3),
        ("-0.0000015", -2),
        ("-0.0000019", -2),
        (3, 3_000_000),
        ("many", None),
        (True, None),
        (None, None),
    ],
)
def test_a_number_is_whole_millionths_half_to_even(value: Any, expected: int | None):
    """So sums do not depend on the order in which they are made."""
    found = millionths(value)

    assert expected == found
    assert found is None or type(found) is int


@pytest.mark.parametrize("sign", [1, -1])
def test_what_is_too_large_to_add_is_no_number(sign: int):
    """Up to a million million million inclusive, either way."""
    assert sign * E18 * 1_000_000 == millionths(sign * E18)
    assert None is millionths(sign * (E18 + 1))
    assert Steps(Decimal(0), ((2, Decimal(sign)),)) == summed(present(sign * (E18 + 1), sign))


@pytest.mark.parametrize("pick", ["first", "last", "min", "max"])
def test_an_event_without_the_value_is_not_among_those_to_pick_from(pick: str):
    """Neither the first nor the last of anything."""
    assert Steps(None, ((2, 5),)) == extreme(present(None, 5, None), pick)


@pytest.mark.parametrize(("pick", "expected"), [("min", Decimal(5)), ("max", Decimal(5)), ("last", "5")])
def test_the_least_and_the_greatest_are_numbers(pick: str, expected: object):
    """As in a sum, also where they came as text; what was picked by time is what came."""
    assert expected == extreme(present("5"), pick).at(9)


@pytest.mark.parametrize("pick", ["first", "last", "min", "max"])
def test_a_picked_value_does_not_end_with_time(pick: str):
    """What counts for ever has no change at the end of time, so no timer is set for it."""
    assert Steps(None, ((1, 5),)) == extreme(present(5), pick)
