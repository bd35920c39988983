"""
The oracle: who qualifies and since when, recounted naively from raw messages. Who is who stands here, what that makes
of a definition in ``recount``.

Plain and slow on purpose. It keeps no tallies, knows no order of arrival, and shares nothing with the engine but the
definitions themselves and `Comparator.holds`. Every question is answered by going through all events again.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from assay.contract.ids import event_id
from assay.contract.times import DAY, MINUTE, parse_instant
from assay_collector.pql.definition import ZONE, Definition, Trait
from qualify.recount import Known, Recount

Message = dict[str, Any]
Who = tuple[str, str]  # (user | anonymous | account, name)
Found = dict[tuple[str, str, str], dict[tuple[int, str], int]]

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
    def name(self) -> str:
        return str(self.body["event"])

    @property
    def properties(self) -> Message:
        return self.body["properties"]

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
        self._told: dict[tuple[str, Who, str], list[tuple[int, Any, bool]]] = {}
        distinct: dict[bytes, Happened] = {}
        for message in messages:
            read = _read(message, now if received_at is None else received_at)
            distinct.setdefault(read.id, read)
        self.all = sorted(distinct.values(), key=lambda h: (h.at, h.id))
        self.all = [replace(h, scored=True) if self._is_covered(h) else h for h in self.all]
        self.owner = self._owners()
        self.refused = {person for person in self._people() if self._refuses(person)}

    def qualifications(self, definitions: Iterable[Definition]) -> Found:
        """(definition, kind, name) -> (episode, step) -> since when."""
        found: Found = {}
        for definition in definitions:
            for name in self._names(definition.entity):
                steps = self._episodes(definition, name)
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
        self._pairs = pairs
        return owners

    def _is_nobodys(self, h: Happened) -> bool:
        """Whether it was done on a device that a second user had been seen with by then."""
        kind, name = h.leaf
        others = [
            at for (anonymous, user), at in self._pairs.items() if anonymous == name and user != self.owner[anonymous]
        ]
        return kind == "anonymous" and any(at <= h.at for at in others)

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

    def _is_covered(self, h: Happened) -> bool:
        """Whether an event of a strict source says nothing, and its own id had agreed by then."""
        said = _preferences(h.body)
        is_silent = h.body.get("source") == "strict" and "pql_scoring" not in said and all(said.values())
        return is_silent and any(
            h.leaf in _subjects(g) and g.at <= h.at and _preferences(g.body).get("pql_scoring") for g in self.all
        )

    def _refused_then(self, h: Happened) -> bool:
        """Whether its person refused when it happened; at the very instant, too."""
        return self._refuses(self.person(h.leaf), h.at)

    def _refuses(self, person: Who, until: int | None = None) -> bool:
        said: dict[tuple[str, Who], list[tuple[int, bool]]] = defaultdict(list)
        for h in self.all:
            for subject in _subjects(h):
                for purpose, granted in _preferences(h.body).items():
                    if self.person(subject) == person and (until is None or h.at <= until):
                        said[purpose, subject].append((h.at, granted))
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
            if h.body["type"] == "group" and self.person(h.leaf) == person and not self._is_nobodys(h):
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
        tracks = [h for h in tracks if self.person(h.leaf) not in self.refused and not self._is_nobodys(h)]
        tracks = [h for h in tracks if not self._refused_then(h)]
        if definition.entity == "user":
            return [h for h in tracks if self.person(h.leaf)[1] == name]
        mine = [h for h in tracks if self.account_of(h) == name]
        return [h for h in mine if not self._is_on_a_list(definition, "user", self.person(h.leaf))]

    def _traits(self, kind: str, who: Who, key: str, *, scored: bool = False) -> list[tuple[int, Any]]:
        """(since, value), in order of time; of all messages, or only of those that may be scored."""
        if (kind, who, key) not in self._told:
            self._told[kind, who, key] = list(self._read_traits(kind, who, key))
        return [(at, value) for at, value, may_score in self._told[kind, who, key] if may_score or not scored]

    def _read_traits(self, kind: str, who: Who, key: str) -> Iterator[tuple[int, Any, bool]]:
        for h in self.all:
            is_of_user = kind == "user" and h.body["type"] == "identify" and self.person(h.leaf) == who
            is_of_account = kind == "account" and h.body["type"] == "group" and h.body["groupId"] == who[1]
            is_said = is_of_account or (is_of_user and not self._is_nobodys(h))
            if is_said and key in h.body["traits"]:
                yield h.at, h.body["traits"][key], h.scored and not (is_of_user and self._refused_then(h))

    def _is_on_a_list(self, definition: Definition, kind: str, who: Who) -> bool:
        def on(tests: Any) -> bool:
            values = {key: [value for _, value in self._traits(kind, who, key)] for key, _ in tests}
            return all(values[key] and test.holds(values[key][-1]) is True for key, test in tests)

        return any(entry.of == kind and on(entry.tests) for entry in definition.exclude)

    # --- when ---

    def _episodes(self, definition: Definition, name: str) -> dict[tuple[int, str], int]:
        who = self._who(definition.entity, name)
        if self._is_on_a_list(definition, definition.entity, who):
            return {}
        known = Known(
            events=self._counted(definition, name),
            person=lambda h: self.person(h.leaf),
            user=lambda h: person if (person := self.person(h.leaf))[0] == "user" else None,
            trait=lambda trait, at: self._trait(who, trait, at),
            trait_of_member=self._trait,
            trait_instants=frozenset(h.at for h in self.all if h.body["type"] in ("identify", "group")),
            zone=self._trait(who, ZONE, self.now + DAY),
        )
        return Recount(definition, known, self.now).episodes()

    def _trait(self, who: Who, trait: Trait, at: int) -> Any:
        if who in self.refused:
            return None
        of: Who | None = who
        if trait.of == "account" != who[0]:
            home = self._home(who)
            of = None if home is None else ("account", home)
        if of is None:
            return None
        known = [value for since, value in self._traits(trait.of, of, trait.key, scored=True) if since <= at]
        return known[-1] if known and not isinstance(known[-1], dict | list) else None

    def _who(self, entity: str, name: str) -> Who:
        if entity == "account":
            return "account", name
        return ("user", name) if ("user", name) in self._people() else ("anonymous", name)


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


def _subjects(h: Happened) -> list[Who]:
    """Whom its words bind: a plain statement both ids that it names."""
    both = h.body["type"] == "consent" and h.body.get("userId") and h.body.get("anonymousId")
    return [h.leaf, ("anonymous", str(h.body["anonymousId"]))] if both else [h.leaf]


def _preferences(body: Message) -> dict[str, bool]:
    if body["type"] == "consent":
        return {purpose: state == "granted" for purpose, state in body["purposes"].items() if purpose in SCORING}
    said = body.get("context", {}).get("consent", {}).get("categoryPreferences", {})
    return {purpose: bool(said[purpose]) for purpose in SCORING if purpose in said}


def _last_word(words: list[tuple[int, bool]]) -> tuple[int, bool]:
    """The latest; of several at one instant a denial."""
    last = max(at for at, _ in words)
    return last, all(granted for at, granted in words if at == last)
