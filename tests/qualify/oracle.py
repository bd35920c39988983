"""
The oracle: who qualifies and since when, recounted naively from raw messages.

Plain and slow on purpose. It keeps no tallies, knows no order of arrival, and shares nothing with the engine but the
definitions themselves and `Comparator.holds`. Every question is answered by going through all events again.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from assay.contract.ids import event_id
from assay.contract.times import MINUTE, parse_instant
from assay_collector.pql.definition import (
    All,
    Anchored,
    AnyOf,
    AtLeast,
    Condition,
    Criterion,
    Definition,
    Matcher,
    Not,
    Trait,
    Use,
)

Message = dict[str, Any]
Who = tuple[str, str]  # (user | anonymous | account, name)
Found = dict[tuple[str, str, str], dict[tuple[int, str], int]]

BEFORE_ALL_TIME = -(10**18)
SCORING = ("analytics", "pql_scoring")


@dataclass(frozen=True)
class Happened:
    """One distinct message, read."""

    id: bytes
    at: int
    body: Message
    leaf: Who
    scored: bool

    @property
    def named_account(self) -> str | None:
        if self.body["type"] == "group":
            return str(self.body["groupId"])
        named = self.body.get("context", {}).get("groupId") or self.body.get("properties", {}).get("groupId")
        return None if named is None else str(named)


class Oracle:
    """Everything that may be asked about a set of messages."""

    def __init__(
        self, messages: Iterable[Message], now: int, order: Callable[[Who], bytes], received_at: int | None = None
    ) -> None:
        """
        Args:
            now: Until when it is looked at.
            order: The ids by which ties between identifiers are broken.
            received_at: When everything was received, unless now.
        """
        self.now = now
        self.order = order
        distinct: dict[bytes, Happened] = {}
        for message in messages:
            read = _read(message, now if received_at is None else received_at)
            distinct.setdefault(read.id, read)
        self.all = sorted(distinct.values(), key=lambda h: (h.at, h.id))
        self.owner = self._owners()
        self.refused = {person for person in self._people() if self._refuses(person)}

    def qualifications(self, definitions: Iterable[Definition]) -> Found:
        """(definition, kind, name) -> (episode, step) -> since when."""
        found: Found = {}
        for definition in definitions:
            for name in self._names(definition.entity):
                steps = self._episode(definition, name)
                if steps:
                    found[definition.id, definition.entity, name] = steps
        return found

    # --- who is who ---

    def _owners(self) -> dict[str, str]:
        """Anonymous id -> its user: the first one seen with it."""
        pairs: dict[tuple[str, str], int] = {}
        for h in self.all:
            user, anonymous = h.body.get("userId"), h.body.get("anonymousId")
            if user and anonymous:
                pairs.setdefault((anonymous, user), h.at)

        def rank(pair: tuple[str, str]) -> tuple[int, list[bytes]]:
            return pairs[pair], sorted([self.order(("anonymous", pair[0])), self.order(("user", pair[1]))])

        owners: dict[str, str] = {}
        for anonymous, user in sorted(pairs, key=rank):
            owners.setdefault(anonymous, user)
        return owners

    def person(self, leaf: Who) -> Who:
        """Whose identifier it is."""
        kind, name = leaf
        return ("user", self.owner[name]) if kind == "anonymous" and name in self.owner else leaf

    def _people(self) -> set[Who]:
        return {self.person(h.leaf) for h in self.all}

    def _names(self, entity: str) -> set[str]:
        if entity == "user":
            return {name for _, name in self._people()}
        return {h.named_account for h in self.all if h.named_account is not None}

    # --- consent ---

    def _refuses(self, person: Who) -> bool:
        said: dict[tuple[str, Who], list[tuple[int, bool]]] = defaultdict(list)
        for h in self.all:
            if self.person(h.leaf) == person:
                for purpose, granted in _preferences(h.body).items():
                    said[purpose, h.leaf].append((h.at, granted))
        last = {key: _last_word(words) for key, words in said.items()}
        for (purpose, _), (at, granted) in last.items():
            spoken_at, spoken = last.get((purpose, person), (at, False)) if person[0] == "user" else (at, False)
            if not granted and not (spoken and spoken_at > at):
                return True
        return False

    # --- accounts ---

    def _joined(self, person: Who) -> dict[str, int]:
        found: dict[str, int] = {}
        for h in self.all:
            if h.body["type"] == "group" and self.person(h.leaf) == person:
                found.setdefault(str(h.body["groupId"]), h.at)
        return found

    def account_of(self, h: Happened) -> str | None:
        """The account an event happened in."""
        if h.named_account is not None:
            return h.named_account
        joined = self._joined(self.person(h.leaf))
        first = min(joined.values(), default=0)
        by_then = [account for account, since in joined.items() if since <= max(first, h.at)]
        return by_then[0] if len(by_then) == 1 else None

    def _home(self, person: Who) -> str | None:
        """The account whose traits are a person's."""
        joined = self._joined(person)
        firsts = [account for account, since in joined.items() if since == min(joined.values())]
        return firsts[0] if len(firsts) == 1 else None

    # --- what may be counted ---

    def _counted(self, definition: Definition, name: str) -> list[Happened]:
        tracks = [h for h in self.all if h.body["type"] == "track" and h.scored]
        tracks = [h for h in tracks if self.person(h.leaf) not in self.refused]
        if definition.entity == "user":
            return [h for h in tracks if self.person(h.leaf)[1] == name]
        mine = [h for h in tracks if self.account_of(h) == name]
        return [h for h in mine if not self._is_on_a_list(definition, "user", self.person(h.leaf))]

    def _traits(self, kind: str, who: Who, key: str) -> Iterator[tuple[int, Any]]:
        """(since, value), in order of time."""
        for h in self.all:
            is_of_user = kind == "user" and h.body["type"] == "identify" and self.person(h.leaf) == who
            is_of_account = kind == "account" and h.body["type"] == "group" and h.body["groupId"] == who[1]
            if (is_of_user or is_of_account) and key in h.body["traits"]:
                yield h.at, h.body["traits"][key]

    def _is_on_a_list(self, definition: Definition, kind: str, who: Who) -> bool:
        def on(tests: Any) -> bool:
            values = {key: [value for _, value in self._traits(kind, who, key)] for key, _ in tests}
            return all(values[key] and test.holds(values[key][-1]) is True for key, test in tests)

        return any(entry.of == kind and on(entry.tests) for entry in definition.exclude)

    # --- when ---

    def _episode(self, definition: Definition, name: str) -> dict[tuple[int, str], int]:
        who = self._who(definition.entity, name)
        if self._is_on_a_list(definition, definition.entity, who):
            return {}
        view = _View(self, definition, who)
        instants = [BEFORE_ALL_TIME, *sorted({h.at for h in self.all})]
        qualify = [view.truth(definition.qualify, at) for at in instants]
        gate = [
            q if definition.eligible is None else _both(q, view.truth(definition.eligible, at))
            for q, at in zip(qualify, instants, strict=True)
        ]
        steps: dict[tuple[int, str], int] = {}
        for index in range(1, len(instants)):
            if not steps and gate[index] is True and gate[index - 1] is not True:
                steps[1, "qualified"] = instants[index]
            elif (1, "qualified") in steps and (1, "exited") not in steps and qualify[index] is not True:
                steps[1, "exited"] = instants[index]
        return {key: at for key, at in steps.items() if at <= self.now}

    def _who(self, entity: str, name: str) -> Who:
        if entity == "account":
            return "account", name
        return ("user", name) if ("user", name) in self._people() else ("anonymous", name)


class _View:
    """One entity under one definition."""

    def __init__(self, oracle: Oracle, definition: Definition, who: Who) -> None:
        self.oracle = oracle
        self.who = who
        self.events = oracle._counted(definition, who[1])

    def truth(self, condition: Condition, at: int) -> bool | None:
        match condition:
            case Criterion(subject=subject, test=test):
                return test.holds(self.trait(subject, at) if isinstance(subject, Trait) else self.value(subject, at))
            case Not(of=inner):
                value = self.truth(inner, at)
                return None if value is None else not value
            case All(of=parts):
                need = len(parts)
            case AnyOf(of=parts):
                need = 1
            case AtLeast(of=parts):
                # A share p of n holds iff satisfied >= p x n.
                need = condition.count or next(k for k in range(100) if k >= (condition.share or 0) * len(parts))
        values = [self.truth(part, at) for part in parts]
        if values.count(True) >= need:
            return True
        return None if values.count(True) + values.count(None) >= need else False

    def trait(self, trait: Trait, at: int) -> Any:
        who: Who | None = self.who
        if self.who in self.oracle.refused:
            return None
        if trait.of == "account" != self.who[0]:
            home = self.oracle._home(self.who)
            who = None if home is None else ("account", home)
        if who is None:
            return None
        known = [value for since, value in self.oracle._traits(trait.of, who, trait.key) if since <= at]
        return known[-1] if known and not isinstance(known[-1], dict | list) else None

    def value(self, use: Use, at: int) -> int | None:
        start, end = BEFORE_ALL_TIME, 10**18
        if isinstance(use.window, Anchored):
            anchors = [h.at for h in self.events if _matches(use.window.anchor.matcher, h.body)]
            if not anchors or min(anchors) > at:
                return None
            start, end = min(anchors), min(anchors) + use.window.length
        seen = [h for h in self.events if start <= h.at < end and h.at <= at and _matches(use.signal.matcher, h.body)]
        if use.signal.aggregate == "count":
            return len(seen)
        if use.signal.of == "user_id":
            return len({person for h in seen if (person := self.oracle.person(h.leaf))[0] == "user"})
        return len({_value(h.body["properties"], use.signal.of) for h in seen} - {None})


# --- reading ----------------------------------------------------------------------------------------------------------


def _read(body: Message, received_at: int) -> Happened:
    at = parse_instant(body["timestamp"])
    if "sentAt" in body:
        off = received_at - parse_instant(body["sentAt"])
        at += off if abs(off) > MINUTE else 0
    at = min(at, received_at + 5 * MINUTE)
    leaf = ("user", str(body["userId"])) if body.get("userId") else ("anonymous", str(body["anonymousId"]))
    strict = body.get("source") == "strict"
    said = _preferences(body)
    scored = all(said.get(purpose, True) for purpose in SCORING) and (not strict or said.get("pql_scoring") is True)
    return Happened(event_id(body.get("source", "app"), body["messageId"]), at, body, leaf, scored)


def _preferences(body: Message) -> dict[str, bool]:
    said = body.get("context", {}).get("consent", {}).get("categoryPreferences", {})
    return {purpose: bool(said[purpose]) for purpose in SCORING if purpose in said}


def _last_word(words: list[tuple[int, bool]]) -> tuple[int, bool]:
    """The latest; of several at one instant a denial."""
    last = max(at for at, _ in words)
    return last, all(granted for at, granted in words if at == last)


def _matches(matcher: Matcher, body: Message) -> bool:
    if matcher.events and body["event"] not in matcher.events:
        return False
    return all(test.holds(_value(body["properties"], path)) is True for path, test in matcher.where)


def _value(properties: Message, path: str | None) -> Any:
    return properties.get(path or "")


def _both(left: bool | None, right: bool | None) -> bool | None:
    if left is False or right is False:
        return False
    return None if left is None or right is None else True
