"""
Consent at the door: what an event's own words and its source's policy allow, and what becomes of it where they do not.

Whether an event is scored follows from the event and its source alone, so the order of arrival does not show. What
destroys something (`drop`, `anonymise`) also heeds what is known of its person by then: see ``known_consent``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Literal, cast

import msgspec

from assay.contract.consent import (
    DEFAULT_SIGNAL,
    GPC_PURPOSES,
    NOTHING_SAID,
    PREFERENCE_EVENTS,
    PURPOSES,
    SCORING_PURPOSES,
    ConsentReading,
    ConsentRules,
    read_consent,
    read_statement,
)
from assay.contract.messages import Event
from assay.contract.times import DAY, INSTANT_MAX, INSTANT_MIN
from assay_collector.ingest.stitching import Stitches
from assay_collector.store import ConsentEntry, ConsentSnapshot, Source

Action = Literal["store_restricted", "anonymise", "drop"]
POLICIES = ("opt_in", "opt_out", "exempt")
# From the mildest to the harshest; of several purposes that are refused the harshest action is taken.
ACTIONS: tuple[Action, ...] = ("store_restricted", "anonymise", "drop")
STATEMENT = "consent"  # the message type that says nothing else
STATED = "statement"  # the signal of what it says
# By which an event tells that its source asks first and nobody has answered.
POLICY_SIGNAL = "policy"

_encode = msgspec.json.Encoder(order="deterministic").encode
_REFUSALS = ("denied", "withdrawn")


@dataclass(frozen=True, slots=True)
class Ruling:
    """What consent makes of one event."""

    reading: ConsentReading
    scored: bool
    awaits: tuple[str, ...]  # the purposes whose grant alone it lacks to be scored
    action: Action | None  # None: nothing was refused
    snapshot: ConsentSnapshot | None


@dataclass(frozen=True, kw_only=True, slots=True)
class DoorPolicy:
    """A source's settings of consent, made ready for its events."""

    source: Source
    rules: ConsentRules
    policies: Mapping[str, str]  # of every purpose
    actions: Mapping[str, Action]  # of every purpose that is not exempt
    destroys: bool  # whether anything may be dropped or anonymised
    asks: tuple[str, ...]  # the purposes beside scoring for which silence is a no
    silent: Ruling  # on an event that says nothing, of a person of whom nothing is known

    @classmethod
    def of(cls, source: Source) -> "DoorPolicy":
        """Read a source."""
        policies: dict[str, str] = {purpose: (source.consent or {}).get(purpose, "opt_out") for purpose in PURPOSES}
        chosen = cast(Mapping[str, Action], source.on_deny or {})
        actions: dict[str, Action] = {p: chosen.get(p, "store_restricted") for p in PURPOSES if policies[p] != "exempt"}
        policy = cls(
            source=source,
            rules=ConsentRules(
                categories=source.categories or {},
                gpc=GPC_PURPOSES if source.gpc is None else source.gpc,
                dnt=source.dnt,
                google=source.google_consent,
            ),
            policies=policies,
            actions=actions,
            destroys=any(action != "store_restricted" for action in actions.values()),
            asks=tuple(p for p in PURPOSES if policies[p] == "opt_in" and p not in SCORING_PURPOSES),
            silent=Ruling(NOTHING_SAID, True, (), None, None),
        )
        return replace(policy, silent=policy.rule(NOTHING_SAID, {})) if source.consent or source.on_deny else policy

    def read(self, event: Event, *, gpc: bool, dnt: bool) -> ConsentReading:
        """What an event says."""
        if event.type == STATEMENT:
            return read_statement(event.properties)
        preferences = event.properties if event.name in PREFERENCE_EVENTS and event.type == "track" else None
        return read_consent(event.context, gpc=gpc, dnt=dnt, rules=self.rules, preferences=preferences)

    def rule(self, reading: ConsentReading, known: Mapping[str, str]) -> Ruling:
        """
        Decide about an event.

        Args:
            known: purpose -> state, as far as the person's is known from elsewhere. It counts only for what destroys.
        """
        words = _words(reading)
        refused = [purpose for purpose in self.actions if self._refuses(purpose, words, known)]
        unasked = [p for p in SCORING_PURPOSES if self.policies[p] == "opt_in" and p not in words]
        denied = any(words.get(p) in _REFUSALS for p in SCORING_PURPOSES if self.policies[p] != "exempt")
        awaits = () if denied else tuple(unasked)
        action = max((self.actions[purpose] for purpose in refused), key=ACTIONS.index, default=None)
        if action is not None and STATED in reading.signals.values():
            action = "store_restricted"  # a statement is the record of what was said
        scored = not denied and not unasked
        snapshot = self._snapshot(reading, known, refused, action, scored=scored, awaits=awaits)
        return Ruling(reading, scored, awaits, action, snapshot)

    def entries(self, event: Event, stitches: Stitches, reading: ConsentReading, own_id: bytes) -> list[ConsentEntry]:
        """What is logged of an event: its own words, and that nobody has answered where its source asks first."""
        found = [
            self._entry(subject, purpose, event, reading, own_id)
            for purpose, state in reading.states.items()
            if reading.signals[purpose] != DEFAULT_SIGNAL
            for subject in _subjects(stitches, reading.signals[purpose])
        ]
        return found + [
            ConsentEntry(
                subject=stitches.leaf,
                purpose=purpose,
                state="unknown",
                signal=POLICY_SIGNAL,
                # Before any word, so that every word replaces it; and one line however many events there are.
                at=INSTANT_MIN,
                received_at=event.received_at,
                event_id=None,
                evidence=b"null",
                policy="opt_in",
                source=self.source.id,
            )
            for purpose in self.asks
            if purpose not in _words(reading)
        ]

    def _refuses(self, purpose: str, words: Mapping[str, str], known: Mapping[str, str]) -> bool:
        state = words.get(purpose) or known.get(purpose)
        return state in _REFUSALS or (state != "granted" and self.policies[purpose] == "opt_in")

    def _entry(
        self, subject: bytes, purpose: str, event: Event, reading: ConsentReading, own_id: bytes
    ) -> ConsentEntry:
        signal, state = reading.signals[purpose], reading.states[purpose]
        return ConsentEntry(
            subject=subject,
            purpose=purpose,
            state=state,
            signal=signal,
            at=event.at,
            received_at=event.received_at,
            event_id=own_id,
            evidence=_encode(reading.evidence.get(signal)),
            legal_basis=reading.legal_basis,
            policy_version=reading.policy_version,
            expires_at=self._expiry(event, reading) if state == "granted" else None,
            policy=self.policies.get(purpose),
            source=self.source.id,
        )

    def _expiry(self, event: Event, reading: ConsentReading) -> int | None:
        if reading.expires_at is not None or self.source.consent_days is None:
            return reading.expires_at
        return min(event.at + self.source.consent_days * DAY, INSTANT_MAX)

    def _snapshot(
        self,
        reading: ConsentReading,
        known: Mapping[str, str],
        refused: list[str],
        action: Action | None,
        *,
        scored: bool,
        awaits: tuple[str, ...],
    ) -> ConsentSnapshot | None:
        if reading is NOTHING_SAID and not known and not self.source.consent and not self.source.on_deny:
            return None
        decision: dict[str, Any] = {
            "signals": dict(reading.signals),
            "policies": dict(self.policies),
            "known": dict(known),
            "refused": refused,
            "action": action,
            "scored": scored,
            "awaits": awaits,
            "legalBasis": reading.legal_basis,
            "policyVersion": reading.policy_version,
        }
        # From here nothing may lead back to the person, as a consent manager's own id would; the log has it.
        evidence = {} if action in ("anonymise", "drop") else dict(reading.evidence)
        parts = (_encode(dict(reading.states)), _encode(evidence), _encode(decision))
        digest = blake2b(b"\n".join(parts), digest_size=16, person=b"assay.consent").digest()
        return ConsentSnapshot(digest, *parts)


def _words(reading: ConsentReading) -> Mapping[str, str]:
    """What counts of an event's own words: a preset no is heeded, a preset yes is nobody's."""
    if DEFAULT_SIGNAL not in reading.signals.values():
        return reading.states
    return {p: s for p, s in reading.states.items() if s != "granted" or reading.signals[p] != DEFAULT_SIGNAL}


def _subjects(stitches: Stitches, signal: str) -> tuple[bytes, ...]:
    """A banner is answered by whoever is known; a browser's control, and a plain statement, bind both."""
    if signal in ("gpc", STATED) and stitches.anonymous is not None and stitches.anonymous != stitches.leaf:
        return stitches.leaf, stitches.anonymous
    return (stitches.leaf,)
