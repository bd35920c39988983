"""Second implementations of what the web floor stands on, in memory, and an app made of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from flask import Flask

from assay.contract.messages import Event, Rejection
from assay.contract.plan import Plan
from assay.contract.reading import Arrival, Envelope, read_item
from assay_collector.ingest.port import REFUSED_BYTES_MAX, RequestSignals
from assay_collector.keys import digest_of
from assay_collector.store import (
    Counts,
    Delivery,
    Facts,
    Key,
    OutboxMessage,
    Outcome,
    Quarantined,
    ReceiptLine,
    Source,
    StoreUnavailable,
)
from assay_collector.web.application import Services, WebSettings, build_app

NOW = 1_772_355_600_000_000  # 2026-03-01T09:00:00Z
BROWSER_KEY = "assay_wk_browser"
SERVER_KEY = "assay_ws_server"
OTHER_KEY = "assay_ws_other"
DEV_KEY = "assay_ws_dev"
REVOKED_KEY = "assay_ws_revoked"
ADMIN_TOKEN = "assay_admin_token"

SOURCES = (
    Source(id="app", name="The app's server"),
    Source(id="dev", name="Somebody's laptop", invalid="reject-in-development"),
    Source(id="other", name="Another source"),
    Source(id="web", name="The site", categories={"Analytics": ("analytics", "pql_scoring"), "Ads": ("enrichment",)}),
)
_KEYS: tuple[tuple[str, str, str | None], ...] = (
    (BROWSER_KEY, "browser", "web"),
    (SERVER_KEY, "server", "app"),
    (OTHER_KEY, "server", "other"),
    (DEV_KEY, "server", "dev"),
    (REVOKED_KEY, "server", "app"),
    (ADMIN_TOKEN, "admin", None),
)


class MemoryKeyring:
    """Sources and keys in a dictionary; counts how often it is asked."""

    def __init__(self) -> None:
        self.lookups = 0
        self._sources = {source.id: source for source in SOURCES}
        self._keys = {
            digest_of(secret): Key(
                id=f"key_{secret.rsplit('_', 1)[1]}",
                kind=kind,  # type: ignore[arg-type]
                source=source,
                digest=digest_of(secret),
                created_at=0,
                revoked_at=1 if secret == REVOKED_KEY else None,
            )
            for secret, kind, source in _KEYS
        }

    def sources(self) -> Sequence[Source]:
        return tuple(self._sources.values())

    def put_source(self, source: Source, now: int) -> None:
        self._sources[source.id] = source

    def keys(self) -> Sequence[Key]:
        return tuple(self._keys.values())

    def put_key(self, key: Key) -> None:
        self._keys[key.digest] = key

    def revoke(self, key_id: str, now: int) -> bool:
        digest = next((key.digest for key in self._keys.values() if key.id == key_id), None)
        return digest is not None and self._keys.pop(digest, None) is not None

    def find(self, digest: bytes) -> Key | None:
        self.lookups += 1
        key = self._keys.get(digest)
        return key if key is not None and key.revoked_at is None else None


class MemoryStore:
    """As much of the store port as the web floor asks for."""

    def __init__(self) -> None:
        self.keyring = MemoryKeyring()
        self.quarantined: list[Quarantined] = []
        self.lines: list[ReceiptLine] = []
        self.letters: list[Delivery] = []
        self.down = False
        self.waited = 0

    @property
    def events(self) -> Any:
        return self

    @property
    def agenda(self) -> Any:
        return self

    @property
    def outbox(self) -> Any:
        return self

    def check(self) -> None:
        if self.down:
            raise StoreUnavailable("the disk is full")

    def receipts(self, message_id: str) -> Sequence[ReceiptLine]:
        self.check()
        return [line for line in self.lines if line.message_id == message_id]

    def counts(self) -> Counts:
        self.check()
        return Counts(stored=len(self.lines), duplicates=2, conflicts=1, quarantined={"invalid_json": 3})

    def quarantine(self, *, reason: str | None, limit: int, before: bytes | None) -> Sequence[Quarantined]:
        rows = [row for row in self.quarantined if reason in (None, row.reason)]
        rows = [row for row in rows if before is None or row.quarantine_id < before]
        return sorted(rows, key=lambda row: row.quarantine_id, reverse=True)[:limit]

    def link_counts(self) -> dict[str, int]:
        return {"two_users": 3}

    def backlog(self, now: int) -> tuple[int, int]:
        self.check()
        return (1 if self.waited else 0), self.waited

    def pending(self) -> int:
        return len(self.letters)

    def dead(self, *, endpoint: str | None, limit: int) -> Sequence[Delivery]:
        return [letter for letter in self.letters if endpoint in (None, letter.message.endpoint)][:limit]

    def resend(self, message_ids: Sequence[str], now: int) -> int:
        before = len(self.letters)
        self.letters = [letter for letter in self.letters if letter.message.message_id not in message_ids]
        return before - len(self.letters)

    def snapshot(self) -> AbstractContextManager[Facts]:
        raise NotImplementedError

    def setting(self, name: str, default: bytes) -> bytes:
        return default

    def close(self) -> None:
        pass


@dataclass
class RecordingIngest:
    """An ingest stage that keeps everything in lists, with the real reading and exact deduplication."""

    stored: dict[tuple[str, str], Event] = field(default_factory=dict)
    quarantined: list[tuple[str, str, bytes]] = field(default_factory=list)  # source, code, raw
    arrivals: list[Arrival] = field(default_factory=list)
    signals: list[RequestSignals] = field(default_factory=list)
    down: bool = False
    broken: bool = False
    _ids: Iterator[int] = field(default_factory=count)

    def receive(
        self, envelope: Envelope, source: Source, arrival: Arrival, signals: RequestSignals
    ) -> Sequence[Outcome]:
        if self.down:
            raise StoreUnavailable("the disk is full")
        if self.broken:
            raise ValueError("a secret that was sent")
        self.arrivals.append(arrival)
        self.signals.append(signals)
        merged = Arrival(
            received_at=arrival.received_at,
            sent_at=arrival.sent_at if envelope.sent_at is None else envelope.sent_at,
            anonymous_id=arrival.anonymous_id,
            context=envelope.context,
        )
        return [self._take(bytes(memoryview(item)), envelope, source, merged, signals) for item in envelope.items]

    def refuse(self, body: bytes, source: Source, code: str, detail: str, received_at: int) -> None:
        if self.down:
            raise StoreUnavailable("the disk is full")
        self.quarantined.append((source.id, code, body[:REFUSED_BYTES_MAX]))

    def _take(
        self, raw: bytes, envelope: Envelope, source: Source, arrival: Arrival, signals: RequestSignals
    ) -> Outcome:
        event = read_item(raw, envelope.type, arrival, lambda: f"made-{next(self._ids)}")
        if isinstance(event, Rejection):
            self.quarantined.append((source.id, event.code, raw))
            return Outcome(event.message_id, "quarantined", event.code, event.detail)
        if event.write_key is not None:
            own = signals.sources(event.write_key)
            if own is None:
                self.quarantined.append((source.id, "invalid_write_key", raw))
                return Outcome(event.message_id, "quarantined", "invalid_write_key", "unknown key")
            source = own
        if event.name == "Unplanned" and source.invalid == "reject-in-development":
            return Outcome(event.message_id, "rejected", "unplanned_event", "the plan does not know it")
        if (source.id, event.message_id) in self.stored:
            return Outcome(event.message_id, "duplicate")
        self.stored[source.id, event.message_id] = event
        return Outcome(event.message_id, "stored")


class SmallExplainer:
    """Knows one account, by an id with slashes, and three leads."""

    def qualifications(self, kind: str | None, value: str) -> dict[str, Any] | None:
        if value != "/acme//eu/" or kind == "user":
            return None
        return {"kind": "account", "entity": value, "qualified": []}

    def leads(self, definition: str | None, limit: int, offset: int) -> list[dict[str, Any]]:
        leads = [{"definition": name, "entity": str(number)} for number, name in enumerate(("hot", "cold", "hot"))]
        return [lead for lead in leads if definition in (None, lead["definition"])][offset : offset + limit]


@dataclass
class House:
    """An app, and the parts that it stands on."""

    app: Flask
    store: MemoryStore
    ingest: RecordingIngest
    clock: list[int]  # one element: the time; move it

    def stored_ids(self) -> list[str]:
        return [f"{source}:{message_id}" for source, message_id in self.ingest.stored]

    def quarantined_codes(self) -> list[str]:
        return [code for _, code, _ in self.ingest.quarantined]

    def metric(self, name: str) -> str:
        """The /metrics lines of one metric."""
        text = self.app.test_client().get("/metrics").text
        return "\n".join(line for line in text.splitlines() if line.startswith(name))


def make_house(
    settings: WebSettings | None = None,
    *,
    draining: Callable[[], bool] = lambda: False,
    random: float = 0.5,
    plan: Plan | None = None,
) -> House:
    """A house in memory, its clock at NOW and its dice loaded."""
    store, ingest, clock = MemoryStore(), RecordingIngest(), [NOW]
    services = Services(
        store=store,  # type: ignore[arg-type]
        ingest=ingest,
        explainer=SmallExplainer(),
        now=lambda: clock[0],
        random=lambda: random,
        draining=draining,
        plan=plan,
    )
    return House(build_app(services, settings), store, ingest, clock)


def without_door(app: Flask) -> Flask:
    """The same app as Flask alone would serve it."""
    app.wsgi_app = app.wsgi_app.inner  # type: ignore[method-assign, attr-defined]
    return app


def dead_letter(message_id: str) -> Delivery:
    message = OutboxMessage(message_id, "crm", b"\1" * 16, "pql.qualified", b"{}", NOW)
    return Delivery(message, "dead", 8, NOW, "503")


def quarantined(number: int, reason: str, raw: bytes = b"{}") -> Quarantined:
    return Quarantined(
        number.to_bytes(16, "big"), "web", f"m{number}", NOW, reason, "/properties/plan", "must be a string",
        "track", "Task Assigned", "1-0-0", "analytics.js", "1.84.3", raw,
    )  # fmt: skip
