"""Callers that wait at the same time share one write, and none pays for another's mistake."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from assay_collector.stores.group_commit import GROUP_REQUESTS_MAX, GroupCommit


class Busy(Exception):
    """The whole group should try again."""


class Recorder:
    """Writes requests into a list, a group an entry; holds the first group until told to go on."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.failing: dict[str, BaseException] = {}
        self.entered = threading.Event()
        self.going_on = threading.Event()

    def write(self, requests: Sequence[str]) -> list[str]:
        if not self.entered.is_set():
            self.entered.set()
            assert self.going_on.wait(10)
        self.groups.append(list(requests))
        for request in requests:
            if request in self.failing:
                raise self.failing[request]
        return [request.upper() for request in requests]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def submit_together(recorder: Recorder, requests: Sequence[str]) -> list[object]:
    """A first request is being written while all the others queue up behind it; the result or error of each."""
    commit: GroupCommit[str, str] = GroupCommit(recorder.write, Busy)

    def submit(request: str) -> object:
        try:
            return commit.submit(request)
        except BaseException as error:  # noqa: BLE001 - what is raised is what is looked at
            return error

    with ThreadPoolExecutor(len(requests)) as threads:
        first = threads.submit(submit, requests[0])
        assert recorder.entered.wait(10)
        others = [threads.submit(submit, request) for request in requests[1:]]
        while len(commit._waiting) < len(others):
            time.sleep(0.001)
        recorder.going_on.set()
        return [future.result(10) for future in (first, *others)]


def test_whoever_waits_is_written_in_one_group(recorder: Recorder):
    """Five callers, two writes; each gets its own result."""
    assert ["A", "B", "C", "D", "E"] == submit_together(recorder, ["a", "b", "c", "d", "e"])

    assert [["a"], ["b", "c", "d", "e"]] == [sorted(group) for group in recorder.groups]


def test_a_lone_caller_pays_nothing(recorder: Recorder):
    """One request, one write, in the caller's own thread."""
    recorder.entered.set()

    assert "A" == GroupCommit(recorder.write, Busy).submit("a")
    assert [["a"]] == recorder.groups


def test_a_request_that_cannot_be_written_costs_only_itself(recorder: Recorder):
    """The others are written alone, each once."""
    recorder.failing["bad"] = ValueError("cannot be written")
    first, *results = submit_together(recorder, ["a", "b", "bad", "c"])

    assert ("A", ["B", "C"]) == (first, [result for result in results if isinstance(result, str)])
    assert [recorder.failing["bad"]] == [result for result in results if not isinstance(result, str)]
    assert {"b": 1, "bad": 1, "c": 1} == {name: recorder.groups.count([name]) for name in ("b", "bad", "c")}


def test_a_store_that_cannot_answer_is_not_asked_again_for_each(recorder: Recorder):
    """The error that concerns everybody goes to everybody of the group, after one try."""
    recorder.failing["b"] = Busy()
    first, *results = submit_together(recorder, ["a", "b", "c", "d"])

    assert ("A", 3) == (first, sum(isinstance(result, Busy) for result in results))
    assert 2 == len(recorder.groups)


def test_whoever_waits_with_a_thread_that_ends_does_not_wait_for_ever(recorder: Recorder):
    """Bug: when the writing thread was interrupted, the rest of its group spun without end."""
    recorder.failing["b"] = SystemExit()
    results = submit_together(recorder, ["a", "b", "c"])

    assert ["A", True, True] == [results[0], *(isinstance(result, SystemExit) for result in results[1:])]


def test_after_an_error_the_next_request_is_written(recorder: Recorder):
    """A failure leaves nothing behind."""
    recorder.entered.set()
    recorder.failing["bad"] = ValueError()
    commit = GroupCommit(recorder.write, Busy)

    with pytest.raises(ValueError):
        commit.submit("bad")

    assert "A" == commit.submit("a")


def test_a_group_has_a_size(recorder: Recorder):
    """What exceeds it goes into the next one, and nothing is left over."""
    requests = ["first", *(f"r{number}" for number in range(GROUP_REQUESTS_MAX + 3))]

    assert [request.upper() for request in requests] == submit_together(recorder, requests)
    assert [1, GROUP_REQUESTS_MAX, 3] == [len(group) for group in recorder.groups]


def test_under_load_every_request_is_written_once():
    """A thousand requests of eight threads: no one is lost, no one twice, and groups did form."""
    groups: list[list[int]] = []

    def write(requests: Sequence[int]) -> list[int]:
        groups.append(list(requests))
        return [request + 1 for request in requests]

    commit = GroupCommit(write, Busy)
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(commit.submit, range(1_000)))

    assert list(range(1, 1_001)) == results
    assert list(range(1_000)) == sorted(request for group in groups for request in group)
