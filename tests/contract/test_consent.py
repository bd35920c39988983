"""Consent is read from what messages carry: denied beats granted, and silence is no word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.contract.consent import GPC_PURPOSES, NOTHING_SAID, PURPOSES, read_consent

CATEGORIES = {"C0002": ("analytics", "pql_scoring"), "C0004": ("pql_scoring", "third_party_share")}


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
    reading = read_consent(preferences(C0002=True, C0004=False, C0099=True), categories=CATEGORIES)

    assert {"analytics": "granted", "pql_scoring": "denied", "third_party_share": "denied"} == reading.states


def test_a_mapped_name_is_no_longer_its_own_purpose():
    """Who maps a category named like a purpose means the mapping."""
    reading = read_consent(preferences(analytics=True), categories={"analytics": ("enrichment",)})

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


said = st.dictionaries(st.sampled_from([*PURPOSES, *CATEGORIES, "other"]), st.booleans() | st.none())


@given(said, st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_the_preferences_does_not_show(given_said, gpc, random):
    """The same object in another order means the same."""
    shuffled = list(given_said.items())
    random.shuffle(shuffled)
    first, second = (
        read_consent(preferences(**dict(order)), gpc=gpc, categories=CATEGORIES)
        for order in (given_said.items(), shuffled)
    )

    assert (first.states, first.signals) == (second.states, second.signals)


@given(said, st.booleans())
def test_every_state_names_the_signal_it_was_read_from(given_said, gpc):
    """No state without a signal, no signal without evidence."""
    reading = read_consent(preferences(**given_said), gpc=gpc, categories=CATEGORIES)

    assert set(reading.states) == set(reading.signals)
    assert set(reading.signals.values()) <= set(reading.evidence)
