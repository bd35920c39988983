"""
Clipping: which part of what lies under a leaf counts.

A leaf's rows are folded whole, or not at all, unless time divides them: what was done on a device after several users
were seen on it is nobody's, and what a person did without naming an account is an account's only while it is the only
one. Then the hour in which the division falls is read again from the events.
"""

from collections.abc import Iterable, Mapping, Sequence

from assay_collector.identity.spans import ALWAYS, Spans, before, contains, covers, misses
from assay_collector.pql.matching import CompiledSignal
from assay_collector.pql.sweeps import Occurrence
from assay_collector.qualify.occurrences import Belonging, occurrences_of
from assay_collector.store import Facts, Membership, Tally, TallyItem, TraitChange


class Own:
    """A person's own leaves: all they did, until a leaf was shared, and but for when the person refused."""

    def __init__(self, shared_from: Mapping[bytes, int], allowed: Spans = ALWAYS) -> None:
        """
        Args:
            allowed: When the person's consent allowed to use what it did.
        """
        self._shared_from = shared_from
        self._allowed = allowed

    def spans(self, leaf: bytes, *, named: bool) -> Spans:  # noqa: ARG002 - a person's are all alike
        return before(self._allowed, self._shared_from.get(leaf))


class Clipper:
    """Clips the rows of one entity."""

    def __init__(
        self, facts: Facts, compiled: Mapping[int, CompiledSignal], belonging: Belonging, account: bytes | None = None
    ) -> None:
        """
        Args:
            account: The account whose rows they are; None: a person's.
        """
        self._facts = facts
        self._compiled = compiled
        self._belonging = belonging
        self._account = account
        self._known: dict[tuple[bytes, bool], Spans] = {}

    def tallies(self, rows: Sequence[Tally]) -> list[Tally]:
        """What counts of these rows."""
        found: list[Tally] = []
        for row in rows:
            spans = self._spans(row)
            if spans is ALWAYS or covers(spans, row.first_at, row.last_at):
                found.append(row)
            elif not misses(spans, row.first_at, row.last_at):
                found += self._part(row, spans)
        return found

    def items(self, rows: Sequence[TallyItem]) -> list[TallyItem]:
        """What counts of these rows."""
        found: list[TallyItem] = []
        for row in rows:
            spans = self._spans(row)
            if spans is ALWAYS or covers(spans, row.first_at, row.last_at):
                found.append(row)
            elif not misses(spans, row.first_at, row.last_at):
                found += self._item_part(row, spans)
        return found

    def _part(self, row: Tally, spans: Spans) -> list[Tally]:
        instants = [each.at for each in self._read(row) if contains(spans, each.at)]
        if not instants:
            return []
        return [Tally(row.entity, row.signal, row.bucket, row.leaf, len(instants), min(instants), max(instants))]

    def _item_part(self, row: TallyItem, spans: Spans) -> list[TallyItem]:
        instants = [each.at for each in self._read(row) if contains(spans, each.at) and each.value == row.item]
        if not instants:
            return []
        return [TallyItem(row.entity, row.signal, row.bucket, row.leaf, row.item, min(instants), max(instants))]

    def _spans(self, row: Tally | TallyItem) -> Spans:
        key = (row.leaf, row.entity == self._account)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._belonging.spans(row.leaf, named=key[1])
        return found

    def _read(self, row: Tally | TallyItem) -> Iterable[Occurrence]:
        named = self._account if row.entity == self._account else None
        return occurrences_of(self._facts, self._compiled[row.signal], row.leaf, row.bucket, row.bucket, named)


def known_traits(changes: Sequence[TraitChange], shared_from: Mapping[bytes, int]) -> list[TraitChange]:
    """The changes less those said under a leaf after several users were seen with it."""
    return [change for change in changes if change.at < shared_from.get(change.entity, change.at + 1)]


def own_memberships(rows: Sequence[Membership], shared_from: Mapping[bytes, int]) -> list[Membership]:
    """The memberships less those begun under a leaf after several users were seen with it."""
    return [row for row in rows if row.at < shared_from.get(row.leaf, row.at + 1)]
