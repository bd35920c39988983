"""Which tallies an event adds to: the index gives what asking every signal would give."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay_collector.pql.definition import Signal
from assay_collector.pql.matching import CompiledSignal, Mark, SignalIndex
from builders import ACCOUNT, LEAF, NOW, signal

NAMES = ("Task Assigned", "Project Created", "File Uploaded")
TESTS = ("a", "at least 2", "is known", "is not known", "not a", 3, True, ["a", 3], "between 1 and 3")


def marks(signals: list[Signal], name: str, properties: Mapping[str, Any], **seen: Any) -> tuple[Mark, ...]:
    return SignalIndex(signals).marks(name, properties, LEAF, seen.get("account"), NOW)


def found_by_asking_each(signals: list[Signal], name: str, properties: Mapping[str, Any], **seen: Any) -> set[Any]:
    """The oracle: no index, no compilation, no shortcut."""
    found = set()
    for asked in signals:
        if asked.matcher.events and name not in asked.matcher.events:
            continue
        if not all(test.holds(naive_property(properties, path)) is True for path, test in asked.matcher.where):
            continue
        has_item = asked.of in (None, "user_id") or naive_property(properties, asked.of) is not None
        if has_item:
            found.add((seen["account"] if asked.scope == "account" and seen["account"] else LEAF, asked.id))
    return found


def naive_property(properties: Mapping[str, Any], path: str) -> Any:
    if properties.get(path) is not None:
        return properties[path]
    value: Any = properties
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


paths = st.sampled_from(["kind", "n", "deep.kind"])
scalars = st.sampled_from(["a", "b", "", "3", 1, 2, 3, 3.0, 2.5, True, False, None, 10**30, 1e300])
properties = st.dictionaries(
    st.sampled_from(["kind", "n", "deep", "deep.kind"]),
    scalars | st.dictionaries(st.sampled_from(["kind", "n"]), scalars, max_size=2) | st.lists(scalars, max_size=2),
)
signals = st.builds(
    lambda events, of, scope, where: signal(*events, of=of, scope=scope, where=where),
    st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
    st.sampled_from([None, "kind", "deep.kind", "user_id"]),
    st.sampled_from(["user", "account"]),
    st.dictionaries(paths, st.sampled_from(TESTS), max_size=2),
)


@given(
    st.lists(signals, max_size=6, unique_by=lambda found: found.id),
    st.sampled_from([*NAMES, "Unheard Of"]),
    properties,
    st.sampled_from([None, LEAF]),
    st.sampled_from([None, ACCOUNT]),
)
def test_the_index_finds_what_asking_every_signal_finds(asked, name, said, user, account):
    """Each signal at most once, under the right entity, with the event's own leaf and time."""
    found = marks(asked, name, said, user=user, account=account)

    assert found_by_asking_each(asked, name, said, user=user, account=account) == {
        (mark.entity, mark.signal) for mark in found
    }
    assert len(found) == len({mark.signal for mark in found})
    assert {(LEAF, NOW)} >= {(mark.leaf, mark.at) for mark in found}


@given(st.lists(signals, max_size=5, unique_by=lambda found: found.id), properties, st.randoms(use_true_random=False))
def test_the_order_of_signals_does_not_show(asked, said, random):
    """Files are read in any order."""
    shuffled = random.sample(asked, len(asked))

    assert set(marks(asked, NAMES[0], said)) == set(marks(shuffled, NAMES[0], said))


@given(properties)
def test_a_stored_event_marks_as_it_did_when_it_came(said):
    """Refilling reads the properties back from JSON; nothing may change on the way."""
    asked = [signal(of=of, where=where) for of in (None, "kind", "n") for where in ({}, {"kind": "a"}, {"n": 3})]
    stored = msgspec.json.decode(msgspec.json.encode(said))

    assert marks(asked, "x", said) == marks(asked, "x", stored)


def test_an_accounts_tally_lies_under_the_account_or_where_none_is_named_under_the_leaf():
    """From there the account that the person turns out to belong to reads it."""
    asked = [signal("x", scope="account"), signal("x", scope="user")]

    assert [ACCOUNT, LEAF] == [mark.entity for mark in marks(asked, "x", {}, account=ACCOUNT)]
    assert [LEAF, LEAF] == [mark.entity for mark in marks(asked, "x", {})]


def test_users_are_counted_by_their_leaf():
    """Whose leaf it is may be learned later; a property of that name is not asked."""
    asked = [signal("x", of="user_id")]

    assert [LEAF] == [mark.item for mark in marks(asked, "x", {"user_id": "other"})]


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        *[("a", "a", True), ("a", "A", False), ("", " ", False), ("3", 3, False), (3, 3.0, True), (0, -0.0, True)],
        *[(True, 1, False), (False, 0, False), (2**53, float(2**53), True), (10**30, 10**30, True)],
        *[([1], [1], True), ({"a": 1}, {"a": 2}, False), (1e300, 1e300, True)],
    ],
)
def test_distinct_values_are_equal_as_people_mean_it(one, other, are_same):
    """Equal numbers are one value however they are written; a text, a number and a truth are three."""
    compiled = CompiledSignal(signal("x", of="v"))

    assert are_same == (compiled.item({"v": one}, None) == compiled.item({"v": other}, None))
    assert 16 == len(compiled.item({"v": one}, None))


def test_a_value_that_is_not_there_is_no_value():
    """Null and absent count for nothing; an empty text is a value."""
    asked = [signal("x", of="v")]

    assert ((), ()) == (marks(asked, "x", {}), marks(asked, "x", {"v": None}))
    assert 1 == len(marks(asked, "x", {"v": ""}))


def test_a_name_with_a_dot_is_found_before_a_path():
    """Some clients flatten their properties."""
    asked = [signal("x", where={"plan.name": "pro"})]

    assert 1 == len(marks(asked, "x", {"plan.name": "pro", "plan": {"name": "free"}}))
    assert 1 == len(marks(asked, "x", {"plan": {"name": "pro"}}))
    assert 0 == len(marks(asked, "x", {"plan": ["pro"]}))


def test_the_same_signal_in_two_definitions_is_one():
    """Identity is the normal form: neither the order of events nor the spelling of a test shows."""
    first = signal("a", "b", where={"n": "at least 2", "k": ["x", "y"]})
    second = signal("b", "a", where={"k": ["y", "x"], "n": "at least 2.0"})

    assert first.id == second.id
    assert 0 <= first.id < 2**63
    assert len({first.id, signal("a").id, signal("a", of="k").id, signal("a", scope="account").id}) == 4
