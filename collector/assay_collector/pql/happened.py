"""What plain events of an entity come to: told to the agenda with each touch, weighed against patience."""

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import NamedTuple

from assay.contract.times import INSTANT_MAX, INSTANT_MIN

BITS = 62


class Happened(NamedTuple):
    """Plain events of one entity: how many, the earliest, and which signals they marked."""

    marks: int
    earliest: int
    signals: int  # the bits of the signals

    def and_more(self, other: "Happened") -> "Happened":
        """Both."""
        return Happened(self.marks + other.marks, min(self.earliest, other.earliest), self.signals | other.signals)


NOTHING = Happened(0, INSTANT_MAX, 0)
ANYTHING = Happened(1, INSTANT_MIN, (1 << BITS) - 1)


def bit_of(signal: int) -> int:
    """The bit that stands for a signal; of those who share one, what happens to either happens to both."""
    return 1 << signal % BITS


def bits_of(signals: Iterable[int]) -> int:
    """The bits of several signals."""
    return reduce(or_, map(bit_of, signals), 0)
