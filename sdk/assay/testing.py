"""For the tests of apps that use Assay: a transport that keeps what is sent, in place of the network."""

import threading
from collections.abc import Iterable
from typing import Any

import msgspec

from assay.delivery import Answer

SUCCESS = Answer(status=200, body=b'{"success":true}')


class CapturingTransport:
    """
    Keeps every acknowledged event, and answers as a collector would.

    >>> transport = CapturingTransport()
    >>> client = Client("http://collector.test", "key", transport=transport)
    >>> client.track("u1", "Task Assigned", {"task_id": "t1"})
    >>> client.flush()
    >>> transport.events[0]["event"]
    'Task Assigned'

    Args:
        answers: What to answer, one after the other, before the answers become successes.
    """

    def __init__(self, answers: Iterable[Answer] = ()) -> None:
        self._answers = list(answers)
        self._lock = threading.Lock()
        # Every request's body, decoded, acknowledged or not.
        self.batches: list[dict[str, Any]] = []
        # The events of acknowledged requests, in order.
        self.events: list[dict[str, Any]] = []

    def send(self, body: bytes, *, timeout_seconds: float) -> Answer:  # noqa: ARG002 - there is nothing to wait for
        """Keep the batch. See the promises of assay.transport.Transport."""
        batch = msgspec.json.decode(body)
        with self._lock:
            answer = self._answers.pop(0) if self._answers else SUCCESS
            self.batches.append(batch)
            if answer.status == 200:
                self.events.extend(batch["batch"])
            return answer

    def close(self) -> None:
        """Nothing to close; what was captured stays."""

    def forget(self) -> None:
        """Nothing to forget: a forked child captures on, in its own memory."""
