"""How commands open the database."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from assay.contract.errors import AssayError
from assay_collector.store import Store


@dataclass(eq=False)
class NoDatabase(AssayError):
    """There is no database where one was to be read."""

    path: Path

    def __str__(self) -> str:
        return f"there is no database at {self.path}; name another with --database, or make one with `assay serve`"


@contextmanager
def opened(database: Path, *, create: bool = False) -> Iterator[Store]:
    """
    The store in this file, beside a collector that may be running on it.

    Args:
        create: Whether the file is made when it is missing. Reading a misspelt path must not leave an empty database.

    Raises:
        NoDatabase: It is missing.
        StoreUnavailable: It cannot be opened.
    """
    # Needs the collector extra, which this module's importers may not have.
    from assay_collector.stores.sqlite.store import SQLiteStore

    if not create and not database.exists():
        raise NoDatabase(database)
    store = SQLiteStore(database)
    try:
        yield store
    finally:
        store.close()


def now() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000
