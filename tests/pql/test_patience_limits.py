"""Patience as a value: what it bears, what is left of it, and when it is due."""

import pytest

from assay_collector.pql.happened import Happened
from assay_collector.pql.patience import Patience
from assay_collector.pql.presence import FOREVER

GIVEN = Patience(floor=100, until=200, spare=((0b01, 3), (0b10, 1)), reads=0b111, next_at=250)


@pytest.mark.parametrize(
    ("happened", "now", "bears"),
    [
        (Happened(3, 100, 0b001), 199, True),
        (Happened(4, 100, 0b001), 199, False),
        (Happened(2, 100, 0b011), 199, False),
        (Happened(9, 100, 0b100), 199, True),
        (Happened(1, 99, 0b001), 199, False),
        (Happened(1, 100, 0b001), 200, False),
        (Happened(99, 0, 0b1000), 999, True),
    ],
)
def test_it_bears_what_lies_within_its_limits(happened: Happened, now: int, bears: bool):
    """So many marks of each signal, none too early, and before it ends; what is not read at all it always bears."""
    assert bears is GIVEN.bears(happened, now)


def test_what_happened_is_taken_off():
    """From the signals that it marked; what is not read takes nothing."""
    left = GIVEN.after(Happened(1, 150, 0b001))

    assert (((0b01, 2), (0b10, 1)), True) == (left.spare, left.is_used)
    assert GIVEN is GIVEN.after(Happened(1, 150, 0b1000))


def test_it_is_due_when_time_alone_changes_the_verdict_or_once_used_when_it_ends():
    """Never, where there is no end."""
    endless = Patience(is_used=True)

    assert (250, 200) == (GIVEN.due_at, GIVEN.after(Happened(1, 150, 1)).due_at)
    assert (FOREVER, None) == (endless.until, endless.due_at)


@pytest.mark.parametrize(
    ("until", "expected"), [(None, (200, 250)), (150, (150, 150)), (225, (200, 225)), (300, (200, 250))]
)
def test_facts_that_hold_until_an_instant_limit_it(until: int | None, expected: tuple[int, int]):
    """Whichever comes first."""
    limited = GIVEN.limited(until)

    assert expected == (limited.until, limited.next_at)
    assert 150 == Patience().limited(150).next_at
