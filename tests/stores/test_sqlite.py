"""What the embedded store alone can suffer, and what its calls cost."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from assay.contract.times import HOUR
from assay_collector.identity.people import ACTIVE
from assay_collector.store import (
    Counts,
    IdentityAct,
    Link,
    Membership,
    Resolution,
    Store,
    StoreUnavailable,
    TraitChange,
)
from assay_collector.stores.sqlite import database as sqlite_database
from assay_collector.stores.sqlite.store import SQLiteStore
from builders import (
    ACCOUNT,
    LEAF,
    NOW,
    OTHER_LEAF,
    admission,
    an_id,
    decided,
    mark,
    outbox_message,
    quarantined,
    touch,
    transition,
    user,
)

LARGE = b'{"text":"' + b"x" * 200_000 + b'"}'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "assay.db"


@pytest.fixture
def store(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SQLiteStore]:
    """A store that does not wait long for others."""
    monkeypatch.setattr(sqlite_database, "BUSY_SECONDS", 0.05)
    with closing(SQLiteStore(path)) as store:
        yield store


@contextmanager
def full(store: SQLiteStore) -> Iterator[None]:
    """The file cannot grow by a page."""
    writer = store.database._writer
    [(pages,)] = writer.execute("PRAGMA page_count")
    writer.execute(f"PRAGMA max_page_count = {pages}")
    yield
    writer.execute("PRAGMA max_page_count = 1000000000")


@contextmanager
def locked(store: SQLiteStore) -> Iterator[None]:
    """Another process is writing."""
    with closing(sqlite3.connect(store.database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def read_only(store: SQLiteStore) -> Iterator[None]:
    """The file system was remounted read-only. (Permissions would not stop root.)"""
    store.database._writer.execute("PRAGMA query_only = ON")
    yield
    store.database._writer.execute("PRAGMA query_only = OFF")


@pytest.mark.parametrize("fault", [full, locked, read_only], ids=lambda fault: fault.__name__)
def test_a_store_that_cannot_write_says_so_and_loses_nothing(store: SQLiteStore, fault):
    """Nothing of the call is there; afterwards the same call is good, and what was stored before is still there."""
    said = admission("m2", properties=LARGE, marks=(mark(),), identifiers=(user("anna"),), account=ACCOUNT)
    store.events.commit([admission("m1")], [])
    with fault(store):
        with pytest.raises(StoreUnavailable):
            store.events.commit([said], [quarantined(raw=LARGE)])
        assert Counts(stored=1, duplicates=0, conflicts=0, quarantined={}) == store.events.counts()

    assert ["stored", "duplicate"] == list(store.events.commit([said, said], [quarantined(raw=LARGE)]))
    assert [1] == [row.n for row in store.tallies.all_rows()]
    assert user("anna") == store.events.identifier(LEAF)


@pytest.mark.parametrize("fault", [locked, read_only], ids=lambda fault: fault.__name__)
def test_every_writing_call_says_so(store: SQLiteStore, fault):
    """Not only the hot one; and what only reads goes on."""
    store.agenda.touch([touch()], NOW)
    [entry] = store.agenda.take(NOW, 9)
    with fault(store):
        for write in (
            store.check,
            lambda: store.setting("a", b""),
            lambda: store.agenda.touch([touch()], NOW),
            lambda: store.agenda.complete([decided(entry)], NOW),
            lambda: store.agenda.resolve([Resolution({LEAF: LEAF}, {}, ())], NOW),
            lambda: store.tallies.fill([7], lambda _: [mark()], names=None, limit=1),
            lambda: store.tallies.clear([7]),
            lambda: store.tallies.begin({7: b"[]"}),
            lambda: store.register.record([], [], revision=0),
            lambda: store.keyring.revoke("key_1", NOW),
        ):
            with pytest.raises(StoreUnavailable):
                write()
        assert [entry] == list(store.agenda.take(NOW, 9))


def test_waiting_for_another_process_keeps_nobody_else(path: Path, monkeypatch: pytest.MonkeyPatch):
    """Bug: while a commit waited for the file's lock it held the turn, so the whole collector stood still."""
    monkeypatch.setattr(sqlite_database, "BUSY_SECONDS", 1.0)

    def check_in_vain() -> None:
        with pytest.raises(StoreUnavailable):
            store.check()

    with closing(SQLiteStore(path)) as store, locked(store):
        waiting = threading.Thread(target=check_in_vain)
        waiting.start()
        time.sleep(0.2)
        began = time.monotonic()
        with store.turn:
            took = time.monotonic() - began
        waiting.join()

    assert took < 0.5


def test_what_is_no_database_cannot_be_opened(tmp_path: Path):
    """A folder, a text, a place that is no folder: each is told in the port's words."""
    (tmp_path / "text").write_text("this is no database, and long enough to be sure of it" * 50)
    for path in (tmp_path, tmp_path / "text", tmp_path / "text" / "assay.db"):
        with pytest.raises(StoreUnavailable):
            SQLiteStore(path)


def test_a_damaged_file_is_unavailable(path: Path):
    """A page overwritten in the middle: an error with a name, not a wrong answer."""
    with closing(SQLiteStore(path)) as store:
        store.events.commit([admission(f"m{n}", properties=LARGE) for n in range(5)], [])
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)

    with pytest.raises(StoreUnavailable), closing(SQLiteStore(path)) as store:
        list(store.events.scan())


def test_a_thread_takes_its_connection_with_it(store: SQLiteStore):
    """Bug: every thread that ever read left a connection, and its file handles, behind."""
    for _ in range(20):
        thread = threading.Thread(target=store.events.counts)
        thread.start()
        thread.join()

    assert len(store.database._readers) <= 1


def test_those_who_open_a_new_file_together_make_it_once(path: Path):
    """Bug: a second process, a moment later, failed on tables that the first was just making."""
    ready = threading.Barrier(4)
    errors: list[Exception] = []

    def open_and_close() -> None:
        ready.wait()
        try:
            SQLiteStore(path).close()
        except Exception as error:  # noqa: BLE001 - any error is the finding
            errors.append(error)

    threads = [threading.Thread(target=open_and_close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == errors


def test_a_programming_error_is_no_circumstance(store: SQLiteStore):
    """It must be found, not tried again for ever."""
    with pytest.raises(sqlite3.IntegrityError), store.database.transaction() as connection:
        connection.execute("INSERT INTO settings VALUES ('a', NULL)")


def test_in_whatever_order_and_however_often_it_comes_the_store_is_the_same(tmp_path: Path):
    """Commits permuted, split otherwise and repeated leave the same tallies and links."""
    admissions = [
        admission(
            f"m{number}",
            marks=(mark(NOW + number * HOUR // 3, item=bytes([number % 4]) * 16),),
            links=(Link(LEAF, an_id(2 + number % 3), "observed", NOW - number % 5, an_id(number)),),
        )
        for number in range(24)
    ]
    found = []
    for arranged in (admissions, admissions[::-1] + admissions, admissions[::3] + admissions):
        with closing(SQLiteStore(tmp_path / f"{len(found)}.db")) as store:
            for start in range(0, len(arranged), 7):
                store.events.commit(arranged[start : start + 7], [])
            with store.snapshot() as facts:
                found.append((set(store.tallies.all_rows()), set(facts.links_of([LEAF]))))

    assert found[0] == found[1] == found[2]


# --- what calls cost ---


def ask_everything(store: Store) -> None:
    """Every call that is made for each request or decision."""
    follows = {
        "marks": (mark(), mark(item=b"x" * 16)),
        "links": (link := Link(LEAF, OTHER_LEAF, "observed", NOW, an_id(9)),),
        "memberships": (Membership(LEAF, ACCOUNT, NOW, an_id(9)),),
        "traits": (TraitChange(LEAF, "plan", NOW, an_id(9), b"1"),),
        "identifiers": (user("anna"),),
        "touches": (touch(),),
    }
    store.events.commit([admission("m1", account=ACCOUNT, **follows), admission("m1", digest=b"2")], [quarantined()])
    [entry] = store.agenda.take(NOW, 9)
    store.agenda.resolve([Resolution({LEAF: LEAF, OTHER_LEAF: LEAF}, {link.claim.key: ACTIVE}, (touch(),))], NOW)
    store.agenda.act(IdentityAct(an_id(9), NOW, "somebody", "undo", ((LEAF, OTHER_LEAF),)), NOW)
    store.agenda.complete([decided(entry, transition(), outbox=(outbox_message(),), next_at=NOW)], NOW)
    store.agenda.complete([decided(entry)], NOW)
    store.events.identifier(LEAF)
    store.events.position()
    next(store.events.scan())
    store.events.quarantine(reason="too_deep", limit=9, before=an_id(9))
    store.events.quarantine(reason=None, limit=9, before=None)
    store.keyring.find(b"digest")
    for delivery in store.outbox.due("crm", NOW, 9, NOW):
        store.outbox.delivered(delivery.message.message_id, NOW)
    with store.snapshot() as facts:
        facts.tallies([LEAF, OTHER_LEAF], [7])
        facts.items([LEAF, OTHER_LEAF], [7])
        facts.traits([LEAF, ACCOUNT], ["plan"])
        facts.consents([LEAF], ["analytics", "pql_scoring"])
        facts.doubtful([LEAF], ["analytics", "pql_scoring"])
        facts.waiting([LEAF])
        facts.links_of([LEAF])
        facts.acts_of([LEAF])
        facts.shared_from([LEAF])
        facts.trait_history([LEAF])
        facts.events_by_id([an_id(9)])
        facts.events_count([LEAF], NOW, NOW + 1, unnamed=True)
        facts.people([LEAF])
        facts.leaves_of([LEAF])
        facts.memberships(leaves=[LEAF], accounts=[ACCOUNT])
        facts.accounts_of([LEAF])
        facts.identifiers([LEAF])
        facts.events_of(LEAF, NOW - 1, NOW + 1)
        facts.ledger("user", [LEAF])


def test_no_hot_call_reads_a_whole_table(store: SQLiteStore):
    """Every statement of every hot call finds its rows by an index."""
    statements: set[str] = set()
    store.events.position()
    for connection in (store.database._writer, *(reader.connection for reader in store.database._readers)):
        connection.set_trace_callback(statements.add)
    ask_everything(store)
    for connection in (store.database._writer, *(reader.connection for reader in store.database._readers)):
        connection.set_trace_callback(None)

    asked = sorted(sql for sql in statements if sql.split()[0] not in ("BEGIN", "COMMIT", "ROLLBACK", "--"))
    with store.database.transaction() as connection:
        scans = [
            (sql, step[3])
            for sql in asked
            for step in connection.execute(f"EXPLAIN QUERY PLAN {sql}")
            # What a subquery reads is a step of its own.
            if "SCAN" in step[3] and "CONSTANT" not in step[3] and "(subquery" not in step[3]
        ]
    assert len(asked) > 40
    assert [] == scans


def test_a_receipt_reads_no_more_than_its_rows_and_the_counters(store: SQLiteStore):
    """It is asked by people, yet on a log of millions."""
    store.events.commit([admission(f"m{n}") for n in range(2_000)], [quarantined(n) for n in range(500)])
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    store.events.position()
    [reader] = store.database._readers
    reader.connection.set_progress_handler(count, 1)
    store.events.receipts("m7")
    reader.connection.set_progress_handler(None, 1)

    assert steps < 500
