"""One call of ``track``, ``identify``, ... on its way to final bytes."""

import os
import struct
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from assay._version import __version__
from assay.contract.times import UnreadableTime, format_instant, parse_instant
from assay.encoding import encode, is_clean, plain_text, sanitised

LIBRARY = {"name": "assay-python", "version": __version__}
# What a collector takes as one event: Segment's documented 32 KB.
EVENT_BYTES_MAX = 32 * 1024

# Written once: nearly every event has this context, or that of its scope.
CONTEXT = msgspec.Raw(encode({"library": LIBRARY}))
_encode = msgspec.json.Encoder().encode


class Call(msgspec.Struct, omit_defaults=True, gc=False):
    """
    The fields of a Segment message, first as the caller gave them, after ``completed`` as they are sent.

    It is no frozen value, because filling in what is missing is the hot path; it never leaves the call.
    """

    type: str
    messageId: Any = None  # noqa: N815 - the wire's names
    timestamp: Any = None
    userId: Any = None  # noqa: N815
    anonymousId: Any = None  # noqa: N815
    event: Any = None
    category: Any = None
    name: Any = None
    groupId: Any = None  # noqa: N815
    previousId: Any = None  # noqa: N815
    properties: Any = None
    traits: Any = None
    context: Any = None
    integrations: Any = None


def completed(call: Call, stamps: "Stamps") -> str | None:
    """
    Fill in what the caller left out, and bring ids and time to their wire form.

    Returns:
        What makes the call unusable, or None.
    """
    if type(call.userId) is not str or not call.userId:
        call.userId = _id_text(call.userId)
    if call.anonymousId is not None:
        call.anonymousId = _id_text(call.anonymousId)
    if call.userId is None and call.anonymousId is None:
        return "it needs a user_id or an anonymous_id"
    if type(call.event) is not str or not call.event:  # a track() that is as it should be has nothing to look for
        problem = _missing_part(call)
        if problem is not None:
            return problem
    now_text, new_id = stamps.draw()
    call.timestamp = now_text if call.timestamp is None else _time_text(call.timestamp, now_text)
    call.messageId = new_id if call.messageId is None else _id_text(call.messageId) or new_id
    if call.context is None:
        call.context = CONTEXT
    elif type(call.context) is not msgspec.Raw:
        call.context = {**mapping_of(call.context), "library": LIBRARY}
    return None


def _missing_part(call: Call) -> str | None:
    if call.type == "track":
        call.event = _id_text(call.event)
        return None if call.event else "it needs the name of an event"
    if call.type == "group":
        call.groupId = _id_text(call.groupId)
        return None if call.groupId else "it needs a group_id"
    if call.type == "alias":
        call.previousId = _id_text(call.previousId)
        return None if call.previousId and call.userId else "it needs a previous_id and a user_id"
    call.name, call.category = _id_text(call.name), _id_text(call.category)  # of a page or screen; both may be absent
    return None


def encoded(call: Call, body: dict[Any, Any]) -> tuple[bytes, dict[Any, Any]]:
    """
    The final bytes of a completed call.

    Args:
        call: The call; it is changed where a value needs the long way.
        body: Its properties or traits.

    Returns:
        The event as JSON, and the body that was written: the given one, or its sanitised form.
    """
    if type(call.context) is msgspec.Raw and call.integrations is None and is_clean(body):
        try:
            return _encode(call), body
        except Exception:  # noqa: BLE001, S110 - lone surrogates, or changed meanwhile by another thread: the long way
            pass
    for field in call.__struct_fields__:
        value = getattr(call, field)
        if value is not None and type(value) is not msgspec.Raw:
            setattr(call, field, sanitised(value))
    written: dict[Any, Any] = call.traits if call.properties is None else call.properties
    return _encode(call), {} if written is None else written


def written_context(surroundings: Mapping[str, Any]) -> msgspec.Raw | None:
    """A context of many calls in its final bytes, or None if it matters to more than these: it names a version."""
    return None if "schemaVersion" in surroundings else msgspec.Raw(encode({**surroundings, "library": LIBRARY}))


def read_back(event: object) -> Call | None:
    """A call from what ``before_send`` returned, with the fields that events have; None: it is no event."""
    if not isinstance(event, dict):
        return None
    fields = {name: value for name in Call.__struct_fields__ if (value := event.get(name)) is not None}
    if fields.get("type") not in _TYPES:
        return None
    call = Call(**fields)
    if call.type in ("identify", "group"):
        call.properties, call.traits = None, mapping_of(call.traits)
    elif call.type != "alias":
        call.properties, call.traits = mapping_of(call.properties), None
    return call


_TYPES = frozenset(("track", "identify", "group", "page", "screen", "alias"))


def schema_version(call: Call) -> str | None:
    """The plan's version that a completed call says it was made for, or None."""
    if type(call.context) is msgspec.Raw:
        return None
    version = call.context.get("schemaVersion")
    return version if isinstance(version, str) else None


class Stamps:
    """
    Stamps events with the time and a message id: a UUID of version 7, so ids are ordered by time.

    Texts are made once a second and once a millisecond, and ids come in blocks of 256 that share 66 random bits; to
    draw each anew would cost a fifth of ``track()``. Two ids are the same only if two blocks agree in all of these bits
    in one millisecond. A forked child must make its own Stamps (the client sees to it), else it would go on with its
    parent's block.
    """

    def __init__(self) -> None:
        self._second = (-1, "")
        self._millisecond = (-1, "", "")
        self._tails: list[str] = []

    def draw(self) -> tuple[str, str]:
        """The time as ISO 8601 in UTC with microseconds, and a new id."""
        milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
        at, time_head, id_head = self._millisecond
        if at != milliseconds:
            time_head, id_head = self._begin_millisecond(milliseconds)
        try:
            id_tail = self._tails.pop()  # atomic, so no two threads get the same one
        except IndexError:
            id_tail = self._refill()
        return time_head + _MICROSECONDS[nanoseconds // 1000], id_head + id_tail

    def _begin_millisecond(self, milliseconds: int) -> tuple[str, str]:
        seconds, rest = divmod(milliseconds, 1000)
        at, text = self._second
        if at != seconds:
            text = format_instant(seconds * 1_000_000)[:20]
            self._second = seconds, text
        digits = f"{milliseconds:012x}"
        heads = f"{text}{rest:03d}", f"{digits[:8]}-{digits[8:]}"
        self._millisecond = milliseconds, *heads  # one assignment, so other threads see all of it or nothing
        return heads

    def _refill(self) -> str:
        # Version 7, 12 random bits, variant 10, 54 random bits, 8 that count (RFC 9562, sections 5.7 and 6.2).
        a, b, c = struct.unpack(">HHQ", os.urandom(12))
        shared = f"-7{a & 0xFFF:03x}-{b & 0x3FFF | 0x8000:04x}-{c & 0xFF_FFFF_FFFF:010x}"
        tails = [shared + count for count in _COUNTS_DOWN]
        tail = tails.pop()
        self._tails.extend(tails)
        return tail


_MICROSECONDS = [f"{count:03d}Z" for count in range(1000)]
_COUNTS_DOWN = [f"{count:02x}" for count in range(255, -1, -1)]  # so that pop() counts up


def _id_text(value: object) -> str | None:
    """An id as text: numbers and UUIDs are written out; nothing and the empty text are no id."""
    plain = sanitised(value)
    if isinstance(plain, str):
        return plain_text(plain) or None
    return str(plain) if isinstance(plain, int | float) and not isinstance(plain, bool) else None


def _time_text(value: object, now_text: str) -> str:
    """The caller's time in its wire form; one that cannot be read is replaced by now, so the event is not lost."""
    try:
        return format_instant(parse_instant(sanitised(value) if isinstance(value, datetime) else value))
    except UnreadableTime:
        return now_text


def mapping_of(value: object) -> dict[str, Any]:
    """A value as a dict of its own; what is no mapping is an empty one."""
    plain = value if type(value) is dict else sanitised(value)
    return dict(plain) if isinstance(plain, Mapping) else {}
