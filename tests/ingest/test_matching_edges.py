"""Which tallies an event adds to: what is looked at at all, and what passes for plain text."""

import pytest

from assay_collector.pql.matching import CompiledSignal, SignalIndex
from builders import LEAF, NOW, signal


def test_only_the_names_that_can_add_anything_are_looked_at():
    """None where a signal counts any event; nothing where there are no signals."""
    assert frozenset({"a", "b", "c"}) == SignalIndex([signal("a", "b"), signal("c")]).names
    assert SignalIndex([signal("a"), signal()]).names is None
    assert frozenset() == SignalIndex([]).names


def test_one_signal_that_does_not_match_stops_no_other():
    """Whether for a property or for want of a value."""
    asked = [signal("x", where={"k": "a"}), signal("x", of="v"), signal("x")]

    assert [asked[2].id] == [mark.signal for mark in SignalIndex(asked).marks("x", {}, LEAF, None, NOW)]


@pytest.mark.parametrize(
    ("test", "value", "passes"),
    [
        *[("a", "a", True), ("a", "b", False), ("a", None, False), ("a", 1, False), ("a", ["a"], False)],
        *[("not a", "a", False), ("not a", "b", True), ("not a", None, False)],
        *[(3, 3, True), (3, "3", False), (3, 4, False), (True, True, True), (True, 1, False)],
    ],
)
def test_a_property_passes_or_it_does_not(test, value, passes):
    """An unknown one passes none; and a number, a text and a truth are three."""
    compiled = CompiledSignal(signal("x", where={"k": test}))

    assert passes is compiled.matches("x", {"k": value})
    assert passes is compiled.passes({"k": value})
    assert not compiled.matches("y", {"k": value})


def test_a_part_of_a_number_tells_it_apart():
    """Two and a half is not two."""
    compiled = CompiledSignal(signal("x", of="v"))

    assert 3 == len({compiled.item({"v": value}, LEAF) for value in (2, 2.0, 2.5, -2.5)})
