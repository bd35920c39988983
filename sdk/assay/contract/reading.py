"""
Reading what clients really send: bytes to an envelope, and each of its items to an event or a rejection.

Two steps, because authorisation stands between them and because one bad item must never cost its neighbours. The fast
path decodes with msgspec; what msgspec refuses goes item by item through `lenient_json`, so that everything behind this
door is plain JSON.

Source: the tracking API as Segment documents it, and as its and its peers' SDKs really use it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec

from assay.contract.errors import AssayError
from assay.contract.lenient_json import ESCAPED_NUL, clean, decode_plainly, load_leniently, load_or_none
from assay.contract.messages import MESSAGE_TYPES, Event, MessageType, Rejection
from assay.contract.statements import InvalidStatement, read_statement_of
from assay.contract.times import INSTANT_MIN, MINUTE, UnreadableTime, parse_instant

EVENT_BYTES_MAX = 32 * 1024
DEPTH_MAX = 64
ID_CHARS_MAX = 512
MESSAGE_ID_CHARS_MAX = 255
NAME_CHARS_MAX = 512
# A difference between sentAt and receipt below this is the network, not a wrong clock. Correcting for it would make an
# event's time depend on which of its copies arrived first.
CLOCK_TOLERANCE = 1 * MINUTE
FUTURE_TOLERANCE = 5 * MINUTE

Json = dict[str, Any]


@dataclass(eq=False)
class UnreadableBody(AssayError):
    """A request body of which nothing can be used."""

    code: str
    detail: str

    def __str__(self) -> str:
        return self.detail


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """A request body, opened: what holds for all its items, and the items, still sealed."""

    type: MessageType | None  # what the path says; None for a batch, whose items say it themselves
    items: tuple[bytes | memoryview | msgspec.Raw, ...]
    write_key: str | None = None
    sent_at: object = None
    context: Json = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """When and how a request came: everything about an item that does not stand in the item."""

    received_at: int  # microseconds since the epoch
    sent_at: object = None  # as the envelope or a header gave it; an item's own wins
    anonymous_id: str | None = None  # from a header
    context: Json = field(default_factory=dict)  # merged under the item's own


class _WireBatch(msgspec.Struct, rename="camel"):
    batch: list[msgspec.Raw]
    write_key: Any = None
    sent_at: Any = None
    context: msgspec.Raw = msgspec.Raw(b"null")


class _WireItem(msgspec.Struct, rename="camel", gc=False):
    type: Any = None
    event: Any = None
    name: Any = None
    message_id: Any = None
    user_id: Any = None
    anonymous_id: Any = None
    previous_id: Any = None
    group_id: Any = None
    timestamp: Any = None
    original_timestamp: Any = None
    sent_at: Any = None
    properties: Any = None
    traits: Any = None
    context: Any = None
    write_key: Any = None


class _WireKey(msgspec.Struct, rename="camel"):
    write_key: Any = None


_decode_batch = msgspec.json.Decoder(_WireBatch).decode
_decode_item = msgspec.json.Decoder(_WireItem).decode
_decode_key = msgspec.json.Decoder(_WireKey).decode


# --- the envelope ---------------------------------------------------------------------------------------------------


def open_envelope(body: bytes, type: MessageType | None) -> Envelope:
    """
    Open a request body.

    Args:
        body: The decompressed body, whatever its content type says.
        type: The message type the path names, or None for a batch.

    Raises:
        UnreadableBody: It is not a JSON object, or a batch without a list of messages, or its shared context cannot be
            given to its messages. Damage inside one message of a batch is not an error here.
    """
    body = body.removeprefix(b"\xef\xbb\xbf")
    return _open_batch(body) if type is None else _open_single(body, type)


def _open_batch(body: bytes) -> Envelope:
    try:
        batch = _decode_batch(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return _open_damaged_batch(body)
    return Envelope(
        type=None,
        items=tuple(batch.batch),
        write_key=_text_or_none(batch.write_key),
        sent_at=batch.sent_at,
        context=_open_context(bytes(memoryview(batch.context))),
    )


def _open_damaged_batch(body: bytes) -> Envelope:
    fields: dict[str, Any] = {}
    items: list[bytes] | None = None
    context = b"null"
    for key, span in _split_object(body):
        if key == "batch" and span[:1] == b"[":
            items = _split_array(span)
        elif key in ("writeKey", "sentAt"):
            fields[key] = load_or_none(span)
        elif key == "context":
            context = span
    if items is None:
        raise UnreadableBody("invalid_batch", "the body has no list of messages named `batch`")
    return Envelope(
        type=None,
        items=tuple(items),
        write_key=_text_or_none(fields.get("writeKey")),
        sent_at=fields.get("sentAt"),
        context=_open_context(context),
    )


def _open_context(raw: bytes) -> Json:
    """
    The context that all messages of a batch share.

    It becomes part of each of them, so it is held to the limits of one message; and it may say what nobody consents to,
    so messages are not taken without it.
    """
    if raw == b"null":
        return {}
    if len(raw) > EVENT_BYTES_MAX or _is_too_deep(raw):
        raise UnreadableBody(
            "invalid_context", f"a batch's context has at most {EVENT_BYTES_MAX} bytes, {DEPTH_MAX} levels"
        )
    try:
        context = decode_plainly(raw)
    except (ValueError, RecursionError):
        raise UnreadableBody("invalid_context", "the batch's context is not JSON") from None
    return context if isinstance(context, dict) else {}


def _open_single(body: bytes, type: MessageType) -> Envelope:
    try:
        key = _decode_key(body).write_key
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        key = load_or_none(dict(_split_object(body)).get("writeKey", b"null"))
    return Envelope(type=type, items=(body,), write_key=_text_or_none(key))


# Strings first, so that brackets inside them are not seen. One that is never closed is taken to its end: looking for
# another beginning inside it costs the square of its length.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+("?)|[{}\[\],:]', re.DOTALL)


def _split_object(body: bytes) -> Iterator[tuple[str, bytes]]:
    """The members of a JSON object as (key, raw value), by brackets alone: damage inside a value stays inside it."""
    body = body.strip()
    if body[:1] != b"{" or body[-1:] != b"}":
        raise UnreadableBody("invalid_json", "the body is not a JSON object")
    for part in _split(body[1:-1]):
        match = _TOKEN.match(part)
        if match is None or part[match.end() :].lstrip()[:1] != b":":
            if part:
                raise UnreadableBody("invalid_json", "the body is not valid JSON")
            continue
        yield str(load_or_none(match[0])), part[match.end() :].lstrip()[1:].strip()


def _split_array(span: bytes) -> list[bytes]:
    if span[-1:] != b"]":
        raise UnreadableBody("invalid_json", "the batch is cut off")
    return [part for part in _split(span[1:-1]) if part]


def _split(inner: bytes) -> Iterator[bytes]:
    """The parts between top-level commas."""
    depth = start = 0
    token = None
    for token in _TOKEN.finditer(inner):
        sign = token[0]
        if sign in (b"{", b"["):
            depth += 1
        elif sign in (b"}", b"]"):
            depth -= 1
            if depth < 0:
                raise UnreadableBody("invalid_json", "the body is not valid JSON")
        elif sign == b"," and depth == 0:
            yield inner[start : token.start()].strip()
            start = token.end()
    if depth or (token is not None and token[1] == b""):
        raise UnreadableBody("invalid_json", "the body is not valid JSON, or was cut off")
    yield inner[start:].strip()


# --- an item --------------------------------------------------------------------------------------------------------


def read_item(
    raw: bytes | memoryview | msgspec.Raw, type: MessageType | None, arrival: Arrival, new_id: Callable[[], str]
) -> Event | Rejection:
    """
    Read one message into its canonical form.

    Args:
        raw: The message as JSON.
        type: The type that the path names; None: the message names it.
        arrival: When and how it came.
        new_id: Draws a message id, for a message that has none and no time of its own either: the batch's sentAt is
            not its own, and two such messages may well be two events.

    Returns:
        The event, or why it is none. Nothing is raised, whatever the bytes.
    """
    size = len(memoryview(raw)) if not isinstance(raw, bytes) else len(raw)
    if size > EVENT_BYTES_MAX:
        return _reject_oversize(raw, type, size)
    data = bytes(memoryview(raw)) if not isinstance(raw, bytes) else raw
    if _is_too_deep(data):
        return Rejection("too_deep", "", f"nested deeper than {DEPTH_MAX} levels")
    item = _decode_leniently(data)
    if isinstance(item, Rejection):
        return item
    try:
        return _canonical(item, data, type, arrival, new_id)
    except (_Refused, InvalidStatement) as refused:
        return Rejection(
            refused.code if isinstance(refused, _Refused) else "invalid_consent",
            refused.pointer,
            refused.detail,
            message_id=_cut(item.message_id, MESSAGE_ID_CHARS_MAX),
            type=type or _cut(item.type, NAME_CHARS_MAX),
            name=_cut(item.event, NAME_CHARS_MAX) or _cut(item.name, NAME_CHARS_MAX),
        )


class _Refused(Exception):
    def __init__(self, code: str, pointer: str, detail: str) -> None:
        self.code, self.pointer, self.detail = code, pointer, detail


def _decode_leniently(data: bytes) -> _WireItem | Rejection:
    if ESCAPED_NUL not in data:
        try:
            return _decode_item(data)
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            pass
    try:
        return msgspec.convert(load_leniently(data), _WireItem)
    except (ValueError, RecursionError):
        return Rejection("invalid_json", "", "not a JSON object")


def _canonical(
    item: _WireItem, data: bytes, path_type: MessageType | None, arrival: Arrival, new_id: Callable[[], str]
) -> Event:
    kind = path_type or _read_type(item.type)
    context = _read_object(item.context, "/context")
    if arrival.context:
        context = {**arrival.context, **context}
    statement = read_statement_of(data) if kind == "consent" else None
    user_id = _read_id(item.user_id, "/userId")
    anonymous_id = _read_id(item.anonymous_id, "/anonymousId") or arrival.anonymous_id
    if user_id is None and anonymous_id is None:
        raise _Refused("no_user_anon_id", "", "one of userId and anonymousId is needed")
    original_at = _read_time(item) if statement is None or statement.at is None else statement.said_at()
    sent_at = _sent_at(item.sent_at, arrival.sent_at)
    at, clamped = event_time(original_at, sent_at, arrival.received_at)
    if statement is not None:
        properties = statement.properties(at)
    elif kind in ("identify", "group"):
        properties = _read_traits(item, context)
    else:
        properties = _read_object(item.properties, "/properties")
    return Event(
        type=kind,
        name=_read_name(kind, item),
        message_id=_read_message_id(item, data, original_at, new_id, said_elsewhere=f"{kind}\n{anonymous_id}\n"),
        user_id=user_id,
        anonymous_id=anonymous_id,
        previous_id=_read_previous_id(kind, item),
        group_id=_read_group_id(kind, item, properties, context),
        at=at,
        original_at=original_at,
        sent_at=sent_at,
        received_at=arrival.received_at,
        clamped=clamped,
        properties=properties,
        context=context,
        write_key=None if item.write_key is None else _text_or_none(item.write_key),
    )


def event_time(original_at: int | None, sent_at: int | None, received_at: int) -> tuple[int, bool]:
    """
    When an event happened, and whether that had to be clamped.

    A client's clock is corrected by receivedAt - (sentAt - originalTimestamp), once it is off by more than the network
    explains; what would lie in the future is set to five minutes after receipt, and what would lie before the year 1 to
    its beginning.
    """
    if original_at is None:
        return received_at, False
    at = original_at
    if sent_at is not None and abs(received_at - sent_at) > CLOCK_TOLERANCE:
        at = received_at - (sent_at - original_at)
    within = max(INSTANT_MIN, min(at, received_at + FUTURE_TOLERANCE))
    return within, within != at


def _read_type(value: object) -> MessageType:
    text = value.strip().lower() if isinstance(value, str) else ""
    for known in MESSAGE_TYPES:
        if text == known:
            return known
    raise _Refused("unknown_type", "/type", f"type must be one of {', '.join(MESSAGE_TYPES)}")


def _read_name(type: MessageType, item: _WireItem) -> str | None:
    if type == "track":
        name = _text_or_none(item.event)
        if name is None:
            raise _Refused("no_event_name", "/event", "a track message needs the name of its event")
    elif type in ("page", "screen"):
        name = _text_or_none(item.name)
        if name is None and isinstance(item.properties, dict):
            name = _text_or_none(item.properties.get("name"))
    else:
        return None
    if name is not None and len(name) > NAME_CHARS_MAX:
        pointer = "/event" if type == "track" else "/name"
        raise _Refused("name_too_long", pointer, f"an event's name has at most {NAME_CHARS_MAX} characters")
    return name


def _read_id(value: object, pointer: str) -> str | None:
    if value is None or value == "":
        return None
    text = value if type(value) is str else _text_or_none(value)
    if text is None:
        raise _Refused("invalid_id", pointer, "an id must be a string or a number")
    if len(text) > ID_CHARS_MAX:
        raise _Refused("id_too_long", pointer, f"an id has at most {ID_CHARS_MAX} characters")
    return text


def _read_previous_id(type: MessageType, item: _WireItem) -> str | None:
    if type != "alias":
        return None
    previous_id = _read_id(item.previous_id, "/previousId")
    if previous_id is None:
        raise _Refused("no_previous_id", "/previousId", "an alias message needs the previous id")
    return previous_id


def _read_group_id(type: MessageType, item: _WireItem, properties: Json, context: Json) -> str | None:
    if type == "group":
        group_id = _read_id(item.group_id, "/groupId")
        if group_id is None:
            raise _Refused("no_group_id", "/groupId", "a group message needs the id of the group")
        return group_id
    if type == "identify":
        return _read_id(context.get("groupId"), "/context/groupId")
    return _read_id(context.get("groupId"), "/context/groupId") or _read_id(
        properties.get("groupId"), "/properties/groupId"
    )


def _read_message_id(
    item: _WireItem, data: bytes, original_at: int | None, new_id: Callable[[], str], *, said_elsewhere: str
) -> str:
    message_id = _text_or_none(item.message_id)
    if message_id is not None:
        if len(message_id) > MESSAGE_ID_CHARS_MAX:
            raise _Refused("message_id_too_long", "/messageId", f"at most {MESSAGE_ID_CHARS_MAX} characters")
        return message_id
    if item.message_id is not None and item.message_id != "":
        raise _Refused("invalid_message_id", "/messageId", "a messageId must be a string or a number")
    if original_at is None and _sent_at(item.sent_at) is None:
        return new_id()
    # The same bytes sent again are the same event, so that a client without ids may retry. The type may stand in the
    # path, and the anonymous id in a header.
    said = said_elsewhere.encode("utf-8", "surrogatepass") + data
    return "derived-" + blake2b(said, digest_size=16).hexdigest()


def _read_traits(item: _WireItem, context: Json) -> Json:
    if item.traits is None:
        return _read_object(context.get("traits"), "/context/traits")
    return _read_object(item.traits, "/traits")


def _read_object(value: object, pointer: str) -> Json:
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    # PHP encodes an empty map as an empty list.
    if value == [] or value == "":
        return {}
    raise _Refused("not_an_object", pointer, "must be a JSON object")


def _read_time(item: _WireItem) -> int | None:
    for pointer, value in (("/timestamp", item.timestamp), ("/originalTimestamp", item.original_timestamp)):
        if value is not None and value != "":
            try:
                return parse_instant(value)
            except UnreadableTime as error:
                raise _Refused("invalid_timestamp", pointer, str(error)) from None
    return None


def _sent_at(*values: object) -> int | None:
    """An unreadable sentAt only costs the clock correction, never the event."""
    for value in values:
        if value is not None and value != "":
            try:
                return parse_instant(value)
            except UnreadableTime:
                continue
    return None


def _text_or_none(value: object) -> str | None:
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def _reject_oversize(raw: bytes | memoryview | msgspec.Raw, type: MessageType | None, size: int) -> Rejection:
    detail = f"{size} bytes; an event has at most {EVENT_BYTES_MAX}"
    try:
        item = _decode_item(memoryview(raw))
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return Rejection("event_too_large", "", detail)
    return Rejection(
        "event_too_large",
        "",
        detail,
        message_id=_cut(item.message_id, MESSAGE_ID_CHARS_MAX),
        type=type or _cut(item.type, NAME_CHARS_MAX),
        name=_cut(item.event, NAME_CHARS_MAX),
    )


def _cut(value: object, chars_max: int) -> str | None:
    return clean((_text_or_none(value) or "")[:chars_max]) or None


def _is_too_deep(data: bytes) -> bool:
    # Brackets bound the depth, and counting them is a hundred times cheaper than walking.
    if data.count(b"{") + data.count(b"[") <= DEPTH_MAX:
        return False
    depth = 0
    for token in _TOKEN.finditer(data):
        if token[0] in (b"{", b"["):
            depth += 1
            if depth > DEPTH_MAX:
                return True
        elif token[0] in (b"}", b"]"):
            depth -= 1
    return False
