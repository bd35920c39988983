"""Opens a database together with what its verdicts are computed from, for the commands that show verdicts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from assay_collector.cli.opening import now, opened
from assay_collector.pql.definition import Catalogue
from assay_collector.qualify.reading import Reader
from assay_collector.settings import Settings
from assay_collector.store import Store


@dataclass(frozen=True, slots=True)
class Opened:
    """A database, its definitions, and who can explain it."""

    store: Store
    catalogue: Catalogue
    reader: Reader


@contextmanager
def opened_for_reading(settings: Settings) -> Iterator[Opened]:
    """
    The database and the definitions that the settings name.

    Raises:
        AssayError: One of them cannot be read.
    """
    # Needs the collector extra, which this module's importers may not have.
    from assay_collector.app import identity_key, load
    from assay_collector.identity.identifiers import identifier_hasher

    catalogue = load(settings).catalogue
    with opened(settings.database) as store:
        reader = Reader(store, catalogue, identifier_hasher(identity_key(settings, store)), now)
        yield Opened(store, catalogue, reader)
