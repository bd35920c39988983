"""
Personal data is taken out before it leaves the app, where the tracking plan says it is.

A plan marks properties with a class (``"x-pii": "email"``); the app says by class what is sent in their place:

- ``"hash"``: ``"hmac-sha256:"`` and the HMAC with the app's own key, so equal values stay equal, and nobody without the
  key can try values out. E-mail addresses are stripped of blanks and lower-cased before, other text is taken as it is,
  and any other value by its JSON.
- ``"drop"``: the property is left out.
- a function: what it returns.

All versions that the plan has of an event count, and marks are followed through ``*`` into every item: in doubt a value
is scrubbed. What a plan does not know it cannot mark: for events that are not planned see ``on_invalid="drop"``.
"""

import hmac
from collections.abc import Callable, Mapping
from typing import Any, Literal

from assay.contract.plan import Plan
from assay.encoding import encode

ScrubRule = Literal["hash", "drop"] | Callable[[Any], Any]
_Rule = Callable[[Any], Any]
_Path = tuple[str, ...]
_ANY = "*"
_DROPPED = object()


class Scrubber:
    """Applies rules by class of personal data to the properties or traits of events."""

    def __init__(self, plan: Plan, rules: Mapping[str, ScrubRule], key: bytes) -> None:
        self._plan = plan
        self._rules = {kind: _rule(kind, rule, key) for kind, rule in rules.items()}
        self._paths: dict[tuple[str, str | None], list[tuple[_Path, _Rule]]] = {}

    def concerns(self, type: str, name: str | None) -> bool:
        """Whether an event has anything to scrub."""
        return bool(self._of(type, name))

    def scrub(self, type: str, name: str | None, body: Any) -> None:
        """Change properties or traits in place. Raises: whatever a function of the app's raises."""
        for path, rule in self._of(type, name):
            _apply(body, path, rule)

    def _of(self, type: str, name: str | None) -> list[tuple[_Path, _Rule]]:
        found = self._paths.get((type, name))
        if found is None:
            found = self._find(type, name)
            if len(self._paths) < 10_000:  # names of events can come from anywhere
                self._paths[type, name] = found
        return found

    def _find(self, type: str, name: str | None) -> list[tuple[_Path, _Rule]]:
        schemas = self._plan.schemas
        versions = schemas.get((type, name)) or (schemas.get((type, None), ()) if type != "track" else ())
        marks = {pointer: kind for schema in versions for pointer, kind in schema.pii.items()}
        return [(_path(pointer), self._rules[kind]) for pointer, kind in marks.items() if kind in self._rules]


def _rule(kind: str, rule: ScrubRule, key: bytes) -> _Rule:
    if rule == "drop":
        return lambda _: _DROPPED
    if rule == "hash":
        return lambda value: value if value is None else _hash(kind, value, key)
    return rule


def _hash(kind: str, value: Any, key: bytes) -> str:
    text = value if isinstance(value, str) else encode(value).decode()
    if kind == "email":
        text = text.strip().lower()
    return "hmac-sha256:" + hmac.new(key, text.encode(), "sha256").hexdigest()


def _path(pointer: str) -> _Path:
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def _apply(value: Any, path: _Path, rule: _Rule) -> None:
    step, rest = path[0], path[1:]
    for key in _keys(value, step):
        if rest:
            _apply(value[key], rest, rule)
            continue
        scrubbed = rule(value[key])
        if scrubbed is not _DROPPED:
            value[key] = scrubbed
        elif isinstance(value, dict):
            del value[key]
        else:
            value[key] = None  # the places of the other items stay


def _keys(value: Any, step: str) -> list[Any]:
    if isinstance(value, dict):
        return list(value) if step == _ANY else [step] * (step in value)
    if isinstance(value, list):
        if step == _ANY:
            return list(range(len(value)))
        return [int(step)] if step.isdecimal() and int(step) < len(value) else []
    return []
