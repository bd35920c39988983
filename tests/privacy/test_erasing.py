"""Erasing somebody: what goes, what stays, what others are told, and what happens when it is broken off."""

import json
import sqlite3
from threading import Thread

import pytest

from assay_collector.ingest.admission import Admitter, PlanFinding
from assay_collector.pql.matching import SignalIndex
from assay_collector.privacy.office import AlreadyErased, AmbiguousSubject, Subject, UnknownSubject
from assay_collector.store import Admission, IdentityAct, Source
from assay_collector.stores.sqlite.store import SQLiteStore
from builders import read_event
from privacy.house import CATALOGUE, Desk, id_of
from qualify.house import APP, IDENTIFY
from qualify.wire import HOUR, MINUTE, START, Message, group, identify, track

# Everything that ada ever was, said and did, in words that occur nowhere else.
SECRETS = tuple(
    text.encode()
    for text in ("ada-7f", "visitor-93", "Lovelace", "ada@engine.example", "zanzibar", "421733", "broken-word", "clash")
)
ADA, VISITOR = id_of("user", "ada-7f"), id_of("anonymous", "visitor-93")
KEPT = {"consent_log", "tombstones", "privacy_requests", "privacy_subjects"}


def hers() -> list[Message]:
    agreed = {"consent": {"categoryPreferences": {"analytics": True}, "note": "zanzibar"}}
    clash = track("Made", START + HOUR, "ada-7f", account="acme", word="clash")
    return [
        identify(START, "ada-7f", anon="visitor-93", name="Lovelace", email="ada@engine.example"),
        group("acme", START, "ada-7f", plan="trial", town="zanzibar"),
        track("Made", START + HOUR, "ada-7f", account="acme", word="zanzibar", size=421733),
        track("Made", START + 2 * HOUR, anon="visitor-93", account="acme", word="zanzibar", size=421733),
        {**clash, "messageId": "taken"},
        {**clash, "messageId": "taken", "properties": {"word": "clash", "again": True}},
        {**track("Made", START + 3 * HOUR, "ada-7f"), "context": agreed},
        {"type": "nonsense", "userId": "ada-7f", "properties": {"word": "broken-word"}, "messageId": "broken"},
        {"type": "alias", "userId": "ada-7f", "previousId": "visitor-93", "messageId": "an-alias"},
    ]


def his() -> list[Message]:
    return [
        identify(START, "bob", anon="visitor-5", name="Babbage"),
        group("acme", START + HOUR, "bob"),
        track("Made", START, "bob", account="acme", word="early", size=9),
        track("Made", START + 20 * MINUTE, "bob", account="acme", word="early", size=9),
        track("Made", START + 30 * MINUTE, "bob", account="acme", word="early", size=9),
        {"type": "nonsense", "userId": "bob", "messageId": "bobs-own"},
    ]


@pytest.fixture
def met(desk: Desk) -> Desk:
    """Ada and Bob were here, and the CRM was told of both."""
    desk.take_in(*hers(), *his())
    desk.deliver()
    return desk


def test_nothing_of_the_person_is_left_in_any_table(met: Desk):
    """Identifiers, properties, traits, quarantine, conflicts, verdicts and messages: all gone."""
    found = met.rows_naming(*SECRETS).keys()
    assert {"events", "quarantine", "conflicts", "traits", "identifiers", "consent_log", "consent_snapshots"} <= found
    met.erase("ada-7f")

    assert {} == met.rows_naming(*SECRETS)
    assert set() == met.rows_naming(ADA, VISITOR).keys() - KEPT
    assert () == met.house.differences(met.clock[0])


def test_after_the_vacuum_no_byte_of_the_person_is_in_any_file(met: Desk):
    """Neither in the database, nor in its write-ahead log, nor in the file of tombstones."""
    met.erase("ada-7f")
    met.store.retention.compact()

    assert [] == met.files_naming(*SECRETS)
    assert ["house.db", "house.db-shm", "house.db-wal", "house.db.tombstones"] == sorted(
        path.name for path in met.store.database.path.parent.iterdir()
    )


def test_of_others_nothing_goes(met: Desk):
    """What Bob did, and what is known of him, is as it was."""
    before = {table: [row for row in rows if id_of("user", "bob") in row] for table, rows in met.rows().items()}
    met.erase("ada-7f")
    after = {table: [row for row in rows if id_of("user", "bob") in row] for table, rows in met.rows().items()}

    for table in ("events", "tallies", "tally_items", "traits", "identifiers", "memberships", "people", "links"):
        assert before[table] == after[table]
    assert ["bobs-own"] == [
        entry.message_id for entry in met.store.events.quarantine(reason=None, limit=9, before=None)
    ]


def test_verdicts_of_the_account_are_restated(met: Desk):
    """What the account owes to the person is taken back, with the erasure as its cause; the rest stands."""
    assert {"a-people", "a-plan"} <= {key[0] for key in met.house.since_by(["a-people", "a-plan", "a-made"])}
    met.erase("ada-7f")

    assert {("a-made", "acme"): START + 30 * MINUTE} == met.house.since_by(["a-people", "a-plan", "a-made"])
    assert {"erasure"} == {row.cause for row in met.house.ledger() if row.change == "retracted"}


def test_evidence_that_quoted_the_person_is_said_anew(met: Desk):
    """A verdict that stands is on record with evidence of what is left; what was quoted is gone from every line."""
    met.take_in(track("Made", START + 10 * HOUR, "bob", account="acme", word="late", size=9))
    lines = [row for row in met.house.ledger() if row.definition == "a-word"]
    met.erase("ada-7f")
    restated = [row for row in met.house.ledger() if row.definition == "a-word"]

    assert len(lines) + 1 == len(restated)
    assert [True] * len(lines) + [False] == ["erased" in json.loads(row.evidence) for row in restated]
    assert ("corrected", "erasure", "early") == (
        restated[-1].change,
        restated[-1].cause,
        json.loads(restated[-1].evidence)["qualify"]["value"],
    )


def test_counts_in_evidence_stay_as_they_were(met: Desk):
    """What only counts quotes nobody, and is left as it was said."""
    before = [row for row in met.house.ledger() if row.definition == "a-made"]
    met.erase("ada-7f")

    assert before == [row for row in met.house.ledger() if row.definition == "a-made"]


def test_what_the_person_said_about_the_account_goes(met: Desk):
    """A trait of the account that she set is no longer there, for the account and for whoever is judged by it."""
    met.take_in(track("Made", START + 4 * HOUR, "bob", account="acme"))
    assert "bob" in met.house.since("u-plan")
    met.erase("ada-7f")

    assert "bob" not in met.house.since("u-plan")


def test_an_account_of_nobody_else_is_forgotten(desk: Desk):
    """Its name may be the person's own; whoever was told of it is told that it is over."""
    desk.take_in(*(track("Made", START + n, "ada-7f", account="adas-lovelace-shop") for n in range(3)))
    assert any("adas-lovelace-shop" in sent["body"] for sent in desk.deliver())
    request = desk.office.enter("erase", Subject(value="ada-7f"))
    desk.office.carry_out(request.request_id, pause=lambda: None)
    desk.house.decide(desk.clock[0])
    told = [(sent["type"], "adas-lovelace-shop" in sent["body"]) for sent in desk.deliver()]
    desk.office.settle()

    assert ("pql.retracted", True) in told
    assert {} == desk.rows_naming(b"adas-lovelace-shop")


# --- the proof -------------------------------------------------------------------------------------------------------


def test_the_certificate_counts_what_went_and_names_nobody(met: Desk):
    """Table by table it adds up to what was held; it is signed, and any change shows."""
    held = met.office.held(met.office.find(Subject(value="ada-7f")))
    request = met.erase("ada-7f")
    document = json.loads(request.certificate)

    assert "done" == request.state
    assert dict(held) == {table: n for table, n in document["removed"].items() if table != "consent_snapshots"}
    assert {"crm": "delivered"} == document["notices"]
    assert not any(secret in request.certificate for secret in SECRETS)
    assert met.office.is_genuine(document)
    assert not met.office.is_genuine({**document, "subjects": []})


def test_what_an_operator_writes_does_not_keep_the_name(desk: Desk):
    """The reason is put on record without the person's identifiers."""
    desk.take_in(identify(START, "ada-7f"))
    request = desk.office.enter("erase", Subject(value="ada-7f"), by="ada-7f herself", reason="mail of ada-7f, 3 May")

    assert ("[subject] herself", "mail of [subject], 3 May") == (request.by, request.reason)


def test_a_person_is_found_by_any_of_its_ids(met: Desk):
    """By userId, anonymousId or our own id; unknown, several and erased ones are told apart."""
    met.store.keyring.put_source(Source(id="shop", name="shop", namespace="shop"), START)
    met.house.receive([identify(START, "bob")], now=met.clock[0], source=Source(id="shop", name="", namespace="shop"))

    assert met.office.find(Subject(value="ada-7f")) == met.office.find(Subject(value="visitor-93"))
    assert met.office.find(Subject(value="ada-7f")) == met.office.find(Subject(value=ADA.hex()))
    with pytest.raises(AmbiguousSubject):
        met.office.find(Subject(value="bob"))
    assert 2 == len(met.office.find(Subject(value="bob", namespace="default")))
    with pytest.raises(UnknownSubject):
        met.office.find(Subject(value="carol"))
    request = met.erase("ada-7f")
    with pytest.raises(AlreadyErased, match=request.request_id.hex()):
        met.office.find(Subject(value="visitor-93"))


def test_a_link_that_nobody_resolved_yet_counts(desk: Desk):
    """Who was linked a moment ago, and not yet decided about, is erased with the rest."""
    desk.house.receive([track("Made", START, anon="visitor-93"), identify(START, "ada-7f", anon="visitor-93")])
    desk.erase("ada-7f")

    assert {} == desk.rows_naming(b"visitor-93")
    assert set() == desk.rows_naming(VISITOR).keys() - KEPT


# --- recipients ------------------------------------------------------------------------------------------------------


def test_recipients_are_told_by_the_id_they_know(met: Desk):
    """Each endpoint that heard of the person gets one signed notice; its id leaves the outbox with it."""
    request = met.office.enter("erase", Subject(value="ada-7f"))
    met.office.carry_out(request.request_id, pause=lambda: None)
    assert {"outbox"} == met.rows_naming(*SECRETS).keys()
    assert 0 == met.office.settle()
    sent = [json.loads(each["body"]) for each in met.deliver() if each["type"] == "privacy.erased"]

    assert [{"kind": "user", "id": ADA.hex(), "externalId": "ada-7f"}] == [body["data"]["entity"] for body in sent]
    assert {} == met.rows_naming(*SECRETS)
    assert 1 == met.office.settle()


def test_who_never_heard_of_the_person_is_told_nothing(desk: Desk):
    """Without a message before there is none now."""
    desk.take_in(identify(START, "ada-7f"))
    desk.erase("ada-7f")

    assert [] == desk.rows()["outbox"]


def test_a_notice_that_dies_loses_the_id(met: Desk):
    """What no recipient ever took may be sent again, by our own id; nobody's name waits for that."""
    request = met.office.enter("erase", Subject(value="ada-7f"))
    met.office.carry_out(request.request_id, pause=lambda: None)
    met.house.decide(met.clock[0])
    for delivery in met.store.outbox.due("crm", met.clock[0], 100, met.clock[0]):
        if delivery.message.type == "privacy.erased":
            met.store.outbox.failed(delivery.message.message_id, "HTTP 500: no ada-7f here", None)
    met.office.settle()
    (dead,) = [each for each in met.store.outbox.dead(endpoint=None, limit=9) if each.message.type == "privacy.erased"]

    assert {"kind": "user", "id": ADA.hex(), "externalId": None} == json.loads(dead.message.body)["data"]["entity"]
    assert {} == met.rows_naming(*SECRETS)
    assert {"crm": "dead"} == json.loads(met.office.request(request.request_id).certificate)["notices"]


def test_messages_about_the_person_that_have_not_left_are_withdrawn(desk: Desk):
    """Pending and dead ones go; the notice goes to nobody who was never reached."""
    desk.take_in(*hers())
    dead = desk.store.outbox.due("crm", desk.clock[0], 1, desk.clock[0])[0]
    desk.erase("ada-7f")

    assert dead.message.message_id not in {row[1] for row in desk.rows()["outbox"]}
    assert {} == desk.rows_naming(*SECRETS)


# --- what is on its way ----------------------------------------------------------------------------------------------


def test_replays_and_late_batches_are_refused(met: Desk):
    """The same messages again, and new ones under the same ids, are counted and leave no trace."""
    met.erase("ada-7f")
    before = {table: len(rows) for table, rows in met.rows().items() if table != "counters"}
    late = [track("Made", START + 9 * HOUR, "ada-7f"), track("Made", START + 9 * HOUR, anon="visitor-93")]
    outcomes = met.house.receive([*hers(), *late], now=met.clock[0])

    assert {("refused", "erased_subject")} == {(each.status, each.code) for each in outcomes}
    assert before == {table: len(rows) for table, rows in met.rows().items() if table != "counters"}
    assert {} == met.rows_naming(*SECRETS)
    assert {"erased_subject": len(outcomes)} == met.store.events.counts().refused


def test_an_event_of_somebody_else_is_kept_without_the_erased_id(met: Desk):
    """Who signs up anew on the same browser is somebody else; the browser's id is not taken."""
    met.erase("ada-7f")
    (outcome,) = met.house.receive([identify(START, "carol", anon="visitor-93")], now=met.clock[0])

    assert "stored" == outcome.status
    assert {} == met.rows_naming(b"visitor-93")
    assert set() == met.rows_naming(VISITOR).keys() - KEPT


def test_a_batch_admitted_before_and_committed_after_is_refused(met: Desk):
    """What was already read when the request took effect is judged again by whoever writes it."""
    admissions = [admitted(message) for message in hers() if message.get("event") == "Made"]
    met.erase("ada-7f")

    assert ["erased_subject"] * 5 == list(met.store.events.commit(admissions, []))
    assert {} == met.rows_naming(*SECRETS)


def test_another_process_erases_and_this_one_refuses(met: Desk):
    """A command beside the running collector is heeded by the very next commit."""
    beside = SQLiteStore(met.store.database.path)
    try:
        here, met.store = met.store, beside
        office = met.new_office()
        request = office.enter("erase", Subject(value="ada-7f"))
        (outcome,) = met.house.receive([track("Made", START, "ada-7f")], now=met.clock[0])
        office.carry_out(request.request_id, pause=lambda: None)
        met.store = here
    finally:
        beside.close()

    assert "erased_subject" == outcome.code
    assert set() == met.rows_naming(ADA, VISITOR).keys() - KEPT - {"outbox"}


def test_a_decision_made_before_and_written_after_says_nothing(met: Desk):
    """Facts that were gathered before the erasure reach neither the ledger nor the outbox after it."""
    met.house.receive(
        [track("Made", START + 11 * HOUR, "ada-7f", account="acme", word="zanzibar") for _ in range(3)],
        now=met.clock[0],
    )
    entries = met.store.agenda.take(met.clock[0], 100)
    decided = met.house.qualifier.preview(entries, met.clock[0])
    request = met.office.enter("erase", Subject(value="ada-7f"))
    met.office.carry_out(request.request_id, pause=lambda: None)
    met.store.agenda.complete(decided, met.clock[0])
    met.house.decide(met.clock[0])
    met.deliver()

    assert {} == met.rows_naming(*SECRETS)
    assert set() == met.rows_naming(ADA, VISITOR).keys() - KEPT - {"outbox"}
    assert () == met.house.differences(met.clock[0])


def test_a_previous_name_is_erased_in_either_reading(desk: Desk):
    """Called a previous name by an alias, it stood there as a visitor's too; no late alias brings it back."""
    renamed = {"type": "alias", "userId": "bob", "previousId": "ada-7f", "timestamp": START}
    desk.take_in(identify(START, "ada-7f"), {**renamed, "messageId": "early"})
    desk.erase("ada-7f")
    (outcome,) = desk.house.receive([{**renamed, "messageId": "late"}], now=desk.clock[0])

    assert "stored" == outcome.status
    assert {} == desk.rows_naming(b"ada-7f")
    assert set() == desk.rows_naming(ADA, id_of("anonymous", "ada-7f")).keys() - KEPT


def test_what_only_her_messages_spoke_of_goes_with_them(desk: Desk):
    """An admin said that the browser is not hers; nobody else was seen on it, so nothing is known of it any more."""
    desk.take_in(identify(START, "ada-7f", anon="visitor-93"), identify(START, "bob", anon="visitor-5"))
    pair = (ADA, VISITOR) if ADA < VISITOR else (VISITOR, ADA)
    desk.store.agenda.act(IdentityAct(b"u" * 16, START, "grace", "undo", (pair,)), START)
    desk.house.decide(desk.clock[0])
    desk.erase("ada-7f")
    (outcome,) = desk.house.receive([track("Made", START, anon="visitor-93")], now=desk.clock[0])

    assert "stored" == outcome.status
    assert {("bob",), ("visitor-5",), ("visitor-93",)} == {row[3:] for row in desk.rows()["identifiers"]}


def test_a_name_that_is_a_visitors_own_stays_that_visitors(desk: Desk):
    """Who was here anonymously under the same letters is somebody else."""
    desk.take_in(
        identify(START, "ada-7f"),
        track("Made", START, anon="ada-7f"),
        {"type": "alias", "userId": "bob", "previousId": "ada-7f", "timestamp": START, "messageId": "an-alias"},
    )
    desk.office.enter("erase", Subject(value="ada-7f", type="user"))

    assert {id_of("anonymous", "ada-7f")} == set(desk.office.find(Subject(value="ada-7f")))


def test_whoever_is_being_erased_is_erased_already(met: Desk):
    """A second request would only do the same again; it is told of the first."""
    request = met.office.enter("erase", Subject(value="ada-7f"))
    with pytest.raises(AlreadyErased, match=request.request_id.hex()):
        met.office.enter("erase", Subject(value="visitor-93"))

    assert [request.request_id] == [each.request_id for each in met.office.requests()]


def test_deciding_comes_to_rest_while_somebody_is_erased(desk: Desk):
    """Whose links are not gone yet joins nobody; who had to do with her is found out about when they are."""
    desk.take_in(
        identify(START + HOUR, "ada-7f", anon="visitor-93"),
        *(track("Made", START + n, anon="visitor-93") for n in range(2)),
    )
    desk.house.receive([identify(START, "bob", anon="visitor-93")], now=desk.clock[0])
    request = desk.office.enter("erase", Subject(value="ada-7f", type="user"))
    desk.house.receive([identify(START + 2 * HOUR, "carol", anon="visitor-93")], now=desk.clock[0])
    rounds = sum(desk.house.qualifier.run_once(desk.clock[0], anybody=True) > 0 for _ in range(20))
    desk.office.carry_out(request.request_id, pause=lambda: None)
    desk.house.decide(desk.clock[0])

    assert rounds < 5
    assert {"bob": START + 1} == desk.house.since("u-made")
    assert () == desk.house.differences(desk.clock[0])


def test_two_are_erased_at_the_same_time(met: Desk):
    """Whoever had to do with the one may be the other: nobody is put on the agenda who is erased."""
    met.take_in(identify(START, "bob", anon="visitor-93"))
    first, second = (met.office.enter("erase", Subject(value=who, type="user")) for who in ("ada-7f", "bob"))
    met.office.carry_out(second.request_id, pause=lambda: None)
    met.office.carry_out(first.request_id, pause=lambda: None)

    assert set() == met.rows_naming(*first.subjects, *second.subjects).keys() - KEPT - {"outbox"}


def test_events_arrive_while_somebody_is_erased(met: Desk):
    """Whatever comes in between: hers is refused, his is stored, and afterwards nothing of hers is there."""
    sent: list[str] = []

    def send() -> None:
        for n in range(60):
            batch = [
                track("Made", START + n, "ada-7f", word="zanzibar"),
                track("Made", START + n, "bob", account="acme"),
            ]
            sent.extend(outcome.status for outcome in met.house.receive(batch, now=met.clock[0]))

    sender = Thread(target=send)
    sender.start()
    met.erase("ada-7f")
    sender.join()
    met.house.decide(met.clock[0])

    assert 60 <= sent.count("stored")
    assert set() == met.rows_naming(ADA, VISITOR).keys() - KEPT
    assert () == met.house.differences(met.clock[0])


# --- broken off, and brought back ------------------------------------------------------------------------------------


class _Killed(Exception):
    """The process ended here."""


@pytest.mark.parametrize("portions", range(1, 40, 3))
def test_an_erasure_that_was_broken_off_goes_on(met: Desk, portions: int):
    """After any portion: nothing about the person is taken meanwhile, and the rest goes later, with the same counts."""
    met.office = met.new_office(erase_rows=2)
    held = met.office.held(met.office.find(Subject(value="ada-7f")))
    request = met.office.enter("erase", Subject(value="ada-7f"))
    left = [portions]

    def pause() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise _Killed

    with pytest.raises(_Killed):
        met.office.carry_out(request.request_id, pause)
    (outcome,) = met.house.receive([track("Made", START, "ada-7f")], now=met.clock[0])
    met.house.decide(met.clock[0])
    office = met.new_office(erase_rows=2)
    assert [request.request_id] == office.erasures()
    office.carry_out(request.request_id, pause=lambda: None)
    met.house.decide(met.clock[0])
    met.deliver()
    office.settle()

    assert "erased_subject" == outcome.code
    assert {} == met.rows_naming(*SECRETS)
    assert dict(held) == {
        table: n for table, n in office.request(request.request_id).counts.items() if table != "consent_snapshots"
    }
    assert () == met.house.differences(met.clock[0])


def test_verdicts_leave_the_person_out_from_the_first_moment(met: Desk):
    """Before a single row is gone, nothing is decided with what is still there."""
    met.office.enter("erase", Subject(value="ada-7f"))
    met.house.decide(met.clock[0])

    assert {"bob"} == met.house.since("u-made").keys()
    assert {("a-made", "acme"): START + 30 * MINUTE} == met.house.since_by(["a-people", "a-made"])


def test_an_older_copy_of_the_database_does_not_bring_the_person_back(met: Desk):
    """The file beside it remembers; before anything else the person is erased again, and nobody is told twice."""
    path = met.store.database.path
    backup = path.with_name("backup.db")
    sqlite3.connect(path).execute("VACUUM INTO ?", (str(backup),)).connection.close()
    met.erase("ada-7f")
    met.store.close()
    path.with_name("house.db-wal").unlink(missing_ok=True)
    backup.replace(path)
    met.store = met.house.store = SQLiteStore(path)
    assert {} != met.rows_naming(*SECRETS)
    office = met.new_office()

    assert 1 == office.recall()
    assert {} == met.rows_naming(*SECRETS)
    assert set() == met.rows_naming(ADA, VISITOR).keys() - KEPT
    assert ["erased_subject"] == met.store.events.commit([admitted(track("Made", START, "ada-7f"))], [])
    assert [] == [row for row in met.rows()["outbox"] if "privacy.erased" in row]
    assert 0 == office.recall()


def admitted(message: Message) -> Admission:
    """A message as it stands before the store."""
    return Admitter(IDENTIFY, SignalIndex(CATALOGUE.signals)).admit(read_event(message), APP, PlanFinding())


def test_a_database_that_lost_its_file_writes_it_again(met: Desk):
    """What only the database knows is put on record beside it at the next start."""
    met.erase("ada-7f")
    file = met.store.database.path.with_name("house.db.tombstones")
    before = file.read_bytes()
    file.unlink()
    met.office.recall()

    assert json.loads(before)["ids"] == json.loads(file.read_bytes())["ids"]


def test_what_was_dropped_for_want_of_consent_goes_too(desk: Desk):
    """That something was dropped, and the words under which it was, are as personal as what was kept."""
    source = Source(id="app", name="app", consent={"analytics": "opt_in"}, on_deny={"analytics": "drop"})
    refused = {"consent": {"categoryPreferences": {"analytics": False}, "note": "zanzibar"}}
    desk.store.keyring.put_source(source, START)
    (outcome,) = desk.house.receive(
        [{**track("Made", START, "ada-7f"), "context": refused}], now=desk.clock[0], source=source
    )
    desk.house.receive([identify(START, "ada-7f")], now=desk.clock[0])
    assert "consent_denied" == outcome.code
    assert 1 == len(desk.rows()["dropped"])
    desk.erase("ada-7f")

    assert [] == desk.rows()["dropped"]
    assert [] == desk.rows()["consent_snapshots"]
    assert {} == desk.rows_naming(*SECRETS)
