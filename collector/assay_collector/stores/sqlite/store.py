"""The embedded store: all the ports over one SQLite file."""

from contextlib import AbstractContextManager
from pathlib import Path

from assay_collector.store import Facts, Turn
from assay_collector.stores.sqlite.agenda import SQLiteAgenda
from assay_collector.stores.sqlite.database import Database
from assay_collector.stores.sqlite.events import SQLiteEventLog
from assay_collector.stores.sqlite.facts import open_snapshot
from assay_collector.stores.sqlite.keyring import SQLiteKeyring
from assay_collector.stores.sqlite.outbox import SQLiteOutbox
from assay_collector.stores.sqlite.privacy import SQLiteRights
from assay_collector.stores.sqlite.register import SQLiteRegister
from assay_collector.stores.sqlite.retention import SQLiteRetention
from assay_collector.stores.sqlite.tallies import SQLiteTallies


class SQLiteStore:
    """Store over one SQLite file; see the port for what it promises."""

    def __init__(self, path: Path) -> None:
        """
        Open the file, creating or migrating it.

        Raises:
            StoreUnavailable: The file cannot be opened, or is no database.
        """
        self.database = Database(path)
        self.events = SQLiteEventLog(self.database)
        self.agenda = SQLiteAgenda(self.database)
        self.tallies = SQLiteTallies(self.database)
        self.outbox = SQLiteOutbox(self.database)
        self.keyring = SQLiteKeyring(self.database)
        self.rights = SQLiteRights(self.database)
        self.retention = SQLiteRetention(self.database)
        self.register = SQLiteRegister(self.database)

    @property
    def turn(self) -> Turn:
        return self.database.compute

    def snapshot(self) -> AbstractContextManager[Facts]:
        return open_snapshot(self.database)

    def check(self) -> None:
        with self.database.transaction() as connection:
            connection.execute("INSERT INTO settings VALUES ('checked', 1) ON CONFLICT DO UPDATE SET value = value + 1")

    def setting(self, name: str, default: bytes) -> bytes:
        with self.database.transaction() as connection:
            connection.execute("INSERT INTO settings VALUES (?, ?) ON CONFLICT DO NOTHING", (name, default))
            row = connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return bytes(row[0])

    def close(self) -> None:
        self.database.close()
