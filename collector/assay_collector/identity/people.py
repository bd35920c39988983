"""
People: connected components of links, with at most one user each unless somebody who may has joined two.

One pure function decides. It looks at links in an order of their own (an authorised word first, then the stronger
identifiers, then the earlier observation, then the smaller ids), never in order of arrival, so any permutation of the
same messages, with any duplicates, gives the same people and the same states.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from assay_collector.identity.identifiers import TYPES, IdentifierType
from assay_collector.identity.rules import CEILING_WINDOW, COMPONENT_MAX

Kind = Literal["observed", "alias", "admin", "rename"]
State = Literal["active", "blocked", "undone"]

BLOCKED_TWO_USERS = "two_users"
BLOCKED_SHARED_DEVICE = "shared_device"
BLOCKED_CEILING = "cardinality_ceiling"
BLOCKED_COMPONENT = "component_ceiling"
UNDONE = "undone"

_KINDS_OF_ADMINS = ("admin", "rename")
# What is carried from hand to hand, so that several users may be seen with it.
_SHARED_TYPES = ("anonymous", "device")
_WEAKEST = 0


class ClaimKey(NamedTuple):
    """What makes two claims one: of each the earliest observation is kept."""

    low: bytes
    high: bytes
    kind: str
    authorised: bool
    former: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody said that two identifiers are one person's, first at `at`. `low` < `high`."""

    low: bytes
    high: bytes
    at: int
    kind: str = "observed"
    authorised: bool = False  # an alias of a source that may merge users
    former: bytes = b""  # of an alias or rename, the end that is the previous name
    as_user: bytes | None = None  # of an alias, the previous name read as a user id

    @property
    def key(self) -> ClaimKey:
        return ClaimKey(self.low, self.high, self.kind, self.authorised, self.former)


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a claim."""

    state: State
    reason: str | None = None


ACTIVE = Decision("active")


@dataclass(frozen=True, slots=True)
class People:
    """The outcome: who is who, until when, and what became of each claim."""

    person_of: Mapping[bytes, bytes]  # identifier -> person
    # Identifiers that more than one user was seen with -> from when on, inclusive, what they did is nobody's.
    shared_from: Mapping[bytes, int]
    decisions: Mapping[ClaimKey, Decision]


Pair = tuple[bytes, bytes]


def pair_of(one: bytes, other: bytes) -> Pair:
    """Two identifiers in their one order."""
    return (one, other) if one < other else (other, one)


def ends_of(claim: Claim, types: Mapping[bytes, IdentifierType]) -> Pair:
    """
    Which identifiers a claim joins. The previous name of an alias is a user id if it ever was one, at any time: so a
    message that comes later, or happened later, gives the same answer.
    """
    if claim.as_user is None or types.get(claim.as_user) != "user":
        return claim.low, claim.high
    return pair_of(claim.high if claim.former == claim.low else claim.low, claim.as_user)


def resolve(
    claims: Iterable[Claim],
    types: Mapping[bytes, IdentifierType],
    *,
    undone: Collection[Pair] = frozenset(),
    component_max: int = COMPONENT_MAX,
) -> People:
    """
    The people that these claims make.

    Args:
        claims: All claims of the components in question.
        types: The type of every identifier that was ever seen. One that is missing was only spoken of.
        undone: The pairs of which the last word of an admin is that they are not one person.

    Returns:
        A person's id is that of its smallest user that is not a former name, else of its smallest anonymous id, else
        its smallest identifier.
    """
    return _Resolution({claim.key: claim for claim in sorted(set(claims), key=_newest_first)}, types).decide(
        undone, component_max
    )


def _newest_first(claim: Claim) -> int:
    # Of one claim observed twice the earlier is to remain.
    return -claim.at


class _Resolution:
    def __init__(self, claims: Mapping[ClaimKey, Claim], types: Mapping[bytes, IdentifierType]) -> None:
        self._claims = claims
        self._types = types
        self._ends = {key: ends_of(claim, types) for key, claim in claims.items()}

    def decide(self, undone: Collection[Pair], component_max: int) -> People:
        decisions = {key: Decision("undone", UNDONE) for key, ends in self._ends.items() if ends in undone}
        left = sorted((key for key in self._claims if key not in decisions), key=self._rank)
        groups = _Groups(self._users(), component_max)
        for key in left:
            if self._is_authorised(key):
                decisions[key] = groups.join(*self._ends[key], may_merge_users=True)
        left = [key for key in left if key not in decisions]
        frozen = self._frozen(left)
        left = [key for key in left if not frozen.intersection(self._ends[key]) or self._is_loop(key)]
        owners, crowded = self._owners(left, groups)
        for key in left:
            decisions[key] = self._judge(key, groups, owners, crowded)
        for key in self._claims:
            decisions.setdefault(key, Decision("blocked", BLOCKED_CEILING))
        return People(self._named(groups, decisions), self._shared(decisions), decisions)

    def _judge(
        self, key: ClaimKey, groups: "_Groups", owners: Mapping[bytes, bytes], crowded: Mapping[bytes, int]
    ) -> Decision:
        low, high = self._ends[key]
        if groups.are_one(low, high):
            return ACTIVE
        for carried, other in ((low, high), (high, low)):
            if carried not in owners:
                continue
            if self._types.get(other) == "user":
                if groups.root(other) != groups.root(owners[carried]):
                    return Decision("blocked", BLOCKED_TWO_USERS)
            elif carried in crowded and self._claims[key].at >= crowded[carried]:
                return Decision("blocked", BLOCKED_SHARED_DEVICE)
        return groups.join(low, high, may_merge_users=False)

    # --- order ---

    def _rank(self, key: ClaimKey) -> tuple[bool, int, int, Pair, ClaimKey]:
        """Whoever comes first stands."""
        ends = self._ends[key]
        strength = min(self._strength(end) for end in ends)
        return not self._is_authorised(key), -strength, self._claims[key].at, ends, key

    def _strength(self, identifier: bytes) -> int:
        type = self._types.get(identifier)
        return TYPES[type].strength if type is not None and type in TYPES else _WEAKEST

    def _is_authorised(self, key: ClaimKey) -> bool:
        """Whether it may join two users: an admin's word, or an alias between users by a source that may."""
        if key.kind in _KINDS_OF_ADMINS:
            return True
        return key.kind == "alias" and key.authorised and self._is_of_users(key)

    def _is_of_users(self, key: ClaimKey) -> bool:
        return all(self._types.get(end) == "user" for end in self._ends[key])

    def _is_loop(self, key: ClaimKey) -> bool:
        return self._ends[key][0] == self._ends[key][1]

    def _users(self) -> frozenset[bytes]:
        return frozenset(end for ends in self._ends.values() for end in ends if self._types.get(end) == "user")

    # --- ceilings ---

    def _frozen(self, keys: Iterable[ClaimKey]) -> frozenset[bytes]:
        """Identifiers that were first seen with more others within one window than their type allows."""
        first_seen: dict[bytes, dict[bytes, int]] = {}
        for key in keys:
            at = self._claims[key].at
            for end, other in (self._ends[key], self._ends[key][::-1]):
                known = first_seen.setdefault(end, {})
                known[other] = min(at, known.get(other, at))
        return frozenset(end for end, known in first_seen.items() if self._is_crowded(end, known.values()))

    def _is_crowded(self, identifier: bytes, instants: Collection[int]) -> bool:
        type = self._types.get(identifier)
        ceiling = TYPES[type if type is not None and type in TYPES else "anonymous"].ceiling
        if len(instants) <= ceiling:
            return False
        ordered = sorted(instants)
        return any(last - first < CEILING_WINDOW for first, last in zip(ordered, ordered[ceiling:], strict=False))

    # --- what is carried from hand to hand ---

    def _owners(self, keys: Iterable[ClaimKey], groups: "_Groups") -> tuple[dict[bytes, bytes], dict[bytes, int]]:
        """
        Of each anonymous or device id the user it was first seen with, and when it was first seen with another.

        Args:
            keys: In order of rank.
            groups: As joined by the authorised claims alone: users who are one person are no two.
        """
        owners: dict[bytes, bytes] = {}
        crowded: dict[bytes, int] = {}
        for key in keys:
            for carried, user in (self._ends[key], self._ends[key][::-1]):
                if self._types.get(carried) not in _SHARED_TYPES or self._types.get(user) != "user":
                    continue
                owner = owners.setdefault(carried, user)
                if groups.root(owner) != groups.root(user):
                    at = self._claims[key].at
                    crowded[carried] = min(at, crowded.get(carried, at))
        return owners, crowded

    def _shared(self, decisions: Mapping[ClaimKey, Decision]) -> dict[bytes, int]:
        shared: dict[bytes, int] = {}
        for key, decision in decisions.items():
            if decision.reason != BLOCKED_TWO_USERS:
                continue
            at = self._claims[key].at
            for carried, user in (self._ends[key], self._ends[key][::-1]):
                if self._types.get(carried) in _SHARED_TYPES and self._types.get(user) == "user":
                    shared[carried] = min(at, shared.get(carried, at))
        return shared

    # --- names ---

    def _named(self, groups: "_Groups", decisions: Mapping[ClaimKey, Decision]) -> dict[bytes, bytes]:
        for ends in self._ends.values():
            for end in ends:
                groups.root(end)
        former = {name for key, decision in decisions.items() if decision == ACTIVE for name in self._former(key)}
        person_of: dict[bytes, bytes] = {}
        for members in groups.members():
            name = self._name(members, former)
            person_of.update(dict.fromkeys(members, name))
        return person_of

    def _former(self, key: ClaimKey) -> tuple[bytes, ...]:
        """The user id that is a name of the past by this claim."""
        claim = self._claims[key]
        # An alias of a source that may not merge users renames nobody, even where somebody else joined the two.
        if not claim.former or not self._is_authorised(key) or not self._is_of_users(key) or self._is_loop(key):
            return ()
        return (claim.former,) if claim.as_user is None else (claim.as_user,)

    def _name(self, members: Collection[bytes], former: Collection[bytes]) -> bytes:
        users = [id for id in members if self._types.get(id) == "user"]
        current = [id for id in users if id not in former]
        anonymous = [id for id in members if self._types.get(id) == "anonymous"]
        return min(current or users or anonymous or members)


class _Groups:
    """Union-find in which a group has at most one user, unless somebody who may has joined two, and a limited size."""

    def __init__(self, users: frozenset[bytes], size_max: int) -> None:
        self._users = users
        self._size_max = size_max
        self._parents: dict[bytes, bytes] = {}
        self._sizes: dict[bytes, int] = {}
        self._with_user: set[bytes] = set()

    def are_one(self, left: bytes, right: bytes) -> bool:
        return self.root(left) == self.root(right)

    def join(self, left: bytes, right: bytes, *, may_merge_users: bool) -> Decision:
        a, b = self.root(left), self.root(right)
        if a == b:
            return ACTIVE
        if a in self._with_user and b in self._with_user and not may_merge_users:
            return Decision("blocked", BLOCKED_TWO_USERS)
        if self._sizes[a] + self._sizes[b] > self._size_max:
            return Decision("blocked", BLOCKED_COMPONENT)
        self._parents[b] = a
        self._sizes[a] += self._sizes.pop(b)
        if b in self._with_user:
            self._with_user.discard(b)
            self._with_user.add(a)
        return ACTIVE

    def members(self) -> Iterable[list[bytes]]:
        found: dict[bytes, list[bytes]] = {}
        for identifier in list(self._parents):
            found.setdefault(self.root(identifier), []).append(identifier)
        return found.values()

    def root(self, identifier: bytes) -> bytes:
        if identifier not in self._parents:
            self._parents[identifier] = identifier
            self._sizes[identifier] = 1
            if identifier in self._users:
                self._with_user.add(identifier)
        while self._parents[identifier] != identifier:
            self._parents[identifier] = self._parents[self._parents[identifier]]
            identifier = self._parents[identifier]
        return identifier
