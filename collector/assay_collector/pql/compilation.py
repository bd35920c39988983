"""From the texts of a folder to a catalogue: project first, then every definition; all problems are kept."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from assay_collector.pql.comparators import Comparator, UnreadableComparator, parse_comparator
from assay_collector.pql.compiler import Compiled, compile_definition
from assay_collector.pql.definition import Catalogue, Definition, Exclusion, Project
from assay_collector.pql.problems import Findings, Problem, did_you_mean, problem, quoted
from assay_collector.pql.structure import check_project
from assay_collector.pql.yaml_tree import Tree, UnreadableYaml, read_yaml

PROJECT_FILES: Final = ("project.yaml", "project.yml")


@dataclass(frozen=True)
class Source:
    """One YAML document of a definition, and what became of it."""

    file: str
    tree: Tree
    compiled: Compiled

    @property
    def definition(self) -> Definition | None:
        """None if it cannot run; the reasons are among the problems."""
        return self.compiled.definition


@dataclass(frozen=True)
class Compilation:
    """What could be read of a folder."""

    project: Project
    sources: tuple[Source, ...]
    problems: tuple[Problem, ...]

    @property
    def catalogue(self) -> Catalogue:
        """The definitions that can run."""
        found = tuple(source.definition for source in self.sources if source.definition is not None)
        return Catalogue(project=self.project, definitions=found)


def compile_documents(documents: Mapping[str, str]) -> Compilation:
    """
    Read every document of every text. Never raises for what the texts say.

    Args:
        documents: Name of the file -> its text. ``project.yaml`` holds the defaults; without it there are none.
    """
    problems: list[Problem] = []
    trees = {file: _trees(file, documents[file], problems) for file in sorted(documents)}
    project = _read_projects({file: trees[file] for file in trees if _is_project(file)}, problems)
    sources: list[Source] = []
    for file in trees:
        if _is_project(file):
            continue
        for tree in trees[file]:
            findings = Findings(file, tree)
            sources.append(Source(file, tree, compile_definition(findings, project)))
            problems += findings.problems
    problems += _repeated_ids(sources)
    return Compilation(project, tuple(sources), tuple(sorted(problems)))


def _is_project(file: str) -> bool:
    return PurePosixPath(file).name in PROJECT_FILES


def _trees(file: str, text: str, problems: list[Problem]) -> tuple[Tree, ...]:
    try:
        return read_yaml(text)
    except UnreadableYaml as error:
        problems += [problem(file, slip.position, "D001", slip.message) for slip in error.slips]
        return ()


def _repeated_ids(sources: Iterable[Source]) -> Iterable[Problem]:
    first: dict[str, Source] = {}
    path = ("pql", "id")
    for source in sources:
        id = source.tree.get(path)
        if not isinstance(id, str):
            continue
        known = first.setdefault(id, source)
        if known is not source:
            place = f"{known.file}:{known.tree.at(path).line}"
            yield problem(source.file, source.tree.at(path), "D003", f"the id {quoted(id)} is taken by {place}")


# --- the project file -------------------------------------------------------------------------------------------------


def _read_projects(trees: Mapping[str, tuple[Tree, ...]], problems: list[Problem]) -> Project:
    found = [(file, tree) for file, documents in trees.items() for tree in documents]
    for file, tree in found[1:]:
        problems.append(problem(file, tree.at(()), "D010", f"a folder has one project; the first is in {found[0][0]}"))
    if not found:
        return Project()
    findings = Findings(*found[0])
    project = _read_project(findings)
    problems += findings.problems
    return project


def _read_project(findings: Findings) -> Project:
    if check_project(findings):
        return Project()
    document: dict[str, Any] = findings.tree.value
    project = Project(
        name=document["project"],
        timezone=document.get("timezone", "UTC"),
        values={name: tuple(listed) for name, listed in document.get("values", {}).items()},
        marketing=tuple(document.get("marketing", ())),
        max_definitions_per_stage=document.get("max_definitions_per_stage", 7),
    )
    _check_timezone(findings, project.timezone)
    exclude = document.get("exclude", {})
    lists = {name: _exclusion(findings, name, project) for name in exclude.get("lists", {})}
    for index, name in enumerate(exclude.get("default", [])):
        if name not in lists:
            hint = did_you_mean(name, lists)
            findings.add("D006", ("exclude", "default", index), f"there is no exclusion list {quoted(name)}{hint}")
    return replace(
        project,
        lists={name: listed for name, listed in lists.items() if listed is not None},
        default_lists=tuple(exclude.get("default", [])),
    )


def _check_timezone(findings: Findings, name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"{quoted(name)} is no time zone; write an IANA name, such as `UTC` or `Europe/Berlin`"
        findings.add("D010", ("timezone",), message)


def _exclusion(findings: Findings, name: str, project: Project) -> Exclusion | None:
    path = ("exclude", "lists", name)
    tests: list[tuple[str, Comparator]] = []
    kinds: set[str] = set()
    for trait, written in findings.tree.get(path).items():
        kind, _, key = trait.partition(".")
        kinds.add(kind)
        try:
            tests.append((key, parse_comparator(written, project.values)))
        except UnreadableComparator as error:
            findings.add("D005", (*path, trait), str(error))
    if len(kinds) > 1:
        message = f"the list {quoted(name)} tests users and accounts; make it two lists"
        findings.add("D010", path, message, on_key=True)
    return Exclusion(name, "account" if kinds == {"account"} else "user", tuple(tests))
