"""
From an event to everything that is stored of it. Pure: the same event gives the same rows in every collector.
"""

from dataclasses import dataclass
from hashlib import blake2b
from ipaddress import ip_address, ip_network
from typing import Any

import msgspec

from assay.contract.consent import NOTHING_SAID, SCORING_PURPOSES, ConsentReading, ConsentRules, read_consent
from assay.contract.ids import event_id
from assay.contract.messages import Event
from assay_collector.identity.identifiers import Identify
from assay_collector.identity.rules import DEFAULT_IDENTITY_RULES, IdentityRules
from assay_collector.ingest.stitching import Stitcher
from assay_collector.pql.matching import Mark, SignalIndex
from assay_collector.store import (
    Admission,
    Cause,
    ConsentEntry,
    ConsentSnapshot,
    EventRow,
    Source,
    Touch,
    TraitChange,
)

# Sorted, so that the same content gives the same bytes however a client's map was ordered.
_encode = msgspec.json.Encoder(order="deterministic").encode
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PlanFinding:
    """What the plan said of an event that is stored all the same."""

    schema_version: str | None = None
    violations: bytes | None = None


class Admitter:
    """Turns events into admissions, under one identity key and one set of signals."""

    def __init__(
        self, identify: Identify, signals: SignalIndex, identity: IdentityRules = DEFAULT_IDENTITY_RULES
    ) -> None:
        self._stitcher = Stitcher(identify, identity.placeholders)
        self._signals = signals

    def admit(
        self, event: Event, source: Source, finding: PlanFinding, *, gpc: bool = False, ip: str | None = None
    ) -> Admission:
        """
        Everything that follows from an event.

        Args:
            gpc: The request that brought it said ``Sec-GPC: 1``.
            ip: Where it came from, to be kept with it, truncated.
        """
        own_id = event_id(source.id, event.message_id)
        stitches = self._stitcher.read(event, source, own_id)
        leaf, account = stitches.leaf, stitches.account
        consent = read_consent(event.context, gpc=gpc, rules=ConsentRules(categories=source.categories or {}))
        scored = _may_score(consent, source)
        properties, context = _encode(event.properties), _encode(without_address(event.context))
        snapshot = _snapshot(consent)
        row = EventRow(
            event_id=own_id,
            source=source.id,
            message_id=event.message_id,
            type=event.type,
            name=event.name,
            at=event.at,
            original_at=event.original_at,
            sent_at=event.sent_at,
            received_at=event.received_at,
            clamped=event.clamped,
            leaf=leaf,
            account=account,
            properties=properties,
            context=_located(event.context, ip, context),
            digest=_digest(event, leaf, stitches.anonymous, properties, context),
            consent_id=None if snapshot is None else snapshot.consent_id,
            scored=scored,
            violations=finding.violations,
            schema_version=finding.schema_version,
        )
        marks: tuple[Mark, ...] = ()
        if scored and event.type == "track" and event.name is not None:
            marks = self._signals.marks(event.name, event.properties, leaf, account, event.at)
        traits = _traits(event, leaf, account, own_id)
        consents = _consents(consent, leaf, event, own_id)
        happened: tuple[tuple[bool, Cause], ...] = (
            (bool(stitches.links or stitches.memberships), "identity"),
            (bool(traits), "trait"),
            (any(entry.purpose in SCORING_PURPOSES for entry in consents), "consent"),
        )
        changed = tuple(cause for is_so, cause in happened if is_so)
        return Admission(
            event=row,
            identifiers=stitches.identifiers,
            links=stitches.links,
            memberships=stitches.memberships,
            traits=traits,
            consent=snapshot,
            consents=consents,
            marks=marks,
            touches=_touches(
                marks, leaf, account, changed=changed, is_of_account=bool(traits) and event.type == "group"
            ),
            links_refused=stitches.refused,
        )


def _may_score(consent: ConsentReading, source: Source) -> bool:
    """Whether the event's own consent, and where it says nothing the source's policy, allow it to be tallied."""
    if consent is NOTHING_SAID and source.consent is None:
        return True
    policies = source.consent or {}
    for purpose in SCORING_PURPOSES:
        policy = policies.get(purpose, "opt_out")
        state = consent.states.get(purpose)
        if policy != "exempt" and (state == "denied" or (state is None and policy == "opt_in")):
            return False
    return True


def without_address(context: Json) -> Json:
    """The context without the sender's address, which may differ when a client sends an event again."""
    return {key: value for key, value in context.items() if key != "ip"} if "ip" in context else context


def _located(context: Json, ip: str | None, encoded: bytes) -> bytes:
    """The context with its address, truncated; `encoded` is the context without one."""
    address = context.get("ip") or ip
    kept = truncate_address(address) if isinstance(address, str) else None
    return encoded if kept is None else _encode({**without_address(context), "ip": kept})


def truncate_address(address: str) -> str | None:
    """An IP address as a network that no person can be told by: /24, or /48 in IPv6; None: it is no address."""
    try:
        parsed = ip_address(address.strip())
    except ValueError:
        return None
    return str(ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False).network_address)


def _digest(event: Event, leaf: bytes, anonymous: bytes | None, properties: bytes, context: bytes) -> bytes:
    """Tells a repeated event from another one under the same id. What changes when a client retries is left out."""
    head = _encode((event.type, event.name, event.previous_id, event.group_id, event.original_at))
    hasher = blake2b(head, digest_size=8)
    hasher.update(leaf)
    hasher.update(anonymous or b"")
    hasher.update(properties)
    hasher.update(context)
    return hasher.digest()


def _snapshot(consent: ConsentReading) -> ConsentSnapshot | None:
    if consent is NOTHING_SAID:
        return None
    states, evidence = _encode(dict(consent.states)), _encode(dict(consent.evidence))
    digest = blake2b(states + b"\n" + evidence, digest_size=16, person=b"assay.consent").digest()
    return ConsentSnapshot(digest, states, evidence)


def _consents(consent: ConsentReading, leaf: bytes, event: Event, own_id: bytes) -> tuple[ConsentEntry, ...]:
    return tuple(
        ConsentEntry(
            subject=leaf,
            purpose=purpose,
            state=state,
            signal=consent.signals[purpose],
            at=event.at,
            received_at=event.received_at,
            event_id=own_id,
            evidence=_encode(consent.evidence.get(consent.signals[purpose])),
        )
        for purpose, state in consent.states.items()
    )


def _traits(event: Event, leaf: bytes, account: bytes | None, own_id: bytes) -> tuple[TraitChange, ...]:
    if event.type == "identify":
        entity = leaf
    elif event.type == "group" and account is not None:
        entity = account
    else:
        return ()
    return tuple(TraitChange(entity, key, event.at, own_id, _encode(value)) for key, value in event.properties.items())


def _touches(
    marks: tuple[Mark, ...],
    leaf: bytes,
    account: bytes | None,
    *,
    changed: tuple[Cause, ...],
    is_of_account: bool,
) -> tuple[Touch, ...]:
    """
    Who has to be decided again, and why. The accounts that a person acted in, or turns out to belong to, follow from
    the person.

    Args:
        is_of_account: What changed are traits of the account.
    """
    found: list[Touch] = []
    if any(mark.entity == leaf for mark in marks):
        found.append(Touch("user", leaf, "event" if account is not None else "adoption"))
    if account is not None and any(mark.entity == account for mark in marks):
        found.append(Touch("account", account, "event"))
    found += [Touch("user", leaf, cause) for cause in changed]
    if account is not None and is_of_account:
        found.append(Touch("account", account, "account"))
    return tuple(found)
