"""Messages as clients send them, with what does not matter left out."""

from itertools import count
from typing import Any

from assay.contract.times import DAY, HOUR, MINUTE, format_instant, parse_instant

Message = dict[str, Any]

# An hour's edge, so that offsets of whole hours are edges too.
START = parse_instant("2026-03-02T09:00:00Z")
NOW = START + 60 * DAY

_numbers = count(1)


def track(
    event: str,
    at: int,
    user: str | None = None,
    *,
    anon: str | None = None,
    account: str | None = None,
    scoring: bool | None = None,
    **properties: Any,
) -> Message:
    """Somebody did something; `account` names where, `scoring` is what the message says about consent."""
    message = _message("track", at, user, anon, account, scoring)
    return {**message, "event": event, "properties": properties}


def identify(
    at: int, user: str | None = None, *, anon: str | None = None, scoring: bool | None = None, **traits: Any
) -> Message:
    """Who somebody is; under both ids it links them."""
    return {**_message("identify", at, user, anon, None, scoring), "traits": traits}


def group(account: str, at: int, user: str | None = None, *, anon: str | None = None, **traits: Any) -> Message:
    """Which account somebody belongs to, and what is known of it."""
    return {**_message("group", at, user, anon, None, None), "groupId": account, "traits": traits}


def times(n: int, event: str, at: int, user: str | None = None, *, apart: int = MINUTE, **how: Any) -> list[Message]:
    """The same thing n times, ever so much apart."""
    return [track(event, at + index * apart, user, **how) for index in range(n)]


def _message(
    type: str, at: int, user: str | None, anon: str | None, account: str | None, scoring: bool | None
) -> Message:
    context: dict[str, Any] = {}
    if account is not None:
        context["groupId"] = account
    if scoring is not None:
        context["consent"] = {"categoryPreferences": {"pql_scoring": scoring}}
    message: Message = {
        "type": type,
        "messageId": f"m-{next(_numbers)}",
        "timestamp": format_instant(at),
        "userId": user,
        "anonymousId": anon,
        "context": context,
    }
    return {key: value for key, value in message.items() if value not in (None, {})}


__all__ = ["DAY", "HOUR", "MINUTE", "NOW", "START", "Message", "group", "identify", "times", "track"]
