"""Filling: tallies for signals that are new, from the events that are stored, while others arrive."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import msgspec

from assay_collector.pql.definition import Catalogue, Signal
from assay_collector.pql.matching import Mark, SignalIndex
from assay_collector.store import SHADOW, EventRow, Filling, Identifier, Store, Touch

# So many events are read in one transaction: a few milliseconds, for which commits have to wait.
CHUNK_EVENTS = 200
# As many entities are put on the agenda at a time.
CHUNK_TOUCHES = 1_000

# Stands among the definitions that are decided under while some are decided anew.
UNDER_WAY = ""

_decode = msgspec.json.Decoder().decode
Progress = Callable[[int], None]
T = TypeVar("T")


def refill(store: Store, catalogue: Catalogue, *, now: int, progress: Progress = lambda _: None) -> int:
    """
    Make the tallies cover every stored event for every signal of the catalogue, and put on the agenda whoever a changed
    definition may concern. To be called before the first event is taken.

    Broken off anywhere, the next call goes on from there; done twice, it changes nothing.

    Args:
        progress: Told how many more log positions were covered.

    Returns:
        How many signals were begun.
    """
    forget_unused(store, catalogue.signals)
    begun = begin(store, catalogue.signals)
    while fill_next(store, catalogue.signals, progress):
        pass
    decide_anew(store, catalogue, now)
    return begun


def forget_unused(store: Store, signals: Iterable[Signal]) -> None:
    """A signal that nobody uses is not kept up, so it must not pass for filled when it comes back."""
    wanted = {signal.id for signal in signals}
    known = {*store.tallies.filled(), *(filling.signal for filling in store.tallies.fillings())}
    store.tallies.clear(sorted(known - wanted))


def begin(store: Store, signals: Iterable[Signal]) -> int:
    """Begin those of the signals that are not begun; from the next event on, whoever commits brings their marks."""
    known = {*store.tallies.filled(), *(filling.signal for filling in store.tallies.fillings())}
    new = {signal.id: document(signal) for signal in signals if signal.id not in known}
    if new:
        store.tallies.begin(new)
    return len(new)


def fill_next(store: Store, signals: Iterable[Signal], progress: Progress = lambda _: None) -> bool:
    """
    Read the next stored events that some of these signals lack. False: all of them are filled.

    Args:
        progress: Told how many more log positions were covered.
    """
    by_id = {signal.id: signal for signal in signals}
    waiting = [filling for filling in store.tallies.fillings() if filling.signal in by_id]
    if not waiting:
        return False
    group = [filling for filling in waiting if _place(filling) == _place(waiting[0])]
    index = SignalIndex(by_id[filling.signal] for filling in group)
    left = store.tallies.fill(
        [filling.signal for filling in group],
        lambda event: marks_of(event, index),
        names=index.names,
        limit=CHUNK_EVENTS,
    )
    progress(waiting[0].live_after - waiting[0].filled_to - left)
    return True


def _place(filling: Filling) -> tuple[int, int]:
    return filling.filled_to, filling.live_after


def decide_anew(store: Store, catalogue: Catalogue, now: int) -> bool:
    """
    Put on the agenda whoever a changed, new or missing definition may concern. False: all are as they were.
    """
    portions = decide_anew_in_portions(store, catalogue, now, CHUNK_TOUCHES)
    return sum(portions) > 0


def decide_anew_in_portions(store: Store, catalogue: Catalogue, now: int, size: int) -> Iterator[int]:
    """The same, so many entities at a time; gives their numbers. Once it has ended, all of them are on the agenda."""
    hashes = {definition.id: definition.hash for definition in catalogue.definitions}
    before = {name: deciding.hash for name, deciding in store.tallies.definitions().items()}
    if before == hashes:
        return
    # That a shadow is gone concerns nobody: what it said stays on record.
    gone = {name for name in before.keys() - hashes.keys() if not name.startswith(SHADOW)}
    if gone or any(before.get(name) != hash for name, hash in hashes.items()):
        # Broken off, or changed back, in between, some were decided by the new and some were not: that must show.
        same = {name: hash for name, hash in hashes.items() if before.get(name) == hash}
        store.tallies.declare_definitions({**same, UNDER_WAY: ""}, now)
        for entities in _portions(store.tallies.entities(), size):
            _touch(store, entities, now)
            yield len(entities)
    # Last, so that nobody is left untouched when this is broken off in between.
    store.tallies.declare_definitions(hashes, now)


def _touch(store: Store, entities: Sequence[bytes], now: int) -> None:
    with store.turn.background():
        touches = touches_of(store, entities)
    store.agenda.touch(touches, now)


def document(signal: Signal) -> bytes:
    """A signal's normal form as JSON, as it is stored beside its id."""
    return msgspec.json.encode([signal.scope, signal.aggregate, signal.matcher.document(), signal.of])


def marks_of(event: EventRow, index: SignalIndex) -> tuple[Mark, ...]:
    """What a stored event adds to the tallies; the same as when it came in."""
    if event.type != "track" or not event.scored or event.name is None:
        return ()
    return index.marks(event.name, _decode(event.properties), event.leaf, event.account, event.at)


def stored_marks(store: Store, index: SignalIndex, progress: Progress = lambda _: None) -> Iterator[Sequence[Mark]]:
    """The marks of every stored event, in chunks."""
    for chunk in _portions(store.events.scan(), CHUNK_EVENTS):
        yield [mark for _, event in chunk for mark in marks_of(event, index)]
        progress(len(chunk))


def touches_of(store: Store, entities: Sequence[bytes]) -> list[Touch]:
    """These entities as what they are: accounts as accounts, all other identifiers as people."""
    with store.snapshot() as facts:
        known = facts.identifiers(entities)
    return [Touch("account" if _type(known.get(id)) == "account" else "user", id, "definition") for id in entities]


def _portions(values: Iterable[T], size: int) -> Iterator[list[T]]:
    remaining = iter(values)
    while portion := list(islice(remaining, size)):
        yield portion


def _type(identifier: Identifier | None) -> str | None:
    return None if identifier is None else identifier.type
