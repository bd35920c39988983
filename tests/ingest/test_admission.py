"""From an event to everything that is stored of it: pure, and the same in every collector."""

from typing import Any

import msgspec
import pytest

from assay.contract.ids import event_id
from assay_collector.identity.identifiers import identifier_hasher
from assay_collector.ingest.admission import Admitter, PlanFinding
from assay_collector.pql.matching import SignalIndex
from assay_collector.store import Admission, Identifier, Link, Membership, Source, Touch, TraitChange
from builders import NOW, message, read_event, signal

identify = identifier_hasher(b"k" * 32)
ANNA, ANON, ACME = (
    identify("default", "user", "anna"),
    identify("default", "anonymous", "a1"),
    identify("default", "account", "acme"),
)
OWN_ID = event_id("app", "m1")
APP = Source(id="app", name="app")
COUNTED = signal("Task Assigned")
COUNTED_OF_ACCOUNTS = signal("Task Assigned", scope="account")


def admit(*, source: Source = APP, gpc: bool = False, ip: str | None = None, **fields: Any) -> Admission:
    """What is stored of a message of anna's."""
    admitter = Admitter(identify, SignalIndex([COUNTED, COUNTED_OF_ACCOUNTS]))
    return admitter.admit(read_event(message(**{"userId": "anna", **fields})), source, PlanFinding(), gpc=gpc, ip=ip)


def consenting(**said: object) -> dict[str, object]:
    return {"consent": {"categoryPreferences": said}}


# --- who ---


def test_raw_identifiers_stand_only_among_the_identifiers():
    """Nothing else of the admission carries a name."""
    admission = admit(anonymousId="a1", context={"groupId": "acme"})

    assert {
        Identifier(ANNA, "default", "user", "anna"),
        Identifier(ANON, "default", "anonymous", "a1"),
        Identifier(ACME, "default", "account", "acme"),
    } == set(admission.identifiers)
    rest = msgspec.structs.replace(
        admission, identifiers=(), event=msgspec.structs.replace(admission.event, context=b"")
    )
    assert b"anna" not in msgspec.json.encode(rest)


def test_an_event_lies_under_its_user_id_else_its_anonymous_id():
    """That is its leaf; it stays so whatever is learned later."""
    assert (ANNA, ANON) == (admit(anonymousId="a1").event.leaf, admit(userId=None, anonymousId="a1").event.leaf)


def test_namespaces_keep_people_apart():
    """The same user id in two namespaces is two persons, in two sources of one namespace one."""
    other = admit(source=Source(id="b", name="b", namespace="b")).event
    twin = admit(source=Source(id="c", name="c")).event

    assert (False, True, 3) == (
        other.leaf == ANNA,
        twin.leaf == ANNA,
        len({OWN_ID, other.event_id, twin.event_id}),
    )


def test_types_of_identifiers_are_kept_apart():
    """A user, a visitor and an account that are called the same are three."""
    assert 3 == len({identify("n", type, "x") for type in ("user", "anonymous", "account")})


def test_without_the_key_nobody_can_be_looked_up():
    """Another key gives other ids; the same key the same ones, in every collector."""
    assert identify("n", "user", "x") == identifier_hasher(b"k" * 32)("n", "user", "x")
    assert identify("n", "user", "x") != identifier_hasher(b"o" * 32)("n", "user", "x")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({"anonymousId": "a1"}, 1), ({}, 0), ({"userId": None, "anonymousId": "a1"}, 0)],
)
def test_two_ids_on_one_message_are_a_link(fields, expected):
    """From its smaller to its larger end, observed at the event's time."""
    links = admit(**fields, timestamp="2026-03-01T08:00:00Z").links

    assert [Link(min(ANNA, ANON), max(ANNA, ANON), "observed", NOW - 3_600_000_000, OWN_ID)] * expected == list(links)


def test_group_opens_a_membership_and_describes_the_account():
    """From the event's time on; the traits are the account's."""
    admission = admit(type="group", groupId="acme", traits={"plan": "pro"})

    assert (Membership(ANNA, ACME, NOW, OWN_ID),) == admission.memberships
    assert (TraitChange(ACME, "plan", NOW, OWN_ID, b'"pro"'),) == admission.traits


def test_identify_describes_the_person():
    """Each trait is a change of its own, null too: it was taken away."""
    admission = admit(type="identify", traits={"plan": "pro", "role": None}, context={"groupId": "acme"})

    assert {
        TraitChange(ANNA, "plan", NOW, OWN_ID, b'"pro"'),
        TraitChange(ANNA, "role", NOW, OWN_ID, b"null"),
    } == set(admission.traits)
    assert () == admission.memberships


def test_properties_are_no_traits():
    """A track message describes nobody."""
    assert () == admit(properties={"plan": "pro"}).traits


# --- what is tallied ---


@pytest.mark.parametrize("type", ["page", "screen", "identify", "alias"])
def test_only_track_events_are_tallied(type):
    """A page of that name is no such event."""
    assert () == admit(type=type, name="Task Assigned", previousId="p").marks


@pytest.mark.parametrize("purpose", ["pql_scoring", "analytics"])
def test_what_is_denied_never_reaches_a_tally(purpose):
    """The event is stored, marked as not to be scored, and its word is logged."""
    admission = admit(context=consenting(**{purpose: False}))

    assert (False, ()) == (admission.event.scored, admission.marks)
    assert [(ANNA, purpose, "denied", "context.consent")] == [
        (entry.subject, entry.purpose, entry.state, entry.signal) for entry in admission.consents
    ]


@pytest.mark.parametrize(
    ("policy", "said", "scored"),
    [
        (None, {}, True),
        (None, {"sales_contact": False}, True),
        ({"pql_scoring": "opt_out"}, {}, True),
        ({"pql_scoring": "opt_in"}, {}, False),
        ({"pql_scoring": "opt_in"}, {"pql_scoring": True}, True),
        ({"pql_scoring": "opt_in"}, {"analytics": True}, False),
        ({"analytics": "opt_in"}, {"pql_scoring": True}, False),
        ({"pql_scoring": "opt_out"}, {"pql_scoring": False}, False),
        ({"pql_scoring": "exempt", "analytics": "exempt"}, {"pql_scoring": False}, True),
    ],
)
def test_silence_is_read_by_the_sources_policy(policy, said, scored):
    """opt_in: no without a yes; opt_out: yes without a no; exempt: nobody is asked."""
    context = consenting(**said) if said else {}

    assert scored == admit(source=Source(id="app", name="app", consent=policy), context=context).event.scored


def test_a_consent_managers_categories_are_mapped_by_the_source():
    """Its names are its own."""
    source = Source(id="app", name="app", categories={"C0002": ["pql_scoring"]})

    assert not admit(source=source, context=consenting(C0002=False)).event.scored


def test_the_global_privacy_control_is_recorded():
    """It denies sale and sharing, and says nothing of scoring."""
    admission = admit(gpc=True)

    assert {("sales_contact", "denied", "gpc", b"true"), ("third_party_share", "denied", "gpc", b"true")} == {
        (entry.purpose, entry.state, entry.signal, entry.evidence) for entry in admission.consents
    }
    assert (True, 2) == (admission.event.scored, len(admission.marks))


def test_each_event_names_the_consent_it_was_decided_under():
    """Events that said the same share one snapshot; those that said nothing have none."""
    first, second = (admit(messageId=id, context=consenting(analytics=True)) for id in ("m1", "m2"))
    other = admit(context=consenting(analytics=False))

    assert first.event.consent_id == second.event.consent_id == first.consent.consent_id
    assert first.event.consent_id != other.event.consent_id
    assert (None, None) == (admit().consent, admit().event.consent_id)


# --- who is decided again ---


def touches(**fields: Any) -> set[Touch]:
    return set(admit(**fields).touches)


def test_whoever_is_tallied_is_decided_again():
    """The person, and the account that the event names; without one it may be its person's."""
    named = touches(context={"groupId": "acme"})

    assert {Touch("user", ANNA, "event"), Touch("account", ACME, "event")} == named
    assert {Touch("user", ANNA, "adoption")} == touches()


def test_what_no_signal_looks_at_concerns_nobody():
    """Nor does what consent forbids to look at, but for the consent itself."""
    assert set() == touches(event="Unheard Of", context={"groupId": "acme"})
    assert {Touch("user", ANNA, "consent")} == touches(context=consenting(pql_scoring=False))


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"type": "identify", "traits": {"plan": "a"}}, "trait"),
        ({"type": "page", "anonymousId": "a1"}, "identity"),
        ({"type": "group", "groupId": "acme"}, "identity"),
        ({"type": "page", "context": consenting(pql_scoring=True)}, "consent"),
    ],
)
def test_what_else_changes_a_verdict_touches_the_person(fields, cause):
    """Links, memberships, traits and consent."""
    assert Touch("user", ANNA, cause) in touches(**fields)


# --- the same event ---


def test_consent_to_something_else_than_scoring_concerns_no_verdict():
    """A browser that says GPC with every event is not decided about with every event."""
    assert set() == touches(type="page", context={"gpc": True})


def test_an_alias_is_kept_and_its_ids_with_it():
    """The pair is in the link ledger with a kind of its own, and what it names among the identifiers."""
    admission = admit(type="alias", previousId="before")

    assert ["alias"] == [link.kind for link in admission.links]
    assert {"before", "anna"} == {identifier.value for identifier in admission.identifiers}


# --- where ---


@pytest.mark.parametrize(
    ("context", "connection", "kept"),
    [
        ({"ip": "203.0.113.77"}, None, "203.0.113.0"),
        ({}, "2001:db8:1:2:3::4", "2001:db8:1::"),
        ({"ip": "203.0.113.77"}, "198.51.100.9", "203.0.113.0"),
        ({"ip": "not an address"}, None, None),
        ({}, None, None),
    ],
)
def test_an_address_is_truncated_before_it_is_written(context, connection, kept):
    """/24, or /48 in IPv6; what the client says wins over the connection, and what is no address is left out."""
    row = admit(type="page", context=context, ip=connection).event

    assert kept == msgspec.json.decode(row.context).get("ip")


def digest(**fields: Any) -> bytes:
    return admit(**fields).event.digest


def test_a_repeated_message_has_the_same_digest():
    """What changes when a client retries is left out."""
    assert digest() == digest(sentAt="2026-03-01T08:59:00Z") == digest(writeKey="k", integrations={"All": False})


@pytest.mark.parametrize(
    "fields",
    [
        {"event": "Other"},
        {"userId": "bert"},
        {"anonymousId": "a1"},
        {"properties": {"a": 1}},
        {"context": {"a": 1}},
        {"timestamp": "2026-03-01T08:00:00Z"},
        {"type": "page"},
        {"properties": {"groupId": "acme"}},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_another_payload_has_another_digest(fields):
    """Whatever the client says is part of it."""
    assert digest() != digest(**fields)


def test_another_network_or_order_is_no_other_payload():
    """Sent again from elsewhere, or with its maps in another order, an event is the same."""
    assert digest(context={"ip": "203.0.113.77", "a": 1, "b": 2}) == digest(context={"b": 2, "a": 1, "ip": "192.0.2.1"})


def test_admitting_is_pure():
    """The same message gives the same rows, in every collector that has the key."""
    assert admit(anonymousId="a1", context=consenting(analytics=True)) == admit(
        anonymousId="a1", context=consenting(analytics=True)
    )
