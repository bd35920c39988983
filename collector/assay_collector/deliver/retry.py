"""What follows from the result of an attempt: delivered, try again at some moment, or give up. Pure."""

from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from assay.contract.times import HOUR, INSTANT_MAX, MINUTE, SECOND
from assay_collector.deliver.sender import Answer, NoAnswer, SendResult

# The pauses after the first, second, ... failed attempt: ten attempts in a little over three days.
# Source: Standard Webhooks specification, "Deliverability and reliability".
SCHEDULE = (
    5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR,
)  # fmt: skip
ATTEMPTS_MAX = len(SCHEDULE) + 1
# A receiver that says no (rather than "not now") is wrong or wrongly configured. That is worth some patience, since
# people mend it within hours, but a message that no receiver will ever take must not hold up its successors for days.
ATTEMPTS_MAX_REFUSED = 5
RETRY_AFTER_MAX = 24 * HOUR
JITTER_SHARE = 0.2  # a pause is stretched by at most this share, so that what failed together returns apart
NOT_NOW = frozenset({408, 409, 425, 429})
GONE = 410


@dataclass(frozen=True, slots=True)
class Delivered:
    """The endpoint has it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """It failed, and is tried again."""

    at: int
    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It failed for good: a dead letter."""

    reason: str


Decision = Delivered | Retry | GiveUp


def decide(result: SendResult, *, attempt: int, now: int, jitter: float) -> Decision:
    """
    What follows from an attempt.

    2xx is delivered. 410 is final at once. A receiver's refusal (other 4xx, but not 408, 409, 425 and 429), a redirect
    and an address that may not be reached are final from the fifth attempt on; anything else from the tenth on.

    Args:
        attempt: Number of the attempt that just ended; the first is 1.
        now: When it ended.
        jitter: Uniform in [0, 1).
    """
    if isinstance(result, Answer) and 200 <= result.status < 300:
        return Delivered()
    reason = describe(result)
    if isinstance(result, Answer) and result.status == GONE:
        return GiveUp(reason)
    if attempt >= (ATTEMPTS_MAX_REFUSED if _is_refusal(result) else ATTEMPTS_MAX):
        return GiveUp(reason)
    asked = retry_after(result.retry_after, now) if isinstance(result, Answer) else 0
    return Retry(now + max(pause(attempt, jitter), asked), reason)


def pause(attempt: int, jitter: float) -> int:
    """
    How long to wait after an attempt that failed.

    Args:
        attempt: Its number; the first is 1. Beyond the schedule its last pause counts.
        jitter: Uniform in [0, 1); only ever lengthens the pause.

    Returns:
        Microseconds.
    """
    base = SCHEDULE[min(attempt, len(SCHEDULE)) - 1]
    return base + int(base * JITTER_SHARE * jitter)


def retry_after(header: str | None, now: int) -> int:
    """
    Read a Retry-After header, in seconds or as an HTTP date.

    Returns:
        Microseconds from `now`, from 0 to RETRY_AFTER_MAX; 0 for anything that cannot be read.

    Source: RFC 9110, section 10.2.3.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        # Nineteen digits are more than any cap; int() refuses thousands of them.
        return min(int(text[:18]) * SECOND, RETRY_AFTER_MAX) if len(text) <= 18 else RETRY_AFTER_MAX
    try:
        at = int(parsedate_to_datetime(text).timestamp()) * SECOND
    except (ValueError, TypeError, OverflowError, OSError):
        return 0
    return min(max(min(at, INSTANT_MAX) - now, 0), RETRY_AFTER_MAX)


def describe(result: SendResult) -> str:
    """One line for the operator: what went wrong."""
    if isinstance(result, NoAnswer):
        return f"{result.kind}: {result.detail}"
    text = f"HTTP {result.status}"
    if 300 <= result.status < 400:
        text += " (redirects are not followed)"
    return f"{text}: {result.excerpt}" if result.excerpt else text


def _is_refusal(result: SendResult) -> bool:
    if isinstance(result, NoAnswer):
        return result.kind == "refused"
    return 300 <= result.status < 500 and result.status not in NOT_NOW
