"""Whether a document has the shape that the language has, in words that say what would be right."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from assay.contract.display import visible
from assay_collector.pql.definition_schema import DEFINITION_SCHEMA
from assay_collector.pql.problems import Findings, closest, did_you_mean, quoted
from assay_collector.pql.project_schema import PROJECT_SCHEMA
from assay_collector.pql.windows import rewrite_duration
from assay_collector.pql.yaml_tree import Path

_KINDS = {
    "string": "text",
    "object": "a mapping",
    "array": "a list",
    "integer": "a whole number",
    "boolean": "true or false",
}


def check_definition(findings: Findings) -> tuple[Path, ...]:
    """
    Note every place where a document is not a definition by its schema.

    Returns:
        The paths that are not as they should be; what lies elsewhere can be read on.
    """
    return _check(_definition_validator(), findings)


def check_project(findings: Findings) -> tuple[Path, ...]:
    """The same for a project file."""
    return _check(_project_validator(), findings)


@cache
def _definition_validator() -> Draft202012Validator:
    return Draft202012Validator(DEFINITION_SCHEMA)


@cache
def _project_validator() -> Draft202012Validator:
    return Draft202012Validator(PROJECT_SCHEMA)


def _check(validator: Draft202012Validator, findings: Findings) -> tuple[Path, ...]:
    seen: dict[tuple[Path, str], None] = {}
    for error in validator.iter_errors(findings.tree.value):
        for path, message, on_key in _describe(error):
            if (path, message) in seen:
                continue
            seen[path, message] = None
            findings.add("D009" if path == ("pql", "owner") else "D002", path, message, on_key)
    return tuple(path for path, _ in seen)


# The path, the message, and whether it is about the key that leads there.
_Described = Iterator[tuple[Path, str, bool]]


def _describe(error: ValidationError) -> _Described:
    path: Path = tuple(error.absolute_path)
    schema = error.schema if isinstance(error.schema, dict) else {}
    if "propertyNames" in error.absolute_schema_path:
        yield _bad_name(path, error.instance, schema)
        return
    # `error.instance` and `error.validator_value` are of the shape that the keyword implies.
    instance: Any = error.instance
    match error.validator:
        case "required":
            yield from _missing(path, instance, schema)
        case "additionalProperties":
            yield from _unknown(path, instance, schema)
        case "dependentRequired":
            yield from _lonely(path, instance, schema)
        case "oneOf" | "anyOf" if not isinstance(instance, dict):
            return  # `type` has said so already
        case "oneOf" | "anyOf":
            yield _one_of(path, instance, error.validator_value)
        case "not":
            yield path, _forbidden(path, error), True
        case _:
            yield path, _wrong_value(path, error, schema), False


def _missing(path: Path, instance: Any, schema: dict[str, Any]) -> _Described:
    for name in schema["required"]:
        if name not in instance:
            yield (*path, name), f"{_place(path)} has no {quoted(name)}{_purpose(schema, name)}", False


def _unknown(path: Path, instance: Any, schema: dict[str, Any]) -> _Described:
    for name in instance:
        if name not in schema["properties"]:
            hint = did_you_mean(name, schema["properties"])
            yield (*path, name), f"{_place(path)} has no key {quoted(name)}{hint}", True


def _lonely(path: Path, instance: Any, schema: dict[str, Any]) -> _Described:
    for name, needed in schema["dependentRequired"].items():
        for other in needed:
            if name in instance and other not in instance:
                yield (*path, name), f"{quoted(name)} needs {quoted(other)} beside it", True


def _bad_name(path: Path, name: Any, schema: dict[str, Any]) -> tuple[Path, str, bool]:
    if "(?!" in schema.get("pattern", "") and str(name).replace("_", "").isalnum():
        message = f"{quoted(name)} means something else in conditions; choose another name for the signal"
    else:
        message = f"{quoted(name)} in {_place(path)} is not {schema.get('title', 'a name')}"
    return (*path, str(name)), message, True


def _one_of(path: Path, instance: Any, branches: Any) -> tuple[Path, str, bool]:
    names: list[str] = [branch["required"][0] for branch in branches]
    present = [name for name in instance if name in names]
    if present:
        both = f"{' and '.join(map(quoted, present))}; only one of them can stand here"
        return (*path, present[-1]), f"{_place(path)} has {both}", True
    message = f"{_place(path)} needs {' or '.join(map(quoted, names))}"
    if len(names) > 3:
        unknown = next(iter(instance), "")
        near = closest(unknown, names) if isinstance(unknown, str) else None
        hint = f"; did you mean {quoted(near)}?" if near else ""
        message = f"{_place(path)} needs one of {', '.join(map(quoted, names))}{hint}"
    return path, message, False


def _forbidden(path: Path, error: ValidationError) -> str:
    steps = list(error.absolute_schema_path)
    aggregate = steps[steps.index("dependentSchemas") + 1] if "dependentSchemas" in steps else "this"
    return f"{quoted(path[-1])} has no meaning beside {quoted(aggregate)}"


def _wrong_value(path: Path, error: ValidationError, schema: dict[str, Any]) -> str:
    value, title = error.instance, schema.get("title", "a value")
    limit: Any = error.validator_value
    match error.validator:
        case "type":
            return _wrong_type(path, value, schema)
        case "enum":
            known = [str(item) for item in limit]
            return f"{_place(path)} is {_shown(value)}; it can be {', '.join(map(quoted, known))}" + _near(value, known)
        case "pattern":
            return f"{_place(path)} is {_shown(value)}, which is not {title}{_right(value, schema)}"
        case "minLength" | "minItems" | "minProperties" if not value:
            return f"{_place(path)} is empty; expected {title}{_examples(schema)}"
        case "minLength" | "minItems" | "minProperties":
            return f"{_place(path)} has too few entries; expected {title}"
        case "maxLength" | "maxItems" | "maxProperties":
            return f"{_place(path)} is too long; at most {limit:,}"
        case "minimum":
            return f"{_place(path)} is {_shown(value)}; it must be at least {limit}"
        case "maximum":
            return f"{_place(path)} is {_shown(value)}; it must be at most {limit:,}"
        case "uniqueItems":
            return f"{_place(path)} names something twice"
    return f"{_place(path)} is not {title}"


def _wrong_type(path: Path, value: Any, schema: dict[str, Any]) -> str:
    title = schema.get("title", "")
    expected = title or _KINDS.get(str(schema.get("type")), "another kind of value")
    if value is None:
        return f"{_place(path)} is empty; expected {expected}{_examples(schema)}"
    kind = _kind(value)
    if schema.get("type") == "string" and isinstance(value, bool | int | float):
        return f"{_place(path)} is {kind}; put it in quotes if {expected} is meant"
    shape = _KINDS.get(str(schema.get("type")))
    as_shape = f", which is {shape}" if shape and title and schema.get("type") in ("object", "array") else ""
    return f"{_place(path)} is {kind}; expected {expected}{as_shape}{_examples(schema)}"


def _right(value: Any, schema: dict[str, Any]) -> str:
    rewritten = rewrite_duration(value) if schema.get("title") in ("a duration", "a window") else None
    return f"; write {quoted(rewritten)}" if rewritten else _examples(schema)


def _examples(schema: dict[str, Any]) -> str:
    examples = [example for example in schema.get("examples", ()) if isinstance(example, str)][:4]
    return f", such as {', '.join(map(quoted, examples))}" if examples else ""


def _near(value: Any, known: list[str]) -> str:
    near = closest(value, known) if isinstance(value, str) else None
    return f"; did you mean {quoted(near)}?" if near else ""


def _purpose(schema: dict[str, Any], name: str) -> str:
    described = schema.get("properties", {}).get(name, {}).get("description", "")
    return f": {described[0].lower()}{described[1:].rstrip('.')}" if described else ""


def _place(path: Path) -> str:
    if not path:
        return "the file"
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return f"`{visible(text)}`"


def _shown(value: Any) -> str:
    return quoted(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else _kind(value)


def _kind(value: Any) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return "`true`" if value else "`false`"
        case str():
            return f"the text {quoted(value)}"
        case int() | float():
            return f"the number {quoted(value)}"
        case list():
            return "a list"
    return "a mapping"
