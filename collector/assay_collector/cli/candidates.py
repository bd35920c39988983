"""Reads a definition that may come to run: its file, what lint says of it beside those that run, its own examples."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from assay.contract.plan import Plan
from assay_collector.pql.compilation import PROJECT_FILES, Compilation, Source, compile_documents
from assay_collector.pql.definition import Project
from assay_collector.pql.examples import ExampleResult, run_examples
from assay_collector.pql.lint import lint_compilation
from assay_collector.pql.problems import Problem
from assay_collector.qualify.versions import Written
from assay_collector.settings import Settings
from assay_collector.store import Register, Version


@dataclass(frozen=True, slots=True)
class Candidate:
    """A definition, and whether it may run."""

    written: Written | None  # None: it cannot be read; the problems say why
    project: Project
    problems: tuple[Problem, ...]
    examples: tuple[ExampleResult, ...]

    @property
    def is_acceptable(self) -> bool:
        """Nothing is wrong with it, and its own examples are met."""
        is_right = all(problem.severity == "warning" for problem in self.problems)
        return self.written is not None and is_right and not any(each.differences for each in self.examples)

    def reasons(self) -> list[str]:
        """Everything that lint and its examples say."""
        unmet = [
            f"example not met: {each.name}: {'; '.join(each.differences)}" for each in self.examples if each.differences
        ]
        return [*map(str, self.problems), *unmet]

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "acceptable": self.is_acceptable,
            "problems": [
                {
                    "file": problem.file,
                    "line": problem.line,
                    "column": problem.column,
                    "rule": problem.rule,
                    "severity": problem.severity,
                    "message": problem.message,
                }
                for problem in self.problems
            ],
            "examples": [
                {"name": each.name, "met": not each.differences, "differences": list(each.differences)}
                for each in self.examples
            ],
        }


def read_file(path: Path, settings: Settings, plan: Plan | None, register: Register) -> Candidate:
    """
    A candidate from its file, with the project file beside it or else that of the folder of definitions.

    Raises:
        click.ClickException: The file cannot be read, or holds more than one definition.
    """
    text = _text_of(path)
    return _judge(path.name, text, _project_text(path, settings), plan, register)


def read_version(version: Version, plan: Plan | None, register: Register) -> Candidate:
    """A candidate from the register."""
    return _judge(version.file, version.text, version.project, plan, register, id=version.id)


def _judge(
    file: str, text: str, project: str, plan: Plan | None, register: Register, id: str | None = None
) -> Candidate:
    compilation = compile_documents({file: text, **({PROJECT_FILES[0]: project} if project else {})})
    sources = [each for each in compilation.sources if id is None or each.tree.get(("pql", "id")) == id]
    if len(sources) > 1:
        raise click.ClickException(f"{file} holds {len(sources)} definitions; give each a file of its own")
    own = sources[0].definition if sources else None
    # Last, so that what is said of two is said of the candidate.
    among = Compilation(compilation.project, (*_running(register, own.id if own else ""), *sources), ())
    found = {*compilation.problems, *(each for each in lint_compilation(among, plan) if each.file == file)}
    return Candidate(
        written=None if own is None else Written(own, text, project),
        project=compilation.project,
        problems=tuple(sorted(found)),
        examples=() if own is None else run_examples(own),
    )


def _running(register: Register, without: str) -> list[Source]:
    """The definitions that run, beside the one of this id."""
    found: list[Source] = []
    for version in register.versions():
        if version.status == "active" and version.id != without:
            # Under names of their own: what is wrong with them is no concern of the candidate's.
            file = f"{version.id}@{version.version}"
            documents = {file: version.text, **({PROJECT_FILES[0]: version.project} if version.project else {})}
            found += [
                source
                for source in compile_documents(documents).sources
                if source.definition is not None and source.definition.id == version.id
            ]
    return found


def _project_text(path: Path, settings: Settings) -> str:
    folders = [path.parent, *([settings.definitions] if settings.definitions else [])]
    for folder in folders:
        for name in PROJECT_FILES:
            if (folder / name).is_file():
                return _text_of(folder / name)
    return ""


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise click.ClickException(f"{path} is not UTF-8; save it as UTF-8") from None
