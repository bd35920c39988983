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
    catalogue: Catalogue  # what decides
    shadowed: Catalogue  # the same and the shadows
    reader: Reader


@contextmanager
def opened_for_reading(settings: Settings) -> Iterator[Opened]:
    """
    The database, with the definitions that run in it; those that the settings name where none ever did.

    Raises:
        AssayError: One of them cannot be read.
    """
    # Needs the collector extra, which this module's importers may not have.
    from assay_collector.app import identity_key, identity_rules, load
    from assay_collector.identity.identifiers import identifier_hasher
    from assay_collector.qualify.versions import running

    with opened(settings.database) as store:
        # What was registered decides; a folder does so only once a collector has read it.
        found = running(store.register, now())
        catalogue, shadowed = found.active, found.all
        if not store.register.revision():
            catalogue = shadowed = load(settings).catalogue
        reader = Reader(
            store, catalogue, identifier_hasher(identity_key(settings, store)), now, identity_rules(settings)
        )
        yield Opened(store, catalogue, shadowed, reader)
