"""Consent is read from what messages carry: denied beats granted, and silence is no word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.contract.consent import GPC_PURPOSES, NOTHING_SAID, PURPOSES, ConsentRules, read_consent, read_statement

CATEGORIES: dict[str, tuple[str, ...]] = {
    "C0002": ("analytics", "pql_scoring"),
    "C0004": ("pql_scoring", "third_party_share"),
}

MAPPED = ConsentRules(categories=CATEGORIES)
GOOGLE = ConsentRules(google=True)


def preferences(**said: object) -> dict[str, object]:
    return {"consent": {"categoryPreferences": said}}


@pytest.mark.parametrize(
    "context",
    [
        *({}, {"consent": None}, {"consent": []}, {"consent": {"categoryPreferences": None}}, {"consent": "all"}),
        *({"gpc": False}, {"gpc": None}, {"gpc": "0"}, {"gpc": []}, {"gpc": {}}),
    ],
    ids=repr,
)
def test_silence_is_no_word(context):
    """Without preferences or a signal nothing was said, so the source's policy decides."""
    assert NOTHING_SAID is read_consent(context)


def test_a_category_named_like_a_purpose_needs_no_mapping():
    """Our own SDK speaks of purposes."""
    reading = read_consent(preferences(pql_scoring=False, analytics=True))

    assert {"pql_scoring": "denied", "analytics": "granted"} == reading.states


def test_categories_speak_for_their_purposes():
    """A purpose is granted only when all its categories are; unknown categories say nothing."""
    reading = read_consent(preferences(C0002=True, C0004=False, C0099=True), rules=MAPPED)

    assert {"analytics": "granted", "pql_scoring": "denied", "third_party_share": "denied"} == reading.states


def test_a_mapped_name_is_no_longer_its_own_purpose():
    """Who maps a category named like a purpose means the mapping."""
    reading = read_consent(preferences(analytics=True), rules=ConsentRules(categories={"analytics": ("enrichment",)}))

    assert {"enrichment": "granted"} == reading.states


@pytest.mark.parametrize("value", [False, None, 0, 1, "true", "yes", {}, []], ids=repr)
def test_only_true_grants(value):
    """What is not plainly yes is no."""
    assert {"analytics": "denied"} == read_consent(preferences(analytics=value)).states


@pytest.mark.parametrize("value", [True, 1, "1"])
def test_the_global_privacy_control_may_stand_in_the_message(value):
    """A server SDK hands on what its browser said."""
    assert set(GPC_PURPOSES) == set(read_consent({"gpc": value}).states)


def test_the_global_privacy_control_beats_a_grant():
    """Sale and sharing are denied whatever a banner says; scoring is neither."""
    reading = read_consent(preferences(sales_contact=True, pql_scoring=True), gpc=True)

    assert {"sales_contact": "denied", "third_party_share": "denied", "pql_scoring": "granted"} == reading.states
    assert ("gpc", "context.consent") == (reading.signals["sales_contact"], reading.signals["pql_scoring"])


def test_the_raw_objects_are_kept_as_evidence():
    """What was read can be shown as it came."""
    said = {"categoryPreferences": {"analytics": True}, "banner": 7}

    assert {"context.consent": said, "gpc": True} == read_consent({"consent": said}, gpc=True).evidence


# --- other signals ---


def test_of_several_categories_one_that_is_not_there_is_no_grant():
    """Several categories need all true; a no needs only one."""
    assert {"analytics": "granted"} == read_consent(preferences(C0002=True), rules=MAPPED).states
    assert "denied" == read_consent(preferences(C0002=False), rules=MAPPED).states["pql_scoring"]


def test_segments_preference_event_may_say_it_in_its_properties():
    """Its context wins; the signal names the event."""
    said = {"categoryPreferences": {"analytics": False}}
    other = {"categoryPreferences": {"analytics": True}}

    in_properties = read_consent({}, preferences=said)
    assert ({"analytics": "denied"}, {"analytics": "segment.preference_event"}) == (
        in_properties.states,
        in_properties.signals,
    )
    assert {"analytics": "denied"} == read_consent({}, preferences={"consent": said}).states
    assert {"analytics": "granted"} == read_consent({"consent": other}, preferences=said).states
    assert NOTHING_SAID is read_consent({}, preferences={"plan": "pro"})


@pytest.mark.parametrize(
    ("allowed", "denied", "expected"),
    [
        (["analytics"], [], {"analytics": "granted"}),
        (["analytics"], ["analytics"], {"analytics": "denied"}),
        ([], ["pql_scoring"], {"pql_scoring": "denied"}),
        (["C0002", "C0004"], [], dict.fromkeys(("analytics", "pql_scoring", "third_party_share"), "granted")),
        (["C0002"], [], {"analytics": "granted"}),
        (None, {"not": "a list"}, {}),
        ([3, None], ["other"], {}),
    ],
)
def test_with_rudderstack_a_denied_id_wins(allowed, denied, expected):
    """Ids are categories; what is in neither list says nothing."""
    context = {"consentManagement": {"allowedConsentIds": allowed, "deniedConsentIds": denied, "provider": "custom"}}

    assert expected == read_consent(context, rules=MAPPED).states


@pytest.mark.parametrize(
    ("consent", "expected"),
    [
        ({"update": {"analytics_storage": "granted"}}, {"analytics": ("granted", "context.googleConsent")}),
        ({"analytics_storage": "denied"}, {"analytics": ("denied", "context.googleConsent")}),
        ({"default": {"analytics_storage": "denied"}}, {"analytics": ("denied", "google.default")}),
        (
            {"default": {"analytics_storage": "denied"}, "update": {"analytics_storage": "granted"}},
            {"analytics": ("granted", "context.googleConsent")},
        ),
        (
            {"default": {"ad_user_data": "denied"}, "update": {"ad_storage": "granted"}},
            {"third_party_share": ("denied", "google.default")},
        ),
        (
            {"default": {"ad_user_data": "granted"}, "update": {"ad_storage": "granted"}},
            {"third_party_share": ("granted", "google.default")},
        ),
        (
            {"default": {"ad_user_data": "granted"}, "update": {"ad_storage": "denied"}},
            {"third_party_share": ("denied", "context.googleConsent")},
        ),
        ({"update": {"analytics_storage": "maybe", "wait_for_update": 500}}, {}),
        ([], {}),
    ],
)
def test_googles_default_is_nobodys_word(consent, expected):
    """It decides about the event; only an update is what the person said."""
    reading = read_consent({"googleConsent": consent}, rules=GOOGLE)

    assert expected == {purpose: (state, reading.signals[purpose]) for purpose, state in reading.states.items()}


def test_googles_consent_mode_is_read_where_the_source_says_so():
    """Elsewhere a field of that name is the product's own."""
    assert NOTHING_SAID is read_consent({"googleConsent": {"analytics_storage": "denied"}})


@pytest.mark.parametrize(
    "context", [{"gpp": "DBABMA~1YNN"}, {"tcfString": "CP..."}, {"consent": {"tcString": "CP..."}}]
)
def test_strings_of_the_frameworks_are_evidence_only(context):
    """They are kept as they came, and say nothing of any purpose."""
    reading = read_consent(context)

    assert ({}, 1) == (reading.states, len(reading.evidence))


def test_do_not_track_is_a_matter_of_policy():
    """Ignored, unless the source says what it denies."""
    rules = ConsentRules(dnt=("third_party_share",))

    assert NOTHING_SAID is read_consent({"dnt": True}, dnt=True)
    assert {"third_party_share": "denied"} == read_consent({}, dnt=True, rules=rules).states
    assert {"third_party_share": "dnt"} == read_consent({"dnt": True}, rules=rules).signals


def test_what_the_global_privacy_control_denies_may_be_more():
    """A source may read it as a refusal of scoring as well."""
    rules = ConsentRules(gpc=(*GPC_PURPOSES, "pql_scoring"))

    assert {"sales_contact", "third_party_share", "pql_scoring"} == set(read_consent({"gpc": 1}, rules=rules).states)


def test_a_statement_says_it_plainly():
    """Purpose by purpose, with its basis, the text it was given under, and until when."""
    reading = read_statement(
        {"purposes": {"analytics": "withdrawn"}, "legalBasis": "consent", "policyVersion": "7", "expiresAt": 9}
    )

    assert ({"analytics": "withdrawn"}, "consent", "7", 9) == (
        reading.states,
        reading.legal_basis,
        reading.policy_version,
        reading.expires_at,
    )


said = st.dictionaries(st.sampled_from([*PURPOSES, *CATEGORIES, "other"]), st.booleans() | st.none())


@given(said, st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_the_preferences_does_not_show(given_said, gpc, random):
    """The same object in another order means the same."""
    shuffled = list(given_said.items())
    random.shuffle(shuffled)
    first, second = (
        read_consent(preferences(**dict(order)), gpc=gpc, rules=MAPPED) for order in (given_said.items(), shuffled)
    )

    assert (first.states, first.signals) == (second.states, second.signals)


@given(said, st.booleans())
def test_every_state_names_the_signal_it_was_read_from(given_said, gpc):
    """No state without a signal, no signal without evidence."""
    reading = read_consent(preferences(**given_said), gpc=gpc, rules=MAPPED)

    assert set(reading.states) == set(reading.signals)
    assert set(reading.signals.values()) <= set(reading.evidence)
