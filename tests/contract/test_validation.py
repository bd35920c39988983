"""What an explanation says, and what no instance can do to the validators."""

import json
import math
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from assay.contract.plan import Outcome, Plan
from assay.contract.violations import VIOLATIONS_MAX, Violation

ANN = "ann@example.com"


def plan_of(schema: dict[str, Any], **types: dict[str, Any]) -> Plan:
    """A plan with one event of this schema, and shared types."""
    block = {"type": "track", "event": "E", "version": "1-0-0", "purposes": ["analytics"]}
    documents = {"plan.json": {"name": "p"}, "events/e/1-0-0.json": {**schema, "x-assay": block}}
    documents |= {f"types/{name}.json": document for name, document in types.items()}
    return Plan.from_documents({file: json.dumps(document).encode() for file, document in documents.items()})


def explain(schema: dict[str, Any], properties: object, **types: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The explanation as (pointer, rule, message)."""
    violations = plan_of(schema, **types).explain("track", "E", properties)
    return [(violation.pointer, violation.rule, violation.message) for violation in violations]


def of(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object whose property p has this schema."""
    return {"properties": {"p": schema}}


@pytest.mark.parametrize(
    ("schema", "value", "rule", "expected", "message"),
    [
        ({"type": "string"}, 5, "type", "string", "must be string, not 5"),
        ({"type": ["string", "null"]}, True, "type", "string or null", "must be string or null, not true"),
        ({"type": "integer"}, 1.5, "type", "integer", "must be integer, not 1.5"),
        ({"type": "object"}, [1], "type", "object", "must be object, not an array of 1 item"),
        ({"type": "array"}, {"a": 1, "b": 2}, "type", "array", "must be array, not an object of 2 properties"),
        ({"enum": ["a", 1]}, "b", "enum", '"a", 1', 'must be one of "a", 1, not "b"'),
        ({"const": "a"}, None, "const", '"a"', 'must be "a", not null'),
        ({"minimum": 3}, 2, "minimum", ">= 3", "must be at least 3, not 2"),
        ({"exclusiveMaximum": 3}, 3, "exclusiveMaximum", "< 3", "must be less than 3, not 3"),
        ({"multipleOf": 0.01}, 0.001, "multipleOf", "multiple of 0.01", "must be a multiple of 0.01, not 0.001"),
        ({"maxLength": 1}, "ab", "maxLength", "<= 1 characters", "must have at most 1 characters"),
        ({"minItems": 1}, [], "minItems", ">= 1 items", "must have at least 1 items"),
        ({"pattern": "^a"}, "b", "pattern", '"^a"', 'must match the pattern "^a", not "b"'),
        ({"format": "email"}, "b", "format", "email", 'must be a valid email, not "b"'),
        ({"uniqueItems": True}, [1, 1], "uniqueItems", "unique items", "must not hold the same item twice"),
        ({"not": {"const": 1}}, 1, "not", "anything else", "is what the plan rules out"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isalpha() else None,
)
def test_each_rule_has_words(schema: dict[str, Any], value: object, rule: str, expected: str, message: str):
    """An explanation says what is expected and what came instead."""
    found = plan_of(of(schema)).explain("track", "E", {"p": value})

    assert (Violation("/p", rule, expected, message),) == found


def test_a_missing_property_is_named_at_the_object():
    """Each missing property is a violation of its own."""
    found = explain({"required": ["a", "b"]}, {})

    assert [
        ("", "required", 'lacks the required property "a"'),
        ("", "required", 'lacks the required property "b"'),
    ] == found


def test_an_unplanned_property_is_named_but_its_value_is_not_shown():
    """What the plan does not know may be anything, personal data too."""
    found = explain({"additionalProperties": False}, {"colour": "secret"})

    assert [("/colour", "additionalProperties", "is not in the plan")] == found


def test_a_property_that_must_not_be_there_is_pointed_at():
    """jsonschema loses the path at a schema `false`; we do not."""
    assert [("/p", "false", "must not be there")] == explain(of(False), {"p": 1})  # type: ignore[arg-type]


def test_pointers_lead_through_arrays_references_and_odd_names():
    """A pointer is an RFC 6901 pointer into the properties."""
    money = {"properties": {"a/~": {"type": "number"}}}

    found = explain(
        {"properties": {"items": {"items": {"$ref": "types/money.json"}}}}, {"items": [{}, {"a/~": "x"}]}, money=money
    )

    assert [("/items/1/a~1~0", "type", 'must be number, not "x"')] == found


def test_alternatives_name_the_nearest():
    """Of several alternatives, the one of the right type with the least to mend is explained."""
    schema = of({"anyOf": [{"type": "null"}, {"type": "object", "properties": {"a": {"type": "integer"}}}]})

    ((pointer, rule, message),) = explain(schema, {"p": {"a": "x"}})

    assert ("/p", "anyOf") == (pointer, rule)
    assert 'fits none of the alternatives; in the nearest, /p/a must be integer, not "x"' == message


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "x-pii": "email"},
        {"$ref": "types/email.json", "type": "integer"},
        {"allOf": [{"type": "integer"}, {"x-pii": "email"}]},
        {"anyOf": [{"type": "integer"}, {"type": "null", "x-pii": "email"}]},
        {"oneOf": [{"type": "integer"}, {"$ref": "types/email.json#/$defs/deep"}]},
        {"type": "integer", "if": {"x-pii": "email", "const": 1}},
        {"$ref": "#/$defs/here", "type": "integer"},
        {"$ref": "#here", "type": "integer"},
        {"enum": [1], "not": {"x-pii": "email", "type": "integer"}},
        {"const": 1, "dependentSchemas": {"x": {"x-pii": "email"}}},
        {"maximum": 5, "pattern": "^x", "x-pii": "email"},
        {"format": "uuid", "propertyNames": {"x-pii": "email"}},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "value",
    ["ann@example.com", {"ann@example.com": "ann@example.com"}, ["ann@example.com"]],
    ids=["text", "object", "array"],
)
def test_a_marked_value_is_never_shown(schema: dict[str, Any], value: object):
    """A mark counts beside the rule, behind references, and in branches, whether or not they apply."""
    event = of(schema) | {"$defs": {"here": {"$anchor": "here", "x-pii": "email"}}}
    email = {"x-pii": "email", "$defs": {"deep": {"type": "boolean", "x-pii": "email"}}}

    found = plan_of(event, email=email).explain("track", "E", {"p": value, "ok": 1})

    assert "ann@" not in json.dumps([violation.to_json() for violation in found])


def test_a_mark_hides_what_contains_it_and_what_it_contains():
    """Neither the object around a marked value nor the values in a marked object are shown."""
    schema = {
        "properties": {
            "list": {"items": {"properties": {"mail": {"x-pii": "email"}}}, "const": []},
            "marked": {
                "x-pii": "other",
                "properties": {"age": {"type": "integer"}},
                "additionalProperties": {"type": "null"},
            },
            "plain": {"type": "integer"},
        }
    }
    properties = {"list": ["ann"], "marked": {"age": "ann", "ann": 1}, "plain": "shown"}

    found = explain(schema, properties)

    assert [
        ("/list", "const", "must be [], not an array of 1 item"),
        ("/marked/age", "type", "must be integer, not a string"),
        ("/marked/*", "type", "must be null, not a number"),
        ("/plain", "type", 'must be integer, not "shown"'),
    ] == found


def test_a_name_that_stands_for_a_marked_value_is_not_repeated():
    """Under a wildcard that is marked, the name itself may be the personal data."""
    schema = of({"additionalProperties": {"x-pii": "email", "type": "integer"}})

    assert [("/p/*", "type", "must be integer, not a string")] == explain(schema, {"p": {"ann@example.com": "x"}})


def test_shown_values_are_short_and_harmless():
    """Escape sequences, line breaks and direction marks become visible, and a long value is cut."""
    value = "\x1b[2J\r\n\u202e\x9b" + "x" * 100

    ((_, _, message),) = explain(of({"type": "integer"}), {"p": value})

    assert message.isprintable()
    assert 'must be integer, not "\\u001b[2J\\r\\n\\u202e\\x9b' + "x" * 31 + '…"' == message


def test_names_are_harmless_too():
    """A property's name cannot carry an escape sequence into a pointer."""
    ((pointer, _, _),) = explain({"additionalProperties": False}, {"\x1b[31m" + "n" * 100: 1})

    assert "/\\x1b[31m" + "n" * 31 + "…" == pointer


def test_a_long_list_of_violations_is_cut():
    """A thousand wrong items are no better explained than fifty."""
    assert VIOLATIONS_MAX == len(explain(of({"items": {"type": "null"}}), {"p": [1] * 1000}))


# -- values that are no JSON, or more than it should be ----------------------------------------------------------------


def nested(depth: int, *, as_object: bool = False) -> Any:
    """A value this deep."""
    value: Any = 1
    for _ in range(depth):
        value = {"a": value} if as_object else [value]
    return value


def cycle() -> list[Any]:
    """A list that contains itself."""
    itself: list[Any] = []
    itself.append(itself)
    return itself


UGLY = {
    "nan": math.nan,
    "infinity": -math.inf,
    "beyond 64 bits": 10**30,
    "beyond 4300 digits": 10**5000,
    "lone surrogate": "a\ud800",
    "surrogate name": {"\udfff": 1},
    "NUL": {"\x00": "\x00"},
    "bytes": b"x",
    "object": object(),
    "datetime": datetime(2026, 3, 1, tzinfo=UTC),
    "set": {1},
    "tuple": (1, "x"),
    "number as name": {1: 2},
    "deep list": nested(1000),
    "deeper list": nested(50_000),
    "deep object": nested(1000, as_object=True),
    "cycle": cycle(),
    "many": [[]] * 10_000,
}

SCHEMAS: list[dict[str, Any]] = [
    {"type": "string"},
    {"type": "number", "minimum": 0},
    {"type": "object", "additionalProperties": False},
    {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    {"enum": ["a", 1, None]},
    {"const": {"a": [1]}},
    {"pattern": "^a", "maxLength": 1, "maxItems": 0, "maxProperties": 0, "multipleOf": 7},
    {"not": {}},
    {"anyOf": [{"type": "null"}, {"properties": {"a": {"items": {"const": 1}}}, "required": ["b"]}]},
    {"propertyNames": {"maxLength": 0}, "unevaluatedProperties": False, "contains": {"const": 2}},
    {},
]


@pytest.mark.parametrize("value", UGLY.values(), ids=UGLY.keys())
@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_no_value_makes_the_validators_raise(schema: dict[str, Any], value: object):
    """Whatever comes has a fixed verdict, and an explanation exactly if it is invalid."""
    plan = plan_of(of(schema))

    outcome = plan.verdict("track", "E", {"p": value}).outcome
    violations = plan.explain("track", "E", {"p": value})

    assert outcome is plan.verdict("track", "E", {"p": value}).outcome
    assert (outcome is Outcome.INVALID) == bool(violations)
    assert all(violation.message.isprintable() and violation.pointer.isprintable() for violation in violations)
    assert all(violation.rule != "schema" for violation in violations)


@pytest.mark.parametrize("properties", [None, 1, "x", [], b"", math.nan, cycle()], ids=repr)
def test_properties_that_are_no_object_have_a_verdict(properties: object):
    """The plan is asked about anything."""
    plan = plan_of({"type": "object"})

    assert Outcome.INVALID is plan.verdict("track", "E", properties).outcome
    assert plan.explain("track", "E", properties)


def test_nan_is_of_no_type():
    """NaN and the infinities are no JSON numbers, and no null either."""
    assert [("/p", "type", "must be number, not nan")] == explain(of({"type": "number"}), {"p": math.nan})
    assert [("/p", "type", "must be number or null, not inf")] == explain(
        of({"type": ["number", "null"]}), {"p": math.inf}
    )


def test_what_json_cannot_carry_is_named_as_such():
    """Half a surrogate pair where a rule looks makes an event invalid; the rule's name is json."""
    assert [("/p", "json", "the text holds half of a surrogate pair, which UTF-8 cannot carry")] == explain(
        of({"pattern": "a"}), {"p": "a\ud800"}
    )
    assert [("/p", "json", "is a value that JSON does not have")] == explain(of({"pattern": "a"}), {"p": b"x"})


def test_an_explanation_survives_a_nearly_full_stack():
    """An event that arrives deep in an app's calls still gets an answer, not a RecursionError."""
    plan = plan_of(of({"anyOf": [{"allOf": [{"type": "string"}]}]}))
    plan.explain("track", "E", {"p": 1})

    def dig(room: int) -> bool:
        frame, depth = sys._getframe(), 0
        while frame := frame.f_back:  # type: ignore[assignment]
            depth += 1
        if depth < sys.getrecursionlimit() - room:
            return dig(room)
        return bool(plan.explain("track", "E", {"p": 1}))

    assert dig(60)


def test_a_pattern_made_to_run_forever_does_not():
    """Patterns run in linear time in the explanation too."""
    properties = {"p": "a" * 5_000 + "!", "a" * 5_000 + "!": 1}
    schema = of({"pattern": "^(a+)+$"}) | {
        "patternProperties": {"^(a+)+$": False},
        "additionalProperties": {"type": "null"},
    }

    assert ["pattern", "type"] == [rule for _, rule, _ in explain(schema, properties)]


def test_patterns_are_read_alike_by_verdict_and_explanation():
    r"""In a JSON Schema \d is an ASCII digit; Python's re would let others pass."""
    assert [("/p", "pattern", 'must match the pattern "^\\\\d$", not "٣"')] == explain(
        of({"pattern": r"^\d$"}), {"p": "٣"}
    )


def test_cents_are_multiples_of_a_cent():
    """19.99 is a multiple of 0.01, although no binary float says so."""
    assert Outcome.VALID is plan_of(of({"multipleOf": 0.01})).verdict("track", "E", {"p": 19.99}).outcome


def test_a_very_large_event_is_explained_by_the_faster_library():
    """Past a size the explanation is that of the verdict; it names the same place and rule."""
    values = [{"n": 1}] * 20_000 + [{"n": "x"}]

    assert [("/p/20000/n", "type", 'must be integer, not "x"')] == explain(
        of({"items": {"properties": {"n": {"type": "integer"}}}}), {"p": values}
    )
