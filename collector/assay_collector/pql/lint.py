"""
What is probably not meant: rules with stable ids over definitions that can be read.

Each rule is a function of one document and what surrounds it. ``problems.RULES`` names them all.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, assert_never

from assay.contract.plan import Plan
from assay_collector.pql.comparators import Comparator, Truth, UnreadableComparator, parse_comparator, show_value
from assay_collector.pql.compilation import Compilation, Source, compile_documents
from assay_collector.pql.decision import at_least
from assay_collector.pql.definition import (
    All,
    Anchored,
    AnyOf,
    AtLeast,
    Condition,
    Criterion,
    Definition,
    Ever,
    Not,
    Project,
    Trait,
    Use,
)
from assay_collector.pql.definition_schema import AGGREGATES
from assay_collector.pql.problems import Findings, Problem, closest, did_you_mean, quoted
from assay_collector.pql.vocabulary import Property, Vocabulary
from assay_collector.pql.windows import parse_window
from assay_collector.pql.yaml_tree import Path, walk

_EVENT_AGGREGATES: Final = tuple(name for name in AGGREGATES if name not in ("trait", "ratio", "members"))
_CONDITIONS: Final = ("qualify", "eligible", "fit")
_SIGN_UP = re.compile(
    r"sign(ed)?[ _-]?up|(account|user|workspace)[ _-]created|regist(ered|ration)|trial[ _-]started", re.I
)


def lint_definitions(documents: Mapping[str, str], plan: Plan | None = None) -> tuple[Problem, ...]:
    """
    Everything that is wrong, or probably not meant, with the definitions of a folder.

    Args:
        documents: Name of the file -> its text.
        plan: The tracking plan; without it nothing is said of events, properties and traits.

    Returns:
        Errors and warnings, by file and line.
    """
    compilation = compile_documents(documents)
    return tuple(sorted((*compilation.problems, *lint_compilation(compilation, plan))))


def lint_compilation(compilation: Compilation, plan: Plan | None) -> tuple[Problem, ...]:
    """The same for definitions that have been read; without the problems of reading them."""
    vocabulary = Vocabulary(plan) if plan is not None else None
    found: list[Problem] = []
    for source in compilation.sources:
        findings = Findings(source.file, source.tree)
        if isinstance(source.tree.value, dict):
            _Linter(source, compilation.project, vocabulary, findings).run()
        found += findings.problems
    return tuple(sorted(found))


@dataclass(frozen=True)
class _Mention:
    """A place that names events of the plan, with the properties it reads."""

    path: Path
    events: tuple[str, ...]  # empty: any
    where: Path | None = None
    of: Path | None = None


@dataclass(frozen=True)
class _Linter:
    source: Source
    project: Project
    vocabulary: Vocabulary | None
    findings: Findings

    def run(self) -> None:
        self._check_value_lists()
        self._check_unused_signals()
        self._check_examples()
        self._check_thresholds()
        self._check_what_is_enough()
        if self.vocabulary is not None:
            self._check_words(self.vocabulary)

    def _get(self, path: Path) -> Any:
        return self.findings.tree.get(path)

    # --- without a plan -----------------------------------------------------------------------------------------------

    def _check_value_lists(self) -> None:
        """D007: `not disposble` would mean: not this very text."""
        for path, value in walk(self.findings.tree.value):
            if not isinstance(value, str) or not value.startswith("not ") or not self._is_test(path):
                continue
            name = value.removeprefix("not ").strip()
            near = closest(name, self.project.values)
            if name not in self.project.values and near is not None:
                message = f"no list of values is called {quoted(name)}; did you mean {quoted(f'not {near}')}?"
                self.findings.add("D007", path, f"{message} (A text that is meant as such: `not [{name}]`.)")

    def _is_test(self, path: Path) -> bool:
        return "where" in path or path[:1] in {(name,) for name in _CONDITIONS}

    def _check_unused_signals(self) -> None:
        """D201: whatever is named anywhere below another key counts as used."""
        signals = self._get(("signals",))
        if not isinstance(signals, dict):
            return
        used: set[str] = set()
        for path, value in walk(self.findings.tree.value):
            in_a_ratio = path[:1] == ("signals",) and "ratio" in path
            if path[:1] in ((), ("signals",), ("pql",), ("why",), ("tests",)) and not in_a_ratio:
                continue
            used |= {value} if isinstance(value, str) else set(value) if isinstance(value, dict) else set()
        for name in signals:
            if name not in used:
                message = f"the signal {quoted(name)} is tallied and never used"
                self.findings.add("D201", ("signals", name), message, on_key=True)

    def _check_examples(self) -> None:
        """D204."""
        if not self._get(("tests",)):
            message = "the definition has no example; add `tests` that show who qualifies and who does not"
            self.findings.add("D204", (), message)

    def _check_thresholds(self) -> None:
        """D202, for every condition that could be read."""
        signals = self._get(("signals",))
        for clause in _CONDITIONS:
            for path, value in walk(self._get((clause,)), (clause,)):
                name = path[-1]
                if isinstance(value, dict) and name == "at_least":
                    self._check_part(path, value)
                elif isinstance(signals, dict) and self._is_counted(signals.get(name)) and len(path) > 1:
                    self._check_count(path, str(name), value)

    def _is_counted(self, signal: Any) -> bool:
        return isinstance(signal, dict) and ("count" in signal or "distinct" in signal)

    def _check_count(self, path: Path, name: str, written: Any) -> None:
        try:
            test = parse_comparator(written, self.project.values)
        except UnreadableComparator:
            return
        shown = quoted(f"{name}: {show_value(written)}")
        if "%" in test.text:
            self.findings.add("D202", path, f"{shown} asks a count for a share; a count is 0, 1, 2 and so on")
        elif not test.turning_points():
            always = "always holds" if test.holds(0) else "never holds"
            self.findings.add("D202", path, f"{shown} {always}; a count is 0, 1, 2 and so on")

    def _check_part(self, path: Path, written: Mapping[str, Any]) -> None:
        of, need = written.get("of"), written.get("count")
        entries = len(of) if isinstance(of, dict | list) else 0
        if entries and isinstance(need, int) and need > entries:
            self.findings.add("D202", (*path, "count"), f"{need} of {entries} entries never hold")
        share = written.get("share")
        if isinstance(share, str) and re.fullmatch(r"[0.]+%", share):
            self.findings.add("D202", (*path, "share"), f"a share of {share} always holds")

    def _check_what_is_enough(self) -> None:
        """D203 and D205: what the definition says of somebody who has only signed up, and of everybody else."""
        definition = self.source.definition
        if definition is None:
            return
        if _truth(definition.qualify, frozenset(), signed_up=False) is True:
            message = "this holds of everybody before anything has happened, so nobody ever enters it"
            self.findings.add("D205", ("qualify",), message, on_key=True)
            return
        anchors = {
            name
            for use in definition.uses
            if isinstance(use.window, Anchored)
            for name in use.window.anchor.matcher.events
        }
        named = {name for use in definition.uses for name in use.signal.matcher.events if _SIGN_UP.search(name)}
        events = frozenset(anchors | named)
        if _truth(definition.qualify, events, signed_up=True) is True:
            names = ", ".join(map(quoted, sorted(events))) or "any event"
            message = f"signing up is enough to qualify: {names} alone makes this hold"
            self.findings.add("D203", ("qualify",), message, on_key=True)

    # --- with a plan --------------------------------------------------------------------------------------------------

    def _check_words(self, vocabulary: Vocabulary) -> None:
        for mention in self._mentions():
            known = [name for name in mention.events if self._check_event(mention, name, vocabulary)]
            if known or not mention.events:
                self._check_properties(mention, known, vocabulary)
        for path, name in self._traits():
            self._check_trait(path, name, vocabulary)

    def _check_event(self, mention: _Mention, name: str, vocabulary: Vocabulary) -> bool:
        if name in vocabulary.events:
            return True
        near = closest(name, vocabulary.events)
        hint = f"; did you mean {quoted(near)}?" if near else "; add it to the plan, or name one that is there"
        self.findings.add("D101", mention.path, f"the plan has no event {quoted(name)}{hint}")
        return False

    def _check_properties(self, mention: _Mention, events: list[str], vocabulary: Vocabulary) -> None:
        names: dict[Path, str] = {}
        if mention.of is not None and self._get(mention.of) != "user_id":
            names[mention.of] = str(self._get(mention.of))
        where = self._get(mention.where) if mention.where else None
        if mention.where and isinstance(where, dict):
            names |= {(*mention.where, name): name for name in where}
        for path, name in names.items():
            on_key = path != mention.of
            if not events and name not in vocabulary.properties_of_any:
                hint = did_you_mean(name, vocabulary.properties_of_any)
                self.findings.add("D102", path, f"no event has the property {quoted(name)}{hint}", on_key)
            for event in events:
                self._check_property(path, name, event, vocabulary.properties(event), on_key)

    def _check_property(
        self, path: Path, name: str, event: str, properties: Mapping[str, Property], on_key: bool
    ) -> None:
        known = properties.get(name)
        if known is None:
            hint = did_you_mean(name, properties) or "; it has none"
            self.findings.add("D102", path, f"{quoted(event)} has no property {quoted(name)}{hint}", on_key)
        elif on_key:
            self._check_values(path, name, known)

    def _check_values(self, path: Path, name: str, known: Property) -> None:
        """D103: an equality with a value that the plan does not allow."""
        try:
            test = parse_comparator(self._get(path), self.project.values)
        except UnreadableComparator:
            return
        if known.values is None or test.operator not in ("equals", "any of", "none of"):
            return
        for operand in test.operands:
            if not any(Comparator("equals", (operand,)).holds(value) for value in known.values):
                words = [show_value(value) for value in known.values]
                hint = did_you_mean(show_value(operand), words)
                self.findings.add("D103", path, f"{quoted(name)} is never {quoted(show_value(operand))}{hint}")

    def _check_trait(self, path: Path, name: str, vocabulary: Vocabulary) -> None:
        kind, _, key = name.partition(".")
        traits = vocabulary.traits(kind)
        if traits is None:
            return
        known = traits.get(key)
        if known is None:
            near = closest(key, traits)
            hint = f"; did you mean {quoted(f'{kind}.{near}')}?" if near else "; until it is sent, it is unknown"
            self.findings.add("D104", path, f"the plan has no trait {quoted(name)}{hint}", path[-1] == name)
        elif path[-1] == name:
            self._check_values(path, name, known)

    # --- where events and traits are named ----------------------------------------------------------------------------

    def _mentions(self) -> Iterator[_Mention]:
        yield from self._window_mention(("window",))
        signals = self._get(("signals",))
        for name in signals if isinstance(signals, dict) else ():
            yield from self._signal_mentions(("signals", name))
        for path in (("predicts",), ("lifecycle", "convert")):
            yield from self._event_mention(path, "event")
        tests = self._get(("tests",))
        for index, test in enumerate(tests if isinstance(tests, list) else ()):
            given = test.get("given") if isinstance(test, dict) else None
            for step in range(len(given) if isinstance(given, list) else 0):
                yield from self._event_mention(("tests", index, "given", step), "event")

    def _signal_mentions(self, path: Path) -> Iterator[_Mention]:
        signal = self._get(path)
        if not isinstance(signal, dict):
            return
        yield from self._window_mention((*path, "within"))
        for aggregate in _EVENT_AGGREGATES:
            yield from self._event_mention(path, aggregate)
        if "members" in signal:
            yield from self._signal_mentions((*path, "members"))

    def _event_mention(self, path: Path, key: str) -> Iterator[_Mention]:
        written = self._get((*path, key))
        names = [written] if isinstance(written, str) else written
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return
        holder = self._get(path)
        events = tuple(name for name in names if name != "any")
        where: Path | None = (*path, "where") if "where" in holder else None
        yield _Mention((*path, key), events, where, (*path, "of") if "of" in holder else None)

    def _window_mention(self, path: Path) -> Iterator[_Mention]:
        written = self._get(path)
        window = parse_window(written) if isinstance(written, str) else None
        if window is not None and window.anchor not in ("", "any"):
            yield _Mention(path, (window.anchor,))

    def _traits(self) -> Iterator[tuple[Path, str]]:
        for path, value in walk(self.findings.tree.value):
            step = path[-1] if path else ""
            if step == "trait" and isinstance(value, str):
                yield path, value
            elif isinstance(step, str) and re.match(r"(user|account)\.", step) and "tests" not in path:
                yield path, step


def _first_events(definition: Definition) -> frozenset[str]:
    """The events that somebody who has only signed up has: those that start windows, and those that sound like it."""
    windows = [use.window for use in definition.uses if isinstance(use.window, Anchored)]
    anchors = {name for window in windows for name in window.anchor.matcher.events}
    named = {name for use in definition.uses for name in use.signal.matcher.events if _SIGN_UP.search(name)}
    return frozenset(anchors | named)


def _truth(condition: Condition, events: frozenset[str], signed_up: bool) -> Truth:
    """What holds of an entity with one each of these events and nothing else; its traits are unknown."""
    match condition:
        case Criterion(subject=subject, test=test):
            return test.holds(None if isinstance(subject, Trait) else _value(subject, events, signed_up))
        case Not(of=inner):
            value = _truth(inner, events, signed_up)
            return None if value is None else not value
        case All(of=parts):
            return at_least(len(parts), [_truth(part, events, signed_up) for part in parts])
        case AnyOf(of=parts):
            return at_least(1, [_truth(part, events, signed_up) for part in parts])
        case AtLeast(of=parts):
            return at_least(condition.need, [_truth(part, events, signed_up) for part in parts])
        case _:
            assert_never(condition)


def _value(use: Use, events: frozenset[str], signed_up: bool) -> int | None:
    if not signed_up:
        # An anchored window has not begun.
        return 0 if isinstance(use.window, Ever) else None
    matcher = use.signal.matcher
    # Of any event with certain properties nobody knows whether signing up is one.
    return int(not events.isdisjoint(matcher.events) if matcher.events else not matcher.where)
