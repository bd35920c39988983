"""Random small definitions over the whole language, and random histories to go with them."""

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import reject
from hypothesis import strategies as st

from assay.contract.times import DAY, HOUR, MINUTE, format_instant, parse_instant
from assay_collector.pql.definition import Definition, Trait
from assay_collector.pql.language import DefinitionProblems, read_definitions
from qualify.recount import Known

# Berlin's clocks change that night, and the month ends three days later.
START = parse_instant("2026-03-28T20:00:00Z")
HORIZON = START + 9 * DAY

PROJECT = "project: whole\ntimezone: Europe/Berlin\n"
SIGNALS: dict[str, Any] = {
    "made": {"count": "Made"},
    "recent": {"count": "Made", "within": "5h"},
    "before": {"count": "Made", "within": "5h", "ago": "24h"},
    "lately": {"count": "Shared", "within": "2 days"},
    "earlier": {"count": "any", "within": "1 day", "ago": "2 days"},
    "month": {"sum": "Shared", "of": "size", "within": "this month"},
    "docs": {"distinct": "Shared", "of": "doc", "within": "30m"},
    "kinds": {"distinct": "Shared", "of": "doc", "within": "1 day"},
    "days": {"active_days": "any", "within": "3 days"},
    "least": {"min": "Shared", "of": "size", "within": "24h"},
    "most": {"max": "Shared", "of": "size", "where": {"doc": "not y"}},
    "newest": {"last": "Shared", "of": "doc"},
    "oldest": {"first": "Shared", "of": "doc", "within": "30h of Signed Up"},
    "quiet": {"since": ["Made", "Shared"]},
    "early": {"count": "Made", "within": "30h of Signed Up"},
    "limit": {"trait": "user.seats"},
    "usage": {"ratio": ["recent", "limit"]},
    "mean": {"ratio": ["month", "lately"]},
    "ask": {"sequence": ["Made", "Shared"], "apart": "3h", "within": "2 days"},
    "asked": {"sequence": ["Shared", "Shared"], "apart": "1h"},
}
OF_ACCOUNTS: dict[str, Any] = {
    "team": {"members": {"active_days": "any", "within": "3 days"}, "having": "at least 2"},
    "heads": {"members": {"count": "Made", "within": "5h"}, "having": "at least 1", "where": {"user.role": "admin"}},
    "people": {"distinct": "any", "of": "user_id", "within": "1 day"},
    "limit": {"trait": "account.seats"},
}
_OPERANDS = ("recent", "limit", "month", "lately")
_COUNTS = ("made", "recent", "before", "lately", "earlier", "docs", "kinds", "days", "early", "ask", "asked")
_NUMBER_TESTS = st.one_of(
    *[st.integers(1, 2).map("at least {}".format)] * 4,
    st.integers(0, 2).map("at most {}".format),
    st.sampled_from([1, "between 1 and 2", "more than 1", "less than 2"]),
)
_TESTS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys((*_COUNTS, "team", "heads", "people"), _NUMBER_TESTS),
    **dict.fromkeys(("month", "most", "least"), st.sampled_from(["at least 5", "at most 1", "is not known"])),
    **dict.fromkeys(("newest", "oldest"), st.sampled_from(["x", "not x", "is known"])),
    "quiet": st.sampled_from(["more than 5h", "at least 1 day", "at most 30m", "between 30m and 5h", "is not known"]),
    "limit": st.sampled_from(["at least 2", "is known"]),
    "usage": st.sampled_from(["at least 50%", "less than 80%"]),
    "mean": st.sampled_from(["at least 3", "less than 200%"]),
}


def _criteria(entity: str) -> st.SearchStrategy[Any]:
    names = sorted(SIGNALS if entity == "user" else SIGNALS | OF_ACCOUNTS)
    about = st.sampled_from(names).flatmap(lambda name: st.tuples(st.just(name), _TESTS[name]))
    trait = st.tuples(st.just(f"{entity}.plan"), st.sampled_from(["trial", "not paid", "is known"]))
    return st.one_of(about, about, about, about, trait).map(lambda pair: {pair[0]: pair[1]})


def _conditions(entity: str) -> st.SearchStrategy[Any]:
    def of(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        some = st.lists(parts, min_size=2, max_size=3)
        return st.one_of(
            some.map(lambda found: {"all": found}),
            some.map(lambda found: {"any": found}),
            parts.map(lambda part: {"not": part}),
            st.tuples(st.integers(1, 2), some).map(lambda pair: {"at_least": {"count": pair[0], "of": pair[1]}}),
        )

    return st.recursive(_criteria(entity), of, max_leaves=3)


def _scores(entity: str) -> st.SearchStrategy[Any]:
    points = st.sampled_from([5, 10, 10, 2.5, -5])
    when = st.tuples(_criteria(entity), points).map(lambda pair: {"when": pair[0], "points": pair[1]})
    each = st.sampled_from(["made", "recent", "lately", "days", "kinds", "ask"]).map(
        lambda name: {"each": name, "points": 4, "cap": 9}
    )
    fading = st.tuples(st.sampled_from(["made", "lately"]), st.sampled_from(["5h", "2 days"])).map(
        lambda pair: {"each": pair[0], "points": 6, "half_life": pair[1]}
    )
    items = st.lists(st.one_of(when, each, fading), min_size=1, max_size=3)
    # Enough for the best tier, so that lint has nothing to say.
    most = {"when": {"made": "at least 2"}, "points": 20}
    return st.tuples(items, st.sampled_from([None, 3, 5])).map(
        lambda pair: {"score": [*pair[0], most], "enter": 8} | ({} if pair[1] is None else {"exit": pair[1]})
    )


def _lifecycles(entity: str) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {},
        optional={
            "hold": st.sampled_from(["10m", "2h"]),
            "exit": _criteria(entity),
            "expire": st.sampled_from(["5h", "1 day"]),
            "convert": st.just({"event": "Paid"}),
            "requalify": st.fixed_dictionaries(
                {"after": st.sampled_from(["0 days", "5h", "1 day"])},
                optional={"beyond": st.sampled_from([{"made": "150%"}, {"lately": "100%"}])},
            ),
        },
    )


@st.composite
def _definitions(draw: st.DrawFn) -> Definition:
    entity = draw(st.sampled_from(["user", "account"]))
    body: dict[str, Any] = {"signals": SIGNALS if entity == "user" else SIGNALS | OF_ACCOUNTS}
    shape = draw(st.sampled_from(["plain", "plain", "score", "stages", "variants"]))
    when = {f"{entity}.plan": "trial"}
    if shape == "stages":
        rungs = [{"name": n, "qualify": draw(_criteria(entity))} for n in ("one", "two")]
        body["stages"] = rungs
        body["variants"] = [{"name": "v", "when": when, "stage": "two", "qualify": draw(_criteria(entity))}]
    else:
        body["qualify"] = draw(_scores(entity) if shape == "score" else _conditions(entity))
    if shape == "variants":
        body["variants"] = [{"name": "v", "when": when, "qualify": draw(_conditions(entity))}]
    if shape == "score":
        body["tiers"] = {"hot": {"score": "at least 12"}, "warm": {"score": "at least 8"}}
    if draw(st.booleans()):
        body["eligible"] = draw(_criteria(entity))
    body["lifecycle"] = draw(_lifecycles(entity))
    try:
        return read(entity, body)
    except DefinitionProblems:
        reject()  # what always or never holds is no definition


def read(entity: str, body: dict[str, Any]) -> Definition:
    """A whole file around what decides."""
    header = {"id": "probe", "version": 1, "entity": entity, "stage": "activation", "owner": "growth"}
    rest = {"why": "Because.", "predicts": {"event": "Subscription Started", "within": "30 days"}}
    told = json.dumps({key: value for key, value in body.items() if key != "signals"})
    # Only what is used, for speed; ratios use others.
    used = {key: value for key, value in body["signals"].items() if f'"{key}"' in told or key in _OPERANDS}
    clauses = {key: value for key, value in body.items() if value != {}}
    text = json.dumps({"pql": header, **rest, **clauses, "signals": used})
    (found,) = read_definitions({"probe.yaml": text, "project.yaml": PROJECT}).definitions
    return found


DEFINITIONS = _definitions()
# Only what more events can bring about.
AT_LEAST = (
    st.lists(
        st.tuples(st.sampled_from([*_COUNTS, "docs", "kinds"]), st.integers(1, 3).map("at least {}".format)),
        min_size=1,
        max_size=3,
    )
    .map(lambda pairs: [{name: test} for name, test in pairs])
    .flatmap(lambda parts: st.sampled_from([{"all": parts}, {"any": parts}]))
    .map(lambda qualify: read("user", {"signals": SIGNALS, "qualify": qualify}))
)

# The furthest there are, two that change their clocks on other days, and two that are none.
ZONES = ["Pacific/Kiritimati", "Etc/GMT+12", "America/New_York", "Asia/Kathmandu", "Mars/Olympus_Mons", 7]

# --- histories --------------------------------------------------------------------------------------------------------

_INSTANTS = st.builds(
    lambda base, offset, more: START + base + offset + more,
    st.sampled_from([0, 2 * HOUR, 3 * HOUR, 5 * HOUR, 24 * HOUR, 29 * HOUR, 48 * HOUR, 74 * HOUR]),
    st.sampled_from([0, 0, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR]),
    st.sampled_from([0, 0, 0, -1_000, 1_000]),
)
_PROPERTIES = st.fixed_dictionaries(
    {}, optional={"doc": st.sampled_from(["x", "y"]), "size": st.sampled_from([1, 5, "5", 0.1, "many"])}
)
_NAMES = st.sampled_from(["Made", "Made", "Shared", "Shared", "Signed Up", "Paid", "Other"])
_EVENTS = st.fixed_dictionaries(
    {"t": _INSTANTS, "event": _NAMES, "properties": _PROPERTIES, "user": st.sampled_from(["ada", "ada", "bob"])}
)
_TRAITS = st.fixed_dictionaries(
    {
        "t": _INSTANTS,
        "user": st.sampled_from(["ada", "bob"]),
        "traits": st.one_of(
            st.sampled_from(["trial", "paid"]).map(lambda plan: {"account.plan": plan, "user.plan": plan}),
            st.sampled_from([1, 4]).map(lambda seats: {"account.seats": seats, "user.seats": seats}),
            st.sampled_from(["admin", "member"]).map(lambda role: {"user.role": role}),
            st.sampled_from(ZONES).map(lambda zone: {"account.timezone": zone}),
        ),
    }
)
# In order of time; what comes later in the list has the larger event id.
HISTORIES = st.tuples(st.lists(_EVENTS, min_size=1, max_size=9), st.lists(_TRAITS, max_size=3)).map(
    lambda parts: [{**e, "t": format_instant(e["t"])} for e in sorted([*parts[1], *parts[0]], key=lambda e: e["t"])]
)
AS_OF = st.builds(
    lambda base, hours, more: base + hours * HOUR + more, _INSTANTS, st.integers(0, 60), st.integers(-1, 1)
)


@dataclass(frozen=True)
class Event:
    """One event of an example, as the recount reads it."""

    id: int
    at: int
    name: str
    user: str
    properties: dict[str, Any] = field(default_factory=dict)


def known_of(entity: str, given: list[dict[str, Any]]) -> Known:
    """What is known of the one entity to which all of it happened."""
    events = [
        Event(index, parse_instant(e["t"]), e["event"], e["user"], e["properties"])
        for index, e in enumerate(given)
        if "event" in e
    ]
    told = [(parse_instant(e["t"]), e["user"], e["traits"]) for e in given if "traits" in e]

    def trait(trait: Trait, at: int) -> Any:
        said = [t[trait.name] for since, _, t in told if since <= at and trait.name in t]
        return said[-1] if said else None

    def of_member(person: str, trait: Trait, at: int) -> Any:
        said = [t[trait.name] for since, user, t in told if since <= at and user == person and trait.name in t]
        return said[-1] if said else None

    return Known(
        events=events,
        person=lambda event: event.user,
        user=lambda event: event.user,
        trait=trait,
        trait_of_member=of_member,
        trait_instants=frozenset(since for since, _, _ in told),
        zone=([t["account.timezone"] for _, _, t in told if "account.timezone" in t] or [None])[-1],
    )
