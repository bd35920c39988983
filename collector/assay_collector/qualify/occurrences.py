"""Reading raw events again: for the hours in which a tally alone does not answer, and for what no tally can hold."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import msgspec

from assay.contract.times import HOUR
from assay_collector.identity.spans import ALWAYS, Spans, contains
from assay_collector.pql.matching import CompiledSignal
from assay_collector.pql.sweeps import Occurrence
from assay_collector.store import EventRow, Facts, Tally

_decode = msgspec.json.Decoder().decode


class Belonging(Protocol):
    """When what was done under a leaf counts for the entity in question."""

    def spans(self, leaf: bytes, *, named: bool) -> Spans:
        """
        The times.

        Args:
            named: Of events that name the account in question; else of those that name none, or of a person's.
        """


@dataclass
class Rereader:
    """The matching events behind the tally rows that are folded for one entity."""

    facts: Facts
    compiled: Mapping[int, CompiledSignal]
    tallies: Sequence[Tally]
    account: bytes | None = None  # None: for a person
    belonging: Belonging | None = None  # None: everything counts
    people: Mapping[bytes, bytes] = field(default_factory=dict)  # leaf -> person, where it is not the leaf itself
    users: frozenset[bytes] = frozenset()  # the people with a user id; only they count where users are counted
    _instants: dict[tuple[int, int], list[tuple[int, bytes | None]]] = field(default_factory=dict)
    _occurrences: dict[int, list[Occurrence]] = field(default_factory=dict)

    def instants(self, signal: int, hour: int) -> Sequence[tuple[int, bytes | None]]:
        """When the matching events of one hour happened, ascending, and what each counts as for distinct."""
        key = (signal, hour)
        if key not in self._instants:
            places = {(row.entity, row.leaf) for row in self._rows.get(signal, ()) if row.bucket == hour}
            found = [each for place in places for each in self._read(signal, *place, hour, hour)]
            self._instants[key] = sorted(((each.at, each.value) for each in found), key=lambda pair: pair[0])
        return self._instants[key]

    def occurrences(self, signal: int) -> Sequence[Occurrence]:
        """Every matching event of a signal."""
        if signal not in self._occurrences:
            hours: dict[tuple[bytes, bytes], list[int]] = {}
            for row in self._rows.get(signal, ()):
                hours.setdefault((row.entity, row.leaf), []).append(row.bucket)
            self._occurrences[signal] = [
                each for place, found in hours.items() for each in self._read(signal, *place, min(found), max(found))
            ]
        return self._occurrences[signal]

    @cached_property
    def _rows(self) -> Mapping[int, list[Tally]]:
        found: dict[int, list[Tally]] = {}
        for row in self.tallies:
            found.setdefault(row.signal, []).append(row)
        return found

    def _read(self, signal: int, entity: bytes, leaf: bytes, first: int, last: int) -> Iterable[Occurrence]:
        named = self.account if self.account is not None and entity == self.account else None
        spans = ALWAYS if self.belonging is None else self.belonging.spans(leaf, named=named is not None)
        for found in occurrences_of(self.facts, self.compiled[signal], leaf, first, last, named):
            if not contains(spans, found.at):
                continue
            person = self.people.get(found.person, found.person)
            if not self.compiled[signal].of_user:
                yield Occurrence(found.at, found.event_id, person, found.value)
            elif person in self.users:
                yield Occurrence(found.at, found.event_id, person, person)


def occurrences_of(
    facts: Facts, compiled: CompiledSignal, leaf: bytes, first: int, last: int, account: bytes | None
) -> Iterable[Occurrence]:
    """
    A leaf's matching events from one hour to another, both included.

    Args:
        account: For a signal of accounts: the account that the events name; None: those that name none.
    """
    for event in facts.events_of(leaf, first * HOUR, (last + 1) * HOUR):
        if not _is_tallied(event, compiled, account):
            continue
        properties = _decode(event.properties)
        if not compiled.matches(event.name or "", properties):
            continue
        value = _value(compiled, properties, leaf)
        if compiled.is_distinct and value is None:
            continue
        yield Occurrence(event.at, event.event_id, leaf, value)


def _value(compiled: CompiledSignal, properties: Mapping[str, Any], leaf: bytes) -> Any:
    if compiled.is_distinct:
        return compiled.item(properties, leaf)
    return None if compiled.of is None else compiled.of(properties)


def _is_tallied(event: EventRow, compiled: CompiledSignal, account: bytes | None) -> bool:
    if event.type != "track" or not event.scored:
        return False
    return compiled.scope == "user" or event.account == account
