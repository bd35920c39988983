"""Builders for the tests of the language: what does not matter is left out."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from assay.contract.plan import Plan
from assay.plans import load_plan
from assay_collector.pql.definition import Definition
from assay_collector.pql.language import DefinitionProblems, read_definitions
from assay_collector.pql.lint import lint_definitions

ROOT = Path(__file__).parents[2]
WORKED = ROOT / "schemas" / "worked"
PLANBOARD = ROOT / "schemas" / "planboard"

PROJECT = """
project: test
exclude:
  default: [bots]
  lists:
    bots: {user.bot: true}
    competitors: {account.domain: [rival.example]}
    students: {account.segment: education}
values:
  disposable: [mailinator.example, tempmail.example]
marketing: [Pricing Viewed]
"""

HEADER = """\
pql: {id: probe, version: 1, entity: account, stage: activation, owner: growth}
why: Because.
predicts: {event: Subscription Started, within: 30 days}
tests: [{name: a, given: [], at: 2026-03-01T09:00Z, expect: {qualified: false}}]
"""
# The body of a definition starts on this line.
BODY_LINE = HEADER.count("\n") + 1


@cache
def planboard() -> Plan:
    """The tracking plan of the simulated product."""
    return load_plan(PLANBOARD / "plan")


def worked(number: int) -> str:
    """The text of a worked definition."""
    (path,) = WORKED.glob(f"{number:02}-*.yaml")
    return path.read_text(encoding="utf-8")


def read(text: str, plan: Plan | None = None) -> Definition:
    """The one definition of a text."""
    (definition,) = read_definitions({"a.yaml": text, "project.yaml": PROJECT}, plan).definitions
    return definition


def read_body(body: str) -> Definition:
    """The definition of a text without its header."""
    return read(HEADER + body)


def errors(documents: Mapping[str, str], plan: Plan | None = None) -> list[str]:
    """What keeps texts from being read."""
    try:
        read_definitions(documents, plan)
    except DefinitionProblems as problems:
        return [str(problem) for problem in problems.problems]
    return []


def body_errors(body: str) -> list[str]:
    """The same for a body; its lines count from 1."""
    return [_in_body(text) for text in errors({"a.yaml": HEADER + body, "project.yaml": PROJECT})]


def body_lint(body: str, plan: Plan | None = None) -> list[str]:
    """All that lint says of a body; its lines count from 1."""
    return [
        _in_body(str(problem)) for problem in lint_definitions({"a.yaml": HEADER + body, "project.yaml": PROJECT}, plan)
    ]


def _in_body(problem: str) -> str:
    file, line, rest = problem.split(":", 2)
    assert file == "a.yaml", problem
    return f"{int(line) - BODY_LINE + 1}:{rest}"
