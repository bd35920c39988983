"""
The oracle of histories in which identities change: messages and admins' words are read again from the start, naively.

Who is who comes from ``identity.replay``; here stands what that makes of events, and of three simple definitions. It
shares nothing with the engine but the ids that break ties.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from assay.contract.times import parse_instant
from assay_collector.identity.people import Claim
from assay_collector.store import IdentityAct
from identity.replay import Replay
from qualify.house import IDENTIFY

Message = dict[str, Any]
Standing = dict[tuple[str, str, str], dict[tuple[int, str], int]]


@dataclass(frozen=True)
class Happened:
    """One message, read."""

    body: Message
    at: int
    leaf: bytes

    @property
    def account(self) -> str | None:
        return self.body.get("context", {}).get("groupId")


class Retelling:
    """What must be true of a set of messages and words."""

    def __init__(
        self,
        messages: Iterable[Message],
        acts: Iterable[IdentityAct],
        merging: frozenset[str],
        known: Iterable[tuple[str, str]] = (),
    ) -> None:
        """
        Args:
            merging: The ids of the messages that came through a source which may merge users.
            known: Identifiers that were seen, beside those on the messages: type and value.
        """
        distinct = {message["messageId"]: message for message in messages}
        self.all = [self._read(message) for message in distinct.values()]
        self._merging = merging
        self.names: dict[bytes, str] = {}
        self.types: dict[bytes, str] = {}
        for type, value in (*known, *(each for message in distinct.values() for each in named(message))):
            self.names[self.id(type, value)] = value
            self.types[self.id(type, value)] = type
        words = sorted({act.act_id: act for act in acts}.values(), key=lambda act: (act.at, act.act_id))
        last = {pair: act for act in words for pair in act.pairs}
        undone = {pair for pair, act in last.items() if act.action == "undo"}
        claims = [claim for h in self.all for claim in self._claims(h)]
        claims += [
            Claim(*pair, act.at, "rename" if act.action == "rename" else "admin", former=act.former)
            for act in words
            if act.action != "undo"
            for pair in act.pairs
        ]
        self.replay = Replay(claims, self.types, undone)

    def person(self, leaf: bytes) -> bytes:
        return self.replay.person_of.get(leaf, leaf)

    def standing(self) -> Standing:
        """(definition, kind, name) -> (episode, step) -> since when."""
        found: Standing = {}
        for person in {self.person(h.leaf) for h in self.all}:
            mine = [h for h in self._somebodys() if self.person(h.leaf) == person]
            made = sorted(h.at for h in mine if h.body["type"] == "track" and self.counts(h))
            if len(made) >= 2:
                found["two", "user", self.names[person]] = {(1, "qualified"): made[1]}
            for at, role in self._roles(mine):
                if role == "admin":
                    found["role", "user", self.names[person]] = {(1, "qualified"): at}
                    break
        for account in self.accounts():
            made = sorted(h.at for h in self.counted_in(account))
            if len(made) >= 3:
                found["three", "account", account] = {(1, "qualified"): made[2]}
        return found

    def counts(self, h: Happened) -> bool:
        """Whether consent lets an event be used."""
        return True

    def accounts(self) -> set[str]:
        """Every account that is named."""
        return {name for h in self.all for name in (h.account, h.body.get("groupId")) if name}

    def counted_in(self, account: str) -> list[Happened]:
        """What was done in an account and counts."""
        tracks = [h for h in self._somebodys() if h.body["type"] == "track" and self.counts(h)]
        return [h for h in tracks if self._account(h) == account]

    # --- small things ---

    def id(self, type: str, value: str) -> bytes:
        return IDENTIFY("default", type, value)

    def _read(self, body: Message) -> Happened:
        user = body.get("userId")
        leaf = self.id("user", user) if user else self.id("anonymous", body["anonymousId"])
        return Happened(body, parse_instant(body["timestamp"]), leaf)

    def _claims(self, h: Happened) -> Iterable[Claim]:
        if h.body.get("userId") and h.body.get("anonymousId"):
            anonymous = self.id("anonymous", h.body["anonymousId"])
            yield Claim(*sorted((h.leaf, anonymous)), h.at)
        if h.body["type"] == "alias" and h.body.get("previousId"):
            previous = self.id("anonymous", h.body["previousId"])
            yield Claim(
                *sorted((h.leaf, previous)),
                h.at,
                "alias",
                h.body["messageId"] in self._merging,
                previous,
                self.id("user", h.body["previousId"]),
            )

    def _somebodys(self) -> list[Happened]:
        shared = self.replay.shared_from
        return [h for h in self.all if h.leaf not in shared or h.at < shared[h.leaf]]

    def _roles(self, mine: list[Happened]) -> list[tuple[int, str]]:
        return sorted(
            (h.at, h.body["traits"]["role"])
            for h in mine
            if h.body["type"] == "identify" and "role" in h.body["traits"] and self.counts(h)
        )

    def _account(self, h: Happened) -> str | None:
        if h.account is not None:
            return h.account
        stays = self.stays(self.person(h.leaf))
        valid = [account for account, (start, end) in stays.items() if start <= h.at < end]
        first = min((start for start, _ in stays.values()), default=0)
        if h.at < first:
            valid = [account for account, (start, _) in stays.items() if start == first]
        return valid[0] if len(valid) == 1 else None

    def stays(self, person: bytes) -> dict[str, tuple[int, float]]:
        """Where a person belongs: account -> from when to when."""
        groups = [g for g in self._somebodys() if g.body["type"] == "group" and self.person(g.leaf) == person]
        joined: dict[tuple[bytes, str], list[int]] = {}
        left: dict[tuple[bytes, str], list[int]] = {}
        # Of what a leaf says on a shared device only what was begun before counts, with all that came of it.
        every = [g for g in self.all if g.body["type"] == "group" and self.person(g.leaf) == person]
        for g in every:
            times = left if g.body["traits"].get("left") else joined
            times.setdefault((g.leaf, g.body["groupId"]), []).append(g.at)
        stays: dict[str, tuple[int, float]] = {}
        for (leaf, account), times in joined.items():
            if not any(g.leaf == leaf and g.body["groupId"] == account and g.at == min(times) for g in groups):
                continue
            gone = max(left.get((leaf, account), [0]))
            end = float(gone) if gone > max(times) else float("inf")
            start, known = stays.get(account, (min(times), end))
            stays[account] = (min(start, min(times)), max(known, end))
        return stays


def named(message: Message) -> list[tuple[str, str]]:
    """Whom a message names: type and value."""
    keys = (("previousId", "anonymous"), ("anonymousId", "anonymous"), ("userId", "user"))
    return [(type, message[key]) for key, type in keys if message.get(key)]
