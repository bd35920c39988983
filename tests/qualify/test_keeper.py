"""Definitions that come and go while events arrive: nothing is missed, nothing counted twice."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay_collector.pql.definition import Catalogue
from assay_collector.pql.language import read_definitions
from assay_collector.qualify import refill
from assay_collector.qualify.keeper import Keeper
from assay_collector.qualify.versions import Decided, activate, retire, shadow, shadow_name, write_down
from assay_collector.store import StoreUnavailable
from qualify.house import House, opened
from qualify.wire import DAY, HOUR, NOW, START, Message, group, track

HEAD = """
pql: {{id: {id}, version: {version}, entity: {entity}, stage: activation, owner: growth}}
why: It is a test.
predicts: {{event: Subscription Started, within: 30 days}}
"""
TASKS = "user\nsignals: {{tasks: {{count: Task Assigned}}}}\nqualify: {{tasks: at least {n}}}"
FILES = "user\nsignals: {files: {distinct: File Uploaded, of: name}}\nqualify: {files: at least 1}"
TEAM = "account\nsignals: {people: {distinct: Task Assigned, of: user_id}}\nqualify: {people: at least 2}"
ANY = "user\nsignals: {days: {active_days: any}}\nqualify: {days: at least 1}"
NOBODY = Catalogue()
BY = Decided("ada", "a test", NOW)


def written(id: str, text: str, version: int = 1):
    entity, body = text.split(maxsplit=1)
    documents = {f"{id}.yaml": HEAD.format(id=id, entity=entity, version=version) + body}
    (found,) = write_down(documents, read_definitions(documents))
    return found


def tasks(n: int, version: int = 1, rest: str = ""):
    return written("tasks", TASKS.format(n=n) + rest, version)


ALL = [tasks(2), written("files", FILES), written("team", TEAM), written("anything", ANY)]


class Kept:
    """A house with a keeper; `told` are those whom an endpoint would hear of."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.shown = NOBODY
        self.begin()

    def begin(self) -> None:
        """The collector starts: what was in memory is forgotten."""
        self.keeper = Keeper(self.house.store, self.house.receiver, self.house.qualifier, show=self._show)
        self.keeper.start(NOW)

    def _show(self, catalogue: Catalogue) -> None:
        self.shown = catalogue

    def settle(self, now: int = NOW) -> None:
        while self.keeper.step(now):
            pass
        self.house.decide(now)

    @property
    def register(self):
        return self.house.store.register


@contextmanager
def kept() -> Iterator[Kept]:
    with opened(NOBODY) as house:
        yield Kept(house)


def tallied_live(messages: Sequence[Message]) -> Counter[Any]:
    catalogue = Catalogue(definitions=tuple(each.definition for each in ALL))
    with opened(catalogue) as house:
        house.receive(messages)
        return house.tallies()


times = st.integers(0, 5).map(lambda step: START + step * HOUR // 2)
messages = st.builds(
    track,
    st.sampled_from(["Task Assigned", "File Uploaded", "Unheard Of"]),
    times,
    st.sampled_from([None, "anna", "bert"]),
    anon=st.sampled_from(["a1", "a2"]),
    account=st.sampled_from([None, "acme"]),
    scoring=st.sampled_from([None, True, False]),
    name=st.sampled_from(["x", 3, None]),
)
# What may happen, in any order: a message comes, a definition is activated, a little is filled, the process dies.
happenings = st.one_of(messages, st.sampled_from(ALL), st.just("a little is filled"), st.just("killed"))


@settings(max_examples=60)
@given(st.lists(happenings, max_size=25))
def test_backfill_then_live_is_live_all_along(happened):
    """Whatever comes before, during and after, and wherever the process dies (invariant 21)."""
    sent: list[Message] = []
    with kept() as each, small_chunks():
        for happening in happened:
            if isinstance(happening, dict):
                sent.append(happening)
                each.house.receive([happening])
            elif happening == "a little is filled":
                each.keeper.step(NOW)
            elif happening == "killed":
                each.begin()
            else:
                activate(each.register, happening, BY)
        for definition in ALL:
            activate(each.register, definition, BY)
        each.settle()

        assert tallied_live(sent) == each.house.tallies()
        assert {one.definition.id for one in ALL} == {found.id for found in each.shown.definitions}
        assert () == verified(each)


def verified(each: Kept) -> Sequence[str]:
    each.house.catalogue = each.shown
    return each.house.differences()


@contextmanager
def small_chunks() -> Iterator[None]:
    """So that a few events are many chunks."""
    before, refill.CHUNK_EVENTS = refill.CHUNK_EVENTS, 2
    try:
        yield
    finally:
        refill.CHUNK_EVENTS = before
