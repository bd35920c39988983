"""Prospects: who cannot qualify, does not, whatever happens; and is looked at again as soon as that may change."""

import pytest
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

from assay.contract.times import format_instant
from assay_collector.pql.decision import Verdict, decide
from assay_collector.pql.definition import Definition
from assay_collector.pql.examples import facts_from
from assay_collector.pql.happened import Happened, bits_of
from assay_collector.pql.matching import CompiledSignal
from assay_collector.pql.patience import patience_without_prospects
from assay_collector.pql.prospects import can_qualify
from pql.facts import START, definition
from qualify.whole import AS_OF, DEFINITIONS, HISTORIES

MANY = settings(phases=[Phase.generate])
NAMES = ("Made", "Shared", "Signed Up", "Paid", "Other")
SOME_NAMES = st.sets(st.sampled_from(NAMES), max_size=2)


def marked(probe: Definition, history: list[dict]) -> frozenset[int]:
    signals = [CompiledSignal(signal) for signal in probe.signals]
    events = [told for told in history if "event" in told]
    return frozenset(s.id for s in signals for told in events if s.matches(told["event"], told["properties"]))


@MANY
@given(DEFINITIONS, HISTORIES, SOME_NAMES, AS_OF)
def test_who_cannot_qualify_does_not(probe: Definition, history: list[dict], names: set[str], as_of: int):
    """Whatever was done and whenever, as long as it marks no other signal; a signal too many does no harm."""
    told = [entry for entry in history if entry.get("event", "a trait") in {*names, "a trait"}]
    known = marked(probe, told)
    event(f"can qualify: {can_qualify(probe, known)}")
    verdict = decide(probe, facts_from(probe, told), as_of)

    assert can_qualify(probe, known) or verdict == Verdict((), None)
    assert can_qualify(probe, known) <= can_qualify(probe, known | {signal.id for signal in probe.signals[:1]})


SIGNALS = "signals: {a: {count: A}, b: {distinct: B, of: doc}, c: {count: C, within: 2 days}, s: {since: A}}\n"


@pytest.mark.parametrize(
    ("body", "names", "expected"),
    [
        ("qualify: {a: at least 1, b: at least 2}", "A", False),
        ("qualify: {a: at least 1, b: at least 2}", "AB", True),
        ("qualify: {any: [{a: at least 1}, {b: at least 2}]}", "B", True),
        ("qualify: {any: [{a: at least 1}, {b: at least 2}]}", "C", False),
        ("qualify: {at_least: {count: 2, of: {a: at least 1, b: at least 1, c: at least 1}}}", "B", False),
        ("qualify: {at_least: {count: 2, of: {a: at least 1, b: at least 1, c: at least 1}}}", "BC", True),
        ("qualify: {a: at least 1, c: at most 1}", "A", True),
        ("qualify: {a: at least 1, not: {b: at least 1}}", "A", True),
        ("qualify: {b: at least 1, s: at least 2 days}", "B", True),
        ("qualify: {a: at least 1}\neligible: {b: at least 1}", "A", False),
        ("qualify: {a: at least 1}\neligible: {user.plan: trial}", "A", True),
        ("qualify: {score: [{when: {a: at least 1}, points: 5}, {each: b, points: 2, cap: 4}], enter: 9}", "A", False),
        ("qualify: {score: [{when: {a: at least 1}, points: 5}, {each: b, points: 2, cap: 4}], enter: 9}", "AB", True),
        ("qualify: {score: [{when: {user.plan: x}, points: 9}, {each: b, points: 2, cap: 4}], enter: 9}", "", True),
    ],
)
def test_what_is_missing_decides(body: str, names: str, expected: bool):
    """A criterion of a signal that was never marked is lost, unless nothing is what it asks for."""
    probe = definition(SIGNALS + body)
    known = marked(probe, [{"event": name, "properties": {"doc": "x"}} for name in names])

    assert expected is can_qualify(probe, known)


def test_the_first_of_something_new_is_looked_at():
    """Events of what was there already are borne for ever, the first mark of another signal is not."""
    probe = definition(SIGNALS + "qualify: {a: at least 1, b: at least 2}")
    of = {signal.matcher.events[0]: signal.id for signal in probe.signals}
    patience = patience_without_prospects(probe, frozenset({of["A"]}))

    assert patience.bears(Happened(10**9, START, bits_of([of["A"]])), START)
    assert not patience.bears(Happened(1, START, bits_of([of["B"]])), START)
    assert patience.due_at is None, format_instant(START)
