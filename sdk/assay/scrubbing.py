"""
Personal data is taken out before it leaves the app, where the tracking plan says it is.

A plan marks properties with a class (``"x-pii": "email"``); the app says by class what is sent in their place:

- ``"hash"``: ``"hmac-sha256:"`` and the HMAC with the app's own key, so equal values stay equal, and nobody without the
  key can try values out. E-mail addresses are stripped of blanks and lower-cased before, other text is taken as it is,
  and any other value by its JSON.
- ``"drop"``: the property is left out.
- a function: what it returns.

See `assay.contract.scrubbing` for what counts as marked. For events that are not planned see ``on_invalid="drop"``.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from assay.contract.plan import Plan
from assay.contract.scrubbing import DROPPED, Path, Rule, apply, hashed, marks_of
from assay.encoding import encode

ScrubRule = Literal["hash", "drop"] | Callable[[Any], Any]


class Scrubber:
    """Applies rules by class of personal data to the properties or traits of events."""

    def __init__(self, plan: Plan, rules: Mapping[str, ScrubRule], key: bytes) -> None:
        self._plan = plan
        self._rules = {kind: _rule(kind, rule, key) for kind, rule in rules.items()}
        self._paths: dict[tuple[str, str | None], list[tuple[Path, Rule]]] = {}

    def concerns(self, type: str, name: str | None) -> bool:
        """Whether an event has anything to scrub."""
        return bool(self._of(type, name))

    def scrub(self, type: str, name: str | None, body: Any) -> None:
        """Change properties or traits in place. Raises: whatever a function of the app's raises."""
        for path, rule in self._of(type, name):
            apply(body, path, rule)

    def _of(self, type: str, name: str | None) -> list[tuple[Path, Rule]]:
        found = self._paths.get((type, name))
        if found is None:
            marks = marks_of(self._plan, type, name)
            found = [(path, self._rules[kind]) for path, kind in marks.items() if kind in self._rules]
            if len(self._paths) < 10_000:  # names of events can come from anywhere
                self._paths[type, name] = found
        return found


def _rule(kind: str, rule: ScrubRule, key: bytes) -> Rule:
    if rule == "drop":
        return lambda _: DROPPED
    if rule == "hash":
        return lambda value: value if value is None else hashed(kind, _text(value), key)
    return rule


def _text(value: Any) -> str:
    return value if isinstance(value, str) else encode(value).decode()
