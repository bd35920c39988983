"""What can be wrong with a definition: rules with stable ids, and problems with file, line and column."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final, Literal

from assay.contract.display import shorten, visible
from assay.contract.errors import AssayError
from assay_collector.pql.yaml_tree import Path, Position, Tree

Severity = Literal["error", "warning"]

# An id never changes its meaning; docs/definitions.md explains each.
RULES: Final[dict[str, tuple[Severity, str]]] = {
    "D001": ("error", "the file is not readable as YAML"),
    "D002": ("error", "the language has no such shape"),
    "D003": ("error", "another definition has this id"),
    "D004": ("error", "the definition has no such signal"),
    "D005": ("error", "a comparator is misspelt"),
    "D006": ("error", "the project has no such exclusion list"),
    "D007": ("error", "the project has no such list of values"),
    "D008": ("error", "a window or duration cannot be exact, or is empty"),
    "D009": ("error", "nobody owns the definition"),
    "D010": ("error", "the project file contradicts itself"),
    "D011": ("error", "a trait is asked of an entity that has none of its kind"),
    "D012": ("error", "a signal is of a kind that cannot stand here"),
    "D013": ("error", "a score is incomplete, or stands where it decides nothing"),
    "D014": ("error", "two clauses of the definition contradict each other"),
    "D101": ("error", "the plan has no such event"),
    "D102": ("error", "the event has no such property"),
    "D103": ("error", "the property never has this value"),
    "D104": ("warning", "the plan has no such trait"),
    "D201": ("warning", "a signal is never used"),
    "D202": ("error", "a threshold always holds, or never"),
    "D203": ("warning", "signing up is enough to qualify"),
    "D204": ("warning", "the definition has no example"),
    "D205": ("error", "it holds of everybody from the beginning, so nobody ever enters"),
    "D206": ("warning", "only marketing events decide"),
    "D207": ("warning", "two definitions are nearly the same"),
    "D208": ("warning", "too many definitions are of one stage"),
}


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
