"""
The oracle of who is who: the rules read out one after the other, plain and slow.

It shares nothing with the engine but the values that go in. People are sets that are merged; every question is answered
by going through all claims again.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from assay_collector.identity.people import Claim

STRENGTHS = {"user": 4, "email_hash": 3, "external": 3, "anonymous": 2, "device": 1}
CEILINGS = {"user": 1_000, "email_hash": 100, "external": 100, "anonymous": 100, "device": 100}
DAY = 86_400_000_000

Said = tuple[str, str | None]  # state, reason


@dataclass(frozen=True)
class Told:
    """One claim with what it joins."""

    claim: Claim
    one: bytes
    other: bytes

    @property
    def both(self) -> set[bytes]:
        return {self.one, self.other}


class Replay:
    """Who is who by the rules."""

    def __init__(
        self,
        claims: Iterable[Claim],
        types: Mapping[bytes, str],
        undone: Collection[tuple[bytes, bytes]] = (),
        component_max: int = 1_000,
    ) -> None:
        self.types = types
        self.component_max = component_max
        earliest: dict[tuple[object, ...], Claim] = {}
        for claim in claims:
            key = (claim.low, claim.high, claim.kind, claim.authorised, claim.former)
            if key not in earliest or claim.at < earliest[key].at:
                earliest[key] = claim
        self.told = [self._read(claim) for claim in earliest.values()]
        self.said: dict[Claim, Said] = {}
        self.groups: list[set[bytes]] = [{id} for id in {id for told in self.told for id in told.both}]
        self._decide({frozenset(pair) for pair in undone})

    # --- the answers ---

    @property
    def person_of(self) -> dict[bytes, bytes]:
        return {id: self._name(group) for group in self.groups for id in group}

    @property
    def shared_from(self) -> dict[bytes, int]:
        found: dict[bytes, int] = {}
        for told in self.told:
            for id in told.both:
                if self.said[told.claim] == ("blocked", "two_users") and self._is_carried_to_a_user(told, id):
                    found[id] = min(told.claim.at, found.get(id, told.claim.at))
        return found

    # --- the rules ---

    def _decide(self, undone: set[frozenset[bytes]]) -> None:
        for told in self.told:
            if frozenset(told.both) in undone:
                self.said[told.claim] = ("undone", "undone")
        authorised = [told for told in self._open() if self._is_authorised(told)]
        for told in sorted(authorised, key=self._rank):
            self._join(told)
        frozen = {id for id in self.types.keys() | {id for t in self.told for id in t.both} if self._is_crowded(id)}
        for told in self._open():
            if told.both & frozen and len(told.both) == 2:
                self.said[told.claim] = ("blocked", "cardinality_ceiling")
        users_of = {id: self._users_seen_with(id) for told in self.told for id in told.both}
        for told in sorted(self._open(), key=self._rank):
            self._judge(told, users_of)

    def _judge(self, told: Told, users_of: Mapping[bytes, list[tuple[int, set[bytes]]]]) -> None:
        if self._group(told.one) is self._group(told.other):
            self.said[told.claim] = ("active", None)
            return
        for id, other in ((told.one, told.other), (told.other, told.one)):
            seen = users_of[id] if self._type(id) in ("anonymous", "device") else []
            if not seen:
                continue
            if self._type(other) == "user" and other not in seen[0][1]:
                self.said[told.claim] = ("blocked", "two_users")
                return
            if self._type(other) != "user" and len(seen) > 1 and told.claim.at >= seen[1][0]:
                self.said[told.claim] = ("blocked", "shared_device")
                return
        self._join(told)

    def _join(self, told: Told) -> None:
        one, other = self._group(told.one), self._group(told.other)
        if one is other:
            self.said[told.claim] = ("active", None)
        elif self._has_user(one) and self._has_user(other) and not self._is_authorised(told):
            self.said[told.claim] = ("blocked", "two_users")
        elif len(one | other) > self.component_max:
            self.said[told.claim] = ("blocked", "component_ceiling")
        else:
            self.groups = [group for group in self.groups if group is not one and group is not other]
            self.groups.append(one | other)
            self.said[told.claim] = ("active", None)

    def _users_seen_with(self, id: bytes) -> list[tuple[int, set[bytes]]]:
        """The persons (of authorised joining alone) that an id was seen with, in order, each with the first time."""
        firsts: list[tuple[int, set[bytes]]] = []
        for told in sorted(self._open(), key=self._rank):
            users = [end for end in told.both - {id} if id in told.both and self._type(end) == "user"]
            for user in users:
                if not any(user in group for _, group in firsts):
                    firsts.append((told.claim.at, set(self._group(user))))
        if len(firsts) > 2:
            firsts = [firsts[0], min(firsts[1:], key=lambda first: first[0])]
        return firsts

    def _is_crowded(self, id: bytes) -> bool:
        first_seen: dict[bytes, int] = {}
        for told in self._open():
            for end in told.both - {id} if id in told.both else ():
                first_seen[end] = min(told.claim.at, first_seen.get(end, told.claim.at))
        ceiling = CEILINGS[self.types.get(id, "anonymous")]
        return any(
            sum(1 for at in first_seen.values() if start <= at < start + DAY) > ceiling for start in first_seen.values()
        )

    # --- small things ---

    def _read(self, claim: Claim) -> Told:
        if claim.as_user is not None and self.types.get(claim.as_user) == "user":
            (kept,) = {claim.low, claim.high} - {claim.former}
            return Told(claim, kept, claim.as_user)
        return Told(claim, claim.low, claim.high)

    def _open(self) -> list[Told]:
        return [told for told in self.told if told.claim not in self.said]

    def _rank(self, told: Told) -> tuple[object, ...]:
        claim = told.claim
        strength = min(STRENGTHS.get(self._type(id), 0) for id in (told.one, told.other))
        key = (claim.low, claim.high, claim.kind, claim.authorised, claim.former)
        return not self._is_authorised(told), -strength, claim.at, sorted((told.one, told.other)), key

    def _is_authorised(self, told: Told) -> bool:
        if told.claim.kind in ("admin", "rename"):
            return True
        both_users = all(self._type(id) == "user" for id in told.both)
        return told.claim.kind == "alias" and told.claim.authorised and both_users

    def _is_carried_to_a_user(self, told: Told, id: bytes) -> bool:
        others = told.both - {id}
        return self._type(id) in ("anonymous", "device") and any(self._type(end) == "user" for end in others)

    def _type(self, id: bytes) -> str:
        return self.types.get(id, "")

    def _group(self, id: bytes) -> set[bytes]:
        return next(group for group in self.groups if id in group)

    def _has_user(self, group: set[bytes]) -> bool:
        return any(self._type(id) == "user" for id in group)

    def _name(self, group: set[bytes]) -> bytes:
        users = {id for id in group if self._type(id) == "user"}
        former = set()
        for told in self.told:
            renames = told.claim.former and len(told.both) == 2 and told.both <= users and self._is_authorised(told)
            if renames and self.said[told.claim] == ("active", None):
                former.add(told.claim.former if told.claim.as_user is None else told.claim.as_user)
        anonymous = {id for id in group if self._type(id) == "anonymous"}
        return min(users - former or users or anonymous or group)
