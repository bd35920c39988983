"""
The oracle of whole histories: messages, words of admins and erasures, read naively, one after the other as they came.

An erasure is the only step whose place among the others matters. Between two of them, what has arrived is a set. Who is
who comes from ``identity.replay``, what that makes of events from ``qualify.retelling``; here stand what an erasure
takes, what is refused after it, and whose consent allows what. It shares nothing with the engine but the ids.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from assay.contract.consent import SCORING_PURPOSES
from assay.contract.times import parse_instant
from assay_collector.store import IdentityAct
from qualify.house import IDENTIFY
from qualify.retelling import Happened, Retelling, Standing, named
from qualify.wire import Message

Identifier = tuple[str, str]  # type and value


@dataclass(frozen=True)
class Word:
    """What an identifier said about a purpose."""

    subject: bytes
    purpose: str
    at: int
    state: str


@dataclass
class Chronicle:
    """What has arrived so far, less what was erased."""

    messages: dict[str, Message] = field(default_factory=dict)
    acts: dict[bytes, IdentityAct] = field(default_factory=dict)
    # The log of consent outlives the messages that filled it.
    words: set[Word] = field(default_factory=set)
    seen: set[Identifier] = field(default_factory=set)
    erased: set[bytes] = field(default_factory=set)

    # --- what arrives ---

    def receive(self, message: Message) -> str:
        """A message; what becomes of it."""
        if id_of(_leaf(message)) in self.erased:
            return "refused"
        if message["messageId"] in self.messages:
            return "duplicate"
        kept = self._without_the_erased(message)
        self.messages[message["messageId"]] = kept
        self.seen.update(named(kept))
        self.words.update(_words(kept))
        return "stored"

    def take(self, act: IdentityAct) -> None:
        """An admin's word; of several pairs those count that nobody erased is part of."""
        pairs = tuple(pair for pair in act.pairs if self.erased.isdisjoint(pair))
        if pairs and act.act_id not in self.acts:
            self.acts[act.act_id] = replace(act, pairs=pairs)

    def erase(self, who: Identifier) -> str:
        """A request to erase whoever is known by an identifier; what becomes of it."""
        if id_of(who) in self.erased:
            return "already erased"
        if who not in self.seen:
            return "unknown"
        self.erased |= self._everything_of(who)
        kept = {id: message for id, message in self.messages.items() if id_of(_leaf(message)) not in self.erased}
        self.messages = {id: self._without_the_erased(message) for id, message in kept.items()}
        acts, self.acts = self.acts, {}
        for act in acts.values():
            self.take(act)
        # What only the messages of the erased spoke of is not known any more.
        left = {each for message in self.messages.values() for each in named(message)}
        ends = {end for act in self.acts.values() for pair in act.pairs for end in pair}
        self.seen = {each for each in self.seen if each in left or id_of(each) in ends}
        return "erased"

    def _everything_of(self, who: Identifier) -> set[bytes]:
        """All ids of a person; of a name that an alias spoke of, both readings that are nobody else's."""
        told = self.told()
        person = told.person(id_of(who))
        found = {id for id in told.everybody() if told.person(id) == person}
        for message in self.messages.values():
            if not message.get("previousId"):
                continue
            anonymous, user = ("anonymous", message["previousId"]), ("user", message["previousId"])
            if {id_of(anonymous), id_of(_leaf(message))} <= found and user not in self.seen:
                found.add(id_of(user))
            if id_of(user) in found and not told.is_somebody(anonymous):
                found.add(id_of(anonymous))
        return found

    def _without_the_erased(self, message: Message) -> Message:
        """A message less the identifiers that are not taken any more."""
        left = {**message}
        anonymous, previous = message.get("anonymousId"), message.get("previousId")
        if anonymous and message.get("userId") and id_of(("anonymous", anonymous)) in self.erased:
            del left["anonymousId"]
        if previous and {id_of(("anonymous", previous)), id_of(("user", previous))} & self.erased:
            del left["previousId"]
        return left

    # --- what follows ---

    def told(self) -> "Told":
        """What is true of all this."""
        merging = frozenset(id for id, message in self.messages.items() if message.get("source") == "merging")
        return Told(self.messages.values(), self.acts.values(), merging, self.seen, self.words)


class Told(Retelling):
    """What must be true of what is left, where somebody may refuse."""

    def __init__(
        self,
        messages: Collection[Message],
        acts: Iterable[IdentityAct],
        merging: frozenset[str],
        known: Collection[Identifier],
        words: Collection[Word],
    ) -> None:
        super().__init__(messages, acts, merging, known)
        self._words = words
        self._refused = {person: self._refuses(person) for person in {self.person(h.leaf) for h in self.all}}

    def is_somebody(self, identifier: Identifier) -> bool:
        """Whether anything was done under an identifier, or said of it in any other way than as a previous name."""
        id = id_of(identifier)
        ends = {end for told in self.replay.told if told.claim.as_user is None for end in told.both}
        return id in ends or any(h.leaf == id for h in self.all)

    def everybody(self) -> set[bytes]:
        """Every identifier that was seen or spoken of."""
        return self.types.keys() | self.replay.person_of.keys()

    # --- consent ---

    def scored(self, h: Happened) -> bool:
        """Whether an event may be tallied: by its own words, or else by a grant of its own identifier."""
        said = _preferences(h.body)
        if not all(said.values()):
            return False
        if h.body.get("source") != "strict" or "pql_scoring" in said:
            return True
        return any(
            word.subject == h.leaf and word.purpose == "pql_scoring" and word.state == "granted" and word.at <= h.at
            for word in self._words
        )

    def counts(self, h: Happened) -> bool:
        person = self.person(h.leaf)
        return self.scored(h) and not self._refused[person] and not self._refuses(person, h.at)

    def _refuses(self, person: bytes, until: int | None = None) -> bool:
        """Whether anybody's last word is a no that the person itself, as a user, has not answered since."""
        said: dict[tuple[str, bytes], list[Word]] = defaultdict(list)
        for word in self._words:
            if self.person(word.subject) == person and (until is None or word.at <= until):
                said[word.purpose, word.subject].append(word)
        last = {key: (max(w.at for w in words), _is_yes(words)) for key, words in said.items()}
        for (purpose, _), (at, is_yes) in last.items():
            answers = [
                spoken_at
                for (other, subject), (spoken_at, agrees) in last.items()
                if other == purpose and agrees and self.types.get(subject) == "user"
            ]
            if not is_yes and not any(answer > at for answer in answers):
                return True
        return False

    # --- what is derived ---

    def standing(self) -> Standing:
        found = super().standing()
        for account in self.accounts():
            first: dict[bytes, int] = {}
            for h in self.counted_in(account):
                person = self.person(h.leaf)
                if any(self.person(id) == person for id, type in self.types.items() if type == "user"):
                    first[person] = min(h.at, first.get(person, h.at))
            if len(first) >= 2:
                found["pair", "account", account] = {(1, "qualified"): sorted(first.values())[1]}
        for person in {self.person(h.leaf) for h in self.all}:
            made = [h.at for h in self._somebodys() if self._is_made_by(h, person)]
            trial = [] if self._refused[person] else self._trials(person)
            if made and trial:
                found["trial", "user", self.names[person]] = {(1, "qualified"): max(min(made), min(trial))}
        return found

    def _is_made_by(self, h: Happened, person: bytes) -> bool:
        return h.body["type"] == "track" and self.person(h.leaf) == person and self.counts(h)

    def _trials(self, person: bytes) -> list[int]:
        """When it was said that the account a person belonged to first is on trial."""
        stays = self.stays(person)
        firsts = [
            account for account, (start, _) in stays.items() if start == min(start for start, _ in stays.values())
        ]
        groups = [h for h in self.all if h.body["type"] == "group" and [h.body["groupId"]] == firsts]
        return [h.at for h in groups if h.body["traits"].get("plan") == "trial" and self.scored(h)]

    def memberships(self) -> set[tuple[bytes, str, int, int | None]]:
        """Leaf, account, since when, and until when if somebody said so since."""
        joined: dict[tuple[bytes, str], list[int]] = defaultdict(list)
        left: dict[tuple[bytes, str], list[int]] = defaultdict(list)
        for h in self.all:
            if h.body["type"] == "group":
                (left if h.body["traits"].get("left") else joined)[h.leaf, h.body["groupId"]].append(h.at)
        ends = {key: max(times) for key, times in left.items() if max(times) > max(joined.get(key, [0]))}
        return {(*key, min(times), ends.get(key)) for key, times in joined.items()}


def id_of(identifier: Identifier) -> bytes:
    """The id of an identifier."""
    type, value = identifier
    return IDENTIFY("default", type, value)  # type: ignore[arg-type]


def _leaf(message: Message) -> Identifier:
    return ("user", message["userId"]) if message.get("userId") else ("anonymous", message["anonymousId"])


def _words(message: Message) -> set[Word]:
    """A plain statement binds both ids that it names, and what is said with an event its own."""
    at, leaf = parse_instant(message["timestamp"]), id_of(_leaf(message))
    if message["type"] != "consent":
        states = {purpose: "granted" if is_yes else "denied" for purpose, is_yes in _preferences(message).items()}
        return {Word(leaf, purpose, at, state) for purpose, state in states.items()}
    subjects = {leaf} | ({id_of(("anonymous", message["anonymousId"]))} if message.get("anonymousId") else set())
    return {Word(subject, purpose, at, state) for subject in subjects for purpose, state in message["purposes"].items()}


def _preferences(message: Message) -> Mapping[str, bool]:
    if message["type"] == "consent":
        return {purpose: state == "granted" for purpose, state in message["purposes"].items()}
    said: dict[str, Any] = message.get("context", {}).get("consent", {}).get("categoryPreferences", {})
    return {purpose: bool(said[purpose]) for purpose in SCORING_PURPOSES if purpose in said}


def _is_yes(words: Collection[Word]) -> bool:
    """The last word; of several at one instant the no."""
    last = max(word.at for word in words)
    return all(word.state == "granted" for word in words if word.at == last)
