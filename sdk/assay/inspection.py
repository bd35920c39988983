"""What the app has set up to happen to an event between the call and the queue: edits, the plan's check, scrubbing."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from assay.calls import Call, Stamps, completed, encoded, read_back, schema_version
from assay.contract.errors import AssayError
from assay.delivery import DropReason
from assay.encoding import encode, sanitised
from assay.errors import EventsDropped, PlanViolation
from assay.notices import Notices

if TYPE_CHECKING:
    from assay.contract.plan import Plan
    from assay.scrubbing import Scrubber

OnInvalid = Literal["off", "warn", "raise", "quarantine", "drop"]
# Gets a copy of the event as it would be sent; returns it, edited or not, or None to drop it.
BeforeSend = Callable[[dict[str, Any]], dict[str, Any] | None]

_decode = msgspec.json.decode


class Refusal(msgspec.Struct, frozen=True):
    """The event is not sent."""

    reason: DropReason
    error: AssayError


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """
    Runs over each event that could be encoded, on the thread of the call, in this order: edit, check, scrub.

    So the plan judges what the app means, and what leaves has no personal data that the app wants to keep.
    """

    # None: nothing is checked.
    plan: "Plan | None"
    on_invalid: OnInvalid
    before_send: BeforeSend | None
    # None: nothing is scrubbed.
    scrubber: "Scrubber | None"
    notices: Notices
    stamps: Stamps

    def inspect(self, call: Call, event: bytes, body: dict[Any, Any]) -> bytes | Refusal:
        """
        Edit, check and scrub an event.

        Args:
            call: The completed call.
            event: Its final bytes.
            body: The properties or traits in them.

        Returns:
            The bytes to send, or why they are not sent.
        """
        if self.before_send is not None:
            edited = self._edited(self.before_send, call, event)
            if isinstance(edited, Refusal):
                return edited
            call, event, body = edited
        if self.plan is not None:
            verdict = self.plan.verdict(call.type, call.event or call.name, body, schema_version(call))
            if not verdict.is_valid:
                judged = self._judged(self.plan, call, event, sanitised(body))
                if isinstance(judged, Refusal):
                    return judged
                event = judged
        if self.scrubber is not None and self.scrubber.concerns(call.type, call.event or call.name):
            return self._scrubbed(self.scrubber, call, event)
        return event

    def _edited(self, edit: BeforeSend, call: Call, event: bytes) -> tuple[Call, bytes, dict[Any, Any]] | Refusal:
        try:
            edited = edit(_decode(event))
        except Exception as error:  # noqa: BLE001 - the app's function; what it did not clear is not sent
            return _refusal(DropReason.BEFORE_SEND_FAILED, type(error).__name__)
        if edited is None:
            return _refusal(DropReason.BEFORE_SEND, "")
        # Read by our own rules for odd values, as the arguments of a call are.
        again = read_back(sanitised(edited))
        if again is None or again.type != call.type:
            return _refusal(DropReason.BEFORE_SEND_FAILED, "no event of this type was returned")
        again.messageId = call.messageId  # it is told to the caller already, so to speak
        problem = completed(again, self.stamps)
        if problem is not None:
            return _refusal(DropReason.BEFORE_SEND_FAILED, problem)
        written, body = encoded(again, again.traits if again.properties is None else again.properties or {})
        return again, written, body

    def _judged(self, plan: "Plan", call: Call, event: bytes, body: Any) -> bytes | Refusal:
        """
        Judge again by what is really sent, and tell what the plan has against it.

        The first look may have met what only becomes JSON on the way: a NaN is null to the collector.
        """
        name, version = call.event or call.name, schema_version(call)
        verdict = plan.verdict(call.type, name, body, version)
        if verdict.is_valid:
            return event
        outcome = verdict.outcome.value
        line = f"assay.event_{outcome} type={call.type} event={name!r:.100}"
        is_heard = self.on_invalid == "raise" or self.notices.wants_errors or self.notices.is_due(line)
        # To explain takes a hundred times as long as to judge.
        violations = plan.explain(call.type, name, body, version) if is_heard else ()
        violation = PlanViolation(call.type, name, outcome, violations)
        if self.on_invalid == "raise":
            return Refusal(DropReason.INVALID, violation)
        # The messages of violations may quote values; where and which rule is enough for a log.
        broken = " ".join(f"{each.pointer or '/'}:{each.rule}" for each in violations[:5])
        self.notices.say(line, detail=f"broken={broken!r}")
        if self.on_invalid == "drop":
            return Refusal(DropReason.INVALID, violation)
        self.notices.failed(violation)
        return _marked(event, outcome, plan.revision) if self.on_invalid == "quarantine" else event

    def _scrubbed(self, scrubber: "Scrubber", call: Call, event: bytes) -> bytes | Refusal:
        plain = _decode(event)
        try:
            scrubber.scrub(call.type, call.event or call.name, plain.get("properties", plain.get("traits")))
        except Exception as error:  # noqa: BLE001 - a function of the app's; what it did not scrub is not sent
            return _refusal(DropReason.SCRUB_FAILED, type(error).__name__)
        return encode(plain)


def _marked(event: bytes, verdict: str, revision: str) -> bytes:
    """The event with the verdict in its context, by which a collector keeps it in quarantine whatever its own plan."""
    plain = _decode(event)
    plain["context"] = {**plain.get("context", {}), "quarantine": {"verdict": verdict, "plan": revision}}
    return encode(plain)


def _refusal(reason: DropReason, detail: str) -> Refusal:
    return Refusal(reason, EventsDropped(reason, 1, detail))
