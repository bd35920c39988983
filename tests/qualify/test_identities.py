"""Who is who, live: random histories of messages, aliases and words equal a naive replay; and each failure seen."""

from collections.abc import Iterator, Sequence
from itertools import count
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.contract.times import DAY, HOUR, MINUTE, format_instant
from assay_collector.identity.people import pair_of
from assay_collector.pql.language import read_definitions
from assay_collector.qualify.identity_desk import IdentityDesk, NothingToUndo, Undo, Who
from assay_collector.store import IdentityAct, Source
from qualify.house import IDENTIFY, House, opened
from qualify.retelling import Retelling
from qualify.wire import NOW, START, Message, group, identify, track

MERGING = Source(id="merging", name="merging", allow_user_merge=True)
FEWER = settings(max_examples=settings.default.max_examples // 2)

BODIES = {
    "two": ("user", "signals: {made: {count: Made}}\nqualify: {made: at least 2}"),
    "role": ("user", "qualify: {user.role: admin}"),
    "three": ("account", "signals: {made: {count: Made}}\nqualify: {made: at least 3}"),
}
HEAD = """
pql: {{id: {id}, version: 1, entity: {entity}, stage: activation, owner: growth}}
why: Because.
predicts: {{event: Subscription Started, within: 30 days}}
{body}
lifecycle: {{requalify: {{after: 0 days}}}}
"""
CATALOGUE = read_definitions(
    {
        "project.yaml": "project: identities\n",
        **{f"{id}.yaml": HEAD.format(id=id, entity=entity, body=body) for id, (entity, body) in BODIES.items()},
    }
)

USERS, VISITORS, ACCOUNTS = ("ada", "bob", "cy"), ("v1", "v2", "v3"), ("acme", "globex")


def alias(previous: str, at: int, user: str) -> Message:
    return {
        "type": "alias",
        "messageId": f"alias-{previous}-{user}-{at}",
        "timestamp": format_instant(at),
        "userId": user,
        "previousId": previous,
    }


def word(action: str, one: bytes, other: bytes, at: int = NOW, number: int = 1, *, former: bytes = b"") -> IdentityAct:
    return IdentityAct(number.to_bytes(16, "big"), at, "grace", action, (pair_of(one, other),), "", former)  # type: ignore[arg-type]


def user(name: str) -> bytes:
    return IDENTIFY("default", "user", name)


def visitor(name: str) -> bytes:
    return IDENTIFY("default", "anonymous", name)


# --- random histories -----------------------------------------------------------------------------------------------

instants = st.integers(0, 12).map(lambda step: START + step * 20 * MINUTE)
whos = st.one_of(
    st.tuples(st.sampled_from(USERS), st.none()),
    st.tuples(st.none(), st.sampled_from(VISITORS)),
    st.tuples(st.sampled_from(USERS), st.sampled_from(VISITORS)),
)
accounts = st.sampled_from([None, None, *ACCOUNTS])
message_parts = st.one_of(
    st.builds(lambda who, at, account: ("track", who, at, account), whos, instants, accounts),
    st.builds(lambda who, at, account: ("track", who, at, account), whos, instants, accounts),
    st.builds(lambda who, at: ("identify", who, at, None), whos, instants),
    st.builds(lambda who, at, role: ("identify", who, at, role), whos, instants, st.just("admin")),
    st.builds(
        lambda who, at, account, left: ("group", who, at, (account, left)),
        whos,
        instants,
        st.sampled_from(ACCOUNTS),
        st.sampled_from([False, False, True]),
    ),
    st.builds(
        lambda previous, at, name: ("alias", previous, at, name),
        st.sampled_from([*USERS, *VISITORS]),
        instants,
        st.sampled_from(USERS),
    ),
)


def messages_of(parts: Sequence[Any]) -> list[Message]:
    found: list[Message] = []
    for index, (kind, who, at, more) in enumerate(parts):
        if kind == "alias":
            message = alias(who, at, more)
        else:
            name, anon = who
            if kind == "track":
                message = track("Made", at, name, anon=anon, account=more)
            elif kind == "identify":
                message = identify(at, name, anon=anon, **({} if more is None else {"role": more}))
            else:
                message = group(more[0], at, name, anon=anon, **({"left": True} if more[1] else {}))
        found.append({**message, "messageId": f"m{index}"})
    return found


ids = st.sampled_from([*(user(name) for name in USERS), *(visitor(name) for name in VISITORS)])
words = st.lists(
    st.tuples(st.sampled_from(["link", "undo", "undo", "rename"]), ids, ids, st.integers(0, 5)), max_size=4
)


def acts_of(parts: Sequence[Any]) -> list[IdentityAct]:
    users = {user(name) for name in USERS}
    found: list[IdentityAct] = []
    for number, (action, one, other, step) in enumerate(parts, start=1):
        if one == other:
            continue
        action = "link" if action == "rename" and not {one, other} <= users else action
        former = one if action == "rename" else b""
        found.append(word(action, one, other, NOW + step, number, former=former))
    return found


@pytest.fixture(scope="module")
def small() -> Iterator[House]:
    with opened(CATALOGUE) as house:
        house.store.keyring.put_source(MERGING, NOW)
        yield house


@pytest.fixture
def house(small: House) -> House:
    small.clear()
    return small


def live(house: House, steps: Sequence[Any], merging: frozenset[str], random: Random) -> None:
    for step in steps:
        if isinstance(step, IdentityAct):
            house.store.agenda.act(step, NOW)
        elif step["messageId"] in merging:
            house.receive([step], source=MERGING)
        else:
            house.receive([step])
        if random.random() < 0.4:
            house.decide(NOW + HOUR)
    house.decide(NOW + HOUR)


@FEWER
@given(
    parts=st.lists(message_parts, max_size=12),
    said=words,
    merging=st.frozensets(st.integers(0, 12).map("m{}".format), max_size=3),
    random=st.randoms(use_true_random=False),
)
def test_any_history_in_any_order_is_what_a_naive_replay_says(small: House, parts, said, merging, random: Random):
    """Messages, aliases, links and undos, permuted and repeated, decided now and then: people, states, leads."""
    small.clear()
    messages, acts = messages_of(parts), acts_of(said)
    known = {id for m in messages for id in named(m)}
    acts = [act for act in acts if {end for pair in act.pairs for end in pair} <= known]
    steps = [*messages, *acts]
    again = random.choices(steps, k=len(steps) // 2) if steps else []
    live(small, random.sample(steps, len(steps)) + again, merging, random)
    truth = Retelling(messages, acts, merging)

    assert truth.standing() == small.standing()
    with small.store.snapshot() as facts:
        everybody = sorted(truth.replay.person_of)
        assert truth.replay.person_of == facts.people(everybody)
        assert truth.replay.shared_from == facts.shared_from(everybody)
        assert {claim.key: state for claim, state in truth.replay.said.items()} == {
            row.claim.key: (row.state, row.reason) for row in facts.links_of(everybody)
        }
    assert () == small.differences(NOW + HOUR)


def named(message: Message) -> set[bytes]:
    found = {user(message["userId"])} if message.get("userId") else set()
    found |= {visitor(message["anonymousId"])} if message.get("anonymousId") else set()
    return found | ({visitor(message["previousId"])} if message.get("previousId") else set())


@FEWER
@given(parts=st.lists(message_parts, max_size=10), one=ids, other=ids)
def test_undoing_what_was_just_linked_restores_every_verdict(small: House, parts, one, other):
    """Un-merge after merge is the identity, live."""
    small.clear()
    messages = messages_of(parts)
    small.receive(messages)
    small.decide(NOW)
    before, tallies = small.standing(), small.tallies()
    known = {id for m in messages for id in named(m)}
    if one == other or not {one, other} <= known or linked(small, one, other):
        return
    small.store.agenda.act(word("link", one, other, NOW, 1), NOW)
    small.decide(NOW + 1)
    small.store.agenda.act(word("undo", one, other, NOW + 1, 2), NOW + 1)
    small.decide(NOW + 2)

    assert before == small.standing()
    assert tallies == small.tallies()
    assert () == small.differences(NOW + 2)


def linked(house: House, one: bytes, other: bytes) -> bool:
    with house.store.snapshot() as facts:
        return any({row.low, row.high, row.as_user} >= {one, other} for row in facts.links_of([one]))


@FEWER
@given(parts=st.lists(message_parts, max_size=10), random=st.randoms(use_true_random=False))
def test_moving_an_event_between_leaves_of_one_person_changes_nothing(small: House, parts, random: Random):
    """For the person: whether the visitor or the user did it, as long as the device is nobody else's."""
    messages = [
        {**m, "userId": "ada", "anonymousId": "v1"} if m.get("anonymousId") == "v1" else m
        for m in messages_of(parts)
        if m["type"] != "alias" and m.get("userId") != "ada"
    ]
    messages.append({**identify(START - DAY, "ada", anon="v1"), "messageId": "first"})
    small.clear()
    small.receive(messages)
    small.decide(NOW)
    before = small.standing()
    moved = [
        {key: value for key, value in m.items() if key != "userId"}
        if m.get("userId") == "ada" and m["messageId"] != "first" and random.random() < 0.5
        else m
        for m in messages
    ]
    small.clear()
    small.receive(moved)
    small.decide(NOW)

    assert before == small.standing()


# --- what was seen in the field ---------------------------------------------------------------------------------------


ACTS = count(1_000)


def desk(house: House, now: int = NOW) -> IdentityDesk:
    return IdentityDesk(
        house.store, lambda: CATALOGUE, IDENTIFY, clock=lambda: now, new_id=lambda: next(ACTS).to_bytes(16, "big")
    )


def causes(house: House) -> set[tuple[str, str, str]]:
    return {(house.name(row.entity), row.change, row.cause) for row in house.ledger()}


def test_a_device_that_is_passed_on_is_nobodys_afterwards(house: House):
    """A logs out without reset, B logs in: the past is A's only, what is then done unnamed is nobody's."""
    house.take_in(
        track("Made", START, anon="v1"),
        track("Made", START + 1, "ada", anon="v1"),
        track("Made", START + HOUR, "bob", anon="v1"),
        track("Made", START + HOUR, anon="v1"),
        track("Made", START + 2 * HOUR, anon="v1"),
    )

    assert {"ada": START + 1} == house.since("two")


def test_what_a_shared_devices_visitor_did_just_before_is_the_first_users(house: House):
    """The division is within an hour: the hour is read again."""
    house.take_in(
        identify(START, "ada", anon="v1"),
        track("Made", START + 1, anon="v1"),
        track("Made", START + 2, anon="v1"),
        identify(START + 3, "bob", anon="v1"),
        track("Made", START + 4, anon="v1"),
    )

    assert {"ada": START + 2} == house.since("two")


def test_a_second_user_takes_back_what_was_counted(house: House):
    """The verdict is restated, and the ledger says why: identifiers went apart."""
    house.take_in(
        identify(START, "ada", anon="v1"), track("Made", START, "ada"), track("Made", START + HOUR, anon="v1")
    )
    assert {"ada"} == set(house.since("two"))
    house.take_in(identify(START + MINUTE, "bob", anon="v1"))

    assert {} == house.since("two")
    assert ("ada", "retracted", "unmerge") in causes(house)


def test_signing_up_brings_the_past_along(house: House):
    """A merge, and the ledger says so."""
    house.take_in(track("Made", START, anon="v1"), track("Made", START + 1, anon="v1"))
    house.take_in(identify(START + HOUR, "ada", anon="v1"))

    assert {("v1", "new", "event"), ("v1", "retracted", "merge"), ("ada", "new", "merge")} >= {
        row for row in causes(house) if row[2] != "late"
    }
    assert {"ada": START + 1} == house.since("two")


@pytest.mark.parametrize(
    "value", ["null", "0", "undefined", "None", " NaN ", "test@example.org", "0" * 8 + "-0000" * 3 + "-" + "0" * 12]
)
def test_a_placeholder_joins_nobody(house: House, value: str):
    """The event is kept, under the id that means somebody; the link is refused and counted."""
    house.take_in(track("Made", START, value, anon="v1"), track("Made", START + 1, value, anon="v2"))

    assert 2 == house.store.events.counts().stored
    assert {"placeholder": 2} == desk(house).counts()
    with house.store.snapshot() as facts:
        assert {} == facts.people([visitor("v1"), visitor("v2")])


def test_a_load_test_joins_nobody(house: House):
    """One anonymous id with hundreds of users: frozen, and its links quarantined."""
    house.receive([track("Made", START + n, f"u{n}", anon="v1") for n in range(300)])
    house.decide(NOW)

    assert {"cardinality_ceiling": 300} == desk(house).counts()
    assert {} == house.since("two")
    assert () == house.differences()


def test_an_alias_loop_is_one_person(house: House):
    """a -> b -> c -> a."""
    house.receive([alias("ada", START, "bob"), alias("bob", START, "cy"), alias("cy", START, "ada")], source=MERGING)
    house.take_in(track("Made", START, "ada"), track("Made", START, "cy"))

    assert 1 == len(house.since("two"))


def test_an_alias_between_users_waits_for_somebody_who_may(house: House):
    """Refused and shown; an admin's word joins them."""
    house.take_in(track("Made", START, "ada"), track("Made", START + 1, "bob"), alias("ada", START + 2, "bob"))
    assert ({}, {"two_users": 1}) == (house.since("two"), desk(house).counts())
    desk(house).link(Who(value="ada"), Who(value="bob"), actor="grace")
    house.decide(NOW)

    assert {START + 1} == set(house.since("two").values())


def test_a_previous_id_that_turns_out_to_be_a_users_joins_nobody(house: House):
    """The alias came first; then a message by which its previous id is a user."""
    house.take_in(alias("ada", START, "bob"), track("Made", START + 1, "bob"), track("Made", START, anon="ada"))
    assert {"bob"} == set(house.since("two"))
    house.take_in(identify(START - DAY, "ada"))

    assert {} == house.since("two")
    assert () == house.differences()


def test_the_same_id_in_two_namespaces_is_two(house: House):
    """Tenants do not mix."""
    other = Source(id="other", name="other", namespace="other")
    house.store.keyring.put_source(other, NOW)
    house.receive([track("Made", START, "ada")])
    house.receive([track("Made", START, "ada")], source=other)
    house.decide(NOW)

    assert {} == house.since("two")


def test_a_component_has_a_ceiling(house: House):
    """What would make a larger person is blocked and counted, never silently dropped."""
    house.receive([identify(START + n * 2 * HOUR, "ada", anon=f"v{n}") for n in range(1_005)])
    house.decide(NOW + 200 * DAY)

    assert {"component_ceiling": 6} == desk(house).counts()


def test_who_leaves_an_account_takes_later_events_along(house: House):
    """Events stay with the account in which they happened."""
    house.take_in(
        group("acme", START, "ada"),
        *(track("Made", START + n, "ada") for n in (1, 2)),
        group("acme", START + HOUR, "ada", left=True),
        track("Made", START + 2 * HOUR, "ada"),
    )
    assert {} == house.since("three")
    house.take_in(group("acme", START + 3 * HOUR, "ada"))

    assert {"acme": START + 2 * HOUR} == house.since("three")
    assert () == house.differences()


# --- undoing ----------------------------------------------------------------------------------------------------------


def merged(house: House) -> House:
    return house.take_in(
        track("Made", START, anon="v1"),
        track("Made", START + 1, anon="v2", account="acme"),
        track("Made", START + 2, "ada", account="acme"),
        {**identify(START + 3, "ada", anon="v1"), "messageId": "first"},
        {**identify(START + 4, "ada", anon="v2"), "messageId": "second"},
        group("acme", START + 5, "ada"),
    )


def test_a_dry_run_says_what_an_undo_would_do_and_does_nothing(house: House):
    """In the words of the person who has to decide; by the evaluator that decides."""
    merged(house)
    before = house.ledger()
    told = desk(house).undo(Undo(everything_of=Who(value="ada")), actor="grace", dry_run=True)
    house.decide(NOW)

    assert before == house.ledger()
    assert [
        "splits 1 person into 3",
        "2 events change hands",
        "user ada loses its PQL (two)",
        "account acme loses its PQL (three)",
    ] == told["words"]


def test_an_undo_does_what_its_dry_run_said(house: House):
    """Verdicts are restated, with the cause."""
    merged(house)
    assert {"ada", "acme"} == {name for kind in ("two", "three") for name in house.since(kind)}
    done = desk(house).undo(Undo(everything_of=Who(value="ada")), actor="grace", note="ticket 4711")
    house.decide(NOW)

    assert done["done"]
    assert ({}, {}) == (house.since("two"), house.since("three"))
    assert {("ada", "retracted", "unmerge"), ("acme", "retracted", "unmerge")} <= causes(house)
    assert () == house.differences()


def test_an_undone_link_stays_undone_when_it_is_observed_again(house: House):
    """Before or after: an admin's word is stronger, and how often it was said again is counted."""
    merged(house)
    desk(house).undo(Undo(pair=(Who(value="ada"), Who(value="v1"))), actor="grace")
    house.decide(NOW)
    house.take_in(identify(START - DAY, "ada", anon="v1"), identify(NOW, "ada", anon="v1"))

    (refused,) = desk(house).show(Who(value="v1"))["refused"]
    assert ("undone", 2) == (refused["state"], refused["again"])
    assert {"undone": 1, "observed_after_undo": 2} == desk(house).counts()


def test_what_was_undone_can_be_linked_anew(house: House):
    """The last word counts."""
    merged(house)
    before = house.standing()
    desk(house).undo(Undo(message=("app", "first")), actor="grace")
    house.decide(NOW)
    desk(house, NOW + 1).link(Who(value="ada"), Who(value="v1"), actor="grace")
    house.decide(NOW + 1)

    assert before == house.standing()


def test_nothing_is_undone_twice(house: House):
    """Whoever asks for it learns that nothing stands."""
    merged(house)
    what = Undo(pair=(Who(value="ada"), Who(value="v1")))
    desk(house).undo(what, actor="grace")
    house.decide(NOW)

    with pytest.raises(NothingToUndo, match="'ada' and 'v1'"):
        desk(house).undo(what, actor="grace")


def test_a_renamed_user_is_one_person_under_the_new_name(house: House):
    """Both names still find it."""
    house.take_in(track("Made", START, "ada"), track("Made", START + 1, "bob"))
    for former, name in (("ada", "bob"), ("bob", "ada")):
        house.clear()
        house.take_in(track("Made", START, "ada"), track("Made", START + 1, "bob"))
        desk(house).link(Who(value=former), Who(value=name), actor="grace", is_rename=True)
        house.decide(NOW)

        assert {name: START + 1} == house.since("two")
        assert desk(house).show(Who(value="ada"))["person"] == desk(house).show(Who(value="bob"))["person"]
        (entity,) = house.reader().qualifications("user", former)["entities"]
        assert name == entity["id"]


# --- telling ----------------------------------------------------------------------------------------------------------


def test_why_two_ids_are_one_person_is_told_in_one_call(house: House):
    """Which message, when, by which rule."""
    merged(house)

    assert [
        "anonymous v1 and anonymous v2 are one person",
        "on 2026-03-02T09:00:00.000003Z the identify message 'first' of source 'app' said: user ada and anonymous v1"
        " are one person",
        "on 2026-03-02T09:00:00.000004Z the identify message 'second' of source 'app' said: user ada and anonymous v2"
        " are one person",
    ] == [ordered(line) for line in desk(house).why(Who(value="v1"), Who(value="v2"))["words"]]


def ordered(line: str) -> str:
    """Ids are told in the order of their hashes."""
    for name in ("v1", "v2"):
        line = line.replace(f"anonymous {name} and user ada", f"user ada and anonymous {name}")
    return line


def test_why_two_ids_are_two_is_told_too(house: House):
    """What was refused, and why."""
    house.take_in(identify(START, "ada", anon="v1"), {**identify(START + 1, "bob", anon="v1"), "messageId": "late"})
    told = desk(house).why(Who(value="v1"), Who(value="bob"))

    assert (False, ["two_users"]) == (told["onePerson"], [row["reason"] for row in told["refused"]])
    assert "'late' of source 'app'" in told["words"][1]


def test_a_person_is_shown_with_where_each_trait_comes_from(house: House):
    """The last write by event time, and as of any moment."""
    house.take_in(
        {**identify(START, "ada", role="user"), "messageId": "t1"},
        {**identify(START + DAY, "ada", role="admin"), "messageId": "t2"},
    )
    now, then = (desk(house).show(Who(value="ada"), at)["traits"] for at in (None, START + HOUR))

    assert [("admin", "app", "t2", 2)] == [(t["value"], t["source"], t["messageId"], t["changes"]) for t in now]
    assert [("user", "t1")] == [(t["value"], t["messageId"]) for t in then]


def test_ambiguity_is_reported(house: House):
    """Events that could belong to two accounts belong to neither, and are counted."""
    house.take_in(group("acme", START, "ada"), group("globex", START + HOUR, "ada"), track("Made", START + DAY, "ada"))
    accounts = desk(house).show(Who(value="ada"))["accounts"]

    # The second group message names its account itself.
    assert (1, ["acme", "globex"]) == (accounts["ambiguousEvents"], [m["account"] for m in accounts["memberships"]])
    assert [format_instant(START + HOUR)] == [span["from"] for span in accounts["ambiguous"]]
