"""The agenda and the ledger over one SQLite file."""

from collections.abc import Iterable, Mapping, Sequence
from sqlite3 import Connection
from typing import Any, get_args

from msgspec.structs import astuple, replace

from assay_collector.pql.happened import ANYTHING, NOTHING, Happened
from assay_collector.store import (
    PLAIN_CAUSES,
    SHADOW,
    AgendaEntry,
    Cause,
    Decided,
    EntityKind,
    IdentityAct,
    Resolution,
    Touch,
    Transition,
)
from assay_collector.stores.sqlite.database import Database
from assay_collector.stores.sqlite.identity import count_links, select_linked, write_act, write_resolutions
from assay_collector.stores.sqlite.outbox import append as append_to_outbox
from assay_collector.stores.sqlite.rows import chunks, marks, select_in
from assay_collector.stores.sqlite.stops import Stops

# Causes are kept as one bit each, so that touches combine by a plain OR.
_BITS = {cause: 1 << position for position, cause in enumerate(get_args(Cause))}

# A new row's version begins anywhere: if all began alike, completing an entry that was settled before could take off
# another, touched since.
_TOUCH = """
    INSERT INTO agenda (kind, entity, epoch, due_at, version, causes, since, marks, earliest, signals)
    VALUES (?, ?, ?, ?, random() & 0xffffffffffff, ?, ?, ?, ?, ?)
    ON CONFLICT (entity, kind, epoch) DO UPDATE SET due_at = min(due_at, excluded.due_at), version = version + 1,
        causes = causes | excluded.causes, since = min(since, excluded.since), marks = marks + excluded.marks,
        earliest = min(earliest, excluded.earliest), signals = signals | excluded.signals
"""
# Whoever is due longest, each with all that is due about it: who waits is decided once, however often it was touched.
_TAKE = """
    SELECT kind, entity, epoch, version, due_at, causes, since, marks, earliest, signals FROM (
        SELECT kind, entity, min(due_at) AS longest FROM (
            SELECT kind, entity, due_at FROM agenda WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2)
        GROUP BY entity, kind) JOIN agenda USING (entity, kind)
    WHERE due_at <= ?1 ORDER BY longest
"""
_ROWS = "SELECT epoch, version, causes FROM agenda WHERE entity = ? AND kind = ?"
_FINISH = "DELETE FROM agenda WHERE entity = ? AND kind = ? AND epoch = ? AND version = ?"
# A timer has a row of its own, which touches leave alone.
_TIMER_EPOCH = 0
_SET_TIMER = f"""
    INSERT INTO agenda (kind, entity, epoch, due_at, version, causes, since, marks, earliest, signals)
    VALUES (?1, ?2, {_TIMER_EPOCH}, ?3, random() & 0xffffffffffff, {_BITS["timer"]}, ?3, {NOTHING.marks},
        {NOTHING.earliest}, {NOTHING.signals})
    ON CONFLICT (entity, kind, epoch) DO UPDATE SET due_at = excluded.due_at, since = excluded.since,
        version = version + 1 WHERE due_at != excluded.due_at
"""
_STOP_TIMER = f"DELETE FROM agenda WHERE entity = ? AND kind = ? AND epoch = {_TIMER_EPOCH}"
_BACKLOG = """
    SELECT count(*), min(since) FROM (
        SELECT min(since) AS since FROM agenda WHERE due_at <= ? GROUP BY entity, kind)
"""

TRANSITION_COLUMNS = Transition.__struct_fields__
_INSERT_TRANSITION = (
    f"INSERT INTO transitions ({','.join(TRANSITION_COLUMNS)}) VALUES ({marks(len(TRANSITION_COLUMNS))}) "
    "ON CONFLICT DO NOTHING"
)
# Of each (definition, entity, episode, step) the highest revision speaks; an episode is open when its `qualified`
# stands and no later step does.
_QUALIFIED = f"""
    SELECT {",".join("t." + column for column in TRANSITION_COLUMNS)} FROM transitions t
    WHERE t.step = 'qualified' AND t.change != 'retracted' {{}}
      AND NOT EXISTS (
        SELECT 1 FROM transitions later WHERE later.entity = t.entity AND later.definition = t.definition
          AND later.episode = t.episode AND later.step = t.step AND later.revision > t.revision)
      AND NOT EXISTS (
        SELECT 1 FROM transitions done WHERE done.entity = t.entity AND done.definition = t.definition
          AND done.episode = t.episode AND done.step IN ('exited', 'expired', 'converted')
          AND done.change != 'retracted' AND NOT EXISTS (
            SELECT 1 FROM transitions newer WHERE newer.entity = done.entity AND newer.definition = done.definition
              AND newer.episode = done.episode AND newer.step = done.step AND newer.revision > done.revision))
    ORDER BY t.effective_at DESC, t.entity, t.definition LIMIT ? OFFSET ?
"""


class SQLiteAgenda:
    """Agenda over one SQLite file; see the port for what it promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def touch(self, touches: Iterable[Touch], now: int) -> None:
        entries = list(touches)
        for part in chunks(entries, 5_000):
            with self._database.transaction() as connection:
                touch(connection, dict.fromkeys(part, now), self._database.epoch)

    def take(self, now: int, limit: int) -> Sequence[AgendaEntry]:
        self._database.epoch += 1
        found: dict[tuple[EntityKind, bytes], list[tuple[Any, ...]]] = {}
        with self._database.reading() as connection:
            for kind, entity, *row in connection.execute(_TAKE, (now, limit)):
                found.setdefault((kind, entity), []).append(tuple(row))
        return [_entry(kind, entity, rows) for (kind, entity), rows in found.items()]

    def complete(self, decided: Sequence[Decided], now: int) -> None:
        with self._database.transaction() as connection:
            stops = self._database.stops.now(connection)
            _forget(connection, [result.entry.entity for result in decided if result.entry.entity in stops.erased])
            decided = [result for result in decided if not (stops and _is_overtaken(connection, result, stops))]
            for result in decided:
                self._append(connection, _allowed(result, stops) if stops else result)
                self._settle(connection, result)
            touches = {entry: now for result in decided for entry in result.touches}
            allowed = {entry: at for entry, at in touches.items() if entry.entity not in stops.erased}
            touch(connection, allowed, self._database.epoch)

    def _append(self, connection: Connection, result: Decided) -> None:
        for transition in result.transitions:
            *head, evidence = astuple(transition)
            connection.execute(_INSERT_TRANSITION, (*head, evidence.decode()))
        if result.outbox:
            append_to_outbox(connection, result.outbox)

    def _settle(self, connection: Connection, result: Decided) -> None:
        entry = result.entry
        keys = [(entry.entity, entry.kind, *row) for row in entry.version]
        # Whoever comes late has nothing to say about the timer either.
        if sum(connection.execute(_FINISH, key).rowcount for key in keys) == 0:
            return
        if result.next_at is None:
            connection.execute(_STOP_TIMER, (entry.entity, entry.kind))
        else:
            connection.execute(_SET_TIMER, (entry.kind, entry.entity, result.next_at))

    def resolve(self, resolutions: Sequence[Resolution], now: int) -> None:
        with self._database.transaction() as connection:
            erased = self._database.stops.now(connection).erased
            # While somebody is being erased, who is who without that person is not known; it will be found out when its
            # links are gone. To touch anybody before would only have the same found out again, and again.
            found = [each for each in resolutions if erased.isdisjoint(each.people)]
            write_resolutions(connection, found)
            touch(connection, {entry: now for each in found for entry in each.touches})

    def act(self, act: IdentityAct, now: int) -> None:
        with self._database.transaction() as connection:
            erased = self._database.stops.now(connection).erased
            # Who was erased a moment ago is nobody's part any more.
            pairs = tuple(pair for pair in act.pairs if erased.isdisjoint(pair))
            write_act(connection, replace(act, pairs=pairs))
            touch(connection, {Touch("user", end, "identity"): now for pair in pairs for end in pair})

    def adjust_identity(self, fingerprint: bytes, now: int) -> bool:
        with self._database.transaction() as connection:
            known = connection.execute("SELECT value FROM settings WHERE name = 'identity_rules'").fetchone()
            if known is not None and bytes(known[0]) == fingerprint:
                return False
            connection.execute("INSERT OR REPLACE INTO settings VALUES ('identity_rules', ?)", (fingerprint,))
            touch(connection, {Touch("user", id, "identity"): now for id in select_linked(connection)})
        return True

    def link_counts(self) -> Mapping[str, int]:
        with self._database.reading() as connection:
            return count_links(connection)

    def qualified(self, *, definition: str | None, limit: int, offset: int) -> Sequence[Transition]:
        narrowed = f"AND t.definition NOT LIKE '{SHADOW}%'" if definition is None else "AND t.definition = ?"
        parameters = [*([] if definition is None else [definition]), limit, offset]
        with self._database.reading() as connection:
            return [_read_transition(row) for row in connection.execute(_QUALIFIED.format(narrowed), parameters)]

    def backlog(self, now: int) -> tuple[int, int]:
        with self._database.reading() as connection:
            count, oldest = connection.execute(_BACKLOG, (now,)).fetchone()
        return count, max(0, now - oldest) if count else 0


def touch(connection: Connection, touches: Mapping[Touch, int], epoch: int = 1) -> None:
    """
    Put entities on the agenda from the given instants on, inside the caller's transaction.

    Args:
        epoch: The database's present one, where touches of an entity come often.
    """
    combined: dict[tuple[str, bytes], tuple[int, int, Happened]] = {}
    for entry, now in touches.items():
        key = (entry.kind, entry.entity)
        what = entry.happened or (ANYTHING if entry.cause in PLAIN_CAUSES else NOTHING)
        at, bits, before = combined.get(key, (now, 0, NOTHING))
        combined[key] = (min(at, now), bits | _BITS[entry.cause], before.and_more(what))
    rows = [(*key, epoch, at, bits, at, *what) for key, (at, bits, what) in combined.items()]
    connection.executemany(_TOUCH, rows)


def _entry(kind: EntityKind, entity: bytes, rows: Sequence[tuple[Any, ...]]) -> AgendaEntry:
    """The rows of one entity as one entry."""
    bits, happened = 0, NOTHING
    for _, _, _, causes, _, *what in rows:
        bits, happened = bits | causes, happened.and_more(Happened(*what))
    versions = tuple((row[0], row[1]) for row in rows)
    return AgendaEntry(
        kind, entity, min(row[2] for row in rows), versions, _causes(bits), min(row[4] for row in rows), happened
    )


def select_ledger(connection: Connection, kind: EntityKind, entities: Sequence[bytes]) -> list[Transition]:
    """Every transition of these entities, in the order in which it was recorded."""
    sql = f"SELECT {','.join(TRANSITION_COLUMNS)} FROM transitions WHERE entity IN ({{}})"
    rows = [_read_transition(row) for row in select_in(connection, sql, entities)]
    return sorted(
        (row for row in rows if row.kind == kind),
        key=lambda row: (row.recorded_at, row.definition, row.episode, row.revision),
    )


def _forget(connection: Connection, erased: Sequence[bytes]) -> None:
    """Nothing is to be decided about the erased: what was touched when they went is settled by that."""
    connection.executemany("DELETE FROM agenda WHERE entity = ?", [(id,) for id in erased])


def _is_overtaken(connection: Connection, result: Decided, stops: Stops) -> bool:
    """Whether it was decided from facts of somebody who was erased meanwhile; then it is decided again."""
    entry = result.entry
    if entry.entity in stops.erased:
        return True
    rows = connection.execute(_ROWS, (entry.entity, entry.kind))
    return any((epoch, version) not in entry.version and causes & _BITS["erasure"] for epoch, version, causes in rows)


def _allowed(result: Decided, stops: Stops) -> Decided:
    """Nothing is written about the erased, and nothing sent about the suppressed."""
    return replace(
        result,
        transitions=tuple(row for row in result.transitions if row.entity not in stops.erased),
        outbox=tuple(message for message in result.outbox if message.entity not in stops),
    )


def _causes(bits: int) -> frozenset[str]:
    return frozenset(cause for cause, bit in _BITS.items() if bits & bit)


def _read_transition(row: Sequence[Any]) -> Transition:
    values = dict(zip(TRANSITION_COLUMNS, row, strict=True))
    if isinstance(values["evidence"], str):
        values["evidence"] = values["evidence"].encode()
    return Transition(**values)
