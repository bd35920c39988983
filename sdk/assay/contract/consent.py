"""Consent as messages carry it: which purposes a person granted or denied, read from the signals of the field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Purpose = Literal["analytics", "pql_scoring", "sales_contact", "third_party_share", "enrichment"]
PURPOSES: tuple[Purpose, ...] = ("analytics", "pql_scoring", "sales_contact", "third_party_share", "enrichment")
# The purposes without which nothing about a person may be tallied or used in a verdict.
SCORING_PURPOSES: tuple[Purpose, ...] = ("analytics", "pql_scoring")
State = Literal["granted", "denied"]
# Global Privacy Control is an opt-out of sale and sharing.
GPC_PURPOSES: tuple[Purpose, ...] = ("sales_contact", "third_party_share")


@dataclass(frozen=True, slots=True)
class ConsentReading:
    """What one message says about consent, and what it was read from."""

    states: Mapping[str, State] = field(default_factory=lambda: MappingProxyType({}))  # by purpose
    signals: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # purpose -> where it was read
    evidence: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))  # the raw objects, by signal


NOTHING_SAID = ConsentReading()


def read_consent(
    context: Mapping[str, Any], *, gpc: bool = False, categories: Mapping[str, Sequence[str]] | None = None
) -> ConsentReading:
    """
    What a message says about consent.

    Args:
        context: The message's context; ``consent.categoryPreferences`` and ``gpc`` are read.
        gpc: The request came with ``Sec-GPC: 1``.
        categories: The source's mapping from a consent manager's category to our purposes; a category that is
            named like a purpose needs none.

    Returns:
        A purpose is granted when every category that bears on it is true, denied as soon as one is false; Global
        Privacy Control denies sale and sharing whatever else is said. Purposes nobody spoke of are absent.
    """
    consent = context.get("consent")
    preferences = consent.get("categoryPreferences") if isinstance(consent, dict) else None
    gpc = gpc or context.get("gpc") in (True, 1, "1")
    if not isinstance(preferences, dict) and not gpc:
        return NOTHING_SAID
    states: dict[str, State] = {}
    signals: dict[str, str] = {}
    evidence: dict[str, Any] = {}
    if isinstance(preferences, dict):
        evidence["context.consent"] = consent
        for category, value in preferences.items():
            for purpose in _purposes_of(category, categories or {}):
                _say(states, signals, purpose, "granted" if value is True else "denied", "context.consent")
    if gpc:
        evidence["gpc"] = True
        for purpose in GPC_PURPOSES:
            _say(states, signals, purpose, "denied", "gpc")
    return ConsentReading(states, signals, evidence)


def _purposes_of(category: str, categories: Mapping[str, Sequence[str]]) -> Sequence[str]:
    mapped = categories.get(category)
    if mapped is not None:
        return mapped
    return (category,) if category in PURPOSES else ()


def _say(states: dict[str, State], signals: dict[str, str], purpose: str, state: State, signal: str) -> None:
    if states.get(purpose) != "denied":
        states[purpose] = state
        signals[purpose] = signal
