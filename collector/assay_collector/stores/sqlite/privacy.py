"""The rights of persons over one SQLite file."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from sqlite3 import Connection
from typing import Any

import msgspec
from msgspec.structs import replace

from assay_collector.store import (
    Expand,
    Notices,
    PrivacyRequest,
    Redaction,
    Told,
    Touch,
)
from assay_collector.stores.sqlite import erasing, exporting
from assay_collector.stores.sqlite.agenda import touch
from assay_collector.stores.sqlite.database import Database
from assay_collector.stores.sqlite.facts import SQLiteFacts
from assay_collector.stores.sqlite.outbox import append as append_to_outbox
from assay_collector.stores.sqlite.rows import marks, select_in
from assay_collector.stores.sqlite.stops import move
from assay_collector.stores.sqlite.tombstone_file import TombstoneFile

_COLUMNS = (
    "request_id, kind, state, requested_at, due_at, asked_by, reason, keeps_events, finished_at, counts, certificate"
)
_INSERT = f"INSERT INTO privacy_requests ({_COLUMNS}) VALUES ({marks(11)})"
# Under way: what somebody is still waiting for. A suppression that is in force is not waited for.
_UNDER_WAY = "(state IN ('requested', 'erasing', 'notifying') OR (kind = 'erase' AND state = 'suppressed'))"
_WITHDRAW = """
    UPDATE outbox SET state = 'withdrawn', first = 0, body = '', last_error = NULL, leased_until = 0
    WHERE state IN ('pending', 'dead') AND entity IN ({})
"""
_TOLD = """
    SELECT endpoint, entity, max(leased_until) FROM (
        SELECT endpoint, entity, leased_until FROM outbox
        WHERE entity IN ({0}) AND (state = 'delivered' OR attempts > 0 OR leased_until > 0)
        UNION ALL SELECT endpoint, entity, 0 FROM recipients WHERE entity IN ({0}))
    GROUP BY endpoint, entity
"""
_decode = msgspec.json.Decoder(dict[str, int]).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


class SQLiteRights:
    """Rights over one SQLite file; see the port for what it promises."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._file = TombstoneFile(database.path)

    # --- entering ---

    def open(self, request: PrivacyRequest, *, expand: Expand, notices: Notices) -> PrivacyRequest:
        on_record = False
        try:
            with self._database.transaction() as connection:
                subjects = expand(SQLiteFacts(connection), request.subjects)
                request = replace(request, subjects=tuple(sorted(set(subjects))))
                _insert(connection, request)
                if request.kind == "suppress":
                    _suppress(connection, request)
                elif request.kind == "erase":
                    _bury(connection, request, notices)
                    if request.request_id not in self._file.erasures():
                        self._file.append(request.request_id, request.subjects, request.requested_at)
                        on_record = True
        except BaseException:
            if on_record:
                # What cannot be written now either is applied at the next start: it was asked for.
                with suppress(OSError):
                    self._file.cancel(request.request_id, request.requested_at)
            raise
        return request

    def lift(self, request_id: bytes, now: int) -> bool:
        with self._database.transaction() as connection:
            lifted = connection.execute(
                "UPDATE privacy_requests SET state = 'lifted', finished_at = ? "
                "WHERE request_id = ? AND kind = 'suppress' AND state = 'suppressed'",
                (now, request_id),
            ).rowcount
            ids = [row[0] for row in connection.execute(_SUBJECTS, (request_id,))]
            connection.execute("DELETE FROM suppressions WHERE request_id = ?", (request_id,))
            move(connection)
            _touch_people(connection, ids if lifted else (), now)
        return lifted == 1

    # --- erasing ---

    def erase_some(self, request_id: bytes, rows_max: int, redaction: Redaction, now: int) -> bool:
        return erasing.erase_some(self._database, request_id, rows_max, redaction, now)

    def erasures(self) -> Sequence[PrivacyRequest]:
        return self._select("kind = 'erase' AND state IN ('suppressed', 'erasing') ORDER BY requested_at")

    def settle(self, endpoints: Sequence[str]) -> Sequence[tuple[PrivacyRequest, Mapping[str, str]]]:
        waiting = self._select("kind = 'erase' AND state = 'notifying' ORDER BY requested_at")
        if not waiting:
            return ()
        known = marks(len(endpoints))
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE outbox SET state = 'dead', first = 0, last_error = 'the endpoint is no longer configured', "
                "body = json_set(body, '$.data.entity.externalId', NULL) "
                f"WHERE state = 'pending' AND type = 'privacy.erased' AND endpoint NOT IN ({known})",
                list(endpoints),
            )
            told = {request.request_id: _notices_of(connection, request.subjects) for request in waiting}
            busy = {row[0] for row in connection.execute(_ORPHANS_BUSY)}
        return [
            (request, told[request.request_id])
            for request in waiting
            if "pending" not in told[request.request_id].values() and request.request_id not in busy
        ]

    def finish(self, request_id: bytes, counts: Mapping[str, int], certificate: bytes | None, now: int) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE privacy_requests SET state = 'done', finished_at = ?, counts = ?, certificate = ? "
                "WHERE request_id = ?",
                (now, _encode(counts).decode(), None if certificate is None else certificate.decode(), request_id),
            )
            _forget_orphans(connection, request_id)
            # Of notices that arrived, the certificate tells; dead ones stay where dead letters are listed.
            connection.execute(
                f"DELETE FROM outbox WHERE state = 'delivered' AND type = 'privacy.erased' AND entity IN ({_SUBJECTS})",
                (request_id,),
            )

    # --- asking ---

    def requests(self) -> Sequence[PrivacyRequest]:
        return self._select("1 ORDER BY requested_at DESC, request_id DESC")

    def request(self, request_id: bytes) -> PrivacyRequest | None:
        return next(iter(self._select("request_id = ?", request_id)), None)

    def overdue(self, now: int) -> tuple[int, int]:
        with self._database.reading() as connection:
            found = connection.execute(
                f"SELECT count(*), coalesce(sum(due_at < ?), 0) FROM privacy_requests WHERE {_UNDER_WAY}", (now,)
            ).fetchone()
        return int(found[0]), int(found[1])

    def erased(self, ids: Sequence[bytes]) -> frozenset[bytes]:
        with self._database.reading() as connection:
            return frozenset(row[0] for row in select_in(connection, "SELECT id FROM tombstones WHERE id IN ({})", ids))

    def held(self, ids: Sequence[bytes]) -> Mapping[str, int]:
        with self._database.reading() as connection:
            return exporting.counts(connection, ids)

    def export(self, ids: Sequence[bytes]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        return exporting.rows(self._database, ids)

    # --- on record elsewhere ---

    def forgotten(self) -> Sequence[tuple[bytes, Sequence[bytes]]]:
        on_record = self._file.erasures()
        with self._database.reading() as connection:
            known = {row[0] for row in connection.execute("SELECT id FROM tombstones")}
        self._put_on_record(on_record)
        return [(request_id, sorted(ids)) for request_id, ids in on_record.items() if not ids <= known]

    def _put_on_record(self, on_record: Mapping[bytes, Collection[bytes]]) -> None:
        """What only the database knows: the file was lost, or the database came here without it."""
        listed = {id for ids in on_record.values() for id in ids}
        for request in self._select("kind = 'erase' ORDER BY requested_at"):
            if not listed.issuperset(request.subjects):
                self._file.append(request.request_id, request.subjects, request.requested_at)

    def _select(self, where: str, *parameters: Any) -> list[PrivacyRequest]:
        with self._database.reading() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM privacy_requests WHERE {where}", parameters).fetchall()
            return [_read(row, connection.execute(_SUBJECTS, (row[0],)).fetchall()) for row in rows]


_SUBJECTS = "SELECT id FROM privacy_subjects WHERE request_id = ?"


# Accounts that nobody is left in, and about which there is something to decide, or to tell.
_ORPHANS_BUSY = """
    SELECT request_id FROM privacy_concerned JOIN agenda USING (entity) WHERE privacy_concerned.kind = 'orphan'
    UNION SELECT request_id FROM privacy_concerned JOIN outbox USING (entity)
    WHERE kind = 'orphan' AND outbox.state = 'pending'
"""


def _forget_orphans(connection: Connection, request_id: bytes) -> None:
    orphans = connection.execute(
        f"SELECT entity FROM privacy_concerned WHERE request_id = ? AND kind = 'orphan' AND {erasing.DESERTED}",
        (request_id,),
    ).fetchall()
    for table, column in (("identifiers", "id"), *((name, "entity") for name in _OF_ACCOUNTS)):
        connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", orphans)
    connection.execute("DELETE FROM privacy_concerned WHERE request_id = ?", (request_id,))
    if orphans:
        move(connection)  # whoever remembers what is stored must look again


_OF_ACCOUNTS = ("transitions", "traits", "outbox", "recipients")


def _insert(connection: Connection, request: PrivacyRequest) -> None:
    values = (
        request.request_id,
        request.kind,
        request.state,
        request.requested_at,
        request.due_at,
        request.by,
        request.reason,
        request.keeps_events,
        request.finished_at,
        _encode(request.counts).decode(),
        None if request.certificate is None else request.certificate.decode(),
    )
    connection.execute(_INSERT, values)
    connection.executemany(
        "INSERT INTO privacy_subjects (request_id, id) VALUES (?, ?)",
        [(request.request_id, id) for id in request.subjects],
    )


def _suppress(connection: Connection, request: PrivacyRequest) -> None:
    move(connection)
    _replace_suppressions(connection, request)
    connection.executemany(
        "INSERT INTO suppressions (id, request_id, created_at, keeps_events) VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET request_id = excluded.request_id, keeps_events = excluded.keeps_events",
        [(id, request.request_id, request.requested_at, request.keeps_events) for id in request.subjects],
    )
    _withdraw(connection, request.subjects)
    _touch_people(connection, request.subjects, request.requested_at)


def _replace_suppressions(connection: Connection, request: PrivacyRequest) -> None:
    """Suppressions of the person that are in force are over: this request says more, or the same again."""
    sql = (
        "UPDATE privacy_requests SET state = 'done', finished_at = ? WHERE kind = 'suppress' AND state = 'suppressed' "
        "AND request_id != ? AND request_id IN (SELECT request_id FROM suppressions WHERE id = ?)"
    )
    connection.executemany(sql, [(request.requested_at, request.request_id, id) for id in request.subjects])


def _bury(connection: Connection, request: PrivacyRequest, notices: Notices) -> None:
    """From here on nobody writes about the person; what is already written goes in small portions."""
    ids, now = request.subjects, request.requested_at
    generation = move(connection)
    connection.executemany(
        "INSERT INTO tombstones (id, created_at, reason, generation) VALUES (?, ?, 'erased', ?) ON CONFLICT DO NOTHING",
        [(id, now, generation) for id in ids],
    )
    _replace_suppressions(connection, request)
    told = _told(connection, ids)
    _withdraw(connection, ids)
    removed = {
        table: sum(1 for _ in select_in(connection, f"DELETE FROM {table} WHERE entity IN ({{}}) RETURNING 1", ids))
        for table in ("agenda", "transitions")
    }
    counts = {table: n for table, n in removed.items() if n}
    connection.execute(
        "UPDATE privacy_requests SET counts = ? WHERE request_id = ?", (_encode(counts).decode(), request.request_id)
    )
    _notify(connection, told, notices)
    accounts = {
        row[0]
        for table in ("participations", "memberships")
        for row in select_in(connection, f"SELECT account FROM {table} WHERE leaf IN ({{}})", ids)
    }
    connection.executemany(
        "INSERT INTO privacy_concerned (request_id, kind, entity) VALUES (?, 'account', ?)",
        [(request.request_id, account) for account in sorted(accounts)],
    )
    # Who shared a device with the person may turn out not to have shared it.
    links = SQLiteFacts(connection).links_of(ids)
    ends = {end for row in links for end in (row.low, row.high, row.as_user) if end is not None} - set(ids)
    connection.executemany(
        "INSERT INTO privacy_concerned (request_id, kind, entity) VALUES (?, 'neighbour', ?)",
        [(request.request_id, end) for end in sorted(ends)],
    )
    touch(connection, {Touch("account", account, "erasure"): now for account in accounts})


def _told(connection: Connection, ids: Sequence[bytes]) -> dict[Told, int]:
    """Who was told about the person, and until when a message may still be on its way to them."""
    names: dict[bytes, str] = dict(select_in(connection, "SELECT id, value FROM identifiers WHERE id IN ({})", ids))
    found: dict[Told, int] = {}
    for id in ids:
        for endpoint, entity, leased_until in connection.execute(_TOLD.format("?1"), (id,)):
            found[Told(endpoint, entity, names.get(entity))] = leased_until
    return found


def _notify(connection: Connection, told: Mapping[Told, int], notices: Notices) -> None:
    messages = notices(list(told))
    append_to_outbox(connection, messages)
    leases = {(each.endpoint, each.entity): leased_until for each, leased_until in told.items()}
    # What is on its way at this moment arrives first.
    connection.executemany(
        "UPDATE outbox SET next_at = max(next_at, ?) WHERE message_id = ?",
        [(leases.get((message.endpoint, message.entity), 0), message.message_id) for message in messages],
    )


def _notices_of(connection: Connection, ids: Sequence[bytes]) -> dict[str, str]:
    """What became of the notices about a person: of several to one endpoint, the worst."""
    order = ("delivered", "dead", "pending")
    found: dict[str, str] = {}
    sql = "SELECT endpoint, state FROM outbox WHERE type = 'privacy.erased' AND entity IN ({})"
    for endpoint, state in select_in(connection, sql, ids):
        found[endpoint] = max(found.get(endpoint, state), state, key=order.index)
    return found


def _withdraw(connection: Connection, ids: Sequence[bytes]) -> None:
    for id in ids:
        connection.execute(_WITHDRAW.format("?"), (id,))


def _touch_people(connection: Connection, ids: Sequence[bytes], now: int) -> None:
    touch(connection, {Touch("user", id, "consent"): now for id in ids})


def _read(row: Sequence[Any], subjects: Sequence[tuple[bytes]]) -> PrivacyRequest:
    request_id, kind, state, requested_at, due_at, by, reason, keeps, finished_at, counts, certificate = row
    return PrivacyRequest(
        request_id=request_id,
        kind=kind,
        state=state,
        subjects=tuple(id for (id,) in subjects),
        requested_at=requested_at,
        due_at=due_at,
        by=by,
        reason=reason,
        keeps_events=bool(keeps),
        finished_at=finished_at,
        counts=_decode(counts),
        certificate=None if certificate is None else certificate.encode(),
    )
