"""What decisions read, from one snapshot of one SQLite file."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from sqlite3 import Connection
from typing import Any

from assay.contract.times import INSTANT_MAX, INSTANT_MIN
from assay_collector.store import (
    ConsentEntry,
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
)
from assay_collector.stores.sqlite.agenda import select_ledger
from assay_collector.stores.sqlite.database import Database
from assay_collector.stores.sqlite.events import select_events
from assay_collector.stores.sqlite.identity import select_acts, select_links, select_memberships, select_shared
from assay_collector.stores.sqlite.rows import chunks, marks, select_in


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
        sql = "SELECT entity, key, at, event_id, value FROM traits WHERE entity IN ({})"
        return [
            TraitChange(row[0], row[1], row[2], row[3], _bytes(row[4]))
            for row in select_in(self._connection, sql, entities)
        ]

    def events_by_id(self, ids: Sequence[bytes]) -> Sequence[EventRow]:
        return [
            row
            for part in chunks(list(dict.fromkeys(ids)))
            for row in select_events(self._connection, f"event_id IN ({marks(len(part))})", part)
        ]

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


def _read_consent(row: tuple[Any, ...]) -> ConsentEntry:
    values = dict(zip(ConsentEntry.__struct_fields__, row, strict=True))
    return ConsentEntry(**{**values, "event_id": values["event_id"] or None, "evidence": _bytes(values["evidence"])})


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
