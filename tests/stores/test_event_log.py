"""The EventLog port's promises, kept by every adapter."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from assay.contract.times import HOUR
from assay_collector.store import (
    ConsentEntry,
    ConsentSnapshot,
    Counts,
    Link,
    Membership,
    Store,
    Tally,
    TallyItem,
    TraitChange,
)
from builders import ACCOUNT, LEAF, NOW, OTHER_LEAF, admission, an_id, hour_of, mark, quarantined, touch, user

CONFLICT = b"digest-2"


def commit(store: Store, *admissions, rejected=()) -> list[str]:
    return list(store.events.commit(admissions, rejected))


def stored(store: Store) -> list[str]:
    return [event.message_id for _, event in store.events.scan()]


def rows(store: Store) -> list[Tally | TallyItem]:
    return sorted(store.tallies.all_rows(), key=repr)


def due(store: Store, now: int = NOW) -> dict[tuple[str, bytes], frozenset[str]]:
    return {(entry.kind, entry.entity): entry.causes for entry in store.agenda.take(now, 100)}


# --- once ---


def test_an_event_is_stored_whole(store: Store):
    """Every field comes back as it was."""
    said = admission(
        name=None,
        type="identify",
        original_at=None,
        sent_at=NOW - 1,
        clamped=True,
        account=ACCOUNT,
        properties='{"name":"Änna \\u0001"}'.encode(),
        context=b'{"page":{}}',
        consent_id=b"c" * 16,
        scored=False,
        violations=b'[{"rule":"type"}]',
        schema_version="1-0-0",
    )
    commit(store, said)

    assert [said.event] == [event for _, event in store.events.scan()]


def test_the_same_event_twice_in_one_call_is_stored_once(store: Store):
    """Clients do send an id twice in a batch."""
    assert ["stored", "duplicate", "stored"] == commit(store, admission("m1"), admission("m1"), admission("m2"))

    assert ["m1", "m2"] == stored(store)


def test_the_same_event_in_two_calls_is_stored_once(store: Store):
    """What came first stays, with the time at which it came."""
    commit(store, admission())

    assert ["duplicate"] == commit(store, admission(received_at=NOW + 5, at=NOW + 5))
    assert [NOW] == [event.received_at for _, event in store.events.scan()]


def test_the_same_message_id_in_two_sources_is_two_events(store: Store):
    """No tenant erases another's events."""
    assert ["stored", "stored"] == commit(store, admission("m1", source="a"), admission("m1", source="b"))


def test_a_taken_id_with_another_payload_is_a_conflict(store: Store):
    """It is kept beside the first, in the same call and in later ones, and never replaces it."""
    assert ["stored", "conflict"] == commit(store, admission(), admission(digest=CONFLICT))
    assert ["conflict", "duplicate"] == commit(store, admission(digest=b"digest-3"), admission())

    assert [b"digest-1"] == [event.digest for _, event in store.events.scan()]
    assert ["conflict", "conflict", "stored"] == sorted(line.status for line in store.events.receipts("m1"))


def test_what_follows_from_a_repeated_event_is_not_written_again(store: Store):
    """Neither a duplicate nor a conflict adds to a tally, a link, a trait or the agenda."""
    follows = {
        "marks": (mark(), mark(item=b"x" * 16, signal=8)),
        "links": (Link(LEAF, OTHER_LEAF, "observed", NOW, an_id(9)),),
        "traits": (TraitChange(LEAF, "plan", NOW, an_id(9), b'"a"'),),
        "touches": (touch(),),
    }
    commit(store, admission(**follows))
    [entry] = store.agenda.take(NOW, 9)
    before = rows(store)
    commit(store, admission(**follows), admission(digest=CONFLICT, **follows, leaf=OTHER_LEAF))

    assert before == rows(store)
    assert [entry] == list(store.agenda.take(NOW, 9))


def test_many_threads_store_each_event_once(store: Store):
    """Eight clients send the same forty events at the same time; exactly one of each is told `stored`."""
    admissions = [admission(f"m{number}", marks=(mark(),)) for number in range(40)]

    def send(client: int) -> list[str]:
        mine = admissions[client:] + admissions[:client]
        return [status for start in range(0, 40, 8) for status in commit(store, *mine[start : start + 8])]

    with ThreadPoolExecutor(8) as threads:
        statuses = [status for said in threads.map(send, range(8)) for status in said]

    assert {"stored": 40, "duplicate": 280} == {status: statuses.count(status) for status in set(statuses)}
    assert 40 == len(stored(store))
    assert [40] == [row.n for row in rows(store)]
    assert (40, 280) == (store.events.counts().stored, store.events.counts().duplicates)


def test_nothing_is_nothing(store: Store):
    """An empty batch has no statuses."""
    assert [] == commit(store)
    assert (0, []) == (store.events.position(), stored(store))


# --- all or nothing ---


@pytest.mark.parametrize(
    "poison",
    [{"at": 2**70}, {"marks": (mark(2**70),)}, {"touches": (touch(cause="no cause"),)}],
    ids=["event", "tally", "agenda"],
)
def test_nothing_is_written_when_it_raises(store: Store, poison):
    """Whichever of the tables refuses, no event, tally, link or count of the call stays."""
    good = admission("m1", marks=(mark(),), identifiers=(user("anna"),), account=ACCOUNT, touches=(touch(),))

    with pytest.raises((OverflowError, KeyError)):
        commit(store, good, admission("m2", **poison), rejected=[quarantined()])

    assert (Counts(stored=0, duplicates=0, conflicts=0, quarantined={}), [], {}) == (
        store.events.counts(),
        rows(store),
        due(store),
    )
    assert store.events.identifier(LEAF) is None
    assert [] == list(store.events.quarantine(reason=None, limit=9, before=None))


def test_what_was_not_written_is_written_the_next_time(store: Store):
    """Bug trap: an adapter that remembers what it has stored must forget what was rolled back."""
    good = admission("m1", identifiers=(user("anna"),), account=ACCOUNT)
    with pytest.raises(OverflowError):
        commit(store, good, admission("m2", at=2**70))

    assert ["stored"] == commit(store, good)
    assert user("anna") == store.events.identifier(LEAF)
    with store.snapshot() as facts:
        assert [ACCOUNT] == list(facts.accounts_of([LEAF]))


def test_a_poisonous_request_costs_only_itself(store: Store):
    """Requests that share a transaction do not share each other's errors."""

    def send(number: int) -> object:
        try:
            return commit(store, admission(f"m{number}", at=2**70 if number % 10 == 3 else NOW))
        except OverflowError:
            return "refused"

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(send, range(40)))

    assert ["refused" if number % 10 == 3 else ["stored"] for number in range(40)] == results
    assert 36 == len(stored(store))


def test_what_was_committed_is_there_for_another_store(opened):
    """It is on disk when the call returns; nothing waits for closing."""
    commit(opened(), admission("m1", marks=(mark(),)), rejected=[quarantined()])
    again = opened()

    assert (["m1"], 1) == (stored(again), len(rows(again)))
    assert ["duplicate"] == commit(again, admission("m1"))
    assert [quarantined()] == list(again.events.quarantine(reason=None, limit=9, before=None))


# --- what follows from an event ---


def test_tallies_are_increments_by_the_hour(store: Store):
    """Count, first and last; of distinct values the first and last sight of each."""
    start = hour_of(NOW) * HOUR
    one, two = b"1" * 16, b"2" * 16
    commit(store, admission("m1", marks=(mark(start + 5), mark(start + 5, signal=8, item=one))))
    commit(store, admission("m2", marks=(mark(start + 3), mark(start + 3, signal=8, item=two))))
    commit(store, admission("m3", marks=(mark(start + HOUR), mark(start + 9, signal=8, item=one))))

    hour = hour_of(NOW)
    assert {
        Tally(LEAF, 7, hour, LEAF, 2, start + 3, start + 5),
        Tally(LEAF, 7, hour + 1, LEAF, 1, start + HOUR, start + HOUR),
        Tally(LEAF, 8, hour, LEAF, 3, start + 3, start + 9),
        TallyItem(LEAF, 8, hour, LEAF, one, start + 5, start + 9),
        TallyItem(LEAF, 8, hour, LEAF, two, start + 3, start + 3),
    } == set(rows(store))


def test_an_hour_before_1970_is_an_hour_too(store: Store):
    """Years 1 and 1969 are sent; buckets are floors, not cut towards zero."""
    commit(store, admission(marks=(mark(-1), mark(-HOUR), mark(0))))

    assert {(-1, 2), (0, 1)} == {(row.bucket, row.n) for row in rows(store)}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_earliest_observation_counts_in_any_order(store: Store, order):
    """Of a link and of a membership; of a tie the smaller event id, and with it the role."""
    seen = [(NOW, an_id(1), "owner"), (NOW + 5, an_id(0), "viewer"), (NOW, an_id(2), "admin")]
    for number in order:
        at, by, role = seen[number]
        link = Link(LEAF, OTHER_LEAF, "observed", at, by)
        belongs = Membership(LEAF, ACCOUNT, at, by, role)
        commit(store, admission(f"m{number}", links=(link,), memberships=(belongs,)))

    with store.snapshot() as facts:
        assert [(NOW, an_id(1), "active", None)] == [
            (row.at, row.event_id, row.state, row.reason) for row in facts.links_of([LEAF])
        ]
        assert [Membership(LEAF, ACCOUNT, NOW, an_id(1), "owner")] == list(facts.memberships(leaves=[LEAF]))


def test_touches_of_one_commit_are_one_entry_with_all_causes(store: Store):
    """Due from the earliest arrival on."""
    commit(
        store,
        admission("m1", received_at=NOW, touches=(touch(cause="trait"), touch(ACCOUNT, kind="account"))),
        admission("m2", received_at=NOW - 7, touches=(touch(cause="identity"), touch(cause="trait"))),
    )
    entries = {entry.entity: entry for entry in store.agenda.take(NOW, 9)}

    assert (NOW - 7, NOW - 7, {"trait", "identity"}) == (
        entries[LEAF].due_at,
        entries[LEAF].since,
        entries[LEAF].causes,
    )
    assert {"event"} == entries[ACCOUNT].causes


def test_consent_is_kept_with_its_evidence(store: Store):
    """The log keeps each word; a word that no event brought is one too."""
    said = ConsentEntry(LEAF, "pql_scoring", "denied", "context.consent", NOW, NOW + 1, an_id(9), b'{"raw":true}')
    told = ConsentEntry(LEAF, "pql_scoring", "granted", "admin", NOW, NOW, None, b"null")
    other = ConsentEntry(LEAF, "analytics", "granted", "context.consent", NOW, NOW, an_id(9), b"{}")
    snapshot = ConsentSnapshot(b"c" * 16, b'{"pql_scoring":"denied"}', b"{}")
    commit(store, admission("m1", consent=snapshot, consents=(said, told, other)))
    commit(store, admission("m2", consent=snapshot, consents=(said,)))

    with store.snapshot() as facts:
        assert {said, told} == set(facts.consents([LEAF], ["pql_scoring"]))


def test_a_raw_identifier_stands_in_one_place(store: Store):
    """It is found by its hash; one that was never seen is not."""
    commit(store, admission(identifiers=(user("änna"), user("acme", ACCOUNT))))

    assert user("änna") == store.events.identifier(LEAF)
    assert store.events.identifier(OTHER_LEAF) is None


# --- asking ---


def test_a_receipt_says_where_a_message_went(store: Store):
    """In every source, stored, in conflict or quarantined; newest first."""
    commit(store, admission("m1", source="a", received_at=NOW), admission("m1", source="a", digest=CONFLICT))
    commit(store, admission("m1", source="b", received_at=NOW + 9, violations=b"[]", at=NOW - 5))
    commit(store, rejected=[quarantined(1, message_id="m1", received_at=NOW + 5)])
    lines = store.events.receipts("m1")

    assert [("b", "stored"), ("app", "quarantined")] == [(line.source, line.status) for line in lines[:2]]
    assert {("a", "stored"), ("a", "conflict")} == {(line.source, line.status) for line in lines[2:]}
    assert (NOW - 5, "stored_despite_violations") == (lines[0].at, lines[0].code)
    assert ("schema_violation", "/properties/count", "must be a number") == (
        lines[1].code,
        lines[1].pointer,
        lines[1].detail,
    )


def test_an_unknown_message_has_no_receipt(store: Store):
    """Never seen is an empty answer."""
    commit(store, admission("m1"))

    assert [] == list(store.events.receipts("m2"))


def test_counts_add_up_over_all_sources(store: Store):
    """Everything sent is stored, a duplicate, a conflict or quarantined by reason."""
    commit(store, admission("m1"), admission("m1"), admission("m1", digest=CONFLICT), admission("m1", source="b"))
    rejected = [quarantined(1), quarantined(2, source="b"), quarantined(3, reason="invalid_json")]
    commit(store, rejected=rejected)

    assert (
        Counts(stored=2, duplicates=1, conflicts=1, quarantined={"invalid_json": 1, "schema_violation": 2})
        == store.events.counts()
    )


def test_the_quarantine_is_paged_newest_first(store: Store):
    """By reason or of all; each page begins after the one before, whatever is quarantined meanwhile."""
    kept = [quarantined(n, reason="invalid_json" if n % 2 else "too_deep") for n in range(1, 8)]
    commit(store, rejected=kept)

    def pages(reason: str | None) -> list[str | None]:
        found, before = [], None
        while page := store.events.quarantine(reason=reason, limit=2, before=before):
            found += [entry.message_id for entry in page]
            before = page[-1].quarantine_id
            commit(store, rejected=[quarantined(100 + len(found) + len(reason or ""))])
        return found

    assert ["q7", "q5", "q3", "q1"] == pages("invalid_json")
    assert ["q7", "q6", "q5", "q4", "q3", "q2", "q1"] == pages(None)[-7:]


def test_a_quarantined_message_is_kept_whole(store: Store):
    """Raw bytes of any kind, and every other field."""
    entry = quarantined(message_id=None, type=None, name=None, library=None, raw=bytes(range(256)))
    commit(store, rejected=[entry])

    assert [entry] == list(store.events.quarantine(reason=None, limit=9, before=None))


def test_a_scan_goes_through_the_log_in_order(store: Store):
    """From any position on, over more than a page, and what is added behind is found too."""
    commit(store, *(admission(f"m{number}") for number in range(1_100)))
    scan = store.events.scan()
    first = next(scan)
    commit(store, admission("late"))

    found = [first, *scan]
    assert [*(f"m{number}" for number in range(1_100)), "late"] == [event.message_id for _, event in found]
    assert sorted(position for position, _ in found) == [position for position, _ in found]
    assert store.events.position() == found[-1][0]
    assert ["late"] == [event.message_id for _, event in store.events.scan(found[-2][0])]
