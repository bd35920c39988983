"""Delivers a simulation: most of it through the SDK, the rest as it is over HTTP, all into a running collector."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from examples.planboard.messages import Message, write_instant
from examples.planboard.simulation import Simulation

from assay import Client

RAW_BATCH_EVENTS = 100
TRIES_MAX = 8
# How long the SDK may take to hand over what it still has.
FLUSH_SECONDS_MAX = 120.0

Progress = Callable[[int], None]  # told how many more messages were handed over


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """How many messages went which way."""

    sdk: int
    raw: int


@dataclass(eq=False)
class NotDelivered(Exception):
    """The collector did not take what it was sent."""

    what: str
    messages: int

    def __str__(self) -> str:
        return f"{self.messages} message(s) were not delivered: {self.what}"


def deliver(simulation: Simulation, url: str, write_key: str, progress: Progress | None = None) -> Delivered:
    """
    Deliver every message, in the simulation's order as far as two clients can, and wait until all are acknowledged.

    Args:
        url: The collector's address.
        write_key: The key of a source whose mode for bad events is `quarantine`.
        progress: Called with the number of messages just handed over.

    Raises:
        NotDelivered: Something was not acknowledged in the end. What was, was.
    """
    report = progress or (lambda _: None)
    counts = {"sdk": 0, "raw": 0}
    raw = _RawClient(url, write_key)
    sdk = Client(url, write_key, on_invalid="off", when_full="block", block_seconds=FLUSH_SECONDS_MAX)
    try:
        for message in simulation.messages:
            if message.via == "sdk":
                _say(sdk, message)
            else:
                raw.add(message)
            counts[message.via] += 1
            report(1)
        raw.flush()
        _flush(sdk)
    finally:
        raw.close()
        sdk.close()
    return Delivered(sdk=counts["sdk"], raw=counts["raw"])


def _say(client: Client, message: Message) -> None:
    body = message.body
    who: dict[str, Any] = {
        "user_id": body.get("userId"),
        "anonymous_id": body.get("anonymousId"),
        "context": body.get("context"),
        "timestamp": body["timestamp"],
        "message_id": body["messageId"],
    }
    match body["type"]:
        case "track":
            accepted = client.track(event=body["event"], properties=body["properties"], **who)
        case "page":
            accepted = client.page(name=body["name"], properties=body["properties"], **who)
        case "identify":
            accepted = client.identify(traits=body["traits"], **who)
        case "group":
            accepted = client.group(group_id=body["groupId"], traits=body["traits"], **who)
        case _ as unknown:
            raise AssertionError(f"the simulation has no messages of type {unknown}")
    if accepted is None:
        raise NotDelivered(f"the SDK dropped {body['messageId']}", 1)


def _flush(client: Client) -> None:
    client.flush(FLUSH_SECONDS_MAX)
    stats = client.stats()
    lost = stats.tracked - stats.delivered
    if lost:
        raise NotDelivered(f"the SDK says {stats}", lost)


@dataclass
class _RawClient:
    """Batches over plain HTTP, for what the SDK would refuse to send, and for devices whose clock is off."""

    url: str
    write_key: str
    _waiting: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._http = httpx.Client(base_url=self.url, auth=(self.write_key, ""), timeout=30.0)

    def add(self, message: Message) -> None:
        self._waiting.append(message)
        if len(self._waiting) >= RAW_BATCH_EVENTS:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            self._post(self._waiting)
            self._waiting = []

    def close(self) -> None:
        self._http.close()

    def _post(self, messages: Sequence[Message]) -> None:
        answer = "no answer"
        for attempt in range(TRIES_MAX):
            try:
                response = self._http.post("/v1/batch", json={"batch": [_stamped(m) for m in messages]})
            except httpx.TransportError as error:
                answer = repr(error)
            else:
                if response.status_code == 200:
                    return
                answer = f"{response.status_code} {response.text[:200]}"
                if response.status_code not in (429, 503):
                    break
            time.sleep(min(0.1 * 2**attempt, 5.0))
        raise NotDelivered(answer, len(messages))


def _stamped(message: Message) -> dict[str, Any]:
    """
    The message as its device sends it now.

    A device whose clock is off says so by a `sentAt` that is off by as much. All others leave `sentAt` out, so that
    their times are taken as they are.
    """
    if not message.skew:
        return dict(message.body)
    return {**message.body, "sentAt": write_instant(time.time_ns() // 1000 + message.skew)}
