"""Everything that can be wrong with the documents of a plan. All problems are collected, not only the first."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from assay.contract.compiling import TypeLibrary, compile_schema
from assay.contract.display import pointer, shorten, show, show_json, visible
from assay.contract.errors import AssayError
from assay.contract.personal import PII_CLASSES, PersonalData
from assay.contract.plan_event import BLOCK_SCHEMA, DIALECT, PLAN_SCHEMA, VERSION_PATTERN
from assay.contract.strict_json import read_strictly
from assay.contract.subschemas import TYPE_FILE, BadReference, Place, Schema, SchemaIndex, TooMuch, places
from assay.contract.times import UnreadableTime, parse_instant
from assay.contract.validation import EventValidator

if TYPE_CHECKING:
    from assay.contract.explanation import Explainer

DOCUMENTS_MAX = 10_000
PROBLEMS_SHOWN_MAX = 20

_EVENT_FILE = re.compile(r"events/[^/]+/([^/]+)\.json")

# These change what a reference or a keyword means from place to place; a plan does without.
_REFUSED_KEYWORDS = (
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$recursiveAnchor",
    "$vocabulary",
    "dependencies",
)

_META_SCHEMA: Schema = {"$ref": DIALECT}


@dataclass(frozen=True, slots=True, order=True)
class PlanProblem:
    """One thing wrong with a plan."""

    # The file, relative to the plan's root.
    file: str
    # The place in it, as a JSON pointer; "" is the whole file.
    pointer: str
    # What is wrong and how to mend it, on one line.
    message: str

    def __str__(self) -> str:
        return visible(f"{self.file}{'#' if self.pointer else ''}{self.pointer}: {self.message}")


@dataclass(eq=False)
class PlanError(AssayError):
    """A plan that cannot be used, with everything that is wrong with it."""

    problems: tuple[PlanProblem, ...]

    def __str__(self) -> str:
        shown = [f"  {problem}" for problem in self.problems[:PROBLEMS_SHOWN_MAX]]
        if len(self.problems) > PROBLEMS_SHOWN_MAX:
            shown.append(f"  … and {len(self.problems) - PROBLEMS_SHOWN_MAX} more")
        count = len(self.problems)
        return "\n".join([f"the tracking plan has {count} problem{'' if count == 1 else 's'}:", *shown])


@dataclass(frozen=True, slots=True)
class CheckedPlan:
    """The documents of a plan, read and compiled, with what is wrong with them."""

    # The readable documents by file; complete only if there are no problems.
    documents: Mapping[str, Schema]
    # The events that can be used, compiled, by file.
    validators: Mapping[str, EventValidator]
    personal: Mapping[str, PersonalData]
    problems: tuple[PlanProblem, ...]


def check_documents(files: Mapping[str, bytes]) -> CheckedPlan:
    """
    Read, check and compile a plan's documents.

    Args:
        files: The bytes of each file, by its path relative to the plan's root, with ``/``.
    """
    if len(files) > DOCUMENTS_MAX:
        return CheckedPlan({}, {}, {}, (PlanProblem("", "", f"more than {DOCUMENTS_MAX:,} documents"),))
    problems: list[PlanProblem] = []
    documents = dict(_read_all(files, problems))
    for file, document in documents.items():
        problems += _check_document(file, document)
    problems += _check_doubles(documents)
    sound = _without(documents, problems)
    validators, personal = _compile_all(sound, documents, problems)
    return CheckedPlan(documents, validators, personal, tuple(sorted(set(problems))))


# -- one file ----------------------------------------------------------------------------------------------------------


def _read_all(files: Mapping[str, bytes], problems: list[PlanProblem]) -> Iterator[tuple[str, Schema]]:
    if "plan.json" not in files:
        problems.append(PlanProblem("plan.json", "", 'is missing; it names the plan: {"name": "..."}'))
    for file, data in sorted(files.items()):
        document, slips = read_strictly(data)
        problems += [PlanProblem(file, at, message) for at, message in slips]
        if isinstance(document, dict):
            yield file, document
        elif not slips:
            problems.append(PlanProblem(file, "", f"must be a JSON object, not {show(document)}"))


def _check_document(file: str, document: Schema) -> Iterator[PlanProblem]:
    if file == "plan.json":
        yield from _by_schema(file, "", "plan", document)
    elif _EVENT_FILE.fullmatch(file):
        yield from _check_block(file, document)
        yield from _check_schema(file, document)
    elif TYPE_FILE.fullmatch(file):
        yield from _check_schema(file, document)
        if "x-assay" in document:
            yield PlanProblem(file, "/x-assay", "belongs to events; a shared type has no such block")
    else:
        yield PlanProblem(
            file, "", "has no place in a plan; it holds plan.json, events/<slug>/<version>.json and types/<name>.json"
        )


def _check_block(file: str, document: Schema) -> Iterator[PlanProblem]:
    if "x-assay" not in document:
        yield PlanProblem(file, "", "lacks the block x-assay, which names the type, the event and the version")
        return
    block = document["x-assay"]
    yield from _by_schema(file, "/x-assay", "block", block)
    if not isinstance(block, dict):
        return
    yield from _check_file_name(file, block.get("version"))
    deprecated_at = block.get("deprecated_at")
    if isinstance(deprecated_at, str) and not _is_instant(deprecated_at):
        message = f"must be an ISO 8601 date or instant such as 2026-03-01, not {show(deprecated_at)}"
        yield PlanProblem(file, "/x-assay/deprecated_at", message)


def _check_file_name(file: str, version: object) -> Iterator[PlanProblem]:
    match = _EVENT_FILE.fullmatch(file)
    if match and isinstance(version, str) and match[1] != version and re.match(VERSION_PATTERN, version):
        message = f"is {show(version)}, but the file's name says {show(match[1])}; make them the same"
        yield PlanProblem(file, "/x-assay/version", message)


def _is_instant(text: str) -> bool:
    try:
        parse_instant(text)
    except UnreadableTime:
        return False
    # A number of seconds is an instant on the wire, but nothing a person can review.
    return not re.fullmatch(r"\s*-?[0-9.]+\s*", text)


def _check_schema(file: str, document: Schema) -> Iterator[PlanProblem]:
    yield from _by_schema(file, "", "meta", document)
    has_patterns, has_unevaluated = False, None
    for place, schema in places(file, document):
        if not isinstance(schema, dict):
            continue
        yield from _check_keywords(place, schema)
        yield from _check_patterns(place, schema)
        has_patterns = has_patterns or bool(schema.get("patternProperties"))
        has_unevaluated = place if "unevaluatedProperties" in schema else has_unevaluated
    if has_patterns and has_unevaluated:
        # jsonschema would run those patterns by Python's `re`, in exponential time if they are meant to.
        message = "cannot stand in one document with patternProperties; use additionalProperties"
        yield PlanProblem(file, has_unevaluated.pointer + "/unevaluatedProperties", message)


def _check_keywords(place: Place, schema: Schema) -> Iterator[PlanProblem]:
    for keyword in _REFUSED_KEYWORDS:
        if keyword in schema:
            yield _problem(place, keyword, "is not supported in a plan")
    if schema.get("$schema", DIALECT) not in (DIALECT, DIALECT + "#"):
        yield _problem(place, "$schema", f"must be {DIALECT}, or be left out")
    if "$id" in schema and place.pointer:
        yield _problem(place, "$id", "may stand only at the root of a document")
    mark = schema.get("x-pii", PII_CLASSES[0])
    if mark not in PII_CLASSES:
        yield _problem(place, "x-pii", f"must be one of {', '.join(PII_CLASSES)}, not {show(mark)}")


def _check_patterns(place: Place, schema: Schema) -> Iterator[PlanProblem]:
    pattern, patterns = schema.get("pattern"), schema.get("patternProperties")
    if isinstance(pattern, str) and not _is_pattern(pattern):
        yield _problem(place, "pattern", _bad_pattern(pattern))
    for name in patterns if isinstance(patterns, dict) else ():
        if not _is_pattern(name):
            message = _bad_pattern(name)
            yield PlanProblem(place.file, place.pointer + pointer("patternProperties", name), message)


def _bad_pattern(pattern: str) -> str:
    return f"{show_json(pattern)} is no pattern that runs in linear time (no look-around, no back-references)"


def _is_pattern(pattern: str) -> bool:
    try:
        compile_schema({"pattern": pattern})
    except ValueError:
        return False
    return True


# -- all files together ------------------------------------------------------------------------------------------------


def _check_doubles(documents: Mapping[str, Schema]) -> Iterator[PlanProblem]:
    first: dict[tuple[str, ...], str] = {}
    for file, document in documents.items():
        block = document.get("x-assay")
        if not _EVENT_FILE.fullmatch(file) or not isinstance(block, dict):
            continue
        key = tuple(show_json(block.get(field)) for field in ("type", "event", "version"))
        if key in first:
            yield PlanProblem(file, "/x-assay", f"describes the same event and version as {first[key]}")
        first.setdefault(key, file)


def _without(documents: Mapping[str, Schema], problems: Iterable[PlanProblem]) -> dict[str, Schema]:
    bad = {problem.file for problem in problems}
    schemas = ((file, document) for file, document in documents.items() if file != "plan.json")
    return {file: document for file, document in schemas if file not in bad}


def _compile_all(
    sound: Mapping[str, Schema], documents: Mapping[str, Schema], problems: list[PlanProblem]
) -> tuple[dict[str, EventValidator], dict[str, PersonalData]]:
    index = SchemaIndex(documents)
    problems += [problem for file in sound for problem in _check_references(index, file, sound[file])]
    whole = _without(sound, problems)
    problems += [problem for file in whole for problem in _check_size(index, Place(file, ""))]
    whole = _without(whole, problems)
    library = TypeLibrary({file: document for file, document in whole.items() if TYPE_FILE.fullmatch(file)})
    validators: dict[str, EventValidator] = {}
    personal: dict[str, PersonalData] = {}
    for file in filter(_EVENT_FILE.fullmatch, whole):
        personal[file] = PersonalData.of_schema(index, Place(file, ""))
        try:
            validators[file] = EventValidator(whole[file], library, personal[file])
        except ValueError as error:
            # A type with a problem of its own is not in the library, so what refers to it cannot be compiled.
            if not any(TYPE_FILE.fullmatch(problem.file) for problem in problems):
                problems.append(PlanProblem(file, "", f"cannot be compiled: {shorten(visible(str(error)), 200)}"))
    return validators, personal


def _check_references(index: SchemaIndex, file: str, document: Schema) -> Iterator[PlanProblem]:
    for place, schema in places(file, document):
        if isinstance(schema, dict) and isinstance(schema.get("$ref"), str):
            try:
                index.target(file, schema["$ref"])
            except BadReference as error:
                yield _problem(place, "$ref", str(error))


def _check_size(index: SchemaIndex, root: Place) -> Iterator[PlanProblem]:
    try:
        index.measure(root)
    except TooMuch as error:
        yield PlanProblem(root.file, root.pointer, str(error))
    except BadReference:
        # Named at the file that holds the reference.
        return


# -- by a JSON Schema --------------------------------------------------------------------------------------------------


def _by_schema(file: str, at: str, name: str, value: Any) -> Iterator[PlanProblem]:
    """Check a value by one of our own schemas, and let jsonschema say what is wrong."""
    if _verdict(name).is_valid(value):
        return
    for violation in _explainer(name).violations(value):
        yield PlanProblem(file, at + violation.pointer, violation.message)


_OWN_SCHEMAS: Mapping[str, Schema] = {"plan": PLAN_SCHEMA, "block": BLOCK_SCHEMA, "meta": _META_SCHEMA}


@cache
def _verdict(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(_OWN_SCHEMAS[name], validate_formats=False)


@cache
def _explainer(name: str) -> "Explainer":
    from assay.contract.explanation import Explainer, meta_schemas

    return Explainer(_OWN_SCHEMAS[name], meta_schemas(), _NOTHING_PERSONAL)


# All names in a plan are the plan's own.
_NOTHING_PERSONAL = PersonalData({}, None)


def _problem(place: Place, keyword: str, message: str) -> PlanProblem:
    return PlanProblem(place.file, place.pointer + pointer(keyword), message)
