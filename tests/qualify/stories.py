"""Definitions and random histories for the property tests."""

from typing import Any

from hypothesis import strategies as st

from assay.contract.times import DAY, HOUR, MINUTE, format_instant
from assay_collector.pql.definition import Catalogue
from assay_collector.pql.language import read_definitions
from qualify.wire import START, Message

# Soon after the windows have ended, so that they are seen open and closed; and some events lie in its future.
NOW = START + 4 * DAY
LATER = NOW + 10 * MINUTE

PROJECT = """
project: small
exclude:
  default: [bots]
  lists:
    bots: {user.bot: true}
    rivals: {account.domain: [rival.example]}
"""

BODIES = {
    # Of users: over all time, an anchored window, one shorter than an hour, negation, traits, shares.
    "u-two": "signals: {made: {count: Made}}\nqualify: {made: at least 2}",
    "u-window": """
window: 2 days of Signed Up
signals: {made: {count: Made}, docs: {distinct: Shared, of: doc}}
qualify: {made: at least 1, docs: at least 1}""",
    "u-half-hour": "window: 30m of Signed Up\nsignals: {made: {count: Made}}\nqualify: {made: at least 1}",
    "u-exact": "window: 30m of Signed Up\nsignals: {made: {count: Made}}\nqualify: {made: 1}",
    "u-not": """
signals: {made: {count: Made}, big: {count: Shared, where: {size: at least 5}}}
qualify: {made: at least 1, not: {big: at least 2}}""",
    "u-role": """
signals: {made: {count: Made}}
qualify: {made: at least 1, user.role: [admin, owner]}
eligible: {user.plan: not paid}""",
    "u-share": """
window: 2h of Signed Up
signals: {made: {count: Made}, docs: {distinct: Shared, of: doc}, big: {count: Shared, where: {size: at least 5}}}
qualify: {at_least: {share: 40%, of: {made: at least 2, docs: at least 2, big: at least 1}}}""",
    "u-account": "signals: {made: {count: Made}}\nqualify: {made: at least 1, account.plan: trial}",
    "u-trait": "qualify: {user.role: admin}",
    # Of accounts: the same, and people counted, and both kinds of lists.
    "a-three": "signals: {made: {count: Made}}\nqualify: {made: at least 3}",
    "a-window": """
window: 2h of Signed Up
signals: {made: {count: Made}, docs: {distinct: Shared, of: doc}}
qualify: {any: [{made: at least 2}, {docs: at least 2}]}""",
    "a-people": "signals: {people: {distinct: any, of: user_id}}\nqualify: {people: at least 2}",
    "a-between": "signals: {made: {count: Made}}\nqualify: {made: between 1 and 2}",
    "a-trial": """
signals: {made: {count: [Made, Shared]}}
qualify: {made: at least 1, account.seats: at most 10}
eligible: {account.plan: trial}
exclude: [rivals]""",
}

# Only `at least` over all time or an anchored window: never undone by an event.
MONOTONE = ("u-two", "u-window", "u-half-hour", "u-share", "a-three", "a-window", "a-people")

# One definition, and ways to ask for more.
AS_IT_WAS = """
signals: {made: {count: Made}, docs: {distinct: Shared, of: doc}}
qualify: {any: [{made: at least 1}, {docs: at least 1}]}"""
STRICTER = {
    "with-one-more": AS_IT_WAS.replace("qualify: {", "qualify: {account.plan: trial, "),
    "with-a-higher": AS_IT_WAS.replace("made: at least 1", "made: at least 2"),
    "with-both-higher": AS_IT_WAS.replace("at least 1", "at least 2"),
    "with-a-list": f"{AS_IT_WAS}\nexclude: [rivals]",
    "with-a-gate": f"{AS_IT_WAS}\neligible: {{account.seats: at most 10}}",
}


def definition_text(name: str, body: str) -> str:
    """A whole file around what decides."""
    entity = "user" if name.startswith("u-") else "account"
    return (
        f"pql: {{id: {name}, version: 1, entity: {entity}, stage: activation, owner: growth}}\n"
        "why: Because.\npredicts: {event: Subscription Started, within: 30 days}\n"
        f"{body.strip()}\n"
    )


def catalogue_of(bodies: dict[str, str]) -> Catalogue:
    """These definitions in the small project."""
    texts = {f"{name}.yaml": definition_text(name, body) for name, body in bodies.items()}
    return read_definitions({"project.yaml": PROJECT, **texts})


CATALOGUE = catalogue_of(BODIES)

# --- histories ------------------------------------------------------------------------------------------------------

_HOURS = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 47, 48, 49])
_OFFSETS = st.sampled_from([0, 0, 1, 10 * MINUTE, 29 * MINUTE, 30 * MINUTE - 1, 30 * MINUTE, 30 * MINUTE + 1, HOUR - 1])
# Now and then the near future, and what a wrong clock calls the future.
INSTANTS = st.one_of(
    *[st.builds(lambda hours, offset: START + hours * HOUR + offset, _HOURS, _OFFSETS)] * 9,
    st.sampled_from([NOW, NOW + 2 * MINUTE, NOW + HOUR]),
)
_RARELY = st.integers(0, 19).map(lambda n: n == 0)
_SOMETIMES = st.sampled_from([False, False, True])
_PEOPLE = st.sampled_from(
    [("ada", None)] * 6
    + [(None, "v1")] * 3
    + [("bob", None), ("bob", None), (None, "v2"), ("ada", "v1"), ("bob", "v1"), ("bob", "v2")]
)
_ACCOUNTS = st.sampled_from([None, None, "acme", "acme", "acme", "beta"])


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """One message, still without an id."""
    user, anon = draw(_PEOPLE)
    kind = draw(st.sampled_from(["track"] * 7 + ["identify", "group"]))
    at = draw(INSTANTS)
    message: Message = {"type": kind, "timestamp": format_instant(at), "userId": user, "anonymousId": anon}
    context: dict[str, Any] = {}
    if draw(_RARELY):
        purpose = draw(st.sampled_from(["pql_scoring", "pql_scoring", "analytics"]))
        context["consent"] = {"categoryPreferences": {purpose: draw(st.booleans())}}
    if kind == "track":
        message |= draw(_TRACKS)
        account = draw(_ACCOUNTS)
        if account is not None:
            context["groupId"] = account
    elif kind == "identify":
        message["traits"] = draw(_USER_TRAITS)
    else:
        message |= {"groupId": draw(st.sampled_from(["acme", "acme", "beta"])), "traits": draw(_ACCOUNT_TRAITS)}
    if draw(_RARELY):
        # A clock three hours ahead; the device says so itself.
        message |= {"timestamp": format_instant(at + 3 * HOUR), "sentAt": format_instant(NOW + 3 * HOUR)}
    if draw(_RARELY):
        message["source"] = "strict"
    return {key: value for key, value in {**message, "context": context}.items() if value is not None}


def _track(event: str, **properties: st.SearchStrategy[Any]) -> st.SearchStrategy[Message]:
    return st.fixed_dictionaries({"event": st.just(event), "properties": st.fixed_dictionaries(properties)})


_SHARED = _track("Shared", doc=st.sampled_from(["x", "y", 3, 3.0]), size=st.sampled_from([1, 5, "5", None]))
_TRACKS = st.one_of(_track("Signed Up"), _track("Made"), _track("Made"), _SHARED, _SHARED, _SHARED, _track("Other"))
_USER_TRAITS = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["admin", "member"]),
        "plan": st.sampled_from(["free", "paid", None]),
        "bot": st.sampled_from([True, False, False]),
    },
)
_ACCOUNT_TRAITS = st.fixed_dictionaries(
    {},
    optional={
        "plan": st.sampled_from(["trial", "paid"]),
        "seats": st.sampled_from([5, "10", 11, "many"]),
        "domain": st.sampled_from(["rival.example", "acme.example", None]),
    },
)


def numbered(found: list[Message]) -> list[Message]:
    """Each with an id of its own."""
    return [{**message, "messageId": f"m{index}"} for index, message in enumerate(found)]


# What makes the rest count: somebody signs up, belongs somewhere, has a role.
_OPENERS: list[Message] = [
    {"type": "track", "event": "Signed Up", "userId": "ada", "properties": {}, "context": {"groupId": "acme"}},
    {"type": "track", "event": "Signed Up", "anonymousId": "v1", "properties": {}},
    {"type": "identify", "userId": "ada", "anonymousId": "v1", "traits": {"role": "admin", "plan": "free"}},
    {"type": "group", "userId": "ada", "groupId": "acme", "traits": {"plan": "trial", "seats": 5}},
]


@st.composite
def _histories(draw: st.DrawFn) -> list[Message]:
    openers = [
        {**message, "timestamp": format_instant(START + draw(_OFFSETS))} for message in _OPENERS if not draw(_SOMETIMES)
    ]
    return draw(st.permutations([*openers, *draw(st.lists(messages(), min_size=8, max_size=20))]))


HISTORIES = _histories().map(numbered)
