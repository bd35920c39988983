"""Definitions that come and go while events arrive: nothing is missed, nothing counted twice."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay_collector.pql.definition import Catalogue
from assay_collector.pql.language import read_definitions
from assay_collector.qualify import refill
from assay_collector.qualify.keeper import Keeper
from assay_collector.qualify.versions import Decided, activate, retire, shadow, shadow_name, write_down
from assay_collector.qualify.worker import Qualifier, Worker
from qualify.house import House, opened
from qualify.wire import DAY, HOUR, NOW, START, Message, track
from serving import wait_until

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

    def __init__(self, house: House, **options: int) -> None:
        self.house = house
        self._options = options
        self.shown = NOBODY
        self.begin()

    def begin(self, now: int = NOW) -> None:
        """The collector starts: what was in memory is forgotten."""
        self.house.qualifier = Qualifier(
            self.house.store, NOBODY, notify=lambda *_: (), release=lambda ids: self.keeper.release(ids)
        )
        house = self.house
        self.keeper = Keeper(house.store, house.receiver, house.qualifier, show=self._show, **self._options)
        self.keeper.start(now)

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
def kept(**options: int) -> Iterator[Kept]:
    with opened(NOBODY) as house:
        yield Kept(house, **options)


def tallied_live(messages: Sequence[Message]) -> Counter[Any]:
    catalogue = Catalogue(definitions=tuple(each.definition for each in ALL))
    with opened(catalogue) as house:
        for message in messages:
            house.receive([message])
        house.decide()
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
# Events that wait for a grant, and grants: what waited is tallied when the grant is known.
waiting = messages.map(lambda message: {**message, "source": "strict"})
grants = st.builds(
    lambda number, user: {
        "type": "consent",
        "messageId": f"grant-{number}",
        "userId": user,
        "at": START / 1e6,
        "purposes": {"pql_scoring": "granted", "analytics": "granted"},
    },
    st.integers(0, 9),
    st.sampled_from(["anna", "bert"]),
)
# What may happen, in any order: a message comes, a definition is activated, a little is filled, those who are due are
# decided, the process dies.
MOMENTS = ["a little is filled", "decided", "killed"]
happenings = st.one_of(messages, waiting, grants, st.sampled_from(ALL), st.sampled_from(MOMENTS))


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
            elif happening == "decided":
                each.house.decide()
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


def test_events_that_arrive_from_many_threads_meanwhile_are_counted_once():
    """The fence lets nobody through with marks of before and a position of afterwards."""
    with kept() as each, small_chunks():
        sent = [track("Task Assigned", START + n, f"u{n % 5}", account="acme", name=str(n)) for n in range(160)]
        shares = [sent[first::4] for first in range(4)]

        def receive(share: Sequence[Message]) -> None:
            for message in share:
                each.house.receive([message])

        threads = [threading.Thread(target=receive, args=(share,)) for share in shares]
        for thread in threads:
            thread.start()
        for definition in ALL:
            activate(each.register, definition, BY)
            each.keeper.step(NOW)
        for thread in threads:
            thread.join()
        each.settle()

        assert tallied_live(sent) == each.house.tallies()


def test_until_all_is_filled_the_version_before_decides():
    """And the other from then on, for everybody."""
    with kept() as each, small_chunks():
        each.house.receive([track("Task Assigned", START + n, "anna") for n in range(60)])
        each.house.receive([track("File Uploaded", START + n, "bert", name="x") for n in range(60)])
        activate(each.register, tasks(2), BY)
        each.settle()
        other = written("tasks", FILES, version=2)
        activate(each.register, other, BY)
        assert each.keeper.step(NOW)
        each.house.decide()
        assert {"anna"} == set(each.house.since("tasks"))

        each.settle()
        assert {"bert"} == set(each.house.since("tasks"))


@given(st.lists(messages, max_size=14), st.integers(1, 4), st.integers(1, 4))
def test_a_threshold_alone_is_as_if_it_had_always_been_so(sent, before, after):
    """No event is read again, and what stands is what a full replay says (invariant 20)."""
    with kept() as each, opened(Catalogue(definitions=(tasks(after).definition,))) as replayed:
        activate(each.register, tasks(before), BY)
        each.house.receive(sent)
        each.settle()
        activate(each.register, tasks(after, version=2), BY)
        each.keeper.step(NOW)
        assert [] == each.house.store.tallies.fillings()
        each.settle()
        replayed.receive(sent)
        replayed.decide()

        assert replayed.standing() == each.house.standing()


def test_a_file_that_is_laid_out_otherwise_changes_nothing():
    """The same content: no change on record, nobody is decided again, no transitions (invariant 19)."""
    with kept() as each:
        each.house.receive([track("Task Assigned", START + n, "anna") for n in range(3)])
        activate(each.register, tasks(2), BY)
        each.settle()
        before = each.house.ledger()
        again = {
            "tasks.yaml": "# ours\n"
            + tasks(2).text.replace("qualify: {tasks: at least 2}", "qualify:\n  tasks: at least 2")
        }
        (same,) = write_down(again, read_definitions(again))

        assert None is activate(each.register, same, BY)
        each.settle()
        assert (before, None) == (each.house.ledger(), each.house.next_due())


def test_what_a_change_brings_is_put_down_to_it_and_what_comes_later_is_not():
    """Although whoever it concerns waits on the agenda with both causes."""
    with kept() as each:
        each.house.receive([track("Task Assigned", START + n, who) for n in range(2) for who in ("anna", "bert")])
        each.house.receive([track("Task Assigned", START, "carl")])
        activate(each.register, tasks(3), BY)
        each.settle(NOW)
        activate(each.register, tasks(2, version=2), BY)
        while each.keeper.step(NOW + DAY):
            pass
        each.house.receive([track("Task Assigned", NOW + DAY + HOUR, "carl")], now=NOW + DAY + HOUR)
        each.house.decide(NOW + DAY + HOUR)

        causes = {each.house.name(row.entity): row.cause for row in each.house.ledger()}
        assert {"anna": "definition", "bert": "definition", "carl": "event"} == causes


def test_a_definition_that_is_as_it_was_is_not_blamed():
    """Bug: an event that came while another definition changed was put down to that change, and alerted nobody."""
    with kept() as each:
        activate(each.register, tasks(1), BY)
        each.settle(NOW - DAY)
        each.house.receive([track("Task Assigned", NOW, "anna")])
        activate(each.register, ALL[1], BY)
        each.settle(NOW)

        assert ["event"] == [row.cause for row in each.house.ledger() if row.definition == "tasks"]


def test_who_is_retired_twice_or_never_was_is_no_matter():
    """Leads vanish once, with the cause on record; what was over stays as it was."""
    with kept() as each:
        each.house.receive([track("Task Assigned", START + n, "anna") for n in range(2)])
        expiring = written("tasks", TASKS.format(n=2) + "\nlifecycle: {expire: 1h}")
        activate(each.register, expiring, BY)
        activate(each.register, written("files", TASKS.format(n=1)), BY)
        each.settle()
        assert {"files": {"anna": START}} == {"files": each.house.since("files")}
        for _ in range(2):
            retire(each.register, "tasks", BY)
            retire(each.register, "files", BY)
            each.settle()

        assert ([], []) == (each.house.store.tallies.fillings(), list(each.house.since("files")))
        assert {(1, "qualified"), (1, "expired")} == set(each.house.standing()["tasks", "user", "anna"])
        assert ["definition"] == [row.cause for row in each.house.ledger() if row.change == "retracted"]


# --- continuity ---

SPLICE = "\ncontinuity: {{supersedes: 1, trend: splice, overlap: 7 days, note: three are more than two}}"


@pytest.fixture
def spliced() -> Iterator[Kept]:
    """Anna did two things and Bert four before NOW; then three were asked for instead of two, with a splice."""
    with kept() as each:
        activate(each.register, tasks(2), BY)
        each.house.receive([track("Task Assigned", START + n, "anna") for n in range(2)])
        each.house.receive([track("Task Assigned", START + n, "bert") for n in range(4)])
        each.settle(START + HOUR)
        change = activate(each.register, tasks(3, 2, SPLICE.format()), BY)
        assert change is not None
        assert ("splice", NOW + 7 * DAY) == (change.trend, change.overlap_until)
        each.settle(NOW)
        yield each


def test_a_splice_leaves_the_time_before_as_it_was(spliced: Kept):
    """Whoever is qualified under both goes on; whoever is no longer leaves when the new version takes over."""
    standing = spliced.house.standing()

    assert {(1, "qualified"): START + 1} == standing["tasks", "user", "bert"]
    assert {(1, "qualified"): START + 1, (1, "exited"): NOW} == standing["tasks", "user", "anna"]
    assert {1, 2} == {row.definition_version for row in spliced.house.ledger() if row.definition == "tasks"}


def test_what_comes_late_is_judged_by_the_version_that_was_in_force(spliced: Kept):
    """Carl's two things of last month make him a lead of then, until the new version took over."""
    spliced.house.receive([track("Task Assigned", START + n, "carl") for n in range(2)])
    spliced.house.decide(NOW)

    expected = {(1, "qualified"): START + 1, (1, "exited"): NOW}
    assert expected == spliced.house.standing()["tasks", "user", "carl"]
    versions = {row.step: row.definition_version for row in spliced.house.ledger() if row.effective_at >= START + 1}
    assert {"qualified": 1, "exited": 2} == versions


def test_a_splice_onto_other_events_outlives_its_overlap():
    """What the version before was read from is kept up for as long as it speaks for the time before."""
    with kept() as each:
        activate(each.register, tasks(2), BY)
        each.house.receive([track("Task Assigned", START + n, "anna") for n in range(2)])
        each.settle(START + HOUR)
        files = written("tasks", FILES + SPLICE.format(), 2)
        activate(each.register, files, BY)
        each.settle(NOW)
        later = NOW + 8 * DAY
        each.begin(later)
        each.house.receive([track("File Uploaded", later, "anna", name="x")], now=later)
        each.settle(later)

        steps = [row for row in each.house.ledger() if row.definition == "tasks"]
        expected = {(1, "qualified", START + 1), (1, "exited", NOW), (2, "qualified", later)}
        assert expected == {(row.episode, row.step, row.effective_at) for row in steps}
        assert {"new"} == {row.change for row in steps}


def test_during_the_overlap_the_version_before_goes_on_as_a_shadow(spliced: Kept):
    """And no longer; the collector notices by itself."""
    name = shadow_name(tasks(2).definition)
    assert {"anna", "bert"} == set(spliced.house.since(name))
    late = [track("Task Assigned", NOW + n, "dora") for n in range(2)]
    spliced.house.receive(late, now=NOW + 2)
    spliced.settle(NOW + 2)
    assert "dora" in spliced.house.since(name)

    spliced.settle(NOW + 7 * DAY)
    spliced.house.receive([track("Task Assigned", NOW + 8 * DAY + n, "emil") for n in range(2)], now=NOW + 8 * DAY)
    spliced.settle(NOW + 8 * DAY)
    assert "emil" not in spliced.house.since(name)


def test_a_splice_survives_a_start(spliced: Kept):
    """It is on record, not in memory; starting anew decides nobody anew."""
    before = spliced.house.ledger()
    spliced.begin()
    spliced.settle(NOW)

    assert before == spliced.house.ledger()


def test_a_version_that_supersedes_another_than_the_one_that_runs_restates():
    """It says how it continues version 1, and that is not what it replaces."""
    with kept() as each:
        activate(each.register, tasks(2, version=4), BY)
        change = activate(each.register, tasks(3, 5, SPLICE.format()), BY)

        assert change is not None
        assert ("restate", None) == (change.trend, change.overlap_until)


def test_a_shadow_is_filled_and_decided_like_any_other():
    """Only that nobody is a lead."""
    with kept() as each, small_chunks():
        each.house.receive([track("Task Assigned", START + n, "anna") for n in range(9)])
        shadow(each.register, tasks(2), BY)
        each.settle()

        assert ({}, {"anna": START + 1}) == (each.house.since("tasks"), each.house.since("shadow:tasks@1"))


def test_what_cannot_be_taken_up_keeps_nobody_from_being_decided(caplog: pytest.LogCaptureFixture):
    """Bug: a version that could no longer be read would have stopped every other definition as well."""
    stopping = threading.Event()

    def fail(_: int) -> bool:
        raise ValueError("a version cannot be read")

    with kept() as each:
        activate(each.register, tasks(1), BY)
        each.settle()
        each.house.receive([track("Task Assigned", START, "anna")])
        worker = Worker(each.house.qualifier, clock=lambda: NOW, interval_seconds=0.01, upkeep=fail)
        thread = threading.Thread(target=worker.run, args=(stopping,))
        thread.start()
        wait_until(lambda: each.house.since("tasks"))
        stopping.set()
        thread.join()

    assert "assay.decide_failed" in caplog.text


def test_a_change_that_is_taken_back_half_way_leaves_nobody_behind():
    """Bug: who had been decided by the version in between stayed so."""
    with kept(touches_a_step=2) as each:
        each.house.receive([track("Task Assigned", START + n, f"u{m}") for m in range(9) for n in range(2)])
        activate(each.register, tasks(2), BY)
        settle_slowly(each)
        before = each.house.since("tasks")
        activate(each.register, tasks(3, version=2), BY)
        each.keeper.step(NOW)
        each.keeper.step(NOW)
        each.house.decide()
        assert 9 == len(before) > len(each.house.since("tasks"))
        activate(each.register, tasks(2), BY)
        settle_slowly(each)

        assert before == each.house.since("tasks")


def test_whoever_has_something_new_does_not_wait_behind_everybody():
    """A new definition concerns all; they are decided anew a few at a time."""
    with kept(touches_a_step=2) as each:
        each.house.receive([track("Task Assigned", START, f"u{m}") for m in range(9)])
        each.house.decide()
        activate(each.register, tasks(1), BY)
        for _ in range(5):
            each.keeper.step(NOW)
        assert 2 == each.house.store.agenda.backlog(NOW)[0]
        settle_slowly(each)

        assert 9 == len(each.house.since("tasks"))


def settle_slowly(each: Kept) -> None:
    """As a collector does it: a step, a round."""
    while each.keeper.step(NOW):
        each.house.decide()
    each.house.decide()
