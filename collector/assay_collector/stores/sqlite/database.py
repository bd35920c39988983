"""One SQLite file: a single writing connection, a reading connection a thread, and the two locks between them."""

import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database as SqliteUtilsDatabase

from assay_collector.store import StoreUnavailable
from assay_collector.stores.sqlite.schema import migrations
from assay_collector.stores.sqlite.stops import StopsInMemory
from assay_collector.stores.turns import Turns

# The writer touches pages all over the indexes; a reader looks at few, and there is one a thread.
WRITER_CACHE_KIB = 256 * 1024
READER_CACHE_KIB = 8 * 1024
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
        self.compute = Turns()
        self.stops = StopsInMemory()
        self.epoch = 1  # rises whenever the agenda is looked at: see schema
        self._write = threading.RLock()
        self._local = threading.local()
        self._readers: weakref.WeakSet[_Reader] = weakref.WeakSet()
        self._readers_lock = threading.Lock()
        self._closed = False
        with _translated():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._connect()
        # In a transaction of its own, so that of two who open a new file one makes the tables and the other finds them.
        with self.transaction() as connection:
            migrations.apply(SqliteUtilsDatabase(connection))

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """
        One durable transaction on the only writing connection; nothing of it is left when the block raises.

        Not to be entered while holding ``compute``.
        """
        with _translated(), self._write:
            # Another process may hold the file for seconds; nobody else needs to wait for that.
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                with self.compute:
                    yield self._writer
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

    def compact(self) -> None:
        """Write the whole file anew, and empty the write-ahead log; needs the file for itself."""
        with _translated(), self._write:
            self._writer.execute("VACUUM")
            busy, *_ = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreUnavailable("somebody is reading it")

    def close(self) -> None:
        """Release every connection; what is under way finishes first."""
        with self._write:
            if self._closed:
                return
            with self._readers_lock:
                self._closed = True
                for reader in self._readers:
                    reader.connection.close()
            self._writer.close()

    def _roll_back(self) -> None:
        # A failed COMMIT or a full disk may have rolled back already.
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    def _reader(self) -> sqlite3.Connection:
        reader: _Reader | None = getattr(self._local, "reader", None)
        if reader is None:
            with self._readers_lock:
                if self._closed:
                    raise StoreUnavailable("it is closed")
                reader = _Reader(self._connect())
                self._readers.add(reader)
            reader.connection.execute("PRAGMA query_only = ON")
            reader.connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
            self._local.reader = reader
        return reader.connection

    def _connect(self) -> sqlite3.Connection:
        # Closing happens in another thread than opening; sqlite3 itself serialises each connection.
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
        connection.execute(f"PRAGMA mmap_size = {MMAP_BYTES}")
        return connection


class _Reader:
    """A thread's reading connection, closed with the thread: servers start and end threads with the load."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


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
