"""Refilling, comparing and listing tallies over one SQLite file."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from sqlite3 import Connection

from assay_collector.store import Deciding, EventRow, Filling, Mark, Tally, TallyItem
from assay_collector.stores.sqlite.database import Database
from assay_collector.stores.sqlite.events import select_tallied, write_marks
from assay_collector.stores.sqlite.rows import marks

PAGE_ROWS = 10_000
# Passing over an event that adds nothing costs this much less than reading it.
PASSED_OVER = 20


class SQLiteTallies:
    """Tallies over one SQLite file; see the port for what it promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def filled(self) -> Mapping[int, bytes]:
        with self._database.reading() as connection:
            rows = connection.execute("SELECT signal, document FROM signals WHERE filled_to >= live_after").fetchall()
        return {signal: document.encode() for signal, document in rows}

    def fillings(self) -> Sequence[Filling]:
        sql = (
            "SELECT signal, filled_to, live_after FROM signals WHERE filled_to < live_after "
            "ORDER BY live_after, filled_to, signal"
        )
        with self._database.reading() as connection:
            return [Filling(*row) for row in connection.execute(sql)]

    def clear(self, signals: Sequence[int]) -> None:
        if not signals:
            return
        with self._database.transaction() as connection:
            for table in ("signals", "tallies", "tally_items"):
                connection.execute(f"DELETE FROM {table} WHERE signal IN ({marks(len(signals))})", list(signals))

    def begin(self, documents: Mapping[int, bytes]) -> None:
        sql = (
            "INSERT INTO signals (signal, document, filled_to, live_after) "
            "SELECT ?, ?, 0, coalesce(max(seq), 0) FROM events WHERE true ON CONFLICT DO NOTHING"
        )
        with self._database.transaction() as connection:
            connection.executemany(sql, [(signal, document.decode()) for signal, document in documents.items()])

    def fill(
        self,
        signals: Sequence[int],
        marks_of: Callable[[EventRow], Iterable[Mark]],
        *,
        names: Collection[str] | None,
        limit: int,
    ) -> int:
        with self._database.transaction() as connection:
            start, end = _positions(connection, signals)
            upto = _position_after(connection, start, end, PASSED_OVER * limit)
            found = select_tallied(connection, start, upto, names, limit)
            if len(found) == limit:
                upto = found[-1][0]
            # The events of somebody who was erased a moment ago may still be on their way out.
            erased = self._database.stops.now(connection).erased
            read = (event for _, event in found if event.leaf not in erased)
            write_marks(connection, (mark for event in read for mark in marks_of(event)))
            connection.execute(
                f"UPDATE signals SET filled_to = ? WHERE signal IN ({marks(len(signals))})", (upto, *signals)
            )
            return max(0, end - upto)

    def entities(self, after: bytes = b"") -> Iterator[bytes]:
        last = after
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

    def definitions(self) -> Mapping[str, Deciding]:
        with self._database.reading() as connection:
            rows = connection.execute("SELECT definition, hash, live_at FROM deciding")
            return {row[0]: Deciding(row[1], row[2]) for row in rows}

    def declare_definitions(self, hashes: Mapping[str, str], now: int) -> None:
        before = self.definitions()
        rows = [(name, hash, _live_at(before.get(name), hash, now)) for name, hash in hashes.items()]
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM deciding")
            connection.executemany("INSERT INTO deciding VALUES (?, ?, ?)", rows)


def _live_at(before: Deciding | None, hash: str, now: int) -> int:
    return before.live_at if before is not None and before.hash == hash else now


def _positions(connection: Connection, signals: Sequence[int]) -> tuple[int, int]:
    sql = f"SELECT DISTINCT filled_to, live_after FROM signals WHERE signal IN ({marks(len(signals))})"
    ((start, end),) = connection.execute(sql, list(signals)).fetchall()
    return start, end


def _position_after(connection: Connection, start: int, end: int, limit: int) -> int:
    """The position of the last of the next `limit` events; where fewer are left, the end."""
    sql = "SELECT seq FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT 1 OFFSET ?"
    row = connection.execute(sql, (start, end, limit - 1)).fetchone()
    return end if row is None else int(row[0])
