"""Evidence and missing steps: sound, and enough by themselves."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.contract.times import DAY, HOUR, parse_instant
from assay_collector.pql.comparators import parse_comparator
from assay_collector.pql.decision import decide
from assay_collector.pql.definition import Definition
from assay_collector.pql.explain import evidence, reasons
from assay_collector.pql.lacking import missing
from assay_collector.pql.words import in_words
from pql.facts import START, Raw, definition, facts_of

SIGNALS = {
    "made": "{count: Made}",
    "shared": "{distinct: Shared, of: doc}",
    "early": "{count: Made, within: 2 days of Signed Up}",
    "invited": "{distinct: Invited, of: who, within: 30m of Signed Up}",
    "signed": "{count: Signed Up, within: 2 days of Signed Up}",
    "worked": "{count: Worked, within: 30 days of Trial Started}",
}
NOW = START + 3 * DAY
ROLES = ("admin", "member")
NUMBERS = (5, 50, "many")

CRITERIA = st.one_of(
    st.tuples(st.sampled_from(sorted(SIGNALS)), st.integers(1, 3).map("at least {}".format)),
    st.tuples(st.just("user.role"), st.sampled_from(["admin", "not member", "is known"])),
    st.tuples(st.just("user.seats"), st.just("at least 10")),
).map(lambda pair: {pair[0]: pair[1]})


def _of(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(parts, min_size=2, max_size=3)
    return st.one_of(
        some.map(lambda found: {"all": found}),
        some.map(lambda found: {"any": found}),
        st.tuples(st.integers(1, 2), some).map(lambda pair: {"at_least": {"count": pair[0], "of": _mapping(pair[1])}}),
    )


def _mapping(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """`at_least` wants each criterion under a name of its own."""
    flat = {key: value for part in parts for key, value in part.items()}
    return flat if len(flat) > 1 else {"made": "at least 1", "shared": "at least 1"}


CONDITIONS = st.recursive(CRITERIA, _of, max_leaves=5)
EVENTS = st.lists(
    st.tuples(
        st.builds(lambda hours: START + hours * HOUR, st.sampled_from([0, 1, 24, 47, 48, 71])),
        st.sampled_from(["Made", "Shared", "Invited", "Signed Up", "Worked", "Trial Started"]),
        st.sampled_from(["x", "y"]),
    ),
    max_size=8,
)
TRAITS = st.fixed_dictionaries(
    {},
    optional={
        "user.role": st.sampled_from(ROLES).map(lambda value: [(START, value)]),
        "user.seats": st.sampled_from(NUMBERS).map(lambda value: [(START, value)]),
    },
)


def probe(qualify: Any, eligible: str = "") -> Definition:
    written = ", ".join(f"{name}: {signal}" for name, signal in SIGNALS.items())
    return definition(f"signals: {{{written}}}\nqualify: {json.dumps(qualify)}\n{eligible}")


def done(steps: list[dict[str, Any]], raw: Raw, traits: dict[str, Any], at: int) -> tuple[Raw, dict[str, Any]]:
    """What would be known had somebody taken these steps."""
    added = [(at, step["event"], f"new-{n}") for step in steps if "event" in step for n in range(step["events"])]
    assert all(at < parse_instant(step["before"]) for step in steps if "before" in step)
    told = {step["trait"]: [(at, step["example"])] for step in steps if "trait" in step}
    return [*raw, *added], {**traits, **told}


def derived(tree: dict[str, Any]) -> bool | None:
    """The verdict of an evidence, from its values and tests alone."""
    if "name" in tree:
        return parse_comparator(tree["test"]).holds(tree["value"])
    if "not" in tree:
        inner = derived(tree["not"])
        return None if inner is None else not inner
    parts = [derived(part) for part in tree.get("all", tree.get("any", tree.get("of")))]
    need = len(parts) if "all" in tree else 1 if "any" in tree else tree["atLeast"]
    if parts.count(True) >= need:
        return True
    return None if parts.count(True) + parts.count(None) >= need else False


@given(CONDITIONS, EVENTS, TRAITS)
def test_the_missing_steps_do_qualify(qualify: Any, raw: Raw, traits: dict[str, Any]):
    """By really taking them; and where none are offered, nothing that could be done would help."""
    asked = probe(qualify, "eligible: {user.seats: at least 5}")
    said = missing(asked, facts_of(asked, raw, traits), NOW)
    if said["reachable"]:
        later = done(said["steps"], raw, traits, NOW)
    else:
        everything = [(NOW, name, f"new-{n}") for name in ("Made", "Shared", "Invited", "Worked") for n in range(9)]
        later = [*raw, *everything], {"user.role": [(NOW, "admin")], "user.seats": [(NOW, 50)]}

    assert said["reachable"] == decide(asked, facts_of(asked, *later), NOW).is_qualified


@given(CONDITIONS, EVENTS, TRAITS, st.sampled_from([START - 1, START, START + HOUR, NOW]))
def test_the_evidence_alone_gives_the_verdict(qualify: Any, raw: Raw, traits: dict[str, Any], instant: int):
    """Through JSON and back, at any instant; and it is the verdict of that instant."""
    asked = probe({"all": [qualify, {"not": {"made": "at least 9"}}]})
    shown = json.loads(json.dumps(evidence(asked, facts_of(asked, raw, traits), instant)))
    until_then = [entry for entry in raw if entry[0] <= instant]
    known_then = {name: [c for c in changes if c[0] <= instant] for name, changes in traits.items()}

    assert shown["qualified"] == derived(shown["qualify"])
    assert (shown["qualified"] is True) == decide(asked, facts_of(asked, until_then, known_then), instant).is_qualified


@pytest.mark.parametrize(
    ("qualify", "raw", "expected"),
    [
        pytest.param({"made": "at least 3"}, [(START, "Made")], ["2 more Made"], id="count"),
        pytest.param(
            {"shared": "at least 2"}, [(START, "Shared", "x")], ["1 more Shared (another doc)"], id="distinct"
        ),
        pytest.param(
            {"early": "at least 1"},
            [(NOW - HOUR, "Signed Up")],
            ["1 more Made before 2026-03-07T08:00:00.000Z"],
            id="while the window is open",
        ),
        pytest.param({"early": "at least 1"}, [(START, "Signed Up")], None, id="the window is over"),
        pytest.param({"early": "at least 2"}, [], ["1 more Signed Up", "2 more Made"], id="an anchor first"),
        pytest.param(
            {"early": "at least 1", "invited": "at least 1", "signed": "at least 1"},
            [],
            ["1 more Signed Up", "1 more Made", "1 more Invited (another who)"],
            id="one anchor for all, which counts for itself",
        ),
        pytest.param({"signed": "at least 3"}, [], ["3 more Signed Up"], id="an anchor is the first of three"),
        pytest.param(
            {"all": [{"made": "at least 2"}, {"early": "at least 3"}]},
            [(NOW - HOUR, "Signed Up")],
            ["3 more Made before 2026-03-07T08:00:00.000Z"],
            id="an event serves two criteria",
        ),
        pytest.param({"any": [{"made": "at least 3"}, {"shared": "at least 2"}]}, [], ["2 more Shared (another doc)"]),
        pytest.param(
            {"at_least": {"count": 2, "of": {"made": "at least 3", "shared": "at least 1", "worked": "at least 1"}}},
            [(START, "Made")],
            ["2 more Made", "1 more Shared (another doc)"],
            id="the cheapest two, in the order of the file",
        ),
        pytest.param({"user.role": ["admin", "owner"]}, [], ["user.role must be [admin, owner]"], id="trait"),
        pytest.param({"not": {"user.role": "admin"}}, [], ["user.role must be not (admin)"], id="anything else"),
        pytest.param({"made": "at least 1", "not": {"early": "at least 1"}}, [(START, "Made")], ["1 more Signed Up"]),
        pytest.param({"shared": "at least 1", "not": {"made": "at least 1"}}, [(START, "Made")], None, id="done"),
    ],
)  # fmt: skip
def test_what_is_missing_in_words(qualify: Any, raw: Raw, expected: list[str] | None):
    """As people say it; None: nothing helps any more."""
    asked = probe(qualify)
    said = missing(asked, facts_of(asked, raw), NOW)

    assert expected == ([in_words(step) for step in said["steps"]] if said["reachable"] else None)


def test_a_where_is_told_with_the_step():
    """Not any event will do."""
    asked = definition("signals: {calls: {count: Called, where: {env: production}}}\nqualify: {calls: at least 1}")

    assert ["1 more Called where env is production"] == [
        in_words(step) for step in missing(asked, facts_of(asked), NOW)["steps"]
    ]


@pytest.mark.parametrize(
    ("qualify", "traits", "expected"),
    [
        pytest.param({"user.role": "admin"}, {}, ["user.role", "user.seats"], id="also what only eligible reads"),
        pytest.param({"user.role": "admin", "shared": "at least 1"}, {}, None, id="something else is missing"),
        pytest.param({"any": [{"made": "at least 1"}, {"user.role": "admin"}]}, {}, ["user.seats"], id="done without"),
        pytest.param({"user.role": "admin"}, {"user.seats": 1}, None, id="not where it is settled otherwise"),
        pytest.param(
            {"at_least": {"count": 2, "of": {"made": "at least 1", "shared": "at least 1", "user.role": "admin"}}},
            {"user.seats": 5},
            ["user.role"],
            id="the one of three that can still decide",
        ),
        pytest.param({"not": {"user.role": "admin"}}, {"user.seats": 5}, ["user.role"], id="under a not"),
        pytest.param({"user.role": "is known"}, {"user.seats": 5}, ["user.role"], id="asked for by name"),
        pytest.param(
            {"made": "at least 1", "user.role": "is not known"}, {"user.seats": 1}, None, id="unknown is known"
        ),
        pytest.param(
            {"score": [{"when": {"made": "at least 1"}, "points": 5}, {"when": {"user.role": "admin"}, "points": 5}],
             "enter": 10},
            {"user.seats": 5},
            ["user.role"],
            id="the points that are lacking",
        ),
        pytest.param(
            {"score": [{"when": {"shared": "at least 1"}, "points": 6}, {"when": {"user.role": "admin"}, "points": 5}],
             "enter": 10},
            {"user.seats": 5},
            None,
            id="points that would not be enough",
        ),
    ],
)  # fmt: skip
def test_only_what_could_decide_it_blocks(qualify: Any, traits: dict[str, Any], expected: list[str] | None):
    """An unknown trait is named where knowing it could make the entity qualify, and nowhere else."""
    asked = probe(qualify, "eligible: {user.seats: at least 5}")
    known = {name: [(START, value)] for name, value in traits.items()}

    assert expected == missing(asked, facts_of(asked, [(START, "Made")], known), NOW).get("blockedOn")


def test_a_variant_that_may_be_meant_blocks():
    """Who is of an unknown role, and would qualify as a practitioner, is blocked on the role."""
    asked = probe(
        {"made": "at least 9"},
        "variants: [{name: practitioner, when: {user.role: practitioner}, qualify: {made: at least 1}}]",
    )

    assert ["user.role"] == missing(asked, facts_of(asked, [(START, "Made")]), NOW)["blockedOn"]


def test_nobody_excluded_is_offered_a_step():
    """The list is named instead."""
    asked = probe({"made": "at least 1"})
    said = missing(asked, facts_of(asked, excluded_by="bots"), NOW)

    assert (False, [], "bots") == (said["reachable"], said["steps"], said["excludedBy"])


# --- what stands in the way -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clauses", "raw", "expected"),
    [
        pytest.param("eligible: {user.seats: at least 5}", [(START, "Made")], ["eligible"], id="eligible"),
        pytest.param("lifecycle: {hold: 10m}", [(NOW - HOUR // 12, "Made")], ["hold"], id="hold"),
        pytest.param("lifecycle: {expire: 1h}", [(START, "Made")], ["once"], id="once"),
        pytest.param(
            "lifecycle: {expire: 1h, requalify: {after: 30 days}}", [(START, "Made")], ["cool-down"], id="cool-down"
        ),
        pytest.param(
            "lifecycle: {expire: 1h, requalify: {after: 0 days, beyond: {made: 200%}}}",
            [(START, "Made")],
            ["beyond"],
            id="beyond",
        ),
        pytest.param("", [], ["qualify"], id="the condition itself"),
        pytest.param("", [(START, "Made")], None, id="nothing"),
    ],
)
def test_what_stands_in_the_way_is_said(clauses: str, raw: Raw, expected: list[str] | None):
    """The evidence says qualified only of who is, and otherwise what keeps them from it."""
    asked = probe({"made": "at least 1"}, clauses)
    shown = evidence(asked, facts_of(asked, raw), NOW)

    assert expected == ([each["what"] for each in shown["inTheWay"]] if "inTheWay" in shown else None)
    assert (expected is None) == (shown["qualified"] is True)


def test_whoever_is_on_a_list_does_not_qualify():
    """Whatever they did; the list is named."""
    asked = probe({"made": "at least 1"})
    shown = evidence(asked, facts_of(asked, [(START, "Made")], excluded_by="bots"), NOW)

    assert (False, [{"what": "list", "name": "bots"}]) == (shown["qualified"], shown["inTheWay"])


# --- how it ended -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clauses", "raw", "step", "expected"),
    [
        pytest.param(
            "lifecycle: {exit: {shared: at least 1}}", [(NOW, "Shared", "x")], "exited", {"clause": "exit"}, id="exit"
        ),
        pytest.param(
            "lifecycle: {expire: 2 days}",
            [(NOW, "Shared", "x")],
            "expired",
            {"clause": "expire", "after": "2 days", "began": "2026-03-02T09:00:00.000Z"},
            id="expire",
        ),
        pytest.param(
            "lifecycle: {convert: {event: Shared}}",
            [(NOW, "Shared", "x")],
            "converted",
            {"clause": "convert", "event": "Shared", "at": "2026-03-05T09:00:00.000Z"},
            id="convert",
        ),
    ],
)
def test_an_end_shows_what_ended_it(clauses: str, raw: Raw, step: str, expected: dict[str, Any]):
    """The criterion, the time or the event; the episode is told with it, and the exit's own values."""
    asked = probe({"made": "at least 1"}, clauses)
    facts = facts_of(asked, [(START, "Made"), *raw])
    (ended,) = [moment for moment in decide(asked, facts, NOW).moments if moment.step == step]
    shown = evidence(asked, facts, ended.at, ended)

    assert (False, expected, step) == (shown["qualified"], shown["endedBy"], shown["episode"]["how"])
    if step == "exited":
        assert ("shared", 1, True) == (shown["exit"]["name"], shown["exit"]["value"], shown["exit"]["holds"])


def test_the_time_since_is_shown_exactly():
    """To the microsecond, in the language's own units."""
    asked = definition("signals: {quiet: {since: Made}}\nqualify: {quiet: more than 2 days}")
    shown = evidence(asked, facts_of(asked, [(START, "Made")]), START + 3 * DAY + 2 * HOUR + 1)

    assert "3 days 2h 0.000001s" == shown["qualify"]["value"]


def test_reasons_are_the_criteria_that_hold():
    """With value and test, through every level."""
    asked = probe({"any": [{"made": "at least 1"}, {"all": [{"shared": "at least 1"}, {"user.role": "admin"}]}]})
    facts = facts_of(asked, [(START, "Made"), (START, "Made")], {"user.role": [(START, "admin")]})

    assert ["made = 2 (at least 1)", "user.role = admin (admin)"] == reasons(evidence(asked, facts, NOW)["qualify"])


def test_an_anchored_criterion_shows_its_window():
    """From and until, once it is known; the value is unknown before."""
    asked = probe({"early": "at least 1"})
    before = evidence(asked, facts_of(asked), NOW)["qualify"]
    after = evidence(asked, facts_of(asked, [(START, "Signed Up")]), NOW)["qualify"]

    assert {
        "name": "early", "value": None, "test": "at least 1", "holds": None, "window": "2 days of Signed Up",
    } == before  # fmt: skip
    assert ("2026-03-02T09:00:00.000Z", "2026-03-04T09:00:00.000Z", 0) == (
        after["from"],
        after["until"],
        after["value"],
    )


@pytest.mark.parametrize(("seats", "expected"), [(50, "match"), (5, "no match"), (None, "unknown")])
def test_fit_is_told_and_decides_nothing(seats: int | None, expected: str):
    """Match, no match, or unknown."""
    asked = probe({"made": "at least 1"}, "fit: {user.seats: at least 10}")
    facts = facts_of(asked, [(START, "Made")], {"user.seats": [(START, seats)]})

    assert expected == evidence(asked, facts, NOW)["fit"]
    assert decide(asked, facts, NOW).is_qualified
