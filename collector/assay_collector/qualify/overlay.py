"""
Facts with something laid over them: tallies that are in no store, and rows that were read ahead.

Both answer as the port promises, so the evaluator does not know that it is simulating.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, cast

from assay.contract.times import HOUR
from assay_collector.pql.matching import Mark
from assay_collector.store import Facts, Membership, Tally, TallyItem


class Overlay:
    """Tallies of new signals, in memory."""

    def __init__(self, signals: Iterable[int]) -> None:
        self.signals = frozenset(signals)
        self._tallies: dict[bytes, dict[tuple[int, int, bytes], list[int]]] = {}
        self._items: dict[bytes, dict[tuple[int, int, bytes, bytes], list[int]]] = {}

    @property
    def entities(self) -> Iterable[bytes]:
        """Whoever has any."""
        return self._tallies

    def add(self, marks: Iterable[Mark]) -> None:
        """Tally, as the store does when an event is committed."""
        for mark in marks:
            at = mark.at
            key = (mark.signal, at // HOUR, mark.leaf)
            rows = self._tallies.setdefault(mark.entity, {})
            row = rows.get(key)
            if row is None:
                rows[key] = [1, at, at]
            else:
                row[0] += 1
                row[1], row[2] = min(row[1], at), max(row[2], at)
            if mark.item is not None:
                span = self._items.setdefault(mark.entity, {}).setdefault((*key, mark.item), [at, at])
                span[0], span[1] = min(span[0], at), max(span[1], at)

    def tallies(self, entities: Iterable[bytes], signals: frozenset[int]) -> list[Tally]:
        """As ``Facts.tallies``."""
        return [
            Tally(entity, signal, bucket, leaf, *values)
            for entity in entities
            for (signal, bucket, leaf), values in self._tallies.get(entity, {}).items()
            if signal in signals
        ]

    def items(self, entities: Iterable[bytes], signals: frozenset[int]) -> list[TallyItem]:
        """As ``Facts.items``."""
        return [
            TallyItem(entity, signal, bucket, leaf, item, *values)
            for entity in entities
            for (signal, bucket, leaf, item), values in self._items.get(entity, {}).items()
            if signal in signals
        ]


def laid_over(facts: Facts, overlay: Overlay) -> Facts:
    """The facts, with these tallies in place of the store's."""
    return cast(Facts, _Laid(facts, overlay))


class _Laid:
    def __init__(self, facts: Facts, overlay: Overlay) -> None:
        self._facts = facts
        self._overlay = overlay

    def tallies(self, entities: Sequence[bytes], signals: Sequence[int]) -> Sequence[Tally]:
        known, new = self._split(signals)
        stored = self._facts.tallies(entities, known) if known else ()
        return [*stored, *self._overlay.tallies(dict.fromkeys(entities), new)] if new else stored

    def items(self, entities: Sequence[bytes], signals: Sequence[int]) -> Sequence[TallyItem]:
        known, new = self._split(signals)
        stored = self._facts.items(entities, known) if known else ()
        return [*stored, *self._overlay.items(dict.fromkeys(entities), new)] if new else stored

    def marked(self, entities: Sequence[bytes], signals: Sequence[int]) -> frozenset[int]:
        known, new = self._split(signals)
        stored = self._facts.marked(entities, known) if known else frozenset[int]()
        return stored | {row.signal for row in self._overlay.tallies(dict.fromkeys(entities), new)}

    def _split(self, signals: Sequence[int]) -> tuple[list[int], frozenset[int]]:
        new = self._overlay.signals
        return [signal for signal in signals if signal not in new], new.intersection(signals)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._facts, name)


def read_ahead(facts: Facts, ids: Iterable[bytes]) -> Facts:
    """
    The facts, where whatever is asked of one of these ids is read of all of them at once, and kept.

    For deciding many entities in a row: a query for a thousand costs little more than a query for one.
    """
    return cast(Facts, _Ahead(facts, ids))


# What answers with rows, and whose they are.
_OWNERS = {"tallies": "entity", "items": "entity", "traits": "entity", "consents": "subject"}
# What answers with a mapping by id.
_MAPPINGS = frozenset({"identifiers", "leaves_of", "people", "shared_from"})


class _Ahead:
    def __init__(self, facts: Facts, ids: Iterable[bytes]) -> None:
        self._facts = facts
        self._ids = list(dict.fromkeys(ids))
        self._known = frozenset(self._ids)
        self._kept: dict[tuple[str, Any], Mapping[bytes, Any]] = {}

    def memberships(self, *, leaves: Sequence[bytes] = (), accounts: Sequence[bytes] = ()) -> Sequence[Membership]:
        if (leaves and accounts) or not self._known.issuperset([*leaves, *accounts]):
            return self._facts.memberships(leaves=leaves, accounts=accounts)
        if leaves:
            found = self._keep("leaf", None, lambda: _by("leaf", self._facts.memberships(leaves=self._ids)))
        else:
            found = self._keep("account", None, lambda: _by("account", self._facts.memberships(accounts=self._ids)))
        return [row for id in dict.fromkeys([*leaves, *accounts]) for row in found.get(id, ())]

    def doubtful(self, subjects: Sequence[bytes], purposes: Sequence[str]) -> Collection[bytes]:
        if not self._known.issuperset(subjects):
            return self._facts.doubtful(subjects, purposes)
        found = self._keep(
            "doubtful", tuple(purposes), lambda: dict.fromkeys(self._facts.doubtful(self._ids, purposes))
        )
        return [subject for subject in subjects if subject in found]

    def __getattr__(self, name: str) -> Any:
        ask = getattr(self._facts, name)
        if name in _OWNERS:
            return lambda ids, *rest: self._rows(name, ask, ids, *rest)
        if name in _MAPPINGS:
            return lambda ids: self._mapping(name, ask, ids)
        return ask

    def _rows(self, name: str, ask: Callable[..., Any], ids: Sequence[bytes], *rest: Sequence[Any]) -> Sequence[Any]:
        if not self._known.issuperset(ids):
            found_there: Sequence[Any] = ask(ids, *rest)
            return found_there
        found = self._keep(name, tuple(map(tuple, rest)), lambda: _by(_OWNERS[name], ask(self._ids, *rest)))
        return [row for id in dict.fromkeys(ids) for row in found.get(id, ())]

    def _mapping(self, name: str, ask: Callable[..., Any], ids: Sequence[bytes]) -> Mapping[bytes, Any]:
        if not self._known.issuperset(ids):
            found_there: Mapping[bytes, Any] = ask(ids)
            return found_there
        found = self._keep(name, None, lambda: ask(self._ids))
        return {id: found[id] for id in ids if id in found}

    def _keep(self, name: str, rest: Any, read: Callable[[], Mapping[bytes, Any]]) -> Mapping[bytes, Any]:
        key = (name, rest)
        if key not in self._kept:
            self._kept[key] = read()
        return self._kept[key]


def _by(owner: str, rows: Iterable[Any]) -> Mapping[bytes, list[Any]]:
    found: dict[bytes, list[Any]] = defaultdict(list)
    for row in rows:
        found[getattr(row, owner)].append(row)
    return dict(found)
