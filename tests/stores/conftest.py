"""One suite over every adapter: what is tested through `store` holds for all of them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assay_collector.store import Store
from assay_collector.stores.sqlite.store import SQLiteStore

Opened = Callable[[], Store]


@pytest.fixture(params=["sqlite"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """Opens the adapter, again and again on the same data."""
    stores: list[Store] = []

    def open_sqlite() -> Store:
        stores.append(SQLiteStore(tmp_path / "assay.db"))
        return stores[-1]

    yield {"sqlite": open_sqlite}[request.param]
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Opened) -> Store:
    """An empty store."""
    return opened()
