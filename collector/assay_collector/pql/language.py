"""
The definition language: from the texts of a folder to a catalogue.

The way there: text -> ``yaml_tree`` (values with positions) -> ``structure`` (the shape, by JSON Schema) ->
``compiler`` (frozen values) -> ``lint`` (what is probably not meant).
"""

from collections.abc import Mapping

from assay.contract.plan import Plan
from assay_collector.pql.compilation import compile_documents
from assay_collector.pql.definition import Catalogue
from assay_collector.pql.lint import lint_compilation
from assay_collector.pql.problems import DefinitionProblems, Problem

__all__ = ["DefinitionProblems", "Problem", "read_definitions"]


def read_definitions(documents: Mapping[str, str], plan: Plan | None = None) -> Catalogue:
    """
    Read the definitions of a folder.

    Args:
        documents: Name of the file -> its text; each YAML document is a definition. ``project.yaml`` holds what is
            common to all, and may be absent.
        plan: The tracking plan that events, properties and values are checked against.

    Returns:
        The project and its definitions, in the order of the files' names. `Definition.hash` is the hash of what
        decides (the id; entity, signals and windows, qualify, eligible, fit, stages, variants, lifecycle, exclusions):
        layout, order of keys, spelling, version, owner, reason, tiers and levels leave it as it is.

    Raises:
        DefinitionProblems: With every error of every file; warnings stop nothing, ``lint.lint_definitions`` has them.
    """
    compilation = compile_documents(documents)
    problems = (*compilation.problems, *lint_compilation(compilation, plan))
    errors = tuple(sorted(problem for problem in problems if problem.severity == "error"))
    if errors:
        raise DefinitionProblems(errors)
    return compilation.catalogue
