"""
Changing what a plan marks as personal data, in place: the same in the app and at the collector's door.

What a plan does not know it cannot mark. All versions that it has of an event count, and marks are followed through
``*`` into every item: in doubt a value is scrubbed.
"""

import hmac
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from assay.contract.plan import Plan

Rule = Callable[[Any], Any]
Path = tuple[str, ...]

# What a rule returns for a value that is to be left out.
DROPPED: Final = object()

_ANY = "*"
_HASHED = re.compile(r"hmac-sha256:[0-9a-f]{64}")


def marks_of(plan: Plan, type: str, name: str | None) -> Mapping[Path, str]:
    """Where any version of an event carries personal data, and of which class."""
    schemas = plan.schemas
    versions = schemas.get((type, name)) or (schemas.get((type, None), ()) if type != "track" else ())
    marks = {pointer: kind for schema in versions for pointer, kind in schema.pii.items()}
    return {_path(pointer): kind for pointer, kind in marks.items()}


def hashed(kind: str, text: str, key: bytes) -> str:
    """
    A text as its keyed hash: equal texts stay equal, and nobody without the key can try texts out.

    E-mail addresses are stripped of blanks and lower-cased before.
    """
    if kind == "email":
        text = text.strip().lower()
    return "hmac-sha256:" + hmac.new(key, text.encode("utf-8", "surrogatepass"), "sha256").hexdigest()


def is_hashed(value: object) -> bool:
    """Whether a value is such a hash."""
    return isinstance(value, str) and _HASHED.fullmatch(value) is not None


def apply(value: Any, path: Path, rule: Rule, *, in_doubt: bool = False) -> None:
    """
    Put what the rule returns in the place of whatever lies at a path.

    Args:
        in_doubt: A value on the way that has no parts, though it should, is taken for what was looked for.
    """
    step, rest = path[0], path[1:]
    for key in _keys(value, step):
        inner = value[key]
        if rest and (isinstance(inner, dict | list) or inner is None or not in_doubt):
            apply(inner, rest, rule, in_doubt=in_doubt)
            continue
        scrubbed = rule(inner)
        if scrubbed is not DROPPED:
            value[key] = scrubbed
        elif isinstance(value, dict):
            del value[key]
        else:
            value[key] = None  # the places of the other items stay


def _path(pointer: str) -> Path:
    # A mark on the whole means each of its parts.
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]) or (_ANY,)


def _keys(value: Any, step: str) -> list[Any]:
    if isinstance(value, dict):
        return list(value) if step == _ANY else [step] * (step in value)
    if isinstance(value, list):
        if step == _ANY:
            return list(range(len(value)))
        return [int(step)] if step.isdecimal() and int(step) < len(value) else []
    return []
