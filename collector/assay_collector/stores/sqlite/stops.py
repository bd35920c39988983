"""
Who was erased or is suppressed, at hand for whoever writes.

Every writer asks inside its own transaction, where nobody else can change it, so nothing that was on its way when a
request took effect is written after it. The sets are kept in memory and read again when the generation has moved, also
by another process: one row looked up a transaction, a set operation an event.
"""

from collections.abc import Collection, Iterable, Sequence, Set
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import Literal, get_args

from msgspec.structs import replace

from assay_collector.store import Admission
from assay_collector.stores.sqlite.rows import select_in

Refusal = Literal["erased_subject", "suppressed_subject"]
REFUSALS: frozenset[str] = frozenset(get_args(Refusal))

_GENERATION = "SELECT value FROM settings WHERE name = 'stops_generation'"
_MOVE = """
    INSERT INTO settings (name, value) VALUES ('stops_generation', 1) ON CONFLICT DO UPDATE SET value = value + 1
    RETURNING value
"""


@dataclass(slots=True)
class Stops:
    """Identity ids about which nothing is written, or nothing is done."""

    erased: set[bytes] = field(default_factory=set)
    suppressed: dict[bytes, bool] = field(default_factory=dict)  # -> whether events are kept all the same

    def __bool__(self) -> bool:
        return bool(self.erased or self.suppressed)

    def __contains__(self, id: bytes) -> bool:
        return id in self.erased or id in self.suppressed

    def judge(self, admission: Admission) -> Admission | Refusal:
        """
        What may be written of an event: all, a part, or nothing.

        An event of somebody else that merely comes with an erased identifier is kept without it.
        """
        event = admission.event
        who = {event.leaf, *(known.id for known in admission.identifiers if known.type == "user")}
        if not admission.identifiers:
            # An anonymised event names nobody, but what is logged of it does.
            who.update(entry.subject for entry in admission.consents)
        if not self.erased.isdisjoint(who):
            return "erased_subject"
        if not who.isdisjoint(self.suppressed):
            if not all(self.suppressed.get(id, True) for id in who):
                return "suppressed_subject"
            admission = replace(admission, event=replace(event, scored=False), marks=(), awaits=())
        named: set[bytes | None] = {known.id for known in admission.identifiers}
        named.update(end for link in admission.links for end in (link.low, link.high, link.as_user))
        return admission if self.erased.isdisjoint(named) else _without(admission, self.erased)

    def refusal(self, ids: Iterable[bytes]) -> Refusal | None:
        """Why nothing that is about these is kept; None: it is."""
        found: Refusal | None = None
        for id in ids:
            if id in self.erased:
                return "erased_subject"
            if not self.suppressed.get(id, True):
                found = "suppressed_subject"
        return found


class StopsInMemory:
    """Stops as of the transaction under way; to be asked by the one writer only."""

    def __init__(self) -> None:
        self.generation = -1
        self._stops = Stops()

    def now(self, connection: Connection) -> Stops:
        """Those that hold in this transaction."""
        row = connection.execute(_GENERATION).fetchone()
        generation = 0 if row is None else int(row[0])
        if generation != self.generation:
            self._load(connection, self.generation)
            self.generation = generation
        return self._stops

    def _load(self, connection: Connection, after: int) -> None:
        rows = connection.execute("SELECT id FROM tombstones WHERE generation > ?", (after,))
        self._stops.erased.update(row[0] for row in rows)
        self._stops.suppressed = dict(
            connection.execute("SELECT id, keeps_events = 1 FROM suppressions WHERE id > x''").fetchall()
        )


def move(connection: Connection) -> int:
    """A new generation, for the stops that this transaction writes."""
    return int(connection.execute(_MOVE).fetchone()[0])


def stopped_among(connection: Connection, ids: Collection[bytes]) -> set[bytes]:
    """Which of these are erased or suppressed, as this connection sees it."""
    found: set[bytes] = set()
    for table in ("tombstones", "suppressions"):
        # Most databases have none, and need not be asked for each id.
        if connection.execute(f"SELECT EXISTS (SELECT 1 FROM {table} WHERE id > x'')").fetchone()[0]:
            found.update(row[0] for row in select_in(connection, f"SELECT id FROM {table} WHERE id IN ({{}})", ids))
    return found


def refusal_of(connection: Connection, ids: Collection[bytes]) -> Refusal | None:
    """Why nothing that names these is kept, as this connection sees it; None: it is."""
    found = stopped_among(connection, ids)
    if not found:
        return None
    sql = "SELECT id FROM tombstones WHERE id IN ({})"
    suppressed = "SELECT id, keeps_events = 1 FROM suppressions WHERE id IN ({})"
    stops = Stops({row[0] for row in select_in(connection, sql, found)}, dict(select_in(connection, suppressed, found)))
    return stops.refusal(found)


def judged(stops: Stops, admissions: Sequence[Admission]) -> tuple[Sequence[Admission], Sequence[Refusal | None]]:
    """The admissions that pass, as they pass, and for each of all why it does not; None: it does."""
    if not stops:
        return admissions, (None,) * len(admissions)
    passed: list[Admission] = []
    refusals: list[Refusal | None] = []
    for admission in admissions:
        found = stops.judge(admission)
        if isinstance(found, Admission):
            passed.append(found)
        refusals.append(None if isinstance(found, Admission) else found)
    return passed, refusals


def _without(admission: Admission, erased: Set[bytes]) -> Admission:
    links = tuple(link for link in admission.links if erased.isdisjoint((link.low, link.high, link.as_user)))
    # A previous name that is an erased user's is not taken as anything else's either.
    names = {link.former for link in admission.links if link.as_user in erased} - {admission.event.leaf}
    untaken = erased | (names - {end for link in links for end in (link.low, link.high)})
    return replace(
        admission,
        identifiers=tuple(known for known in admission.identifiers if known.id not in untaken),
        links=links,
        memberships=tuple(row for row in admission.memberships if row.leaf not in erased),
        traits=tuple(row for row in admission.traits if row.entity not in erased),
        consents=tuple(row for row in admission.consents if row.subject not in erased),
        touches=tuple(row for row in admission.touches if row.entity not in erased),
    )
