"""The way of an event through the door: read, authorise, validate, admit or quarantine, one transaction, answer."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from assay.contract.lenient_json import load_or_none
from assay.contract.messages import Event, Rejection
from assay.contract.plan import Outcome as PlanOutcome
from assay.contract.plan import Plan
from assay.contract.reading import EVENT_BYTES_MAX, Arrival, Envelope, read_item
from assay.contract.violations import Violation
from assay_collector.ingest.addresses import truncate_addresses
from assay_collector.ingest.admission import Admitter, PlanFinding
from assay_collector.ingest.fence import Fence
from assay_collector.ingest.personal_data import DoorRules
from assay_collector.ingest.port import REFUSED_BYTES_MAX, RequestSignals
from assay_collector.pql.matching import SignalIndex
from assay_collector.store import Admission, EventLog, Outcome, PlanMode, Quarantined, Source

# So many are read before others get their turn: a few milliseconds' work.
ITEMS_A_TURN = 100

_STORED_AS_FOUND = PlanFinding()
# Why a store keeps nothing of an event, in words for its sender.
_REFUSED = {
    "erased_subject": "its person was erased",
    "suppressed_subject": "its person is not to be processed",
    "consent_denied": "its person does not consent",
}


@dataclass(slots=True)
class _Sorting:
    """One request's items on their way to their places."""

    admissions: list[Admission] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    # One an item, in order; None: what the store says of the next admission.
    outcomes: list[Outcome | None] = field(default_factory=list)


class Receiver:
    """Ingest over any store; see the port for what it promises."""

    def __init__(
        self,
        log: EventLog,
        admitter: Admitter,
        plan: Plan | None,
        *,
        new_message_id: Callable[[], str],
        new_quarantine_id: Callable[[], bytes],
        turn: AbstractContextManager[Any],
        personal_data: DoorRules | None = None,
    ) -> None:
        """
        Args:
            plan: None: every event is taken as it is.
            new_quarantine_id: Draws 16 bytes that ascend with time.
            turn: Held while computing; see the store adapter for why threads take turns.
            personal_data: What is kept of it in the quarantine; the admitter has the same. None: all.
        """
        self._log = log
        self._personal_data = personal_data
        self._admitter = admitter
        self._plan = plan
        self._new_message_id = new_message_id
        self._new_quarantine_id = new_quarantine_id
        self._turn = turn
        self._fence = Fence()

    def look_for(self, signals: SignalIndex, begin: Callable[[], None]) -> None:
        """
        Take events in with other signals from now on.

        Args:
            begin: Called while no event is on its way: all before it are committed and were looked at as before, all
                after it are looked at as from now on. When it raises, everything stays as it was.
        """
        with self._fence.exclusive():
            begin()
            self._admitter.use(signals)

    def receive(
        self, envelope: Envelope, source: Source, arrival: Arrival, signals: RequestSignals
    ) -> Sequence[Outcome]:
        arrival = _completed(arrival, envelope)
        sorting = _Sorting()
        with self._fence.shared():
            for first in range(0, len(envelope.items), ITEMS_A_TURN):
                with self._turn:
                    for raw in envelope.items[first : first + ITEMS_A_TURN]:
                        self._sort(raw, envelope, source, arrival, signals, sorting)
            statuses = iter(self._log.commit(sorting.admissions, sorting.quarantined))
        admitted = iter(sorting.admissions)
        return [_stored(next(admitted), next(statuses)) if outcome is None else outcome for outcome in sorting.outcomes]

    def refuse(self, body: bytes, source: Source, code: str, detail: str, received_at: int) -> None:
        rejection = Rejection(code, "", detail)
        self._log.commit((), [self._quarantined(rejection, source, body[:REFUSED_BYTES_MAX], received_at, {})])

    def _sort(
        self,
        raw: Any,
        envelope: Envelope,
        source: Source,
        arrival: Arrival,
        signals: RequestSignals,
        sorting: _Sorting,
    ) -> None:
        event = read_item(raw, envelope.type, arrival, self._new_message_id)
        if isinstance(event, Event) and event.write_key is not None and event.write_key != envelope.write_key:
            own = signals.sources(event.write_key)
            if own is None:
                event = _rejected(event, "invalid_write_key", "/writeKey", "the message names a write key nobody has")
            else:
                source = own
        if isinstance(event, Rejection):
            self._quarantine(event, source, raw, arrival, _context_of(raw, arrival), sorting)
            return
        finding = self._judge(event, source)
        if isinstance(finding, PlanFinding):
            # The connection's address is the person's own only where a browser stands at its other end.
            ip = signals.ip if signals.browser or event.context.get("direct") is True else None
            admission = self._admitter.admit(
                event, source, finding, gpc=signals.gpc, dnt=signals.dnt, ip=ip, user_agent=signals.user_agent
            )
            sorting.admissions.append(admission)
            sorting.outcomes.append(None)
            return
        withheld = self._admitter.withheld(event, source, gpc=signals.gpc, dnt=signals.dnt)
        if withheld is not None:
            sorting.admissions.append(withheld)
            sorting.outcomes.append(None)
            return
        rejection, mode = finding
        self._quarantine(rejection, source, raw, arrival, event.context, sorting)
        if mode == "reject-in-development":
            sorting.outcomes[-1] = Outcome(event.message_id, "rejected", rejection.code, rejection.detail)

    def _judge(self, event: Event, source: Source) -> PlanFinding | tuple[Rejection, PlanMode]:
        if isinstance(event.context.get("quarantine"), dict):
            # The sender's own plan is against it, and may be newer than ours.
            return _rejected(event, "refused_by_sender", "/context/quarantine", "the sender's plan is against it"), (
                "quarantine"
            )
        if self._plan is None:
            return _STORED_AS_FOUND
        version = event.context.get("schemaVersion")
        version = version if isinstance(version, str) else None
        verdict = self._plan.verdict(event.type, event.name, event.properties, version)
        if verdict.is_valid:
            return PlanFinding(None if verdict.schema is None else str(verdict.schema.version))
        unplanned = verdict.outcome is PlanOutcome.UNPLANNED
        if unplanned and event.type != "track":
            return _STORED_AS_FOUND
        violations = self._plan.explain(event.type, event.name, event.properties, version)
        mode = source.unplanned if unplanned else source.invalid
        if mode == "allow":
            return PlanFinding(
                None if verdict.schema is None else str(verdict.schema.version),
                msgspec.json.encode([violation.to_json() for violation in violations]),
            )
        code = {
            PlanOutcome.UNPLANNED: "unplanned_event",
            PlanOutcome.UNKNOWN_VERSION: "unknown_schema_version",
        }.get(verdict.outcome, "schema_violation")
        detail = "; ".join(violation.message for violation in violations[:5])
        return _rejected(event, code, _pointer(event, verdict.outcome, violations), detail), mode

    def _quarantine(
        self,
        rejection: Rejection,
        source: Source,
        raw: Any,
        arrival: Arrival,
        context: dict[str, Any],
        sorting: _Sorting,
    ) -> None:
        entry = self._quarantined(rejection, source, bytes(memoryview(raw)), arrival.received_at, context)
        sorting.quarantined.append(entry)
        refusal = self._log.refusal(entry.names)
        sorting.outcomes.append(
            Outcome(rejection.message_id, "quarantined", rejection.code, rejection.detail)
            if refusal is None
            else Outcome(rejection.message_id, "refused", refusal, _REFUSED[refusal])
        )

    def _quarantined(
        self, rejection: Rejection, source: Source, raw: bytes, received_at: int, context: dict[str, Any]
    ) -> Quarantined:
        library = context.get("library")
        library = library if isinstance(library, dict) else {}
        return Quarantined(
            quarantine_id=self._new_quarantine_id(),
            source=source.id,
            message_id=rejection.message_id,
            received_at=received_at,
            reason=rejection.code,
            pointer=rejection.pointer,
            detail=rejection.detail,
            type=rejection.type,
            name=rejection.name,
            schema_version=_short(context.get("schemaVersion")),
            library=_short(library.get("name")),
            library_version=_short(library.get("version")),
            raw=self._kept(raw, rejection),
            names=self._admitter.named_in(raw, source),
        )

    def _kept(self, raw: bytes, rejection: Rejection) -> bytes:
        """What of a message may be kept."""
        if self._personal_data is not None:
            raw = self._personal_data.clean_raw(raw, rejection.type, rejection.name)
        return truncate_addresses(raw)


def _completed(arrival: Arrival, envelope: Envelope) -> Arrival:
    """What the envelope says for all its items, where no header said it."""
    if envelope.sent_at is None and not envelope.context:
        return arrival
    return Arrival(
        received_at=arrival.received_at,
        sent_at=envelope.sent_at if arrival.sent_at is None else arrival.sent_at,
        anonymous_id=arrival.anonymous_id,
        context=envelope.context or arrival.context,
    )


def _context_of(raw: Any, arrival: Arrival) -> dict[str, Any]:
    """The context of a message that is none, as far as it can be read: it may say which library made it."""
    data = memoryview(raw)
    item = load_or_none(bytes(data)) if len(data) <= EVENT_BYTES_MAX else None
    context = item.get("context") if isinstance(item, dict) else None
    return {**arrival.context, **context} if isinstance(context, dict) else arrival.context


def _pointer(event: Event, outcome: PlanOutcome, violations: Sequence[Violation]) -> str:
    if outcome is PlanOutcome.UNPLANNED:
        return ""
    if outcome is PlanOutcome.UNKNOWN_VERSION:
        return "/context/schemaVersion"
    base = "/traits" if event.type in ("identify", "group") else "/properties"
    return base + (violations[0].pointer if violations else "")


def _rejected(event: Event, code: str, pointer: str, detail: str) -> Rejection:
    return Rejection(code, pointer, detail, message_id=event.message_id, type=event.type, name=event.name)


def _stored(admission: Admission, status: str) -> Outcome:
    if status in _REFUSED:
        return Outcome(admission.event.message_id, "refused", status, _REFUSED[status])
    code = "message_id_taken" if status == "conflict" else None
    traffic = admission.traffic if status == "stored" else None
    # What is left by now is a status of an outcome as well; that the refusals are gone, the type cannot tell.
    return Outcome(admission.event.message_id, status, code, traffic=traffic)  # type: ignore[arg-type]


def _short(value: object) -> str | None:
    return value[:100] if isinstance(value, str) else None
