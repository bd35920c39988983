"""What decisions read, from one snapshot of one SQLite file."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from sqlite3 import Connection
from typing import Any

from assay_collector.store import (
    ConsentEntry,
    EntityKind,
    EventRow,
    Identifier,
    LinkRow,
    Membership,
    Tally,
    TallyItem,
    TraitChange,
    Transition,
)
from assay_collector.stores.sqlite.agenda import select_ledger
from assay_collector.stores.sqlite.database import Database
from assay_collector.stores.sqlite.events import select_events
from assay_collector.stores.sqlite.rows import marks, select_in


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

    def traits(self, entities: Sequence[bytes], keys: Sequence[str]) -> Sequence[TraitChange]:
        columns = "entity, key, at, event_id, value"
        sql = f"SELECT {columns} FROM traits WHERE entity = ? AND key IN ({marks(len(keys))})"
        return [
            TraitChange(row[0], row[1], row[2], row[3], _bytes(row[4]))
            for entity in dict.fromkeys(entities)
            for row in self._connection.execute(sql, [entity, *keys])
        ]

    def consents(self, subjects: Sequence[bytes], purposes: Sequence[str]) -> Sequence[ConsentEntry]:
        columns = "subject, purpose, state, signal, at, received_at, event_id, evidence"
        sql = f"SELECT {columns} FROM consent_log WHERE subject IN ({{}})"
        rows = select_in(self._connection, sql, subjects)
        return [_read_consent(row) for row in rows if row[1] in purposes]

    def links_of(self, ids: Sequence[bytes]) -> Sequence[LinkRow]:
        columns = "low, high, kind, at, event_id, state, reason"
        rows = {
            row
            for side in ("low", "high")
            for row in select_in(self._connection, f"SELECT {columns} FROM links WHERE {side} IN ({{}})", ids)
        }
        return [LinkRow(*row) for row in rows]

    def people(self, leaves: Sequence[bytes]) -> Mapping[bytes, bytes]:
        return dict(select_in(self._connection, "SELECT leaf, person FROM people WHERE leaf IN ({})", leaves))

    def leaves_of(self, people: Sequence[bytes]) -> Mapping[bytes, Sequence[bytes]]:
        found: dict[bytes, list[bytes]] = {}
        sql = "SELECT person, leaf FROM people WHERE person IN ({})"
        for person, leaf in select_in(self._connection, sql, people):
            found.setdefault(person, []).append(leaf)
        return found

    def memberships(self, *, leaves: Sequence[bytes] = (), accounts: Sequence[bytes] = ()) -> Sequence[Membership]:
        columns = "leaf, account, valid_from, event_id, role"
        rows = {
            *select_in(self._connection, f"SELECT {columns} FROM memberships WHERE leaf IN ({{}})", leaves),
            *select_in(self._connection, f"SELECT {columns} FROM memberships WHERE account IN ({{}})", accounts),
        }
        return [Membership(*row) for row in rows]

    def accounts_of(self, leaves: Sequence[bytes]) -> Sequence[bytes]:
        sql = "SELECT DISTINCT account FROM participations WHERE leaf IN ({})"
        return [row[0] for row in select_in(self._connection, sql, leaves)]

    def identifiers(self, ids: Sequence[bytes]) -> Mapping[bytes, Identifier]:
        sql = "SELECT id, namespace, type, value FROM identifiers WHERE id IN ({})"
        return {row[0]: Identifier(*row) for row in select_in(self._connection, sql, ids)}

    def events_of(self, leaf: bytes, start: int, end: int) -> Sequence[EventRow]:
        return select_events(self._connection, "leaf = ? AND at >= ? AND at < ?", (leaf, start, end))

    def ledger(self, kind: EntityKind, entities: Sequence[bytes]) -> Sequence[Transition]:
        return select_ledger(self._connection, kind, entities)


def _numbers(values: Sequence[int]) -> str:
    return ",".join(str(int(value)) for value in values)


def _read_consent(row: tuple[Any, ...]) -> ConsentEntry:
    values = dict(zip(ConsentEntry.__struct_fields__, row, strict=True))
    return ConsentEntry(**{**values, "event_id": values["event_id"] or None, "evidence": _bytes(values["evidence"])})


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
