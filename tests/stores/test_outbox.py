"""The Outbox port's promises, kept by every adapter; and what the embedded one costs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assay_collector.store import Outbox, OutboxMessage
from assay_collector.stores.sqlite import outbox as sqlite_outbox
from assay_collector.stores.sqlite.database import Database
from assay_collector.stores.sqlite.outbox import SQLiteOutbox, append

NOW = 1_767_225_600_000_000
LEASE = 60_000_000
Append = Callable[[OutboxMessage], None]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "assay.db")
    yield database
    database.close()


@pytest.fixture(params=["sqlite"])
def outbox(request: pytest.FixtureRequest, database: Database) -> Outbox:
    return {"sqlite": SQLiteOutbox}[request.param](database)


def message(id: str, *, entity: int = 1, endpoint: str = "crm", at: int = NOW) -> OutboxMessage:
    return OutboxMessage(id, endpoint, bytes([entity]) * 16, "pql.qualified", f'{{"id":"{id}"}}'.encode(), at)


def put(database: Database, *messages: OutboxMessage) -> None:
    with database.transaction() as connection:
        append(connection, messages)


def take(outbox: Outbox, now: int = NOW, *, endpoint: str = "crm", limit: int = 100) -> list[str]:
    return [delivery.message.message_id for delivery in outbox.due(endpoint, now, limit, now + LEASE)]


def kill(outbox: Outbox, *message_ids: str) -> None:
    for message_id in message_ids:
        outbox.failed(message_id, "HTTP 410", None)


def test_what_was_appended_comes_back_whole(database: Database, outbox: Outbox) -> None:
    """A message is due from the moment it was created, with every field as it was."""
    put(database, message("a"))

    assert [] == take(outbox, NOW - 1)
    [delivery] = outbox.due("crm", NOW, 10, NOW + LEASE)
    assert message("a") == delivery.message
    assert ("pending", 0, NOW + LEASE, None) == (
        delivery.state,
        delivery.attempts,
        delivery.next_at,
        delivery.last_error,
    )


def test_appending_again_changes_nothing(database: Database, outbox: Outbox) -> None:
    """The first body of a key counts, be the message pending or long delivered."""
    put(database, message("a"))
    put(database, OutboxMessage("a", "chat", bytes(16), "pql.exited", b"{}", NOW + 1))
    [delivery] = outbox.due("crm", NOW, 10, NOW + LEASE)
    outbox.delivered("a", NOW)
    put(database, message("a"))

    assert message("a") == delivery.message
    assert [] == take(outbox, NOW + 2 * LEASE)


def test_one_message_of_an_entity_at_a_time(database: Database, outbox: Outbox) -> None:
    """The next waits until the one before it is delivered or dead; other entities do not."""
    put(database, message("a1"), message("b1", entity=2), message("a2"), message("a3"))

    assert ["a1", "b1"] == take(outbox)
    outbox.delivered("a1", NOW)
    assert ["a2"] == take(outbox)
    kill(outbox, "a2")
    assert ["a3"] == take(outbox)


def test_a_failed_message_keeps_its_successors_waiting(database: Database, outbox: Outbox) -> None:
    """It is due again at its time, not before, and counts its attempts."""
    put(database, message("a1"), message("a2"))
    take(outbox)
    outbox.failed("a1", "HTTP 500", NOW + 5)

    assert [] == take(outbox, NOW + 4)
    [delivery] = outbox.due("crm", NOW + 5, 10, NOW + LEASE)
    assert ("a1", 1, "HTTP 500") == (delivery.message.message_id, delivery.attempts, delivery.last_error)


def test_endpoints_have_orders_of_their_own(database: Database, outbox: Outbox) -> None:
    """The same entity's message to another endpoint does not wait."""
    put(database, message("a1"), message("a2", endpoint="chat"))

    assert ["a1"] == take(outbox)
    assert ["a2"] == take(outbox, endpoint="chat")
    assert [] == take(outbox, endpoint="unknown")


def test_a_leased_message_is_taken_by_nobody_else_until_the_lease_ends(database: Database, outbox: Outbox) -> None:
    """Whoever takes it and dies gives it back by doing nothing."""
    put(database, message("a1"), message("a2"))

    assert ["a1"] == take(outbox)
    assert [] == take(outbox, NOW + LEASE - 1)
    assert ["a1"] == take(outbox, NOW + LEASE)


def test_the_longest_due_comes_first_up_to_the_limit(database: Database, outbox: Outbox) -> None:
    """Due time, then order of arrival."""
    put(database, *(message(f"m{n}", entity=n, at=NOW - n) for n in range(5)))

    assert ["m4", "m3"] == take(outbox, limit=2)
    assert ["m2", "m1", "m0"] == take(outbox, limit=9)


def test_a_late_failure_does_not_undo_a_delivery(database: Database, outbox: Outbox) -> None:
    """A worker whose lease ran out while it waited for an answer does no harm."""
    put(database, message("a"))
    take(outbox)
    outbox.delivered("a", NOW)
    outbox.failed("a", "timeout", NOW)
    kill(outbox, "a")

    assert ([], 0, []) == (take(outbox, NOW + LEASE), outbox.pending(), outbox.dead(endpoint=None, limit=9))


def test_a_late_success_ends_a_dead_letter(database: Database, outbox: Outbox) -> None:
    """What has arrived has arrived."""
    put(database, message("a"))
    kill(outbox, "a")
    outbox.delivered("a", NOW)

    assert [] == outbox.dead(endpoint=None, limit=9)


def test_a_withheld_message_never_leaves_and_its_body_is_not_kept(database: Database, outbox: Outbox) -> None:
    """Its successor steps up; neither a resend nor a late word brings it back."""
    put(database, message("a"), message("b"))
    assert ["a"] == take(outbox)
    outbox.withhold("a", "sales_contact")
    outbox.withhold("a", "sales_contact")
    outbox.failed("a", "HTTP 500", NOW)

    assert (["b"], 0, 1) == (take(outbox), outbox.resend(["a"], NOW), outbox.pending())
    with database.reading() as connection:
        row = connection.execute("SELECT state, body, last_error FROM outbox WHERE message_id = 'a'").fetchone()
    assert ("withheld", "", "sales_contact is not consented to") == tuple(row)


def test_unknown_messages_are_nothing(outbox: Outbox) -> None:
    """Recording about an id that is not there writes nothing and raises nothing."""
    outbox.delivered("x", NOW)
    outbox.failed("x", "", None)

    assert 0 == outbox.resend(["x"], NOW)


def test_dead_letters_are_listed_newest_first(database: Database, outbox: Outbox) -> None:
    """Of one endpoint or of all, with their last error, up to the limit."""
    put(database, message("a"), message("b", endpoint="chat"), message("c", entity=2))
    kill(outbox, "c", "a", "b")

    def listed(endpoint: str | None, limit: int) -> list[str]:
        return [letter.message.message_id for letter in outbox.dead(endpoint=endpoint, limit=limit)]

    assert (["c", "b"], ["c", "a"], ["b"]) == (listed(None, 2), listed("crm", 9), listed("chat", 9))
    [letter] = outbox.dead(endpoint="chat", limit=9)
    assert ("dead", 1, "HTTP 410") == (letter.state, letter.attempts, letter.last_error)
    assert message("b", endpoint="chat") == letter.message


def test_a_resent_dead_letter_begins_anew_in_its_old_place(database: Database, outbox: Outbox) -> None:
    """It is due now, has all its attempts again, and goes before whatever came after it."""
    put(database, message("a1"), message("a2"), message("a3"))
    kill(outbox, "a1", "a2")

    assert 2 == outbox.resend(["a2", "a1", "a3", "x"], NOW + 7)
    for expected in ("a1", "a2", "a3"):
        [delivery] = outbox.due("crm", NOW + 7, 10, NOW + LEASE)
        assert (expected, 0) == (delivery.message.message_id, delivery.attempts)
        outbox.delivered(expected, NOW + 7)


def test_a_resent_letter_does_not_wait_for_its_successors_next_attempt(database: Database, outbox: Outbox) -> None:
    """A successor that failed and pauses for hours gives way at once."""
    put(database, message("a1"), message("a2"))
    kill(outbox, "a1")
    take(outbox)
    outbox.failed("a2", "HTTP 500", NOW + 10**12)
    outbox.resend(["a1"], NOW + 1)

    assert ["a1"] == take(outbox, NOW + 1)
    outbox.delivered("a1", NOW + 1)
    assert [] == take(outbox, NOW + 1)
    assert ["a2"] == take(outbox, NOW + 10**12)


def test_a_resent_letter_waits_for_a_successor_that_is_on_its_way(database: Database, outbox: Outbox) -> None:
    """Two messages of one entity are never under way at the same time."""
    put(database, message("a1"), message("a2"), message("a3"))
    kill(outbox, "a1", "a2")
    assert ["a3"] == take(outbox)
    outbox.resend(["a2"], NOW)
    outbox.resend(["a1"], NOW)

    assert [] == take(outbox, NOW + LEASE - 1)
    outbox.delivered("a3", NOW + 1)
    assert ["a1"] == take(outbox, NOW + LEASE)
    outbox.delivered("a1", NOW + LEASE)
    assert ["a2"] == take(outbox, NOW + LEASE)


def test_pending_counts_what_waits(database: Database, outbox: Outbox) -> None:
    """On its way or not, but neither delivered nor dead."""
    put(database, *(message(f"m{n}", entity=n % 2) for n in range(6)))
    take(outbox)
    outbox.delivered("m0", NOW)
    kill(outbox, "m1")

    assert 4 == outbox.pending()


def test_appending_is_part_of_the_callers_transaction(database: Database, outbox: Outbox) -> None:
    """A transaction that fails leaves no message behind."""

    def fail_after_appending() -> None:
        with database.transaction() as connection:
            append(connection, [message("a")])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_after_appending()

    assert 0 == outbox.pending()


def test_what_was_taken_and_recorded_survives_reopening(tmp_path: Path, database: Database, outbox: Outbox) -> None:
    """Another process sees the same leases, deliveries and dead letters."""
    put(database, *(message(f"m{n}", entity=n) for n in range(4)))
    take(outbox, limit=3)
    outbox.delivered("m0", NOW)
    kill(outbox, "m1")
    database.close()

    reopened = Database(tmp_path / "assay.db")
    after = SQLiteOutbox(reopened)
    assert (["m3"], 2) == (take(after), after.pending())
    assert ["m1"] == [letter.message.message_id for letter in after.dead(endpoint=None, limit=9)]
    reopened.close()


def test_a_delivered_body_is_not_kept(database: Database, outbox: Outbox) -> None:
    """It may hold a raw identifier, which would outlive its owner's erasure."""
    put(database, message("a"))
    outbox.delivered("a", NOW)

    with database.reading() as connection:
        assert [("delivered", "")] == connection.execute("SELECT state, body FROM outbox").fetchall()


@pytest.mark.parametrize("name", ["DUE", "LEASE", "APPEND", "FIND", "DELIVERED", "FAILED", "DIED", "PROMOTE", "REVIVE"])
def test_no_hot_statement_reads_the_whole_table(database: Database, name: str) -> None:
    """Each finds its rows by an index, and none sorts."""
    statement = getattr(sqlite_outbox, name)
    names = "endpoint entity now limit position lease_until leased_until message_id error next_at type body created_at"
    values = dict.fromkeys(names.split(), 0)
    parameters = (0,) if "?" in statement else values
    with database.transaction() as connection:
        plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + statement, parameters)]

    assert [] == [step for step in plan if ("SCAN" in step and "CONSTANT" not in step) or "TEMP B-TREE" in step]


def test_the_hot_call_reads_only_what_is_due(database: Database, outbox: Outbox) -> None:
    """A thousand delivered, a thousand waiting behind one entity, a thousand pausing: one step finds the one due."""
    put(database, *(message(f"done{n}", entity=n % 250) for n in range(1000)))
    with database.transaction() as connection:
        connection.execute("UPDATE outbox SET state = 'delivered', first = 0")
    put(database, *(message(f"behind{n}", entity=251) for n in range(1000)))
    put(database, *(message(f"pausing{n}", entity=n % 250, at=NOW + 9) for n in range(1000)))

    with database.reading() as connection:
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        connection.set_progress_handler(count, 1)
        values = {"endpoint": "crm", "now": NOW, "limit": 100}
        rows = connection.execute(sqlite_outbox.DUE, values).fetchall()
        connection.set_progress_handler(None, 1)

    assert ["behind0"] == [row[1] for row in rows]
    assert steps < 100
