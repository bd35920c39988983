"""Builders for what does not matter to a test."""

from typing import Any

from assay_collector.deliver import Endpoint
from assay_collector.store import OutboxMessage, Transition

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z


def an_endpoint(name: str = "crm", url: str = "https://hooks.example.test/in", **settings: Any) -> Endpoint:
    return Endpoint(name=name, url=url, **{"secret": SECRET, **settings})


def a_message(id: str = "msg_1", *, entity: int = 1, endpoint: str = "crm", at: int = NOW) -> OutboxMessage:
    body = f'{{"type":"pql.qualified","id":"{id}"}}'.encode()
    return OutboxMessage(id, endpoint, bytes([entity]) * 16, "pql.qualified", body, at)


def a_transition(**changes: Any) -> Transition:
    values: dict[str, Any] = {
        "definition": "trial-activation",
        "definition_version": 1,
        "kind": "user",
        "entity": bytes(range(16)),
        "episode": 1,
        "step": "qualified",
        "revision": 1,
        "change": "new",
        "effective_at": NOW,
        "recorded_at": NOW + 1_500_000,
        "cause": "event",
        "evidence": b'{"tasks":{"value":3,"threshold":"at least 3"}}',
    }
    return Transition(**{**values, **changes})
