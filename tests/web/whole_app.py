"""A whole collector in this process, for tests of what an admin may ask."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask

from assay_collector.app import create_app, stop
from assay_collector.keys import ENTROPY_BYTES, KeyKind, new_key
from assay_collector.settings import Settings
from assay_collector.store import Source, Store
from assay_collector.stores.sqlite.store import SQLiteStore


@contextmanager
def running(database: Path) -> Iterator[tuple[Flask, str, str]]:
    """A whole collector on a database file, in this process, with a server's write key and an admin's token."""
    store = SQLiteStore(database)
    store.keyring.put_source(Source(id="web", name="web"), 0)
    key, token = (_put_key(store, kind, source) for kind, source in (("server", "web"), ("admin", None)))
    store.close()
    app = create_app(Settings(database=database))
    try:
        yield app, key, token
    finally:
        stop(app)


def _put_key(store: Store, kind: KeyKind, source: str | None) -> str:
    secret, key = new_key(kind, source, entropy=kind.encode().ljust(ENTROPY_BYTES, b"."), now=0)
    store.keyring.put_key(key)
    return secret
