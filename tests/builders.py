"""Builders for what does not matter in a test; what does stands in the test as a literal."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from assay.contract.ids import event_id
from assay.contract.messages import Event, MessageType, Rejection
from assay.contract.reading import Arrival, read_item
from assay.contract.times import HOUR, parse_instant
from assay_collector.pql.comparators import Comparator, parse_comparator
from assay_collector.pql.definition import EntityKind, Matcher, Signal
from assay_collector.pql.ledger import Transition
from assay_collector.pql.matching import Mark
from assay_collector.store import (
    Admission,
    AgendaEntry,
    Decided,
    EventRow,
    Identifier,
    OutboxMessage,
    Quarantined,
    Touch,
)

NOW = parse_instant("2026-03-01T09:00:00Z")


# --- messages ---


def message(**fields: Any) -> dict[str, Any]:
    """A track message that is in order."""
    return {"type": "track", "event": "Task Assigned", "userId": "u1", "messageId": "m1", **fields}


def encoded(body: object) -> bytes:
    """JSON as careless clients write it: bare NaN and Infinity, lone surrogates escaped."""
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def read(body: object, type: MessageType | None = None, *, new_id: str = "drawn", **arrival: Any) -> Event | Rejection:
    """A message as it is read when it comes now."""
    return read_item(encoded(body), type, Arrival(**{"received_at": NOW, **arrival}), lambda: new_id)


def read_event(body: object, type: MessageType | None = None, **arrival: Any) -> Event:
    """A message of which an event is made."""
    event = read(body, type, **arrival)
    assert isinstance(event, Event), event
    return event


def refused(body: object, type: MessageType | None = None, **arrival: Any) -> tuple[str, str]:
    """The code and pointer of a message of which none is made."""
    rejection = read(body, type, **arrival)
    assert isinstance(rejection, Rejection), rejection
    return rejection.code, rejection.pointer


# --- rows ---


def an_id(number: int) -> bytes:
    """An identity id, ascending with the number."""
    return number.to_bytes(16, "big")


LEAF, OTHER_LEAF, ACCOUNT = an_id(1), an_id(2), an_id(0xA0)


def event_row(message_id: str = "m1", **fields: Any) -> EventRow:
    """A stored event."""
    source = fields.get("source", "app")
    return EventRow(
        **{
            "event_id": event_id(source, message_id),
            "source": source,
            "message_id": message_id,
            "type": "track",
            "name": "Task Assigned",
            "at": NOW,
            "original_at": NOW,
            "sent_at": None,
            "received_at": NOW,
            "clamped": False,
            "leaf": LEAF,
            "account": None,
            "properties": b"{}",
            "context": b"{}",
            "digest": b"digest-1",
            "consent_id": None,
            "scored": True,
            "violations": None,
            "schema_version": None,
            **fields,
        }
    )


FOLLOWING = (
    "identifiers",
    "links",
    "links_refused",
    "memberships",
    "traits",
    "consent",
    "consents",
    "marks",
    "touches",
    "awaits",
    "dropped",
)


def admission(message_id: str = "m1", **fields: Any) -> Admission:
    """An admitted event, with the fields of either."""
    following = {key: fields.pop(key) for key in FOLLOWING if key in fields}
    return Admission(event_row(message_id, **fields), **{"identifiers": (), **following})


def quarantined(number: int = 1, **fields: Any) -> Quarantined:
    """A quarantined message; the larger the number the newer."""
    return Quarantined(
        **{
            "quarantine_id": an_id(number),
            "source": "app",
            "message_id": f"q{number}",
            "received_at": NOW + number,
            "reason": "schema_violation",
            "pointer": "/properties/count",
            "detail": "must be a number",
            "type": "track",
            "name": "Task Assigned",
            "schema_version": "1-0-0",
            "library": "analytics-python",
            "library_version": "2.4.0",
            "raw": b'{"event":"Task Assigned"}',
            **fields,
        }
    )


def mark(at: int = NOW, *, item: bytes | None = None, entity: bytes = LEAF, signal: int = 7) -> Mark:
    """What an event adds to a tally."""
    return Mark(entity, signal, LEAF, at, item)


def user(value: str, id: bytes = LEAF) -> Identifier:
    """A user id as it was sent."""
    return Identifier(id, "default", "user", value)


def touch(entity: bytes = LEAF, cause: str = "event", kind: EntityKind = "user") -> Touch:
    """Something new about an entity."""
    return Touch(kind, entity, cast(Any, cause))


def transition(**fields: Any) -> Transition:
    """A line of the ledger."""
    return Transition(
        **{
            "definition": "trial-activation",
            "definition_version": 1,
            "kind": "user",
            "entity": LEAF,
            "episode": 1,
            "step": "qualified",
            "revision": 1,
            "change": "new",
            "effective_at": NOW,
            "recorded_at": NOW,
            "cause": "event",
            "evidence": b"{}",
            **fields,
        }
    )


def outbox_message(id: str = "w1", entity: bytes = LEAF) -> OutboxMessage:
    """A notification."""
    return OutboxMessage(id, "crm", entity, "pql.qualified", b"{}", NOW)


def decided(entry: AgendaEntry, *transitions: Transition, **fields: Any) -> Decided:
    """The result of an agenda entry."""
    return Decided(**{"entry": entry, "transitions": transitions, "outbox": (), **fields})


# --- definitions ---


def signal(
    *events: str, of: str | None = None, scope: EntityKind = "user", where: Mapping[str, object] | None = None
) -> Signal:
    """A count of events, or with `of` a count of distinct values."""
    tests: Sequence[tuple[str, Comparator]] = [(path, parse_comparator(test)) for path, test in (where or {}).items()]
    return Signal(scope, "count" if of is None else "distinct", Matcher(events, tuple(tests)), of)


def hour_of(at: int) -> int:
    """The tally bucket of an instant."""
    return at // HOUR
