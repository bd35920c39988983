"""Rights of persons, as every store keeps them; whole stories stand in tests/privacy."""

from typing import Any

import pytest
from msgspec.structs import replace as with_fields

from assay_collector.store import (
    Identifier,
    OutboxMessage,
    PrivacyRequest,
    Redaction,
    RequestKind,
    Store,
    Told,
    Touch,
)
from builders import ACCOUNT, LEAF, NOW, OTHER_LEAF, admission, an_id, decided, outbox_message, quarantined, transition

PLAIN = Redaction(lambda definition, evidence: evidence, lambda evidence: evidence)
USER = Identifier(LEAF, "default", "user", "ada")


def ask(store: Store, kind: RequestKind, *subjects: bytes, number: int = 1, **fields: Any) -> PrivacyRequest:
    """A request that names nobody else, and tells nobody."""
    request = PrivacyRequest(
        request_id=an_id(number),
        kind=kind,
        state="requested" if kind == "export" else "suppressed",
        subjects=subjects,
        requested_at=NOW,
        due_at=NOW + 10,
        **fields,
    )
    return store.rights.open(request, expand=lambda _, ids: ids, notices=lambda _: ())


def erase(store: Store, request: PrivacyRequest, rows: int = 2) -> None:
    while store.rights.erase_some(request.request_id, rows, PLAIN, NOW):
        pass


def test_a_request_comes_back_as_it_was_entered(store: Store) -> None:
    """Newest first, each by its id, with everybody whom `expand` found inside the transaction."""
    first = ask(store, "export", LEAF, by="Grace", reason="a letter")
    request = with_fields(first, request_id=an_id(2), kind="suppress", state="suppressed", keeps_events=True)
    second = store.rights.open(request, expand=lambda _, ids: [*ids, OTHER_LEAF], notices=lambda _: ())

    assert (LEAF, OTHER_LEAF) == second.subjects
    assert [second, first] == store.rights.requests()
    assert first == store.rights.request(an_id(1))
    assert store.rights.request(an_id(9)) is None


def test_what_fails_inside_was_never_entered(store: Store) -> None:
    """All or nothing: when the notices cannot be made, nobody was erased, on no record."""

    def fail(_: Any) -> Any:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        store.rights.open(
            PrivacyRequest(
                request_id=an_id(1), kind="erase", state="suppressed", subjects=(LEAF,), requested_at=NOW, due_at=NOW
            ),
            expand=lambda _, ids: ids,
            notices=fail,
        )

    assert ["stored"] == store.events.commit([admission()], [])
    assert [] == store.rights.requests()
    assert [] == list(store.rights.forgotten())


@pytest.mark.parametrize(("kind", "status"), [("erase", "erased_subject"), ("suppress", "suppressed_subject")])
def test_the_very_next_commit_refuses(store: Store, kind: RequestKind, status: str) -> None:
    """By the leaf, by a user id beside it, and by what a message in quarantine names; each is counted."""
    ask(store, kind, LEAF)
    other = admission("m2", leaf=OTHER_LEAF, identifiers=(USER,))
    statuses = store.events.commit([admission(), other], [quarantined(1, names=(LEAF,)), quarantined(2)])

    assert [status, status] == list(statuses)
    assert status == store.events.refusal([OTHER_LEAF, LEAF])
    assert ["q2"] == [entry.message_id for entry in store.events.quarantine(reason=None, limit=9, before=None)]
    assert {status: 3} == dict(store.events.counts().refused)


def test_of_an_event_that_names_the_erased_the_rest_is_stored(store: Store) -> None:
    """Its own leaf is another's; the erased identifier is not taken with it."""
    ask(store, "erase", LEAF)
    anonymous = Identifier(LEAF, "default", "anonymous", "v1")

    assert ["stored"] == store.events.commit([admission(leaf=OTHER_LEAF, identifiers=(anonymous,))], [])
    assert store.events.identifier(LEAF) is None


def test_what_was_decided_before_is_not_written_after(store: Store) -> None:
    """Neither a transition nor a message about the erased; about the suppressed no message."""
    store.agenda.touch([Touch("user", LEAF), Touch("user", OTHER_LEAF)], NOW)
    entries = {entry.entity: entry for entry in store.agenda.take(NOW, 9)}
    ask(store, "erase", LEAF)
    ask(store, "suppress", OTHER_LEAF, number=2)
    store.agenda.complete(
        [
            decided(entries[leaf], transition(entity=leaf), outbox=(outbox_message(leaf.hex(), leaf),))
            for leaf in (LEAF, OTHER_LEAF)
        ],
        NOW,
    )

    assert 0 == store.outbox.pending()
    with store.snapshot() as facts:
        assert [OTHER_LEAF] == [row.entity for row in facts.ledger("user", [LEAF, OTHER_LEAF])]


def test_a_decision_about_an_account_is_overtaken_by_an_erasure(store: Store) -> None:
    """What was found with the person in it is not written; the account is still due, and the cause is told."""
    store.events.commit([admission(account=ACCOUNT)], [])
    store.agenda.touch([Touch("account", ACCOUNT)], NOW)
    (entry,) = [entry for entry in store.agenda.take(NOW, 9) if entry.entity == ACCOUNT]
    ask(store, "erase", LEAF)
    store.agenda.complete([decided(entry, transition(kind="account", entity=ACCOUNT))], NOW)
    (due,) = [entry for entry in store.agenda.take(NOW, 9) if entry.entity == ACCOUNT]

    assert "erasure" in due.causes
    with store.snapshot() as facts:
        assert [] == list(facts.ledger("account", [ACCOUNT]))


def test_rows_go_in_portions_and_are_counted(store: Store) -> None:
    """However small the portions, each row is counted once, and in the end there is nothing to do."""
    store.events.commit([admission(f"m{n}", identifiers=(USER,)) for n in range(7)], [])
    assert {"events": 7, "identifiers": 1} == dict(store.rights.held([LEAF]))
    request = ask(store, "erase", LEAF)
    assert [request.request_id] == [each.request_id for each in store.rights.erasures()]
    erase(store, request)

    assert {"events": 7, "identifiers": 1} == dict(store.rights.request(request.request_id).counts)
    assert {} == dict(store.rights.held([LEAF]))
    assert [] == list(store.rights.erasures())
    assert not store.rights.erase_some(request.request_id, 2, PLAIN, NOW)


def test_whoever_was_told_is_found_by_what_was_sent(store: Store) -> None:
    """Delivered or tried counts, merely pending does not; by the id that the message was about."""
    store.events.commit([admission(identifiers=(USER,))], [])
    store.agenda.touch([Touch("user", LEAF)], NOW)
    messages = tuple(OutboxMessage(name, name, LEAF, "pql.qualified", b"{}", NOW) for name in ("crm", "chat", "later"))
    store.agenda.complete([decided(store.agenda.take(NOW, 9)[0], transition(), outbox=messages)], NOW)
    store.outbox.delivered("crm", NOW)
    store.outbox.failed("chat", "HTTP 500", NOW)
    told: list[Told] = []
    request = PrivacyRequest(
        request_id=an_id(1), kind="erase", state="suppressed", subjects=(LEAF,), requested_at=NOW, due_at=NOW
    )
    store.rights.open(request, expand=lambda _, ids: ids, notices=lambda found: told.extend(found) or ())

    assert {Told("crm", LEAF, "ada"), Told("chat", LEAF, "ada")} == set(told)
    assert 0 == store.outbox.pending()


def test_erasures_are_on_record_outside(store: Store, opened: Any) -> None:
    """A store that was opened again on the same data has forgotten none."""
    ask(store, "erase", LEAF)

    assert [] == list(store.rights.forgotten())
    assert [] == list(opened().rights.forgotten())
    assert frozenset({LEAF}) == opened().rights.erased([LEAF, OTHER_LEAF])


def test_requests_under_way_are_counted(store: Store) -> None:
    """Until they are finished, and overdue after their date; a suppression in force is done."""
    ask(store, "export", LEAF)
    ask(store, "suppress", LEAF, number=2)
    assert (1, 0) == store.rights.overdue(NOW + 10)
    assert (1, 1) == store.rights.overdue(NOW + 11)
    store.rights.finish(an_id(1), {"events": 3}, None, NOW)

    assert (0, 0) == store.rights.overdue(NOW + 11)
    assert ("done", {"events": 3}) == (store.rights.request(an_id(1)).state, store.rights.request(an_id(1)).counts)


def test_a_suppression_ends_once(store: Store) -> None:
    """By its own id, and only while it is in force."""
    ask(store, "suppress", LEAF)

    assert store.rights.lift(an_id(1), NOW)
    assert not store.rights.lift(an_id(1), NOW)
    assert ["stored"] == store.events.commit([admission()], [])
