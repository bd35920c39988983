"""The collector's real parts, joined over one SQLite file, with a clock that is given."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from assay.contract.plan import Plan
from assay.contract.reading import Arrival, open_envelope
from assay.contract.times import parse_instant
from assay_collector.identity.identifiers import Identify, identifier_hasher
from assay_collector.ingest.admission import Admitter
from assay_collector.ingest.known_consent import KnownConsent
from assay_collector.ingest.port import RequestSignals
from assay_collector.ingest.receiver import Receiver
from assay_collector.pql.definition import Catalogue
from assay_collector.pql.ledger import Transition, standing
from assay_collector.pql.matching import SignalIndex
from assay_collector.qualify.reading import Reader
from assay_collector.qualify.refill import refill
from assay_collector.qualify.worker import Qualifier
from assay_collector.store import Outcome, Source
from assay_collector.stores.sqlite.store import SQLiteStore
from assay_collector.verify import verify
from qualify.wire import NOW, Message

APP = Source(id="app", name="app")
# A source that may score nobody who has not agreed.
STRICT = Source(id="strict", name="strict", consent={"pql_scoring": "opt_in"})

IDENTIFY: Identify = identifier_hasher(b"k" * 32)

# (definition, kind, name) -> (episode, step) -> since when.
Standing = Mapping[tuple[str, str, str], Mapping[tuple[int, str], int]]

_KEPT = {"settings", "sources", "keys", "signals", "deciding", "_sqlite_migrations"}
_KEPT |= {"definitions", "definition_changes", "definition_files"}


class House:
    """A collector without its doors: messages in, decisions when asked for."""

    def __init__(self, folder: Path, catalogue: Catalogue, plan: Plan | None = None) -> None:
        self.store = SQLiteStore(folder / "house.db")
        self.catalogue = catalogue
        self._ids = count(1)
        self.receiver = Receiver(
            self.store.events,
            Admitter(IDENTIFY, SignalIndex(catalogue.signals), known_consent=KnownConsent(self.store.snapshot)),
            plan,
            new_message_id=lambda: f"drawn-{next(self._ids)}",
            new_quarantine_id=lambda: next(self._ids).to_bytes(16, "big"),
            turn=self.store.turn,
        )
        self.qualifier = Qualifier(self.store, catalogue, notify=lambda transition, identifier: ())
        for source in (APP, STRICT):
            self.store.keyring.put_source(source, NOW)
        refill(self.store, catalogue, now=NOW)
        with self.store.database.transaction() as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        self._tables = sorted({name for (name,) in tables} - _KEPT)

    # --- in ---

    def receive(self, messages: Iterable[Message], *, now: int = NOW, source: Source = APP) -> list[Outcome]:
        """One batch; a message with a `"source": "strict"` of its own goes through that source."""
        outcomes: list[Outcome] = []
        for strict in (False, True):
            part = [message for message in messages if (message.get("source") == "strict") is strict]
            if part:
                body = json.dumps({"batch": part}).encode()
                door = STRICT if strict else source
                arrival = Arrival(received_at=now)
                outcomes += self.receiver.receive(open_envelope(body, None), door, arrival, _SIGNALS)
        return outcomes

    def decide(self, now: int = NOW) -> int:
        """Decide whoever is due; how many entries that were."""
        return self.qualifier.run_until_idle(lambda: now)

    def take_in(self, *messages: Message, now: int = NOW) -> "House":
        """Receive and decide."""
        self.receive(messages, now=now)
        self.decide(now)
        return self

    def live_through(self, *messages: Message, until: int) -> "House":
        """Each message is received and decided when it happens, and whenever time alone may change something."""
        by_time: dict[int, list[Message]] = {}
        for message in messages:
            by_time.setdefault(parse_instant(message["timestamp"]), []).append(message)
        for at in (*sorted(by_time), until):
            while (due := self.next_due()) is not None and due < at:
                self.decide(due)
            self.receive(by_time.get(at, ()), now=at)
            self.decide(at)
        return self

    def next_due(self) -> int | None:
        """When the next entry of the agenda is due."""
        with self.store.database.reading() as connection:
            (due,) = connection.execute("SELECT min(due_at) FROM agenda").fetchone()
        return None if due is None else int(due)

    # --- out ---

    def ledger(self) -> list[Transition]:
        """Every line, in an order of its own."""
        return sorted(self._lines(), key=lambda row: (row.definition, row.entity, row.episode, row.step, row.revision))

    def standing(self) -> Standing:
        """What the ledger says now."""
        by_entity: dict[tuple[str, str, bytes], list[Transition]] = {}
        for row in self._lines():
            by_entity.setdefault((row.definition, row.kind, row.entity), []).append(row)
        found = {
            (definition, kind, self.name(entity)): {key: row.effective_at for key, row in standing(rows).items()}
            for (definition, kind, entity), rows in by_entity.items()
        }
        return {key: steps for key, steps in found.items() if steps}

    def since(self, definition: str) -> dict[str, int]:
        """Who is qualified under a definition, since when."""
        leads = self.store.agenda.qualified(definition=definition, limit=10_000, offset=0)
        return {self.name(lead.entity): lead.effective_at for lead in leads}

    def began(self, definition: str) -> dict[str, int]:
        """Who ever qualified under a definition, since when at first; also those with whom it has ended since."""
        told = ((name, steps) for (d, _, name), steps in self.standing().items() if d == definition)
        return {name: steps[1, "qualified"] for name, steps in told}

    def since_by(self, definitions: Iterable[str]) -> dict[tuple[str, str], int]:
        """The same for several: (definition, name) -> since when."""
        return {(definition, name): at for definition in definitions for name, at in self.since(definition).items()}

    def tallies(self) -> Counter[Any]:
        """Every tally row and distinct value, as stored."""
        return Counter(self.store.tallies.all_rows())

    def reader(self, now: int = NOW) -> Reader:
        """The answers of the API."""
        return Reader(self.store, self.catalogue, IDENTIFY, lambda: now)

    def differences(self, now: int = NOW) -> Sequence[str]:
        """What `assay verify` says."""
        return verify(self.store, self.catalogue, self.qualifier, now=now).differences

    def clear(self) -> None:
        """As if nothing had ever been received."""
        with self.store.database.transaction() as connection:
            for table in self._tables:
                connection.execute(f"DELETE FROM {table}")
        self.store.events.forget_known()
        self.qualifier.forget()

    def _lines(self) -> Iterator[Transition]:
        with self.store.database.reading() as connection:
            for values in connection.execute(f"SELECT {','.join(Transition.__struct_fields__)} FROM transitions"):
                yield Transition(*values)

    def name(self, entity: bytes) -> str:
        """What a person or account is called."""
        known = self.store.events.identifier(entity)
        return entity.hex() if known is None else known.value


_SIGNALS = RequestSignals(gpc=False, dnt=False, ip=None, sources=lambda key: None)
_FAST = Path("/dev/shm")


@contextmanager
def opened(catalogue: Catalogue, plan: Plan | None = None) -> Iterator[House]:
    """A house over a file that lies in memory where the machine has such a place."""
    with TemporaryDirectory(dir=_FAST if _FAST.is_dir() else None) as folder:
        house = House(Path(folder), catalogue, plan)
        try:
            yield house
        finally:
            house.store.close()
