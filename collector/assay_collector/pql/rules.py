"""The rules of the linter for definitions."""

from typing import Final, Literal

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
