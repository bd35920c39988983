"""The whole language over random small definitions: a naive recount agrees, and neither order nor lateness shows."""

from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from assay.contract.times import format_instant, parse_instant
from assay_collector.pql import definition as d
from assay_collector.pql.comparators import as_number
from assay_collector.pql.decision import Judge, Moment, decide
from assay_collector.pql.definition import Definition
from assay_collector.pql.examples import facts_from
from assay_collector.pql.lacking import missing
from assay_collector.pql.ledger import Transition, reconcile, standing
from assay_collector.pql.lifecycle import ENDS
from qualify.recount import Recount
from qualify.whole import AS_OF, AT_LEAST, DEFINITIONS, HISTORIES, HORIZON, known_of, read

History = list[dict[str, Any]]


def said(moments: tuple[Moment, ...]) -> dict[tuple[int, str], int]:
    return {(moment.episode, moment.step): moment.at for moment in moments}


def until(history: History, as_of: int) -> History:
    return [entry for entry in history if parse_instant(entry["t"]) <= as_of]


@given(DEFINITIONS, HISTORIES, AS_OF)
def test_a_verdict_is_what_a_recount_says(definition: Definition, history: History, as_of: int):
    """At any instant: every step of every episode so far, when the next one comes, stage, tier and score."""
    naive = Recount(definition, known_of(definition.entity, history), HORIZON)
    facts = facts_from(definition, history)
    found, judge = decide(definition, facts, as_of), Judge(definition, facts)
    expected = naive.episodes()
    next_at = min((at for at in expected.values() if at > as_of), default=None)

    assert {key: at for key, at in expected.items() if at <= as_of} == said(found.moments)
    assert next_at == (found.next_at if found.next_at is not None and found.next_at <= HORIZON else None)
    assert naive.stage(as_of) == (judge.stage.at(as_of) if definition.stages else None)
    assert naive.tier(as_of) == (judge.tier.at(as_of) if definition.tiers else None)
    assert naive.score(as_of) == judge.score.at(as_of)
    assert naive.qualifies(as_of) == judge.qualify.at(as_of) == judge.truth_at(judge.qualify_at(as_of), as_of)


@given(DEFINITIONS, HISTORIES, AS_OF)
def test_every_part_is_what_a_recount_says(definition: Definition, history: History, as_of: int):
    """Each condition and each value, asked for one instant; and each condition is so over time as well."""
    naive = Recount(definition, known_of(definition.entity, history), HORIZON)
    judge = Judge(definition, facts_from(definition, history))

    for condition in judge.definition.conditions:
        truth = naive.truth(condition, as_of)
        assert (truth, truth) == (judge.truth_at(condition, as_of), judge.truth(condition).at(as_of))
    for subject in judge.definition.subjects:
        value = judge.value_at(subject, as_of)
        is_number = isinstance(subject, d.Use) and subject.signal.aggregate in ("min", "max")
        assert naive.value(subject, as_of) == (as_number(value) if is_number else value)


@given(DEFINITIONS, HISTORIES, st.randoms(use_true_random=False), AS_OF)
def test_the_order_of_events_does_not_show(definition: Definition, history: History, random: Random, as_of: int):
    """However the events of a signal are read, the verdict is the same."""
    facts = facts_from(definition, history)
    shuffled = replace(facts, occurrences=lambda signal: random.sample(found := facts.occurrences(signal), len(found)))

    assert decide(definition, facts, as_of) == decide(definition, shuffled, as_of)


@given(DEFINITIONS, HISTORIES, AS_OF)
def test_a_late_sweep_says_what_a_timely_one_would_have(definition: Definition, history: History, as_of: int):
    """Decided at every event and whenever time alone may change it, each line is written on time, never corrected."""
    rows: list[Transition] = []
    instants = {parse_instant(entry["t"]) for entry in history}
    now: int | None = min(instants)
    while now is not None and now <= as_of:
        rows += _lines(definition, until(history, now), rows, now)
        due = decide(definition, facts_from(definition, until(history, now)), now).next_at
        coming = [at for at in (*instants, due) if at is not None and at > now]
        now = min(coming, default=None)
    late = _lines(definition, until(history, as_of), [], as_of)

    assert {key: row.effective_at for key, row in standing(late).items()} == {
        key: row.effective_at for key, row in standing(rows).items()
    }
    assert [] == [row for row in rows if row.change != "new" or row.recorded_at != row.effective_at]


@given(DEFINITIONS, HISTORIES)
def test_kinds_alternate_and_the_cool_down_holds(definition: Definition, history: History):
    """Each episode begins once, ends at most once, and the next one waits."""
    moments = decide(definition, facts_from(definition, history), HORIZON).moments
    begins = [m.at for m in moments if m.step == "qualified"]
    ends = [m.at for m in moments if m.step in ENDS]
    requalify = definition.lifecycle.requalify
    rungs = [m for m in moments if m.step.startswith("stage:")]

    assert len(ends) in (len(begins), len(begins) - 1)
    assert all(begin <= end for begin, end in zip(begins, ends, strict=False))
    assert all(b - e >= max(requalify.after, 1) for e, b in zip(ends, begins[1:], strict=False) if requalify)
    assert len(begins) <= 1 or requalify is not None
    assert all(before < after for before, after in pairwise(begins))
    assert all(begins[m.episode - 1] <= m.at for m in rungs)


@given(HISTORIES, st.sampled_from(["user", "account"]), AS_OF)
def test_only_more_events_never_end_what_only_grows(history: History, entity: str, as_of: int):
    """`at least` over all time and anchored windows: once qualified, always."""
    grows = read(
        entity,
        {
            "signals": {
                "made": {"count": "Made"},
                "early": {"count": "Shared", "within": "30h of Signed Up"},
                "docs": {"distinct": "Shared", "of": "doc"},
            },
            "qualify": {"at_least": {"count": 2, "of": dict.fromkeys(("made", "early", "docs"), "at least 1")}},
        },
    )
    verdict = decide(grows, facts_from(grows, history), as_of)

    assert [] == [moment for moment in verdict.moments if moment.step in ENDS]
    assert verdict.next_at is None or verdict.next_at in {parse_instant(entry["t"]) for entry in history}


@given(AT_LEAST, HISTORIES, AS_OF)
def test_steps_told_in_events_do_qualify(definition: Definition, history: History, as_of: int):
    """In every window that the present lies in, by really taking them."""
    said_missing = missing(definition, facts_from(definition, until(history, as_of)), as_of)
    steps = said_missing["steps"]
    assume(said_missing["reachable"] and all("event" in step for step in steps))
    taken = [
        {
            "t": format_instant(as_of),
            "event": step["event"].split(" or ")[0],
            "user": "ada",
            "properties": {"doc": f"new-{n}"},
        }
        for step in steps
        for n in range(step["events"])
    ]
    facts = facts_from(definition, [*until(history, as_of), *taken])

    assert Judge(definition, facts).qualify.at(as_of) is True


def _lines(definition: Definition, history: History, rows: list[Transition], now: int) -> list[Transition]:
    verdict = decide(definition, facts_from(definition, history), now)
    return list(
        reconcile(
            definition, b"e", verdict.moments, rows, causes=frozenset({"event"}), now=now, evidence=lambda _: b"{}"
        )
    )
