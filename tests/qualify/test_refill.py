"""Start-up: tallies cover every stored event for every signal in use, however often it is broken off."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay_collector.pql.definition import Catalogue
from assay_collector.pql.language import read_definitions
from assay_collector.qualify.refill import refill
from assay_collector.store import Store, StoreUnavailable
from builders import signal
from qualify.house import House, opened
from qualify.wire import DAY, HOUR, NOW, START, Message, group, identify, track

HEAD = """
pql: {{id: {id}, version: 1, entity: {entity}, stage: activation, owner: growth}}
why: It is a test.
predicts: {{event: Subscription Started, within: 30 days}}
"""


def catalogue(**definitions: str) -> Catalogue:
    """Definitions by id; the first word says the entity."""
    documents = {}
    for id, text in definitions.items():
        entity, body = text.split(maxsplit=1)
        documents[f"{id}.yaml"] = HEAD.format(id=id, entity=entity) + body
    return read_definitions(documents)


TASKS = "user\nsignals: {tasks: {count: Task Assigned}}\nqualify: {tasks: at least 2}"
FILES = "user\nsignals: {files: {distinct: File Uploaded, of: name}}\nqualify: {files: at least 1}"
TEAM = "account\nsignals: {people: {distinct: Task Assigned, of: user_id}}\nqualify: {people: at least 2}"
PAYING = "user\nqualify: {user.plan: paid}"
NONE, ALL = catalogue(), catalogue(tasks=TASKS, files=FILES, team=TEAM)

MESSAGES = [
    track("Task Assigned", START, "anna", account="acme"),
    track("Task Assigned", START + HOUR, "anna", anon="a1"),
    track("Task Assigned", START + HOUR + 1, "bert", account="acme"),
    track("Task Assigned", START, "carl", scoring=False),
    track("Task Assigned", START, anon="a1"),
    track("File Uploaded", START + DAY, "anna", name="x"),
    track("File Uploaded", START + DAY, "anna", name="x"),
    track("File Uploaded", START + DAY, "bert"),
    identify(START, "dora", plan="paid"),
    group("acme", START, "bert"),
]


@pytest.fixture
def house() -> Iterator[House]:
    """A collector that came to know these messages before it had any definition."""
    with opened(NONE) as house:
        house.take_in(*MESSAGES)
        yield house


def tallied_live(messages: Sequence[Message], definitions: Catalogue = ALL) -> Counter[Any]:
    with opened(definitions) as house:
        house.receive(messages)
        return house.tallies()


def due(store: Store) -> set[tuple[str, str]]:
    names = {entry.entity: store.events.identifier(entry.entity) for entry in store.agenda.take(NOW, 999)}
    return {(entry.kind, names[entry.entity].value) for entry in store.agenda.take(NOW, 999)}  # type: ignore[union-attr]


def test_new_signals_are_tallied_from_what_is_stored(house: House):
    """As if they had been in use from the first event on."""
    assert 3 == refill(house.store, ALL, now=NOW)

    assert tallied_live(MESSAGES) == house.tallies()


times = st.integers(0, 5).map(lambda step: START + step * HOUR // 2)
messages = st.builds(
    track,
    st.sampled_from(["Task Assigned", "File Uploaded", "Unheard Of"]),
    times,
    st.sampled_from([None, "anna", "bert"]),
    anon=st.sampled_from(["a1", "a2"]),
    account=st.sampled_from([None, "acme"]),
    scoring=st.sampled_from([None, True, False]),
    name=st.sampled_from(["x", 3, 3.0, None, [1], {"b": 1e300}]),
)


@given(st.lists(messages, max_size=12))
def test_whatever_is_stored_refilling_tallies_as_receiving_did(sent):
    """Also people with two ids, accounts, denials, odd values."""
    with opened(NONE) as house:
        house.receive(sent)
        refill(house.store, ALL, now=NOW)

        assert tallied_live(sent) == house.tallies()


def test_refilling_twice_is_refilling_once(house: House):
    """The second time nothing is read, and nobody is on the agenda again."""
    refill(house.store, ALL, now=NOW)
    before = house.tallies()
    house.qualifier.run_until_idle(lambda: NOW)
    read: list[int] = []

    assert (0, before) == (refill(house.store, ALL, now=NOW, progress=read.append), house.tallies())
    assert ([], set()) == (read, due(house.store))


class BreaksOff:
    """A store whose writing calls work only so many times, then never again."""

    def __init__(self, store: Any, left: list[int]) -> None:
        self._store, self._left = store, left

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._store, name)
        if name in ("tallies", "agenda"):
            return BreaksOff(value, self._left)
        if name not in ("clear", "fill", "begin", "touch", "declare_definitions"):
            return value

        def write(*given: Any, **named: Any) -> Any:
            if not self._left[0]:
                raise StoreUnavailable("the disk is full")
            self._left[0] -= 1
            return value(*given, **named)

        return write


@pytest.mark.parametrize("writes", range(9))
def test_broken_off_anywhere_the_next_start_does_it_again(house: House, monkeypatch, writes):
    """The tallies are right, and whoever may be concerned is on the agenda."""
    monkeypatch.setattr("assay_collector.qualify.refill.CHUNK_EVENTS", 4)
    refill(house.store, catalogue(tasks=TASKS), now=NOW)
    house.decide()
    try:
        refill(BreaksOff(house.store, [writes]), ALL, now=NOW)  # type: ignore[arg-type]
    except StoreUnavailable:
        refill(house.store, ALL, now=NOW)

    assert tallied_live(MESSAGES) == house.tallies()
    assert {("user", "anna"), ("user", "bert"), ("account", "acme")} <= due(house.store)


def test_a_signal_that_nobody_uses_is_let_go_and_comes_back_whole(house: House):
    """Meanwhile events came that nobody tallied for it."""
    refill(house.store, ALL, now=NOW)
    refill(house.store, catalogue(files=FILES), now=NOW)
    assert 1 == len(house.store.tallies.filled())
    late = track("Task Assigned", START + DAY, "anna")
    house.receive([late])

    assert 2 == refill(house.store, ALL, now=NOW)
    assert tallied_live([*MESSAGES, late]) == house.tallies()


def test_a_changed_threshold_needs_no_refill_but_a_decision(house: House):
    """The same signal is read against another number."""
    refill(house.store, ALL, now=NOW)
    house.decide()
    changed = catalogue(tasks=TASKS.replace("at least 2", "at least 3"), files=FILES, team=TEAM)

    assert (0, set()) == (refill(house.store, ALL, now=NOW), due(house.store))
    assert 0 == refill(house.store, changed, now=NOW)
    assert {("user", "anna"), ("user", "bert"), ("account", "acme")} <= due(house.store)


def test_a_definition_of_traits_alone_reaches_whoever_has_traits(house: House):
    """Bug: who had only ever been identified was on nobody's list, and did not qualify until something happened."""
    refill(house.store, catalogue(paying=PAYING), now=NOW)

    assert ("user", "dora") in due(house.store)


def test_progress_tells_how_many_events_were_read(house: House):
    """Every stored event, once."""
    read: list[int] = []
    refill(house.store, ALL, now=NOW, progress=read.append)

    assert len(MESSAGES) == sum(read)


def test_an_empty_store_is_filled_at_once(tmp_path: Path):
    """From then on every event is tallied as it comes."""
    house = House(tmp_path, ALL)

    assert {found.id for found in ALL.signals} == set(house.store.tallies.filled())
    assert signal("Task Assigned").id in house.store.tallies.filled()
    house.store.close()
