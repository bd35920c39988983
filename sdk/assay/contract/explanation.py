"""Why an instance does not fit its schema, by jsonschema, in words that are safe to show and to store."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import jsonschema_rs
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from jsonschema_specifications import REGISTRY as SPECIFICATIONS  # type: ignore[import-untyped]
from referencing import Registry
from referencing.jsonschema import DRAFT202012, EMPTY_REGISTRY

from assay.contract.compiling import compile_schema
from assay.contract.display import EXPECTED_CHARACTERS_MAX, kind_of, shorten, show, show_json, visible
from assay.contract.personal import PersonalData
from assay.contract.subschemas import Schema, copy_json, places, subschemas
from assay.contract.violations import VIOLATIONS_MAX, Violation

_Errors = Iterator[ValidationError]


class Explainer:
    """One schema, ready to explain failures."""

    def __init__(self, schema: Schema, types: Mapping[str, Schema], personal: PersonalData) -> None:
        resources = [(uri, DRAFT202012.create_resource(_spell_false(document))) for uri, document in types.items()]
        # This registry retrieves nothing: what is not in it cannot be reached.
        registry: Registry[Any] = EMPTY_REGISTRY.with_resources(resources)
        self._validator: Validator = _Validator(_spell_false(schema), registry=registry)
        self._personal = personal

    def violations(self, instance: Any) -> list[Violation]:
        """
        Name the rules that an instance breaks, by jsonschema.

        Returns:
            At most VIOLATIONS_MAX; none if it fits, or if the library cannot tell.
        """
        return _collect(lambda: map(self._describe, self._validator.iter_errors(instance)))

    def violations_by_verdict(self, compiled: jsonschema_rs.Draft202012Validator, instance: object) -> list[Violation]:
        """Name the rules in less detail, by the library that gave the verdict: for the large and the odd."""
        return _collect(lambda: map(self._describe_verdict, compiled.iter_errors(instance)))

    def _describe(self, error: ValidationError) -> Violation:
        path = list(error.absolute_path)
        rule = "false" if error.validator in (None, _NOTHING) else str(error.validator)
        expected, message = _words(rule, error.validator_value, error.instance, self._hides(path, rule))
        if rule in ("anyOf", "oneOf") and error.context:
            message += self._nearest(error)
        return Violation(self._personal.pointer(path), rule, expected, message)

    def _nearest(self, error: ValidationError) -> str:
        branches: dict[str | int, list[ValidationError]] = {}
        for inner in error.context or ():
            branches.setdefault(inner.schema_path[0], []).append(inner)
        if not branches:
            return ""
        # A branch of the right type is nearer than any of another; among those, the one with the least to mend.
        nearest = min(branches.values(), key=lambda errors: (any(map(_is_other_type, errors)), len(errors)))
        described = self._describe(nearest[0])
        return f"; in the nearest, {described.pointer or 'it'} {described.message}"

    def _describe_verdict(self, error: jsonschema_rs.ValidationError) -> Violation:
        path, rule = list(error.instance_path), error.kind.name
        wanted = getattr(error.kind, "value", None)
        expected, message = _words(rule, wanted, error.instance, self._hides(path, rule))
        return Violation(self._personal.pointer(path), rule, expected, message)

    def _hides(self, path: Sequence[str | int], rule: str) -> bool:
        # What the plan does not know may be anything, so it is treated as personal data.
        return rule in ("additionalProperties", "unevaluatedProperties") or self._personal.hides(path)


def _is_other_type(error: ValidationError) -> bool:
    return error.validator == "type" and not error.path


@cache
def meta_schemas() -> dict[str, Schema]:
    """Return the schemas that describe JSON Schema 2020-12, by address, for checking schemas themselves."""
    names = ("schema", *(f"meta/{part}" for part in _META_PARTS))
    documents = {DIALECT_ROOT + name: SPECIFICATIONS[DIALECT_ROOT + name].contents for name in names}
    # jsonschema would switch from our validator to the stock one at every `$schema`.
    return {
        uri: {keyword: value for keyword, value in document.items() if keyword != "$schema"}
        for uri, document in documents.items()
    }


DIALECT_ROOT = "https://json-schema.org/draft/2020-12/"
_META_PARTS = (
    "core",
    "applicator",
    "unevaluated",
    "validation",
    "meta-data",
    "format-annotation",
    "content",
)


def _collect(explain: Callable[[], Iterable[Violation]]) -> list[Violation]:
    # A dictionary keeps the order and drops what two branches say alike.
    found: dict[Violation, None] = {}
    try:
        for violation in explain():
            found[violation] = None
            if len(found) == VIOLATIONS_MAX:
                break
    except Exception:  # noqa: BLE001 - whatever a library makes of an odd value, an explanation never fails
        return list(found)
    return list(found)


def _words(rule: str, wanted: Any, instance: object, hidden: bool) -> tuple[str, str]:
    """Say what a rule expects, and that this instance breaks it."""
    got = kind_of(instance) if hidden else show(instance)
    write = _WORDS.get(rule)
    if write is None:
        return show_json(wanted), f"breaks the rule {visible(rule)}: {show_json(wanted)}"
    return write(wanted, got)


def _one_of(wanted: Any, got: str) -> tuple[str, str]:
    options = wanted if isinstance(wanted, list) else [wanted]
    expected = shorten(", ".join(map(show_json, options)), EXPECTED_CHARACTERS_MAX)
    return expected, f"must be one of {expected}, not {got}"


def _type(wanted: Any, got: str) -> tuple[str, str]:
    names = [str(name) for name in wanted] if isinstance(wanted, list) else [str(wanted)]
    expected = " or ".join(names)
    return expected, f"must be {expected}, not {got}"


def _required(wanted: Any, _got: str) -> tuple[str, str]:
    expected = show_json(wanted)
    return expected, f"lacks the required property {expected}"


def _bound(sign: str, words: str) -> Callable[[Any, str], tuple[str, str]]:
    def write(wanted: Any, got: str) -> tuple[str, str]:
        return f"{sign} {show_json(wanted)}", f"must be {words} {show_json(wanted)}, not {got}"

    return write


def _size(sign: str, words: str, unit: str) -> Callable[[Any, str], tuple[str, str]]:
    def write(wanted: Any, _got: str) -> tuple[str, str]:
        return f"{sign} {show_json(wanted)} {unit}", f"must have {words} {show_json(wanted)} {unit}"

    return write


def _plain(expected: str, message: str) -> Callable[[Any, str], tuple[str, str]]:
    return lambda _wanted, _got: (expected, message)


_WORDS: Mapping[str, Callable[[Any, str], tuple[str, str]]] = {
    "type": _type,
    "enum": _one_of,
    "const": lambda wanted, got: (show_json(wanted), f"must be {show_json(wanted)}, not {got}"),
    "required": _required,
    "additionalProperties": _plain("no such property", "is not in the plan"),
    "unevaluatedProperties": _plain("no such property", "has properties that are not in the plan"),
    "unevaluatedItems": _plain("no such items", "has items that are not in the plan"),
    "false": _plain("nothing", "must not be there"),
    "pattern": lambda wanted, got: (show_json(wanted), f"must match the pattern {show_json(wanted)}, not {got}"),
    "format": lambda wanted, got: (f"{visible(str(wanted))}", f"must be a valid {visible(str(wanted))}, not {got}"),
    "minimum": _bound(">=", "at least"),
    "maximum": _bound("<=", "at most"),
    "exclusiveMinimum": _bound(">", "more than"),
    "exclusiveMaximum": _bound("<", "less than"),
    "multipleOf": _bound("multiple of", "a multiple of"),
    "minLength": _size(">=", "at least", "characters"),
    "maxLength": _size("<=", "at most", "characters"),
    "minItems": _size(">=", "at least", "items"),
    "maxItems": _size("<=", "at most", "items"),
    "minProperties": _size(">=", "at least", "properties"),
    "maxProperties": _size("<=", "at most", "properties"),
    "uniqueItems": _plain("unique items", "must not hold the same item twice"),
    "contains": _plain("a matching item", "has no item, too few or too many items that fit what it must contain"),
    "anyOf": _plain("one of the alternatives", "fits none of the alternatives"),
    "oneOf": _plain("exactly one of the alternatives", "fits none or several of the alternatives"),
    "not": _plain("anything else", "is what the plan rules out"),
    "dependentRequired": lambda wanted, _got: (show_json(wanted), f"lacks a property asked for by {show_json(wanted)}"),
}


# -- jsonschema, with the rules in which Python and the verdict could differ given to one engine ----------------------


@lru_cache(maxsize=1024)
def _engine(keyword: str, value: Any) -> jsonschema_rs.Draft202012Validator:
    return compile_schema({keyword: value})


def _by_verdict(keyword: str) -> Callable[..., _Errors]:
    """
    Judge a keyword by jsonschema-rs.

    Python's ``re`` can take exponential time and reads patterns by other rules, ``multipleOf`` in binary floats calls
    19.99 no multiple of 0.01, and uniqueness takes quadratic time.
    """

    def judge(_validator: Validator, value: Any, instance: Any, _schema: Schema) -> _Errors:
        if not _engine(keyword, value).is_valid(instance):
            yield ValidationError(keyword)

    return judge


def _matches(pattern: str, name: str) -> bool:
    return _engine("pattern", pattern).is_valid(name)


def _pattern_properties(validator: Validator, patterns: Schema, instance: Any, _schema: Schema) -> _Errors:
    if not validator.is_type(instance, "object"):
        return
    for pattern, schema in patterns.items():
        for name, value in instance.items():
            if _matches(pattern, name):
                yield from validator.descend(value, schema, path=name, schema_path=pattern)  # type: ignore[attr-defined]


def _additional_properties(validator: Validator, wanted: Any, instance: Any, schema: Schema) -> _Errors:
    if not validator.is_type(instance, "object"):
        return
    patterns = list(schema.get("patternProperties", ()))
    for name, value in instance.items():
        if name in schema.get("properties", ()) or any(_matches(pattern, name) for pattern in patterns):
            continue
        if wanted is False:
            yield ValidationError("additionalProperties", path=[name], instance=value)
        else:
            yield from validator.descend(value, wanted, path=name)  # type: ignore[attr-defined]


def _required_properties(validator: Validator, names: list[str], instance: Any, _schema: Schema) -> _Errors:
    if validator.is_type(instance, "object"):
        missing = (name for name in names if name not in instance)
        yield from (ValidationError("required", validator_value=name) for name in missing)


# jsonschema forgets where it is when it meets the schema `false`, so there a keyword of our own stands for it.
_NOTHING = "x-assay-nothing"


def _spell_false(document: Schema) -> Schema:
    spelled: Schema = copy_json(document)
    for _, schema in places("", spelled):
        for inner in subschemas(schema) if isinstance(schema, dict) else ():
            if inner.schema is False and not str(inner.tokens[0]).startswith(("additional", "unevaluated")):
                *outer, last = inner.tokens
                holder: Any = schema
                for token in outer:
                    holder = holder[token]
                holder[last] = {_NOTHING: True}
    return spelled


def _nothing(_validator: Validator, _wanted: Any, _instance: Any, _schema: Schema) -> _Errors:
    yield ValidationError(_NOTHING)


def _is_finite(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


# NaN and the infinities are of no type, for they are not JSON; a tuple is what a list becomes in a frozen value.
_TYPES = (
    Draft202012Validator.TYPE_CHECKER.redefine("array", lambda _, value: isinstance(value, list | tuple))
    .redefine(
        "number",
        lambda _, value: isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value),
    )
    .redefine(
        "integer",
        lambda _, value: (
            (isinstance(value, int) and not isinstance(value, bool))
            or (isinstance(value, float) and value.is_integer())
        ),
    )
)

_Validator: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    validators={
        **{keyword: _by_verdict(keyword) for keyword in ("pattern", "format", "multipleOf", "uniqueItems")},
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "required": _required_properties,
        _NOTHING: _nothing,
    },
    type_checker=_TYPES,
)
