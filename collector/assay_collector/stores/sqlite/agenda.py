"""The agenda and the ledger over one SQLite file."""

from collections.abc import Iterable, Mapping, Sequence
from sqlite3 import Connection
from typing import Any, get_args

from msgspec.structs import astuple

from assay_collector.store import (
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

# Causes are kept as one bit each, so that touches combine by a plain OR.
_BITS = {cause: 1 << position for position, cause in enumerate(get_args(Cause))}

# Who waits for a timer and is touched before it is due is not decided because of the timer.
# A new entry's version begins anywhere: if all began alike, completing an entry that was settled before could take off
# another, touched since.
_TOUCH = f"""
    INSERT INTO agenda (kind, entity, due_at, version, causes, since)
    VALUES (?, ?, ?, random() & 0xffffffffffff, ?, ?)
    ON CONFLICT (entity, kind) DO UPDATE SET due_at = min(due_at, excluded.due_at), version = version + 1,
        causes = (CASE WHEN due_at > excluded.due_at THEN causes & ~{_BITS["timer"]} ELSE causes END) | excluded.causes,
        since = min(since, excluded.since)
"""
_FINISH = "DELETE FROM agenda WHERE entity = ? AND kind = ? AND version = ?"
# With a next moment the entry stays, but nothing that was touched before is a cause any more.
_POSTPONE = "UPDATE agenda SET due_at = ?, since = ?, causes = ? WHERE entity = ? AND kind = ? AND version = ?"

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
                touch(connection, dict.fromkeys(part, now))

    def take(self, now: int, limit: int) -> Sequence[AgendaEntry]:
        sql = """
            SELECT kind, entity, due_at, version, causes, since FROM agenda
            WHERE due_at <= ? ORDER BY due_at LIMIT ?
        """
        with self._database.reading() as connection:
            rows = connection.execute(sql, (now, limit)).fetchall()
        return [
            AgendaEntry(kind, entity, due_at, version, _causes(bits), since)
            for kind, entity, due_at, version, bits, since in rows
        ]

    def complete(self, decided: Sequence[Decided], now: int) -> None:
        with self._database.transaction() as connection:
            for result in decided:
                self._append(connection, result)
                self._settle(connection, result)
            touch(connection, {entry: now for result in decided for entry in result.touches})

    def _append(self, connection: Connection, result: Decided) -> None:
        for transition in result.transitions:
            *head, evidence = astuple(transition)
            connection.execute(_INSERT_TRANSITION, (*head, evidence.decode()))
        if result.outbox:
            append_to_outbox(connection, result.outbox)

    def _settle(self, connection: Connection, result: Decided) -> None:
        entry = result.entry
        key = (entry.entity, entry.kind, entry.version)
        if result.next_at is None:
            connection.execute(_FINISH, key)
        else:
            connection.execute(_POSTPONE, (result.next_at, result.next_at, _BITS["timer"], *key))

    def resolve(self, resolutions: Sequence[Resolution], now: int) -> None:
        touches = [entry for resolution in resolutions for entry in resolution.touches]
        with self._database.transaction() as connection:
            write_resolutions(connection, resolutions)
            touch(connection, dict.fromkeys(touches, now))

    def act(self, act: IdentityAct, now: int) -> None:
        with self._database.transaction() as connection:
            write_act(connection, act)
            touch(connection, {Touch("user", end, "identity"): now for pair in act.pairs for end in pair})

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
            count, oldest = connection.execute(
                "SELECT count(*), min(since) FROM agenda WHERE due_at <= ?", (now,)
            ).fetchone()
        return count, max(0, now - oldest) if count else 0


def touch(connection: Connection, touches: Mapping[Touch, int]) -> None:
    """Put entities on the agenda from the given instants on, inside the caller's transaction."""
    combined: dict[tuple[str, bytes], tuple[int, int]] = {}
    for entry, now in touches.items():
        key = (entry.kind, entry.entity)
        at, bits = combined.get(key, (now, 0))
        combined[key] = (min(at, now), bits | _BITS[entry.cause])
    connection.executemany(_TOUCH, [(*key, at, bits, at) for key, (at, bits) in combined.items()])


def select_ledger(connection: Connection, kind: EntityKind, entities: Sequence[bytes]) -> list[Transition]:
    """Every transition of these entities, in the order in which it was recorded."""
    sql = f"SELECT {','.join(TRANSITION_COLUMNS)} FROM transitions WHERE entity IN ({{}})"
    rows = [_read_transition(row) for row in select_in(connection, sql, entities)]
    return sorted(
        (row for row in rows if row.kind == kind),
        key=lambda row: (row.recorded_at, row.definition, row.episode, row.revision),
    )


def _causes(bits: int) -> frozenset[str]:
    return frozenset(cause for cause, bit in _BITS.items() if bits & bit)


def _read_transition(row: Sequence[Any]) -> Transition:
    values = dict(zip(TRANSITION_COLUMNS, row, strict=True))
    if isinstance(values["evidence"], str):
        values["evidence"] = values["evidence"].encode()
    return Transition(**values)
