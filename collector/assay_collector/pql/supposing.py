"""
Supposing: the facts as they would be if something more happened now.

What ``lacking`` suggests is tried here before it is told, by the same matchers, folds and verdicts that run live.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

from assay_collector.pql import definition as d
from assay_collector.pql.comparators import Comparator
from assay_collector.pql.matching import CompiledSignal
from assay_collector.pql.steps import Steps
from assay_collector.pql.sweeps import Occurrence
from assay_collector.pql.tallies import Series, Span, hour_of
from assay_collector.pql.values import EntityFacts

# An event that a signal over any event counts, and no other.
ANY_EVENT = "Any Event"
# A test, and whether it is to hold.
Wish = tuple[Comparator, bool]


@dataclass(frozen=True, slots=True)
class Deed:
    """An event that might happen."""

    event: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    person: bytes = b"somebody"  # who would do it; told apart only where people are counted


@dataclass(frozen=True, slots=True)
class NoWitness:
    """No value passes."""


NO_WITNESS = NoWitness()


def suppose(
    definition: d.Definition, facts: EntityFacts, at: int, deeds: Sequence[Deed], traits: Mapping[d.Trait, Any]
) -> EntityFacts:
    """The same facts, had these deeds been done and these traits been told at an instant."""
    new: dict[int, list[Occurrence]] = {
        signal.id: list(_occurrences(CompiledSignal(signal), deeds, at)) for signal in definition.signals
    }
    series = dict(facts.series)
    for signal, found in new.items():
        if found:
            series[signal] = _with(series.get(signal) or Series(signal), found)

    def instants(signal: int, hour: int) -> Sequence[tuple[int, bytes | None]]:
        more = [(each.at, each.value) for each in new.get(signal, ()) if hour_of(each.at) == hour]
        return sorted([*facts.instants(signal, hour), *more], key=lambda pair: pair[0])

    return replace(
        facts,
        series=series,
        traits={**facts.traits, **{trait: _told(facts, trait, value, at) for trait, value in traits.items()}},
        instants=instants,
        occurrences=lambda signal: [*facts.occurrences(signal), *new.get(signal, ())],
        sights=None,
    )


def _told(facts: EntityFacts, trait: d.Trait, value: Any, at: int) -> Steps[Any]:
    before: Steps[Any] = facts.traits.get(trait, Steps(None))
    return Steps.of(before.initial, [*(change for change in before.changes if change[0] < at), (at, value)])


def _occurrences(compiled: CompiledSignal, deeds: Sequence[Deed], at: int) -> Iterable[Occurrence]:
    for number, deed in enumerate(deeds):
        if not compiled.matches(deed.event, deed.properties):
            continue
        if compiled.is_distinct:
            value: Any = compiled.item(deed.properties, deed.person)
            if value is None:
                continue
        else:
            value = None if compiled.of is None else compiled.of(deed.properties)
        # Of events at one instant what is supposed comes last.
        yield Occurrence(at, b"\xff" * 12 + number.to_bytes(4, "big"), deed.person, value)


def _with(series: Series, found: Sequence[Occurrence]) -> Series:
    spans = [Span(hour_of(each.at), 1, each.at, each.at) for each in found]
    items = [(item, span) for item, known in series.items.items() for span in known]
    items += [(each.value, span) for each, span in zip(found, spans, strict=True) if isinstance(each.value, bytes)]
    return Series.fold(series.signal, [*series.spans, *spans], items)


# --- values that pass -------------------------------------------------------------------------------------------------


def properties_for(where: Iterable[tuple[str, Comparator]]) -> dict[str, Any] | None:
    """Properties that pass a `where`; None: there are none."""
    found: dict[str, Any] = {}
    for path, test in where:
        value = witness([(test, True)])
        if isinstance(value, NoWitness) or value is None:
            return None
        found[path] = value
    return found


def witness(wishes: Sequence[Wish]) -> Any:
    """A value of which all the tests come out as wished; NO_WITNESS: there is none."""
    for value in (*_candidates([test for test, _ in wishes]), None):
        if all(test.holds(value) is wanted for test, wanted in wishes):
            return value
    return NO_WITNESS


def _candidates(tests: Sequence[Comparator]) -> Iterable[Any]:
    for test in tests:
        for operand in test.operands:
            yield plain(operand)
    numbers = sorted(operand for test in tests for operand in test.operands if isinstance(operand, Decimal | int))
    for number in numbers:
        yield from (plain(number + more) for more in (1, -1, Decimal("0.01"), Decimal("-0.01")))
    yield from (plain((low + high) / 2) for low, high in pairwise(numbers))
    yield from ("something else", 0, 1, True, False)


def plain(value: Any) -> Any:
    """A number as JSON has it."""
    if not isinstance(value, Decimal):
        return value
    return int(value) if value == value.to_integral_value() else float(value)
