"""
What each table holds about a person: the one place that exporting and erasing go by.

Every table of the database is named here, as holding something about persons or as holding nothing; a test compares
with the database itself, so that a new table cannot be forgotten.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

from assay_collector.stores.sqlite.rows import chunks, marks


@dataclass(frozen=True, kw_only=True, slots=True)
class Holding:
    """A table with rows that are about a person because a column has one of its identity ids."""

    table: str
    by: tuple[str, ...]  # those columns
    key: tuple[str, ...]  # what tells the rows apart
    json: tuple[str, ...] = ()  # the columns with JSON text
    but: str = "0"  # rows that are not removed by this: a condition, SQL of ours


# Removed one after the other, in this order. Events come first: while they are there, tallies may be filled from them.
# Identifiers come last: until then the messages in quarantine can be told by them.
REMOVED: tuple[Holding, ...] = (
    Holding(table="conflicts", by=("leaf",), key=("event_id", "digest"), json=("properties", "context")),
    Holding(table="tallies", by=("entity",), key=("entity", "signal", "bucket", "leaf")),
    Holding(table="tally_items", by=("entity",), key=("entity", "signal", "bucket", "leaf", "item")),
    Holding(table="traits", by=("entity",), key=("entity", "key", "at", "event_id"), json=("value",)),
    Holding(table="consent_waiting", by=("leaf",), key=("leaf", "at", "event_id")),
    Holding(table="memberships", by=("leaf",), key=("leaf", "account")),
    Holding(table="consent_waiting", by=("leaf",), key=("leaf", "at", "event_id")),
    Holding(table="participations", by=("leaf",), key=("leaf", "account")),
    Holding(
        table="links",
        by=("low", "high", "as_user", "former"),
        key=("low", "high", "kind", "authorised", "former"),
    ),
    Holding(table="identity_acts", by=("low", "high", "former"), key=("low", "high", "act_id")),
    Holding(table="people", by=("leaf", "person"), key=("leaf",)),
    Holding(
        table="transitions",
        by=("entity",),
        key=("entity", "definition", "episode", "step", "revision"),
        json=("evidence",),
    ),
    Holding(table="outbox", by=("entity",), key=("position",), but="type = 'privacy.erased'"),
    Holding(table="recipients", by=("entity",), key=("entity", "endpoint")),
    Holding(table="agenda", by=("entity",), key=("entity", "kind", "epoch")),
    Holding(table="suppressions", by=("id",), key=("id",)),
    Holding(table="identifiers", by=("id",), key=("id",)),
)

# Kept, because they say who was forgotten and nothing else: keyed hashes, and what was done about them.
KEPT: tuple[Holding, ...] = (
    Holding(
        table="consent_log",
        by=("subject",),
        key=("subject", "purpose", "at", "event_id", "state", "signal"),
        json=("evidence",),
    ),
    Holding(table="tombstones", by=("id",), key=("id",)),
    Holding(table="privacy_subjects", by=("id",), key=("request_id", "id")),
    Holding(table="privacy_concerned", by=("entity",), key=("request_id", "kind", "entity")),
)

# Found in other ways: see `privacy.py` beside this.
EVENTS = Holding(table="events", by=("leaf",), key=("seq",), json=("properties", "context", "violations"))
UNDER_ACCOUNTS = ("tallies", "tally_items")  # rows of the person's leaves under the accounts that it acted in
BY_CONTENT = ("quarantine", "consent_snapshots", "dropped", "privacy_requests")

# table -> why it holds nothing about a person
IMPERSONAL: Mapping[str, str] = {
    "_sqlite_migrations": "which changes of the tables were made",
    "counters": "totals by source and reason",
    "deciding": "hashes of definitions",
    "definition_changes": "what became of definitions, and which operator decided so",
    "definition_files": "hashes of definitions",
    "definitions": "what operators wrote",
    "keys": "digests of keys, and operators' notes",
    "settings": "values of the collector's own",
    "signals": "what is counted",
    "source_versions": "where events come from, and how that was set when",
    "sources": "where events come from",
}


def every_table() -> frozenset[str]:
    """All tables that are named here."""
    return frozenset({EVENTS.table, *(each.table for each in (*REMOVED, *KEPT)), *BY_CONTENT, *IMPERSONAL})


def select(connection: Connection, holding: Holding, ids: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    """Every row of a holding that is about these, once."""
    seen: set[tuple[Any, ...]] = set()
    for column in holding.by:
        for part in chunks(ids):
            sql = f"SELECT * FROM {holding.table} WHERE {column} IN ({marks(len(part))})"
            for row in dicts(connection, sql, part):
                key = tuple(row[name] for name in holding.key)
                if len(holding.by) == 1 or key not in seen:
                    seen.add(key)
                    yield row


def dicts(connection: Connection, sql: str, parameters: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Rows with the names of their columns."""
    cursor = connection.execute(sql, parameters)
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def remove_some(connection: Connection, holding: Holding, ids: Sequence[bytes], rows_max: int) -> int:
    """Remove at most so many rows of a holding; returns how many. 0: there are none."""
    removed = 0
    key = ",".join(holding.key)
    for column in holding.by:
        for part in chunks(ids):
            if removed >= rows_max:
                return removed
            removed += connection.execute(
                f"DELETE FROM {holding.table} WHERE ({key}) IN (SELECT {key} FROM {holding.table} "
                f"WHERE {column} IN ({marks(len(part))}) AND NOT ({holding.but}) LIMIT ?)",
                (*part, rows_max - removed),
            ).rowcount
    return removed


def count(connection: Connection, holding: Holding, ids: Sequence[bytes]) -> int:
    """How many rows of a holding are about these."""
    if len(holding.by) > 1:
        return sum(1 for _ in select(connection, holding, ids))
    sql = f"SELECT count(*) FROM {holding.table} WHERE {holding.by[0]} IN ({{}}) AND NOT ({holding.but})"
    return sum(int(connection.execute(sql.format(marks(len(part))), part).fetchone()[0]) for part in chunks(list(ids)))
