"""
Lint: what a tracking plan may say but had better not.

Every rule has a stable id, so that a team can leave one out, and a pipeline can count them.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from assay.contract.display import pointer, show_json, visible
from assay.contract.plan import EventSchema, Plan, PlanError, SchemaVer
from assay.contract.subschemas import BadReference, Place, Schema, SchemaIndex, places
from assay.contract.times import format_instant
from assay.qa.compatibility import breaking_changes

ERROR: Final = "error"
WARNING: Final = "warning"


@dataclass(frozen=True, slots=True)
class Rule:
    """A lint rule."""

    id: str
    severity: str
    # What it asks for.
    title: str


RULES: Final[Mapping[str, Rule]] = {
    rule.id: rule
    for rule in (
        Rule("P000", ERROR, "the plan loads"),
        Rule("P001", ERROR, "an event has an owner"),
        Rule("P002", ERROR, "an event has a description"),
        Rule("P003", WARNING, "a property has a type"),
        Rule("P004", WARNING, "a property has a description"),
        Rule("P005", WARNING, "a deprecated version has a successor, or is removed"),
        Rule("P006", WARNING, "additionalProperties is false"),
        Rule("P007", WARNING, "versions follow each other without a gap"),
        Rule("P008", ERROR, "a breaking change raises MODEL"),
        Rule("P009", WARNING, "a keyword is one of JSON Schema 2020-12, or begins with x-"),
        Rule("P010", WARNING, "a format is one that is asserted"),
        Rule("P011", WARNING, "a shared type is used"),
        Rule("P012", WARNING, "one folder holds one event, with all its versions"),
        Rule("P013", WARNING, "two events differ in more than case and punctuation"),
        Rule("P014", WARNING, "a property that sounds like personal data is marked x-pii"),
        Rule("P015", WARNING, "a required property is described"),
    )
}


@dataclass(frozen=True, slots=True, order=True)
class LintFinding:
    """Something that a plan or a definition had better not say."""

    # Relative to the folder that was checked.
    file: str
    # JSON pointer into the file; "" is the whole.
    pointer: str
    # A stable id: P... for plans, others for definitions.
    rule: str
    message: str
    severity: str = ERROR
    # From 1; 0 where the pointer says it all.
    line: int = 0
    # From 1; 0 where there is no line.
    column: int = 0

    def to_json(self) -> dict[str, Any]:
        """Write it as a JSON object."""
        return {"kind": "finding", **asdict(self)}


# Takes the folder of definitions and the plan, if there is one; the collector's side provides it.
DefinitionLinter = Callable[[Path, Plan | None], Iterable[LintFinding]]


def lint_documents(documents: Mapping[str, bytes], now: int) -> tuple[Plan | None, list[LintFinding]]:
    """
    Check a plan's documents and lint what they say.

    Args:
        documents: Path relative to the plan's root -> content.
        now: Microseconds since the Unix epoch.

    Returns:
        The plan, None if it does not load, and the findings in the order of the files.
    """
    try:
        plan = Plan.from_documents(documents)
    except PlanError as error:
        return None, lint_problems(error)
    return plan, lint_plan(plan, now)


def lint_problems(error: PlanError) -> list[LintFinding]:
    """Write what keeps a plan from loading as findings."""
    return [_finding("P000", problem.file, problem.pointer, problem.message) for problem in error.problems]


def lint_plan(plan: Plan, now: int) -> list[LintFinding]:
    """
    Lint a plan that loads.

    Args:
        plan: The plan.
        now: Microseconds since the Unix epoch.
    """
    index = SchemaIndex(_schemas_of(plan))
    findings: list[LintFinding] = [*_lint_names(plan), *_lint_folders(plan), *_lint_types(plan, index)]
    for versions in plan.schemas.values():
        # What is published never changes, so only the newest version can still be mended.
        findings += [*_lint_event(versions[-1], now), *_lint_document(index, versions[-1].file)]
        findings += [*_lint_versions(versions), *_lint_changes(index, versions)]
    return sorted(set(findings))


def _finding(rule: str, file: str, at: str, message: str) -> LintFinding:
    return LintFinding(file, at, rule, visible(message), RULES[rule].severity)


def _schemas_of(plan: Plan) -> dict[str, Schema]:
    return {file: json.loads(data) for file, data in plan.documents.items() if file != "plan.json"}


# -- events ------------------------------------------------------------------------------------------------------------


def _lint_event(schema: EventSchema, now: int) -> Iterator[LintFinding]:
    if not schema.owner:
        yield _finding("P001", schema.file, "/x-assay", "names no owner; say which team to ask")
    if not schema.description:
        yield _finding("P002", schema.file, "/x-assay", "has no description; say when the event is sent")
    if schema.deprecated_at is not None and schema.deprecated_at <= now:
        since = format_instant(schema.deprecated_at)[:10]
        message = f"is deprecated since {since} and still the newest version; add the next one, or remove the event"
        yield _finding("P005", schema.file, "/x-assay/deprecated_at", message)


def _lint_versions(versions: tuple[EventSchema, ...]) -> Iterator[LintFinding]:
    if versions[0].version != SchemaVer(1, 0, 0):
        message = f"the first version is {versions[0].version}; begin with 1-0-0"
        yield _finding("P007", versions[0].file, "/x-assay/version", message)
    for old, new in pairwise(versions):
        if new.version not in _successors(old.version):
            wanted = ", ".join(map(str, _successors(old.version)))
            message = f"{old.version} is followed by {new.version}; expected one of {wanted}"
            yield _finding("P007", new.file, "/x-assay/version", message)


def _successors(version: SchemaVer) -> tuple[SchemaVer, SchemaVer, SchemaVer]:
    model, revision, addition = version
    return (
        SchemaVer(model, revision, addition + 1),
        SchemaVer(model, revision + 1, 0),
        SchemaVer(model + 1, 0, 0),
    )


def _lint_changes(index: SchemaIndex, versions: tuple[EventSchema, ...]) -> Iterator[LintFinding]:
    for old, new in pairwise(versions):
        if new.version.model > old.version.model:
            continue
        for at, message in breaking_changes(index, Place(old.file, ""), Place(new.file, "")):
            advice = f"{message} since {old.version}; make it {new.version.model + 1}-0-0"
            yield _finding("P008", new.file, at, advice)


def _lint_folders(plan: Plan) -> Iterator[LintFinding]:
    first: dict[str, EventSchema] = {}
    for versions in plan.schemas.values():
        home = _folder(versions[0])
        for schema in versions:
            if _folder(schema) != home:
                yield _finding("P012", schema.file, "", f"lies apart from {versions[0].file}, the same event")
        if first.setdefault(home, versions[0]) is not versions[0]:
            yield _finding("P012", versions[0].file, "", f"lies in one folder with {first[home].file}, another event")


def _folder(schema: EventSchema) -> str:
    return schema.file.rpartition("/")[0]


def _lint_names(plan: Plan) -> Iterator[LintFinding]:
    alike: dict[tuple[str, str], EventSchema] = {}
    for (type_, name), versions in plan.schemas.items():
        key = (type_, "".join(char for char in (name or "").casefold() if char.isalnum()))
        if name and alike.setdefault(key, versions[-1]) is not versions[-1]:
            other = show_json(alike[key].event)
            message = f"{show_json(name)} and {other} differ only in case or punctuation; choose one"
            yield _finding("P013", versions[-1].file, "/x-assay/event", message)


# -- schemas -----------------------------------------------------------------------------------------------------------

_TYPING_KEYWORDS = ("type", "const", "enum", "$ref", "anyOf", "oneOf", "allOf", "not", "if")

_PERSONAL = re.compile(
    r"e_?mail|(first|last|full|given|family|sur|user|display|contact|customer|billing)_?name|phone|mobile(_?number)?|"
    r"(street|home|postal|billing|shipping|mailing)?_?address|ip(_?address)?|birth(_?da(y|te))?|date_?of_?birth|ssn|"
    r"passport(_?number)?|iban|credit_?card(_?number)?|(remote|client|user)_?ip|(user|contact|customer|work)_?e_?mail"
)

# fmt: off
FORMATS = frozenset(
    {
        "date-time", "date", "time", "duration", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6",
        "uri", "uri-reference", "iri", "iri-reference", "uri-template", "uuid", "json-pointer",
        "relative-json-pointer", "regex",
    }
)
# fmt: on

# fmt: off
KEYWORDS = frozenset(
    {
        "$schema", "$id", "$anchor", "$ref", "$defs", "$comment", "definitions", "type", "enum", "const",
        "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength",
        "pattern", "maxItems", "minItems", "uniqueItems", "maxContains", "minContains", "maxProperties",
        "minProperties", "required", "dependentRequired", "dependentSchemas", "properties", "patternProperties",
        "additionalProperties", "propertyNames", "items", "prefixItems", "contains", "allOf", "anyOf", "oneOf",
        "not", "if", "then", "else", "unevaluatedItems", "unevaluatedProperties", "title", "description",
        "default", "deprecated", "readOnly", "writeOnly", "examples", "format", "contentEncoding",
        "contentMediaType", "contentSchema",
    }
)
# fmt: on


def _lint_types(plan: Plan, index: SchemaIndex) -> Iterator[LintFinding]:
    files = [file for file in plan.documents if file.startswith("types/")]
    used = {
        index.target(place.file, schema["$ref"]).file
        for place, schema in index.schemas.items()
        if isinstance(schema, dict) and "$ref" in schema
    }
    for file in files:
        yield from _lint_document(index, file)
        if file not in used:
            yield _finding("P011", file, "", "is referred to by no event and no type")


def _lint_document(index: SchemaIndex, file: str) -> Iterator[LintFinding]:
    document = index.schemas[Place(file, "")]
    for place, schema in places(file, document if isinstance(document, dict) else {}):
        if isinstance(schema, dict):
            yield from _lint_keywords(place, schema)
            yield from _lint_object(index, place, schema)


def _lint_keywords(place: Place, schema: Schema) -> Iterator[LintFinding]:
    for keyword in schema:
        if keyword not in KEYWORDS and not keyword.startswith("x-"):
            near = get_close_matches(keyword, KEYWORDS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            message = f"{show_json(keyword)} is no keyword of JSON Schema, so it has no effect{hint}"
            yield _finding("P009", place.file, place.pointer + pointer(keyword), message)
    if "format" in schema and schema["format"] not in FORMATS:
        message = f"the format {show_json(schema['format'])} is unknown, so it is not asserted"
        yield _finding("P010", place.file, place.pointer + "/format", message)


def _lint_object(index: SchemaIndex, place: Place, schema: Schema) -> Iterator[LintFinding]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return
    closed = ("additionalProperties", "unevaluatedProperties")
    if not any(keyword in schema for keyword in closed):
        message = "lets any other property pass; set additionalProperties to false, or to a schema on purpose"
        yield _finding("P006", place.file, place.pointer, message)
    for name, inner in properties.items():
        if isinstance(inner, dict):
            at = Place(place.file, place.pointer + pointer("properties", name))
            yield from _lint_property(index, at, name, inner)
    for name in schema.get("required", ()):
        if name not in properties and not schema.get("patternProperties"):
            message = f"{show_json(name)} is required but not described"
            yield _finding("P015", place.file, place.pointer + "/required", message)


def _lint_property(index: SchemaIndex, place: Place, name: str, schema: Schema) -> Iterator[LintFinding]:
    if not any(keyword in schema for keyword in _TYPING_KEYWORDS):
        yield _finding("P003", place.file, place.pointer, "has no type, so anything fits")
    if not _says(index, place, "description"):
        yield _finding("P004", place.file, place.pointer, "has no description")
    if _PERSONAL.fullmatch(_snake(name)) and not _says(index, place, "x-pii"):
        message = 'sounds like personal data; mark it, such as "x-pii": "email", so that it is never shown'
        yield _finding("P014", place.file, place.pointer, message)


def _says(index: SchemaIndex, place: Place, keyword: str) -> bool:
    """Tell whether a schema, or the one it refers to, has a keyword that is not empty."""
    schema = index.schemas[place]
    while isinstance(schema, dict):
        if schema.get(keyword):
            return True
        if not isinstance(schema.get("$ref"), str):
            return False
        try:
            place = index.target(place.file, schema["$ref"])
        except BadReference:
            return False
        schema = index.schemas[place]
    return False


def _snake(name: str) -> str:
    return re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[\s-]+").sub("_", name).casefold()
