"""Comparators: what they say of a value, and when a count changes what they say."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay_collector.pql.comparators import Comparator, UnreadableComparator, parse_comparator

NUMBERS = st.integers(-20, 20) | st.decimals(-20, 20, places=3).map(lambda number: format(number, "f"))
WRITTEN = st.one_of(
    st.tuples(st.sampled_from(["at least", "at most", "more than", "less than"]), NUMBERS).map(
        lambda pair: f"{pair[0]} {pair[1]}"
    ),
    st.tuples(st.sampled_from(["at least", "less than"]), st.integers(0, 2000)).map(
        lambda pair: f"{pair[0]} {pair[1]}%"
    ),
    st.tuples(NUMBERS, NUMBERS).map(lambda pair: sorted(pair, key=Fraction)).map("between {0[0]} and {0[1]}".format),
    st.integers(-5, 20),
    st.integers(-5, 20).map("not {}".format),
    st.lists(st.integers(-5, 20) | st.booleans() | st.sampled_from(["a", "3"]), min_size=1, max_size=4),
    st.sampled_from(["is known", "is not known", "paid", "not paid", True, "not [1, 2, x]"]),
)


@given(WRITTEN)
def test_turning_points_are_where_a_count_changes_the_verdict(written: object):
    """Each n is a turning point exactly if the verdict of n differs from that of n - 1."""
    test = parse_comparator(written)

    changes = tuple(n for n in range(1, 60) if test.holds(n) != test.holds(n - 1))

    assert changes == test.turning_points()


@given(st.sampled_from(["at least", "at most", "more than", "less than"]), NUMBERS, st.integers(-50, 50))
def test_bounds_compare_as_exact_numbers_do(operator: str, bound: object, value: int):
    """The oracle is arithmetic on fractions."""
    exact = Fraction(str(bound))
    truths = {
        "at least": value >= exact,
        "at most": value <= exact,
        "more than": value > exact,
        "less than": value < exact,
    }
    assert truths[operator] is parse_comparator(f"{operator} {bound}").holds(value)


@given(NUMBERS, NUMBERS, st.decimals(-20, 20, places=3))
def test_between_includes_both_ends(one: object, other: object, value: Decimal):
    """Low and high belong to it."""
    low, high = sorted((one, other), key=lambda number: Fraction(str(number)))

    test = parse_comparator(f"between {low} and {high}")

    assert (Fraction(str(low)) <= Fraction(value) <= Fraction(str(high))) is test.holds(value)
    assert test.holds(Decimal(str(low)))
    assert test.holds(Decimal(str(high)))


@pytest.mark.parametrize(
    ("written", "value", "truth"),
    [
        ("at least 3", None, None),
        ("at least 3", "many", None),
        ("at least 3", True, None),
        ("at least 3", "4", True),
        ("at least 3", 2.9, False),
        ("less than 80%", 0.8, False),
        ("less than 80%", Decimal("0.79"), True),
        ("not paid", None, None),
        ("not paid", "free", True),
        ("not paid", "paid", False),
        (["admin", "owner"], "owner", True),
        (["admin", "owner"], "member", False),
        (["admin", "owner"], None, None),
        ("is known", None, False),
        ("is known", 0, True),
        ("is not known", None, True),
        ("is not known", "", False),
        (True, True, True),
        (True, 1, False),
        (1, True, False),
        (3, 3.0, True),
        ("3", 3, False),
        ("not 3", 3, False),
        ("not true", True, False),
        ("not [a, 2]", 2, False),
        ("not [a, 2]", "b", True),
        ("Paid", "paid", False),
    ],
)
def test_what_a_comparator_says_of_a_value(written: object, value: object, truth: bool | None):
    """Unknown is neither true nor false, and kinds are never mixed."""
    assert truth is parse_comparator(written).holds(value)


def test_a_named_list_stands_for_its_values():
    """`not disposable` is none of the list; the bare name is any of it."""
    lists = {"disposable": ("a.example", "b.example")}
    assert Comparator("none of", ("a.example", "b.example"), "not disposable") == parse_comparator(
        "not disposable", lists
    )
    assert parse_comparator("disposable", lists).holds("b.example")
    assert parse_comparator("not disposable", lists).holds("c.example")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("at least 3", "at  least   3.0"),
        ("at least 80%", "at least 0.8"),
        ("between 1 and 2", "between 1.0 and 2"),
        (["admin"], "admin"),
        (3, 3.0),
        (["a", "a", "b"], ["a", "b"]),
        (100, 1e2),
    ],
)
def test_equal_tests_are_read_alike(one: object, other: object):
    """However it is spelt, the operator and its operands are the same."""
    left, right = parse_comparator(one), parse_comparator(other)
    assert (left.operator, list(map(repr, left.operands))) == (right.operator, list(map(repr, right.operands)))


@pytest.mark.parametrize(
    ("written", "suggestion"),
    [
        ("at lest 3", "at least 3"),
        ("atleast 3", "at least 3"),
        ("At Least 3", "at least 3"),
        ("at least 2,000", "at least 2000"),
        ("at least 2 000", "at least 2000"),
        ("at least three", ""),
        ("at least", ""),
        ("at least 3 days", ""),
        ("more then 3", "more than 3"),
        ("les than 80%", "less than 80%"),
        ("betwen 1 and 5", "between 1 and 5"),
        ("between 1 - 5", "between 1 and 5"),
        ("between 5", ""),
        (">= 3", "at least 3"),
        (">3", "more than 3"),
        ("≤ 3", "at most 3"),
        ("!= paid", "not paid"),
        ("== paid", "paid"),
        ("minimum 3", "at least 3"),
        ("over 3", "more than 3"),
        ("up to 3", "at most 3"),
        ("exactly 3", "3"),
        ("is 3", "3"),
        ("is knwon", "is known"),
        ("is unknown", "is not known"),
        ("not known", "is not known"),
        ("not at least 3", "less than 3"),
        ("not more than 3", "at most 3"),
        ("not between 1 and 3", ""),
        ("between 5 and 1", ""),
        ("not", ""),
        ([], ""),
    ],
)
def test_a_misspelt_comparator_is_refused_with_a_suggestion(written: object, suggestion: str):
    """It is never taken for a value in silence."""
    with pytest.raises(UnreadableComparator) as caught:
        parse_comparator(written)
    assert suggestion == caught.value.suggestion
    assert str(written if isinstance(written, str) else "[]") in str(caught.value)


@pytest.mark.parametrize(
    "written", ["paid", "11-50", "v2", "plan 2", "over 50 employees", "more info", "a>b", "known?"]
)
def test_a_text_that_is_no_comparator_is_a_value(written: str):
    """Only what reads like a comparator is suspected."""
    assert Comparator("equals", (written,), written) == parse_comparator(written)


def test_a_suspicious_text_can_be_meant():
    """In a list it is a plain value."""
    assert parse_comparator(["at lest 3"]).holds("at lest 3")


@pytest.mark.parametrize("written", [None, {"a": 1}, [None], [["a"]]])
def test_what_is_no_value_is_refused(written: object):
    """Null, mappings and lists of lists are no comparators."""
    with pytest.raises(UnreadableComparator):
        parse_comparator(written)


@given(st.text(max_size=80) | st.text("atleasmorhnbwdiskc 0123456789.%,-<>=[]'", max_size=40))
def test_any_text_is_a_comparator_or_refused(text: str):
    """Nothing else ever happens, and every comparator can be asked."""
    try:
        test = parse_comparator(text)
    except UnreadableComparator:
        return
    assert test.holds(None) in (None, True, False)
    assert all(test.holds(n) != test.holds(n - 1) for n in test.turning_points())
