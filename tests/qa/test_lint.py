"""`assay lint`: what a plan may say but had better not."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from assay.contract.errors import AssayError
from assay.contract.plan import Plan
from assay.contract.times import parse_instant
from assay.qa.commands import MISSING_EXTRA, Hooks, lint
from assay.qa.lint import RULES, LintFinding, lint_documents

NOW = parse_instant("2026-03-01T00:00:00Z")
ROOT = Path(__file__).parents[2]
TEXT = {"type": "string", "description": "A text."}


def event(schema: dict[str, Any] | None = None, **about: Any) -> dict[str, Any]:
    """A document that no rule objects to; None leaves a field out."""
    block = {
        "type": "track",
        "event": "Paid",
        "version": "1-0-0",
        "owner": "team",
        "description": "Money came.",
        "purposes": ["analytics"],
        **about,
    }
    whole = {"additionalProperties": False, "properties": {"p": TEXT}, **(schema or {})}
    return {
        "x-assay": {name: value for name, value in block.items() if value is not None},
        **{name: value for name, value in whole.items() if value is not None},
    }


def files(**documents: Any) -> dict[str, bytes]:
    """The files of a plan."""
    whole = {"plan.json": {"name": "p"}, **documents}
    return {file: json.dumps(document).encode() for file, document in whole.items()}


def found(**documents: Any) -> list[tuple[str, str, str]]:
    """The findings, as (rule, file, pointer)."""
    _, findings = lint_documents(files(**documents), NOW)
    return [(finding.rule, finding.file, finding.pointer) for finding in findings]


AT = "events/paid/1-0-0.json"


def of(schema: dict[str, Any]) -> dict[str, Any]:
    """An event whose property p has this schema."""
    return event({"properties": {"p": schema}})


def test_a_good_plan_has_no_findings():
    """The builder's document is one."""
    assert [] == found(**{AT: event()})


@pytest.mark.parametrize(
    ("document", "rule", "pointer"),
    [
        (event(owner=None), "P001", "/x-assay"),
        (event(description=None), "P002", "/x-assay"),
        (of({"description": "x"}), "P003", "/properties/p"),
        (of({"type": "string"}), "P004", "/properties/p"),
        (
            of({**TEXT, "items": {"additionalProperties": False, "properties": {"q": {"type": "null"}}}}),
            "P004",
            "/properties/p/items/properties/q",
        ),
        (event(deprecated_at="2026-02-28"), "P005", "/x-assay/deprecated_at"),
        (event({"additionalProperties": None}), "P006", ""),
        (of({**TEXT, "maxLenght": 5}), "P009", "/properties/p/maxLenght"),
        (event({"requred": ["p"]}), "P009", "/requred"),
        (of({**TEXT, "format": "e-mail"}), "P010", "/properties/p/format"),
        (event({"properties": {"userEmail": TEXT}}), "P014", "/properties/userEmail"),
        (event({"properties": {"first_name": TEXT}}), "P014", "/properties/first_name"),
        (event({"required": ["q"]}), "P015", "/required"),
    ],
)
def test_each_rule_finds_its_slip(document: dict[str, Any], rule: str, pointer: str):
    """One slip, one finding, at its place."""
    assert [(rule, AT, pointer)] == found(**{AT: document})


@pytest.mark.parametrize(
    "document",
    [
        event(deprecated_at="2026-03-02"),
        event({"additionalProperties": {"type": "string"}}),
        event({"additionalProperties": None, "unevaluatedProperties": False}),
        of({"description": "x", "enum": [1]}),
        of({"$ref": "#/$defs/d"}) | {"$defs": {"d": TEXT}},
        of({**TEXT, "x-team": "any", "format": "date-time"}),
        event({"properties": {"email": {**TEXT, "x-pii": "email"}}}),
        event({"properties": {"email": {"$ref": "#/$defs/d"}}, "$defs": {"d": {**TEXT, "x-pii": "email"}}}),
        event({"properties": {"file_name": TEXT, "emails_sent": TEXT, "account_name": TEXT}}),
        event({"properties": {"$ref": TEXT, "typo": TEXT}}),
    ],
)
def test_what_is_fine_is_left_alone(document: dict[str, Any]):
    """No finding where there is no slip."""
    assert [] == found(**{AT: document})


def test_a_plan_that_does_not_load_has_its_problems_as_findings():
    """P000, an error, with file and pointer."""
    plan, findings = lint_documents(files(**{AT: event(purposes=["x"])}), NOW)

    assert plan is None
    assert [("P000", "error", AT, "/x-assay/purposes/0")] == [(f.rule, f.severity, f.file, f.pointer) for f in findings]


def test_an_unused_type_is_found():
    """A type that another type uses is used."""
    types = {"types/a.json": {"$ref": "types/b.json"}, "types/b.json": {"type": "string"}}

    assert [("P011", "types/a.json", "")] == found(**{AT: event()}, **types)


def test_only_the_newest_version_is_linted():
    """What is published never changes, so old slips cannot be mended."""
    new = "events/paid/1-0-1.json"

    assert [("P001", new, "/x-assay")] == found(**{AT: event(owner=None), new: event(owner=None, version="1-0-1")})


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        (["1-0-0", "1-0-1", "1-1-0", "2-0-0"], []),
        (["1-0-0", "1-0-2"], ["1-0-2"]),
        (["1-0-0", "3-0-0", "3-0-1"], ["3-0-0"]),
        (["1-0-1", "1-0-2"], ["1-0-1"]),
        (["1-0-0", "1-1-1"], ["1-1-1"]),
    ],
)
def test_a_gap_between_versions_is_found(versions: list[str], expected: list[str]):
    """The next version raises one number by one, and the ones after it fall to zero."""
    documents = {f"events/paid/{version}.json": event(version=version) for version in versions}

    assert [("P007", f"events/paid/{version}.json", "/x-assay/version") for version in expected] == found(**documents)


def is_whole(schema: dict[str, Any]) -> bool:
    """Whether this is an event's schema, rather than a property's."""
    return not schema or bool(set(schema) & {"properties", "required", "additionalProperties"})


@pytest.mark.parametrize(
    ("old", "new", "pointer"),
    [
        ({}, {"properties": {}}, "/properties"),
        ({}, {"required": ["p"]}, "/required"),
        ({"additionalProperties": {}}, {"additionalProperties": False}, "/additionalProperties"),
        ({"type": "string"}, {"type": "integer"}, "/properties/p/type"),
        ({"type": ["string", "null"]}, {"type": "string"}, "/properties/p/type"),
        ({"type": "number"}, {"type": "integer"}, "/properties/p/type"),
        ({"const": 1}, {"const": 2}, "/properties/p/const"),
        ({"enum": [1, 2]}, {"enum": [1]}, "/properties/p/enum"),
        ({"enum": [1, True]}, {"enum": [1]}, "/properties/p/enum"),
        ({"type": "string"}, {"type": "string", "enum": ["a"]}, "/properties/p/enum"),
        ({"minimum": 1}, {"minimum": 2}, "/properties/p/minimum"),
        ({"maxLength": 2}, {"maxLength": 1}, "/properties/p/maxLength"),
        ({"type": "string"}, {"type": "string", "pattern": "^a"}, "/properties/p/pattern"),
        ({"items": {"type": "string"}}, {"items": {"type": "null"}}, "/properties/p/items/type"),
        ({"$ref": "types/text.json"}, {"$ref": "types/number.json"}, "/properties/p"),
        ({"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}, "/$defs/b/type"),
    ],
)
def test_a_breaking_change_needs_a_new_model(old: dict[str, Any], new: dict[str, Any], pointer: str):
    """Removed, required, narrowed or tightened, it is an error; with a new MODEL it is none."""
    pair = [schema if is_whole(schema) else {"properties": {"p": schema}} for schema in (old, new)]
    parts = {"$defs": {"a": {"type": "string"}, "b": {"type": "null"}}}
    types = {"types/text.json": {"type": "string"}, "types/number.json": {"type": "number"}}

    def changes(version: str) -> list[tuple[str, str, str]]:
        file = f"events/paid/{version}.json"
        documents = {AT: event(pair[0] | parts), file: event(pair[1] | parts, version=version), **types}
        return [finding for finding in found(**documents) if finding[0] == "P008"]

    assert [("P008", "events/paid/1-0-1.json", pointer)] == changes("1-0-1")
    assert [] == changes("2-0-0")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"type": "integer"}, {"type": "number"}),
        ({"type": "string"}, {"type": ["string", "null"]}),
        ({"enum": [1]}, {"enum": [1, 2]}),
        ({"maxLength": 1}, {"maxLength": 2}),
        ({"maxLength": 1}, {}),
        ({"type": "string"}, {"$ref": "types/text.json"}),
        ({"description": "a"}, {"description": "b", "x-pii": "other"}),
        (True, {}),
        (False, {"type": "null"}),
    ],
)
def test_a_wider_schema_breaks_nothing(old: Any, new: Any):
    """All events of the old shape still fit."""
    documents = {AT: of(old), "events/paid/1-0-1.json": event({"properties": {"p": new, "q": TEXT}}, version="1-0-1")}
    documents["types/text.json"] = {"type": "string"}

    assert [] == [finding for finding in found(**documents) if finding[0] == "P008"]


def test_folders_and_names_are_kept_apart():
    """One event in two folders, two events in one folder, and names that differ only in spelling are found."""
    documents = {
        AT: event(),
        "events/other/1-0-1.json": event(version="1-0-1"),
        "events/paid/2-0-0.json": event(event="Sent", version="2-0-0"),
        "events/paid-too/1-0-0.json": event(event="paid_"),
    }

    assert [
        ("P012", "events/other/1-0-1.json", ""),
        ("P013", "events/paid-too/1-0-0.json", "/x-assay/event"),
        ("P012", "events/paid/2-0-0.json", ""),
    ] == [finding for finding in found(**documents) if finding[0] in ("P012", "P013")]


def test_the_plan_of_the_simulated_product_has_no_errors():
    """What we ship passes our own lint."""
    from assay.plans import read_plan_folder

    _, findings = lint_documents(read_plan_folder(ROOT / "schemas" / "planboard" / "plan"), NOW)

    assert [] == [finding for finding in findings if finding.severity == "error"]


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A plan's folder with an error and a warning."""
    for file, data in files(**{AT: event({"additionalProperties": None}, owner=None)}).items():
        (tmp_path / "plan" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "plan" / file).write_bytes(data)
    return tmp_path / "plan"


def run(*arguments: Any, hooks: Hooks | None = None) -> Result:
    """Run `assay lint`."""
    return CliRunner().invoke(lint, [str(argument) for argument in arguments], obj=hooks)


def test_findings_are_shown_with_place_severity_and_rule(folder: Path):
    """Errors make the exit code 1."""
    result = run("--plan", folder)

    assert 1 == result.exit_code
    advice = "set additionalProperties to false, or to a schema on purpose"
    assert [
        f"{AT}: warning P006: lets any other property pass; {advice}",
        f"{AT}#/x-assay: error P001: names no owner; say which team to ask",
        "",
        "1 error, 1 warning",
    ] == result.output.splitlines()


@pytest.mark.parametrize(
    ("options", "exit_code"),
    [
        (["--ignore", "P001"], 0),
        (["--ignore", "P001", "--strict"], 1),
        (["--ignore", "P001", "--ignore", "P006", "--strict"], 0),
    ],
)
def test_rules_can_be_left_out_and_warnings_counted(folder: Path, options: list[str], exit_code: int):
    """--ignore takes a rule out, --strict makes warnings fatal."""
    assert exit_code == run("--plan", folder, *options).exit_code


def test_json_is_one_object_a_line(folder: Path):
    """Findings first, the summary last."""
    *findings, summary = map(json.loads, run("--plan", folder, "--format", "json").output.splitlines())

    assert ["P006", "P001"] == [finding["rule"] for finding in findings]
    assert {"kind": "summary", "errors": 1, "warnings": 1} == summary


def test_a_plan_that_does_not_load_is_linted_too(folder: Path):
    """Its problems are findings, not a usage error."""
    (folder / AT).write_text("{")

    result = run("--plan", folder)

    assert 1 == result.exit_code
    assert f"{AT}: error P000: is not JSON" in result.output


@pytest.mark.parametrize("arguments", [["--plan", "/nowhere"], []], ids=["missing", "none"])
def test_without_a_plan_there_is_nothing_to_lint(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Exit code 2."""
    monkeypatch.chdir(tmp_path)

    assert 2 == run(*arguments).exit_code


def test_definitions_are_linted_by_whoever_knows_them(folder: Path, tmp_path: Path):
    """The collector's side hands its linter over; it gets the folder and the plan."""

    def linter(definitions: Path, plan: Plan | None) -> Iterator[LintFinding]:
        yield LintFinding("a.yaml", "", "D001", f"{definitions.name} {plan and plan.name}", line=3)

    result = run("--plan", folder, "--definitions", tmp_path, hooks=Hooks(definition_linters=(linter,)))

    assert f"a.yaml:3: error D001: {tmp_path.name} p" in result.output
    assert "2 errors, 1 warning" in result.output


def test_definitions_alone_need_no_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The linter is told that there is none."""
    monkeypatch.chdir(tmp_path)
    plans: list[Plan | None] = []

    result = run("--definitions", tmp_path, hooks=Hooks(definition_linters=(lambda _, plan: plans.append(plan) or [],)))

    assert (0, [None]) == (result.exit_code, plans)


def needs_yaml(_folder: Path, _plan: Plan | None) -> list[LintFinding]:
    """A linter whose library is not installed."""
    raise ModuleNotFoundError("No module named 'yaml'")


@pytest.mark.parametrize("hooks", [None, Hooks(definition_linters=(needs_yaml,))], ids=["no linter", "no library"])
def test_the_missing_extra_is_named_in_one_line(folder: Path, tmp_path: Path, hooks: Hooks | None):
    """What to install is said, without a traceback."""
    result = run("--plan", folder, "--definitions", tmp_path, hooks=hooks)

    assert 2 == result.exit_code
    assert f"Error: {MISSING_EXTRA}\n" == result.stderr
    assert "pip install 'assay[collector]'" in MISSING_EXTRA


def test_definitions_that_cannot_be_read_exit_with_two(tmp_path: Path):
    """An error that Assay raises on purpose is a message, not a traceback."""

    def linter(_folder: Path, _plan: Plan | None) -> list[LintFinding]:
        raise AssayError("project.yaml is missing")

    result = run("--definitions", tmp_path, "--plan", ROOT / "schemas/planboard/plan", hooks=Hooks((linter,)))

    assert (2, "Error: project.yaml is missing\n") == (result.exit_code, result.stderr)


def test_the_rules_are_listed():
    """Each with its id, its severity and what it asks for."""
    lines = run("--rules").output.splitlines()

    assert [rule.id for rule in RULES.values()] == [line.split()[0] for line in lines]
    assert sorted(RULES) == list(RULES)


def test_the_help_teaches_by_examples():
    """What can be typed is shown."""
    assert all(part in run("--help").output for part in ("assay lint --rules", "Exit code:", "assay[collector]"))
