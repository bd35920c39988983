"""
Erasing a person's rows in small portions.

An erasure is a list of steps; the request's row says which one it is at, and how far that one is, and is written with
every portion. What takes long to find is looked for beforehand, on a reading connection: since nothing about the person
is written any more, nothing of what was found can have changed, and nothing can have been missed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

import msgspec

from assay_collector.store import Cause, Redaction, Touch
from assay_collector.stores.sqlite.agenda import touch
from assay_collector.stores.sqlite.database import Database
from assay_collector.stores.sqlite.holdings import EVENTS, REMOVED, UNDER_ACCOUNTS, Holding, count, remove_some
from assay_collector.stores.sqlite.quarantined import naming
from assay_collector.stores.sqlite.rows import marks, select_in
from assay_collector.stores.sqlite.stops import move

# So many rows of an account's tallies are looked through at a time.
LOOK_ROWS = 20_000

_json = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class Portion:
    """What a step works on."""

    request_id: bytes
    ids: tuple[bytes, ...]
    cursor: str  # where the step broke off; "" at its beginning
    rows_max: int
    redaction: Redaction
    now: int


@dataclass(frozen=True, slots=True)
class Done:
    """What a step did."""

    removed: dict[str, int]  # table -> rows
    cursor: str | None = None  # where to go on; None: the step is over


Remove = Callable[[Connection], Done]
Step = Callable[[Database, Portion], Remove]  # looks, and says how to remove


def erase_some(database: Database, request_id: bytes, rows_max: int, redaction: Redaction, now: int) -> bool:
    """One portion; whether there is more to do."""
    with database.reading() as connection:
        row = connection.execute(
            "SELECT step, cursor FROM privacy_requests WHERE request_id = ? AND state IN ('suppressed', 'erasing')",
            (request_id,),
        ).fetchone()
        ids = tuple(
            each[0]
            for each in connection.execute("SELECT id FROM privacy_subjects WHERE request_id = ?", (request_id,))
        )
    if row is None:
        return False
    step, cursor = row
    remove = _STEPS[step](database, Portion(request_id, ids, cursor, rows_max, redaction, now))
    with database.transaction() as connection, _overwriting(connection):
        # Another process may have done this very portion meanwhile; then it is for the next call to see what is left.
        if connection.execute(_AT, (request_id,)).fetchone() != (step, cursor):
            return True
        done = remove(connection)
        is_last = done.cursor is None and step == len(_STEPS) - 1
        _advance(connection, request_id, done, step, is_last)
    return not is_last


_AT = "SELECT step, cursor FROM privacy_requests WHERE request_id = ?"


def _advance(connection: Connection, request_id: bytes, done: Done, step: int, is_last: bool) -> None:
    (text,) = connection.execute("SELECT counts FROM privacy_requests WHERE request_id = ?", (request_id,)).fetchone()
    counts = msgspec.json.decode(text, type=dict[str, int])
    for table, n in done.removed.items():
        if n:
            counts[table] = counts.get(table, 0) + n
    connection.execute(
        "UPDATE privacy_requests SET state = ?, step = ?, cursor = ?, counts = ? WHERE request_id = ?",
        (
            "notifying" if is_last else "erasing",
            step if is_last or done.cursor is not None else step + 1,
            done.cursor or "",
            _json(counts).decode(),
            request_id,
        ),
    )


@contextmanager
def _overwriting(connection: Connection) -> Iterator[None]:
    """What is removed is overwritten with zeros, not only marked as free."""
    connection.execute("PRAGMA secure_delete = ON").fetchall()
    try:
        yield
    finally:
        connection.execute("PRAGMA secure_delete = OFF").fetchall()


# --- the steps ------------------------------------------------------------------------------------------------------


def _events(_: Database, portion: Portion) -> Remove:
    """Events, with what they alone brought: traits of accounts, and consent snapshots of no other event."""

    def remove(connection: Connection) -> Done:
        rows = connection.execute(
            f"SELECT seq, event_id, account, type, consent_id FROM events WHERE leaf IN ({marks(len(portion.ids))}) "
            "LIMIT ?",
            (*portion.ids, portion.rows_max),
        ).fetchall()
        traits = _remove_account_traits(connection, portion, [row for row in rows if row[3] == "group" and row[2]])
        connection.executemany("DELETE FROM events WHERE seq = ?", [(row[0],) for row in rows])
        snapshots = _remove_snapshots(connection, {row[4] for row in rows})
        removed = {"events": len(rows), "traits": traits, "consent_snapshots": snapshots}
        return Done(removed, "more" if len(rows) == portion.rows_max else None)

    return remove


def _dropped(_: Database, portion: Portion) -> Remove:
    """That events of the person were dropped; whose they were, the consent log tells."""

    def remove(connection: Connection) -> Done:
        rows = connection.execute(
            "DELETE FROM dropped WHERE event_id IN (SELECT event_id FROM dropped WHERE event_id IN (SELECT event_id "
            f"FROM consent_log WHERE subject IN ({marks(len(portion.ids))})) LIMIT ?) RETURNING consent_id",
            (*portion.ids, portion.rows_max),
        ).fetchall()
        snapshots = _remove_snapshots(connection, {row[0] for row in rows})
        removed = {"dropped": len(rows), "consent_snapshots": snapshots}
        return Done(removed, "more" if len(rows) == portion.rows_max else None)

    return remove


def _remove_snapshots(connection: Connection, consent_ids: Iterable[bytes | None]) -> int:
    """Of these the consent snapshots that nothing was decided under any more."""
    return sum(connection.execute(_REMOVE_ORPHAN, (id,)).rowcount for id in consent_ids if id is not None)


_REMOVE_ORPHAN = """
    DELETE FROM consent_snapshots WHERE consent_id = ?1
    AND NOT EXISTS (SELECT 1 FROM events WHERE consent_id = ?1)
    AND NOT EXISTS (SELECT 1 FROM dropped WHERE consent_id = ?1)
"""


def _remove_account_traits(connection: Connection, portion: Portion, rows: Sequence[Any]) -> int:
    removed = 0
    by_account: dict[bytes, list[bytes]] = {}
    for _, event_id, account, _, _ in rows:
        by_account.setdefault(account, []).append(event_id)
    for account, event_ids in by_account.items():
        removed += connection.execute(
            f"DELETE FROM traits WHERE entity = ? AND event_id IN ({marks(len(event_ids))})", (account, *event_ids)
        ).rowcount
        connection.execute(
            "INSERT INTO privacy_concerned VALUES (?, 'account', ?, 1) ON CONFLICT DO UPDATE SET said_traits = 1",
            (portion.request_id, account),
        )
        _touch(connection, [("account", account)], ("erasure", "account"), portion.now)
    return removed


def _members(database: Database, portion: Portion) -> Remove:
    """Whoever is judged by traits of an account that the person had spoken for, may be judged otherwise now."""
    after = bytes.fromhex(portion.cursor)
    sql = f"""
        SELECT DISTINCT m.leaf, coalesce(p.person, m.leaf) FROM privacy_concerned c
        JOIN memberships m ON m.account = c.entity LEFT JOIN people p ON p.leaf = m.leaf
        WHERE c.request_id = ? AND c.kind = 'account' AND c.said_traits AND m.leaf > ?
        AND m.leaf NOT IN ({marks(len(portion.ids))}) ORDER BY m.leaf LIMIT ?
    """
    with database.reading() as connection:
        rows = connection.execute(sql, (portion.request_id, after, *portion.ids, portion.rows_max)).fetchall()

    def remove(connection: Connection) -> Done:
        people = {row[1] for row in rows}
        connection.executemany(
            "INSERT INTO privacy_concerned (request_id, kind, entity) VALUES (?, 'user', ?) ON CONFLICT DO NOTHING",
            [(portion.request_id, person) for person in people],
        )
        _touch(connection, [("user", person) for person in people], ("erasure",), portion.now)
        return Done({}, rows[-1][0].hex() if len(rows) == portion.rows_max else None)

    return remove


def _quarantine(database: Database, portion: Portion) -> Remove:
    """Messages in quarantine that name the person."""
    with database.reading() as connection:
        found, cursor = naming(connection, portion.ids, bytes.fromhex(portion.cursor))

    def remove(connection: Connection) -> Done:
        connection.executemany("DELETE FROM quarantine WHERE quarantine_id = ?", [(id,) for id in found])
        return Done({"quarantine": len(found)}, None if cursor is None else cursor.hex())

    return remove


def _removal(holding: Holding) -> Step:
    def step(_: Database, portion: Portion) -> Remove:
        def remove(connection: Connection) -> Done:
            removed = remove_some(connection, holding, portion.ids, portion.rows_max)
            return Done({holding.table: removed}, "more" if removed >= portion.rows_max else None)

        return remove

    return step


def _under_accounts(table: str) -> Step:
    """The person's rows among those of each account it acted in, looked for in the order of the primary key."""
    key = "signal, bucket, leaf" if table == "tallies" else "signal, bucket, leaf, item"
    width = key.count(",") + 1

    def step(database: Database, portion: Portion) -> Remove:
        place = msgspec.json.decode(portion.cursor) if portion.cursor else None
        with database.reading() as connection:
            account = _account(connection, portion.request_id, place)
            found, last = ([], None) if account is None else _look(connection, account, place, portion)

        def remove(connection: Connection) -> Done:
            if account is None:
                return Done({})
            where = " AND ".join(f"{column.strip()} = ?" for column in key.split(","))
            connection.executemany(
                f"DELETE FROM {table} WHERE entity = ? AND {where}", [(account, *row) for row in found]
            )
            return Done({table: len(found)}, _json([account.hex(), _shown(last)]).decode())

        return remove

    def _look(
        connection: Connection, account: bytes, place: Any, portion: Portion
    ) -> tuple[list[tuple[Any, ...]], tuple[Any, ...] | None]:
        after = [] if place is None or place[1] is None or place[0] != account.hex() else _read_place(place[1])
        narrowed = f"AND ({key}) > ({marks(width)})" if after else ""
        page = f"SELECT {key} FROM {table} WHERE entity = ? {narrowed} ORDER BY {key} LIMIT {LOOK_ROWS}"
        values = (account, *after)
        mine = f"SELECT {key} FROM ({page}) WHERE leaf IN ({marks(len(portion.ids))}) LIMIT ?"
        found = connection.execute(mine, (*values, *portion.ids, portion.rows_max)).fetchall()
        if len(found) == portion.rows_max:
            return found, found[-1]
        last = connection.execute(f"{page} OFFSET {LOOK_ROWS - 1}".replace(f"LIMIT {LOOK_ROWS}", "LIMIT 1"), values)
        return found, last.fetchone()

    return step


def _account(connection: Connection, request_id: bytes, place: Any) -> bytes | None:
    """The account at hand: the one where it broke off, or the next."""
    if place is not None and place[1] is not None:
        return bytes.fromhex(place[0])
    row = connection.execute(
        "SELECT entity FROM privacy_concerned WHERE request_id = ? AND kind = 'account' AND entity > ? "
        "ORDER BY entity LIMIT 1",
        (request_id, b"" if place is None else bytes.fromhex(place[0])),
    ).fetchone()
    return None if row is None else row[0]


def _shown(place: Sequence[Any] | None) -> list[Any] | None:
    return None if place is None else [part.hex() if isinstance(part, bytes) else part for part in place]


def _read_place(place: Sequence[Any]) -> list[Any]:
    return [bytes.fromhex(part) if isinstance(part, str) else part for part in place]


def _ledgers(_: Database, portion: Portion) -> Remove:
    """
    Evidence in the ledgers of accounts, and of people judged by their traits, loses what could be the person's value.

    They are decided again, and say anew on which evidence they stand.
    """
    after = _read_ledger_place(portion.cursor)

    def remove(connection: Connection) -> Done:
        rows = connection.execute(
            """
            SELECT c.kind, t.entity, t.definition, t.episode, t.step, t.revision, t.evidence
            FROM privacy_concerned c JOIN transitions t ON t.entity = c.entity AND t.kind = c.kind
            WHERE c.request_id = ? AND (t.entity, t.definition, t.episode, t.step, t.revision) > (?, ?, ?, ?, ?)
            ORDER BY t.entity, t.definition, t.episode, t.step, t.revision LIMIT ?
            """,
            (portion.request_id, *after, portion.rows_max),
        ).fetchall()
        changed = []
        for kind, entity, definition, episode, step, revision, evidence in rows:
            redacted = portion.redaction.evidence(definition, evidence.encode()).decode()
            if redacted != evidence:
                changed.append((kind, entity))
                connection.execute(
                    "UPDATE transitions SET evidence = ? "
                    "WHERE entity = ? AND definition = ? AND episode = ? AND step = ? AND revision = ?",
                    (redacted, entity, definition, episode, step, revision),
                )
        _touch(connection, changed, ("erasure",), portion.now)
        last = rows[-1] if len(rows) == portion.rows_max else None
        return Done({}, None if last is None else _json([last[1].hex(), *last[2:6]]).decode())

    return remove


def _read_ledger_place(cursor: str) -> tuple[Any, ...]:
    if not cursor:
        return (b"", "", 0, "", 0)
    entity, *rest = msgspec.json.decode(cursor)
    return (bytes.fromhex(entity), *rest)


class _Message(msgspec.Struct):
    data: dict[str, msgspec.Raw]


def _pending(_: Database, portion: Portion) -> Remove:
    """The same for messages about them that have not left."""

    def remove(connection: Connection) -> Done:
        rows = connection.execute(
            """
            SELECT o.position, o.body FROM privacy_concerned c JOIN outbox o ON o.entity = c.entity
            WHERE c.request_id = ? AND o.position > ? AND o.state IN ('pending', 'dead') AND o.body != ''
            ORDER BY o.position LIMIT ?
            """,
            (portion.request_id, int(portion.cursor or 0), portion.rows_max),
        ).fetchall()
        for position, body in rows:
            redacted = _without_values(body, portion.redaction)
            if redacted != body:
                connection.execute(
                    "UPDATE outbox SET body = ?, last_error = NULL WHERE position = ?", (redacted, position)
                )
        return Done({}, str(rows[-1][0]) if len(rows) == portion.rows_max else None)

    return remove


def _without_values(body: str, redaction: Redaction) -> str:
    data = msgspec.json.decode(body, type=_Message).data
    if "evidence" not in data or "definition" not in data:
        return body
    evidence = bytes(data["evidence"])
    redacted = redaction.evidence(msgspec.json.decode(data["definition"], type=str), evidence)
    # The signature is made at sending, over the bytes as they are then.
    return body if redacted == evidence else body.replace(evidence.decode(), redacted.decode())


def _consent_log(_: Database, portion: Portion) -> Remove:
    """The log stays, under keyed hashes; what was said in it in somebody's own words does not."""
    columns = "subject, purpose, at, event_id, state, signal"

    def remove(connection: Connection) -> Done:
        after = _read_consent_place(portion.cursor)
        rows = connection.execute(
            f"SELECT {columns}, evidence FROM consent_log WHERE subject IN ({marks(len(portion.ids))}) "
            f"AND ({columns}) > ({marks(6)}) ORDER BY {columns} LIMIT ?",
            (*portion.ids, *after, portion.rows_max),
        ).fetchall()
        for *key, evidence in rows:
            redacted = portion.redaction.consent(evidence.encode()).decode()
            if redacted != evidence:
                where = " AND ".join(f"{column} = ?" for column in columns.split(", "))
                connection.execute(f"UPDATE consent_log SET evidence = ? WHERE {where}", (redacted, *key))
        last = rows[-1] if len(rows) == portion.rows_max else None
        return Done({}, None if last is None else _json(_shown(last[:6])).decode())

    return remove


def _read_consent_place(cursor: str) -> list[Any]:
    if not cursor:
        return [b"", "", 0, b"", "", ""]
    subject, purpose, at, event_id, state, signal = msgspec.json.decode(cursor)
    return [bytes.fromhex(subject), purpose, at, bytes.fromhex(event_id), state, signal]


def _orphans(_: Database, portion: Portion) -> Remove:
    """
    Accounts in which nobody but the person ever was: their names may be the person's. They are forgotten too, as soon
    as whoever was told of them was told that they are over.
    """

    def remove(connection: Connection) -> Done:
        connection.execute(
            f"UPDATE privacy_concerned SET kind = 'orphan' WHERE request_id = ? AND kind = 'account' AND {DESERTED}",
            (portion.request_id,),
        )
        return Done({})

    return remove


# Of a row of privacy_concerned: nobody is or was in the account.
DESERTED = """
    NOT EXISTS (SELECT 1 FROM participations WHERE account = privacy_concerned.entity)
    AND NOT EXISTS (SELECT 1 FROM memberships WHERE account = privacy_concerned.entity)
"""


def _last(_: Database, portion: Portion) -> Remove:
    """Everybody concerned is decided once more; with whom the person had to do is forgotten."""

    def remove(connection: Connection) -> Done:
        rows = connection.execute(
            "DELETE FROM privacy_concerned WHERE (request_id, kind, entity) IN (SELECT request_id, kind, entity "
            "FROM privacy_concerned WHERE request_id = ? AND kind != 'orphan' LIMIT ?) RETURNING kind, entity",
            (portion.request_id, portion.rows_max),
        ).fetchall()
        _touch(connection, [row for row in rows if row[0] != "neighbour"], ("erasure",), portion.now)
        neighbours = [("user", entity) for kind, entity in rows if kind == "neighbour"]
        _touch(connection, neighbours, ("erasure", "identity"), portion.now)
        forgotten = _forget_unspoken(connection, [entity for _, entity in neighbours])
        return Done(forgotten, "more" if len(rows) == portion.rows_max else None)

    return remove


def _forget_unspoken(connection: Connection, ids: Sequence[bytes]) -> dict[str, int]:
    """Identifiers of which only the person's messages ever spoke go with those."""
    about = [EVENTS, *(each for each in REMOVED if each.table not in ("identifiers", "people", "agenda"))]
    unspoken = [(id,) for id in ids if not any(count(connection, holding, [id]) for holding in about)]
    removed = connection.executemany("DELETE FROM identifiers WHERE id = ?", unspoken).rowcount if unspoken else 0
    if unspoken:
        connection.executemany("DELETE FROM people WHERE leaf = ?", unspoken)
        move(connection)  # whoever remembers what is stored must look again
    return {"identifiers": removed}


def _touch(connection: Connection, entities: Sequence[tuple[Any, bytes]], causes: Sequence[Cause], now: int) -> None:
    # Whoever had to do with the person may have been erased meanwhile.
    sql = "SELECT id FROM tombstones WHERE id IN ({})"
    erased = {row[0] for row in select_in(connection, sql, [entity for _, entity in entities])}
    left = [each for each in entities if each[1] not in erased]
    touch(connection, {Touch(kind, entity, cause): now for kind, entity in left for cause in causes})


_REMOVALS = {holding.table: _removal(holding) for holding in REMOVED}
_STEPS: tuple[Step, ...] = (
    _events,
    _dropped,
    _quarantine,
    *(_under_accounts(table) for table in UNDER_ACCOUNTS),
    *(step for table, step in _REMOVALS.items() if table != "identifiers"),
    _members,
    _ledgers,
    _pending,
    _consent_log,
    _REMOVALS["identifiers"],
    _orphans,
    _last,
)
