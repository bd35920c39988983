"""How values that strangers wrote are shown to a reader: short, on one line, and harmless to a terminal."""

import json
from typing import Any

TOKEN_CHARACTERS_MAX = 40
EXPECTED_CHARACTERS_MAX = 200


def pointer(*tokens: str | int) -> str:
    """Write a path as an RFC 6901 JSON pointer."""
    return "".join("/" + str(token).replace("~", "~0").replace("/", "~1") for token in tokens)


def visible(text: str) -> str:
    """Make control, format and private characters, and halves of surrogate pairs, visible as escapes."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def shorten(text: str, characters_max: int = TOKEN_CHARACTERS_MAX) -> str:
    """Cut a text to so many characters, the last of which then is an ellipsis."""
    return text if len(text) <= characters_max else text[: characters_max - 1] + "…"


def show(value: object) -> str:
    """
    Name a JSON value in few words: scalars as JSON, arrays and objects by their size only.

    Returns:
        One line without control characters; a long text is cut to TOKEN_CHARACTERS_MAX.
    """
    if isinstance(value, str):
        return visible(json.dumps(shorten(value), ensure_ascii=False))
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return _show_int(value)
    if isinstance(value, float):
        return repr(value)
    return kind_of(value)


def kind_of(value: object) -> str:
    """Say what sort of value it is, without showing it."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case list() | tuple():
            return f"an array of {len(value)} item{'' if len(value) == 1 else 's'}"
        case dict():
            return f"an object of {len(value)} propert{'y' if len(value) == 1 else 'ies'}"
    return "a value that JSON does not have"


def show_json(value: Any) -> str:
    """Write a value of the plan itself (never of an event) as short JSON on one line."""
    return shorten(visible(json.dumps(value, ensure_ascii=False)), EXPECTED_CHARACTERS_MAX)


def _show_int(value: int) -> str:
    # str() refuses more than 4,300 digits; nobody wants to read more than 128 bits anyway.
    return str(value) if value.bit_length() <= 128 else "an integer beyond 128 bits"


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
