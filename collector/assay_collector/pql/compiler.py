"""From one YAML document to a definition; what is wrong with it is noted, and reading goes on."""

from dataclasses import dataclass, replace

from assay_collector.pql.clauses import Clauses
from assay_collector.pql.conditions import Conditions
from assay_collector.pql.definition import (
    AnyOf,
    Criterion,
    Definition,
    Exclusion,
    Project,
)
from assay_collector.pql.document import Document
from assay_collector.pql.normal_form import definition_hash
from assay_collector.pql.problems import Findings, did_you_mean, quoted
from assay_collector.pql.signals import Signals
from assay_collector.pql.structure import check_definition
from assay_collector.pql.yaml_tree import Path


@dataclass(frozen=True, slots=True)
class Compiled:
    """What became of a document."""

    # None if anything was noted that keeps it from running.
    definition: Definition | None = None
    # Every criterion that could be read, with the place of its test.
    criteria: tuple[tuple[Path, Criterion], ...] = ()


def compile_definition(findings: Findings, project: Project) -> Compiled:
    """Compile a document; what is wrong with it is noted in `findings`."""
    bad_paths = check_definition(findings)
    if not isinstance(findings.tree.value, dict):
        return Compiled()
    document = Document(findings, project, bad_paths)
    definition = _definition(document)
    return Compiled(definition, tuple(document.criteria))


def _definition(document: Document) -> Definition | None:
    signals = Signals(document)
    conditions = Conditions(document, signals)
    clauses = Clauses(document, signals, conditions)
    uses = signals.compile()
    qualify = conditions.compile("qualify")
    stages = clauses.stages()
    eligible, fit = conditions.compile("eligible"), conditions.compile("fit")
    variants, tiers, levels = clauses.variants(), clauses.tiers(), clauses.levels()
    lifecycle = clauses.lifecycle()
    exclude = _exclusions(document)
    clauses.check_what_goes_along()
    if any(problem.severity == "error" for problem in document.findings.problems):
        return None
    if qualify is None:
        # Whoever has reached any stage is qualified, and the highest one is shown.
        qualify = AnyOf(tuple(rung.qualify for rung in stages))
    header = document.get("pql")
    definition = Definition(
        id=header["id"],
        version=header["version"],
        entity=document.entity,
        stage=header["stage"],
        owner=header["owner"],
        why=document.get("why"),
        qualify=qualify,
        eligible=eligible,
        fit=fit,
        exclude=exclude,
        uses=uses,
        tiers=tiers,
        levels=levels,
        stages=stages,
        variants=variants,
        lifecycle=lifecycle,
        document=document.get(),
        file=document.findings.file,
    )
    return replace(definition, hash=definition_hash(definition))


def _exclusions(document: Document) -> tuple[Exclusion, ...]:
    lists = document.project.lists
    named = document.get("exclude") or []
    if document.is_bad("exclude"):
        return ()
    for index, name in enumerate(named):
        if name not in lists:
            hint = did_you_mean(name, lists) or "; its file, project.yaml, has none"
            document.note("D006", ("exclude", index), f"the project has no exclusion list {quoted(name)}{hint}")
    names = dict.fromkeys((*document.project.default_lists, *named))
    return tuple(lists[name] for name in names if name in lists)
