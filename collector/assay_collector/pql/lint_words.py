"""Whether a definition's words are those of the tracking plan: its events, properties, values and traits."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from assay_collector.pql.comparators import Comparator, UnreadableComparator, parse_comparator, show_value
from assay_collector.pql.definition import Project
from assay_collector.pql.definition_schema import AGGREGATES
from assay_collector.pql.matching import USER_ID
from assay_collector.pql.problems import Findings, closest, did_you_mean, quoted
from assay_collector.pql.vocabulary import Property, Vocabulary
from assay_collector.pql.windows import parse_window
from assay_collector.pql.yaml_tree import Path, walk

_EVENT_AGGREGATES: Final = tuple(name for name in AGGREGATES if name not in ("trait", "ratio", "members"))


@dataclass(frozen=True)
class _Mention:
    """A place that names events of the plan, with the properties it reads."""

    path: Path
    events: tuple[str, ...]  # empty: any
    where: Path | None = None
    of: Path | None = None


@dataclass(frozen=True)
class WordLinter:
    """The rules D101 to D104 over one document."""

    findings: Findings
    project: Project
    vocabulary: Vocabulary

    def run(self) -> None:
        """Note every word that the plan does not have."""
        for mention in self._mentions():
            known = [name for name in mention.events if self._check_event(mention, name)]
            if known or not mention.events:
                self._check_properties(mention, known)
        for path, name in self._traits():
            self._check_trait(path, name)

    def _get(self, path: Path) -> Any:
        return self.findings.tree.get(path)

    def _check_event(self, mention: _Mention, name: str) -> bool:
        if name in self.vocabulary.events:
            return True
        near = closest(name, self.vocabulary.events)
        hint = f"; did you mean {quoted(near)}?" if near else "; add it to the plan, or name one that is there"
        self.findings.add("D101", mention.path, f"the plan has no event {quoted(name)}{hint}")
        return False

    def _check_properties(self, mention: _Mention, events: list[str]) -> None:
        names: dict[Path, str] = {}
        counts_people = mention.path[-1] == "distinct" and mention.of and self._get(mention.of) == USER_ID
        if mention.of is not None and not counts_people:
            names[mention.of] = str(self._get(mention.of))
        where = self._get(mention.where) if mention.where else None
        if mention.where and isinstance(where, dict):
            names |= {(*mention.where, name): name for name in where}
        for path, name in names.items():
            on_key = path != mention.of
            if not events and name not in self.vocabulary.properties_of_any:
                hint = did_you_mean(name, self.vocabulary.properties_of_any)
                self.findings.add("D102", path, f"no event has the property {quoted(name)}{hint}", on_key)
            for event in events:
                self._check_property(path, name, event, self.vocabulary.properties(event), on_key)

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

    def _check_trait(self, path: Path, name: str) -> None:
        kind, _, key = name.partition(".")
        traits = self.vocabulary.traits(kind)
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
            elif isinstance(step, str) and re.match(r"(user|account)\.", step) and self._names_a_trait(path):
                yield path, step

    def _names_a_trait(self, path: Path) -> bool:
        """A `where` tests the properties of events, but for that of members."""
        if path[-2:-1] == ("where",):
            return "members" in (self._get(path[:-2]) or ())
        return "tests" not in path
