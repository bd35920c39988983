"""
JSON as loosely as clients write it, into plain JSON.

What msgspec refuses (bare NaN, lone surrogates, 1e400, broken UTF-8) goes through the standard library's decoder and a
cleaning pass.
"""

import json
import math
import re
from typing import Any

import msgspec

# What int() reads by default, and msgspec with it; a longer number is no number.
INTEGER_DIGITS_MAX = 4_300
# msgspec passes it through; a NUL cannot be stored by every store, so it takes the cleaning path.
ESCAPED_NUL = b"\\u0000"

_decode_any = msgspec.json.Decoder().decode


def load_leniently(data: bytes) -> Any:
    """
    Decode JSON as loosely as clients write it, into plain JSON.

    NaN and infinities become null, broken UTF-8, lone surrogates and NUL become U+FFFD. Control characters may stand in
    strings as they are.

    Raises:
        ValueError: It is not JSON even so.
        RecursionError: It is nested too deeply.
    """
    text = data.decode("utf-8", "replace")
    return clean(_LENIENT.decode(text))


def decode_plainly(data: bytes) -> Any:
    """Like `load_leniently`, and faster for what is plain JSON."""
    if ESCAPED_NUL not in data:
        try:
            return _decode_any(data)
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            pass
    return load_leniently(data)


def load_or_none(span: bytes) -> Any:
    """Like `load_leniently`; None for what is no JSON."""
    try:
        return load_leniently(span)
    except (ValueError, RecursionError):
        return None


def _parse_int(digits: str) -> int | None:
    # Exact, however long, as msgspec has it too: an id must not depend on what else stands in the message.
    return int(digits) if len(digits) <= INTEGER_DIGITS_MAX else None


def _parse_float(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


_LENIENT = json.JSONDecoder(parse_constant=lambda _: None, parse_int=_parse_int, parse_float=_parse_float, strict=False)


_UNCLEAN = re.compile("[\x00\ud800-\udfff]")


def clean(value: Any) -> Any:
    """The value without what not every store can keep: NUL and lone surrogates become U+FFFD."""
    if isinstance(value, str):
        return _UNCLEAN.sub("\ufffd", value)
    if isinstance(value, list):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    return value
