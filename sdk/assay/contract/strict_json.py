"""JSON as people write it by hand, read strictly: a slip that a lenient reader hides is a problem here."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from assay.contract.display import pointer

# A document of a plan is written by a person; these bounds are far above any, and keep a hostile one cheap.
DOCUMENT_BYTES_MAX = 256 * 1024
DEPTH_MAX = 64


class _Object(dict[str, Any]):
    """An object that remembers which of its names came more than once."""

    repeated: tuple[str, ...] = ()


class _Refused(ValueError):
    """A number that JSON does not have."""


def read_strictly(data: bytes) -> tuple[Any, list[tuple[str, str]]]:
    """
    Read one JSON document.

    Returns:
        The value, and the problems as (JSON pointer, message). With a problem at the root the value is None.
    """
    if len(data) > DOCUMENT_BYTES_MAX:
        return None, [("", f"is larger than {DOCUMENT_BYTES_MAX:,} bytes")]
    value, slip = _decode(data)
    if slip:
        return None, [("", slip)]
    problems = []
    for tokens, item, depth in _walk(value):
        if depth > DEPTH_MAX:
            return None, [("", f"is nested more than {DEPTH_MAX} levels deep")]
        if isinstance(item, _Object):
            problems += [(pointer(*tokens, name), "the name appears more than once") for name in item.repeated]
    return value, problems


def _decode(data: bytes) -> tuple[Any, str]:
    try:
        text = data.decode("utf-8-sig")
        value = json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_float)
        json.dumps(value, ensure_ascii=False).encode()
    except _Refused as refused:
        return None, f"is not JSON: {refused}"
    except json.JSONDecodeError as error:
        return None, f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    except UnicodeEncodeError:
        return None, "holds half of a surrogate pair, which UTF-8 cannot carry"
    except UnicodeDecodeError as error:
        return None, f"is not UTF-8: {error.reason} at byte {error.start}"
    except RecursionError:
        return None, f"is nested more than {DEPTH_MAX} levels deep"
    except ValueError:
        # int() refuses more than 4,300 digits.
        return None, "is not JSON: a number with too many digits"
    return value, ""


def _pairs(pairs: list[tuple[str, Any]]) -> _Object:
    found = _Object(pairs)
    if len(found) < len(pairs):
        times = Counter(name for name, _ in pairs)
        found.repeated = tuple(sorted(name for name, count in times.items() if count > 1))
    return found


def _constant(name: str) -> Any:
    raise _Refused(f"{name} is no JSON number")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _Refused("a number too large for 64 bits")
    return number


def _walk(root: Any) -> Iterator[tuple[tuple[str | int, ...], Any, int]]:
    stack: list[tuple[tuple[str | int, ...], Any, int]] = [((), root, 1)]
    while stack:
        tokens, item, depth = stack.pop()
        yield tokens, item, depth
        if isinstance(item, dict):
            stack += [((*tokens, name), child, depth + 1) for name, child in reversed(item.items())]
        elif isinstance(item, list):
            stack += [((*tokens, index), item[index], depth + 1) for index in range(len(item) - 1, -1, -1)]
