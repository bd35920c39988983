"""
People: connected components of links, with at most one user each.

Links are applied in an order of their own (earliest first, then by id), never in order of arrival, so any permutation
of the same messages, with any duplicates, gives the same people.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

BLOCKED_TWO_USERS = "two_users"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two identifiers seen together, first at `at`. `low` < `high`."""

    low: bytes
    high: bytes
    at: int


@dataclass(frozen=True, slots=True)
class People:
    """The outcome: who is who, and which pairs were refused."""

    person_of: Mapping[bytes, bytes]  # identifier -> person
    blocked: Mapping[tuple[bytes, bytes], str]  # (low, high) -> reason


def resolve(pairs: Iterable[Pair], users: frozenset[bytes]) -> People:
    """
    The people that these pairs make.

    Args:
        pairs: All pairs of the components in question.
        users: Which of the identifiers are user ids.

    Returns:
        A person's id is that of its user, else its smallest identifier. A pair that would join two users is blocked;
        the earlier pair stands.
    """
    groups = _Groups(users)
    blocked: dict[tuple[bytes, bytes], str] = {}
    for pair in sorted(set(pairs), key=lambda pair: (pair.at, pair.low, pair.high)):
        if not groups.join(pair.low, pair.high):
            blocked[pair.low, pair.high] = BLOCKED_TWO_USERS
    return People(groups.people(), blocked)


class _Groups:
    """Union-find in which every group has at most one user."""

    def __init__(self, users: frozenset[bytes]) -> None:
        self._users = users
        self._parents: dict[bytes, bytes] = {}
        self._user_of: dict[bytes, bytes] = {}

    def join(self, left: bytes, right: bytes) -> bool:
        a, b = self._root(left), self._root(right)
        if a == b:
            return True
        if a in self._user_of and b in self._user_of:
            return False
        self._parents[b] = a
        if b in self._user_of:
            self._user_of[a] = self._user_of.pop(b)
        return True

    def people(self) -> dict[bytes, bytes]:
        members: dict[bytes, list[bytes]] = {}
        for identifier in list(self._parents):
            members.setdefault(self._root(identifier), []).append(identifier)
        return {
            identifier: self._user_of.get(root, min(group)) for root, group in members.items() for identifier in group
        }

    def _root(self, identifier: bytes) -> bytes:
        if identifier not in self._parents:
            self._parents[identifier] = identifier
            if identifier in self._users:
                self._user_of[identifier] = identifier
        while self._parents[identifier] != identifier:
            self._parents[identifier] = self._parents[self._parents[identifier]]
            identifier = self._parents[identifier]
        return identifier
