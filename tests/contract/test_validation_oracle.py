"""The two validators agree, and an explanation never shows what the plan calls personal."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from assay.contract.plan import Outcome, Plan

NAMES = st.sampled_from(["a", "b", "c", "é/~"])
NUMBERS = st.integers(-3, 3) | st.sampled_from([0.5, 1.0, -0.0, 2**70, 1e300])
SCALARS = st.none() | st.booleans() | NUMBERS | st.sampled_from(["", "a", "ab", "abc", "\u0000", "💡"])
INSTANCES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
OBJECTS = st.dictionaries(NAMES, INSTANCES, max_size=4)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])

LEAVES = st.one_of(
    st.booleans(),
    st.fixed_dictionaries({"type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True)}),
    st.fixed_dictionaries({"enum": st.lists(INSTANCES, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"const": INSTANCES}),
    st.fixed_dictionaries(
        {},
        optional={
            "minimum": NUMBERS,
            "exclusiveMaximum": NUMBERS,
            "minLength": st.integers(0, 3),
            "maxLength": st.integers(0, 3),
            "minItems": st.integers(0, 3),
            "maxProperties": st.integers(0, 3),
            "required": st.lists(NAMES, max_size=2, unique=True),
            "uniqueItems": st.booleans(),
            "multipleOf": st.sampled_from([1, 2, 0.5]),
        },
    ),
    st.just({"$ref": "types/shared.json"}),
    st.just({"$ref": "types/shared.json#/$defs/inner"}),
)


def combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas made of schemas."""
    some = st.lists(inner, min_size=1, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES,
            "properties": st.dictionaries(NAMES, inner, max_size=3),
            "additionalProperties": inner,
            "propertyNames": inner,
            "items": inner,
            "prefixItems": some,
            "contains": inner,
            "allOf": some,
            "anyOf": some,
            "oneOf": some,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "dependentSchemas": st.dictionaries(NAMES, inner, max_size=2),
            "dependentRequired": st.dictionaries(NAMES, st.lists(NAMES, max_size=2, unique=True), max_size=2),
            "unevaluatedProperties": inner,
        },
    )


SCHEMAS = st.recursive(LEAVES, combined, max_leaves=6)
SHARED = {"type": ["string", "number", "object"], "maxLength": 2, "$defs": {"inner": {"type": ["array", "null"]}}}


def plan_of(schema: dict[str, Any], shared: dict[str, Any] = SHARED) -> Plan:
    """A plan with one event of this schema."""
    block = {"type": "track", "event": "E", "version": "1-0-0", "purposes": ["analytics"]}
    documents = {"plan.json": {"name": "p"}, "events/e/1-0-0.json": {**schema, "x-assay": block}}
    documents["types/shared.json"] = shared
    return Plan.from_documents({file: json.dumps(document).encode() for file, document in documents.items()})


def inlined(schema: Any) -> Any:
    """The schema with the shared type in place, for an oracle that knows nothing of plans."""
    if isinstance(schema, list):
        return [inlined(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    known = {"types/shared.json": SHARED, "types/shared.json#/$defs/inner": {"type": ["array", "null"]}}
    if set(schema) == {"$ref"}:
        return known[schema["$ref"]]
    return {keyword: inlined(value) for keyword, value in schema.items()}


@settings(max_examples=settings.default.max_examples * 2, deadline=None)
@given(SCHEMAS.filter(lambda schema: isinstance(schema, dict)), OBJECTS)
def test_the_verdict_is_that_of_jsonschema(schema: dict[str, Any], properties: dict[str, Any]):
    """Unmodified jsonschema is the oracle; there is an explanation exactly if the event is invalid."""
    plan = plan_of(schema)

    outcome = plan.verdict("track", "E", properties).outcome
    violations = plan.explain("track", "E", properties)

    expected = Draft202012Validator(inlined(schema)).is_valid(properties)
    assert (Outcome.VALID if expected else Outcome.INVALID) is outcome
    assert (outcome is Outcome.INVALID) == bool(violations)
    assert all(violation.rule != "schema" and violation.message for violation in violations)


SECRETS = st.sampled_from(["s3cr3t-ann", "s3cr3t-bob"])
SECRET_INSTANCES = st.recursive(
    SECRETS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES | SECRETS, inner, max_size=2),
    max_leaves=5,
)


def marked(schema: Any) -> Any:
    """The schema as a property would hold it, marked as personal data."""
    return {**schema, "x-pii": "other"} if isinstance(schema, dict) else {"allOf": [schema], "x-pii": "other"}


@settings(max_examples=settings.default.max_examples * 3 // 2, deadline=None)
@given(SCHEMAS, SECRET_INSTANCES, st.sampled_from(["beside", "ref", "branch", "not", "inside"]))
def test_no_explanation_shows_a_marked_value(schema: Any, secret: Any, way: str):
    """Wherever the mark stands, neither the value nor a name inside of it is repeated."""
    property_schema = {
        "beside": marked(schema),
        "ref": {"$ref": "types/shared.json"},
        "branch": {"anyOf": [{"type": "null"}, marked(schema)], "maxLength": 1},
        "not": {"allOf": [schema], "not": {"x-pii": "other", "type": "object"}, "maxProperties": 0},
        "inside": {"additionalProperties": marked(schema), "items": marked(schema), "type": ["array", "object"]},
    }[way]
    shared = {**marked(json.loads(json.dumps(inlined(schema)))), "$defs": {"inner": True}}
    plan = plan_of({"properties": {"p": property_schema, "q": {"type": "null"}}}, shared)

    shown = json.dumps([violation.to_json() for violation in plan.explain("track", "E", {"p": secret, "q": 1})])

    assert "s3cr3t" not in shown
