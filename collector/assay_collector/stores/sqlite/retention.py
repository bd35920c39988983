"""Removing what was kept long enough, from one SQLite file."""

from collections.abc import Callable
from itertools import takewhile

from assay_collector.store import EventRow, RetentionClass
from assay_collector.stores.sqlite.database import Database
from assay_collector.stores.sqlite.events import EVENT_COLUMNS, read_event

_SWEEP: dict[RetentionClass, str] = {
    "quarantine": "DELETE FROM quarantine WHERE quarantine_id IN "
    "(SELECT quarantine_id FROM quarantine WHERE received_at < ? ORDER BY received_at LIMIT ?)",
    "conflicts": "DELETE FROM conflicts WHERE (event_id, digest) IN "
    "(SELECT event_id, digest FROM conflicts WHERE received_at < ? ORDER BY received_at LIMIT ?)",
    "outbox": "DELETE FROM outbox WHERE position IN "
    "(SELECT position FROM outbox WHERE state != 'pending' AND created_at < ? ORDER BY position LIMIT ?)",
}
# Who was told about whom outlasts what they were told, so that they can be told of an erasure.
_REMEMBER = """
    INSERT OR IGNORE INTO recipients SELECT DISTINCT entity, endpoint FROM outbox
    WHERE attempts > 0 AND position IN
        (SELECT position FROM outbox WHERE state != 'pending' AND created_at < ? ORDER BY position LIMIT ?)
"""


class SQLiteRetention:
    """Retention over one SQLite file; see the port for what it promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sweep(self, what: RetentionClass, before: int, rows_max: int) -> int:
        with self._database.transaction() as connection:
            if what == "outbox":
                connection.execute(_REMEMBER, (before, rows_max))
            return connection.execute(_SWEEP[what], (before, rows_max)).rowcount

    def sweep_events(
        self, before: int, rows_max: int, after: int, is_read: Callable[[EventRow], bool]
    ) -> tuple[int | None, int]:
        sql = f"SELECT seq, {','.join(EVENT_COLUMNS)} FROM events WHERE seq > ? ORDER BY seq LIMIT ?"
        with self._database.reading() as connection:
            rows = connection.execute(sql, (after, rows_max)).fetchall()
        found = [(position, read_event(row)) for position, *row in rows]
        # The log is in order of arrival, but for requests that overtook each other; those wait for the next sweep.
        old = list(takewhile(lambda pair: pair[1].received_at < before, found))
        if not old:
            return None, after
        with self._database.transaction() as connection:
            # Asked in here, where no definition can come to run before the events are gone.
            unread = [position for position, event in old if not is_read(event)]
            connection.executemany("DELETE FROM events WHERE seq = ?", [(position,) for position in unread])
        return len(unread), old[-1][0]

    def compact(self) -> None:
        self._database.compact()
