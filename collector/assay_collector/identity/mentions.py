"""
Whom a message names that was never made an event of: broken, refused by the plan, or cut off in the middle.

Such a message is kept as bytes, and yet belongs to somebody: it must be found when that person asks for what is held,
and when the person wants it gone.
"""

import re
from collections.abc import Iterator
from contextlib import suppress

import msgspec

from assay_collector.identity.identifiers import IdentifierType, Identify, hash_email

Mention = tuple[IdentifierType, str]

_TYPES: dict[str, tuple[IdentifierType, ...]] = {
    "userId": ("user",),
    "user_id": ("user",),
    "anonymousId": ("anonymous",),
    "anonymous_id": ("anonymous",),
    "previousId": ("user", "anonymous"),
    "deviceId": ("device",),
    "email": ("email_hash",),
}
# Wherever in a body, so that a whole batch of which nothing could be read is searched as well.
_NAMED = re.compile(
    rb'"(' + "|".join(_TYPES).encode() + rb')"\s*:\s*("(?:[^"\\]|\\.)*"?|-?[0-9][0-9.eE+-]*)', re.DOTALL
)
_DEVICE = re.compile(rb'"device"\s*:\s*\{[^{}]*?"id"\s*:\s*("(?:[^"\\]|\\.)*"?)', re.DOTALL)


def mentions(raw: bytes) -> frozenset[Mention]:
    """The identifiers that a body names, as far as it can be read: a value cut off by the body's end included."""
    return frozenset(_found(raw))


def mentioned(raw: bytes, namespace: str, identify: Identify) -> tuple[bytes, ...]:
    """Their identity ids."""
    return tuple(sorted(identify(namespace, type, value) for type, value in mentions(raw)))


def _found(raw: bytes) -> Iterator[Mention]:
    for match in _NAMED.finditer(raw):
        value = _text(match[2])
        for type in _TYPES[match[1].decode()] if value else ():
            yield type, hash_email(value) if type == "email_hash" else value
    for match in _DEVICE.finditer(raw):
        value = _text(match[1])
        if value:
            yield "device", value.strip().lower()
    # Keys may be written with escapes, which no search for bytes would find.
    if b"\\u" in raw:
        yield from _escaped(raw)


def _escaped(raw: bytes) -> Iterator[Mention]:
    try:
        item = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return
    for key, types in _TYPES.items():
        value = item.get(key) if isinstance(item, dict) else None
        if isinstance(value, str) and value:
            yield from ((type, hash_email(value) if type == "email_hash" else value) for type in types)


def _text(token: bytes) -> str:
    """A string or a number, as an id is read from it; "" for what is neither."""
    if not token.startswith(b'"'):
        return token.decode("ascii")
    # As it stands or, cut off by the body's end, closed; an escaped quote closes nothing.
    for whole in (token, token + b'"'):
        with suppress(msgspec.MsgspecError, UnicodeError):
            return str(msgspec.json.decode(whole, type=str))
    return token[1:].removesuffix(b'"').decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
