"""`assay lint` with the linter for definitions handed in."""

import copy
from collections.abc import Iterator
from pathlib import Path

from assay.contract.plan import Plan
from assay.qa.commands import Hooks
from assay.qa.commands import lint as lint_plan
from assay.qa.lint import LintFinding, Rule
from assay_collector.pql.rules import RULES


def lint_definitions_folder(folder: Path, plan: Plan | None) -> Iterator[LintFinding]:
    """
    Everything that is wrong, or probably not meant, with the definitions of a folder.

    Raises:
        ImportError: The collector extra, which reads YAML, is missing.
    """
    from assay_collector.definitions_folder import read_definitions_folder
    from assay_collector.pql.lint import lint_definitions
    from assay_collector.pql.problems import DefinitionProblems, Problem

    problems: tuple[Problem, ...]
    try:
        problems = lint_definitions(read_definitions_folder(folder), plan)
    except DefinitionProblems as unreadable:
        problems = unreadable.problems
    for each in problems:
        yield LintFinding(each.file, "", each.rule, each.message, each.severity, each.line, each.column)


lint = copy.copy(lint_plan)
_rules = tuple(Rule(id, severity, title) for id, (severity, title) in RULES.items())
lint.context_settings = {**lint_plan.context_settings, "obj": Hooks((lint_definitions_folder,), _rules)}
