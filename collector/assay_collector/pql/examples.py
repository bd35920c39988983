"""
A definition's own examples: given events, and what is expected of them at a moment.

Facts are made straight from the given events, by the same matchers, folds and verdicts that run live.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from assay.contract.times import format_instant, parse_instant
from assay_collector.pql.decision import Judge, Verdict, decide
from assay_collector.pql.definition import Definition, Signal, Trait
from assay_collector.pql.explain import evidence, failings
from assay_collector.pql.matching import CompiledSignal
from assay_collector.pql.steps import Steps
from assay_collector.pql.sweeps import Occurrence
from assay_collector.pql.tallies import Series, Span, hour_of
from assay_collector.pql.values import EntityFacts
from assay_collector.pql.windows import parse_duration
from assay_collector.pql.words import obstacle_in_words

Given = Mapping[str, Any]
_MET: Mapping[str, Any] = {"holds": True}
SOMEBODY = "somebody"


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """One example, and where it was not met; empty: it was."""

    name: str
    differences: tuple[str, ...]


def run_examples(definition: Definition) -> tuple[ExampleResult, ...]:
    """Run every example of a definition's file."""
    return tuple(_run(definition, example) for example in definition.document.get("tests", ()))


def facts_from(definition: Definition, given: Sequence[Given]) -> EntityFacts:
    """
    The facts of the one entity to which all given events happened.

    Args:
        given: Each with ``t`` and, as needed, ``event``, ``properties``, ``user`` (the person who acted; all are one
            unless named apart), ``traits`` (of the definition's kind, or named ``user.KEY``, ``account.KEY``), and
            ``times`` with ``every``.
    """
    given = [each for entry in given for each in _repeated(entry)]
    occurrences = {signal.id: _occurrences(signal, given) for signal in definition.signals}
    return EntityFacts(
        kind=definition.entity,
        series={id: _series(id, found) for id, found in occurrences.items() if found},
        traits=_traits(definition, [entry for entry in given if "event" not in entry or "traits" in entry]),
        instants=lambda signal, hour: sorted(
            ((found.at, found.value) for found in occurrences[signal] if hour_of(found.at) == hour),
            key=lambda pair: pair[0],
        ),
        occurrences=lambda signal: occurrences.get(signal, ()),
        traits_of_member=lambda person: _traits(definition, [e for e in given if _person(e) == person]),
    )


def _repeated(entry: Given) -> list[Given]:
    """An entry as often as it says it happened."""
    if "times" not in entry:
        return [entry]
    start, apart = parse_instant(entry["t"]), parse_duration(entry.get("every", "")) or 0
    return [{**entry, "t": format_instant(start + n * apart)} for n in range(entry["times"])]


def _run(definition: Definition, example: Mapping[str, Any]) -> ExampleResult:
    facts = facts_from(definition, example.get("given", ()))
    at = parse_instant(example["at"])
    verdict, judge = decide(definition, facts, at), Judge(definition, facts)
    expected: Mapping[str, Any] = example["expect"]
    differences = [
        f"{what} should be {_plain(wanted)} at {format_instant(at)}; it is {_plain(found)}"
        for what, wanted in expected.items()
        if (found := _found(what, verdict, judge, at)) != _wanted(what, wanted)
    ]
    if differences and not verdict.is_qualified:
        differences += _why_not(evidence(definition, facts, at))
    return ExampleResult(example["name"], tuple(differences))


def _why_not(shown: Mapping[str, Any]) -> list[str]:
    """What keeps the entity from qualifying, for whoever expected otherwise."""
    lacking = [f"does not hold: {each}" for part in ("qualify", "eligible") for each in failings(shown.get(part, _MET))]
    return [*lacking, *(obstacle_in_words(each) for each in shown.get("inTheWay", ()) if "until" in each)]


def _found(what: str, verdict: Verdict, judge: Judge, at: int) -> Any:
    match what:
        case "qualified":
            return verdict.is_qualified
        case "status":
            return verdict.status
        case "stage":
            return judge.stage.at(at)
        case "tier":
            return judge.tier.at(at)
        case "level":
            return judge.level.at(at)
        case "score":
            return judge.score.at(at)
    raise AssertionError(f"the schema lets nothing else through than what is known: {what}")


def _wanted(what: str, wanted: Any) -> Any:
    if what == "level":
        return Decimal(str(wanted).removesuffix("%")) / 100
    return Decimal(str(wanted)) if what == "score" else wanted


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    return "nothing" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _occurrences(signal: Signal, given: Sequence[Given]) -> list[Occurrence]:
    compiled = CompiledSignal(signal)
    found: list[Occurrence] = []
    for index, entry in enumerate(given):
        properties = entry.get("properties", {})
        if "event" not in entry or not compiled.matches(entry["event"], properties):
            continue
        person = _person(entry)
        value = compiled.item(properties, person) if compiled.is_distinct else _value(compiled, properties)
        if not compiled.is_distinct or value is not None:
            found.append(Occurrence(parse_instant(entry["t"]), index.to_bytes(16, "big"), person, value))
    return found


def _value(compiled: CompiledSignal, properties: Mapping[str, Any]) -> Any:
    return None if compiled.of is None else compiled.of(properties)


def _person(entry: Given) -> bytes:
    return str(entry.get("user", SOMEBODY)).encode()


def _series(signal: int, found: Sequence[Occurrence]) -> Series:
    spans = [Span(hour_of(each.at), 1, each.at, each.at) for each in found]
    items = [(each.value, span) for each, span in zip(found, spans, strict=True) if isinstance(each.value, bytes)]
    return Series.fold(signal, spans, items)


def _traits(definition: Definition, given: Sequence[Given]) -> dict[Trait, Steps[Any]]:
    changes: dict[Trait, list[tuple[int, Any]]] = {}
    for entry in given:
        for name, value in entry.get("traits", {}).items():
            kind, dot, key = name.partition(".")
            trait = Trait(kind, key) if dot and kind in ("user", "account") else Trait(definition.entity, name)
            changes.setdefault(trait, []).append((parse_instant(entry["t"]), value))
    return {trait: Steps.of(None, found) for trait, found in changes.items()}
