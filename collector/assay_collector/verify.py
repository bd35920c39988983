"""
Verification: everything derived is computed again from events, links, consent and definitions, and compared.

A difference is a bug, or damage to the file.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from assay.contract.times import HOUR
from assay_collector.identity.consent import covers
from assay_collector.pql.definition import Catalogue
from assay_collector.pql.matching import Mark, SignalIndex
from assay_collector.qualify.refill import Progress, stored_marks, touches_of
from assay_collector.qualify.resolving import resolve_component
from assay_collector.qualify.worker import Qualifier
from assay_collector.store import AgendaEntry, Facts, Resolution, Store, Tally, TallyItem

DIFFERENCES_MAX = 100

_Key = tuple[bytes, int, int, bytes, bytes | None]


@dataclass(frozen=True, slots=True)
class Verification:
    """What was compared, and what differs; at most DIFFERENCES_MAX of each are told."""

    events: int
    tallies: int
    entities: int
    differences: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        return not self.differences


def verify(
    store: Store, catalogue: Catalogue, qualifier: Qualifier, *, now: int, progress: Progress = lambda _: None
) -> Verification:
    """
    Compute every tally, person and verdict again and compare with what is stored.

    Best asked of a store that nobody writes to: what arrives meanwhile would show as a difference.

    Args:
        progress: Told how many more events were read.
    """
    refolded, events = _refold(store, catalogue, progress)
    differences = _compare_tallies(store, refolded, {signal.id for signal in catalogue.signals})
    entities = list(store.tallies.entities())
    differences += _compare_people(store, entities, qualifier.identity.component_max)
    differences += _compare_consent(store)
    differences += _compare_ledger(store, qualifier, entities, now)
    return Verification(events, len(refolded), len(entities), tuple(differences[:DIFFERENCES_MAX]))


def _refold(store: Store, catalogue: Catalogue, progress: Progress) -> tuple[dict[_Key, list[int]], int]:
    refolded: dict[_Key, list[int]] = {}
    events = 0

    def count(n: int) -> None:
        nonlocal events
        events += n
        progress(n)

    for marks in stored_marks(store, SignalIndex(catalogue.signals), count):
        for mark in marks:
            _add(refolded, mark, None)
            if mark.item is not None:
                _add(refolded, mark, mark.item)
    return refolded, events


def _add(refolded: dict[_Key, list[int]], mark: Mark, item: bytes | None) -> None:
    row = refolded.setdefault((mark.entity, mark.signal, mark.at // HOUR, mark.leaf, item), [0, mark.at, mark.at])
    row[0] += 1
    row[1], row[2] = min(row[1], mark.at), max(row[2], mark.at)


def _compare_tallies(store: Store, refolded: dict[_Key, list[int]], signals: set[int]) -> list[str]:
    differences: list[str] = []
    seen: set[_Key] = set()
    for row in store.tallies.all_rows():
        if row.signal not in signals:
            continue
        key, said = _said(row)
        seen.add(key)
        expected = refolded.get(key)
        # A distinct value's row does not count how often it was seen.
        if expected is None or (expected if isinstance(row, Tally) else expected[1:]) != said:
            differences.append(f"tally {_shown(key)}: stored {said}, computed {expected}")
    differences += [f"tally {_shown(key)}: not stored, computed {refolded[key]}" for key in refolded.keys() - seen]
    return differences


def _said(row: Tally | TallyItem) -> tuple[_Key, list[int]]:
    if isinstance(row, Tally):
        return (row.entity, row.signal, row.bucket, row.leaf, None), [row.n, row.first_at, row.last_at]
    return (row.entity, row.signal, row.bucket, row.leaf, row.item), [row.first_at, row.last_at]


def _compare_people(store: Store, entities: list[bytes], component_max: int) -> list[str]:
    differences: list[str] = []
    done: set[bytes] = set()
    with store.snapshot() as facts:
        for entity in entities:
            if entity in done:
                continue
            # Whoever is linked to nothing is a person of its own.
            found = resolve_component(facts, entity, component_max=component_max)
            resolution = found or Resolution({entity: entity}, {}, ())
            done.update(resolution.people)
            differences += _compare_component(facts, resolution)
    return differences


def _compare_component(facts: Facts, resolution: Resolution) -> Iterator[str]:
    leaves = list(resolution.people)
    stored, shared = facts.people(leaves), facts.shared_from(leaves)
    for leaf, person in resolution.people.items():
        said = stored.get(leaf, leaf)
        if said != person:
            yield f"person of {leaf.hex()}: stored {said.hex()}, computed {person.hex()}"
        if shared.get(leaf) != resolution.shared_from.get(leaf):
            yield (
                f"{leaf.hex()} is shared: stored from {shared.get(leaf)} on, "
                f"computed from {resolution.shared_from.get(leaf)} on"
            )
    for key, decision in resolution.links.items():
        pair = f"{key.low.hex()} and {key.high.hex()}"
        yield f"link of {pair} ({key.kind}): not stored as {decision.state} {decision.reason or ''}".rstrip()


def _compare_consent(store: Store) -> list[str]:
    """Whether the events that need a grant count exactly when one in the log covers them."""
    differences: list[str] = []
    with store.snapshot() as facts:
        for event, counts in facts.awaiting():
            words = facts.consents([event.leaf], event.purposes)
            if covers(words, event.leaf, event.purposes, event.at) != counts:
                said = "counts" if counts else "waits"
                differences.append(f"event {event.event_id.hex()}: it {said}, which the consent log does not bear out")
    return differences


def _compare_ledger(store: Store, qualifier: Qualifier, entities: list[bytes], now: int) -> list[str]:
    entries = [
        AgendaEntry(touch.kind, touch.entity, now, (), frozenset({"event"}), now)
        for touch in touches_of(store, entities)
    ]
    return [
        f"ledger {transition.kind} {transition.entity.hex()} {transition.definition} episode {transition.episode}: "
        f"{transition.step} should be {transition.change}, effective at {transition.effective_at}"
        for decided in qualifier.preview(entries, now)
        for transition in decided.transitions
    ]


def _shown(key: _Key) -> str:
    entity, signal, bucket, leaf, item = key
    return f"entity={entity.hex()} signal={signal} hour={bucket} leaf={leaf.hex()}" + (
        f" item={item.hex()}" if item else ""
    )
