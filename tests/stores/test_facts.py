"""The Facts port's promises, kept by every adapter: complete lists, from one moment."""

import threading

from assay.contract.times import HOUR
from assay_collector.identity.people import ACTIVE, Decision
from assay_collector.identity.rules import RULE_VERSION
from assay_collector.store import Link, LinkRow, Membership, Resolution, Store, TraitChange
from builders import (
    ACCOUNT,
    LEAF,
    NOW,
    OTHER_LEAF,
    admission,
    an_id,
    decided,
    hour_of,
    mark,
    touch,
    transition,
    user,
)

# More than fit into the parameters of one statement of any adapter.
MANY = [an_id(number) for number in range(1, 1_200)]


def test_a_snapshot_does_not_move(store: Store):
    """What is committed meanwhile, by this thread or another, is not seen until the next one."""
    store.events.commit([admission("m1", marks=(mark(),))], [])
    with store.snapshot() as facts:
        before = list(facts.tallies([LEAF], [7]))
        thread = threading.Thread(target=store.events.commit, args=([admission("m2", marks=(mark(),))], []))
        thread.start()
        thread.join()
        store.events.commit([admission("m3", marks=(mark(),))], [])

        assert before == list(facts.tallies([LEAF], [7]))
    with store.snapshot() as facts:
        assert [3] == [row.n for row in facts.tallies([LEAF], [7])]


def test_tallies_and_items_are_those_asked_for(store: Store):
    """By entity and signal; unknown ones are simply not there."""
    marks = [mark(entity=entity, signal=s, item=an_id(s)) for entity in (LEAF, OTHER_LEAF) for s in (7, 8)]
    store.events.commit([admission(marks=tuple(marks))], [])

    with store.snapshot() as facts:
        assert [(LEAF, 8)] == [(row.entity, row.signal) for row in facts.tallies([LEAF], [8, 9])]
        assert [(LEAF, an_id(8))] == [(row.entity, row.item) for row in facts.items([LEAF, an_id(99)], [8])]
        assert 4 == len(facts.tallies([LEAF, OTHER_LEAF, LEAF], [7, 8, 7]))
        assert [] == list(facts.tallies([], [7])) == list(facts.tallies([LEAF], []))


def test_which_signals_were_marked_at_all(store: Store):
    """Of these, by any of these entities."""
    many = [an_id(n) for n in range(100, 230)]
    marks = [mark(entity=LEAF, signal=7), mark(entity=LEAF, signal=7, at=NOW - 5), mark(entity=many[-1], signal=8)]
    store.events.commit([admission(marks=tuple(marks))], [])

    with store.snapshot() as facts:
        assert {7} == facts.marked([LEAF], [7, 8, 9])
        assert {7, 8} == facts.marked([*many, LEAF], [9, 8, 7])
        assert set() == facts.marked([LEAF], [8]) == facts.marked([], [7]) == facts.marked([LEAF], [])


def test_the_history_of_a_trait_is_kept(store: Store):
    """Every value with its time and event, of people and accounts alike."""
    changes = [
        TraitChange(LEAF, "plan", NOW, an_id(1), b'"free"'),
        TraitChange(LEAF, "plan", NOW, an_id(2), b"null"),
        TraitChange(LEAF, "plan", NOW + 5, an_id(3), '"größer"'.encode()),
        TraitChange(LEAF, "role", NOW, an_id(1), b'{"a":[1]}'),
        TraitChange(ACCOUNT, "plan", NOW, an_id(4), b"7"),
    ]
    store.events.commit([admission(traits=tuple(changes))], [])

    with store.snapshot() as facts:
        assert set(changes[:3]) == set(facts.traits([LEAF], ["plan"]))
        assert set(changes) == set(facts.traits([LEAF, ACCOUNT], ["plan", "role", "other"]))
        assert [] == list(facts.traits([LEAF], []))


def test_links_are_found_from_either_end(store: Store):
    """Each pair once, also when both ends are asked for."""
    store.events.commit([admission(links=(Link(LEAF, OTHER_LEAF, "observed", NOW, an_id(9)),))], [])
    row = LinkRow(LEAF, OTHER_LEAF, "observed", NOW, an_id(9), rule_version=RULE_VERSION)

    with store.snapshot() as facts:
        assert [row] == list(facts.links_of([LEAF])) == list(facts.links_of([OTHER_LEAF]))
        assert [row] == list(facts.links_of([LEAF, OTHER_LEAF]))
        assert [] == list(facts.links_of([an_id(3)]))


def test_people_are_known_by_their_leaves(store: Store):
    """As they were resolved last; whoever was never linked is in neither answer."""
    stands, refused = (Link(LEAF, other, "observed", NOW, an_id(9)) for other in (OTHER_LEAF, an_id(3)))
    links = {stands.claim.key: ACTIVE, refused.claim.key: Decision("blocked", "two_users")}
    store.events.commit([admission(links=(stands, refused))], [])
    people = {LEAF: LEAF, OTHER_LEAF: LEAF, an_id(3): an_id(3)}
    store.agenda.resolve([Resolution(people, links, (touch(),), {LEAF: NOW})], NOW)

    with store.snapshot() as facts:
        assert {LEAF: LEAF, OTHER_LEAF: LEAF} == facts.people([LEAF, OTHER_LEAF, an_id(4)])
        assert {LEAF: [LEAF, OTHER_LEAF]} == {p: sorted(found) for p, found in facts.leaves_of([LEAF]).items()}
        assert {LEAF: NOW} == facts.shared_from([LEAF, OTHER_LEAF])
        assert {("active", None), ("blocked", "two_users")} == {(r.state, r.reason) for r in facts.links_of([LEAF])}
    assert [LEAF] == [entry.entity for entry in store.agenda.take(NOW, 9)]


def test_resolving_again_replaces_what_was_known(store: Store):
    """A link that stands no longer in the way is active again, and a leaf may leave its person."""
    link = Link(LEAF, OTHER_LEAF, "observed", NOW, an_id(9))
    refused = {link.claim.key: Decision("blocked", "two_users")}
    store.events.commit([admission(links=(link,))], [])
    store.agenda.resolve([Resolution({LEAF: LEAF, OTHER_LEAF: LEAF}, {link.claim.key: ACTIVE}, (), {LEAF: NOW})], NOW)
    store.agenda.resolve([Resolution({LEAF: LEAF, OTHER_LEAF: OTHER_LEAF}, refused, ())], NOW)

    with store.snapshot() as facts:
        assert {LEAF: LEAF, OTHER_LEAF: OTHER_LEAF} == facts.people([LEAF, OTHER_LEAF])
        assert {} == facts.shared_from([LEAF])
        assert [("blocked", "two_users")] == [(row.state, row.reason) for row in facts.links_of([LEAF])]


def test_memberships_are_found_by_leaf_and_by_account(store: Store):
    """Of a leaf, into an account, or both at once without repetition."""
    rows = [Membership(LEAF, ACCOUNT, NOW, an_id(9)), Membership(OTHER_LEAF, an_id(0xB0), NOW, an_id(9), "admin")]
    store.events.commit([admission(memberships=tuple(rows))], [])

    with store.snapshot() as facts:
        assert rows[:1] == list(facts.memberships(leaves=[LEAF], accounts=[ACCOUNT]))
        assert set(rows) == set(facts.memberships(leaves=[LEAF], accounts=[an_id(0xB0)]))
        assert [] == list(facts.memberships())


def test_accounts_are_those_that_events_name(store: Store):
    """Each once, however many events name it."""
    store.events.commit([admission(f"m{n}", account=ACCOUNT) for n in range(3)], [])
    store.events.commit([admission("m9", account=ACCOUNT, leaf=OTHER_LEAF)], [])

    with store.snapshot() as facts:
        assert [ACCOUNT] == list(facts.accounts_of([LEAF, OTHER_LEAF]))
        assert [] == list(facts.accounts_of([an_id(3)]))


def test_a_leafs_events_are_read_in_order_of_time(store: Store):
    """From the start, inclusive, to the end, exclusive; of one instant by event id."""
    at = {"a": NOW, "b": NOW - 5, "c": NOW, "d": NOW + HOUR, "e": NOW - 6}
    store.events.commit([admission(name, at=moment) for name, moment in at.items()], [])
    store.events.commit([admission("other", leaf=OTHER_LEAF)], [])

    with store.snapshot() as facts:
        events = facts.events_of(LEAF, NOW - 5, NOW + HOUR)
    assert ["a", "b", "c"] == sorted(event.message_id for event in events)
    assert sorted((event.at, event.event_id) for event in events) == [(event.at, event.event_id) for event in events]


def test_the_ledger_is_of_one_kind(store: Store):
    """All transitions of the entities, as written; a person's are not an account's."""
    store.agenda.touch([touch()], NOW)
    [entry] = store.agenda.take(NOW, 9)
    lines = [transition(evidence='{"ü":1}'.encode()), transition(revision=2, change="corrected", recorded_at=NOW + 1)]
    store.agenda.complete([decided(entry, *lines, transition(kind="account", definition="other"))], NOW)

    with store.snapshot() as facts:
        assert lines == list(facts.ledger("user", [LEAF, OTHER_LEAF]))
        assert ["other"] == [row.definition for row in facts.ledger("account", [LEAF])]


def test_long_lists_are_answered_whole(store: Store):
    """More entities than a statement has parameters."""
    many = [
        admission(f"m{n}", leaf=leaf, account=leaf, marks=(mark(entity=leaf),), identifiers=(user(str(n), leaf),))
        for n, leaf in enumerate(MANY)
    ]
    store.events.commit(many, [])

    with store.snapshot() as facts:
        assert set(MANY) == {row.entity for row in facts.tallies(MANY, [7])}
        assert set(MANY) == set(facts.identifiers(MANY)) == set(facts.accounts_of(MANY))
        assert {hour_of(NOW)} == {row.bucket for row in facts.tallies(MANY, [7])}
