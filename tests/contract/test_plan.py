"""The tracking plan: what it takes, what it refuses and how it judges."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.contract.plan import BadVersion, Outcome, Plan, PlanError, SchemaVer, Verdict
from assay.contract.plan_event import PLAN_EVENT_SCHEMA, plan_event_schema_text
from assay.contract.strict_json import DOCUMENT_BYTES_MAX
from assay.contract.times import parse_instant
from assay.plans import load_plan

ROOT = Path(__file__).parents[2]


def block(**fields: Any) -> dict[str, Any]:
    """An x-assay block; None leaves a field out."""
    whole = {"type": "track", "event": "Task Assigned", "version": "1-0-0", "purposes": ["analytics"], **fields}
    return {name: value for name, value in whole.items() if value is not None}


def event(schema: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """An event's document."""
    return {"x-assay": block(**fields), **(schema or {"type": "object"})}


def files(**documents: Any) -> dict[str, bytes]:
    """The files of a plan: one event, unless others are given; str is taken as it stands."""
    whole = {"plan.json": {"name": "p"}, "events/task/1-0-0.json": event(), **documents}
    return {
        file: document.encode() if isinstance(document, str) else json.dumps(document).encode()
        for file, document in whole.items()
        if document is not None
    }


def problems(**documents: Any) -> list[tuple[str, str, str]]:
    """What is wrong with a plan, as (file, pointer, message)."""
    with pytest.raises(PlanError) as caught:
        Plan.from_documents(files(**documents))
    return [(problem.file, problem.pointer, problem.message) for problem in caught.value.problems]


# -- versions ----------------------------------------------------------------------------------------------------------


def test_versions_are_ordered_by_number():
    """1-0-10 comes after 1-0-9."""
    texts = ["2-0-0", "1-0-10", "1-1-0", "1-0-9"]

    assert ["1-0-9", "1-0-10", "1-1-0", "2-0-0"] == [str(version) for version in sorted(map(SchemaVer.parse, texts))]


@pytest.mark.parametrize(
    "text", ["", "1", "1-0", "0-0-0", "1.0.0", "1-0-0-0", "01-0-0", "1-0-00", "1-0-0\n", "١-0-0", "-1-0-0"]
)
def test_what_is_no_version_is_refused(text: str):
    """A version has three plain numbers, the first at least 1."""
    with pytest.raises(BadVersion, match="MODEL-REVISION-ADDITION"):
        SchemaVer.parse(text)


@given(st.integers(1, 999_999), st.integers(0, 999_999), st.integers(0, 999_999))
def test_a_version_reads_what_it_writes(model: int, revision: int, addition: int):
    """parse(str(version)) is the version."""
    assert SchemaVer(model, revision, addition) == SchemaVer.parse(str(SchemaVer(model, revision, addition)))


# -- a plan that loads -------------------------------------------------------------------------------------------------


def test_a_schema_carries_what_its_block_says():
    """Owner, purposes, deprecation and the rest are fields of the schema."""
    plan = Plan.from_documents(
        files(
            **{
                "events/task/1-0-0.json": event(
                    owner="growth", description="Given.", purposes=["pql_scoring"], deprecated_at="2026-03-01"
                )
            }
        )
    )

    (schema,) = plan.schemas["track", "Task Assigned"]

    assert ("growth", "Given.", {"pql_scoring"}) == (schema.owner, schema.description, schema.purposes)
    assert parse_instant("2026-03-01T00:00:00Z") == schema.deprecated_at
    assert (SchemaVer(1, 0, 0), "events/task/1-0-0.json") == (schema.version, schema.file)
    assert event()["type"] == schema.document["type"]


def versioned() -> Plan:
    """A plan with three versions of an event, in odd order, and the other types."""
    amount = {"type": "object", "required": ["amount"]}
    return Plan.from_documents(
        files(
            **{
                "events/task/2-0-0.json": event({"required": ["task"]}, version="2-0-0"),
                "events/task/1-0-10.json": event(amount, version="1-0-10"),
                "events/identify/1-0-0.json": event(type="identify", event=None),
                "events/page/1-0-0.json": event(type="page", event=None),
                "events/pricing/1-0-0.json": event(amount, type="page", event="Pricing"),
            }
        )
    )


def test_versions_ascend():
    """The last version is the newest."""
    versions = versioned().schemas["track", "Task Assigned"]

    assert ["1-0-0", "1-0-10", "2-0-0"] == [str(schema.version) for schema in versions]


@pytest.mark.parametrize(
    ("type_", "name", "properties", "version", "outcome", "judged_by"),
    [
        ("track", "Task Assigned", {"task": 1}, None, Outcome.VALID, "2-0-0"),
        ("track", "Task Assigned", {}, None, Outcome.INVALID, "2-0-0"),
        ("track", "Task Assigned", {}, "1-0-0", Outcome.VALID, "1-0-0"),
        ("track", "Task Assigned", {}, "1-0-10", Outcome.INVALID, "1-0-10"),
        ("track", "Task Assigned", {}, "9-0-0", Outcome.UNKNOWN_VERSION, "2-0-0"),
        ("track", "Task Assigned", {}, "rubbish", Outcome.UNKNOWN_VERSION, "2-0-0"),
        ("track", "task assigned", {}, None, Outcome.UNPLANNED, None),
        ("track", None, {}, None, Outcome.UNPLANNED, None),
        ("identify", None, {}, None, Outcome.VALID, "1-0-0"),
        ("identify", "whatever", {}, None, Outcome.VALID, "1-0-0"),
        ("group", None, {}, None, Outcome.UNPLANNED, None),
        ("page", None, {}, None, Outcome.VALID, "1-0-0"),
        ("page", "Home", {}, None, Outcome.VALID, "1-0-0"),
        ("page", "Home", {}, "2-0-0", Outcome.UNKNOWN_VERSION, "1-0-0"),
        ("page", "Pricing", {}, None, Outcome.INVALID, "1-0-0"),
        ("screen", "Pricing", {}, None, Outcome.UNPLANNED, None),
        ("alias", None, {}, None, Outcome.VALID, None),
        ("nonsense", None, {}, None, Outcome.UNPLANNED, None),
    ],
)
def test_an_event_is_judged_by_its_name_and_version(
    type_: str, name: str | None, properties: object, version: str | None, outcome: Outcome, judged_by: str | None
):
    """The newest version counts unless the event names one; a page without a schema of its own is any page."""
    plan = versioned()

    verdict = plan.verdict(type_, name, properties, version)

    assert outcome is verdict.outcome
    assert judged_by == (str(verdict.schema.version) if verdict.schema else None)
    assert (outcome is not Outcome.VALID) == bool(plan.explain(type_, name, properties, version))
    assert (outcome is Outcome.VALID) is verdict.is_valid


def test_verdicts_are_made_once():
    """The hot path hands out the same verdict again and again."""
    plan = versioned()

    assert plan.verdict("track", "Task Assigned", {}) is plan.verdict("track", "Task Assigned", {"a": 1})
    with pytest.raises(AttributeError):
        plan.verdict("track", "Task Assigned", {}).outcome = Outcome.VALID  # type: ignore[misc]


def test_a_misspelt_event_is_told_the_name_it_meant():
    """An unplanned event is explained by the nearest planned one."""
    (violation,) = versioned().explain("track", "Task Asigned\x1b[31m", {})

    assert ("", "unplanned", "Task Assigned") == (violation.pointer, violation.rule, violation.expected)
    assert 'track "Task Asigned\\x1b[31m" is not in the plan; did you mean "Task Assigned"?' == violation.message


def test_an_unknown_version_is_told_the_known_ones():
    """The known versions are what is expected."""
    (violation,) = versioned().explain("track", "Task Assigned", {}, "1-0-1")

    assert ("version", "1-0-0, 1-0-10, 2-0-0") == (violation.rule, violation.expected)


def test_personal_data_is_found_through_references():
    """pii_of writes JSON pointers, with a star for any property or item."""
    person = {"properties": {"mail": {"x-pii": "email"}, "friends": {"items": {"x-pii": "name"}}}}
    schema = {"properties": {"a/b": {"anyOf": [{"type": "null"}, {"$ref": "types/person.json"}]}, "ok": True}}
    plan = Plan.from_documents(files(**{"events/task/1-0-0.json": event(schema), "types/person.json": person}))

    assert {"/a~1b/mail": "email", "/a~1b/friends/*": "name"} == plan.pii_of("track", "Task Assigned")
    assert {} == plan.pii_of("track", "Other")


def test_a_reference_in_a_type_is_from_the_plans_root():
    """A shared type refers to others as an event does, and to its own parts."""
    types = {
        "types/money.json": {
            "properties": {"currency": {"$ref": "types/currency.json#/$defs/code"}, "n": {"$ref": "#n"}},
            "$defs": {"n": {"$anchor": "n", "type": "integer"}},
        },
        "types/currency.json": {"$defs": {"code": {"enum": ["EUR"]}}},
    }
    schema = {"properties": {"price": {"$ref": "types/money.json"}}}
    plan = Plan.from_documents(files(**{"events/task/1-0-0.json": event(schema), **types}))

    assert plan.verdict("track", "Task Assigned", {"price": {"currency": "EUR", "n": 1}}).is_valid
    (currency, number) = plan.explain("track", "Task Assigned", {"price": {"currency": "X", "n": "x"}})
    assert ("/price/currency", "/price/n") == (currency.pointer, number.pointer)


def test_a_reference_is_not_followed_where_it_is_only_a_value():
    """In enum, const, default and examples, $ref is plain data."""
    schema = {"properties": {"p": {"const": {"$ref": "types/none.json"}, "default": {"$ref": "http://x/"}}}}
    plan = Plan.from_documents(files(**{"events/task/1-0-0.json": event(schema)}))

    assert plan.verdict("track", "Task Assigned", {"p": {"$ref": "types/none.json"}}).is_valid


def test_the_revision_is_that_of_the_content():
    """Order and layout do not count; every value does, and the canonical documents build the same plan."""
    compact = files()
    spread = {
        file: json.dumps(dict(reversed(json.loads(data).items())), indent=4).encode() for file, data in compact.items()
    }
    other = files(**{"events/task/1-0-0.json": event({"type": ["object"]})})

    plan = Plan.from_documents(compact)

    assert 16 == len(plan.revision)
    assert plan.revision == Plan.from_documents(dict(reversed(spread.items()))).revision
    assert plan.revision == Plan.from_documents(plan.documents).revision
    assert plan.revision != Plan.from_documents(other).revision


def test_a_root_id_and_dialect_are_allowed():
    """Documents as other tools write them load; what they mean does not depend on their $id."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.com/task.json"}
    schema |= {"properties": {"p": {"$ref": "types/t.json"}, "q": {"$ref": "#/properties/p"}}}
    shared = {"$schema": schema["$schema"], "$id": "iglu:x", "type": "object", "properties": {"a": False}}
    plan = Plan.from_documents(files(**{"events/task/1-0-0.json": event(schema), "types/t.json": shared}))

    assert ["/p/a", "/q"] == [
        violation.pointer for violation in plan.explain("track", "Task Assigned", {"p": {"a": 1}, "q": 1})
    ]


# -- a plan that does not ----------------------------------------------------------------------------------------------


def deep(depth: int) -> str:
    """A document nested this deep."""
    return '{"x": ' + "[" * depth + "]" * depth + "}"


AT = "events/task/1-0-0.json"
REPEATED = json.dumps(event({"default": 0})).replace("0}", '{"b": 1, "b": 2}}')


@pytest.mark.parametrize(
    ("document", "pointer", "message"),
    [
        ("{", "", "is not JSON: Expecting property name enclosed in double quotes at line 1, column 2"),
        ("", "", "is not JSON: Expecting value at line 1, column 1"),
        ("[]", "", "must be a JSON object, not an array of 0 items"),
        ('{"minimum": NaN}', "", "is not JSON: NaN is no JSON number"),
        ('{"minimum": 1e999}', "", "is not JSON: a number too large for 64 bits"),
        ('{"minimum": 1' + "0" * 5000 + "}", "", "is not JSON: a number with too many digits"),
        ('{"title": "\\ud800"}', "", "holds half of a surrogate pair, which UTF-8 cannot carry"),
        (deep(100), "", "is nested more than 64 levels deep"),
        (deep(100_000), "", "is nested more than 64 levels deep"),
        (" " * (DOCUMENT_BYTES_MAX + 1), "", "is larger than 262,144 bytes"),
        (
            json.dumps(event({"default": 0})).replace("0}", '{"b": 1, "b": 2}}'),
            "/default/b",
            "the name appears more than once",
        ),
        ({"type": "object"}, "", "lacks the block x-assay, which names the type, the event and the version"),
        (event(type=None), "/x-assay", 'lacks the required property "type"'),
        (
            event(type="alias"),
            "/x-assay/type",
            'must be one of "track", "page", "screen", "identify", "group", not "alias"',
        ),
        (event(event=None), "/x-assay", 'lacks the required property "event"'),
        (event(type="group"), "/x-assay/event", "must not be there"),
        (
            event(version="1-0-1"),
            "/x-assay/version",
            'is "1-0-1", but the file\'s name says "1-0-0"; make them the same',
        ),
        (event(version="1.0.0"), "/x-assay/version", "must match the pattern"),
        (
            event(purposes=["sales"]),
            "/x-assay/purposes/0",
            'must be one of "analytics", "pql_scoring", "sales_contact"',
        ),
        (event(purposes=None), "/x-assay", 'lacks the required property "purposes"'),
        (event(purposes=[]), "/x-assay/purposes", "must have at least 1 items"),
        (event(deprecated_at="soon"), "/x-assay/deprecated_at", "must be an ISO 8601 date or instant such as"),
        (event(deprecated_at="1700000000"), "/x-assay/deprecated_at", "must be an ISO 8601 date or instant such as"),
        (event(deprecated_at=5), "/x-assay/deprecated_at", "must be string or null, not 5"),
        (event(colour="red"), "/x-assay/colour", "is not in the plan"),
        ({"x-assay": 5}, "/x-assay", "must be object, not 5"),
        (event({"type": "strin"}), "/type", "fits none of the alternatives"),
        (event({"properties": {"a/b": {"minLength": -1}}}), "/properties/a~1b/minLength", "must be at least 0, not -1"),
        (event({"required": "a"}), "/required", 'must be array, not "a"'),
        (event({"required": ["a", "a"]}), "/required", "must not hold the same item twice"),
        (event({"properties": {"p": {"x-pii": "mail"}}}), "/properties/p/x-pii", "must be one of email, name, phone"),
        (
            event({"properties": {"p": {"x-pii": ["email"]}}}),
            "/properties/p/x-pii",
            "must be one of email, name, phone",
        ),
        (event({"pattern": "("}), "/pattern", '"(" is no pattern that runs in linear time'),
        (event({"pattern": "(?=a)"}), "/pattern", "no look-around"),
        (event({"pattern": "(a{999}){999}"}), "/pattern", "is no pattern"),
        (event({"patternProperties": {r"(a)\1": True}}), r"/patternProperties/(a)\1", "no back-references"),
        (
            event({"$schema": "http://json-schema.org/draft-07/schema#"}),
            "/$schema",
            "must be https://json-schema.org/draft/2020-12/schema",
        ),
        (event({"$defs": {"x": {"$id": "https://x/"}}}), "/$defs/x/$id", "may stand only at the root of a document"),
        (event({"items": {"$dynamicRef": "#x"}}), "/items/$dynamicRef", "is not supported in a plan"),
        (
            event({"patternProperties": {"a": True}, "allOf": [{"unevaluatedProperties": False}]}),
            "/allOf/0/unevaluatedProperties",
            "cannot stand in one document with patternProperties",
        ),
        (
            event({"items": {"$ref": "types/none.json"}}),
            "/items/$ref",
            "leads nowhere: the plan has no file types/none.json",
        ),
        (event({"$ref": "#/$defs/none"}), "/$ref", "leads nowhere: the plan has no schema there"),
        (event({"$ref": "#none"}), "/$ref", "leads nowhere"),
        (event({"$ref": "#/x-assay"}), "/$ref", "leads nowhere"),
        (event({"$ref": "https://example.com/x.json"}), "/$ref", "leads out of the plan"),
        (event({"$ref": "file:///etc/passwd"}), "/$ref", "leads out of the plan"),
        (event({"$ref": "types/../../x.json"}), "/$ref", "leads out of the plan"),
        (event({"$ref": "../../types/x.json"}), "/$ref", "leads out of the plan"),
        (event({"$ref": "https://json-schema.org/draft/2020-12/schema"}), "/$ref", "leads out of the plan"),
        (event({"$ref": "#"}), "", "refers to itself; a plan's schemas must end somewhere"),
        (event({"properties": {"p": {"$ref": "#"}}}), "", "refers to itself"),
    ],
)
def test_a_bad_event_is_named_by_file_and_pointer(document: Any, pointer: str, message: str):
    """Every kind of slip has its place and its words."""
    found = problems(**{AT: document})

    assert [(AT, pointer)] == [(file, at) for file, at, _ in found]
    assert message in found[0][2]


@pytest.mark.parametrize(
    ("documents", "file", "pointer", "message"),
    [
        ({"plan.json": None}, "plan.json", "", "is missing; it names the plan"),
        ({"plan.json": {"name": ""}}, "plan.json", "/name", "must have at least 1 characters"),
        ({"events/other/1-0-0.json": event()}, AT, "/x-assay", "the same event and version as events/other/1-0-0.json"),
        ({"events/1-0-0.json": event()}, "events/1-0-0.json", "", "has no place in a plan"),
        ({"events/a/b/1-0-0.json": event()}, "events/a/b/1-0-0.json", "", "has no place in a plan"),
        ({"types/a/b.json": {}}, "types/a/b.json", "", "has no place in a plan"),
        ({"../plan.json": {}}, "../plan.json", "", "has no place in a plan"),
        ({"types/a.json": {"x-assay": {}}}, "types/a.json", "/x-assay", "belongs to events"),
        ({"types/a.json": {"type": 5}}, "types/a.json", "/type", "fits none of the alternatives"),
        ({"types/a.json": {"allOf": [{"$ref": "types/a.json"}]}}, "types/a.json", "", "refers to itself"),
    ],
)
def test_a_bad_plan_is_named_by_file_and_pointer(documents: dict[str, Any], file: str, pointer: str, message: str):
    """What is wrong outside of one event has its place too."""
    found = problems(**documents)

    assert [(file, pointer)] == [(file, at) for file, at, _ in found]
    assert message in found[0][2]


def test_all_problems_are_collected():
    """A plan with many slips is mended in one go."""
    found = problems(
        **{
            "plan.json": "{",
            "events/a/1-0-0.json": event({"pattern": "("}, event="A", purposes=["x"]),
            "events/b/1-0-0.json": event({"$ref": "types/none.json"}, event="B"),
            "types/t.json": {"properties": {"p": {"x-pii": "?"}, "q": {"type": 1}}},
        }
    )

    assert [
        ("events/a/1-0-0.json", "/pattern"),
        ("events/a/1-0-0.json", "/x-assay/purposes/0"),
        ("events/b/1-0-0.json", "/$ref"),
        ("plan.json", ""),
        ("types/t.json", "/properties/p/x-pii"),
        ("types/t.json", "/properties/q/type"),
    ] == [(file, at) for file, at, _ in found]


def test_the_error_names_each_problem_on_a_line_of_its_own():
    """The message can be shown as it is, whatever the files hold."""
    with pytest.raises(PlanError) as caught:
        Plan.from_documents(files(**{"events/\x1b[31m/1-0-0.json": "{", "plan.json": None}))

    assert [
        "the tracking plan has 2 problems:",
        "  events/\\x1b[31m/1-0-0.json: is not JSON: Expecting property name enclosed in double quotes "
        "at line 1, column 2",
        '  plan.json: is missing; it names the plan: {"name": "..."}',
    ] == str(caught.value).split("\n")


def test_references_cannot_be_made_to_explode():
    """Thirty types that each refer twice to the next would be a billion schemas; they are refused at once."""
    types = {f"types/t{n}.json": {"allOf": [{"$ref": f"types/t{n + 1}.json"}] * 2} for n in range(30)}

    found = problems(**types, **{"types/t30.json": {}, AT: event({"$ref": "types/t0.json"})})

    assert (AT, "") in [(file, at) for file, at, _ in found]
    assert all("is more than 20,000 schemas" in message for _, _, message in found)


def test_a_chain_of_references_has_an_end():
    """A thousand types that each refer to the next are too deep for any validator."""
    types = {f"types/t{n}.json": {"$ref": f"types/t{n + 1}.json"} for n in range(1000)}

    found = problems(**types, **{"types/t1000.json": {}, AT: event({"$ref": "types/t0.json"})})

    assert all("more than 128 schemas deep" in message for _, _, message in found)


def test_the_longest_chain_allowed_still_works():
    """At the bound both validators still answer."""
    types = {f"types/t{n}.json": {"allOf": [{"$ref": f"types/t{n + 1}.json"}]} for n in range(60)}
    plan = Plan.from_documents(
        files(**types, **{"types/t60.json": {"minProperties": 1}, AT: event({"$ref": "types/t0.json"})})
    )

    assert ["minProperties"] == [violation.rule for violation in plan.explain("track", "Task Assigned", {})]


def test_a_hostile_document_is_refused_quickly():
    """As many odd items as fit into a document cost no quadratic time."""
    items = ",".join(f'{{"{n:x}":1}}' for n in range(20_000))

    assert problems(**{AT: '{"x-assay": {}, "required": [' + items + "]}"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["#", "types/t.json", "object"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["$ref", "type", "properties", "items", "allOf", "x-pii", "x-assay", "$defs", "required", "$id"]
            )
            | st.text(max_size=2),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, JSON)
def test_any_json_is_a_plan_or_named_problems(document: Any, shared: Any):
    """No document makes the checks fail in another way than by a PlanError."""
    mixed = {**document, "x-assay": block()} if isinstance(document, dict) else document
    try:
        plan = Plan.from_documents(files(**{AT: mixed, "types/t.json": shared, "events/x/1-0-0.json": document}))
    except PlanError:
        return
    assert isinstance(plan.verdict("track", "Task Assigned", {"a": 1}), Verdict)


@given(st.binary(max_size=50))
def test_any_bytes_are_a_plan_or_named_problems(data: bytes):
    """Nor do bytes."""
    with pytest.raises(PlanError):
        Plan.from_documents({**files(), AT: data})


# -- folders -----------------------------------------------------------------------------------------------------------


def write(folder: Path, documents: Mapping[str, bytes]) -> Path:
    """Write files into a folder."""
    for file, data in documents.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(data)
    return folder


def test_a_folder_is_read_as_its_documents(tmp_path: Path):
    """Only the plan's own files count; a README beside them does no harm."""
    write(tmp_path, {**files(), "README.md": b"#", "other/x.json": b"{", "events/task/notes.txt": b"x"})

    assert Plan.from_documents(files()).revision == load_plan(tmp_path).revision


def test_a_misplaced_document_in_a_folder_is_named(tmp_path: Path):
    """A document at the wrong depth would be left out silently; it is a problem instead."""
    write(tmp_path, {**files(), "events/1-0-0.json": files()[AT]})

    with pytest.raises(PlanError, match=r"events/1-0-0.json: has no place in a plan"):
        load_plan(tmp_path)


@pytest.mark.parametrize(("make", "message"), [(False, "does not exist"), (True, "is no folder")])
def test_a_folder_that_is_none_is_one_problem(tmp_path: Path, make: bool, message: str):
    """The error names the folder."""
    if make:
        (tmp_path / "plan").write_text("")

    with pytest.raises(PlanError, match=message):
        load_plan(tmp_path / "plan")


def test_an_empty_folder_is_no_plan(tmp_path: Path):
    """It lacks plan.json."""
    with pytest.raises(PlanError, match=r"plan.json: is missing"):
        load_plan(tmp_path)


# -- the schema for editors --------------------------------------------------------------------------------------------


def test_the_schema_for_editors_is_the_one_that_is_used():
    """schemas/plan-event.schema.json is written from the contract."""
    assert plan_event_schema_text() == (ROOT / "schemas" / "plan-event.schema.json").read_text()


@pytest.mark.parametrize(
    ("document", "valid"),
    [
        (event({"properties": {"p": {"type": "string", "x-pii": "email"}}}), True),
        (event({"properties": {"p": {"type": "strin"}}}), False),
        (event({"properties": {"p": {"items": {"x-pii": "mail"}}}}), False),
        (event(purposes=["x"]), False),
        ({"type": "object"}, False),
    ],
)
def test_the_schema_for_editors_finds_the_same_slips(document: Any, valid: bool):
    """It holds for nested schemas too, and any validator can use it."""
    from jsonschema import Draft202012Validator

    assert valid is Draft202012Validator(PLAN_EVENT_SCHEMA).is_valid(document)
