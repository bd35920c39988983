"""
From an event to everything that is stored of it. Pure: the same event gives the same rows in every collector.
"""

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import msgspec

from assay.contract.consent import NOTHING_SAID, SCORING_PURPOSES
from assay.contract.ids import event_id
from assay.contract.messages import Event
from assay_collector.identity.identifiers import Identify
from assay_collector.identity.mentions import mentioned
from assay_collector.identity.rules import DEFAULT_IDENTITY_RULES, IdentityRules
from assay_collector.ingest.addresses import truncate_address
from assay_collector.ingest.anonymising import NOBODY, anonymised
from assay_collector.ingest.consent import STATEMENT, DoorPolicy, Ruling
from assay_collector.ingest.known_consent import KnownConsent
from assay_collector.ingest.personal_data import DoorRules
from assay_collector.ingest.stitching import Stitcher, Stitches
from assay_collector.ingest.traffic import MARK, NO_RULES, Traffic, TrafficRules
from assay_collector.pql.matching import Mark, SignalIndex
from assay_collector.store import (
    Admission,
    Cause,
    ConsentEntry,
    EventRow,
    Source,
    Touch,
    TraitChange,
)

# Sorted, so that the same content gives the same bytes however a client's map was ordered.
_encode = msgspec.json.Encoder(order="deterministic").encode
Json = dict[str, Any]

# What the door writes into an event's context.
_OURS = frozenset({"ip", MARK})


@dataclass(frozen=True, slots=True)
class PlanFinding:
    """What the plan said of an event that is stored all the same."""

    schema_version: str | None = None
    violations: bytes | None = None


class Admitter:
    """Turns events into admissions, under one identity key and one set of signals."""

    def __init__(
        self,
        identify: Identify,
        signals: SignalIndex,
        identity: IdentityRules = DEFAULT_IDENTITY_RULES,
        known_consent: KnownConsent | None = None,
        *,
        personal_data: DoorRules | None = None,
        traffic: TrafficRules = NO_RULES,
    ) -> None:
        """
        Args:
            known_consent: Asked by sources that drop or anonymise. None: only what an event itself says counts there.
            personal_data: None: all of it is kept.
        """
        self._personal_data = personal_data
        self._traffic = traffic
        self._known = known_consent
        self._doors: dict[str, tuple[Source, DoorPolicy]] = {}
        self._identify = identify
        self._stitcher = Stitcher(identify, identity.placeholders)
        self._signals = signals

    def named_in(self, raw: bytes, source: Source) -> tuple[bytes, ...]:
        """The identity ids that a message names which no event is made of."""
        return mentioned(raw, source.namespace, self._identify)

    def use(self, signals: SignalIndex) -> None:
        """Mark events for these signals from now on; only for whoever keeps events out meanwhile."""
        self._signals = signals

    def admit(
        self,
        event: Event,
        source: Source,
        finding: PlanFinding,
        *,
        gpc: bool = False,
        dnt: bool = False,
        ip: str | None = None,
        user_agent: str | None = None,
    ) -> Admission:
        """
        Everything that follows from an event.

        Args:
            gpc: The request that brought it said ``Sec-GPC: 1``.
            dnt: It said ``DNT: 1``.
            ip: Where it came from, to be kept with it, truncated.
            user_agent: The program that sent it, if that is a browser or takes itself for one.
        """
        own_id = event_id(source.id, event.message_id)
        stitches = self._stitcher.read(event, source, own_id)
        leaf, account = stitches.leaf, stitches.account
        door = self._door(source)
        ruling = self._rule(door, event, stitches, gpc=gpc, dnt=dnt)
        traffic = self._traffic.mark(event, address=ip, user_agent=user_agent)
        if not self._traffic.may_score(traffic):
            ruling = replace(ruling, scored=False, awaits=())
        if self._personal_data is not None:
            # Who it is was read from the original; nothing that is stored is.
            self._personal_data.clean(event, in_doubt=finding.violations is not None)
        row = _row(event, source, finding, stitches, ruling, own_id, ip, traffic)
        marks: tuple[Mark, ...] = ()
        if ruling.scored and event.type == "track" and event.name is not None:
            marks = self._signals.marks(event.name, event.properties, leaf, account, event.at)
        traits = _traits(event, leaf, account, own_id, scored=ruling.scored)
        consents: tuple[ConsentEntry, ...] = ()
        if door.asks or ruling.reading is not NOTHING_SAID:
            consents = tuple(door.entries(event, stitches, ruling.reading, own_id))
        happened: tuple[tuple[bool, Cause], ...] = (
            (bool(stitches.links or stitches.memberships), "identity"),
            (bool(traits), "trait"),
            (bool(consents) and any(entry.purpose in SCORING_PURPOSES for entry in consents), "consent"),
        )
        changed = tuple(cause for is_so, cause in happened if is_so)
        admission = Admission(
            event=row,
            identifiers=stitches.identifiers,
            links=stitches.links,
            memberships=stitches.memberships,
            traits=traits,
            consent=ruling.snapshot,
            consents=consents,
            marks=marks,
            touches=_touches(
                marks, leaf, account, changed=changed, is_of_account=bool(traits) and event.type == "group"
            )
            + (_others_bound(consents, leaf) if consents else ()),
            links_refused=stitches.refused,
            awaits=ruling.awaits,
            traffic=traffic,
        )
        if door.destroys and consents and self._known is not None:
            self._known.learn(consents, event.received_at)
        if ruling.action is None or ruling.action == "store_restricted" or event.type == STATEMENT:
            return admission
        return _withheld(admission, event, source, ruling)

    def withheld(self, event: Event, source: Source, *, gpc: bool, dnt: bool) -> Admission | None:
        """
        What is kept of an event that would go to the quarantine, where its person's consent forbids to keep it whole:
        that it came, and what it said of consent. None: it may be kept.
        """
        if not self._door(source).destroys:
            return None
        admission = self.admit(event, source, PlanFinding(), gpc=gpc, dnt=dnt)
        is_whole = not admission.dropped and admission.event.leaf != NOBODY
        return None if is_whole else msgspec.structs.replace(admission, dropped=True)

    def _door(self, source: Source) -> DoorPolicy:
        known, door = self._doors.get(source.id, (None, None))
        if known is source and door is not None:
            return door
        # Sources are read again every few seconds, and are mostly what they were.
        if known != source or door is None:
            door = DoorPolicy.of(source)
        self._doors[source.id] = (source, door)
        return door

    def _rule(self, door: DoorPolicy, event: Event, who: Stitches, *, gpc: bool, dnt: bool) -> Ruling:
        reading = door.read(event, gpc=gpc, dnt=dnt)
        if not door.destroys or event.type == STATEMENT:
            return door.silent if reading is NOTHING_SAID else door.rule(reading, {})
        users = frozenset(known.id for known in who.identifiers if known.type == "user")
        ids = sorted(users | {who.leaf} | ({who.anonymous} if who.anonymous is not None else set()))
        known = {} if self._known is None else self._known.states(ids, users, event.at, event.received_at)
        return door.silent if reading is NOTHING_SAID and not known else door.rule(reading, known)


def _row(
    event: Event,
    source: Source,
    finding: PlanFinding,
    who: Stitches,
    ruling: Ruling,
    own_id: bytes,
    ip: str | None = None,
    traffic: Traffic | None = None,
) -> EventRow:
    properties, context = _encode(event.properties), _encode(_without_ours(event.context))
    return EventRow(
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
        leaf=who.leaf,
        account=who.account,
        properties=properties,
        context=_marked(event.context, ip, traffic, context),
        digest=_digest(event, who.leaf, who.anonymous, properties, context),
        consent_id=None if ruling.snapshot is None else ruling.snapshot.consent_id,
        scored=ruling.scored,
        violations=finding.violations,
        schema_version=finding.schema_version,
    )


def _withheld(admission: Admission, event: Event, source: Source, ruling: Ruling) -> Admission:
    """An admission of which only what its person's consent leaves is kept, and what was said of consent."""
    touches = tuple(entry for entry in admission.touches if entry.cause == "consent")
    if ruling.action == "drop":
        return Admission(
            admission.event,
            admission.identifiers,
            consent=ruling.snapshot,
            consents=admission.consents,
            touches=touches,
            dropped=True,
        )
    nobody = Stitches(NOBODY, None, None, (), (), (), ())
    restricted = replace(ruling, scored=False)
    row = _row(anonymised(event), source, PlanFinding(), nobody, restricted, admission.event.event_id)
    # Nothing may lead from the event to its person: not the log either.
    said = tuple(msgspec.structs.replace(entry, event_id=None) for entry in admission.consents)
    return Admission(row, (), consent=ruling.snapshot, consents=said, touches=touches)


def _without_ours(context: Json) -> Json:
    """The context without what the door writes: it may differ when a client sends an event again."""
    return {key: value for key, value in context.items() if key not in _OURS} if _OURS & context.keys() else context


def _marked(context: Json, ip: str | None, traffic: Traffic | None, encoded: bytes) -> bytes:
    """The context with its address, truncated, and what traffic it is; `encoded` is the context without either."""
    address = context.get("ip") or ip
    kept = truncate_address(address) if isinstance(address, str) else None
    if kept is None and traffic is None:
        return encoded
    found = {"ip": kept, MARK: traffic}
    return _encode({**_without_ours(context), **{key: value for key, value in found.items() if value is not None}})


def _digest(event: Event, leaf: bytes, anonymous: bytes | None, properties: bytes, context: bytes) -> bytes:
    """Tells a repeated event from another one under the same id. What changes when a client retries is left out."""
    head = _encode((event.type, event.name, event.previous_id, event.group_id, event.original_at))
    hasher = blake2b(head, digest_size=8)
    hasher.update(leaf)
    hasher.update(anonymous or b"")
    hasher.update(properties)
    hasher.update(context)
    return hasher.digest()


def _traits(
    event: Event, leaf: bytes, account: bytes | None, own_id: bytes, *, scored: bool
) -> tuple[TraitChange, ...]:
    if event.type == "identify":
        entity = leaf
    elif event.type == "group" and account is not None:
        entity = account
    else:
        return ()
    return tuple(
        TraitChange(entity, key, event.at, own_id, _encode(value), scored) for key, value in event.properties.items()
    )


def _others_bound(consents: tuple[ConsentEntry, ...], leaf: bytes) -> tuple[Touch, ...]:
    """Who else is bound by what was said of scoring, such as the browser of a known person."""
    bound = {entry.subject for entry in consents if entry.purpose in SCORING_PURPOSES}
    return tuple(Touch("user", subject, "consent") for subject in sorted(bound - {leaf}))


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
