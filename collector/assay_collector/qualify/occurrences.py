"""
From tally rows to the events behind them.

An hour of a leaf with one or two events says when they were; of more it says the first and the last, which is often
enough. Only what a row cannot say is read again from raw events: the hours in between, and the values of properties.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import msgspec

from assay.contract.times import HOUR
from assay_collector.identity.spans import ALWAYS, Spans, contains
from assay_collector.pql.matching import CompiledSignal
from assay_collector.pql.sweeps import Occurrence
from assay_collector.pql.tallies import Span
from assay_collector.pql.values import StandsUntil
from assay_collector.store import EventRow, Facts, Tally, TallyItem

_decode = msgspec.json.Decoder().decode
# Hours this close to each other are read in one go.
_GAP_HOURS = 3
# So many rows are worked through between two breaths.
_ROWS = 500

_Place = tuple[bytes, bytes]  # entity and leaf
# Where, in which hour, of whom and with what value; the first and the last, and whether there are no others.
_Seen = tuple[_Place, int, bytes, Any, int, int, bool]


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
    items: Sequence[TallyItem]
    account: bytes | None = None  # None: for a person
    belonging: Belonging | None = None  # None: everything counts
    people: Mapping[bytes, bytes] = field(default_factory=dict)  # leaf -> person, where it is not the leaf itself
    users: frozenset[bytes] = frozenset()  # the people with a user id; only they count where users are counted
    breathe: Callable[[], None] = lambda: None  # called every few milliseconds of work
    _instants: dict[tuple[int, int], list[tuple[int, bytes | None]]] = field(default_factory=dict)
    _occurrences: dict[int, list[Occurrence]] = field(default_factory=dict)

    def instants(self, signal: int, hour: int) -> Sequence[tuple[int, bytes | None]]:
        """When the matching events of one hour happened, ascending, and what each counts as for distinct."""
        key = (signal, hour)
        if key not in self._instants:
            places = {(row.entity, row.leaf) for row in self.rows.get(signal, ()) if row.bucket == hour}
            found = [each for place in places for each in self._read(signal, place, hour, hour)]
            self._instants[key] = sorted(((each.at, each.value) for each in found), key=lambda pair: pair[0])
        return self._instants[key]

    def occurrences(self, signal: int) -> Sequence[Occurrence]:
        """Every matching event of a signal; of distinct values, only what is needed of those at one instant."""
        if signal not in self._occurrences:
            self._occurrences[signal] = list(self._seen(signal, None))
        return self._occurrences[signal]

    def sights(self, signal: int, stands_until: StandsUntil) -> Sequence[Occurrence]:
        """The same, of several of one person and value the first and the last only where those stand for all."""
        return list(self._seen(signal, stands_until))

    def _seen(self, signal: int, stands_until: StandsUntil | None) -> Iterator[Occurrence]:
        compiled = self.compiled[signal]
        if compiled.is_distinct:
            return self._seen_runs(signal, self._item_spans(signal), stands_until or _itself)
        if compiled.of is not None:
            hours = [((row.entity, row.leaf), row.bucket) for row in self.rows.get(signal, ())]
            return self._read_hours(signal, hours)
        if stands_until is None:
            return self._seen_rows(signal)
        return self._seen_runs(signal, self._spans(signal), stands_until)

    def _seen_rows(self, signal: int) -> Iterator[Occurrence]:
        """Every event."""
        unclear: list[tuple[_Place, int]] = []
        for index, (entity, _, hour, leaf, n, first, last) in enumerate(map(_fields, self.rows.get(signal, ()))):
            if index % _ROWS == 0:
                self.breathe()
            person = self.people.get(leaf, leaf)
            if first == last:
                yield from [Occurrence(first, b"", person)] * n
            elif n == 2:
                yield Occurrence(first, b"", person)
                yield Occurrence(last, b"", person)
            else:
                unclear.append(((entity, leaf), hour))
        yield from self._read_hours(signal, unclear)

    def _seen_runs(self, signal: int, spans: Iterable[_Seen], stands_until: StandsUntil) -> Iterator[Occurrence]:
        """The first and the last of each run of events that those two stand for."""
        unclear: set[tuple[_Place, int]] = set()
        runs: dict[tuple[bytes, Any], tuple[int, int, int]] = {}  # from, to, and to when at the latest
        for index, (place, hour, person, item, first, last, is_known) in enumerate(spans):
            if index % _ROWS == 0:
                self.breathe()
            key = (person, item)
            run = runs.get(key)
            if run is not None and run[0] <= first and last <= run[2]:
                if last > run[1]:
                    runs[key] = (run[0], last, run[2])
                continue
            latest = stands_until(first)
            if last > latest and not is_known:
                unclear.add((place, hour))
                continue
            if last > latest:
                # The two stand for nothing between them: somebody's other identifier may have been there.
                yield Occurrence(first, b"", person, item)
                first, latest = last, stands_until(last)
            if run is not None:
                yield from _ends(run, person, item)
            runs[key] = (first, last, latest)
        for (person, item), run in runs.items():
            yield from _ends(run, person, item)
        yield from self._read_hours(signal, unclear)

    def _spans(self, signal: int) -> Iterator[_Seen]:
        for entity, _, hour, leaf, n, first, last in map(_fields, self.rows.get(signal, ())):
            yield (entity, leaf), hour, self.people.get(leaf, leaf), None, first, last, first == last or n == 2

    def _item_spans(self, signal: int) -> Iterator[_Seen]:
        of_user = self.compiled[signal].of_user
        for row in self.item_rows.get(signal, ()):
            leaf, first, last = row.leaf, row.first_at, row.last_at
            item = self.people.get(row.item, row.item) if of_user else row.item
            if not of_user or item in self.users:
                yield (row.entity, leaf), row.bucket, self.people.get(leaf, leaf), item, first, last, first == last

    def spans_of_items(self, signal: int) -> Iterator[tuple[bytes, Span]]:
        """Where each distinct value was seen. Of users: where each person was, and nobody unknown."""
        of_user = self.compiled[signal].of_user
        for row in self.item_rows.get(signal, ()):
            item = self.people.get(row.item, row.item) if of_user else row.item
            if not of_user or item in self.users:
                n = 1 if row.first_at == row.last_at else 2
                yield item, Span(row.bucket, n, row.first_at, row.last_at)

    @cached_property
    def rows(self) -> Mapping[int, list[Tally]]:
        """The tally rows by signal."""
        found: dict[int, list[Tally]] = {}
        for row in self.tallies:
            found.setdefault(row.signal, []).append(row)
        return found

    @cached_property
    def item_rows(self) -> Mapping[int, list[TallyItem]]:
        """The rows of distinct values by signal."""
        found: dict[int, list[TallyItem]] = {}
        for row in self.items:
            found.setdefault(row.signal, []).append(row)
        return found

    def _read_hours(self, signal: int, hours: Iterable[tuple[_Place, int]]) -> Iterator[Occurrence]:
        """The matching events of these hours, and of no others."""
        by_place: dict[_Place, set[int]] = {}
        for place, hour in hours:
            by_place.setdefault(place, set()).add(hour)
        for place, wanted in by_place.items():
            for first, last in _runs(sorted(wanted)):
                self.breathe()
                for found in self._read(signal, place, first, last):
                    if found.at // HOUR in wanted:
                        yield found

    def _read(self, signal: int, place: _Place, first: int, last: int) -> Iterable[Occurrence]:
        entity, leaf = place
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


def _itself(first: int) -> int:
    return first


def _fields(row: Tally) -> tuple[bytes, int, int, bytes, int, int, int]:
    return row.entity, row.signal, row.bucket, row.leaf, row.n, row.first_at, row.last_at


def _ends(run: tuple[int, int, int], person: bytes, item: Any) -> Iterator[Occurrence]:
    first, last, _ = run
    yield Occurrence(first, b"", person, item)
    if last != first:
        yield Occurrence(last, b"", person, item)


def _runs(ascending: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Hours that lie close to each other, from the first to the last of each run."""
    first = last = ascending[0]
    for hour in ascending[1:]:
        if hour - last > _GAP_HOURS:
            yield first, last
            first = hour
        last = hour
    yield first, last


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
