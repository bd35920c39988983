"""Which tallies an event adds to: the definitions' signals, indexed by event name."""

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from assay_collector.pql.comparators import Comparator
from assay_collector.pql.definition import Signal


class Mark(msgspec.Struct, frozen=True, gc=False):
    """What one event adds to one tally."""

    entity: bytes
    signal: int
    leaf: bytes
    at: int
    item: bytes | None = None  # for distinct: the hash of the value


USER_ID = "user_id"


class CompiledSignal:
    """A signal, ready to be asked about events."""

    __slots__ = ("_events", "_where", "id", "is_distinct", "of", "of_user", "scope")

    def __init__(self, signal: Signal) -> None:
        self.id = signal.id
        self.scope = signal.scope
        self.is_distinct = signal.aggregate == "distinct"
        self.of_user = self.is_distinct and signal.of == USER_ID
        self.of = _getter(signal.of) if signal.of is not None else None
        self._events = frozenset(signal.matcher.events)
        self._where = tuple((_getter(path), _fast(test)) for path, test in signal.matcher.where)

    def matches(self, name: str, properties: Mapping[str, Any]) -> bool:
        """Whether an event has the right name and its properties pass every `where`; an unknown one passes none."""
        return (not self._events or name in self._events) and self.passes(properties)

    def passes(self, properties: Mapping[str, Any]) -> bool:
        """Whether the properties of an event with the right name pass every `where`."""
        for get, test in self._where:  # noqa: SIM110 - the hot path; a generator costs three times as much
            if test(get(properties)) is not True:
                return False
        return True

    def item(self, properties: Mapping[str, Any], leaf: bytes) -> bytes | None:
        """
        For distinct: the hash of the value that counts; None: the event has none.

        Where users are counted it is the leaf, also an anonymous one: whose it is, the fold knows, and may learn later.
        """
        if self.of_user:
            return leaf
        assert self.of is not None
        value = self.of(properties)
        return None if value is None else _item_id(value)


class SignalIndex:
    """All signals, by the event names they look at."""

    def __init__(self, signals: Iterable[Signal]) -> None:
        self._by_name: dict[str, list[CompiledSignal]] = {}
        self._any: list[CompiledSignal] = []
        compiled = [(signal, CompiledSignal(signal)) for signal in signals]
        names = {name for signal, _ in compiled for name in signal.matcher.events}
        self._any = [ready for signal, ready in compiled if not signal.matcher.events]
        # The names of events that can add anything; None: any may.
        self.names: frozenset[str] | None = None if self._any else frozenset(names)
        self._by_name = {
            name: [ready for signal, ready in compiled if not signal.matcher.events or name in signal.matcher.events]
            for name in names
        }

    def marks(
        self, name: str, properties: Mapping[str, Any], leaf: bytes, account: bytes | None, at: int
    ) -> tuple[Mark, ...]:
        """
        What an event adds to the tallies.

        Everything is tallied under the event's own leaf. For accounts it goes to the account named on the event, or,
        where none is named, to the leaf itself, from where the account it turns out to belong to reads it.
        """
        found: list[Mark] = []
        for signal in self._by_name.get(name, self._any):
            if not signal.passes(properties):
                continue
            item = signal.item(properties, leaf) if signal.is_distinct else None
            if signal.is_distinct and item is None:
                continue
            entity = leaf if signal.scope == "user" or account is None else account
            found.append(Mark(entity, signal.id, leaf, at, item))
        return tuple(found)


def _getter(path: str) -> Callable[[Mapping[str, Any]], Any]:
    """Reads a property by its name or, where there is none of that name, by its dotted path."""

    def get(properties: Mapping[str, Any]) -> Any:
        value = properties.get(path)
        if value is None and "." in path:
            return _walk(properties, path.split("."))
        return value

    return get


def _walk(value: Any, keys: list[str]) -> Any:
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def _fast(test: Comparator) -> Callable[[Any], bool | None]:
    """The test, with equality to plain text, by far the most frequent one, decided without the general machinery."""
    if test.operator == "equals" and isinstance(test.operands[0], str):
        wanted = test.operands[0]
        return lambda value: value == wanted
    return test.holds


def _item_id(value: object) -> bytes:
    # Numbers that are equal are one value, whether a client writes 3 or 3.0.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return blake2b(msgspec.json.encode(value), digest_size=16, person=b"assay.item").digest()
