"""What becomes of an event whose person refuses: by its own word, by policy, and by what is known of it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.contract.consent import PURPOSES
from assay.contract.scrubbing import hashed
from assay.contract.times import DAY
from assay_collector.identity.identifiers import identifier_hasher
from assay_collector.ingest.admission import Admitter, PlanFinding
from assay_collector.ingest.anonymising import NOBODY, anonymised, coarse_user_agent
from assay_collector.pql.matching import SignalIndex
from assay_collector.store import Admission, Source
from builders import NOW, message, read_event, signal

identify = identifier_hasher(b"k" * 32)
ANNA, ANON = identify("default", "user", "anna"), identify("default", "anonymous", "a1")


class Known:
    """What is known of everybody; remembers what it was told."""

    def __init__(self, states: Mapping[str, str]) -> None:
        self._states = states
        self.asked: list[tuple[bytes, ...]] = []

    def states(self, ids: Sequence[bytes], users: frozenset[bytes], at: int, now: int) -> Mapping[str, str]:
        self.asked.append(tuple(ids))
        return self._states

    def learn(self, entries: Sequence[object], now: int) -> None:
        """Nothing is to be remembered here."""


def admit(
    *,
    known: Known | None = None,
    settings: Mapping[str, Any] | None = None,
    gpc: bool = False,
    dnt: bool = False,
    **fields: Any,
) -> Admission:
    """What is stored of a message of anna's, by a source with these settings."""
    admitter = Admitter(identify, SignalIndex([signal("Task Assigned")]), known_consent=known)  # type: ignore[arg-type]
    source = Source(id="app", name="app", **(settings or {}))
    event = read_event(message(**{"userId": "anna", **fields}))
    return admitter.admit(event, source, PlanFinding(), gpc=gpc, dnt=dnt)


def saying(**said: bool) -> dict[str, Any]:
    return {"consent": {"categoryPreferences": said}}


def fate(admission: Admission) -> str:
    if admission.dropped:
        return "drop"
    return "anonymise" if admission.event.leaf == NOBODY else "store"


@pytest.mark.parametrize(
    ("settings", "known", "context", "expected"),
    [
        ({"on_deny": {"analytics": "drop"}}, {}, saying(analytics=False), "drop"),
        ({"on_deny": {"analytics": "drop"}}, {}, saying(analytics=True), "store"),
        ({"on_deny": {"analytics": "drop"}}, {}, {}, "store"),
        ({"on_deny": {"analytics": "drop"}}, {"analytics": "denied"}, {}, "drop"),
        ({"on_deny": {"analytics": "drop"}}, {"analytics": "denied"}, saying(analytics=True), "store"),
        ({"on_deny": {"analytics": "drop"}}, {"enrichment": "denied"}, {}, "store"),
        ({"on_deny": {"analytics": "store_restricted"}}, {}, saying(analytics=False), "store"),
        ({"on_deny": {"analytics": "anonymise", "enrichment": "drop"}}, {}, saying(analytics=False), "anonymise"),
        (
            {"on_deny": {"analytics": "anonymise", "enrichment": "drop"}},
            {},
            saying(analytics=False, enrichment=False),
            "drop",
        ),
        ({"on_deny": {"analytics": "drop"}, "consent": {"analytics": "opt_in"}}, {}, {}, "drop"),
        ({"on_deny": {"analytics": "drop"}, "consent": {"analytics": "opt_in"}}, {"analytics": "granted"}, {}, "store"),
        ({"on_deny": {"analytics": "drop"}, "consent": {"analytics": "exempt"}}, {}, saying(analytics=False), "store"),
    ],
)
def test_what_is_refused_is_kept_anonymised_or_dropped(settings, known, context, expected):
    """By the event's own word first, then by what is known, then by the policy; the harshest action of several."""
    assert expected == fate(admit(known=Known(known), settings=settings, context=context))


def test_only_who_destroys_asks_what_is_known():
    """All other events are decided by themselves, and cost no question; those ask for every id of the event."""
    known = Known({})
    admit(known=known, anonymousId="a1")
    admit(known=known, anonymousId="a1", settings={"consent": {"analytics": "opt_in"}})
    assert [] == known.asked
    admit(known=known, anonymousId="a1", settings={"on_deny": {"analytics": "drop"}})

    assert [tuple(sorted((ANNA, ANON)))] == known.asked


def test_of_a_dropped_event_the_word_is_logged():
    """With its evidence; else the refusal would be forgotten with the event that brought it."""
    dropped = admit(settings={"on_deny": {"analytics": "drop"}}, context=saying(analytics=False))

    assert [(ANNA, "analytics", "denied")] == [(e.subject, e.purpose, e.state) for e in dropped.consents]
    assert ((), (), ()) == (dropped.traits, dropped.links, dropped.marks)
    assert {"consent"} == {touch.cause for touch in dropped.touches}


def test_a_statement_is_kept_whatever_it_says():
    """It is the record of the refusal."""
    settings = {"on_deny": {"analytics": "drop"}, "consent": {"enrichment": "opt_in"}}
    said = admit(type="consent", purposes={"analytics": "withdrawn"}, anonymousId="a1", settings=settings)

    assert "store" == fate(said)
    assert {(ANNA, "withdrawn"), (ANON, "withdrawn")} == {
        (e.subject, e.state) for e in said.consents if e.purpose == "analytics"
    }


@pytest.mark.parametrize(
    ("fields", "settings", "expected"),
    [
        ({"gpc": True}, {}, {("sales_contact", "gpc"), ("third_party_share", "gpc")}),
        ({"gpc": True}, {"gpc": ("pql_scoring",)}, {("pql_scoring", "gpc")}),
        ({"dnt": True}, {}, set()),
        ({"dnt": True}, {"dnt": ("enrichment",)}, {("enrichment", "dnt")}),
        (
            {
                "event": "Segment Consent Preference Updated",
                "properties": {"categoryPreferences": {"analytics": False}},
            },
            {},
            {("analytics", "segment.preference_event")},
        ),
        ({"event": "Another", "properties": {"categoryPreferences": {"analytics": False}}}, {}, set()),
        (
            {"context": {"googleConsent": {"default": {"analytics_storage": "denied"}}}},
            {"google_consent": True},
            set(),  # it decides about the event, and is nobody's word
        ),
    ],
)
def test_which_signals_make_a_word(fields, settings, expected):
    """As the source reads them."""
    assert expected == {(e.purpose, e.signal) for e in admit(settings=settings, **fields).consents}


def test_a_preset_no_keeps_its_event_out_and_a_preset_yes_lets_none_in():
    """Before anybody has chosen."""
    asks = {"google_consent": True, "consent": {"analytics": "opt_in"}}
    no, yes = ({"googleConsent": {"default": {"analytics_storage": said}}} for said in ("denied", "granted"))
    chosen = {"googleConsent": {"update": {"analytics_storage": "granted"}}}

    assert [False, True] == [admit(settings={"google_consent": True}, context=c).event.scored for c in (no, yes)]
    assert [False, False, True] == [admit(settings=asks, context=c).event.scored for c in (no, yes, chosen)]
    assert ("analytics",) == admit(settings=asks, context=yes).awaits


def test_a_grant_ends_when_it_says_or_when_the_source_says():
    """Its own end wins; a refusal has none."""
    month = {"consent_days": 30}
    ends = [
        admit(settings=month, context=saying(analytics=True)),
        admit(settings=month, context=saying(analytics=False)),
        admit(settings=month, type="consent", purposes={"analytics": True}, ttlSeconds=60),
        admit(type="consent", purposes={"analytics": True}, expiresAt="2026-04-01T00:00:00Z"),
        admit(context=saying(analytics=True)),
    ]

    assert [NOW + 30 * DAY, None, NOW + 60_000_000, NOW + 30 * DAY + 15 * 3_600_000_000, None] == [
        admission.consents[0].expires_at for admission in ends
    ]


def test_the_snapshot_says_under_what_an_event_was_decided():
    """Its words, the policy, what was known, what followed."""
    admission = admit(
        known=Known({"enrichment": "denied"}),
        settings={"on_deny": {"analytics": "drop"}, "consent": {"pql_scoring": "opt_in"}},
        context=saying(analytics=True),
    )
    assert admission.consent is not None
    decision = msgspec.json.decode(admission.consent.decision)

    assert {"analytics": "granted"} == msgspec.json.decode(admission.consent.states)
    assert {"analytics": "context.consent"} == decision["signals"]
    assert ({"enrichment": "denied"}, ["pql_scoring", "enrichment"], "store_restricted", ["pql_scoring"]) == (
        decision["known"],
        decision["refused"],
        decision["action"],
        decision["awaits"],
    )
    assert "opt_in" == decision["policies"]["pql_scoring"]


# --- anonymous ---

IDS = st.sampled_from(["user-77f3", "anon-91c2", "prev-5b1e", "acme-40d8"])
VALUES = st.recursive(
    IDS | st.booleans() | st.integers(0, 9) | st.sampled_from(["blue", "ann@shop.example"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["colour", "owner", "size"]), inner, max_size=2)
    ),
    max_leaves=5,
)
NAMING = (
    "userId",
    "owner_id",
    "email",
    "workEmail",
    "ip",
    "session",
    "orderId",
    "first_name",
    "phone",
    "pageUrl",
    "ID",
    "id",
)


@given(
    properties=st.dictionaries(st.sampled_from(["colour", "count", *NAMING]), VALUES, max_size=4),
    context=st.fixed_dictionaries(
        {},
        optional={
            "ip": st.just("203.0.113.77"),
            "groupId": st.just("acme-40d8"),
            "traits": st.just({"email": "ann@shop.example"}),
            "device": st.just({"id": "user-77f3", "type": "phone"}),
            "page": st.just({"url": "https://x.example/user-77f3"}),
            "consent": st.just({"categoryPreferences": {"analytics": False}, "id": "user-77f3"}),
        },
    ),
    kind=st.sampled_from(["track", "page", "identify", "group", "alias"]),
)
def test_nothing_of_an_anonymised_event_names_anybody(properties, context, kind):
    """Whatever its properties and context quote: no id, no address, no exact time, and no way back by the log."""
    body = {
        "type": kind,
        "userId": "user-77f3",
        "anonymousId": "anon-91c2",
        "previousId": "prev-5b1e",
        "messageId": "m1",
    }
    body |= {"properties": properties, "traits": properties, "groupId": "acme-40d8", "name": "N"}
    said = {**context, "consent": {**context.get("consent", {}), "categoryPreferences": {"analytics": False}}}
    admission = admit(settings={"on_deny": {"analytics": "anonymise"}}, **{**body, "context": said})
    event = admission.event

    stored = json.dumps([msgspec.to_builtins(event), msgspec.to_builtins(admission.consent)])
    for quoted in ("77f3", "91c2", "5b1e", "40d8", "203.0.113", "@", identify("default", "user", "user-77f3").hex()):
        assert quoted not in stored
    assert (NOBODY, None, 0, 0, None, None) == (
        event.leaf,
        event.account,
        event.at % DAY,
        event.received_at % DAY,
        event.original_at,
        event.sent_at,
    )
    assert not NAMING_KEYS & _keys(msgspec.json.decode(event.properties))
    assert {None} == {entry.event_id for entry in admission.consents}
    assert ((), (), (), ()) == (admission.identifiers, admission.links, admission.traits, admission.marks)


NAMING_KEYS = set(NAMING)


def _keys(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*(_keys(each) for each in value)) if value else set()
    return set(value).union(*(_keys(each) for each in value.values())) if isinstance(value, dict) else set()


def test_what_counts_of_an_anonymised_event_stays():
    """What was done, with what does not tell who."""
    properties = {"seats": 3, "plan": "team", "nested": {"colour": "blue", "owner": "anna"}, "tags": ["a", "anna"]}
    properties["contact"] = hashed("email", "anna@shop.example", b"k")
    event = anonymised(read_event(message(properties=properties, userId="anna")))

    assert {"seats": 3, "plan": "team", "nested": {"colour": "blue"}, "tags": ["a"]} == event.properties


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
            "Chrome/126 (Windows)",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox/128 (Linux)"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/125.0 Safari/537.36 Edg/125.0.2535.92", "Edg/125 (Windows)"),
        ("acme-agent/7 (build 991c; user anna)", "other (other)"),
        ("", "other (other)"),
    ],
)
def test_a_coarse_user_agent_is_shared_by_many(agent, expected):
    """The browser's family and major version, the system's family."""
    assert expected == coarse_user_agent(agent)


def test_every_purpose_may_have_an_action():
    """Not only those of scoring."""
    for purpose in PURPOSES:
        assert "drop" == fate(admit(settings={"on_deny": {purpose: "drop"}}, context=saying(**{purpose: False})))
