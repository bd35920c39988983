"""
Personal data at the door: hashed or left out before anything is stored, where the plan says it is.

The classes are those of ``x-pii``. Whatever follows from an event follows from what is left: tallies, traits, evidence,
the digest that tells a duplicate, and what is kept of a message that is no event.
"""

from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from typing import Any, Literal

import msgspec

from assay.contract.lenient_json import load_or_none
from assay.contract.messages import Event
from assay.contract.plan import Plan
from assay.contract.scrubbing import DROPPED, Path, Rule, apply, hashed, is_hashed, marks_of

Action = Literal["keep", "hash", "drop"]
ACTIONS: tuple[Action, ...] = ("keep", "hash", "drop")
Unread = Literal["drop", "keep"]

_PATHS_MAX = 10_000  # names of events can come from anywhere
_TRAITS_TYPES = ("identify", "group")
_encode = msgspec.json.Encoder(order="deterministic").encode
Json = dict[str, Any]
_Key = tuple[str, str | None]


class DoorRules:
    """What becomes of each class of personal data, under one plan and one key."""

    def __init__(self, plan: Plan, actions: Mapping[str, Action], key: bytes, *, unread: Unread = "drop") -> None:
        """
        Args:
            actions: By class; those that are not named are kept.
            key: The identity key. Hashes are made with a key derived from it, so that no hash equals an identifier's.
            unread: What becomes of quarantined messages in which the plan finds nothing, as it does not know them.
        """
        self._plan = plan
        own_key = sha256(b"assay.personal_data:" + key).digest()
        self._rules = {kind: _rule(kind, action, own_key) for kind, action in actions.items() if action != "keep"}
        self._unread = unread
        self._paths: dict[_Key, tuple[tuple[Path, Rule], ...]] = {}

    def clean(self, event: Event, *, in_doubt: bool = False) -> None:
        """
        Change an event's properties or traits, and the traits in its context, in place.

        Args:
            in_doubt: It fails the plan, so what stands in the place of marked values may have another shape.
        """
        self._clean(event.type, event.name, event.properties, event.context, in_doubt=in_doubt)

    def clean_raw(self, raw: bytes, type: str | None, name: str | None) -> bytes:
        """
        What may be kept of a message that is no event, or not one of the plan's.

        Args:
            type: As far as it is known; None: nothing could be read.
        """
        item = load_or_none(raw) if type is not None else None
        if not isinstance(item, dict) or type is None or not self._is_planned(type, name):
            return raw if self._unread == "keep" else b""
        body, context = item.get("traits" if type in _TRAITS_TYPES else "properties"), item.get("context")
        self._clean(type, name, body, context if isinstance(context, dict) else {}, in_doubt=True)
        return bytes(_encode(item))

    def _clean(self, type: str, name: str | None, body: Any, context: Json, *, in_doubt: bool) -> None:
        for path, rule in self._of(type, name):
            apply(body, path, rule, in_doubt=in_doubt)
        traits = context.get("traits")
        if not isinstance(traits, dict):
            return
        # SDKs repeat there what identify said; where they say it nowhere else it is the body.
        for kind in {"identify", type if type in _TRAITS_TYPES else "identify"}:
            for path, rule in self._of(kind, None):
                apply(traits, path, rule, in_doubt=in_doubt)

    def _is_planned(self, type: str, name: str | None) -> bool:
        return self._plan.find(type, name) is not None

    def _of(self, type: str, name: str | None) -> tuple[tuple[Path, Rule], ...]:
        key = (type, None if type in _TRAITS_TYPES else name)
        found = self._paths.get(key)
        if found is None:
            marks = marks_of(self._plan, *key)
            # The deepest first: a hash has no parts that a later rule could find.
            paths = sorted(marks, key=len, reverse=True)
            found = tuple((path, self._rules[marks[path]]) for path in paths if marks[path] in self._rules)
            if len(self._paths) < _PATHS_MAX:
                self._paths[key] = found
        return found


def _rule(kind: str, action: Action, key: bytes) -> Rule:
    return (lambda _: DROPPED) if action == "drop" else partial(_hash, kind, key)


def _hash(kind: str, key: bytes, value: Any) -> Any:
    # What the app has hashed already stays comparable with what else it sends.
    if value is None or is_hashed(value):
        return value
    return hashed(kind, value if isinstance(value, str) else _encode(value).decode(), key)
