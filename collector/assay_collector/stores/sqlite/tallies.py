"""Refilling, comparing and listing tallies over one SQLite file."""

from collections.abc import Iterator, Mapping, Sequence

from assay_collector.store import Mark, Tally, TallyItem
from assay_collector.stores.sqlite.database import Database
from assay_collector.stores.sqlite.events import write_marks
from assay_collector.stores.sqlite.rows import marks

PAGE_ROWS = 10_000


class SQLiteTallies:
    """Tallies over one SQLite file; see the port for what it promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def filled(self) -> Mapping[int, bytes]:
        with self._database.reading() as connection:
            rows = connection.execute("SELECT signal, document FROM signals").fetchall()
        return {signal: document.encode() for signal, document in rows}

    def clear(self, signals: Sequence[int]) -> None:
        if not signals:
            return
        with self._database.transaction() as connection:
            for table in ("signals", "tallies", "tally_items"):
                connection.execute(f"DELETE FROM {table} WHERE signal IN ({marks(len(signals))})", list(signals))

    def fill(self, entries: Sequence[Mark]) -> None:
        with self._database.transaction() as connection:
            write_marks(connection, entries)

    def declare_filled(self, documents: Mapping[int, bytes]) -> None:
        with self._database.transaction() as connection:
            position = connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]
            connection.executemany(
                "INSERT INTO signals (signal, document, filled_to) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET filled_to = excluded.filled_to",
                [(signal, document.decode(), position) for signal, document in documents.items()],
            )

    def entities(self) -> Iterator[bytes]:
        last = b""
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(
                    "SELECT entity FROM tallies WHERE entity > ?1 UNION SELECT entity FROM traits WHERE entity > ?1 "
                    "UNION SELECT entity FROM transitions WHERE entity > ?1 ORDER BY entity LIMIT ?2",
                    (last, PAGE_ROWS),
                ).fetchall()
            if not rows:
                return
            yield from (row[0] for row in rows)
            last = rows[-1][0]

    def all_rows(self) -> Iterator[Tally | TallyItem]:
        with self._database.reading() as connection:
            for row in connection.execute("SELECT entity, signal, bucket, leaf, n, first_at, last_at FROM tallies"):
                yield Tally(*row)
            for row in connection.execute(
                "SELECT entity, signal, bucket, leaf, item, first_at, last_at FROM tally_items"
            ):
                yield TallyItem(*row)

    def definitions(self) -> Mapping[str, str]:
        with self._database.reading() as connection:
            return dict(connection.execute("SELECT id, hash FROM definitions WHERE status = 'active'"))

    def declare_definitions(self, hashes: Mapping[str, str]) -> None:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM definitions")
            connection.executemany(
                "INSERT INTO definitions (id, version, hash, status, document, activated_at) "
                "VALUES (?, 0, ?, 'active', '{}', 0)",
                list(hashes.items()),
            )
