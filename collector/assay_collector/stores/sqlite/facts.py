"""What decisions read, from one snapshot of one SQLite file."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from sqlite3 import Connection

from assay.contract.ids import event_id as derive_event_id
from assay.contract.times import INSTANT_MAX, INSTANT_MIN
from assay_collector.store import (
    ConsentEntry,
    ConsentEvidence,
    EntityKind,
    EventRow,
    Identifier,
    IdentityAct,
    LinkRow,
    Membership,
    Tally,
    TallyItem,
    TraitChange,
    Transition,
    Waiting,
)
from assay_collector.stores.sqlite.agenda import select_ledger
from assay_collector.stores.sqlite.consent import (
    select_awaiting,
    select_doubtful,
    select_dropped,
    select_entries,
    select_entries_of_events,
    select_settings,
    select_snapshots,
    select_waiting,
)
from assay_collector.stores.sqlite.database import Database
from assay_collector.stores.sqlite.events import select_by_id, select_events
from assay_collector.stores.sqlite.identity import select_acts, select_links, select_memberships, select_shared
from assay_collector.stores.sqlite.rows import chunks, marks, select_in
from assay_collector.stores.sqlite.stops import stopped_among

_PROBED_AT_ONCE = 50


@contextmanager
def open_snapshot(database: Database) -> Iterator["SQLiteFacts"]:
    """All facts as of one moment."""
    with database.reading() as connection:
        yield SQLiteFacts(connection)


class SQLiteFacts:
    """Facts over one snapshot; see the port for what it promises."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def tallies(self, entities: Sequence[bytes], signals: Sequence[int]) -> Sequence[Tally]:
        sql = (
            "SELECT entity, signal, bucket, leaf, n, first_at, last_at FROM tallies "
            f"WHERE entity IN ({{}}) AND signal IN ({_numbers(signals)})"
        )
        return [Tally(*row) for row in select_in(self._connection, sql, entities)]

    def items(self, entities: Sequence[bytes], signals: Sequence[int]) -> Sequence[TallyItem]:
        sql = (
            "SELECT entity, signal, bucket, leaf, item, first_at, last_at FROM tally_items "
            f"WHERE entity IN ({{}}) AND signal IN ({_numbers(signals)})"
        )
        return [TallyItem(*row) for row in select_in(self._connection, sql, entities)]

    def marked(self, entities: Sequence[bytes], signals: Sequence[int]) -> frozenset[int]:
        found: set[int] = set()
        for part in chunks(entities, _PROBED_AT_ONCE):
            values = ",".join(f"({int(signal)})" for signal in signals if signal not in found)
            if values:
                # One probe of the key for each pair, whatever lies behind it.
                sql = (
                    f"SELECT column1 FROM (VALUES {values}) WHERE EXISTS (SELECT 1 FROM tallies "
                    f"WHERE entity IN ({marks(len(part))}) AND signal = column1)"
                )
                found.update(row[0] for row in self._connection.execute(sql, part))
        return frozenset(found)

    def traits(self, entities: Sequence[bytes], keys: Sequence[str]) -> Sequence[TraitChange]:
        columns = "entity, key, at, event_id, value, scored"
        sql = f"SELECT {columns} FROM traits WHERE entity = ? AND key IN ({marks(len(keys))})"
        return [
            TraitChange(row[0], row[1], row[2], row[3], _bytes(row[4]), bool(row[5]))
            for entity in dict.fromkeys(entities)
            for row in self._connection.execute(sql, [entity, *keys])
        ]

    def consents(self, subjects: Sequence[bytes], purposes: Sequence[str]) -> Sequence[ConsentEntry]:
        said = select_entries(self._connection, subjects, purposes)
        # Who is suppressed, or erased and not yet gone, agrees to nothing, whatever was and will be said.
        return said + [
            ConsentEntry(id, purpose, "denied", "suppression", INSTANT_MAX, INSTANT_MAX, None, b"{}")
            for id in sorted(stopped_among(self._connection, subjects))
            for purpose in purposes
        ]

    def doubtful(self, subjects: Sequence[bytes], purposes: Sequence[str]) -> Collection[bytes]:
        return select_doubtful(self._connection, subjects, purposes) | stopped_among(self._connection, subjects)

    def waiting(self, leaves: Sequence[bytes]) -> Sequence[Waiting]:
        return select_waiting(self._connection, leaves)

    def awaiting(self) -> Iterator[tuple[Waiting, bool]]:
        return select_awaiting(self._connection)

    def consent_evidence(self, message_id: str) -> Sequence[ConsentEvidence]:
        sources = [row[0] for row in self._connection.execute("SELECT DISTINCT source FROM counters")]
        ids = {derive_event_id(source, message_id): source for source in sources}
        events = select_by_id(self._connection, list(ids))
        entries = select_entries_of_events(self._connection, list(ids))
        arrivals: list[tuple[str, int, bytes, bytes | None, EventRow | None]] = [
            (event.source, event.received_at, event.event_id, event.consent_id, event) for event in events
        ]
        arrivals += [(*row, None) for row in select_dropped(self._connection, list(ids))]
        snapshots = select_snapshots(self._connection, [arrival[3] for arrival in arrivals if arrival[3] is not None])
        return [
            ConsentEvidence(
                source=source,
                message_id=message_id,
                received_at=received_at,
                event=event,
                snapshot=None if consent_id is None else snapshots.get(consent_id),
                entries=[entry for entry in entries if entry.event_id == id],
                settings=select_settings(self._connection, source, received_at),
            )
            for source, received_at, id, consent_id, event in sorted(arrivals, key=lambda arrival: -arrival[1])
        ]

    def links_of(self, ids: Sequence[bytes]) -> Sequence[LinkRow]:
        return select_links(self._connection, ids)

    def acts_of(self, ids: Sequence[bytes]) -> Sequence[IdentityAct]:
        return select_acts(self._connection, ids)

    def shared_from(self, leaves: Sequence[bytes]) -> Mapping[bytes, int]:
        return select_shared(self._connection, leaves)

    def people(self, leaves: Sequence[bytes]) -> Mapping[bytes, bytes]:
        return dict(select_in(self._connection, "SELECT leaf, person FROM people WHERE leaf IN ({})", leaves))

    def leaves_of(self, people: Sequence[bytes]) -> Mapping[bytes, Sequence[bytes]]:
        found: dict[bytes, list[bytes]] = {}
        sql = "SELECT person, leaf FROM people WHERE person IN ({})"
        for person, leaf in select_in(self._connection, sql, people):
            found.setdefault(person, []).append(leaf)
        return found

    def memberships(self, *, leaves: Sequence[bytes] = (), accounts: Sequence[bytes] = ()) -> Sequence[Membership]:
        return select_memberships(self._connection, leaves=leaves, accounts=accounts)

    def accounts_of(self, leaves: Sequence[bytes]) -> Sequence[bytes]:
        sql = "SELECT DISTINCT account FROM participations WHERE leaf IN ({})"
        return [row[0] for row in select_in(self._connection, sql, leaves)]

    def identifiers(self, ids: Sequence[bytes]) -> Mapping[bytes, Identifier]:
        sql = "SELECT id, namespace, type, value FROM identifiers WHERE id IN ({})"
        return {row[0]: Identifier(*row) for row in select_in(self._connection, sql, ids)}

    def events_of(self, leaf: bytes, start: int, end: int) -> Sequence[EventRow]:
        return select_events(self._connection, "leaf = ? AND at >= ? AND at < ?", (leaf, start, end))

    def trait_history(self, entities: Sequence[bytes]) -> Sequence[TraitChange]:
        sql = "SELECT entity, key, at, event_id, value, scored FROM traits WHERE entity IN ({})"
        return [
            TraitChange(row[0], row[1], row[2], row[3], _bytes(row[4]), bool(row[5]))
            for row in select_in(self._connection, sql, entities)
        ]

    def events_by_id(self, ids: Sequence[bytes]) -> Sequence[EventRow]:
        return select_by_id(self._connection, ids)

    def events_count(
        self, leaves: Sequence[bytes], start: int | None = None, end: int | None = None, *, unnamed: bool = False
    ) -> int:
        first = INSTANT_MIN if start is None else start
        last = INSTANT_MAX + 1 if end is None else end
        sql = (
            f"SELECT count(*) FROM events WHERE leaf IN ({{}}) AND at >= {int(first)} AND at < {int(last)}"
            f"{' AND account IS NULL' if unnamed else ''}"
        )
        return sum(row[0] for row in select_in(self._connection, sql, leaves))

    def ledger(self, kind: EntityKind, entities: Sequence[bytes]) -> Sequence[Transition]:
        return select_ledger(self._connection, kind, entities)


def _numbers(values: Sequence[int]) -> str:
    return ",".join(str(int(value)) for value in values)


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
