"""Everything held about a person, from every table."""

from collections.abc import Iterator, Mapping, Sequence
from sqlite3 import Connection
from typing import Any

import msgspec

from assay_collector.stores.sqlite.database import Database
from assay_collector.stores.sqlite.holdings import EVENTS, KEPT, REMOVED, UNDER_ACCOUNTS, count, dicts, select
from assay_collector.stores.sqlite.quarantined import all_naming
from assay_collector.stores.sqlite.rows import marks, select_in

PAGE_ROWS = 1_000

Row = Mapping[str, Any]


def rows(database: Database, ids: Sequence[bytes]) -> Iterator[tuple[str, Row]]:
    """(table, row), table by table; who it is comes first, the events last."""
    with database.reading() as connection:
        found = list(_small(connection, ids))
    yield from found
    yield from _events(database, ids)


def counts(connection: Connection, ids: Sequence[bytes]) -> dict[str, int]:
    """How many rows an erasure would remove, by table."""
    found = {each.table: count(connection, each, ids) for each in (EVENTS, *REMOVED)}
    for table in UNDER_ACCOUNTS:
        found[table] += sum(1 for _ in _under_accounts(connection, table, ids))
    found["traits"] += sum(1 for _ in _account_traits(connection, ids))
    found["dropped"] = sum(1 for _ in _dropped(connection, ids))
    found["quarantine"] = sum(1 for _ in all_naming(connection, ids))
    return {table: n for table, n in found.items() if n}


def _small(connection: Connection, ids: Sequence[bytes]) -> Iterator[tuple[str, Row]]:
    """All but the events. A person has few links, traits or verdicts beside its events."""
    for holding in (*reversed(REMOVED), *KEPT):
        for row in select(connection, holding, ids):
            yield holding.table, _shown(row, holding.json)
    for table, rows, json in (
        *((table, _under_accounts(connection, table, ids), ()) for table in UNDER_ACCOUNTS),
        ("traits", _account_traits(connection, ids), ("value",)),
        ("privacy_requests", _requests(connection, ids), ("counts", "certificate")),
        ("consent_snapshots", _snapshots(connection, ids), ("states", "evidence", "decision")),
        ("dropped", _dropped(connection, ids), ()),
        ("quarantine", _quarantined(connection, ids), ()),
    ):
        for row in rows:
            yield table, _shown(row, json)


def _quarantined(connection: Connection, ids: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    for quarantine_id in all_naming(connection, ids):
        for row in dicts(connection, "SELECT * FROM quarantine WHERE quarantine_id = ?", (quarantine_id,)):
            yield {**row, "raw": bytes(row["raw"]).decode("utf-8", "backslashreplace")}


def _events(database: Database, ids: Sequence[bytes]) -> Iterator[tuple[str, Row]]:
    """A page a snapshot, so that a long export never keeps the write-ahead log from being checkpointed."""
    sql = "SELECT * FROM events WHERE leaf = ? AND (at, seq) > (?, ?) ORDER BY at, seq LIMIT ?"
    for id in ids:
        place = (-(2**63), 0)
        while True:
            with database.reading() as connection:
                page = list(dicts(connection, sql, (id, *place, PAGE_ROWS)))
            for row in page:
                yield EVENTS.table, _shown(row, EVENTS.json)
            if len(page) < PAGE_ROWS:
                break
            place = (page[-1]["at"], page[-1]["seq"])


def _accounts(connection: Connection, ids: Sequence[bytes]) -> list[bytes]:
    found = {
        row[0]
        for table in ("participations", "memberships")
        for row in select_in(connection, f"SELECT account FROM {table} WHERE leaf IN ({{}})", ids)
    }
    return sorted(found)


def _under_accounts(connection: Connection, table: str, ids: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    """What the person adds to the accounts that it acted in."""
    for account in _accounts(connection, ids):
        sql = f"SELECT * FROM {table} WHERE entity = ? AND leaf IN ({marks(len(ids))})"
        yield from dicts(connection, sql, (account, *ids))


def _account_traits(connection: Connection, ids: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    """What the person said about accounts."""
    for account in _accounts(connection, ids):
        yield from dicts(
            connection,
            "SELECT t.* FROM traits t JOIN events e ON e.event_id = t.event_id "
            f"WHERE t.entity = ? AND e.leaf IN ({marks(len(ids))})",
            (account, *ids),
        )


def _requests(connection: Connection, ids: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    found = {row[0] for row in select_in(connection, "SELECT request_id FROM privacy_subjects WHERE id IN ({})", ids)}
    for request_id in sorted(found):
        yield from dicts(connection, "SELECT * FROM privacy_requests WHERE request_id = ?", (request_id,))


def _dropped(connection: Connection, ids: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    """Whose an event was that was dropped, the consent log tells."""
    said = f"SELECT event_id FROM consent_log WHERE subject IN ({marks(len(ids))})"
    yield from dicts(connection, f"SELECT * FROM dropped WHERE event_id IN ({said})", list(ids))


def _snapshots(connection: Connection, ids: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    sql = "SELECT DISTINCT consent_id FROM events WHERE leaf IN ({}) AND consent_id IS NOT NULL"
    found = {row[0] for row in select_in(connection, sql, ids)}
    found |= {row["consent_id"] for row in _dropped(connection, ids) if row["consent_id"] is not None}
    for consent_id in sorted(found):
        yield from dicts(connection, "SELECT * FROM consent_snapshots WHERE consent_id = ?", (consent_id,))


def _shown(row: Mapping[str, Any], json: Sequence[str] = ()) -> Row:
    """A row as JSON can hold it: ids in hexadecimal, JSON as it is."""
    return {name: _value(value, is_json=name in json) for name, value in row.items()}


def _value(value: Any, *, is_json: bool) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return msgspec.Raw(value.encode()) if is_json and isinstance(value, str) else value
