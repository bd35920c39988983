"""
What is probably not meant: rules with stable ids over definitions that can be read.

``rules.RULES`` names them all. Those about the words of the plan are in ``lint_words``, those about what a
definition comes to are in ``lint_meaning``, those about several definitions are in ``lint_folder``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from assay.contract.plan import Plan
from assay_collector.pql.compilation import Compilation, compile_documents
from assay_collector.pql.definition import Project
from assay_collector.pql.lint_folder import lint_folder
from assay_collector.pql.lint_meaning import MeaningLinter
from assay_collector.pql.lint_words import WordLinter
from assay_collector.pql.problems import Findings, Problem, closest, quoted
from assay_collector.pql.vocabulary import Vocabulary
from assay_collector.pql.yaml_tree import Path, walk

# Where conditions stand.
_CLAUSES: Final = ("qualify", "eligible", "fit", "tiers", "stages", "variants", "lifecycle", "route")


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
            _TextLinter(compilation.project, findings).run()
            MeaningLinter(source, compilation.project, findings).run()
            if vocabulary is not None:
                WordLinter(findings, compilation.project, vocabulary).run()
        found += findings.problems
    return tuple(sorted((*found, *lint_folder(compilation))))


@dataclass(frozen=True)
class _TextLinter:
    """The rules that need nothing but the text, so that they hold of definitions that cannot run as well."""

    project: Project
    findings: Findings

    def run(self) -> None:
        self._check_value_lists()
        self._check_unused_signals()
        self._check_examples()

    def _get(self, path: Path) -> Any:
        return self.findings.tree.get(path)

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
        return "where" in path or path[-1:] == ("having",) or path[:1] in {(name,) for name in _CLAUSES}

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
                message = f"the signal {quoted(name)} is tallied and never used; test it, or take it out"
                self.findings.add("D201", ("signals", name), message, on_key=True)

    def _check_examples(self) -> None:
        """D204."""
        if not self._get(("tests",)):
            message = "the definition has no example; add `tests` that show who qualifies and who does not"
            self.findings.add("D204", (), message)
