"""Which stored events the definitions that run read, and which values of their evidence only count."""

from collections.abc import Callable

import msgspec

from assay_collector.pql.definition import Catalogue
from assay_collector.pql.matching import SignalIndex
from assay_collector.qualify.versions import running
from assay_collector.store import EventRow, Store

_decode = msgspec.json.Decoder().decode


class Attention:
    """The definitions in the register, compiled anew whenever it changes."""

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock
        self._revision = -1
        self._catalogue = Catalogue()
        self._index = SignalIndex(())

    @property
    def catalogue(self) -> Catalogue:
        """Everything that decides now, shadows included."""
        revision = self._store.register.revision()
        if revision != self._revision:
            self._catalogue = running(self._store.register, self._clock()).all
            self._index = SignalIndex(self._catalogue.signals)
            self._revision = revision
        return self._catalogue

    def reads(self, event: EventRow) -> bool:
        """Whether any of them counts an event, or would once its person agrees."""
        if not self.catalogue.signals or event.type != "track" or event.name is None:
            return False
        properties = _decode(event.properties)
        return bool(self._index.marks(event.name, properties, event.leaf, event.account, event.at))
