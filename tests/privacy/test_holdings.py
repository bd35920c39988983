"""What is held about a person, table by table: every table has its answer, and an export leaves nothing out."""

import json
from collections import Counter

from assay_collector.privacy.office import Subject
from assay_collector.stores.sqlite import holdings
from privacy.house import Desk, id_of
from privacy.test_erasing import ADA, SECRETS, VISITOR, hers, his


def test_every_table_of_the_database_is_answered_for(desk: Desk):
    """Whoever adds a table says what it holds about a person, in `stores/sqlite/holdings.py`."""
    assert set(desk.rows()) == holdings.every_table()


def test_every_column_that_is_named_exists(desk: Desk):
    """The keys by which rows are told apart are the tables' own."""
    with desk.store.database.reading() as connection:
        for holding in (*holdings.REMOVED, *holdings.KEPT, holdings.EVENTS):
            columns = {row[1]: row[5] for row in connection.execute(f"PRAGMA table_info({holding.table})")}
            assert {*holding.by, *holding.json} <= columns.keys(), holding.table
            assert {name for name, place in columns.items() if place} == set(holding.key), holding.table


def test_an_export_holds_every_row_about_the_person(desk: Desk):
    """An independent walk over all tables finds nothing that is not in it: by our ids and by the person's words."""
    desk.take_in(*hers(), *his())
    request = desk.office.enter("export", Subject(value="visitor-93"))
    found = {table: len(rows) for table, rows in desk.rows_naming(ADA, VISITOR, *SECRETS).items()}
    first, *lines, last = [json.loads(line) for line in desk.office.export(request)]
    exported = Counter(line["table"] for line in lines)
    # Her part in the account's verdicts is told by her tallies there; the evidence itself is the account's.
    missing = {table: n for table, n in found.items() if n > exported[table] and table not in ("transitions", "outbox")}

    assert {} == missing
    assert {"end": True, "counts": dict(exported)} == last
    assert request.request_id.hex() == first["request"]
    assert {"transitions", "quarantine", "conflicts", "consent_log", "consent_snapshots", "privacy_requests"} <= set(
        exported
    )


def test_an_export_is_readable(desk: Desk):
    """Instants are written out, JSON is JSON, and a message in quarantine is shown as it was sent."""
    desk.take_in(*hers())
    request = desk.office.enter("export", Subject(value="ada-7f"))
    rows = [json.loads(line) for line in desk.office.export(request)][1:-1]
    events = [line["row"] for line in rows if line["table"] == "events"]
    (broken,) = [line["row"] for line in rows if line["table"] == "quarantine"]

    assert {"word": "zanzibar", "size": 421733} in [event["properties"] for event in events]
    assert "2026-03-02T09:00:00.000Z" in {event["at"] for event in events}
    assert "broken-word" in json.loads(broken["raw"])["properties"]["word"]
    assert {"export", "done"} == {
        desk.office.request(request.request_id).kind,
        desk.office.request(request.request_id).state,
    }


def test_an_export_says_nothing_about_others(desk: Desk):
    """Bob is in none of its lines."""
    desk.take_in(*hers(), *his())
    request = desk.office.enter("export", Subject(value="ada-7f"))
    lines = b"".join(desk.office.export(request))

    assert b"bob" not in lines
    assert id_of("user", "bob").hex().encode() not in lines
    assert b"Babbage" not in lines


def test_what_would_go_is_what_goes(desk: Desk):
    """A dry run and the erasure count alike."""
    desk.take_in(*hers(), *his())
    held = dict(desk.office.held(desk.office.find(Subject(value="ada-7f"))))
    counts = desk.erase("ada-7f").counts

    assert held == {table: n for table, n in counts.items() if table != "consent_snapshots"}
