"""Verdicts: at and around every threshold and window edge."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.contract.times import DAY, HOUR, MINUTE
from assay_collector.pql.decision import EntityFacts, Judge, Moment, Verdict, at_least, decide
from assay_collector.pql.definition import Definition
from pql.facts import AFTER, START, Raw, definition, facts_of

THREE = definition("signals: {tasks: {count: Task Added}}\nqualify: {tasks: at least 3}")
PEOPLE = definition("signals: {people: {distinct: Invited, of: invitee}}\nqualify: {people: at least 2}")
TRIAL = definition("window: 48h of Trial Started\nsignals: {tasks: {count: Task Added}}\nqualify: {tasks: at least 1}")
GATED = definition("signals: {tasks: {count: Task Added}}\nqualify: {tasks: at least 1}\neligible: {user.plan: trial}")
ROLE = definition("signals: {tasks: {count: Task Added}}\nqualify: {tasks: at least 1, user.role: [admin, owner]}")
END = START + 48 * HOUR


def moments(definition: Definition, facts: EntityFacts, as_of: int = AFTER) -> list[tuple[str, int]]:
    return [(moment.step, moment.at) for moment in decide(definition, facts, as_of).moments]


def tasks(*instants: int) -> list[tuple[int, str]]:
    return [(at, "Task Added") for at in instants]


@pytest.mark.parametrize(
    ("count", "expected"),
    [(2, []), (3, [("qualified", START + 2)]), (4, [("qualified", START + 2)])],
)
def test_exactly_the_threshold_qualifies_and_one_less_does_not(count: int, expected: list[tuple[str, int]]):
    """And it does so at the event that reached it, however many follow."""
    assert expected == moments(THREE, facts_of(THREE, tasks(*range(START, START + count))))


def test_distinct_counts_a_value_once():
    """The second invite of the same person changes nothing; another person's does."""
    invites: Raw = [(START, "Invited", "ada"), (START + 1, "Invited", "ada"), (START + 2, "Invited", "bob")]

    assert [] == moments(PEOPLE, facts_of(PEOPLE, invites[:2]))
    assert [("qualified", START + 2)] == moments(PEOPLE, facts_of(PEOPLE, invites))


@pytest.mark.parametrize(
    ("at", "qualifies"),
    [
        pytest.param(START - 1, False, id="just before the window"),
        pytest.param(START, True, id="at its start"),
        pytest.param(END - 1, True, id="just before its end"),
        pytest.param(END, False, id="at its end"),
    ],
)
def test_an_anchored_window_is_half_open(at: int, qualifies: bool):
    """The instant of its start is in, the instant of its end is out."""
    expected = [("qualified", at)] if qualifies else []

    assert expected == moments(TRIAL, facts_of(TRIAL, [(START, "Trial Started"), *tasks(at)]))


def test_a_later_anchor_opens_no_other_window():
    """Only the first one counts."""
    raw = [(START, "Trial Started"), (END, "Trial Started"), *tasks(END + HOUR)]

    assert [] == moments(TRIAL, facts_of(TRIAL, raw))


def test_a_late_earlier_anchor_moves_the_window():
    """What lay in the window before lies behind its end now, and the other way round."""
    raw = [(START + DAY, "Trial Started"), *tasks(START + HOUR, START + 60 * HOUR)]

    assert [("qualified", START + 60 * HOUR)] == moments(TRIAL, facts_of(TRIAL, raw))
    assert [("qualified", START + HOUR)] == moments(TRIAL, facts_of(TRIAL, [*raw, (START, "Trial Started")]))


def test_before_its_anchor_a_signal_is_unknown():
    """Not zero: nobody knows yet when the window will be."""
    never = definition(
        "window: 48h of Trial Started\nsignals: {tasks: {count: Task Added}, runs: {count: Run, within: ever}}\n"
        "qualify: {runs: at least 1, not: {tasks: at least 1}}"
    )
    raw: Raw = [(START, "Run")]

    assert [] == moments(never, facts_of(never, raw))
    assert [("qualified", START + 5)] == moments(never, facts_of(never, [*raw, (START + 5, "Trial Started")]))


def test_a_window_shorter_than_an_hour_holds_neither_neighbour():
    """Two events of one hour, one before and one after the window, are none within it."""
    short = definition("window: 30m of Trial Started\nsignals: {runs: {count: Run}}\nqualify: {runs: 0}")
    raw = [(START + 10 * MINUTE, "Run"), (START + 20 * MINUTE, "Trial Started"), (START + 55 * MINUTE, "Run")]
    (use,) = short.uses

    assert 0 == Judge(short, facts_of(short, raw)).value_at(use, START + 55 * MINUTE)
    assert [("qualified", START + 20 * MINUTE)] == moments(short, facts_of(short, raw))


# --- three-valued logic ---


@given(st.lists(st.sampled_from([True, False, None]), max_size=5), st.integers(1, 6))
def test_unknown_is_unknown_only_while_it_could_decide(values: list[bool | None], need: int):
    """ "At least n of these" over every way in which the unknown ones could turn out."""
    ways = [
        [next(turned) if value is None else value for value in values]
        for turned in map(iter, product([True, False], repeat=values.count(None)))
    ]
    outcomes = {sum(way) >= need for way in ways}

    assert (outcomes.pop() if len(outcomes) == 1 else None) == at_least(need, values)


@given(st.integers(1, 100), st.integers(1, 7), st.integers(0, 7))
def test_a_share_is_rounded_up(percent: int, of: int, satisfied: int):
    """p of n holds iff satisfied x 100 >= p x n."""
    satisfied = min(satisfied, of)
    names = [f"s{index}" for index in range(of)]
    signals = ", ".join(f"{name}: {{count: Event {name}}}" for name in names)
    criteria = ", ".join(f"{name}: at least 1" for name in names)
    share = definition(f"signals: {{{signals}}}\nqualify: {{at_least: {{share: {percent}%, of: {{{criteria}}}}}}}")
    facts = facts_of(share, [(START, f"Event {name}") for name in names[:satisfied]])

    assert (satisfied * 100 >= percent * of) == decide(share, facts, AFTER).is_qualified


def test_an_unknown_trait_never_qualifies():
    """Nor does its negation; a known one does, from when it is known."""
    other = definition("signals: {tasks: {count: Task Added}}\nqualify: {tasks: at least 1, not: {user.role: admin}}")

    assert [] == moments(ROLE, facts_of(ROLE, tasks(START)))
    assert [] == moments(other, facts_of(other, tasks(START)))
    known = {"user.role": [(START + 1, "member")]}
    assert [("qualified", START + 1)] == moments(other, facts_of(other, tasks(START), known))


# --- eligible, exits, exclusions, time ---


def test_eligible_is_asked_at_the_instant_of_qualifying():
    """A plan that came later lets in from then on; one that was over before lets nobody in."""
    trial_later = {"user.plan": [(START + 5, "trial")]}
    trial_before = {"user.plan": [(START - 9, "trial"), (START - 5, "free")]}

    assert [("qualified", START + 5)] == moments(GATED, facts_of(GATED, tasks(START), trial_later))
    assert [] == moments(GATED, facts_of(GATED, tasks(START), trial_before))
    assert [] == moments(GATED, facts_of(GATED, tasks(START)))


def test_eligible_is_never_asked_again():
    """Whoever has qualified on a trial stays qualified when the trial is over."""
    plans = {"user.plan": [(START - 5, "trial"), (START + 5, "paid")]}

    assert [("qualified", START)] == moments(GATED, facts_of(GATED, tasks(START), plans))


def test_an_episode_ends_when_the_condition_does():
    """And does not begin again by itself."""
    roles = {"user.role": [(START - 5, "admin"), (START + 5, "member"), (START + 9, "owner")]}

    assert [("qualified", START), ("exited", START + 5)] == moments(ROLE, facts_of(ROLE, tasks(START), roles))


def test_a_trait_that_becomes_unknown_ends_an_episode():
    """Unknown is not qualified."""
    roles = {"user.role": [(START - 5, "admin"), (START + 5, None)]}

    assert [("qualified", START), ("exited", START + 5)] == moments(ROLE, facts_of(ROLE, tasks(START), roles))


def test_a_ceiling_is_left_by_one_event_too_many():
    """`between 1 and 2` holds from the first event to the third."""
    few = definition("signals: {tasks: {count: Task Added}}\nqualify: {tasks: between 1 and 2}")

    assert [("qualified", START), ("exited", START + 2)] == moments(
        few, facts_of(few, tasks(START, START + 1, START + 2))
    )


def test_whoever_is_excluded_has_no_episode():
    """Not even a past one."""
    assert Verdict((), None) == decide(THREE, facts_of(THREE, tasks(1, 2, 3), excluded_by="bots"), AFTER)


def test_what_lies_ahead_is_not_said_yet_but_known():
    """An event in the near future counts when it comes; until then it is the next thing to look at."""
    facts = facts_of(THREE, tasks(START, START + 1, START + 2))

    assert Verdict((), START + 2) == decide(THREE, facts, START + 1)
    assert Verdict((Moment(1, "qualified", START + 2),), None) == decide(THREE, facts, START + 2)


@given(st.permutations([START, START, START + 1, START + 2 * HOUR]))
def test_order_of_arrival_does_not_show(instants: list[int]):
    """Facts are sets."""
    assert [("qualified", START + 1)] == moments(THREE, facts_of(THREE, tasks(*instants)))
