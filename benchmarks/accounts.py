"""Accounts with much or little history, for the benchmarks of deciding."""

import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.harness import WORKED

DAYS = 60
# What people do, and how often compared with each other.
HABITS: dict[str, int] = {
    "Message Sent": 40,
    "Task Assigned": 15,
    "Document Created": 10,
    "Workflow Run": 10,
    "Report Run": 8,
    "Premium Used": 6,
    "File Synced": 5,
    "Pricing Viewed": 2,
    "Billing Viewed": 2,
    "Integration Connected": 1,
    "Automation Created": 1,
}


@dataclass(frozen=True, slots=True)
class Crowd:
    """An account and its people."""

    account: str
    people: int

    def person(self, number: int) -> str:
        return f"{self.account}-{number}"


def introductions(crowd: Crowd, at: datetime) -> list[dict[str, Any]]:
    """Who the account and its people are, and that they belong together."""
    kind = {"plan_state": "paid", "seats": 8, "employees": 600, "industry": "software"}
    found = [_message("group", crowd, 0, at, groupId=crowd.account, traits=kind)]
    for number in range(crowd.people):
        role = "admin" if number % 50 == 0 else "member"
        found.append(_message("group", crowd, number, at, groupId=crowd.account))
        found.append(
            _message("identify", crowd, number, at, traits={"role": role, "plan": "free", "monthly_units": 100})
        )
        started = {"event": "Account Created" if number else "Trial Started", "context": {"groupId": crowd.account}}
        found.append(_message("track", crowd, number, at, **started))
    return found


def doings(crowd: Crowd, instants: Sequence[datetime], random: Random, *, actors: int = 0) -> Iterator[dict[str, Any]]:
    """
    One event at each of these instants, of anybody of the crowd.

    Args:
        actors: So many of them take part; 0: everybody.
    """
    chosen = random.sample(range(crowd.people), min(actors or crowd.people, crowd.people))
    names, weights = list(HABITS), list(HABITS.values())
    for at in instants:
        properties = {
            "sender_kind": "human",
            "department": random.choice(["sales", "support", "design"]),
            "role": "admin",
            "units": 1,
            "kind": "data_source",
            "device_id": f"d{random.randrange(5)}",
            "document_id": f"p{random.randrange(1000)}",
        }
        (name,) = random.choices(names, weights)
        context = {"groupId": crowd.account}
        yield _message("track", crowd, random.choice(chosen), at, event=name, properties=properties, context=context)


def past(number: int, until: datetime, random: Random) -> list[datetime]:
    """So many instants of the last days, in order."""
    span = timedelta(days=DAYS).total_seconds()
    return sorted(until - timedelta(seconds=random.random() * span) for _ in range(number))


def seed(database: Path, messages: Iterable[dict[str, Any]]) -> int:
    """Store messages as a collector with the worked definitions would, without a server. Returns how many."""
    from assay.contract.reading import Arrival, open_envelope
    from assay_collector.app import identity_key
    from assay_collector.definitions_folder import load_catalogue
    from assay_collector.identity.identifiers import identifier_hasher
    from assay_collector.ingest.admission import Admitter
    from assay_collector.ingest.port import RequestSignals
    from assay_collector.ingest.receiver import Receiver
    from assay_collector.pql.matching import SignalIndex
    from assay_collector.qualify.refill import refill
    from assay_collector.settings import Settings
    from assay_collector.stores.sqlite.store import SQLiteStore

    store = SQLiteStore(database)
    catalogue = load_catalogue(WORKED, None)
    identify = identifier_hasher(identity_key(Settings(database=database), store))
    now = int(datetime.now(UTC).timestamp() * 1e6)
    refill(store, catalogue, now=now)
    ids = count()
    receiver = Receiver(
        store.events,
        Admitter(identify, SignalIndex(catalogue.signals)),
        None,
        new_message_id=lambda: f"seeded-{next(ids)}",
        new_quarantine_id=lambda: secrets.token_bytes(16),
        turn=store.turn,
    )
    (source,) = store.keyring.sources()
    signals = RequestSignals(gpc=False, dnt=False, ip=None, sources=lambda _: None)
    total = 0
    try:
        for part in _parts(messages, 1_000):
            body = json.dumps({"batch": part}).encode()
            receiver.receive(open_envelope(body, None), source, Arrival(received_at=now), signals)
            total += len(part)
    finally:
        store.close()
    return total


def _parts(messages: Iterable[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    for message in messages:
        part.append(message)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


_ids = count()


def _message(type: str, crowd: Crowd, number: int, at: datetime, **fields: Any) -> dict[str, Any]:
    said = at.isoformat().replace("+00:00", "Z")
    message_id = f"{crowd.account}-{next(_ids)}-{secrets.token_hex(4)}"
    return {"type": type, "messageId": message_id, "userId": crowd.person(number), "timestamp": said, **fields}
