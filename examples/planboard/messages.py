"""What people do, as the Segment-shaped messages that their clients send."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal, TypedDict, Unpack

from examples.planboard.world import Account, Person

Json = dict[str, Any]
Via = Literal["sdk", "raw"]

# Why the collector must keep a message in quarantine, in its own words.
SCHEMA_VIOLATION = "schema_violation"
UNPLANNED = "unplanned_event"
NOBODY = "no_user_anon_id"
TOO_LARGE = "event_too_large"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write_instant(at: int) -> str:
    """An instant (microseconds since 1970) as ISO 8601 in UTC."""
    return (_EPOCH + timedelta(microseconds=at)).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True, eq=False)
class Message:
    """One message, and what the simulator knows of it that the collector does not."""

    # What is sent: type, messageId, timestamp, userId and the rest. Never changed once written.
    body: Mapping[str, Any]
    # When it really happened, whatever the device's clock said; microseconds since 1970.
    at: int
    # Through the SDK's Client, or as it is over HTTP: what the SDK would refuse, and clocks it would not have.
    via: Via = "sdk"
    # The reason for which the collector must quarantine it; None: a good event.
    bad: str | None = None
    # Stands on the edge of a window, so its time may not be off by even a microsecond.
    exact: bool = False
    # Delivered after all that is not late.
    late: bool = False
    # Delivered twice.
    twice: bool = False
    # By how much the device's clock is ahead; `timestamp` in the body has it in already. Microseconds.
    skew: int = 0

    @property
    def message_id(self) -> str:
        return str(self.body["messageId"])


class How(TypedDict, total=False):
    """Everything about a message that usually does not matter."""

    ids: Literal["user", "anonymous", "both"]  # which ids it names; default: user
    named: Account | None  # the account it names, as context.groupId
    scoring: bool | None  # what context.consent says of pql_scoring; default: it says nothing
    schema_version: str | None
    bad: str | None
    exact: bool
    late: bool
    twice: bool


class Diary:
    """Writes messages down. Message ids are drawn from the generator, so a run can be repeated exactly."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._things = 0
        self.messages: list[Message] = []

    def thing_id(self, kind: str) -> str:
        """An id for something people make, such as a task."""
        self._things += 1
        return f"{kind}-{self._things}"

    def track(self, who: Person, event: str, at: int, properties: Json | None = None, **how: Unpack[How]) -> Message:
        """Somebody did something."""
        return self._write({"type": "track", "event": event, "properties": properties or {}}, who, at, how)

    def page(self, who: Person, path: str, at: int, **how: Unpack[How]) -> Message:
        """Somebody saw a page."""
        properties = {"path": path, "url": f"https://app.planboard.example{path}"}
        return self._write({"type": "page", "name": "App", "properties": properties}, who, at, how)

    def identify(self, who: Person, at: int, traits: Json | None = None, **how: Unpack[How]) -> Message:
        """The client says who somebody is; by default under both ids, which links them."""
        how.setdefault("ids", "both")
        return self._write({"type": "identify", "traits": who.traits() if traits is None else traits}, who, at, how)

    def group(self, who: Person, account: Account, at: int, traits: Json | None = None, **how: Unpack[How]) -> Message:
        """The client says which account somebody works in, and what is known of it."""
        body: Json = {"type": "group", "groupId": account.account_id, "traits": traits or {}}
        return self._write(body, who, at, how)

    def _write(self, body: Json, who: Person, at: int, how: How) -> Message:
        ids = how.get("ids", "user")
        body["messageId"] = f"pb-{self._rng.getrandbits(96):024x}"
        body["timestamp"] = write_instant(at)
        if ids != "anonymous":
            body["userId"] = who.user_id
        if ids != "user":
            body["anonymousId"] = who.anonymous_id
        context = _context(how)
        if context:
            body["context"] = context
        bad, exact = how.get("bad"), how.get("exact", False)
        message = Message(
            body=body,
            at=at,
            via="raw" if bad or exact else "sdk",
            bad=bad,
            exact=exact,
            late=how.get("late", False),
            twice=how.get("twice", False),
        )
        self.messages.append(message)
        return message


def _context(how: How) -> Json:
    context: Json = {}
    named, scoring, version = how.get("named"), how.get("scoring"), how.get("schema_version")
    if named is not None:
        context["groupId"] = named.account_id
    if scoring is not None:
        context["consent"] = {"categoryPreferences": {"analytics": True, "pql_scoring": scoring}}
    if version is not None:
        context["schemaVersion"] = version
    return context
