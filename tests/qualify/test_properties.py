"""What must hold of any history: order and batches do not show, and a naive recount agrees."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.contract.ids import event_id
from assay.contract.times import MINUTE
from assay_collector.pql.definition import Catalogue
from assay_collector.pql.ledger import Transition
from qualify.house import IDENTIFY, House, opened
from qualify.oracle import Found, Oracle
from qualify.stories import AS_IT_WAS, CATALOGUE, HISTORIES, LATER, MONOTONE, NOW, STRICTER, catalogue_of
from qualify.wire import START, Message, identify, times, track


@pytest.fixture(scope="module")
def small() -> Iterator[House]:
    with opened(CATALOGUE) as house:
        yield house


def recount(messages: Sequence[Message], now: int, catalogue: Catalogue = CATALOGUE) -> Found:
    return Oracle(messages, now, lambda who: IDENTIFY("default", *who), NOW).qualifications(catalogue.definitions)


def told_at_once(house: House, history: Sequence[Message]) -> None:
    house.clear()
    house.receive(history, now=NOW)
    house.decide(LATER)


def batches(history: Sequence[Message], random: Random) -> Iterator[list[Message]]:
    rest = list(history)
    while rest:
        size = random.randint(1, 4)
        yield rest[:size]
        rest = rest[size:]


# Prefixes of a history that are looked at; which, differs from example to example.
PREFIXES = 5


# --- the oracle -----------------------------------------------------------------------------------------------------


@given(history=HISTORIES, random=st.randoms(use_true_random=False))
def test_the_live_result_is_the_oracles_at_any_prefix(small: House, history: list[Message], random: Random):
    """Whenever it is looked, and when what was clamped to the future has come, the ledger says what a recount says."""
    small.clear()
    looks = random.sample(range(1, len(history) + 1), min(PREFIXES, len(history)))
    for index, message in enumerate(history, start=1):
        small.receive([message], now=NOW)
        if index in looks:
            small.decide(NOW)
            assert recount(history[:index], NOW) == small.standing()
    small.decide(LATER)

    assert recount(history, LATER) == small.standing()
    assert () == small.differences(LATER)


# --- order, duplicates, batches -------------------------------------------------------------------------------------


@given(history=HISTORIES, random=st.randoms(use_true_random=False))
def test_order_duplicates_and_batches_do_not_show(small: House, history: list[Message], random: Random):
    """Whatever the way in, and whenever it is decided in between, tallies and standing ledger are the same."""
    told_at_once(small, history)
    tallies, standing = small.tallies(), small.standing()
    again = random.sample(history, len(history)) + random.choices(history, k=len(history) // 2)
    small.clear()
    for batch in batches(random.sample(again, len(again)), random):
        small.receive(batch, now=NOW)
        if random.random() < 0.5:
            small.decide(NOW + random.randint(0, 1) * 3 * MINUTE)
    small.decide(LATER)

    assert recount(history, LATER) == standing
    assert tallies == small.tallies()
    assert standing == small.standing()
    assert () == small.differences(LATER)
    assert_well_formed(small.ledger())


@given(history=HISTORIES, random=st.randoms(use_true_random=False))
def test_decided_once_the_ledger_is_the_same_to_the_byte(small: House, history: list[Message], random: Random):
    """Evidence and causes included."""
    told_at_once(small, history)
    expected = small.ledger()
    small.clear()
    for batch in batches(random.sample(history, len(history)), random):
        small.receive(batch, now=NOW)
    small.decide(LATER)

    assert expected == small.ledger()


@given(history=HISTORIES)
def test_deciding_again_changes_nothing(small: House, history: list[Message]):
    """A decision made twice, by whatever cause, is one decision; nobody stays due."""
    told_at_once(small, history)
    expected = small.ledger()
    small.receive(history, now=NOW)
    small.decide(LATER)

    assert expected == small.ledger()
    assert (0, 0) == small.store.agenda.backlog(LATER + 10**12)


def assert_well_formed(ledger: Sequence[Transition]) -> None:
    """Kinds alternate, episodes do not overlap, and nothing is said twice."""
    standing: dict[tuple[str, bytes], dict[tuple[int, str], Transition]] = {}
    for row in ledger:
        standing.setdefault((row.definition, row.entity), {})[row.episode, row.step] = row
    for steps in standing.values():
        said = sorted((key, row.effective_at) for key, row in steps.items() if row.change != "retracted")
        in_order = sorted(said, key=lambda line: (line[0][0], line[0][1] != "qualified"))
        assert ["qualified", "exited"][: len(in_order)] == [step for (_, step), _ in in_order]
        assert all(before[1] < after[1] for before, after in pairwise(in_order))


# --- consent, exclusion, monotony ------------------------------------------------------------------------------------


@given(history=HISTORIES, data=st.data())
def test_an_event_without_consent_never_changes_a_tally(small: House, history: list[Message], data: st.DataObject):
    """Nor who qualifies for more: it can only take away."""
    told_at_once(small, history)
    tallies, before = small.tallies(), small.standing()
    denied = data.draw(st.sampled_from([m for m in history if m["type"] == "track"] or history))
    context = {**denied.get("context", {}), "consent": {"categoryPreferences": {"pql_scoring": False}}}
    small.receive([{**denied, "messageId": "denied", "context": context}], now=NOW)
    small.decide(LATER)

    assert tallies == small.tallies()
    lost = {name for definition, _, name in before.keys() - small.standing().keys()}
    assert lost or before.keys() <= small.standing().keys()


@given(history=HISTORIES, data=st.data())
def test_monotone_definitions_are_never_left_by_an_event(small: House, history: list[Message], data: st.DataObject):
    """Where only `at least` is asked, one more counted event never costs anybody anything."""
    told_at_once(small, history)
    before = small.since_by(MONOTONE)
    at = NOW - data.draw(st.integers(0, 60)) * MINUTE
    name = data.draw(st.sampled_from(["Made", "Shared", "Other"]))
    account = data.draw(st.sampled_from([None, "acme", "beta"]))
    small.receive([track(name, at, "ada", account=account, doc="z", size=9)], now=NOW)
    small.decide(LATER)
    after = small.since_by(MONOTONE)

    assert before.keys() <= after.keys()
    assert all(after[key] <= since for key, since in before.items())
    assert not [row for row in small.ledger() if row.definition in MONOTONE and row.step == "exited"]


@given(history=HISTORIES)
def test_a_stricter_definition_never_adds_anybody(stricter: House, history: list[Message]):
    """One more entry in `all`, a higher `at least`, one more exclusion list: whoever qualifies qualified before."""
    told_at_once(stricter, history)
    found = {definition: set(stricter.since(definition)) for definition in ("as-it-was", *STRICTER)}

    assert {name: set() for name in STRICTER} == {name: found[name] - found["as-it-was"] for name in STRICTER}


@given(history=HISTORIES, name=st.sampled_from(["ada", "bob"]))
def test_excluded_and_included_again_is_never_excluded(small: House, history: list[Message], name: str):
    """What was retracted comes back at its old instant; the ledger keeps that it was gone."""
    at = NOW - MINUTE
    told_at_once(small, [*history, identify(at + 1, name, bot=False)])
    expected = small.standing()
    small.clear()
    small.receive(history, now=NOW)
    small.decide(LATER)
    for is_bot in (True, False):
        small.receive([identify(at + (not is_bot), name, bot=is_bot)], now=NOW)
        small.decide(LATER)

    assert expected == small.standing()
    assert_well_formed(small.ledger())


@pytest.fixture(scope="module")
def stricter() -> Iterator[House]:
    with opened(catalogue_of({"as-it-was": AS_IT_WAS, **STRICTER})) as house:
        yield house


# --- identity ---------------------------------------------------------------------------------------------------------


@given(history=HISTORIES, at=st.integers(0, 3))
def test_a_merge_is_as_if_there_had_been_one_id_all_along(small: House, history: list[Message], at: int):
    """Whoever was anonymous until an identify is, after it, who they always were."""
    # Which of two ids somebody refused under does show, so nobody refuses here.
    silent = [{**m, "context": {k: v for k, v in m.get("context", {}).items() if k != "consent"}} for m in history]
    alone = [{**m, "userId": None} if m.get("anonymousId") == "v1" else m for m in silent]
    merging = {"type": "identify", "messageId": "merge", "userId": "eve", "anonymousId": "v1", "traits": {}}
    merging["timestamp"] = alone[at % len(alone)]["timestamp"]
    told_at_once(small, [*_clean(alone), merging])
    merged = small.standing()
    renamed = [{**m, "userId": "eve", "anonymousId": None} if m.get("anonymousId") == "v1" else m for m in alone]
    told_at_once(small, _clean([*renamed, {**merging, "anonymousId": None}]))

    assert small.standing() == merged


@pytest.mark.parametrize("ids", [("m1", "m2"), ("m2", "m1")])
def test_of_two_traits_at_one_instant_the_larger_event_id_holds(small: House, ids: tuple[str, str]):
    """Under whichever of a person's ids they came; in what qualifies and in exclusion lists alike."""
    said = [
        {**identify(START, anon="v1", role="admin", bot=False), "messageId": ids[0]},
        {**identify(START, "ada", role="member", bot=True), "messageId": ids[1]},
    ]
    small.clear()
    small.take_in(*said, identify(START + 1, "ada", anon="v1"), *times(2, "Made", START, "ada"))
    first_holds = event_id("app", ids[0]) > event_id("app", ids[1])

    assert ({"ada"} if first_holds else set()) == small.since("u-trait").keys()
    assert ({"ada"} if first_holds else set()) == small.since("u-two").keys()


def _clean(messages: Sequence[Message]) -> list[Message]:
    return [{key: value for key, value in message.items() if value is not None} for message in messages]
