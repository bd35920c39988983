"""People are components of links with at most one user each, whatever order they came in."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from assay_collector.identity.people import BLOCKED_TWO_USERS, Pair, People, resolve
from builders import an_id

USERS = frozenset(an_id(number) for number in (1, 4, 7, 12))
ANNA, BERT, A1, A2 = an_id(1), an_id(4), an_id(2), an_id(3)

ids = st.integers(0, 13).map(an_id)
pairs = st.lists(
    st.builds(
        lambda ends, at: Pair(min(ends), max(ends), at),
        st.tuples(ids, ids).filter(lambda ends: ends[0] != ends[1]),
        st.integers(0, 5),
    ),
    max_size=12,
)


def link(one: bytes, other: bytes, at: int = 0) -> Pair:
    return Pair(min(one, other), max(one, other), at)


def resolved(*links: Pair) -> People:
    return resolve(links, USERS)


def naive(links: Iterable[Pair]) -> tuple[dict[bytes, bytes], set[tuple[bytes, bytes]]]:
    """The oracle: sets that are merged one pair after the other, looked through from the start each time."""
    people: list[set[bytes]] = []
    blocked: set[tuple[bytes, bytes]] = set()
    for pair in sorted(links, key=lambda pair: (pair.at, pair.low, pair.high)):
        touched = [person for person in people if pair.low in person or pair.high in person]
        for end in (pair.low, pair.high):
            if not any(end in person for person in touched):
                touched.append({end})
                people.append(touched[-1])
        merged = set().union(*touched)
        if len(touched) == 2 and len(merged & USERS) == 2:
            blocked.add((pair.low, pair.high))
        else:
            people = [person for person in people if person not in touched] + [merged]
    named = {member: min(person & USERS or person) for person in people for member in person}
    return named, blocked


def test_a_visitor_who_signs_up_is_the_user():
    """All devices of a user are one person, named by the user id."""
    assert {ANNA: ANNA, A1: ANNA, A2: ANNA} == resolved(link(A1, ANNA, 5), link(A2, ANNA, 3)).person_of


def test_visitors_without_a_user_are_named_by_the_smallest():
    """So the name does not depend on who came first."""
    assert {A1: A1, A2: A1, an_id(5): A1} == resolved(link(A2, an_id(5)), link(A1, A2)).person_of


def test_a_shared_device_belongs_to_its_first_user():
    """By the events' times; the later link is blocked, and both users stay who they are."""
    shared = resolved(link(A1, BERT, 9), link(A1, ANNA, 3))

    assert {ANNA: ANNA, A1: ANNA, BERT: BERT} == shared.person_of
    assert {(A1, BERT): BLOCKED_TWO_USERS} == shared.blocked


def test_an_earlier_link_that_comes_late_takes_the_device():
    """An offline batch may tell of it days afterwards."""
    assert BERT == resolved(link(A1, ANNA, 3), link(A1, BERT, 1)).person_of[A1]


def test_a_tie_is_decided_by_the_smaller_ids():
    """Never by arrival."""
    assert ANNA == resolved(link(A1, BERT, 3), link(A1, ANNA, 3)).person_of[A1]


def test_two_users_are_never_joined_through_others():
    """Not over a chain of visitors either: the latest link of it is blocked."""
    chain = resolved(link(ANNA, A1, 1), link(A1, A2, 3), link(A2, BERT, 2))

    assert {ANNA: ANNA, A1: ANNA, A2: BERT, BERT: BERT} == chain.person_of
    assert {(A1, A2): BLOCKED_TWO_USERS} == chain.blocked


def test_a_loop_is_no_conflict():
    """A link within a person changes nothing."""
    loop = resolved(link(ANNA, A1), link(A1, A2), link(A2, ANNA))

    assert ({ANNA}, {}) == (set(loop.person_of.values()), loop.blocked)


def test_nobody_linked_is_nobody():
    """No pairs, no people."""
    assert ({}, {}) == (resolved().person_of, resolved().blocked)


@given(pairs)
def test_people_are_what_the_rule_says(links):
    """Against a naive merging of sets."""
    people = resolve(links, USERS)

    assert naive(links) == (people.person_of, set(people.blocked))


@given(pairs, st.data())
def test_order_and_repetition_do_not_show(links, data):
    """Any permutation of the same messages, with any duplicates, gives the same people."""
    repeated = data.draw(st.permutations(links + links[:5]))

    assert resolve(links, USERS) == resolve(repeated, USERS)


@given(pairs)
def test_a_person_has_at_most_one_user(links):
    """And is named by it; a person without one by its smallest identifier."""
    people = resolve(links, USERS)
    members: dict[bytes, set[bytes]] = {}
    for identifier, person in people.person_of.items():
        members.setdefault(person, set()).add(identifier)

    assert all(len(person & USERS) <= 1 for person in members.values())
    assert all(name == min(person & USERS or person) for name, person in members.items())


@given(pairs)
def test_every_component_can_be_resolved_alone(links):
    """A worker that reads one component of links finds the people that reading all would find."""
    whole = resolve(links, USERS)
    people: dict[bytes, bytes] = {}
    blocked: dict[tuple[bytes, bytes], str] = {}
    left = list(links)
    while left:
        reached = {left[0].low}
        while found := {end for p in left for end in (p.low, p.high) if {p.low, p.high} & reached} - reached:
            reached |= found
        part = resolve([pair for pair in left if pair.low in reached], USERS)
        people |= part.person_of
        blocked |= part.blocked
        left = [pair for pair in left if pair.low not in reached]

    assert (whole.person_of, whole.blocked) == (people, blocked)


@given(pairs)
def test_blocked_links_could_be_left_out(links):
    """What was refused has no influence: the people are those of the active links, and of whoever stood alone."""
    whole = resolve(links, USERS)
    active = [pair for pair in links if (pair.low, pair.high) not in whole.blocked]
    without = resolve(active, USERS)

    assert ({}, {id: without.person_of.get(id, id) for id in whole.person_of}) == (without.blocked, whole.person_of)
