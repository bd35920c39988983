"""
What to send together, what an answer means, and when to try again.

The rule of this floor: no I/O, no clock, no randomness. Answers, the time and the draw for the jitter come in;
decisions go out as values.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Literal

import msgspec

# What collectors take in one request: Segment's documented 500 KB and 2,500 events.
BATCH_BYTES_MAX = 500_000
BATCH_EVENTS_MAX = 2_500

BACKOFF_SECONDS_FIRST = 0.5
BACKOFF_SECONDS_MAX = 60.0
DELAY_SECONDS_MAX = 300.0
# How much longer than asked a wait may get, so that clients stopped by the same fault do not come back together.
JITTER = 0.5

# Statuses below 500 that are about this moment, not about the events. 410 and 460 mean that to every Segment SDK.
_PASSING = frozenset((408, 410, 425, 429, 460))
# A server that cannot do this at all. 511 is no such thing: it is a hotel's login page in front of the collector.
_LASTING = frozenset((501, 505))

_BODY_HEAD = b'{"sentAt":"%b","batch":['
_BODY_TAIL = b"]}"
_SENT_AT_BYTES = len(b"2026-01-01T00:00:00.000Z")
_ENVELOPE_BYTES = len(_BODY_HEAD) - len(b"%b") + _SENT_AT_BYTES + len(_BODY_TAIL)


SPOOL_BYTES_MIN = 1_000_000
# Whether a call waits until the disk has what was written, or only until the system has it.
SpoolSync = Literal["normal", "full"]


class DropReason(StrEnum):
    """Why an event will not be delivered. Every one of them is counted in ``Client.stats()``."""

    MALFORMED = "malformed"  # the call was no event: no id, no name
    TOO_LARGE = "too_large"  # above the size that collectors take
    INVALID = "invalid"  # refused by the local plan, in the mode "raise"
    BEFORE_SEND = "before_send"  # the app's own before_send said so
    BEFORE_SEND_FAILED = "before_send_failed"  # it raised, or returned no event
    SCRUB_FAILED = "scrub_failed"  # personal data could not be scrubbed, so the event is not sent
    QUEUE_FULL = "queue_full"  # no room in the queue, or the spool
    CLOSED = "closed"  # tracked after close()
    UNAUTHORIZED = "unauthorized"  # the collector does not know the write key
    REJECTED = "rejected"  # the collector refused the batch or this event for good
    EXPIRED = "expired"  # retried, or kept in the spool, for as long as the client was told to
    DAMAGED = "damaged"  # unreadable in the spool
    DEADLINE = "deadline"  # still here when close() or the end of the process ran out of time


# --- batches --------------------------------------------------------------------------------------------------------


class BatchLimits(msgspec.Struct, frozen=True):
    """How much goes into one request: events, and bytes of the whole body before compression."""

    events_max: int = 500
    bytes_max: int = BATCH_BYTES_MAX


def fitting(events: Iterable[bytes], limits: BatchLimits) -> int:
    """
    How many of the first events make one batch within the limits, exactly.

    Returns:
        At least 1 if there is an event: one that is too large alone is for the collector to refuse.
    """
    count, size = 0, _ENVELOPE_BYTES - 1  # n events have n - 1 commas
    for event in events:
        size += len(event) + 1
        if count and (count == limits.events_max or size > limits.bytes_max):
            break
        count += 1
    return count


def batch_body(events: Sequence[bytes], sent_at: str) -> bytes:
    """
    The request's body: a byte join of events that are final already.

    Args:
        events: Each the JSON of one event.
        sent_at: ISO 8601 in UTC with milliseconds, 24 characters.
    """
    return _BODY_HEAD % sent_at.encode() + b",".join(events) + _BODY_TAIL


def halves(events: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Two batches for one that was too large."""
    middle = len(events) // 2
    return events[:middle], events[middle:]


# --- answers --------------------------------------------------------------------------------------------------------


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back for one batch."""

    # 0: nothing came back.
    status: int
    body: bytes = b""
    # The header Retry-After as it came: seconds or an HTTP-date.
    retry_after: str = ""
    # The class of the network's error, where there was one.
    failure: str = ""


class EventResult(msgspec.Struct, frozen=True):
    """What the collector says about one event that was no plain success."""

    message_id: str
    status: str
    code: str


class Delivered(msgspec.Struct, frozen=True):
    """The collector has the batch. Some events may be quarantined, or refused one by one."""

    quarantined: tuple[EventResult, ...] = ()
    rejected: tuple[EventResult, ...] = ()


class Retry(msgspec.Struct, frozen=True):
    """Not now: send the same bytes again, no earlier than asked."""

    detail: str
    asked_seconds: float = 0.0


class Split(msgspec.Struct, frozen=True):
    """Too large together: send it in two halves."""


class Refused(msgspec.Struct, frozen=True):
    """Never: the collector will not take this batch."""

    reason: DropReason
    detail: str


Decision = Delivered | Retry | Split | Refused


def decide(answer: Answer, events: int, now: float) -> Decision:
    """
    What an answer means for the batch of so many events that it is for.

    Only a clean acknowledgement is one: a status 2xx *and* the JSON ``{"success": true, ...}``. After a login page with
    status 200 the events stay here.

    Args:
        answer: What came back.
        events: The size of the batch.
        now: Seconds since the Unix epoch, for a Retry-After that is a date.
    """
    status = answer.status
    body = _body(answer)
    if 200 <= status < 300:
        return _delivered(body.results) if body is not None and body.success else Retry("unclean_answer")
    if status == 400 and body is not None and isinstance(body.results, list) and len(body.results) == events:
        return _delivered(body.results)  # some were rejected, one by one; the others are stored
    detail = _detail(answer, body)
    if status == 413:
        return Split() if events > 1 else Refused(DropReason.TOO_LARGE, detail)
    if status in (401, 403):
        return Refused(DropReason.UNAUTHORIZED, detail)
    # A redirect is not followed, as the key must not travel, but it may be a maintenance page: not a final answer.
    may_pass = status < 400 or status in _PASSING or (status >= 500 and status not in _LASTING)
    if may_pass:
        return Retry(detail, retry_after_seconds(answer.retry_after, now))
    return Refused(DropReason.REJECTED, detail)


def retry_delay_seconds(attempt: int, asked_seconds: float = 0.0) -> float:
    """
    How long to wait before sending a batch again, before jitter.

    Args:
        attempt: Number of the attempt that just failed; the first is 1.
        asked_seconds: The collector's Retry-After; a floor, not a replacement.

    Returns:
        Seconds, at most DELAY_SECONDS_MAX.

    Source: RFC 9110, section 10.2.3.
    """
    # 2 ** 1024 overflows a float, and 16 doublings already pass the ceiling.
    backoff: float = BACKOFF_SECONDS_FIRST * 2 ** min(attempt - 1, 16)
    return min(max(min(backoff, BACKOFF_SECONDS_MAX), asked_seconds), DELAY_SECONDS_MAX)


def jittered_seconds(delay_seconds: float, draw: float) -> float:
    """The delay, lengthened by chance and never shortened, as it may be a wish of the collector. draw: from [0, 1)."""
    return delay_seconds * (1.0 + JITTER * draw)


def retry_after_seconds(header: str, now: float) -> float:
    """
    Read a Retry-After header.

    Args:
        header: Seconds, or an HTTP-date.
        now: Seconds since the Unix epoch.

    Returns:
        Seconds from now; 0 for a time that has passed, and for what cannot be read.

    Source: RFC 9110, section 10.2.3.
    """
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    if not text:
        return 0.0
    from email.utils import parsedate_to_datetime  # late: nearly no answer has a date, and it is slow to import

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0


class _Body(msgspec.Struct):
    success: bool = False
    code: Any = ""
    results: Any = ()


_read_body = msgspec.json.Decoder(_Body).decode


def _delivered(told: object) -> Delivered:
    results = [_result(each) for each in told] if isinstance(told, list) else []
    return Delivered(
        quarantined=tuple(each for each in results if each.status == "quarantined"),
        rejected=tuple(each for each in results if each.status == "rejected"),
    )


def _result(value: object) -> EventResult:
    fields = value if isinstance(value, dict) else {}
    return EventResult(*(_word(fields.get(name)) for name in ("messageId", "status", "code")))


def _detail(answer: Answer, body: _Body | None) -> str:
    if answer.status == 0:
        return answer.failure or "no_answer"
    code = "" if body is None else _word(body.code)
    return f"http_{answer.status} {code}".rstrip()


def _body(answer: Answer) -> _Body | None:
    try:
        return _read_body(answer.body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _word(value: object) -> str:
    """A code from outside, safe to log: short, and without control characters."""
    return "".join(filter(str.isprintable, value[:100])) if isinstance(value, str) else ""
