"""Facts from raw lists of what happened, for the tests of the pure engine."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from assay.contract.times import DAY, HOUR, parse_instant
from assay_collector.pql.decision import EntityFacts
from assay_collector.pql.definition import Definition, Signal, Trait
from assay_collector.pql.language import read_definitions
from assay_collector.pql.steps import Steps
from assay_collector.pql.sweeps import Occurrence
from assay_collector.pql.tallies import Series, Span, hour_of

# An hour's edge.
START = parse_instant("2026-03-02T09:00:00Z")
AFTER = START + 365 * DAY

# (instant, event, value for distinct), or (instant, event)
Raw = Sequence[tuple[int, str] | tuple[int, str, str]]


def definition(body: str, entity: str = "user") -> Definition:
    """A definition of which only what decides is written out."""
    text = (
        f"pql: {{id: probe, version: 1, entity: {entity}, stage: activation, owner: growth}}\n"
        f"why: Because.\npredicts: {{event: Subscription Started, within: 30 days}}\n{body}\n"
    )
    (read,) = read_definitions({"probe.yaml": text}).definitions
    return read


def facts_of(
    definition: Definition,
    raw: Raw = (),
    traits: Mapping[str, Iterable[tuple[int, Any]]] | None = None,
    excluded_by: str | None = None,
) -> EntityFacts:
    """What the definition's signals say of these events; `traits` maps `user.role` to its (since, value)s."""
    told = {signal.id: [entry for entry in raw if _is_of(signal, entry[1])] for signal in definition.signals}
    return EntityFacts(
        kind=definition.entity,
        series={id: series_of(id, [(entry[0], _item(entry)) for entry in found]) for id, found in told.items()},
        traits={_trait(name): Steps.of(None, changes) for name, changes in (traits or {}).items()},
        excluded_by=excluded_by,
        instants=lambda signal, hour: sorted((e[0], _item(e)) for e in told[signal] if hour_of(e[0]) == hour),
        occurrences=lambda signal: [
            Occurrence(entry[0], index.to_bytes(16, "big"), b"ada", _item(entry))
            for index, entry in enumerate(told.get(signal, ()))
        ],
    )


def series_of(signal: int, events: Iterable[tuple[int, bytes | None]], leaves: int = 1) -> Series:
    """Tallies by leaf and hour, as a store keeps them, folded; the events go to the leaves in turn."""
    spans: dict[tuple[int, int], list[int]] = defaultdict(list)
    items: dict[tuple[int, int, bytes], list[int]] = defaultdict(list)
    for index, (at, item) in enumerate(events):
        leaf = index % leaves
        spans[leaf, at // HOUR].append(at)
        if item is not None:
            items[leaf, at // HOUR, item].append(at)
    return Series.fold(
        signal,
        [Span(hour, len(found), min(found), max(found)) for (_, hour), found in spans.items()],
        # How often a value was seen in an hour is not kept, only whether more than once.
        [
            (item, Span(hour, min(len(set(found)), 2), min(found), max(found)))
            for (_, hour, item), found in items.items()
        ],
    )


def _is_of(signal: Signal, event: str) -> bool:
    return not signal.matcher.events or event in signal.matcher.events


def _item(entry: tuple[Any, ...]) -> bytes:
    return (entry[2] if len(entry) > 2 else "").encode()


def _trait(name: str) -> Trait:
    kind, _, key = name.partition(".")
    return Trait("account" if kind == "account" else "user", key)
