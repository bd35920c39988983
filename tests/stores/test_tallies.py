"""The Tallies port's promises, kept by every adapter; and what holds for the store as a whole."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.contract.times import HOUR
from assay_collector.store import Store, StoreUnavailable, TraitChange
from builders import ACCOUNT, LEAF, NOW, OTHER_LEAF, admission, an_id, decided, mark, touch, transition


def rows(store: Store) -> Counter[object]:
    return Counter(store.tallies.all_rows())


def test_filling_adds_what_committing_adds(store: Store):
    """A mark is a mark, whether it comes with its event or afterwards."""
    marks = [mark(NOW), mark(NOW + HOUR), mark(NOW, item=b"x" * 16)]
    store.events.commit([admission(marks=tuple(marks))], [])
    live = rows(store)
    store.tallies.clear([7])

    store.tallies.fill(marks[:1])
    store.tallies.fill(marks[1:])
    assert live == rows(store)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(-3, 3), st.sampled_from([None, b"x" * 16, b"y" * 16]))), st.data())
def test_the_order_and_grouping_of_marks_do_not_show(store: Store, steps, data):
    """Tallies are increments that commute: any permutation, split anywhere, gives the same rows."""
    marks = [mark(NOW + step * HOUR // 2, item=item) for step, item in steps]
    found = []
    for arranged in (marks, data.draw(st.permutations(marks))):
        store.tallies.clear([7])
        cut = data.draw(st.integers(0, len(marks)))
        store.tallies.fill(arranged[:cut])
        store.tallies.fill(arranged[cut:])
        found.append(rows(store))

    assert found[0] == found[1]


def test_clearing_takes_only_the_signals_that_are_named(store: Store):
    """Their rows, their distinct values and that they were filled."""
    store.tallies.fill([mark(signal=7, item=b"x" * 16), mark(signal=8)])
    store.tallies.declare_filled({7: b"[]", 8: b"[8]"})
    store.tallies.clear([7, 9])
    store.tallies.clear([])

    assert ([8], {8: b"[8]"}) == ([row.signal for row in rows(store)], store.tallies.filled())


def test_a_filling_that_is_broken_off_is_not_filled(store: Store):
    """Only the declaration makes it so; declaring twice is declaring once."""
    store.tallies.fill([mark()])
    assert {} == store.tallies.filled()

    store.tallies.declare_filled({7: b"[1]"})
    store.tallies.declare_filled({7: b"[1]"})
    assert {7: b"[1]"} == store.tallies.filled()


def test_a_signals_id_uses_63_bits(store: Store):
    """Hashes are large numbers."""
    store.tallies.fill([mark(signal=2**63 - 1)])
    store.tallies.declare_filled({2**63 - 1: b"[]"})

    assert ([2**63 - 1], [2**63 - 1]) == ([row.signal for row in rows(store)], list(store.tallies.filled()))


def test_entities_are_all_whom_a_definition_may_concern(store: Store):
    """Whoever has tallies, traits or a place in the ledger, each once; bug: traits alone did not make one."""
    store.tallies.fill([mark(), mark(signal=8), mark(entity=ACCOUNT)])
    store.events.commit([admission(traits=(TraitChange(OTHER_LEAF, "plan", NOW, an_id(9), b"1"),))], [])
    store.agenda.touch([touch()], NOW)
    lines = [transition(entity=entity) for entity in (LEAF, an_id(3))]
    store.agenda.complete([decided(entry, *lines) for entry in store.agenda.take(NOW, 9)], NOW)

    assert sorted([LEAF, OTHER_LEAF, an_id(3), ACCOUNT]) == sorted(store.tallies.entities())


def test_very_many_entities_come_page_by_page(store: Store):
    """Writing meanwhile disturbs nothing."""
    many = [an_id(number) for number in range(1, 10_050)]
    store.tallies.fill([mark(entity=entity) for entity in many])
    found = []
    for entity in store.tallies.entities():
        if not found:
            store.tallies.fill([mark(entity=an_id(20_000))])
        found.append(entity)

    assert set(many) == set(found) - {an_id(20_000)}
    assert len(found) == len(set(found))


def test_the_definitions_last_decided_under_are_remembered(store: Store):
    """The last declaration replaces the one before."""
    store.tallies.declare_definitions({"a": "1", "b": "2"})
    store.tallies.declare_definitions({"b": "3"})

    assert {"b": "3"} == store.tallies.definitions()


# --- the store as a whole ---


def test_a_setting_is_written_the_first_time(opened):
    """Afterwards the first value stands, for every store on the same data."""
    assert b"first" == opened().setting("identity_key", b"first")

    assert b"first" == opened().setting("identity_key", b"\x00second")
    assert b"\x00other" == opened().setting("other", b"\x00other")


def test_a_store_that_answers_passes_its_check(store: Store):
    """As often as it is asked."""
    assert (None, None) == (store.check(), store.check())


def test_a_closed_store_is_unavailable(opened):
    """Whatever is asked of it says so in the port's words; closing again does nothing."""
    store = opened()
    store.events.position()
    store.close()
    store.close()

    for ask in (
        store.check,
        store.events.position,
        store.tallies.filled,
        lambda: store.events.commit([admission()], []),
        lambda: store.agenda.take(NOW, 9),
        lambda: list(store.events.scan()),
        lambda: store.snapshot().__enter__(),
        lambda: store.setting("a", b""),
    ):
        with pytest.raises(StoreUnavailable):
            ask()
