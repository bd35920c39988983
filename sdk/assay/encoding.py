"""
From any Python value to final JSON bytes, once, inside the call, by fixed rules. It never raises.

==========================================  ==========================================================
NaN, Infinity                               null
bytes, bytearray, memoryview                base64 text
lone surrogates in text                     joined where they pair up, else U+FFFD
datetime                                    ISO 8601 in UTC; one without a zone is read as UTC
date, time                                  ISO 8601
timedelta                                   seconds
Decimal                                     a number if a double says exactly the same, else text
UUID                                        text
Enum                                        its value
tuple, list, deque                          a list
set, frozenset                              a list, ordered by the JSON of its members
mappings, dataclasses                       an object; keys become text
other numbers (numpy's, Fraction)           int or float
an integer of more than 4,300 digits        ``"<too large>"``
a container inside itself                   ``"<cycle>"``
deeper than 60 containers                   ``"<too deep>"``
anything else                               its type's name, as in ``"<Socket>"``, never its content
what raises while it is read                ``"<unreadable Socket>"``
==========================================  ==========================================================

Clean data (plain text, numbers, booleans, null, dicts with text keys, lists) goes straight to msgspec, which
gives the same bytes as the long way.
"""

import math
from binascii import b2a_base64
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice
from numbers import Integral, Real
from types import NoneType
from typing import Any
from uuid import UUID

import msgspec

type_name = type.__dict__["__name__"].__get__

# Containers within containers. Collectors take 64 levels, of which the event itself needs one or two.
DEPTH_MAX = 60
# Every value takes two bytes at least ("0,"), so what has more values than this is above 32 KiB however it ends.
VALUES_MAX = 16_385
# Python and msgspec write no longer ones.
_INT_LIMIT = 10**4300
# What msgspec writes by the rules above, the non-finite numbers as null.
_PLAIN = frozenset((str, int, float, bool, NoneType))
_CONTAINERS = frozenset((dict, list))
_encoder = msgspec.json.Encoder()


def encode(value: object) -> bytes:
    """
    The final JSON of any value.

    Returns:
        Valid UTF-8 JSON, always.
    """
    if type(value) is dict and is_clean(value):
        try:
            return _encoder.encode(value)
        except Exception:  # noqa: BLE001, S110 - lone surrogates, or changed meanwhile by another thread: the long way
            pass
    return _encoder.encode(sanitised(value))


def is_clean(value: dict[Any, Any]) -> bool:
    """Whether msgspec alone writes this by the rules above (lone surrogates aside, which make it raise)."""
    try:
        "".join(value)  # the quickest way to learn that all keys are text
        # Both loops run in C; most properties are flat.
        return (_PLAIN.issuperset(map(type, value.values())) and len(value) <= VALUES_MAX) or _are_clean([value])
    except (TypeError, RuntimeError):  # a key that is no text; a change by another thread meanwhile
        return False


def sanitised(value: object) -> Any:
    """The value as plain text, numbers, booleans, null, lists and dicts with text keys, by the rules above."""
    return _Sanitiser().plain(value)


def plain_text(text: str) -> str:
    """The text without lone surrogates, so that it has a UTF-8 form."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _are_clean(level: list[Any]) -> bool:
    """Level by level, so that depth and number are bounded even for cycles and shared containers."""
    seen = 0
    for _ in range(DEPTH_MAX):
        below: list[Any] = []
        for each in level:
            seen += 1 + len(each)
            if seen > VALUES_MAX:
                return False
            below += _unplain_members(each)
        if not below:
            return True
        if not _CONTAINERS.issuperset(map(type, below)):
            return False
        level = below
    return False


def _unplain_members(container: Any) -> list[Any]:
    if type(container) is list:
        return [member for member in container if type(member) not in _PLAIN]
    "".join(container)
    return [member for member in container.values() if type(member) not in _PLAIN]


class _Sanitiser:
    """One walk over one value: it knows which containers it is in and how much it has seen."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._left = VALUES_MAX

    def plain(self, value: object) -> Any:
        kind = type(value)
        self._left -= 1
        if kind is str:
            return plain_text(value)  # type: ignore[arg-type]
        if value is None or kind is bool:
            return value
        try:
            return self._scalar_or_container(value, kind)
        except Exception:  # noqa: BLE001 - user objects may raise anything when read; an event must not
            return f"<unreadable {_name(kind)}>"

    def _scalar_or_container(self, value: Any, kind: type) -> Any:
        # Asked of the type, not of the object, whose __class__ may lie or raise.
        if issubclass(kind, Enum):
            return self.plain(value.value)
        for scalar, write in _SCALARS:
            if issubclass(kind, scalar):
                return write(value)
        if issubclass(kind, Mapping):
            return self._inside(value, lambda: self._object(value.items()))
        if issubclass(kind, list | tuple | deque):
            return self._inside(value, lambda: self._array(value))
        if issubclass(kind, set | frozenset):
            return self._inside(value, lambda: sorted(self._array(value), key=_encoder.encode))
        return self._dataclass_or_number(value, kind)

    def _dataclass_or_number(self, value: Any, kind: type) -> Any:
        fields = getattr(kind, "__dataclass_fields__", None)
        if fields is not None:
            return self._inside(value, lambda: self._object((name, getattr(value, name)) for name in fields))
        if issubclass(kind, Integral):
            return _short_enough(int(value))
        if issubclass(kind, Real):
            return _finite(float(value))
        return f"<{_name(kind)}>"

    def _inside(self, value: object, write: Any) -> Any:
        if id(value) in self._open:
            return "<cycle>"
        if len(self._open) >= DEPTH_MAX:
            return "<too deep>"
        self._open.add(id(value))
        try:
            return write()
        finally:
            self._open.discard(id(value))

    def _object(self, items: Iterable[tuple[object, object]]) -> dict[str, Any]:
        # The slice bounds what an endless iterator can do; the event is too large by then.
        return {self._key(key): self.plain(member) for key, member in islice(items, max(self._left, 0))}

    def _array(self, members: Iterable[object]) -> list[Any]:
        return [self.plain(member) for member in islice(members, max(self._left, 0))]

    def _key(self, key: object) -> str:
        if type(key) is str:
            return plain_text(key)
        text = self.plain(key)
        if isinstance(text, str):
            return text
        return f"<{_name(type(key))}>" if isinstance(text, dict | list) else _encoder.encode(text).decode()


def _name(kind: type) -> str:
    return plain_text(type_name(kind))


def _short_enough(number: int) -> int | str:
    return number if -_INT_LIMIT < number < _INT_LIMIT else "<too large>"


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _utc(moment: datetime) -> str:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _number_or_text(number: Decimal) -> int | float | str | None:
    if not number.is_finite():
        return None
    nearest = float(number)
    # What readers of JSON get is a double: only what survives that is sent as a number.
    if not math.isfinite(nearest) or Decimal(repr(nearest)) != number:
        return Decimal.__str__(number)
    return int(nearest) if number.as_tuple().exponent == 0 and abs(nearest) < 2**53 else nearest


# The methods of the base class, where a subclass could do something else; the order matters: a datetime is a date.
_SCALARS: tuple[tuple[Any, Any], ...] = (
    (str, lambda value: plain_text(str.__str__(value))),
    (int, lambda value: _short_enough(int.__int__(value))),
    (float, lambda value: _finite(float.__float__(value))),
    ((bytes, bytearray, memoryview), lambda value: b2a_base64(bytes(value), newline=False).decode()),
    (datetime, _utc),
    ((date, time), lambda value: value.isoformat()),
    (timedelta, timedelta.total_seconds),
    (Decimal, _number_or_text),
    (UUID, UUID.__str__),
)
