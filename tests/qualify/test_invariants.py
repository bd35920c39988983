"""What the language promises of any definition and any history: stricter is never more, and order is nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from assay.contract.times import DAY, HOUR, MINUTE, format_instant, parse_instant
from assay_collector.pql.decision import Judge, decide
from assay_collector.pql.definition import Definition
from assay_collector.pql.examples import facts_from
from assay_collector.pql.language import DefinitionProblems
from assay_collector.pql.lifecycle import ENDS
from qualify.whole import AS_OF, DEFINITIONS, HISTORIES, HORIZON, SIGNALS, START, read

History = list[dict[str, Any]]

COUNTED = ("made", "recent", "lately", "docs", "kinds", "days", "early", "ask", "asked")
GROWS = {
    "made": {"count": "Made"},
    "docs": {"distinct": "Shared", "of": "doc"},
    "days": {"active_days": "any"},
    "early": {"count": "Made", "within": "30h of Signed Up"},
    "seen": {"distinct": "Shared", "of": "doc", "within": "1 day of Signed Up"},
    "asked": {"sequence": ["Made", "Shared"], "apart": "3h"},
}
WINDOWS = [
    ("30m", "5h"),
    ("5h", "48h"),
    ("1 day", "2 days"),
    ("2 days", "6 days"),
    ("5h of Signed Up", "30h of Signed Up"),
]
AGGREGATES: list[dict[str, Any]] = [
    {"count": "any"},
    {"count": ["Made", "Shared"]},
    {"distinct": "Shared", "of": "doc"},
    {"active_days": "any"},
]


def criteria(names: Any, least: int = 1) -> st.SearchStrategy[list[dict[str, str]]]:
    """Some criteria that ask for at least so much."""
    one = st.tuples(st.sampled_from(sorted(names)), st.integers(least, least + 2))
    return st.lists(one.map(lambda pair: {pair[0]: f"at least {pair[1]}"}), min_size=1, max_size=3)


def instants(*judges: Judge) -> list[int]:
    """Every instant at which any of them changes, and those between."""
    found = sorted({at for judge in judges for at, _ in judge.gate.changes})
    return [START - DAY, *(at + more for at in found for more in (-1, 0))]


def never_more(fewer: Definition, more: Definition, history: History) -> None:
    """Whenever the one holds, the other does."""
    one, other = (Judge(definition, facts_from(definition, history)) for definition in (fewer, more))

    assert [] == [at for at in instants(one, other) if one.gate.at(at) is True and other.gate.at(at) is not True]


# --- 14: stricter is never more --------------------------------------------------------------------------------------


@given(criteria(COUNTED), criteria(COUNTED), HISTORIES)
def test_one_criterion_more_never_adds_anybody(asked: list[Any], more: list[Any], history: History):
    """What all of more hold of, all of fewer hold of."""
    fewer = read("user", {"signals": SIGNALS, "qualify": {"all": [*asked, *more]}})

    never_more(fewer, read("user", {"signals": SIGNALS, "qualify": {"all": asked}}), history)


@given(st.sampled_from(COUNTED), st.integers(1, 3), st.integers(1, 2), HISTORIES)
def test_a_higher_threshold_never_adds_anybody(name: str, least: int, more: int, history: History):
    """In every window, whatever is counted."""
    try:
        higher, lower = (
            read("user", {"signals": SIGNALS, "qualify": {name: f"at least {n}"}}) for n in (least + more, least)
        )
    except DefinitionProblems:
        return  # more days than the window has

    never_more(higher, lower, history)


@given(st.sampled_from(WINDOWS), st.sampled_from(AGGREGATES), st.integers(1, 3), HISTORIES)
def test_a_wider_window_never_removes_anybody(windows: tuple[str, str], what: dict[str, Any], k: int, history: History):
    """From an `at least`."""
    try:
        narrow, wide = (
            read("user", {"signals": {"made": {**what, "within": within}}, "qualify": {"made": f"at least {k}"}})
            for within in windows
        )
    except DefinitionProblems:
        return  # more days than the narrow window has

    never_more(narrow, wide, history)


@given(DEFINITIONS, HISTORIES, AS_OF)
def test_whoever_is_excluded_never_qualifies(definition: Definition, history: History, as_of: int):
    """One more exclusion list never adds anybody, and taken off it they are as if they had never been on it (22)."""
    facts = facts_from(definition, history)
    on_a_list = replace(facts, excluded_by="bots")

    assert () == decide(definition, on_a_list, as_of).moments
    assert decide(definition, facts, as_of) == decide(definition, replace(on_a_list, excluded_by=None), as_of)


# --- 15: what only grows ---------------------------------------------------------------------------------------------


GROWING = criteria(GROWS).map(lambda found: read("user", {"signals": GROWS, "qualify": {"any": found}}))


@given(GROWING | DEFINITIONS,
       HISTORIES, st.integers(0, 50), st.sampled_from(["Made", "Shared", "Signed Up", "Paid"]))  # fmt: skip
def test_a_monotone_definition_is_never_left(definition: Definition, history: History, hours: int, event: str):
    """One that the compiler labels so has no timer, and no new event makes anybody leave it, or come in later."""
    if not definition.is_monotone:
        return
    last = max(parse_instant(entry["t"]) for entry in history)
    new = {"t": format_instant(last + hours * HOUR), "event": event, "user": "ada", "properties": {"doc": "new"}}
    before = decide(definition, facts_from(definition, history), last)
    after = decide(definition, facts_from(definition, [*history, new]), last + hours * HOUR)

    assert before.next_at is None
    assert after.next_at is None
    assert [] == [m for m in after.moments if m.step in ENDS and m.step != "converted"]
    assert {*before.moments} <= {*after.moments}


@given(st.sampled_from(sorted(GROWS)), st.sampled_from(["at least 1", "more than 1"]))
def test_the_label_is_given_where_it_is_due(name: str, test: str):
    """`at least` over all time and anchored windows has it; what comes and goes, or is ended, has not."""
    body = {"signals": GROWS, "qualify": {name: test}}

    assert read("user", body).is_monotone
    assert not read("user", body | {"lifecycle": {"expire": "1 day"}}).is_monotone
    assert not read("user", body | {"lifecycle": {"hold": "1h"}}).is_monotone
    assert not read(
        "user", {"signals": GROWS, "qualify": {"all": [{name: test}, {"not": {name: "at least 3"}}]}}
    ).is_monotone
    assert not read("user", {"signals": SIGNALS, "qualify": {"recent": test}}).is_monotone
    assert not read("user", {"signals": GROWS, "qualify": {name: test, "user.plan": "trial"}}).is_monotone


# --- 16: shares, and the order of criteria ---------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from(COUNTED), st.integers(1, 2)), min_size=2, max_size=5, unique=True),
       st.integers(1, 100), HISTORIES, st.randoms(use_true_random=False))  # fmt: skip
def test_the_order_of_criteria_is_irrelevant_and_shares_are_exact(
    asked: list[tuple[str, int]], percent: int, history: History, random: Random
):
    """p of n holds iff satisfied x 100 >= p x n, in whatever order they are written; and the hash is the same."""
    parts = [{name: f"at least {n}"} for name, n in asked]
    one, other = (
        read("user", {"signals": SIGNALS, "qualify": {"at_least": {"share": f"{percent}%", "of": of}}})
        for of in (parts, random.sample(parts, len(parts)))
    )
    facts = facts_from(one, history)
    judge, shuffled = Judge(one, facts), Judge(other, facts)

    assert one.hash == other.hash
    assert judge.gate == shuffled.gate
    for at in instants(judge):
        satisfied = sum(judge.truth_at(part, at) is True for part in judge.definition.qualify.of)
        assert (satisfied * 100 >= percent * len(parts)) == (judge.gate.at(at) is True)


# --- 17: exactly k, and the window's edges ---------------------------------------------------------------------------


@given(st.integers(1, 6), st.sampled_from([("30m", 30 * MINUTE), ("5h", 5 * HOUR), ("48h", 48 * HOUR)]),
       st.lists(st.integers(0, 10), max_size=8), st.integers(0, 10**6))  # fmt: skip
def test_the_event_at_the_far_edge_is_out_and_the_one_at_the_near_edge_is_in(
    k: int, window: tuple[str, int], tenths: list[int], more: int
):
    """Exactly k qualifies and k - 1 does not, counted in (as_of - W, as_of], to the microsecond."""
    text, length = window
    as_of = START + length + more
    events = [as_of, as_of - length, as_of - length + 1, *(as_of - length * tenth // 10 for tenth in tenths)]
    history = [{"t": format_instant(at), "event": "Made", "user": "ada", "properties": {}} for at in events]
    asked = read("user", {"signals": {"made": {"count": "Made", "within": text}}, "qualify": {"made": f"at least {k}"}})
    within = sum(as_of - length < at <= as_of for at in events)

    assert (within >= k) == (Judge(asked, facts_from(asked, history)).gate.at(as_of) is True)


# --- 18: days of a zone ----------------------------------------------------------------------------------------------

# Both clock changes of each; the furthest east and west; one that changes by half an hour, one that never did.
ZONES = {
    "Europe/Berlin": ("2026-03-29T01:00Z", "2026-10-25T01:00Z"),
    "America/New_York": ("2026-03-08T07:00Z", "2026-11-01T06:00Z"),
    "Australia/Lord_Howe": ("2026-04-04T15:00Z", "2026-10-03T15:30Z"),
    "Pacific/Kiritimati": ("2026-03-29T10:00Z", "2026-12-31T10:00Z"),
    "Etc/GMT+12": ("2026-03-01T12:00Z", "2026-12-31T12:00Z"),
}
NEAR_CHANGES = st.tuples(
    st.sampled_from(sorted(ZONES)),
    st.integers(0, 1),
    st.lists(st.tuples(st.integers(-80, 80), st.sampled_from([-1, 0, 1, 30 * MINUTE])), min_size=1, max_size=8),
    st.tuples(st.integers(-30, 120), st.sampled_from([-1, 0, 1])),
)


@given(NEAR_CHANGES, st.integers(1, 4))
def test_days_are_counted_right_across_every_change_of_clocks(near: Any, days: int):
    """By the account's own calendar: how many events its last days had, and on how many of those days there was one."""
    zone, which, offsets, (hours, more) = near
    change = parse_instant(ZONES[zone][which])
    events = [change + h * HOUR + e for h, e in offsets]
    as_of = change + hours * HOUR + more
    told = {"t": format_instant(change - 200 * DAY), "user": "ada", "traits": {"account.timezone": zone}}
    history = [told, *({"t": format_instant(at), "event": "Made", "user": "ada", "properties": {}} for at in events)]
    signals = {
        "made": {"count": "Made", "within": f"{days} days"},
        "days": {"active_days": "Made", "within": f"{days} days"},
    }
    asked = read("account", {"signals": signals, "qualify": {"any": [{"made": "at least 1"}, {"days": "at least 1"}]}})
    judge = Judge(asked, facts_from(asked, history))
    last = _date(as_of, zone)
    wanted = [_date(at, zone) for at in events if at <= as_of and last - timedelta(days) < _date(at, zone) <= last]
    found = {subject.name: judge.value_at(subject, as_of) for subject in judge.definition.uses}

    assert {"made": len(wanted), "days": len(set(wanted))} == found


def _date(at: int, zone: str) -> Any:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).astimezone(ZoneInfo(zone)).date()


# --- 11: the next change ---------------------------------------------------------------------------------------------


@given(DEFINITIONS, HISTORIES, AS_OF)
def test_nothing_changes_before_the_next_flip(definition: Definition, history: History, as_of: int):
    """Asked again at any instant before it, nothing more has happened; at it, something has."""
    facts = facts_from(definition, [entry for entry in history if parse_instant(entry["t"]) <= as_of])
    verdict = decide(definition, facts, as_of)
    before = HORIZON if verdict.next_at is None else verdict.next_at - 1
    later = [as_of + (before - as_of) * n // 4 for n in range(1, 5)] if before > as_of else []

    assert {verdict.moments} == {decide(definition, facts, at).moments for at in (as_of, *later)}
    if verdict.next_at is not None:
        assert verdict.moments != decide(definition, facts, verdict.next_at).moments
