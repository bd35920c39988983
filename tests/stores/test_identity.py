"""The identity parts of the ports: the ledger, the words of admins, memberships that end."""

from itertools import permutations

import pytest

from assay.contract.times import HOUR
from assay_collector.identity.people import Decision, pair_of
from assay_collector.store import IdentityAct, Link, Membership, PrivacyRequest, Resolution, Store
from builders import ACCOUNT, LEAF, NOW, OTHER_LEAF, admission, an_id, user

PAIR = (LEAF, OTHER_LEAF)


def alias(at: int = NOW, *, authorised: bool = False, number: int = 9) -> Link:
    return Link(LEAF, OTHER_LEAF, "alias", at, an_id(number), authorised, OTHER_LEAF, an_id(77))


def act(action: str, number: int = 1, at: int = NOW, **rest) -> IdentityAct:
    return IdentityAct(an_id(number), at, "grace", action, (PAIR,), "because", **rest)  # type: ignore[arg-type]


def due(store: Store) -> set[tuple[bytes, str]]:
    return {(entry.entity, cause) for entry in store.agenda.take(NOW, 9) for cause in entry.causes}


def test_of_each_authority_and_direction_the_earliest_link_is_kept(store: Store):
    """In any order of arrival."""
    said = [alias(NOW + 1, number=1), alias(NOW, number=2), alias(NOW + 5, authorised=True, number=3)]
    for number, link in enumerate(said):
        store.events.commit([admission(f"m{number}", links=(link,))], [])

    with store.snapshot() as facts:
        assert {(NOW, False), (NOW + 5, True)} == {(row.at, bool(row.authorised)) for row in facts.links_of([LEAF])}
        assert facts.links_of([LEAF]) == facts.links_of([an_id(77)])


def test_a_user_that_an_alias_spoke_of_is_looked_at_when_it_comes(store: Store):
    """Whether it was a user decides what the alias means."""
    store.events.commit([admission("m1", links=(alias(),))], [])
    assert set() == due(store)
    store.events.commit([admission("m2", leaf=an_id(77), identifiers=(user("anna", an_id(77)),))], [])

    assert {(an_id(77), "identity")} == due(store)


def test_a_word_is_appended_and_concerns_both_ends(store: Store):
    """A link of an admin is a link; the word itself says who, when and why. Said twice it is one."""
    for _ in range(2):
        store.agenda.act(act("link"), NOW)

    with store.snapshot() as facts:
        assert [act("link")] == list(facts.acts_of([LEAF])) == list(facts.acts_of([OTHER_LEAF]))
        assert [("admin", an_id(1))] == [(row.kind, row.event_id) for row in facts.links_of([LEAF])]
    assert {(LEAF, "identity"), (OTHER_LEAF, "identity")} == due(store)


def test_of_a_word_on_several_pairs_the_part_about_the_erased_is_not_taken(store: Store):
    """The rest is as good as it was."""
    gone, left = an_id(50), pair_of(LEAF, an_id(51))
    request = PrivacyRequest(
        request_id=an_id(60), kind="erase", state="suppressed", subjects=(gone,), requested_at=NOW, due_at=NOW
    )
    store.rights.open(request, expand=lambda _, ids: ids, notices=lambda _: ())
    store.agenda.act(IdentityAct(an_id(1), NOW, "grace", "undo", (pair_of(LEAF, gone), left)), NOW)

    with store.snapshot() as facts:
        assert [(left,)] == [each.pairs for each in facts.acts_of([LEAF])]
    assert {(end, "identity") for end in left} == due(store)


def test_an_undo_is_no_link(store: Store):
    """Nor is it one of a rename only by name."""
    store.agenda.act(act("undo"), NOW)
    store.agenda.act(act("rename", 2, former=LEAF), NOW)

    with store.snapshot() as facts:
        assert ["undo", "rename"] == [each.action for each in facts.acts_of([LEAF])]
        assert [("rename", LEAF)] == [(row.kind, row.former) for row in facts.links_of([LEAF])]


def test_what_is_said_again_after_an_undo_is_counted(store: Store):
    """Once a message; before the undo nothing is."""
    link = Link(*PAIR, "observed", NOW, an_id(9))
    store.events.commit([admission("m1", links=(link,))], [])
    store.agenda.resolve([Resolution({}, {link.claim.key: Decision("undone", "undone")}, ())], NOW)
    for number in (2, 3, 3):
        store.events.commit([admission(f"m{number}", links=(Link(*PAIR, "observed", NOW + number, an_id(9)),))], [])

    with store.snapshot() as facts:
        assert [("undone", 2)] == [(row.state, row.again) for row in facts.links_of([LEAF])]
    assert {"observed_after_undo": 2, "undone": 1} == store.agenda.link_counts()


def test_links_refused_at_the_door_are_counted_once_an_event(store: Store):
    """A duplicate is refused no second time."""
    for _ in range(2):
        store.events.commit([admission("m1", links_refused=("placeholder",))], [])

    assert {"placeholder": 1} == store.agenda.link_counts()


def test_everybody_who_is_linked_is_looked_at_when_the_rules_change(store: Store):
    """Once for each edition of them."""
    store.events.commit([admission("m1", links=(Link(*PAIR, "observed", NOW, an_id(9)),))], [])

    assert [True, False, True] == [store.agenda.adjust_identity(rules, NOW) for rules in (b"1", b"1", b"2")]
    assert {(LEAF, "identity")} == due(store)


JOINED = Membership(LEAF, ACCOUNT, NOW, an_id(1), "owner")
LEFT = Membership(LEAF, ACCOUNT, NOW + HOUR, an_id(2), left_at=NOW + HOUR)
SAID_AGAIN = Membership(LEAF, ACCOUNT, NOW + 1, an_id(3))
BACK = Membership(LEAF, ACCOUNT, NOW + 2 * HOUR, an_id(4))


@pytest.mark.parametrize("order", list(permutations((JOINED, LEFT, SAID_AGAIN))))
def test_a_membership_ends_whatever_the_order(store: Store, order):
    """From the first that was said to the leaving; evidence and role are those of the first."""
    for number, row in enumerate(order):
        store.events.commit([admission(f"m{number}", memberships=(row,))], [])

    with store.snapshot() as facts:
        assert [Membership(LEAF, ACCOUNT, NOW, an_id(1), "owner", NOW + HOUR)] == list(facts.memberships(leaves=[LEAF]))


@pytest.mark.parametrize("order", list(permutations((JOINED, LEFT, BACK))))
def test_who_comes_back_never_left(store: Store, order):
    """One row a leaf and account: from the first to the last."""
    for number, row in enumerate(order):
        store.events.commit([admission(f"m{number}", memberships=(row,))], [])

    with store.snapshot() as facts:
        assert [None] == [row.left_at for row in facts.memberships(accounts=[ACCOUNT])]


def test_who_leaves_without_having_joined_never_belonged(store: Store):
    """There is nothing to tell."""
    store.events.commit([admission("m1", memberships=(LEFT,))], [])

    with store.snapshot() as facts:
        assert [] == list(facts.memberships(leaves=[LEAF]))
