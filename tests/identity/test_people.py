"""People are components of links with at most one user each, whatever order they came in."""

from hypothesis import given
from hypothesis import strategies as st

from assay.contract.times import DAY, HOUR
from assay_collector.identity.people import ACTIVE, Claim, Decision, People, pair_of, resolve
from builders import an_id
from identity.replay import Replay

TYPES = {
    **{an_id(number): "anonymous" for number in range(1, 6)},
    **{an_id(number): "user" for number in range(6, 11)},
    an_id(11): "device",
    an_id(12): "device",
    an_id(13): "email_hash",
}
# Ids that nobody was ever seen under: an alias only spoke of them.
UNSEEN = [an_id(14), an_id(15)]
A1, A2, A3 = an_id(1), an_id(2), an_id(3)
ANNA, BERT, CARL = an_id(6), an_id(7), an_id(8)
PHONE, EMAIL = an_id(11), an_id(13)

TWO_USERS = Decision("blocked", "two_users")

ends = st.tuples(st.sampled_from(list(TYPES)), st.sampled_from(list(TYPES)))
instants = st.integers(0, 6)


def link(one: bytes, other: bytes, at: int = 0, kind: str = "observed", **rest) -> Claim:
    return Claim(*pair_of(one, other), at, kind, **rest)


def alias(previous: bytes, name: bytes, at: int = 0, *, as_user: bytes = UNSEEN[0], authorised: bool = False) -> Claim:
    return link(previous, name, at, "alias", former=previous, as_user=as_user, authorised=authorised)


def rename(former: bytes, name: bytes, at: int = 0) -> Claim:
    return link(former, name, at, "rename", former=former)


def resolved(*claims: Claim, undone=frozenset(), component_max: int = 1_000, types=TYPES) -> People:
    return resolve(claims, types, undone=undone, component_max=component_max)


def decided(people: People) -> dict[tuple[bytes, bytes], Decision]:
    return {(key.low, key.high): decision for key, decision in people.decisions.items()}


different = ends.filter(lambda pair: pair[0] != pair[1])
claims = st.lists(
    st.one_of(
        st.builds(lambda pair, at: link(*pair, at), different, instants),
        st.builds(lambda pair, at: link(*pair, at), different, instants),
        st.builds(
            lambda pair, at, as_user, authorised: alias(*pair, at, as_user=as_user, authorised=authorised),
            different.filter(lambda pair: TYPES[pair[0]] == "anonymous"),
            instants,
            st.sampled_from([ANNA, BERT, an_id(9), *UNSEEN]),
            st.booleans(),
        ),
        st.builds(lambda pair, at: link(*pair, at, "admin"), different, instants),
        st.builds(
            lambda pair, at: rename(*pair, at),
            different.filter(lambda pair: TYPES[pair[0]] == TYPES[pair[1]] == "user"),
            instants,
        ),
    ),
    max_size=14,
)
words = st.frozensets(different.map(lambda pair: pair_of(*pair)), max_size=3)
ceilings = st.sampled_from([3, 5, 1_000])


# --- the rule and its replay ----------------------------------------------------------------------------------------


@given(claims, words, ceilings)
def test_people_are_what_the_rules_say(said, undone, component_max):
    """Against a naive reading of the rules, one after the other."""
    people = resolve(said, TYPES, undone=undone, component_max=component_max)
    replay = Replay(said, TYPES, undone, component_max)

    assert replay.person_of == people.person_of
    assert replay.shared_from == people.shared_from
    assert {claim.key: state for claim, state in replay.said.items()} == {
        key: (decision.state, decision.reason) for key, decision in people.decisions.items()
    }


@given(claims, words, ceilings, st.data())
def test_order_and_repetition_do_not_show(said, undone, component_max, data):
    """Any permutation of the same messages, with any duplicates, gives the same people and the same states."""
    later = [Claim(c.low, c.high, c.at + 1, c.kind, c.authorised, c.former, c.as_user) for c in said[:3]]
    again = data.draw(st.permutations(said + said[:5] + later))

    assert resolve(said, TYPES, undone=undone, component_max=component_max) == resolve(
        again, TYPES, undone=undone, component_max=component_max
    )


@given(claims, words)
def test_a_person_has_at_most_one_user_unless_somebody_who_may_joined_two(said, undone):
    """Without admins and authorised aliases nobody is two users."""
    people = resolve([c for c in said if c.kind == "observed" or (not c.authorised and c.kind == "alias")], TYPES)
    users = {id for id, type in TYPES.items() if type == "user"}
    members: dict[bytes, set[bytes]] = {}
    for identifier, person in people.person_of.items():
        members.setdefault(person, set()).add(identifier)

    assert all(len(person & users) <= 1 for person in members.values())


@given(claims, words)
def test_every_component_can_be_resolved_alone(said, undone):
    """A worker that reads one component of links finds the people that reading all would find."""
    whole = resolve(said, TYPES, undone=undone)
    found: dict[bytes, bytes] = {}
    decisions = {}
    left = list(said)
    while left:
        reached = {left[0].low}
        while more := {end for c in left for end in named(c) if named(c) & reached} - reached:
            reached |= more
        part = resolve([c for c in left if c.low in reached], TYPES, undone=undone)
        found |= part.person_of
        decisions |= part.decisions
        left = [c for c in left if c.low not in reached]

    assert (whole.person_of, whole.decisions) == (found, decisions)


def named(claim: Claim) -> set[bytes]:
    return {claim.low, claim.high} | ({claim.as_user} if claim.as_user else set())


@given(claims, different)
def test_undoing_a_link_that_was_just_made_is_as_if_it_had_not_been(said, pair):
    """Un-merge after merge is the identity."""
    said = [c for c in said if {c.low, c.high} != set(pair) and c.as_user is None]
    before = resolve(said, TYPES)
    after = resolve([*said, link(*pair, 9, "admin")], TYPES, undone={pair_of(*pair)})

    assert before.person_of | {id: id for id in pair if id not in before.person_of} == after.person_of
    assert before.shared_from == after.shared_from
    assert dict(before.decisions) == {key: after.decisions[key] for key in before.decisions}


@given(st.lists(st.tuples(different, instants), max_size=8), st.data())
def test_merging_is_commutative_associative_and_idempotent(pairs, data):
    """Admins may link in any order, and again."""
    said = [link(*pair, at, "admin") for pair, at in pairs]
    again = data.draw(st.permutations(said + said))

    assert resolve(said, TYPES).person_of == resolve(again, TYPES).person_of


# --- names ----------------------------------------------------------------------------------------------------------


def test_a_visitor_who_signs_up_is_the_user():
    """All devices of a user are one person, named by the user id."""
    assert {ANNA: ANNA, A1: ANNA, A2: ANNA} == resolved(link(A1, ANNA, 5), link(A2, ANNA, 3)).person_of


def test_visitors_without_a_user_are_named_by_the_smallest_anonymous_id():
    """So the name does not depend on who came first; and a device's id is no name where there is another."""
    types = {**TYPES, an_id(0): "device"}

    assert {A1: A1, A2: A1, an_id(0): A1} == resolved(link(A2, an_id(0)), link(A1, A2), types=types).person_of


def test_a_person_of_two_users_is_named_by_the_smaller():
    """Whichever was there first."""
    assert {ANNA: ANNA, BERT: ANNA} == resolved(link(BERT, ANNA, 3, "admin")).person_of


def test_a_renamed_user_goes_by_the_new_name():
    """Also when it is not the smallest; renamed there and back, by the smallest."""
    assert {ANNA: BERT, BERT: BERT} == resolved(rename(ANNA, BERT)).person_of
    assert {ANNA: ANNA, BERT: ANNA} == resolved(rename(ANNA, BERT), rename(BERT, ANNA)).person_of


def test_nobody_linked_is_nobody():
    """No claims, no people."""
    assert People({}, {}, {}) == resolved()


# --- two users ------------------------------------------------------------------------------------------------------


def test_a_shared_device_belongs_to_its_first_user_until_the_second_comes():
    """By the events' times; the later link is blocked, and both users stay who they are."""
    shared = resolved(link(A1, BERT, 9), link(A1, ANNA, 3), link(A1, CARL, 12))

    assert {ANNA: ANNA, A1: ANNA, BERT: BERT, CARL: CARL} == shared.person_of
    assert {(A1, ANNA): ACTIVE, (A1, BERT): TWO_USERS, (A1, CARL): TWO_USERS} == decided(shared)
    assert {A1: 9} == shared.shared_from


def test_an_earlier_link_that_comes_late_takes_the_device():
    """An offline batch may tell of it days afterwards."""
    late = resolved(link(A1, ANNA, 3), link(A1, BERT, 1))

    assert (BERT, {A1: 3}) == (late.person_of[A1], late.shared_from)


def test_a_tie_is_decided_by_the_smaller_ids():
    """Never by arrival."""
    assert ANNA == resolved(link(A1, BERT, 3), link(A1, ANNA, 3)).person_of[A1]


def test_two_users_are_never_joined_through_others():
    """Not over a chain of visitors either: the latest link of it is blocked, and no device is shared by that."""
    chain = resolved(link(ANNA, A1, 1), link(A1, A2, 3), link(A2, BERT, 2))

    assert {ANNA: ANNA, A1: ANNA, A2: BERT, BERT: BERT} == chain.person_of
    assert (TWO_USERS, {}) == (decided(chain)[A1, A2], chain.shared_from)


def test_the_stronger_identifier_decides_before_the_earlier():
    """A device id outlives a logout: the next user's anonymous id is the user's, though the device was seen first."""
    claims = (link(PHONE, ANNA, 1), link(PHONE, A2, 5), link(A2, BERT, 6))

    assert {PHONE: ANNA, ANNA: ANNA, A2: BERT, BERT: BERT} == resolved(*claims).person_of


def test_what_joins_a_shared_device_later_is_nobodys():
    """A visitor on the family's tablet, after a second user was seen on it."""
    shared = resolved(link(PHONE, ANNA, 1), link(PHONE, BERT, 5), link(PHONE, A1, 4), link(PHONE, A2, 5))

    assert (ANNA, A2) == (shared.person_of[A1], shared.person_of[A2])
    assert Decision("blocked", "shared_device") == decided(shared)[A2, PHONE]


def test_an_admin_may_join_two_users():
    """Then their common device is shared by nobody."""
    joined = resolved(link(A1, ANNA, 3), link(A1, BERT, 9), link(ANNA, BERT, 20, "admin"))

    assert ({ANNA}, {}) == (set(joined.person_of.values()), joined.shared_from)
    assert {ACTIVE} == set(joined.decisions.values())


def test_an_admins_word_is_stronger_than_any_observation():
    """Whoever was there first."""
    assert BERT == resolved(link(A1, ANNA, 3), link(A1, BERT, 9, "admin")).person_of[A1]


# --- aliases --------------------------------------------------------------------------------------------------------


def test_an_alias_of_a_visitor_is_an_observed_link():
    """The previous id was never a user."""
    assert {A1: ANNA, ANNA: ANNA} == resolved(alias(A1, ANNA)).person_of


def test_an_alias_between_users_is_refused():
    """It joins nobody: neither the users, nor what the name would be as a visitor."""
    refused = resolved(alias(A1, ANNA, as_user=BERT))

    assert {ANNA: ANNA, BERT: BERT} == refused.person_of
    assert {(A1, ANNA): TWO_USERS} == decided(refused)


def test_an_alias_between_users_by_a_source_that_may_is_a_rename():
    """The person goes by the new name."""
    assert {ANNA: BERT, BERT: BERT} == resolved(alias(A1, BERT, as_user=ANNA, authorised=True)).person_of


def test_an_authorised_alias_counts_beside_an_earlier_one_that_was_not():
    """Of one pair both are kept: the earliest of each authority."""
    claims = (alias(A1, ANNA, 1, as_user=BERT), alias(A1, ANNA, 5, as_user=BERT, authorised=True))

    assert {ANNA} == set(resolved(*claims).person_of.values())


def test_alias_loops_are_no_ops():
    """a -> b -> c -> a is one person, and a -> a is nothing."""
    loop = resolved(alias(A1, A2), alias(A2, A3, 1), alias(A3, A1, 2))
    itself = resolved(alias(A1, ANNA, as_user=ANNA))

    assert ({A1}, {ACTIVE}) == (set(loop.person_of.values()), set(loop.decisions.values()))
    assert ({ANNA: ANNA}, {(A1, ANNA): ACTIVE}) == (itself.person_of, decided(itself))


def test_an_authorised_alias_of_a_visitor_is_as_strong_as_any_observation():
    """A source that may merge users may not take a visitor away from the user it was first seen with."""
    taken = resolved(link(A1, ANNA, 3), alias(A1, BERT, 1, authorised=True), link(BERT, A2, 4))
    kept = resolved(link(A1, ANNA, 3), alias(A1, BERT, 9, authorised=True))

    assert (BERT, ANNA) == (taken.person_of[A1], kept.person_of[A1])
    assert {TWO_USERS, ACTIVE} == set(decided(kept).values()) | {kept.decisions[alias(A1, BERT, authorised=True).key]}


def test_an_alias_of_a_source_that_may_not_merge_renames_nobody():
    """Also where an admin has joined the two; the smaller name stays."""
    joined = resolved(alias(A1, BERT, as_user=ANNA), link(ANNA, BERT, 5, "admin"))

    assert {ANNA: ANNA, BERT: ANNA} == joined.person_of


def test_a_user_renamed_there_and_back_is_named_by_a_user():
    """All its names are former ones, and yet better than a visitor's id."""
    assert {ANNA} == set(resolved(rename(ANNA, BERT), rename(BERT, ANNA), link(A1, ANNA)).person_of.values())


def test_what_was_only_spoken_of_is_the_weakest_and_limited_as_a_visitor():
    """An alias may name somebody who was never seen: any id that was comes first."""
    spoken = resolved(link(UNSEEN[0], ANNA, 1), link(UNSEEN[0], A1, 2), link(A1, BERT, 9))
    names = [an_id(1_000 + number) for number in range(101)]
    crowded = resolved(*(link(UNSEEN[0], name) for name in names), types=dict.fromkeys(names, "anonymous"))

    assert (ANNA, BERT) == (spoken.person_of[UNSEEN[0]], spoken.person_of[A1])
    assert {Decision("blocked", "cardinality_ceiling")} == set(crowded.decisions.values())


def test_who_is_one_already_is_not_kept_apart_by_a_shared_device():
    """What an admin joined stays joined, and the observation that says the same is none the worse."""
    claims = (link(A1, ANNA, 1), link(A1, BERT, 2), link(A1, A2, 3, "admin"), link(A1, A2, 3))

    assert ACTIVE == resolved(*claims).decisions[link(A1, A2).key]


def test_a_device_is_shared_from_the_first_time_that_another_user_comes():
    """However many come after that one."""
    claims = (link(PHONE, ANNA, 1), link(PHONE, BERT, 5), link(PHONE, CARL, 9), link(PHONE, A2, 6), link(PHONE, A1, 4))
    shared = resolved(*claims)

    assert (ANNA, A2) == (shared.person_of[A1], shared.person_of[A2])


# --- ceilings -------------------------------------------------------------------------------------------------------


def crowd(count: int, every: int) -> tuple[list[Claim], dict[bytes, str]]:
    users = [an_id(1_000 + number) for number in range(count)]
    return [link(A1, user, n * every) for n, user in enumerate(users)], {
        A1: "anonymous",
        **dict.fromkeys(users, "user"),
    }


def test_an_anonymous_id_with_thousands_of_users_is_nobodys():
    """A load test: the id is frozen, all its links are quarantined, and every user stays alone."""
    claims, types = crowd(2_000, 1)
    people = resolved(*claims, types=types)

    assert {Decision("blocked", "cardinality_ceiling")} == set(people.decisions.values())
    assert {id: id for id in types} == people.person_of


def test_a_ceiling_is_over_a_window():
    """A till in a shop sees as many, but over months: its first user's it is, and shared afterwards."""
    claims, types = crowd(200, 20 * HOUR)
    people = resolved(*claims, types=types)

    assert (an_id(1_000), {A1: 20 * HOUR}) == (people.person_of[A1], people.shared_from)


def test_exactly_the_ceiling_is_allowed():
    """And one more is not; one that comes a day later is."""
    claims, types = crowd(100, 1)
    one_more = Claim(*pair_of(A1, CARL), DAY - 1)
    a_day_later = Claim(*pair_of(A1, CARL), DAY)

    assert an_id(1_000) == resolved(*claims, types=types).person_of[A1]
    assert A1 == resolved(*claims, one_more, types={**types, CARL: "user"}).person_of[A1]
    assert an_id(1_000) == resolved(*claims, a_day_later, types={**types, CARL: "user"}).person_of[A1]


def test_a_user_may_have_ten_times_as_many_ids_as_a_visitor():
    """Who works for years on many machines; and a name that is only its own is never too much."""
    visitors = [an_id(1_000 + number) for number in range(1_001)]
    types = {ANNA: "user", **dict.fromkeys(visitors, "anonymous")}
    full = resolved(*(link(ANNA, each) for each in visitors[1:]), types=types, component_max=2_000)
    itself = alias(A1, ANNA, as_user=ANNA)
    crowded = resolved(*(link(ANNA, each) for each in visitors), itself, types={A1: "anonymous", **types})

    assert {ANNA} == set(full.person_of.values())
    assert [ACTIVE] == [decision for decision in crowded.decisions.values() if decision.state != "blocked"]
    assert ACTIVE == crowded.decisions[itself.key]


def test_the_window_of_a_ceiling_is_any_day_there_was():
    """Whatever came long before the crowd, and in whatever order of strength the links are looked at."""
    claims, types = crowd(101, 1)
    early = [Claim(*pair_of(A1, CARL), -90 * DAY)]
    devices = [an_id(3_000 + number) for number in range(60)]
    users = list(types)[1:61]
    apart = [*(link(A1, each, 0) for each in devices), *(link(A1, each, 9 * DAY) for each in users)]
    kinds = {A1: "anonymous", **dict.fromkeys(devices, "device"), **dict.fromkeys(users, "user")}

    assert A1 == resolved(*claims, *early, types={**types, CARL: "user"}).person_of[A1]
    assert users[0] == resolved(*apart, types=kinds).person_of[A1]


def test_a_person_has_a_limited_number_of_identifiers():
    """The links past it are blocked, the earliest stand."""
    full = resolved(*(link(ANNA, visitor, at) for at, visitor in enumerate((A1, A2, A3))), component_max=3)

    assert {ANNA: ANNA, A1: ANNA, A2: ANNA, A3: A3} == full.person_of
    assert Decision("blocked", "component_ceiling") == decided(full)[A3, ANNA]


# --- undoing --------------------------------------------------------------------------------------------------------


def test_an_undone_link_joins_nobody_and_shares_nothing():
    """The device falls to whoever is left."""
    people = resolved(link(A1, ANNA, 3), link(A1, BERT, 9), undone={(A1, ANNA)})

    assert {A1: BERT, BERT: BERT, ANNA: ANNA} == people.person_of
    assert (Decision("undone", "undone"), {}) == (decided(people)[A1, ANNA], people.shared_from)
