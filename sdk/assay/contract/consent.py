"""Consent as messages carry it: which purposes a person granted or denied, read from the signals of the field."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

Purpose = Literal["analytics", "pql_scoring", "sales_contact", "third_party_share", "enrichment"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
# The purposes without which nothing about a person may be tallied or used in a verdict.
SCORING_PURPOSES: tuple[Purpose, ...] = ("analytics", "pql_scoring")
State = Literal["granted", "denied", "withdrawn", "expired", "unknown"]
STATES: tuple[State, ...] = get_args(State)
# Global Privacy Control is an opt-out of sale and sharing.
GPC_PURPOSES: tuple[Purpose, ...] = ("sales_contact", "third_party_share")
# The track event by which consent managers for Segment report a choice. It had the shorter name first.
PREFERENCE_EVENTS = frozenset({"Segment Consent Preference Updated", "Segment Consent Preference"})
# What the storage types of Google's consent mode mean, unless a source says otherwise.
GOOGLE_CATEGORIES: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "analytics_storage": ("analytics",),
        "ad_storage": ("third_party_share",),
        "ad_user_data": ("third_party_share",),
        "ad_personalization": ("third_party_share",),
    }
)
# What holds until the person has chosen: it decides about the event it came with, and is nobody's word.
DEFAULT_SIGNAL = "google.default"

_YES = (True, 1, "1")
# Strings of the industry's frameworks: kept as they are, never interpreted.
_OPAQUE = ("tcf", "tcfString", "tcString", "gpp", "gppString", "usPrivacy")
_SPEAKING = frozenset({"consent", "consentManagement", "googleConsent", "gpc", "dnt", *_OPAQUE})


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsentRules:
    """How a source's signals are read."""

    # The consent manager's category -> purposes. A category that is named like a purpose needs none.
    categories: Mapping[str, Sequence[str]] = field(default_factory=lambda: MappingProxyType({}))
    gpc: Sequence[str] = GPC_PURPOSES  # what Global Privacy Control denies
    dnt: Sequence[str] = ()  # what Do Not Track denies; empty: it is ignored
    google: bool = False  # whether context.googleConsent is read


PLAIN_RULES = ConsentRules()


@dataclass(frozen=True, slots=True)
class ConsentReading:
    """What one message says about consent, and what it was read from."""

    states: Mapping[str, State] = field(default_factory=lambda: MappingProxyType({}))  # by purpose
    signals: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # purpose -> where it was read
    evidence: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))  # the raw objects, by signal
    legal_basis: str | None = None
    policy_version: str | None = None  # of the text that the person agreed to
    expires_at: int | None = None  # when what is granted ends by itself


NOTHING_SAID = ConsentReading()


def read_consent(
    context: Mapping[str, Any],
    *,
    gpc: bool = False,
    dnt: bool = False,
    rules: ConsentRules = PLAIN_RULES,
    preferences: Mapping[str, Any] | None = None,
) -> ConsentReading:
    """
    What a message says about consent.

    Args:
        gpc: The request came with ``Sec-GPC: 1``.
        dnt: The request came with ``DNT: 1``.
        preferences: The properties of an event of PREFERENCE_EVENTS, which may hold what its context lacks.

    Returns:
        A purpose is denied as soon as one category that bears on it is false, and granted when every one is there and
        true; denied in one signal beats granted in another. Purposes nobody spoke of are absent.
    """
    if not gpc and not dnt and preferences is None and _SPEAKING.isdisjoint(context):
        return NOTHING_SAID
    reader = _Reader(rules)
    consent = context.get("consent")
    if preferences is not None and _preferences_of(consent) is None:
        reader.segment("segment.preference_event", preferences.get("consent", preferences))
    reader.segment("context.consent", consent)
    reader.rudderstack(context.get("consentManagement"))
    if rules.google:
        reader.google(context.get("googleConsent"))
    if gpc or context.get("gpc") in _YES:
        reader.refuse("gpc", rules.gpc)
    if rules.dnt and (dnt or context.get("dnt") in _YES):
        reader.refuse("dnt", rules.dnt)
    for name in _OPAQUE:
        if isinstance(context.get(name), str):
            reader.evidence[name] = context[name]
    return reader.reading()


def read_statement(properties: Mapping[str, Any]) -> ConsentReading:
    """
    What a message of type ``consent`` says; its content was checked when it was read.

    Args:
        properties: ``purposes`` (purpose -> state), perhaps ``legalBasis``, ``policyVersion``, ``expiresAt``
            (microseconds) and ``evidence``.
    """
    states: Mapping[str, State] = properties["purposes"]
    return ConsentReading(
        states,
        dict.fromkeys(states, "statement"),
        {"statement": properties.get("evidence")},
        properties.get("legalBasis"),
        properties.get("policyVersion"),
        properties.get("expiresAt"),
    )


class _Reader:
    """Gathers what the signals of one message say."""

    def __init__(self, rules: ConsentRules) -> None:
        self._rules = rules
        self._states: dict[str, State] = {}
        self._signals: dict[str, str] = {}
        self.evidence: dict[str, Any] = {}

    def reading(self) -> ConsentReading:
        if not self._states and not self.evidence:
            return NOTHING_SAID
        return ConsentReading(self._states, self._signals, self.evidence)

    def segment(self, signal: str, consent: object) -> None:
        """``{"categoryPreferences": {category: bool}}``."""
        preferences = _preferences_of(consent)
        if preferences is not None:
            self.evidence[signal] = consent
            self._hear(signal, {category: value is True for category, value in preferences.items()})
        elif isinstance(consent, dict) and any(isinstance(consent.get(name), str) for name in _OPAQUE):
            self.evidence[signal] = consent

    def rudderstack(self, consent: object) -> None:
        """``{"allowedConsentIds": [...], "deniedConsentIds": [...]}``; what is in both is denied."""
        if not isinstance(consent, dict):
            return
        allowed, denied = _names(consent.get("allowedConsentIds")), _names(consent.get("deniedConsentIds"))
        if allowed or denied:
            self.evidence["context.consentManagement"] = consent
            self._hear("context.consentManagement", {**dict.fromkeys(allowed, True), **dict.fromkeys(denied, False)})

    def google(self, consent: object) -> None:
        """``{"default": {type: granted | denied}, "update": {...}}``; the bare types are an update."""
        if not isinstance(consent, dict):
            return
        has_parts = "default" in consent or "update" in consent
        updated = _granted(consent.get("update") if has_parts else consent)
        merged = {**(_granted(consent.get("default")) if has_parts else {}), **updated}
        if not merged:
            return
        self.evidence["context.googleConsent"] = self.evidence[DEFAULT_SIGNAL] = consent
        mapping = {**GOOGLE_CATEGORIES, **self._rules.categories}
        for purpose in PURPOSES:
            bearing = {name: yes for name, yes in merged.items() if purpose in mapping.get(name, ())}
            state = _state(purpose, bearing, mapping)
            if state is not None:
                # A choice is the person's only where it is not the default that speaks.
                chosen = [name for name, yes in bearing.items() if name in updated and yes is (state == "granted")]
                is_word = bool(chosen) if state == "denied" else len(chosen) == len(bearing)
                self._say(purpose, state, "context.googleConsent" if is_word else DEFAULT_SIGNAL)

    def refuse(self, signal: str, purposes: Iterable[str]) -> None:
        self.evidence[signal] = True
        for purpose in purposes:
            self._say(purpose, "denied", signal)

    def _hear(self, signal: str, said: Mapping[str, bool]) -> None:
        """What yes and no to categories mean for purposes."""
        for purpose in PURPOSES:
            state = _state(purpose, said, self._rules.categories)
            if state is not None:
                self._say(purpose, state, signal)

    def _say(self, purpose: str, state: State, signal: str) -> None:
        if self._states.get(purpose) != "denied":
            self._states[purpose] = state
            self._signals[purpose] = signal


def _state(purpose: str, said: Mapping[str, bool], mapping: Mapping[str, Sequence[str]]) -> State | None:
    by_name = purpose in said and purpose not in mapping
    # Google's types are no categories of a consent manager's, which need not speak of them.
    bearing = [n for n, meant in mapping.items() if purpose in meant and (n in said or n not in GOOGLE_CATEGORIES)]
    heard = [said[name] for name in bearing if name in said] + ([said[purpose]] if by_name else [])
    if not all(heard):
        return "denied"
    return "granted" if heard and (by_name or all(name in said for name in bearing)) else None


def _preferences_of(consent: object) -> Mapping[str, Any] | None:
    preferences = consent.get("categoryPreferences") if isinstance(consent, dict) else None
    return preferences if isinstance(preferences, dict) else None


def _names(value: object) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _granted(types: object) -> dict[str, bool]:
    if not isinstance(types, dict):
        return {}
    return {name: value == "granted" for name, value in types.items() if value in ("granted", "denied")}
