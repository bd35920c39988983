"""What can be wrong with a definition: rules with stable ids, and problems with file, line and column."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

from assay.contract.display import shorten, visible
from assay.contract.errors import AssayError
from assay_collector.pql.rules import RULES, Severity
from assay_collector.pql.yaml_tree import Path, Position, Tree


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong with a file of definitions, and what would be right."""

    file: str
    line: int
    column: int
    rule: str
    message: str
    severity: Severity = "error"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.severity} {self.rule}: {self.message}"


@dataclass(eq=False)
class DefinitionProblems(AssayError):
    """Definitions that cannot be used; every problem of every file."""

    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


@dataclass
class Findings:
    """Collects the problems of one YAML document."""

    file: str
    tree: Tree
    problems: list[Problem] = field(default_factory=list)

    def add(self, rule: str, path: Path, message: str, on_key: bool = False) -> None:
        """Note a problem with the value at a path, or with the key that leads to it; each is noted once."""
        position = self.tree.at_key(path) if on_key else self.tree.at(path)
        found = problem(self.file, position, rule, message)
        if found not in self.problems:
            self.problems.append(found)


def problem(file: str, position: Position, rule: str, message: str) -> Problem:
    """A problem with its rule's severity; the message is made harmless to a terminal."""
    return Problem(file, position.line, position.column, rule, visible(message), RULES[rule][0])


def quoted(value: object) -> str:
    """A word or value as a message shows it."""
    return f"`{shorten(str(value), 60)}`"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suggestion to end a sentence with; without one, what there is, or nothing."""
    names = sorted(set(known))
    near = closest(word, names)
    if near:
        return f"; did you mean {quoted(near)}?"
    if not names:
        return ""
    return f"; there {'is' if len(names) == 1 else 'are'} {', '.join(map(quoted, names[:12]))}" + (
        " …" if len(names) > 12 else ""
    )


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    by_folded = {name.casefold(): name for name in known}
    near = get_close_matches(word.casefold()[:100], by_folded, n=1, cutoff=0.7)
    return by_folded[near[0]] if near else None
