"""One SQLite file: a single writing connection, a reading connection a thread, and the two locks between them."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database as SqliteUtilsDatabase

from assay_collector.store import StoreUnavailable
from assay_collector.stores.sqlite.schema import migrations

CACHE_KIB = 256 * 1024
MMAP_BYTES = 4 * 1024**3
BUSY_SECONDS = 5.0


class Database:
    """
    The connections to one file.

    ``compute`` is held by whoever runs Python or SQL on behalf of the collector for more than a moment. sqlite3 gives
    up the interpreter lock at every step, and a busy thread beside the writer would take it for a whole switch interval
    each time: measured, that slows the writer a hundredfold. Taking turns costs nothing, since only one thread can run
    Python anyway. It is released while a COMMIT waits for the disk.
    """

    def __init__(self, path: Path) -> None:
        """
        Open the file, creating or migrating it.

        Raises:
            StoreUnavailable: The file cannot be opened, or is no database.
        """
        self.path = path
        self.compute = threading.Lock()
        self._write = threading.RLock()
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._closed = False
        with _translated():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._connect()
            migrations.apply(SqliteUtilsDatabase(self._writer))

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """
        One durable transaction on the only writing connection; nothing of it is left when the block raises.

        Not to be entered while holding ``compute``.
        """
        with _translated(), self._write:
            with self.compute:
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    yield self._writer
                except BaseException:
                    self._roll_back()
                    raise
            try:
                self._writer.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading what is committed; one snapshot for the whole block, and for blocks within it."""
        with _translated():
            connection = self._reader()
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    def close(self) -> None:
        """Release every connection; what is under way finishes first."""
        with self._write:
            if self._closed:
                return
            self._closed = True
            for reader in self._readers:
                reader.close()
            self._writer.close()

    def _roll_back(self) -> None:
        # A failed COMMIT or a full disk may have rolled back already.
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            if self._closed:
                raise StoreUnavailable("it is closed")
            connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
            self._local.connection = connection
            self._readers.append(connection)
        return connection

    def _connect(self) -> sqlite3.Connection:
        # Closing happens in another thread than opening; sqlite3 itself serialises each connection.
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute(f"PRAGMA mmap_size = {MMAP_BYTES}")
        return connection


@contextmanager
def _translated() -> Iterator[None]:
    """SQLite's own errors of circumstance under the port's name; its errors of programming stay as they are."""
    try:
        yield
    except sqlite3.ProgrammingError as error:
        if "closed database" in str(error):
            raise StoreUnavailable("it is closed") from error
        raise
    except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
        if isinstance(error, sqlite3.IntegrityError | sqlite3.InterfaceError) or "syntax error" in str(error):
            raise
        raise StoreUnavailable(f"SQLite says: {error}") from error
    except OSError as error:
        raise StoreUnavailable(error.strerror or str(error)) from error
