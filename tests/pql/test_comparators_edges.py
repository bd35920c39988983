"""Comparators where kinds of values meet, and where a text only just is one, or is none."""

from decimal import Decimal

import pytest

from assay_collector.pql.comparators import Comparator, UnreadableComparator, parse_comparator

INFINITE = float("inf")


@pytest.mark.parametrize(
    ("written", "value", "truth"),
    [
        (True, False, False),
        (False, True, False),
        (False, 0, False),
        ("not true", False, True),
        ("not false", False, False),
        ("not false", 0, True),
        (True, INFINITE, False),
        (3, "3", False),
        ("not 3", "3", True),
        (["3", 4], 3, False),
        (0.1, Decimal("0.1"), True),
        (2.5, 2.5, True),
        (2.5, 2, False),
        ([2.5], 2, False),
        ("not 2.5", 2.5, False),
        ("not 2.5", 2, True),
        ("at most 80%", 0.8, True),
        ("at least 3", "NaN", None),
        ("at least 3", "Infinity", None),
        ("at least 3", INFINITE, None),
        ("at most 3", -INFINITE, None),
        ("not [a, 2]", "a", False),
        ("not [a, ]", "", True),
        ("not [a", "[a", False),
        ("not a]", "a]", False),
        ("not 'paid'", "paid", False),
        ('not "paid"', "paid", False),
    ],
)
def test_kinds_of_values_are_kept_apart(written: object, value: object, truth: bool | None):
    """True is neither 1 nor false, text is no number, and numbers are equal whatever they are held in."""
    assert truth is parse_comparator(written).holds(value)


@pytest.mark.parametrize("written", ["at least 3", "between 2 and 4.5", [1, 2], "not 3", "is known", "is not known"])
def test_a_turning_point_is_a_whole_number(written: object):
    """As instants and lengths of time are made of them."""
    points = parse_comparator(written).turning_points()

    assert type(points) is tuple
    assert {int} >= set(map(type, points))


def test_whether_something_is_known_never_turns_with_its_number():
    """A count is always known."""
    assert () == parse_comparator("is known").turning_points()
    assert () == parse_comparator("is not known").turning_points()


@pytest.mark.parametrize(("one", "other"), [("at least 0.80", "at least 0.8"), ("at least 100", "at least 100.0")])
def test_digits_that_say_nothing_are_dropped(one: str, other: str):
    """So that equal definitions have one hash."""
    assert list(map(repr, parse_comparator(one).operands)) == list(map(repr, parse_comparator(other).operands))


def test_a_list_is_shown_as_it_would_be_written():
    """Text as it is, truths in small letters."""
    assert "[Admin, true, 3]" == str(parse_comparator(["Admin", True, 3]))


def test_null_is_named_in_its_refusal():
    """As the file has it."""
    with pytest.raises(UnreadableComparator, match="`null` is no text"):
        parse_comparator(None)


@pytest.mark.parametrize(
    ("written", "suggestion"),
    [
        ("Is Set", "is known"),
        ("over 80%", "more than 80%"),
        ("between one and two", ""),
        ("not at lest 3", "at least 3"),
        ("at least " + "x" * 51, ""),
    ],
)
def test_what_reads_like_a_comparator_is_refused(written: str, suggestion: str):
    """With what it should have been, if that is clear."""
    with pytest.raises(UnreadableComparator) as refused:
        parse_comparator(written)

    assert suggestion == refused.value.suggestion


@pytest.mark.parametrize("written", ["at least " + "x" * 52, "is known 3", "Mr. Is Set"])
def test_what_only_begins_like_one_is_a_value(written: str):
    """Sixty characters are the longest slip of a pen."""
    assert Comparator("equals", (written,), written) == parse_comparator(written)
