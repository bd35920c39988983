"""Supposing: values that pass tests, and the facts as they would be."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay_collector.pql.comparators import parse_comparator
from assay_collector.pql.decision import Judge
from assay_collector.pql.definition import Trait
from assay_collector.pql.supposing import NO_WITNESS, Deed, properties_for, suppose, witness
from assay_collector.pql.tallies import hour_of
from pql.facts import START, definition, facts_of

TESTS = [
    *("at least 3", "more than 3", "at most 3", "less than 3", "between 2 and 4", "at least 2.5", "less than 0.5"),
    *("is known", "is not known", "not admin", "admin", 3, 0, True, ["admin", "owner"], "not 3", "at most 0"),
]
# What a value may be; with these every pair of the tests that can be passed is passed by one.
VALUES = [None, "admin", "owner", "other", True, False, *range(-2, 7), 0.25, 2.25, 2.75, 3.5]


@given(st.lists(st.tuples(st.sampled_from(TESTS), st.booleans()), min_size=1, max_size=2))
def test_a_witness_is_found_where_there_is_one(wished: list[tuple[Any, bool]]):
    """And it passes every test that it is to pass, and no other; None is one that is not known."""
    wishes = [(parse_comparator(test), wanted) for test, wanted in wished]
    there_is_one = any(all(test.holds(value) is wanted for test, wanted in wishes) for value in VALUES)
    found = witness(wishes)

    assert there_is_one == (found is not NO_WITNESS)
    assert found is NO_WITNESS or all(test.holds(found) is wanted for test, wanted in wishes)


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("at least 3", 3),
        ("more than 3", 4),
        ("less than 3", 2),
        ("at least 2.5", 2.5),
        ("admin", "admin"),
        (True, True),
    ],
)
def test_the_simplest_witness_is_the_first(test: Any, expected: Any):
    """The operand itself, where it will do; a whole number where one does; as JSON has it."""
    found = witness([(parse_comparator(test), True)])

    assert (expected, type(expected)) == (found, type(found))


def test_a_witness_lies_between_two_bounds_however_near():
    """In whatever order they are told."""
    bounds = ["more than 1", "at most 9", "less than 1.005"]

    assert 1.0025 == witness([(parse_comparator(test), True) for test in bounds])


def test_properties_that_pass_are_told_by_path():
    """None where there are none, or where a property would have to be missing."""
    known, unknown = parse_comparator("at least 2"), parse_comparator("is not known")

    assert {"size": 2, "kind": "x"} == properties_for([("size", known), ("kind", parse_comparator("x"))])
    assert {} == properties_for([])
    assert properties_for([("size", known), ("kind", unknown)]) is None


# --- facts as they would be ---

ASKED = definition(
    "window: 48h of Signed Up\nsignals: {made: {count: Made, where: {kind: x}}, docs: {distinct: Shared, of: doc},"
    " last: {last: Shared, of: doc, within: ever}, every: {count: any, within: ever}}\n"
    "qualify: {made: at least 1, docs: at least 1, last: is known, every: at least 1, user.role: admin}"
)
USES = {use.name: use for use in ASKED.uses}
ROLE = Trait("user", "role")


def after(*deeds: Deed, role: str | None = None, raw: Any = ((START, "Signed Up"),), roles: Any = ()) -> Judge:
    facts = facts_of(ASKED, raw, {"user.role": roles} if roles else None)
    return Judge(ASKED, suppose(ASKED, facts, START + 5, deeds, {} if role is None else {ROLE: role}))


def test_deeds_count_from_their_instant_on_where_they_match():
    """By name and properties; one that matches no signal but that of any event is counted by that alone."""
    judge = after(Deed("Made", {"kind": "x"}), Deed("Made", {"kind": "y"}), Deed("Made", {"kind": "x"}), Deed("Other"))

    assert (0, 2) == tuple(judge.value_at(USES["made"], START + more) for more in (4, 5))
    assert (1, 5) == tuple(judge.value_at(USES["every"], START + more) for more in (4, 5))


def test_values_count_each_once_and_the_last_deed_comes_last():
    """What has no value is no value, and does not stop the others."""
    told = [(START, "Signed Up"), (START + 5, "Shared", "a")]
    judge = after(Deed("Shared"), Deed("Shared", {"doc": "a"}), Deed("Shared", {"doc": "b"}), raw=told)

    assert 3 == judge.value_at(USES["docs"], START + 5)  # the raw one is told by its bytes
    assert "b" == judge.value_at(USES["last"], START + 5)


def test_a_trait_is_worth_what_is_told_from_then_on():
    """And what it was worth before, before; what was told later is forgotten."""
    roles = [(START - 9, "guest"), (START + 5, "member"), (START + 9, "owner")]
    judge = after(role="admin", roles=roles)

    assert ["guest", "admin", "admin"] == [judge.value_at(ROLE, START + more) for more in (4, 5, 99)]
    assert [None, "admin"] == [after(role="admin").value_at(ROLE, START + more) for more in (4, 5)]
    assert "member" == after(roles=roles).value_at(ROLE, START + 5)


def test_the_instants_of_an_hour_are_those_of_that_hour_in_order():
    """What is supposed among what was there; other hours are as they were."""
    told = [(START, "Signed Up"), (START + 3, "Made"), (START + 9, "Made")]
    signal = USES["every"].signal.id
    instants = suppose(ASKED, facts_of(ASKED, told), START + 5, [Deed("Other")], {}).instants

    assert [0, 3, 5, 9] == [at - START for at, _ in instants(signal, hour_of(START))]
    assert [] == list(instants(signal, hour_of(START) + 1))
