"""What every store keeps of consent: the log, what waits for it, what was dropped, and why each was stored."""

from collections.abc import Iterable

from msgspec.structs import replace

from assay_collector.store import (
    Admission,
    ConsentEntry,
    ConsentSnapshot,
    EventRow,
    Source,
    Store,
    Touch,
    TraitChange,
    Waiting,
)
from builders import LEAF, NOW, OTHER_LEAF, admission, an_id, decided, mark, signal

SNAPSHOT = ConsentSnapshot(b"c" * 16, b'{"analytics":"denied"}', b"{}", b'{"awaits":["pql_scoring"]}')
SIGNAL = signal("Task Assigned")


def word(state: str = "granted", at: int = NOW, **fields: object) -> ConsentEntry:
    entry = ConsentEntry(LEAF, "pql_scoring", state, "statement", at, NOW, None, b"null")
    return replace(entry, **fields)


def waiting(id: str = "w1", **fields: object) -> Admission:
    """An event that lacks a grant."""
    said = {"scored": False, "consent_id": SNAPSHOT.consent_id, "consent": SNAPSHOT, "awaits": ("pql_scoring",)}
    return admission(id, **{**said, **fields})


def marks_of(event: EventRow) -> Iterable[object]:
    return [mark(event.at, signal=SIGNAL.id)]


def due(store: Store) -> set[Touch]:
    return {Touch(e.kind, e.entity, cause) for e in store.agenda.take(NOW + 1, 99) for cause in e.causes}  # type: ignore[arg-type]


def test_a_line_of_the_log_comes_back_whole(store: Store):
    """With basis, version, end, policy and source; said twice it is one line."""
    said = word(legal_basis="contract", policy_version="7", expires_at=NOW + 1, policy="opt_in", source="app")
    store.events.commit([admission("m1", consents=(said,)), admission("m2", consents=(said,))], [])

    with store.snapshot() as facts:
        assert [said] == list(facts.consents([LEAF], ["pql_scoring"]))


def test_what_lacks_a_grant_waits_for_it(store: Store):
    """Whoever may have granted it already is looked at again; whoever never did is not."""
    store.events.commit([waiting("w1"), waiting("w2", leaf=OTHER_LEAF)], [])
    assert set() == due(store)
    store.events.commit([admission("m1", consents=(word(),))], [])
    store.events.commit([waiting("w3"), waiting("w4", leaf=OTHER_LEAF)], [])

    assert {Touch("user", LEAF, "consent")} == due(store)
    with store.snapshot() as facts:
        found = facts.waiting([LEAF])
        assert {False} == {counts for _, counts in facts.awaiting()}
    assert {Waiting(LEAF, NOW, waiting(id).event.event_id, ("pql_scoring",)) for id in ("w1", "w3")} == set(found)


def test_what_is_released_counts_once(store: Store):
    """With its marks and its traits; again, it is nothing new, and what never waited is left alone."""
    store.tallies.begin({SIGNAL.id: b"{}"})
    event = waiting(type="identify", traits=(TraitChange(LEAF, "role", NOW, waiting().event.event_id, b'"a"', False),))
    store.events.commit([event, admission("plain", scored=False)], [])
    ids = [event.event.event_id, admission("plain").event.event_id]

    assert [1, 0] == [store.events.release(ids, marks_of) for _ in range(2)]  # type: ignore[arg-type]
    with store.snapshot() as facts:
        assert [1] == [row.n for row in facts.tallies([LEAF], [SIGNAL.id])]
        assert [True] == [change.scored for change in facts.traits([LEAF], ["role"])]
        assert {True} == {counts for _, counts in facts.awaiting()}
        assert [] == list(facts.waiting([LEAF]))
    assert {"w1": True, "plain": False} == {row.message_id: row.scored for _, row in store.events.scan()}


def test_what_is_released_while_a_signal_is_filled_is_not_counted_twice(store: Store):
    """Filling comes by it, and reads that it counts by now."""
    store.events.commit([waiting()], [])
    store.tallies.begin({SIGNAL.id: b"{}"})
    store.events.release([waiting().event.event_id], marks_of)  # type: ignore[arg-type]
    with store.snapshot() as facts:
        assert [] == list(facts.tallies([LEAF], [SIGNAL.id]))
    store.tallies.fill([SIGNAL.id], marks_of, names=None, limit=9)  # type: ignore[arg-type]

    with store.snapshot() as facts:
        assert [1] == [row.n for row in facts.tallies([LEAF], [SIGNAL.id])]


def test_a_dropped_event_leaves_that_it_came_and_what_it_said(store: Store):
    """Each time it comes it is counted; its id stays free for when its person agrees."""
    touch = Touch("user", LEAF, "consent")
    no = admission("no", dropped=True, consent=SNAPSHOT, consents=(word("denied"),), touches=(touch,))

    assert ["consent_denied"] == list(store.events.commit([no], []))
    assert ["consent_denied"] == list(store.events.commit([no], []))
    assert ({"consent_denied": 2}, 0) == (store.events.counts().refused, store.events.position())
    assert {touch} == due(store)
    assert [("refused", "consent_denied")] == [(line.status, line.code) for line in store.events.receipts("no")]
    with store.snapshot() as facts:
        assert {} == facts.identifiers([LEAF])
        assert [word("denied")] == list(facts.consents([LEAF], ["pql_scoring"]))
    assert ["stored"] == list(store.events.commit([admission("no")], []))


def test_dropping_does_not_undo_what_was_stored(store: Store):
    """The same event again is a duplicate; another of its id is dropped, and no conflict is kept of it."""
    store.events.commit([admission("m1")], [])
    again, other = (admission("m1", dropped=True, digest=digest) for digest in (b"digest-1", b"digest-2"))

    assert ["duplicate", "consent_denied"] == list(store.events.commit([again, other], []))
    assert 0 == store.events.counts().conflicts


def test_why_a_message_was_stored_is_one_question(store: Store):
    """Its event, its snapshot, what it said, and its source as it was then, in every source that it came by."""
    for policy, at in (("opt_in", NOW - 9), ("opt_out", NOW + 9)):
        store.keyring.put_source(Source(id="app", name="app", consent={"analytics": policy}), at)
    said = word(event_id=waiting("m1").event.event_id)
    store.events.commit([waiting("m1", consents=(said,)), admission("m1", source="web", received_at=NOW + 1)], [])
    with store.snapshot() as facts:
        web, app = facts.consent_evidence("m1")

    assert ("web", None, (), None) == (web.source, web.snapshot, tuple(web.entries), web.settings)
    assert (SNAPSHOT, [said], {"analytics": "opt_in"}) == (app.snapshot, list(app.entries), app.settings.consent)  # type: ignore[union-attr]
    assert waiting("m1").event == app.event


def test_who_only_ever_agreed_is_in_no_doubt(store: Store):
    """Any other word, or a yes that ends, is a doubt, about its own purpose."""
    people = [an_id(n) for n in range(1, 6)]
    words = [
        word(subject=people[0]),
        word("denied", subject=people[1]),
        word("unknown", subject=people[2]),
        word(subject=people[3], expires_at=NOW + 1),
        word("denied", subject=people[4], purpose="sales_contact"),
    ]
    store.events.commit([admission("m1", consents=tuple(words))], [])

    with store.snapshot() as facts:
        assert set(people[1:4]) == set(facts.doubtful(people, ["analytics", "pql_scoring"]))
        assert {people[4]} == set(facts.doubtful(people, ["sales_contact"]))


def test_who_agrees_again_and_again_is_looked_at_once_something_may_come_of_it(store: Store):
    """A yes with every event concerns nobody, unless somebody said no, or an event waits for it."""
    touch = (Touch("user", LEAF, "consent"),)

    def agree(id: str, at: int = NOW) -> set[Touch]:
        store.events.commit([admission(id, at=at, consents=(word(at=at),), touches=touch)], [])
        return due(store)

    assert set() == agree("m1")
    store.events.commit([waiting("w1", at=NOW + 5)], [])
    finish(store)
    assert set() == agree("m2", NOW + 6)
    assert set(touch) == agree("m3", NOW + 4)
    finish(store)
    store.events.commit([admission("no", consents=(word("denied", at=NOW - 9),))], [])
    assert set(touch) == agree("m4", NOW + 9)


def finish(store: Store) -> None:
    store.agenda.complete([decided(entry) for entry in store.agenda.take(NOW + 1, 99)], NOW)
