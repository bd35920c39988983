"""A collector in process, with an office for persons' requests, and a look into every byte it keeps."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from assay_collector.deliver import Endpoint, webhook_messages
from assay_collector.pql.definition import Catalogue
from assay_collector.pql.language import read_definitions
from assay_collector.privacy.office import Office, Subject
from assay_collector.privacy.redaction import redaction
from assay_collector.qualify.clusters import everybody_of
from assay_collector.qualify.worker import Qualifier
from assay_collector.store import Expand, PrivacyRequest
from assay_collector.stores.sqlite.stops import StopsInMemory
from assay_collector.stores.sqlite.tombstone_file import TombstoneFile
from qualify.house import IDENTIFY, House, opened
from qualify.wire import HOUR, START, Message

CRM = Endpoint(name="crm", url="https://crm.example.com/hook", secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
KEY = b"c" * 32

_HEADER = """\
pql: {{id: {id}, version: 1, entity: {entity}, stage: activation, owner: growth}}
why: Because.
predicts: {{event: Subscription Started, within: 30 days}}
tests: [{{name: a, given: [], at: 2026-03-01T09:00Z, expect: {{qualified: false}}}}]
"""
_BODIES = {
    "u-made": "signals: {made: {count: Made}}\nqualify: {made: at least 2}",
    "u-plan": "signals: {made: {count: Made}}\nqualify: {made: at least 1, account.plan: trial}",
    "a-made": "signals: {made: {count: Made}}\nqualify: {made: at least 3}",
    "a-people": "signals: {people: {distinct: any, of: user_id}}\nqualify: {people: at least 2}",
    "a-last": "signals: {size: {last: Made, of: size}, made: {count: Made}}\nqualify: {size: at least 5}",
    "a-word": "signals: {word: {last: Made, of: word}, made: {count: Made}}\nqualify: {word: is known}",
    "a-plan": "signals: {made: {count: Made}}\nqualify: {made: at least 1, account.plan: trial}",
}
CATALOGUE: Catalogue = read_definitions(
    {
        f"{id}.yaml": _HEADER.format(id=id, entity="user" if id.startswith("u-") else "account") + body
        for id, body in _BODIES.items()
    }
)


class Desk:
    """A house with an office, a webhook, and a clock that is moved by hand."""

    def __init__(self, house: House) -> None:
        self.house = house
        # Soon after what happens in the stories, so that it is news.
        self.clock = [START + 12 * HOUR]
        self.store = house.store
        self._ids = count(1)
        house.qualifier = Qualifier(
            house.store,
            house.catalogue,
            notify=lambda transition, known: webhook_messages(
                transition,
                external_id=None if known is None else known.value,
                endpoints=[CRM],
                now=self.clock[0],
            ),
        )
        self.office = self.new_office()

    def new_office(self, expand: Expand = everybody_of, **settings: Any) -> Office:
        """An office as after a restart."""
        return Office(
            self.store,
            identify=IDENTIFY,
            expand=expand,
            redaction=redaction(lambda: self.house.catalogue, KEY),
            certificate_key=KEY,
            new_id=lambda: next(self._ids).to_bytes(16, "big"),
            clock=lambda: self.clock[0],
            **{"endpoints": [CRM.name], **settings},
        )

    def take_in(self, *messages: Message) -> None:
        """Receive and decide, now."""
        self.house.receive(messages, now=self.clock[0])
        self.house.decide(self.clock[0])

    def erase(self, who: str) -> PrivacyRequest:
        """Erase somebody from beginning to end, everybody concerned decided and recipients told."""
        request = self.office.enter("erase", Subject(value=who))
        self.office.carry_out(request.request_id, pause=lambda: None)
        self.house.decide(self.clock[0])
        self.deliver()
        self.office.settle()
        return self.office.request(request.request_id)

    def deliver(self) -> list[dict[str, Any]]:
        """Everything in the outbox is accepted by its receiver; what that gets."""
        sent = []
        while due := self.store.outbox.due(CRM.name, self.clock[0], 100, self.clock[0]):
            for delivery in due:
                sent.append({"type": delivery.message.type, "body": delivery.message.body.decode()})
                self.store.outbox.delivered(delivery.message.message_id, self.clock[0])
        return sent

    def clear(self) -> None:
        """As if nothing had ever been received or asked."""
        self.house.clear()
        self.store.database.stops = StopsInMemory()
        TombstoneFile(self.store.database.path).path.unlink(missing_ok=True)

    # --- a look inside ---

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every table with all its rows."""
        with self.store.database.reading() as connection:
            tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in sorted(tables)}

    def rows_naming(self, *needles: bytes) -> dict[str, list[tuple[Any, ...]]]:
        """The rows in which any of these bytes stand, by table."""
        found = {
            table: [row for row in rows if any(needle in _bytes(value) for needle in needles for value in row)]
            for table, rows in self.rows().items()
        }
        return {table: rows for table, rows in found.items() if rows}

    def files_naming(self, *needles: bytes) -> list[tuple[str, bytes]]:
        """The files of the database in which any of these bytes stand."""
        folder = self.store.database.path.parent
        return [
            (path.name, needle)
            for path in sorted(folder.iterdir())
            for needle in needles
            if needle in path.read_bytes()
        ]


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return str(value).encode("utf-8", "surrogatepass")


@contextmanager
def open_desk(catalogue: Catalogue = CATALOGUE) -> Iterator[Desk]:
    """A desk over a fresh file."""
    with opened(catalogue) as house:
        yield Desk(house)


def id_of(type: str, value: str) -> bytes:
    """An identity id, as this house derives it."""
    return IDENTIFY("default", type, value)  # type: ignore[arg-type]


Opened = Callable[[], Desk]
Messages = Sequence[Message]
