"""Start-up: tallies for signals that are new, and decisions for definitions that changed."""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from assay_collector.pql.definition import Catalogue, Signal
from assay_collector.pql.matching import Mark, SignalIndex
from assay_collector.store import EventRow, Identifier, Store, Touch

CHUNK_EVENTS = 2_000

_decode = msgspec.json.Decoder().decode
Progress = Callable[[int], None]


def refill(store: Store, catalogue: Catalogue, *, now: int, progress: Progress = lambda _: None) -> int:
    """
    Make the tallies cover every stored event for every signal of the catalogue, and put on the agenda whoever a changed
    definition may concern. To be called before the first event is taken.

    Broken off anywhere, the next call does it again from the start; done twice, it changes nothing.

    Args:
        progress: Told how many more events were read.

    Returns:
        How many signals were refilled.
    """
    filled = store.tallies.filled()
    wanted = {signal.id: signal for signal in catalogue.signals}
    # A signal that nobody uses is not kept up, so it must not pass for filled when it comes back.
    store.tallies.clear([signal for signal in filled if signal not in wanted])
    new = [signal for id, signal in wanted.items() if id not in filled]
    if new:
        store.tallies.clear([signal.id for signal in new])
        _fill(store, new, progress)
    _touch_changed(store, catalogue, now, refilled=bool(new))
    if new:
        # Last, so that nobody is left untouched when this is broken off in between.
        store.tallies.declare_filled({signal.id: document(signal) for signal in new})
    return len(new)


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
    for chunk in _chunks(store.events.scan()):
        yield [mark for event in chunk for mark in marks_of(event, index)]
        progress(len(chunk))


def _fill(store: Store, signals: Sequence[Signal], progress: Progress) -> None:
    for marks in stored_marks(store, SignalIndex(signals), progress):
        store.tallies.fill(marks)


def _touch_changed(store: Store, catalogue: Catalogue, now: int, *, refilled: bool) -> None:
    hashes = {definition.id: definition.hash for definition in catalogue.definitions}
    if not refilled and dict(store.tallies.definitions()) == hashes:
        return
    store.agenda.touch(touches_of(store, list(store.tallies.entities())), now)
    store.tallies.declare_definitions(hashes)


def touches_of(store: Store, entities: Sequence[bytes]) -> list[Touch]:
    """These entities as what they are: accounts as accounts, all other identifiers as people."""
    with store.snapshot() as facts:
        known = facts.identifiers(entities)
    return [Touch("account" if _type(known.get(id)) == "account" else "user", id, "definition") for id in entities]


def _chunks(events: Iterator[tuple[int, EventRow]]) -> Iterator[list[EventRow]]:
    chunk: list[EventRow] = []
    for _, event in events:
        chunk.append(event)
        if len(chunk) == CHUNK_EVENTS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _type(identifier: Identifier | None) -> str | None:
    return None if identifier is None else identifier.type
