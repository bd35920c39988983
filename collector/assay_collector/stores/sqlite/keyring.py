"""Sources and keys in the SQLite file."""

import sqlite3
from collections.abc import Sequence

import msgspec

from assay_collector.store import Key, Source
from assay_collector.stores.sqlite.database import Database

_COLUMNS = "id, kind, source, digest, created_at, revoked_at, note"


class SQLiteKeyring:
    """The Keyring port over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sources(self) -> Sequence[Source]:
        """All sources, by id."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT document FROM sources ORDER BY id").fetchall()
        return [msgspec.json.decode(document, type=Source) for (document,) in rows]

    def put_source(self, source: Source, now: int) -> None:
        """Create or change a source."""
        document = msgspec.json.encode(source).decode()
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO sources (id, document, created_at, changed_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET document = excluded.document, changed_at = excluded.changed_at",
                (source.id, document, now, now),
            )

    def keys(self) -> Sequence[Key]:
        """All keys, revoked ones too, newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM keys ORDER BY created_at DESC, id").fetchall()
        return [_key(row) for row in rows]

    def put_key(self, key: Key) -> None:
        """Add a key."""
        with self._database.transaction() as connection:
            connection.execute(
                f"INSERT INTO keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (key.id, key.kind, key.source, key.digest, key.created_at, key.revoked_at, key.note),
            )

    def revoke(self, key_id: str, now: int) -> bool:
        """Revoke a key. False: there is no such key, or it was revoked before."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (now, key_id)
            )
            return cursor.rowcount == 1

    def find(self, digest: bytes) -> Key | None:
        """The live key with this digest."""
        # The index compares hashes, not secrets: how long it takes says nothing that helps to guess a secret.
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM keys WHERE digest = ? AND revoked_at IS NULL", (digest,)
            ).fetchone()
        return _key(row) if row else None


def _key(row: sqlite3.Row | tuple[object, ...]) -> Key:
    return Key(**dict(zip(_COLUMNS.split(", "), row, strict=True)))
