"""The event log over one SQLite file: events, quarantine and all that follows from an event, in one transaction."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from sqlite3 import Connection
from typing import Any

from msgspec.structs import astuple

from assay.contract.ids import event_id as derive_event_id
from assay.contract.times import HOUR, INSTANT_MAX
from assay_collector.pql.happened import NOTHING, Happened, bits_of
from assay_collector.store import (
    PLAIN_CAUSES,
    Admission,
    Cause,
    CommitStatus,
    Counts,
    EntityKind,
    EventRow,
    Identifier,
    Mark,
    Quarantined,
    ReceiptLine,
    StoreUnavailable,
    Touch,
    TraitChange,
)
from assay_collector.stores.group_commit import GroupCommit
from assay_collector.stores.sqlite.agenda import touch
from assay_collector.stores.sqlite.consent import (
    only_agrees_again,
    readable,
    release,
    select_dropped,
    write_consent,
    write_dropped,
)
from assay_collector.stores.sqlite.database import Database
from assay_collector.stores.sqlite.identity import departed, spoken_of, write_links, write_memberships
from assay_collector.stores.sqlite.rows import chunks, marks, select_in
from assay_collector.stores.sqlite.stops import REFUSALS, Stops, judged, refusal_of

KNOWN_MAX = 500_000
SCAN_ROWS = 1_000

EVENT_COLUMNS = EventRow.__struct_fields__
_TEXTS = tuple(EVENT_COLUMNS.index(column) for column in ("properties", "context", "violations"))
# What tallying does not read is not read from the disk either.
_UNREAD = {"context": "'{}'", "violations": "NULL", "digest": "x''", "sent_at": "NULL", "original_at": "NULL"}
_TALLIED_COLUMNS = tuple(_UNREAD.get(column, column) for column in EVENT_COLUMNS)
_FLAGS = tuple(EVENT_COLUMNS.index(column) for column in ("clamped", "scored"))
_QUARANTINE_COLUMNS = tuple(name for name in Quarantined.__struct_fields__ if name != "names")
_REFUSED = REFUSALS | {"consent_denied"}  # of what is refused, nothing is stored

_INSERT_EVENT = f"INSERT INTO events ({','.join(EVENT_COLUMNS)}) VALUES ({marks(len(EVENT_COLUMNS))})"
_INSERT_QUARANTINED = (
    f"INSERT INTO quarantine ({','.join(_QUARANTINE_COLUMNS)}) VALUES ({marks(len(_QUARANTINE_COLUMNS))})"
)
_INSERT_CONFLICT = """
    INSERT INTO conflicts (event_id, digest, source, message_id, received_at, leaf, type, name, properties, context)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_INSERT_IDENTIFIER = "INSERT INTO identifiers (id, namespace, type, value) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
_INSERT_PARTICIPATION = "INSERT INTO participations (leaf, account) VALUES (?, ?) ON CONFLICT DO NOTHING"
_INSERT_TRAIT = """
    INSERT INTO traits (entity, key, at, event_id, value, scored) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_UPSERT_TALLY = """
    INSERT INTO tallies (entity, signal, bucket, leaf, n, first_at, last_at) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET n = n + excluded.n, first_at = min(first_at, excluded.first_at),
        last_at = max(last_at, excluded.last_at)
"""
_UPSERT_ITEM = """
    INSERT INTO tally_items (entity, signal, bucket, leaf, item, first_at, last_at) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at)
"""
_COUNT = """
    INSERT INTO counters (name, source, reason, n) VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET n = n + excluded.n
"""

_Request = tuple[Sequence[Admission], Sequence[Quarantined]]
# Both ends of a link, its kind and direction; leaf and account of a membership, and nothing.
_Edge = tuple[bytes, bytes, str, bytes]
_LATER = INSTANT_MAX + 1


class SQLiteEventLog:
    """EventLog over one SQLite file; see the port for what it promises."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._group_commit: GroupCommit[_Request, Sequence[CommitStatus]] = GroupCommit(self._write, StoreUnavailable)
        # What is stored already, so that it need not be written again with every event; and as of which generation of
        # stops.
        self._known_at = 0
        self._known_identifiers: set[bytes] = set()
        self._known_participations: set[tuple[bytes, bytes | None]] = set()
        # Links and memberships, with the earliest instant that is stored of each.
        self._known_edges: dict[_Edge, int] = {}
        # Leaf and account: who left once may be back with any message. Few, so all are known.
        with database.reading() as connection:
            self._departed = departed(connection)

    def commit(self, admissions: Sequence[Admission], quarantined: Sequence[Quarantined]) -> Sequence[CommitStatus]:
        if not admissions and not quarantined:
            return ()
        return self._group_commit.submit((admissions, quarantined))

    def _write(self, requests: Sequence[_Request]) -> list[Sequence[CommitStatus]]:
        admissions = [admission for request in requests for admission in request[0]]
        quarantined = [entry for request in requests for entry in request[1]]
        with self._database.transaction() as connection:
            stops = self._database.stops.now(connection)
            if self._database.stops.generation != self._known_at:
                # Rows were removed, perhaps by another process.
                self.forget_known()
                self._known_at = self._database.stops.generation
            passed, refusals = judged(stops, admissions)
            statuses, fresh = _sort_out(connection, passed)
            edges = self._write_fresh(connection, fresh)
            _write_quarantined(connection, [entry for entry in quarantined if stops.refusal(entry.names) is None])
            dropped = [a for a, status in zip(passed, statuses, strict=True) if status == "consent_denied"]
            if dropped:
                touch(connection, write_dropped(connection, dropped), self._database.epoch)
            statuses = _merged(refusals, statuses)
            _count(connection, admissions, statuses, quarantined, stops)
        self._remember(fresh, edges)
        return _split(statuses, requests)

    def _write_fresh(self, connection: Connection, fresh: Sequence[Admission]) -> dict[_Edge, int]:
        """Write what is new, and return the links and memberships that were."""
        edges: dict[_Edge, int] = {}
        if not fresh:
            return edges
        connection.executemany(_INSERT_EVENT, [_event_values(a.event) for a in fresh])
        known = self._known_identifiers
        _insert(connection, _INSERT_IDENTIFIER, (i for a in fresh for i in a.identifiers if i.id not in known))
        pairs = {(a.event.leaf, a.event.account) for a in fresh if a.event.account is not None}
        connection.executemany(_INSERT_PARTICIPATION, pairs - self._known_participations)
        write_links(connection, (link for a in fresh for link in a.links))
        write_memberships(connection, (m for a in fresh for m in a.memberships))
        connection.executemany(_INSERT_TRAIT, [_trait_values(trait) for a in fresh for trait in a.traits])
        granted = write_consent(connection, fresh)
        write_marks(connection, (mark for a in fresh for mark in a.marks))
        touches = _plain_touches(fresh)
        for admission in fresh:
            knows_more = self._add_edges(admission, edges)
            agrees_again = bool(admission.consents) and only_agrees_again(connection, admission.consents)
            for entry in admission.touches:
                if entry.cause in PLAIN_CAUSES or (agrees_again and entry.cause == "consent"):
                    continue
                # A client repeats who it is with every event; only what it had not said before can change anybody.
                if entry.cause != "identity" or knows_more:
                    touches.setdefault(entry, admission.event.received_at)
        touches |= self._new_previous_names(connection, fresh) | granted
        touch(connection, touches, self._database.epoch)
        return edges

    def _new_previous_names(self, connection: Connection, fresh: Sequence[Admission]) -> dict[Touch, int]:
        """Who turns out to have been a user, after an alias spoke of it as a previous name."""
        known = self._known_identifiers
        seen = {
            i.id: a.event.received_at for a in fresh for i in a.identifiers if i.type == "user" and i.id not in known
        }
        return {Touch("user", id, "identity"): seen[id] for id in spoken_of(connection, list(seen))} if seen else {}

    def _add_edges(self, admission: Admission, edges: dict[_Edge, int]) -> bool:
        """Whether what an event says of links and memberships is not known yet, or was known of a later time only."""
        if any(row.left_at is not None or (row.leaf, row.account) in self._departed for row in admission.memberships):
            self._departed.update((row.leaf, row.account) for row in admission.memberships)
            return True
        said: list[tuple[_Edge, int]] = [
            ((link.low, link.high, f"{link.kind} {link.authorised:d}", link.former), link.at)
            for link in admission.links
        ]
        said += [((row.leaf, row.account, "", b""), row.at) for row in admission.memberships]
        new = [
            (edge, at) for edge, at in said if at < min(edges.get(edge, _LATER), self._known_edges.get(edge, _LATER))
        ]
        edges.update(new)
        return bool(new) or not said

    def _remember(self, fresh: Sequence[Admission], edges: dict[_Edge, int]) -> None:
        # Only after the commit: what was rolled back must be written again.
        if len(self._known_identifiers) + len(self._known_participations) + len(self._known_edges) > KNOWN_MAX:
            self.forget_known()
        self._known_identifiers.update(i.id for a in fresh for i in a.identifiers)
        self._known_participations.update((a.event.leaf, a.event.account) for a in fresh)
        self._known_edges.update(edges)

    def forget_known(self) -> None:
        """Forget what is stored, after rows were removed."""
        self._known_identifiers = set()
        self._known_participations = set()
        self._known_edges = {}

    def release(self, event_ids: Sequence[bytes], marks_of: Callable[[EventRow], Iterable[Mark]]) -> int:
        with self._database.transaction() as connection:
            positions = {id: position for position, id in release(connection, event_ids)}
            released = select_by_id(connection, list(positions))
            marked = [(positions[event.event_id], mark) for event in released for mark in marks_of(event)]
            write_marks(connection, readable(connection, marked))
        return len(positions)

    def refusal(self, ids: Sequence[bytes]) -> str | None:
        with self._database.reading() as connection:
            return refusal_of(connection, ids)

    def receipts(self, message_id: str) -> Sequence[ReceiptLine]:
        with self._database.reading() as connection:
            sources = [row[0] for row in connection.execute("SELECT DISTINCT source FROM counters")]
            ids = [derive_event_id(source, message_id) for source in sources]
            lines = list(_event_receipts(connection, ids))
            lines += _quarantine_receipts(connection, message_id)
            lines += [_dropped_receipt(message_id, *row[:2]) for row in select_dropped(connection, ids)]
        return sorted(lines, key=lambda line: -line.received_at)

    def counts(self) -> Counts:
        with self._database.reading() as connection:
            rows = connection.execute("SELECT name, reason, sum(n) FROM counters GROUP BY name, reason").fetchall()
        totals: Counter[str] = Counter()
        reasons: dict[str, int] = {}
        refused: dict[str, int] = {}
        for name, reason, n in rows:
            totals[name] += n
            if name == "quarantined":
                reasons[reason] = n
            elif name == "refused":
                refused[reason] = n
        return Counts(
            stored=totals["stored"],
            duplicates=totals["duplicate"],
            conflicts=totals["conflict"],
            quarantined=dict(sorted(reasons.items())),
            refused=dict(sorted(refused.items())),
        )

    def quarantine(self, *, reason: str | None, limit: int, before: bytes | None) -> Sequence[Quarantined]:
        sql = f"SELECT {','.join(_QUARANTINE_COLUMNS)} FROM quarantine WHERE quarantine_id < ?"
        parameters: list[object] = [before if before is not None else b"\xff" * 17]
        if reason is not None:
            sql += " AND reason = ?"
            parameters.append(reason)
        with self._database.reading() as connection:
            rows = connection.execute(sql + " ORDER BY quarantine_id DESC LIMIT ?", [*parameters, limit])
            return [Quarantined(*row) for row in rows]

    def scan(self, after: int = 0) -> Iterator[tuple[int, EventRow]]:
        return self._scan(EVENT_COLUMNS, "", (), after)

    def scan_tallied(self, names: Collection[str] | None) -> Iterator[tuple[int, EventRow]]:
        return self._scan(_TALLIED_COLUMNS, *_tallied_where(names), after=0)

    def _scan(
        self, columns: Sequence[str], where: str, wanted: Sequence[str], after: int
    ) -> Iterator[tuple[int, EventRow]]:
        sql = f"SELECT seq,{','.join(columns)} FROM events WHERE seq > ? {where} ORDER BY seq LIMIT ?"
        while True:
            # A page a snapshot, so that a long scan never keeps the write-ahead log from being checkpointed.
            with self._database.reading() as connection:
                rows = connection.execute(sql, (after, *wanted, SCAN_ROWS)).fetchall()
            if not rows:
                return
            for row in rows:
                yield row[0], read_event(row[1:])
            after = rows[-1][0]

    def earliest(self) -> int | None:
        # From the index alone, which is small beside the table.
        with self._database.reading() as connection:
            row = connection.execute("SELECT min(at) FROM events INDEXED BY events_by_leaf").fetchone()
        return None if row[0] is None else int(row[0])

    def position(self) -> int:
        with self._database.reading() as connection:
            return int(connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])

    def identifier(self, id: bytes) -> Identifier | None:
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT id, namespace, type, value FROM identifiers WHERE id = ?", (id,)
            ).fetchone()
        return None if row is None else Identifier(*row)


def read_event(row: Sequence[Any]) -> EventRow:
    """An event from its columns, in the order of EventRow's fields."""
    values = list(row)
    for place in _TEXTS:
        if isinstance(values[place], str):
            values[place] = values[place].encode()
    for place in _FLAGS:
        values[place] = bool(values[place])
    return EventRow(*values)


def _tallied_where(names: Collection[str] | None) -> tuple[str, Sequence[str]]:
    """The condition for events of these names (None: of any) that may be tallied, and its parameters."""
    where = "AND type = 'track' AND scored = 1"
    return (where, ()) if names is None else (f"{where} AND name IN ({marks(len(names))})", sorted(names))


def select_tallied(
    connection: Connection, after: int, upto: int, names: Collection[str] | None, limit: int
) -> list[tuple[int, EventRow]]:
    """The first events of these names that may be tallied, after a log position and up to another."""
    where, wanted = _tallied_where(names)
    columns = ",".join(_TALLIED_COLUMNS)
    sql = f"SELECT seq,{columns} FROM events WHERE seq > ? AND seq <= ? {where} ORDER BY seq LIMIT ?"
    return [(row[0], read_event(row[1:])) for row in connection.execute(sql, (after, upto, *wanted, limit))]


def select_events(connection: Connection, where: str, parameters: Sequence[object]) -> list[EventRow]:
    """Events by a condition (SQL of ours, never input), by (at, event_id)."""
    sql = f"SELECT {','.join(EVENT_COLUMNS)} FROM events WHERE {where} ORDER BY at, event_id"
    return [read_event(row) for row in connection.execute(sql, parameters)]


def select_by_id(connection: Connection, ids: Sequence[bytes]) -> list[EventRow]:
    """The events with these ids."""
    parts = chunks(list(dict.fromkeys(ids)))
    return [row for part in parts for row in select_events(connection, f"event_id IN ({marks(len(part))})", part)]


def write_marks(connection: Connection, entries: Iterable[Mark]) -> None:
    """Add marks to the tallies. Increments commute, so they are summed here first and written once a row."""
    tallies: dict[tuple[bytes, int, int, bytes], list[int]] = {}
    items: dict[tuple[bytes, int, int, bytes, bytes], list[int]] = {}
    for mark in entries:
        at = mark.at
        key = (mark.entity, mark.signal, at // HOUR, mark.leaf)
        tally = tallies.get(key)
        if tally is None:
            tallies[key] = [1, at, at]
        else:
            tally[0] += 1
            if at < tally[1]:
                tally[1] = at
            if at > tally[2]:
                tally[2] = at
        if mark.item is not None:
            span = items.setdefault((*key, mark.item), [at, at])
            span[0], span[1] = min(span[0], at), max(span[1], at)
    connection.executemany(_UPSERT_TALLY, [(*key, *value) for key, value in tallies.items()])
    connection.executemany(_UPSERT_ITEM, [(*key, *value) for key, value in items.items()])


def _plain_touches(fresh: Sequence[Admission]) -> dict[Touch, int]:
    """Whom events alone touch, each once, with what they came to."""
    found: dict[tuple[EntityKind, bytes, Cause], tuple[int, Happened]] = {}
    for admission in fresh:
        event = admission.event
        for entry in admission.touches:
            if entry.cause in PLAIN_CAUSES:
                key = (entry.kind, entry.entity, entry.cause)
                signals = bits_of(mark.signal for mark in admission.marks if mark.entity == entry.entity)
                since, before = found.get(key, (event.received_at, NOTHING))
                found[key] = (min(since, event.received_at), before.and_more(Happened(1, event.at, signals)))
    return {Touch(*key, what): since for key, (since, what) in found.items()}


def _sort_out(connection: Connection, admissions: Sequence[Admission]) -> tuple[list[CommitStatus], list[Admission]]:
    """Which events are new, which repeat a stored one, and which claim the id of another."""
    ids = [admission.event.event_id for admission in admissions]
    taken: dict[bytes, bytes] = dict(
        select_in(connection, "SELECT event_id, digest FROM events WHERE event_id IN ({})", ids)
    )
    statuses: list[CommitStatus] = []
    fresh: list[Admission] = []
    conflicts: list[EventRow] = []
    for admission in admissions:
        event = admission.event
        digest = taken.get(event.event_id)
        if admission.dropped and digest != event.digest:
            statuses.append("consent_denied")
        elif digest is None:
            taken[event.event_id] = event.digest
            fresh.append(admission)
            statuses.append("stored")
        elif digest == event.digest:
            statuses.append("duplicate")
        else:
            conflicts.append(event)
            statuses.append("conflict")
    connection.executemany(_INSERT_CONFLICT, [_conflict(event) for event in conflicts])
    return statuses, fresh


def _merged(refusals: Sequence[CommitStatus | None], statuses: list[CommitStatus]) -> list[CommitStatus]:
    """One status an admission, of those that were refused and those that passed."""
    if len(statuses) == len(refusals):
        return statuses
    passed = iter(statuses)
    return [next(passed) if refusal is None else refusal for refusal in refusals]


def _conflict(event: EventRow) -> tuple[object, ...]:
    return (
        event.event_id,
        event.digest,
        event.source,
        event.message_id,
        event.received_at,
        event.leaf,
        event.type,
        event.name,
        event.properties.decode(),
        event.context.decode(),
    )


def _write_quarantined(connection: Connection, quarantined: Sequence[Quarantined]) -> None:
    connection.executemany(_INSERT_QUARANTINED, [_values(entry, _QUARANTINE_COLUMNS) for entry in quarantined])


def _count(
    connection: Connection,
    admissions: Sequence[Admission],
    statuses: Sequence[CommitStatus],
    quarantined: Sequence[Quarantined],
    stops: Stops,
) -> None:
    counter: Counter[tuple[str, str, str]] = Counter()
    for admission, status in zip(admissions, statuses, strict=True):
        if status in _REFUSED:
            counter["refused", admission.event.source, status] += 1
        else:
            counter[status, admission.event.source, ""] += 1
        if status == "stored":
            for reason in admission.links_refused:
                counter["link_refused", admission.event.source, reason] += 1
    for entry in quarantined:
        refusal = stops.refusal(entry.names)
        key = ("quarantined", entry.reason) if refusal is None else ("refused", refusal)
        counter[key[0], entry.source, key[1]] += 1
    connection.executemany(_COUNT, [(*key, n) for key, n in counter.items()])


def _split(statuses: Sequence[CommitStatus], requests: Sequence[_Request]) -> list[Sequence[CommitStatus]]:
    parts: list[Sequence[CommitStatus]] = []
    start = 0
    for admissions, _ in requests:
        parts.append(statuses[start : start + len(admissions)])
        start += len(admissions)
    return parts


def _values(row: object, columns: Sequence[str]) -> tuple[object, ...]:
    return tuple([getattr(row, column) for column in columns])


def _event_values(event: EventRow) -> tuple[object, ...]:
    """The columns in the order of EventRow's fields; JSON as text, so that SQL and people can read it."""
    *head, properties, context, digest, consent_id, scored, violations, schema_version = astuple(event)
    return (
        *head,
        properties.decode(),
        context.decode(),
        digest,
        consent_id,
        scored,
        violations if violations is None else violations.decode(),
        schema_version,
    )


def _trait_values(change: TraitChange) -> tuple[object, ...]:
    *head, value, scored = astuple(change)
    return (*head, value.decode(), scored)


def _insert(connection: Connection, sql: str, rows: Iterable[object]) -> None:
    values = [_values(row, type(row).__struct_fields__) for row in dict.fromkeys(rows)]  # type: ignore[attr-defined]
    if values:
        connection.executemany(sql, values)


def _event_receipts(connection: Connection, ids: Sequence[bytes]) -> Iterator[ReceiptLine]:
    columns = "source, message_id, received_at, at, type, name, violations"
    for row in select_in(connection, f"SELECT {columns} FROM events WHERE event_id IN ({{}})", ids):
        source, message_id, received_at, at, type, name, violations = row
        yield ReceiptLine(
            source=source,
            message_id=message_id,
            status="stored",
            received_at=received_at,
            at=at,
            type=type,
            name=name,
            code="stored_despite_violations" if violations else None,
        )
    sql = "SELECT source, message_id, received_at, type, name FROM conflicts WHERE event_id IN ({})"
    for source, message_id, received_at, type, name in select_in(connection, sql, ids):
        yield ReceiptLine(
            source=source,
            message_id=message_id,
            status="conflict",
            received_at=received_at,
            type=type,
            name=name,
            code="message_id_taken",
            detail="another payload was stored under this id before",
        )


def _dropped_receipt(message_id: str, source: str, received_at: int) -> ReceiptLine:
    return ReceiptLine(
        source=source,
        message_id=message_id,
        status="refused",
        received_at=received_at,
        code="consent_denied",
        detail="dropped: its person does not consent",
    )


def _quarantine_receipts(connection: Connection, message_id: str) -> list[ReceiptLine]:
    sql = """
        SELECT source, message_id, received_at, type, name, reason, detail, pointer FROM quarantine WHERE message_id = ?
    """
    return [
        ReceiptLine(
            source=source,
            message_id=found,
            status="quarantined",
            received_at=received_at,
            type=type,
            name=name,
            code=reason,
            detail=detail,
            pointer=pointer,
        )
        for source, found, received_at, type, name, reason, detail, pointer in connection.execute(sql, (message_id,))
    ]
