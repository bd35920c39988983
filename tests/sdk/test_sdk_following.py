"""The client follows the collector's plan: in the background, and the last good one stays."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from assay import Client, InvalidSetting
from assay.contract.plan import Plan
from assay.delivery import Answer
from assay.testing import CapturingTransport
from serving import serving, wait_until, write_key

OFTEN = 0.1


def documents(*events: str, **properties: Any) -> dict[str, bytes]:
    """A plan of events with these properties."""
    files: dict[str, Any] = {"plan.json": {"name": "test"}}
    for event in events:
        files[f"events/{event.lower()}/1-0-0.json"] = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "x-assay": {"type": "track", "event": event, "version": "1-0-0", "purposes": ["analytics"]},
            "type": "object",
            "properties": properties,
        }
    return {path: json.dumps(content).encode() for path, content in files.items()}


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def served(plan: Plan) -> Answer:
    files = {path: json.loads(content) for path, content in plan.documents.items()}
    return Answer(status=200, body=json.dumps({"revision": plan.revision, "documents": files}).encode())


class PlanningTransport(CapturingTransport):
    """Answers questions for the plan, the last answer again and again, and keeps what was asked."""

    def __init__(self, *plans: Answer | Exception) -> None:
        super().__init__()
        self._plans = list(plans)
        self.asked: list[str | None] = []

    def plan(self, revision: str | None, *, timeout_seconds: float) -> Answer:
        self.asked.append(revision)
        answer = self._plans.pop(0) if len(self._plans) > 1 else self._plans[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def client(transport: CapturingTransport, **options: Any) -> Client:
    options = {"linger_seconds": 0, "follow_plan_seconds": OFTEN, "on_invalid": "drop", **options}
    return Client("http://collector.test", "key", transport=transport, **options)


def until(client: Client, event: str, taken: bool) -> None:
    """Track until the client takes, or drops, this event."""

    def is_so() -> bool:
        client.flush()
        return (client.track("u1", event) is not None) == taken

    wait_until(is_so)


NARROW, WIDE = Plan.from_documents(documents("Seen")), Plan.from_documents(documents("Seen", "Sent"))


def test_a_real_collectors_new_plan_is_taken_up_without_a_deploy(tmp_path: Path) -> None:
    """An event that was not planned is planned once the collector says so; the app does nothing for it."""
    write(tmp_path / "plan", documents("Seen"))
    key = write_key(tmp_path)
    with serving(tmp_path, "--plan", "plan") as collector:
        following = Client(
            collector.url, key, plan=tmp_path / "plan", follow_plan_seconds=OFTEN, on_invalid="drop", linger_seconds=0
        )
        assert None is following.track("u1", "Sent")
        assert following.track("u1", "Seen")
        following.flush()
        collector.terminate()
    write(tmp_path / "plan", documents("Seen", "Sent"))

    with serving(tmp_path, "--plan", "plan", port=collector.port), following:
        following.track("u1", "Seen")
        wait_until(lambda: following.flush() == 0 and following.track("u1", "Seen") and following.track("u1", "Sent"))

        assert 0 == following.flush()
        assert {"invalid"} == set(following.stats().dropped)


def test_it_begins_without_a_plan_and_asks_with_the_revision_it_has() -> None:
    """The first events are not checked; later questions say what is known already."""
    transport = PlanningTransport(served(NARROW), Answer(status=304))
    with client(transport) as following:
        assert following.track("u1", "Sent")
        until(following, "Sent", taken=False)
        until(following, "Seen", taken=True)
        wait_until(lambda: following.track("u1", "Seen") and following.flush() == 0 and len(transport.asked) > 2)

    assert [None, NARROW.revision, NARROW.revision] == transport.asked[:3]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=200, body=b"<html>"),
        Answer(status=200, body=b'{"documents": {"plan.json": 7}}'),
        Answer(status=403),
        Answer(status=500),
        Answer(status=0, failure="ConnectError"),
        RuntimeError("a transport of the app's own"),
    ],
    ids=lambda answer: repr(answer)[:40],
)
def test_what_is_no_plan_changes_nothing(answer: Any) -> None:
    """The last good plan stays, events go on, and a later good plan is taken up."""
    transport = PlanningTransport(answer, answer, served(WIDE))
    with client(transport, plan=NARROW) as following:
        assert None is following.track("u1", "Sent")
        assert following.track("u1", "Seen")
        until(following, "Sent", taken=True)

        assert 0 == following.flush()

    assert len(transport.asked) >= 3


def test_scrubbing_follows_the_marks() -> None:
    """What a new plan marks is scrubbed from then on."""
    marked = Plan.from_documents(documents("Seen", email={"type": "string", "x-pii": "email"}))
    transport = PlanningTransport(served(marked))
    with client(transport, plan=NARROW, scrub={"email": "drop"}, on_invalid="off") as following:

        def is_scrubbed() -> bool:
            following.track("u1", "Seen", {"email": "ann@example.com"})
            following.flush()
            return transport.events[-1]["properties"] == {}

        wait_until(is_scrubbed)


def test_no_call_waits_for_a_collector_that_is_slow_with_its_plan() -> None:
    """The app's threads only ever see the last plan."""

    class Slow(PlanningTransport):
        def plan(self, revision: str | None, *, timeout_seconds: float) -> Answer:
            self.asked.append(revision)
            time.sleep(1)
            return Answer(status=0, failure="ReadTimeout")

    transport = Slow()
    with client(transport, plan=NARROW) as following:
        following.track("u1", "Seen")
        wait_until(lambda: bool(transport.asked))
        began = time.monotonic()
        for _ in range(100):
            following.track("u1", "Seen")

        assert time.monotonic() - began < 0.5


@pytest.mark.parametrize("seconds", [0, -1, 0.01])
def test_it_does_not_ask_all_the_time(seconds: float) -> None:
    """A setting that would load the collector is refused."""
    with pytest.raises(InvalidSetting, match="follow_plan_seconds"):
        Client("http://collector.test", "key", follow_plan_seconds=seconds)
