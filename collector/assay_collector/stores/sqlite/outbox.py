"""
The outbox in SQLite.

A lane is what must stay in order: the pending messages of one endpoint and one entity, by position. `first` marks the
oldest of each lane, and every method here keeps that mark true within its own transaction. Only first messages are in
the index that `due` reads, so a hundred thousand messages waiting behind a broken endpoint, and all those delivered
long ago, cost it nothing.

A lease moves `next_at`, so whoever takes a message and dies gives it back by doing nothing.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

from assay_collector.store import Delivery, OutboxMessage
from assay_collector.stores.sqlite.database import Database

DUE = """
SELECT position, message_id, endpoint, entity, type, body, created_at, state, attempts, next_at, last_error
FROM outbox WHERE first = 1 AND endpoint = :endpoint AND next_at <= :now ORDER BY next_at, position LIMIT :limit
"""
LEASE = "UPDATE outbox SET next_at = :lease_until, leased_until = :lease_until WHERE position = :position"
APPEND = """
INSERT INTO outbox (message_id, endpoint, entity, type, body, created_at, next_at, first)
VALUES (:message_id, :endpoint, :entity, :type, :body, :created_at, :created_at, NOT EXISTS (
    SELECT 1 FROM outbox WHERE state = 'pending' AND endpoint = :endpoint AND entity = :entity
))
ON CONFLICT (message_id) DO NOTHING
"""
FIND = "SELECT state, endpoint, entity FROM outbox WHERE message_id = ?"
DELIVERED = """
UPDATE outbox SET state = 'delivered', first = 0, attempts = attempts + 1, delivered_at = :now, body = ''
WHERE message_id = :message_id
"""
FAILED = """
UPDATE outbox SET attempts = attempts + 1, last_error = :error, next_at = :next_at, leased_until = 0
WHERE message_id = :message_id
"""
DIED = """
UPDATE outbox SET state = 'dead', first = 0, attempts = attempts + 1, last_error = :error, leased_until = 0
WHERE message_id = :message_id
"""
# What tells of an erasure names whom; that must not outlast the telling, nor come back in what was answered.
NOTICE = "SELECT 1 FROM outbox WHERE message_id = ? AND type = 'privacy.erased'"
DIED_NOTICE = """
UPDATE outbox SET body = json_set(body, '$.data.entity.externalId', NULL) WHERE message_id = :message_id
"""
WITHHELD = """
UPDATE outbox SET state = 'withheld', first = 0, last_error = :reason, leased_until = 0, body = ''
WHERE message_id = :message_id
"""
PROMOTE = """
UPDATE outbox SET first = 1 WHERE first = 0 AND position = (
    SELECT min(position) FROM outbox WHERE state = 'pending' AND endpoint = :endpoint AND entity = :entity
)
"""
REVIVE = """
UPDATE outbox SET state = 'pending', attempts = 0, next_at = max(:now, :leased_until), leased_until = :leased_until
WHERE message_id = :message_id
"""
# The lane's first message, which a revived one may step in front of.
FIRST = """
SELECT position, leased_until FROM outbox
WHERE state = 'pending' AND endpoint = :endpoint AND entity = :entity ORDER BY position LIMIT 1
"""
DEMOTE = "UPDATE outbox SET first = 0 WHERE position = :position"
DEAD = """
SELECT position, message_id, endpoint, entity, type, body, created_at, state, attempts, next_at, last_error
FROM outbox WHERE state = 'dead' AND (:endpoint IS NULL OR endpoint = :endpoint) ORDER BY position DESC LIMIT :limit
"""
PENDING = "SELECT count(*) FROM outbox WHERE state = 'pending'"


def append(connection: sqlite3.Connection, messages: Sequence[OutboxMessage]) -> None:
    """
    Put messages at the end of their lanes, within the caller's transaction.

    A message whose id is known, in whatever state, is left as it is: the first body of an id is the one that counts.
    """
    connection.executemany(APPEND, [_appended(message) for message in messages])


class SQLiteOutbox:
    """The `Outbox` port over one SQLite file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, endpoint: str, now: int, limit: int, lease_until: int) -> Sequence[Delivery]:
        """See `Outbox.due`."""
        values = {"endpoint": endpoint, "now": now, "limit": limit}
        # Most calls find nothing; those do not take turns with the writer.
        with self._database.reading() as connection:
            if connection.execute(DUE, {**values, "limit": 1}).fetchone() is None:
                return ()
        with self._database.transaction() as connection:
            rows = connection.execute(DUE, values).fetchall()
            connection.executemany(LEASE, [{"position": row[0], "lease_until": lease_until} for row in rows])
        return [_delivery(row, next_at=lease_until) for row in rows]

    def delivered(self, message_id: str, now: int) -> None:
        """See `Outbox.delivered`."""
        with self._database.transaction() as connection:
            # A dead letter too: the answer may have come after the lease, and arrived is arrived.
            lane = _lane(connection, message_id, "pending", "dead")
            if lane is not None:
                connection.execute(DELIVERED, {"message_id": message_id, "now": now})
                connection.execute(PROMOTE, lane)

    def failed(self, message_id: str, error: str, next_at: int | None) -> None:
        """See `Outbox.failed`."""
        values: dict[str, Any] = {"message_id": message_id, "error": error, "next_at": next_at}
        with self._database.transaction() as connection:
            lane = _lane(connection, message_id, "pending")
            if lane is None:
                return
            is_notice = connection.execute(NOTICE, (message_id,)).fetchone() is not None
            values["error"] = error.partition(":")[0] if is_notice else error
            if next_at is None:
                connection.execute(DIED, values)
                if is_notice:
                    connection.execute(DIED_NOTICE, {"message_id": message_id})
                connection.execute(PROMOTE, lane)
            else:
                connection.execute(FAILED, values)

    def withhold(self, message_id: str, purpose: str) -> None:
        """See `Outbox.withhold`."""
        with self._database.transaction() as connection:
            lane = _lane(connection, message_id, "pending")
            if lane is not None:
                connection.execute(WITHHELD, {"message_id": message_id, "reason": f"{purpose} is not consented to"})
                connection.execute(PROMOTE, lane)

    def dead(self, *, endpoint: str | None, limit: int) -> Sequence[Delivery]:
        """See `Outbox.dead`."""
        with self._database.reading() as connection:
            rows = connection.execute(DEAD, {"endpoint": endpoint, "limit": limit}).fetchall()
        return [_delivery(row) for row in rows]

    def resend(self, message_ids: Sequence[str], now: int) -> int:
        """See `Outbox.resend`."""
        with self._database.transaction() as connection:
            return sum(_revive(connection, message_id, now) for message_id in message_ids)

    def pending(self) -> int:
        """See `Outbox.pending`."""
        with self._database.reading() as connection:
            return int(connection.execute(PENDING).fetchone()[0])


def _appended(message: OutboxMessage) -> dict[str, Any]:
    return {
        "message_id": message.message_id,
        "endpoint": message.endpoint,
        "entity": message.entity,
        "type": message.type,
        "body": message.body.decode(),
        "created_at": message.created_at,
    }


def _lane(connection: sqlite3.Connection, message_id: str, *states: str) -> dict[str, Any] | None:
    """The lane of a message, if it is in one of these states."""
    row = connection.execute(FIND, (message_id,)).fetchone()
    return {"endpoint": row[1], "entity": row[2]} if row is not None and row[0] in states else None


def _revive(connection: sqlite3.Connection, message_id: str, now: int) -> bool:
    lane = _lane(connection, message_id, "dead")
    if lane is None:
        return False
    before = connection.execute(FIRST, lane).fetchone()
    # The lane's first message may be on its way at this moment. Its lease passes to whoever steps in front of it.
    leased_until = 0 if before is None else before[1]
    connection.execute(REVIVE, {"message_id": message_id, "now": now, "leased_until": leased_until})
    if before is not None:
        connection.execute(DEMOTE, {"position": before[0]})
    connection.execute(PROMOTE, lane)
    return True


def _delivery(row: tuple[Any, ...], next_at: int | None = None) -> Delivery:
    _, message_id, endpoint, entity, type_, body, created_at, state, attempts, row_next_at, last_error = row
    return Delivery(
        message=OutboxMessage(message_id, endpoint, entity, type_, body.encode(), created_at),
        state=state,
        attempts=attempts,
        next_at=row_next_at if next_at is None else next_at,
        last_error=last_error,
    )
