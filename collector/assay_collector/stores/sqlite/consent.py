"""The consent log and what follows from it, in the caller's transaction or snapshot."""

from collections.abc import Iterable, Iterator, Sequence
from sqlite3 import Connection
from typing import Any

import msgspec

from assay.contract.consent import SCORING_PURPOSES
from assay_collector.store import Admission, ConsentEntry, ConsentSnapshot, Mark, Source, Touch, Waiting
from assay_collector.stores.sqlite.rows import chunks, marks, select_in

_COLUMNS = (
    "subject, purpose, state, signal, at, received_at, event_id, evidence, basis, policy_version, expires_at, policy,"
    " source"
)
_INSERT_ENTRY = f"INSERT INTO consent_log ({_COLUMNS}) VALUES ({marks(13)}) ON CONFLICT DO NOTHING"
_INSERT_SNAPSHOT = """
    INSERT INTO consent_snapshots (consent_id, states, evidence, decision) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_INSERT_DROPPED = """
    INSERT INTO dropped (event_id, source, received_at, consent_id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_INSERT_WAITING = (
    "INSERT INTO consent_waiting (leaf, at, event_id, purposes) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
# What is no plain and lasting yes; few say such a thing, so that is an index of its own.
_DOUBTFUL = """
    SELECT DISTINCT subject FROM consent_log INDEXED BY consent_doubts
    WHERE subject IN ({}) AND purpose IN ({}) AND (state != 'granted' OR expires_at IS NOT NULL)
"""
_LEAVES = "SELECT theirs.leaf FROM people mine JOIN people theirs USING (person) WHERE mine.leaf = ?"
_STILL_WAITING = "SELECT 1 FROM consent_waiting WHERE leaf = ? AND at >= ? LIMIT 1"
_GRANTED = f"""
    SELECT 1 FROM consent_log WHERE subject = ? AND purpose IN ({marks(len(SCORING_PURPOSES))}) AND state = 'granted'
        AND at <= ? LIMIT 1
"""


def write_consent(connection: Connection, fresh: Sequence[Admission]) -> dict[Touch, int]:
    """
    Log what new events say about consent, under which consent each was decided, and what it still waits for.

    Returns:
        Who is to be looked at, since when: whoever may have granted already what an event waits for.
    """
    _write_entries(connection, fresh)
    waiting = [admission for admission in fresh if admission.awaits]
    if not waiting:
        return {}
    connection.executemany(
        _INSERT_WAITING, [(a.event.leaf, a.event.at, a.event.event_id, " ".join(a.awaits)) for a in waiting]
    )
    return {
        Touch("user", each.event.leaf, "consent"): each.event.received_at
        for each in waiting
        if connection.execute(_GRANTED, (each.event.leaf, *SCORING_PURPOSES, each.event.at)).fetchone()
    }


def write_dropped(connection: Connection, dropped: Sequence[Admission]) -> dict[Touch, int]:
    """Of dropped events keep that they came, and log what they say about consent. Returns whom that concerns."""
    rows = [
        (a.event.event_id, a.event.source, a.event.received_at, None if a.consent is None else a.consent.consent_id)
        for a in dropped
    ]
    connection.executemany(_INSERT_DROPPED, rows)
    _write_entries(connection, dropped)
    return {entry: a.event.received_at for a in dropped for entry in a.touches if entry.cause == "consent"}


def select_doubtful(connection: Connection, subjects: Sequence[bytes], purposes: Sequence[str]) -> set[bytes]:
    """Which of these subjects ever said anything but a lasting yes to any of these purposes."""
    return {
        row[0]
        for part in chunks(list(dict.fromkeys(subjects)))
        for row in connection.execute(_DOUBTFUL.format(marks(len(part)), marks(len(purposes))), (*part, *purposes))
    }


def only_agrees_again(connection: Connection, entries: Sequence[ConsentEntry]) -> bool:
    """
    Whether what an event says of scoring, and is in the log by now, changes nobody: a yes where nobody ever said
    anything else, and nothing waits for it. Most clients repeat it with every event.
    """
    said = {(entry.subject, entry.at): entry for entry in entries if entry.purpose in SCORING_PURPOSES}
    return all(
        entry.state == "granted"
        and entry.expires_at is None
        and connection.execute(_STILL_WAITING, (subject, at)).fetchone() is None
        and not select_doubtful(connection, [subject, *_leaves(connection, subject)], SCORING_PURPOSES)
        for (subject, at), entry in said.items()
    )


def _leaves(connection: Connection, leaf: bytes) -> list[bytes]:
    return [row[0] for row in connection.execute(_LEAVES, (leaf,))]


def select_entries(connection: Connection, subjects: Sequence[bytes], purposes: Sequence[str]) -> list[ConsentEntry]:
    """What the log has about these subjects and purposes."""
    sql = f"SELECT {_COLUMNS} FROM consent_log WHERE subject IN ({{}}) AND purpose IN ({marks(len(purposes))})"
    parts = chunks(list(dict.fromkeys(subjects)))
    rows = (row for part in parts for row in connection.execute(sql.format(marks(len(part))), (*part, *purposes)))
    return [_read_entry(row) for row in rows]


def select_entries_of_events(connection: Connection, event_ids: Sequence[bytes]) -> list[ConsentEntry]:
    """What these events said. Read from the whole log, so for people's questions only."""
    sql = f"SELECT {_COLUMNS} FROM consent_log WHERE event_id IN ({{}})"
    return [_read_entry(row) for row in select_in(connection, sql, event_ids)]


def select_snapshots(connection: Connection, ids: Sequence[bytes]) -> dict[bytes, ConsentSnapshot]:
    """The consent that events were decided under, by its id."""
    sql = "SELECT consent_id, states, evidence, decision FROM consent_snapshots WHERE consent_id IN ({})"
    return {row[0]: ConsentSnapshot(row[0], *map(_bytes, row[1:])) for row in select_in(connection, sql, ids)}


def select_waiting(connection: Connection, leaves: Sequence[bytes]) -> list[Waiting]:
    """The events of these leaves that wait for a grant."""
    sql = "SELECT leaf, at, event_id, purposes FROM consent_waiting WHERE leaf IN ({})"
    rows = select_in(connection, sql, leaves)
    return [Waiting(leaf, at, event_id, tuple(purposes.split())) for leaf, at, event_id, purposes in rows]


def select_awaiting(connection: Connection) -> Iterator[tuple[Waiting, bool]]:
    """Every event that came without a grant it needs and counts, or still waits."""
    sql = """
        SELECT leaf, at, event_id, scored, (SELECT group_concat(value, ' ') FROM json_each(decision, '$.awaits'))
        FROM consent_snapshots JOIN events USING (consent_id)
        WHERE json_array_length(decision, '$.awaits') > 0
          AND (scored = 1 OR event_id IN (SELECT event_id FROM consent_waiting))
    """
    for leaf, at, event_id, scored, purposes in connection.execute(sql):
        yield Waiting(leaf, at, event_id, tuple(purposes.split())), bool(scored)


def release(connection: Connection, event_ids: Sequence[bytes]) -> list[tuple[int, bytes]]:
    """Have waiting events count from now on. Returns those that did not before, with their log positions."""
    sql = (
        "SELECT seq, event_id FROM events WHERE scored = 0 AND event_id IN ({}) "
        "AND event_id IN (SELECT event_id FROM consent_waiting)"
    )
    found = list(select_in(connection, sql, event_ids))
    for statement in (
        "UPDATE events SET scored = 1 WHERE event_id = ?",
        "UPDATE traits SET scored = 1 WHERE event_id = ?",
    ):
        connection.executemany(statement, [(id,) for _, id in found])
    connection.executemany("DELETE FROM consent_waiting WHERE event_id = ?", [(id,) for id in event_ids])
    return found


def readable(connection: Connection, marked: Iterable[tuple[int, Mark]]) -> list[Mark]:
    """Of marks with their events' log positions those that no filling of their signal will come by again."""
    sql = "SELECT signal, filled_to, live_after FROM signals"
    begun = {signal: (filled_to, live_after) for signal, filled_to, live_after in connection.execute(sql)}
    return [
        mark
        for position, mark in marked
        if mark.signal in begun and not begun[mark.signal][0] < position <= begun[mark.signal][1]
    ]


def select_dropped(connection: Connection, event_ids: Sequence[bytes]) -> list[tuple[str, int, bytes, bytes | None]]:
    """Of the events that were dropped: source, when they came, id, the consent it was decided under."""
    sql = "SELECT source, received_at, event_id, consent_id FROM dropped WHERE event_id IN ({})"
    return list(select_in(connection, sql, event_ids))


def select_settings(connection: Connection, source: str, at: int) -> Source | None:
    """A source as it was set at a moment; what was set first holds for the time before."""
    row = connection.execute(
        "SELECT document FROM source_versions WHERE source = ? ORDER BY since > ?, abs(since - ?) LIMIT 1",
        (source, at, at),
    ).fetchone()
    return None if row is None else msgspec.json.decode(row[0], type=Source)


def _write_entries(connection: Connection, admissions: Sequence[Admission]) -> None:
    snapshots = {a.consent.consent_id: a.consent for a in admissions if a.consent is not None}
    if snapshots:
        connection.executemany(_INSERT_SNAPSHOT, [_snapshot_values(said) for said in snapshots.values()])
    entries = [_entry_values(entry) for admission in admissions for entry in admission.consents]
    if entries:
        connection.executemany(_INSERT_ENTRY, entries)


def _entry_values(entry: ConsentEntry) -> tuple[object, ...]:
    values = {**msgspec.structs.asdict(entry), "evidence": entry.evidence.decode()}
    # Part of the key, where no NULL may stand.
    return tuple({**values, "event_id": entry.event_id or b""}.values())


def _read_entry(row: Sequence[Any]) -> ConsentEntry:
    values = dict(zip(ConsentEntry.__struct_fields__, row, strict=True))
    return ConsentEntry(**{**values, "event_id": values["event_id"] or None, "evidence": _bytes(values["evidence"])})


def _snapshot_values(snapshot: ConsentSnapshot) -> tuple[object, ...]:
    said = (snapshot.states, snapshot.evidence, snapshot.decision)
    return (snapshot.consent_id, *(part.decode() for part in said))


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
