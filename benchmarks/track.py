"""
What one call of ``track()`` costs: ours with validation on, against segment-analytics-python without.

Both run in this process, in turns, so that both meet the same machine; the medians of the turns are compared. Both do
all that their call does, and queue. Neither sends during a turn, since this is about the call: their consumer is not
started and their queue is emptied between turns; our transport stands still until the turn is over.

    python benchmarks/track.py [--calls 20000] [--turns 9]
"""

import argparse
import json
import statistics
import threading
import time
from collections.abc import Callable

from segment.analytics.client import Client as SegmentClient

import assay
from assay.contract.plan import Plan
from assay.delivery import Answer

PROPERTIES = {
    "task_id": "task-48213",
    "project_id": "project-912",
    "title": "Write the release notes",
    "priority": "high",
    "estimate_hours": 1.5,
    "assignee_count": 3,
    "is_recurring": False,
    "due_on": None,
}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "x-assay": {
        "type": "track",
        "event": "Task Assigned",
        "version": "1-0-0",
        "owner": "growth",
        "description": "A task was given to someone.",
        "purposes": ["analytics"],
    },
    "type": "object",
    "required": ["task_id", "project_id"],
    "additionalProperties": False,
    "properties": {
        "task_id": {"type": "string", "minLength": 1, "maxLength": 64},
        "project_id": {"type": "string", "minLength": 1, "maxLength": 64},
        "title": {"type": "string", "maxLength": 200},
        "priority": {"enum": ["low", "normal", "high"]},
        "estimate_hours": {"type": "number", "minimum": 0},
        "assignee_count": {"type": "integer", "minimum": 0},
        "is_recurring": {"type": "boolean"},
        "due_on": {"type": ["string", "null"]},
    },
}
DOCUMENTS = {
    "plan.json": {"name": "benchmark", "description": "One event.", "owner": "growth"},
    "events/task-assigned/1-0-0.json": SCHEMA,
}


class Nowhere:
    """A transport that stands still while it is closed, then acknowledges everything and keeps nothing."""

    def __init__(self) -> None:
        self.is_open = threading.Event()

    def send(self, body: bytes, *, timeout_seconds: float) -> Answer:  # noqa: ARG002
        self.is_open.wait()
        return Answer(status=200, body=b'{"success":true}')

    def close(self) -> None: ...

    def forget(self) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000, help="calls in one turn")
    parser.add_argument("--turns", type=int, default=9, help="turns of each client")
    arguments = parser.parse_args()
    plan = Plan.from_documents({file: json.dumps(document).encode() for file, document in DOCUMENTS.items()})
    capacity = arguments.calls + 1_000
    nowhere = Nowhere()
    ours = assay.Client(
        "http://localhost", "key", plan=plan, on_invalid="raise", queue_events_max=capacity, transport=nowhere
    )
    theirs = SegmentClient("key", send=False, max_queue_size=capacity)
    theirs.send = True  # after the start, so it queues and has no consumer
    ours_us, theirs_us = [], []
    for _ in range(arguments.turns):
        theirs_us.append(_turn(lambda: theirs.track("user-7", "Task Assigned", PROPERTIES), arguments.calls))
        nowhere.is_open.clear()
        ours_us.append(_turn(lambda: ours.track("user-7", "Task Assigned", PROPERTIES), arguments.calls))
        nowhere.is_open.set()
        ours.flush()
        theirs.queue.queue.clear()
    stats = ours.stats()
    ours.close()
    assert stats.delivered == stats.tracked == arguments.calls * arguments.turns, stats
    _print("assay, validation on", ours_us)
    _print("segment-analytics-python, no validation", theirs_us)
    ratio = statistics.median(ours_us) / statistics.median(theirs_us)
    print(f"{'ratio':42} {ratio:8.3f}      at most 0.250, aim 0.125")


def _turn(call: Callable[[], object], calls: int) -> float:
    """Microseconds a call."""
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls * 1e6


def _print(name: str, turns: list[float]) -> None:
    print(f"{name:42} {statistics.median(turns):8.2f} us   from {min(turns):.2f} to {max(turns):.2f}")


if __name__ == "__main__":
    main()
