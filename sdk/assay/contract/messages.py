"""The message types in their one canonical form, and what becomes of a message that has none."""

from typing import Any, Literal

import msgspec

# `consent` is our own: a plain statement of what somebody allows. The others are the protocol's.
MessageType = Literal["identify", "track", "page", "screen", "group", "alias", "consent"]
MESSAGE_TYPES: tuple[MessageType, ...] = ("identify", "track", "page", "screen", "group", "alias", "consent")


class Event(msgspec.Struct, frozen=True, gc=False):
    """
    One message as everything behind the door sees it.

    Instants are microseconds since the Unix epoch. Absent, ``null`` and ``""`` ids are all None here.
    """

    type: MessageType
    name: str | None  # the track event, or the page's or screen's name
    message_id: str
    user_id: str | None
    anonymous_id: str | None
    previous_id: str | None  # alias
    group_id: str | None  # group: the account; otherwise the account named on the event
    at: int  # what everything is computed by
    original_at: int | None  # the client's own claim
    sent_at: int | None
    received_at: int
    clamped: bool  # `at` would have lain in the future
    properties: dict[str, Any]  # the traits, for identify and group; for consent, what `read_statement` takes
    context: dict[str, Any]
    write_key: str | None = None  # an item's own key, where it names one


class Rejection(msgspec.Struct, frozen=True, gc=False):
    """Why something sent is no event: a stable code, where, and a sentence that quotes no content."""

    code: str
    pointer: str
    detail: str
    message_id: str | None = None
    type: str | None = None
    name: str | None = None
