"""The Tallies port's promises, kept by every adapter; and what holds for the store as a whole."""

from collections import Counter
from collections.abc import Iterable
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.contract.times import HOUR
from assay_collector.store import Deciding, Filling, Mark, Store, StoreUnavailable, TraitChange
from builders import ACCOUNT, LEAF, NOW, OTHER_LEAF, admission, an_id, decided, mark, touch, transition

_ids = count(1)


def rows(store: Store) -> Counter[object]:
    return Counter(store.tallies.all_rows())


def commit(store: Store, marks: Iterable[Mark], **fields: Any) -> None:
    """One event with these marks."""
    store.events.commit([admission(f"m{next(_ids)}", marks=tuple(marks), **fields)], [])


def fill(store: Store, *signals: int, limit: int = 2) -> int:
    """The next events add a mark each, where they happened."""
    return store.tallies.fill(
        signals, lambda event: [mark(event.at, signal=signal) for signal in signals], names=None, limit=limit
    )


def log_of(store: Store, *instants: int) -> None:
    """Events without any marks."""
    for at in instants:
        name = f"m{next(_ids)}"
        store.events.commit([admission(name, marks=(), at=at)], [])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(-3, 3), st.sampled_from([None, b"x" * 16, b"y" * 16]))), st.data())
def test_the_order_and_grouping_of_marks_do_not_show(store: Store, steps, data):
    """Tallies are increments that commute: any permutation, split anywhere, gives the same rows."""
    marks = [mark(NOW + step * HOUR // 2, item=item) for step, item in steps]
    found = []
    for arranged in (marks, data.draw(st.permutations(marks))):
        store.tallies.clear([7])
        cut = data.draw(st.integers(0, len(marks)))
        commit(store, arranged[:cut])
        commit(store, arranged[cut:])
        found.append(rows(store))

    assert found[0] == found[1]


def test_clearing_takes_only_the_signals_that_are_named(store: Store):
    """Their rows, their distinct values and that they were filled."""
    store.tallies.begin({7: b"[]", 8: b"[8]"})
    commit(store, [mark(signal=7, item=b"x" * 16), mark(signal=8)])
    store.tallies.clear([7, 9])
    store.tallies.clear([])

    assert ([8], {8: b"[8]"}) == ([row.signal for row in rows(store)], store.tallies.filled())


def test_what_is_begun_on_an_empty_log_is_filled(store: Store):
    """From then on every event brings its marks; beginning twice is beginning once."""
    store.tallies.begin({7: b"[1]"})
    log_of(store, NOW)
    store.tallies.begin({7: b"[2]"})

    assert ({7: b"[1]"}, []) == (store.tallies.filled(), store.tallies.fillings())


def test_filling_reads_each_event_once_and_in_order(store: Store):
    """Those after the beginning are left out: they brought their marks."""
    log_of(store, NOW, NOW + HOUR, NOW + 2 * HOUR)
    store.tallies.begin({7: b"[]", 8: b"[]"})
    log_of(store, NOW + 3 * HOUR)
    waiting = [Filling(7, 0, 3), Filling(8, 0, 3)]

    assert (waiting, {}) == (store.tallies.fillings(), store.tallies.filled())
    assert [1, 0] == [fill(store, 7, 8), fill(store, 7, 8)]
    assert ([], {7: b"[]", 8: b"[]"}) == (store.tallies.fillings(), store.tallies.filled())
    assert [(NOW + hour * HOUR, 1) for hour in (0, 0, 1, 1, 2, 2)] == sorted(
        (row.first_at, row.n) for row in rows(store)
    )


def test_a_filling_that_is_broken_off_goes_on_where_it_was(opened):
    """Also after the process has died: how far it was is written together with what was read."""
    store = opened()
    log_of(store, NOW, NOW, NOW)
    store.tallies.begin({7: b"[]"})

    def break_off(_: object) -> list[Mark]:
        raise KeyboardInterrupt

    fill(store, 7, limit=1)
    with pytest.raises(KeyboardInterrupt):
        store.tallies.fill([7], break_off, names=None, limit=1)
    again = opened()
    assert [Filling(7, 1, 3)] == again.tallies.fillings()

    assert (0, [3]) == (fill(again, 7), [row.n for row in rows(again)])


def test_only_events_of_the_names_asked_for_are_read(store: Store):
    """Of those, only what may be tallied."""
    for name, fields in {"a": {}, "b": {"name": "Other"}, "c": {"scored": False}, "d": {"type": "page"}}.items():
        store.events.commit([admission(name, **fields)], [])
    store.tallies.begin({7: b"[]"})
    read: list[str] = []
    left = store.tallies.fill([7], lambda event: read.append(event.message_id) or (), names={"Task Assigned"}, limit=9)

    assert (0, ["a"]) == (left, read)
    assert ["a"] == [event.message_id for _, event in store.events.scan_tallied({"Task Assigned"})]
    assert ["a", "b"] == [event.message_id for _, event in store.events.scan_tallied(None)]


def test_when_the_first_event_happened_is_known(store: Store):
    """By its own time, whatever the order in which events came."""
    assert None is store.events.earliest()
    log_of(store, NOW, NOW - HOUR, NOW + HOUR)

    assert NOW - HOUR == store.events.earliest()


def test_positions_that_are_given_out_again_are_not_filled_again(store: Store):
    """When the end of the log was erased, the next event takes a place up to which was to be filled; it has marks."""
    log_of(store, NOW, NOW, NOW)
    store.tallies.begin({7: b"[]"})
    with store.database.transaction() as connection:  # type: ignore[attr-defined]
        connection.execute("DELETE FROM events WHERE seq >= 2")
    commit(store, [mark(NOW)])
    assert [Filling(7, 0, 1)] == store.tallies.fillings()

    fill(store, 7, limit=9)
    assert [2] == [row.n for row in rows(store)]


def test_a_signals_id_uses_63_bits(store: Store):
    """Hashes are large numbers."""
    store.tallies.begin({2**63 - 1: b"[]"})
    commit(store, [mark(signal=2**63 - 1)])

    assert ([2**63 - 1], [2**63 - 1]) == ([row.signal for row in rows(store)], list(store.tallies.filled()))


def test_entities_are_all_whom_a_definition_may_concern(store: Store):
    """Whoever has tallies, traits or a place in the ledger, each once; bug: traits alone did not make one."""
    commit(store, [mark(), mark(signal=8), mark(entity=ACCOUNT)])
    store.events.commit([admission(traits=(TraitChange(OTHER_LEAF, "plan", NOW, an_id(9), b"1"),))], [])
    store.agenda.touch([touch()], NOW)
    lines = [transition(entity=entity) for entity in (LEAF, an_id(3))]
    store.agenda.complete([decided(entry, *lines) for entry in store.agenda.take(NOW, 9)], NOW)

    assert sorted([LEAF, OTHER_LEAF, an_id(3), ACCOUNT]) == sorted(store.tallies.entities())


def test_very_many_entities_come_page_by_page(store: Store):
    """Writing meanwhile disturbs nothing."""
    many = [an_id(number) for number in range(1, 10_050)]
    commit(store, [mark(entity=entity) for entity in many])
    found = []
    for entity in store.tallies.entities():
        if not found:
            commit(store, [mark(entity=an_id(20_000))])
        found.append(entity)

    assert set(many) == set(found) - {an_id(20_000)}
    assert len(found) == len(set(found))


def test_the_definitions_last_decided_under_are_remembered(store: Store):
    """The last declaration replaces the one before; what is as it was has been so since then."""
    store.tallies.declare_definitions({"a": "1", "b": "2", "c": "1"}, NOW)
    store.tallies.declare_definitions({"b": "3", "c": "1"}, NOW + 1)

    assert {"b": Deciding("3", NOW + 1), "c": Deciding("1", NOW)} == store.tallies.definitions()


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
