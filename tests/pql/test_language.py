"""The definition language: what a text means, and what is said of one that means nothing."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from assay.contract.times import DAY, HOUR
from assay_collector.definitions_folder import load_catalogue, read_definitions_folder
from assay_collector.pql.compilation import compile_documents
from assay_collector.pql.definition import (
    All,
    Anchored,
    AnyOf,
    AtLeast,
    Criterion,
    Ever,
    Exclusion,
    Matcher,
    NamedTrait,
    Not,
    Signal,
    Trait,
    Use,
)
from assay_collector.pql.definition_schema import DEFINITION_SCHEMA
from assay_collector.pql.language import DefinitionProblems, read_definitions
from assay_collector.pql.lint import lint_definitions
from assay_collector.pql.project_schema import PROJECT_SCHEMA
from assay_collector.pql.schema_parts import schema_text
from assay_collector.pql.yaml_tree import CHARACTERS_MAX, read_yaml, walk
from pql.definitions import (
    HEADER,
    PLANBOARD,
    PROJECT,
    ROOT,
    WORKED,
    body_errors,
    errors,
    planboard,
    read,
    read_body,
    worked,
)

# --- the worked definitions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(WORKED.glob("[0-9]*.yaml")), ids=lambda path: path.stem)
def test_the_worked_definitions_have_the_shape_of_the_schema(path: Path):
    """All twelve, with every clause of the language."""
    (tree,) = read_yaml(path.read_text(encoding="utf-8"))
    assert [] == [error.message for error in Draft202012Validator(DEFINITION_SCHEMA).iter_errors(tree.value)]


@pytest.mark.parametrize("number", range(1, 13))
def test_the_worked_definitions_are_clean(number: int):
    """They are the specification; only their missing examples are warned of."""
    documents = {"a.yaml": worked(number), "project.yaml": PROJECT}
    assert set() == {problem.rule for problem in lint_definitions(documents, planboard())} - {"D204"}


def test_the_worked_definitions_go_together():
    """All twelve in one folder: none overlaps another, and no stage has too many."""
    documents = {f"{number}.yaml": worked(number) for number in range(1, 13)} | {"project.yaml": PROJECT}
    assert 12 == len(read_definitions(documents, planboard()).definitions)
    assert {"D204"} == {problem.rule for problem in lint_definitions(documents, planboard())}


def test_the_simulated_products_definitions_load():
    """Its folder is loaded whole, and every signal is tallied once."""
    catalogue = load_catalogue(PLANBOARD / "definitions", planboard())
    assert [
        "composite-onboarding",
        "production-call",
        "storage-upgrade",
        "team-invites",
        "team-messaging-depth",
        "trial-activation",
        "trial-high-intent",
        "workspace-activated",
    ] == [definition.id for definition in catalogue.definitions]
    assert len(catalogue.signals) == len({signal.id for signal in catalogue.signals})
    assert "planboard" == catalogue.project.name


def test_an_editor_has_something_to_say_of_every_key():
    """What it shows beside a key, and offers behind it: each has a title, and a description of its own."""

    def silent(node: Any, path: str) -> Iterator[str]:
        if isinstance(node, dict):
            keys = node.get("properties", {})
            for key, value in keys.items() if isinstance(keys, dict) else ():
                target = {**_target(value), **value} if isinstance(value, dict) else {"not": {}}
                if "not" not in target and not {"title", "description"} <= target.keys():
                    yield f"{path}/{key}"
            for key, value in node.items():
                if key != "dependentSchemas":  # these only forbid
                    yield from silent(value, f"{path}/{key}")
        elif isinstance(node, list):
            for value in node:
                yield from silent(value, path)

    assert ["/$defs/condition/score"] == list(silent(DEFINITION_SCHEMA, ""))


def _target(schema: Any) -> Any:
    """What a reference leads to; its alternatives are described where they stand."""
    return DEFINITION_SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


@pytest.mark.parametrize(("name", "schema"), [("definition", DEFINITION_SCHEMA), ("project", PROJECT_SCHEMA)])
def test_the_schemas_for_editors_are_the_ones_that_are_used(name: str, schema: dict[str, Any]):
    """The files are written from the code, and are valid schemas."""
    assert schema_text(schema) == (ROOT / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8")
    Draft202012Validator.check_schema(json.loads(schema_text(schema)))


# --- what a text means ------------------------------------------------------------------------------------------------

SIGNALS = "signals: {a: {count: A}, b: {count: B}}\n"
A = Use("a", Signal("account", "count", Matcher(("A",))), Ever())
B = Use("b", Signal("account", "count", Matcher(("B",))), Ever())


def shape(condition: Any) -> Any:
    """A condition in short: names for criteria."""
    match condition:
        case Criterion():
            return f"{condition.name} {condition.test}"
        case Not(of=inner):
            return ("not", shape(inner))
        case All(of=parts):
            return ("all", *map(shape, parts))
        case AnyOf(of=parts):
            return ("any", *map(shape, parts))
        case AtLeast(of=parts):
            return (condition.need, *map(shape, parts))


@pytest.mark.parametrize(
    ("qualify", "meaning"),
    [
        ("{a: 1}", "a 1"),
        ("{a: at least 1, b: at least 2}", ("all", "a at least 1", "b at least 2")),
        ("{all: [{a: 1}, {b: 2}]}", ("all", "a 1", "b 2")),
        ("{any: [{a: 1, b: 2}, {b: 3}]}", ("any", ("all", "a 1", "b 2"), "b 3")),
        ("{a: 3, not: {a: 1, b: 2}}", ("all", "a 3", ("not", ("all", "a 1", "b 2")))),
        ("{a: 1, not: {b: 2}}", ("all", "a 1", ("not", "b 2"))),
        ("{at_least: {count: 1, of: {a: 1, b: 2}}}", (1, "a 1", "b 2")),
        ("{at_least: {share: 40%, of: [{a: 1}, {a: 2}, {b: 1, a: 3}]}}", (2, "a 1", "a 2", ("all", "b 1", "a 3"))),
        ("{at_least: {count: 2, of: {a: 1, any: [{b: 1}, {b: 3}]}}}", (2, "a 1", ("any", "b 1", "b 3"))),
        ("{a: 1, account.plan: [x, y]}", ("all", "a 1", "account.plan [x, y]")),
    ],
)
def test_a_mapping_is_and_and_clauses_nest(qualify: str, meaning: Any):
    """Each entry, and each item of a list, is one condition."""
    assert meaning == shape(read_body(f"{SIGNALS}qualify: {qualify}").qualify)


@pytest.mark.parametrize(
    ("share", "entries", "need"),
    [("40%", 7, 3), ("100%", 3, 3), ("33.4%", 3, 2), ("33.3%", 3, 1), ("0.1%", 3, 1), ("50%", 2, 1), ("14%", 50, 7)],
)
def test_a_share_is_exact(share: str, entries: int, need: int):
    """A share p of n holds if at least p x n hold; no float decides."""
    of = "[" + ", ".join(f"{{a: at least {n}}}" for n in range(1, entries + 1)) + "]"
    qualify = read_body(f"{SIGNALS}qualify: {{at_least: {{share: {share}, of: {of}}}, b: 1}}").qualify
    assert isinstance(qualify, All)
    assert need == shape(qualify.of[0])[0]


def test_a_trait_can_be_named_like_a_signal():
    """A signal of the kind `trait` is the trait under that name."""
    definition = read_body("signals: {size: {trait: account.employees}}\nqualify: {size: at least 50}")
    assert isinstance(definition.qualify, Criterion)
    assert NamedTrait("size", Trait("account", "employees")) == definition.qualify.subject
    assert frozenset({Trait("account", "employees")}) == definition.traits
    assert () == definition.signals


def test_a_user_has_the_traits_of_the_account_too():
    """A person belongs to an account; an account has no person of its own."""
    definition = read((HEADER + "qualify: {account.plan: team, user.role: admin}").replace("account,", "user,"))
    assert frozenset({Trait("account", "plan"), Trait("user", "role")}) == definition.traits


def test_several_events_and_any_event_can_be_matched():
    """A list is any of its names; `any` is every track event."""
    definition = read_body("signals: {a: {count: [A, B]}, b: {distinct: any, of: user_id}}\nqualify: {a: 1, b: 1}")
    assert [
        Use("a", Signal("account", "count", Matcher(("A", "B"))), Ever()),
        Use("b", Signal("account", "distinct", Matcher(()), "user_id"), Ever()),
    ] == list(definition.uses)


def test_the_window_at_the_top_is_that_of_every_signal_without_its_own():
    """A day of an anchored window is 24 hours."""
    definition = read_body(
        "window: 14 days of Account Created\n"
        "signals: {a: {count: A}, b: {count: B, within: 48h of Trial Started}, c: {count: C, within: ever}}\n"
        "qualify: {a: 1, b: 1, c: 1}"
    )
    created = Signal("account", "count", Matcher(("Account Created",)))
    started = Signal("account", "count", Matcher(("Trial Started",)))
    assert [
        Anchored(14 * DAY, created, "14 days of Account Created"),
        Anchored(48 * HOUR, started, "48h of Trial Started"),
        Ever(),
    ] == [use.window for use in definition.uses]
    assert {"A", "B", "C", "Account Created", "Trial Started"} == {
        name for signal in definition.signals for name in signal.matcher.events
    }


def test_conditions_on_properties_are_comparators():
    """A dot leads into a nested property; named lists are resolved."""
    definition = read_body(
        "signals: {a: {count: A, where: {plan.name: team, n: between 1 and 2, domain: not disposable}}}\n"
        "qualify: {a: 1}"
    )
    where = {path: (test.operator, test.operands) for path, test in definition.uses[0].signal.matcher.where}
    assert {
        "plan.name": ("equals", ("team",)),
        "n": ("between", (Decimal(1), Decimal(2))),
        "domain": ("none of", ("mailinator.example", "tempmail.example")),
    } == where


def test_the_default_exclusions_and_the_named_ones_apply():
    """Each list once, the defaults first."""
    definition = read_body(SIGNALS + "qualify: {a: 1, b: 1}\nexclude: [students, bots]")
    assert ["bots", "students"] == [each.name for each in definition.exclude]
    assert ["user", "account"] == [each.of for each in definition.exclude]
    assert isinstance(definition.exclude[0], Exclusion)


def test_what_does_not_decide_is_carried_along():
    """The whole document is kept for those who show it."""
    definition = read(worked(7))
    assert ["40%", "70%", "100%"] == definition.document["levels"]
    assert {"event": "Subscription Started", "within": "30 days"} == definition.document["predicts"]


def test_a_definition_needs_no_project_file():
    """Without one there are no defaults."""
    (definition,) = read_definitions({"a.yaml": worked(1)}).definitions
    assert () == definition.exclude


def test_a_file_may_hold_several_definitions():
    """All twelve in one file, as the specification has them, are read alike."""
    whole = "\n---\n".join(worked(number) for number in range(1, 13))
    together = read_definitions({"all.yaml": whole, "project.yaml": PROJECT}).definitions
    apart = read_definitions({f"{n:02}.yaml": worked(n) for n in range(1, 13)} | {"project.yaml": PROJECT}).definitions
    assert [definition.hash for definition in apart] == [definition.hash for definition in together]


# --- the hash ---------------------------------------------------------------------------------------------------------


@st.composite
def respelt(draw: st.DrawFn, value: Any) -> str:
    """The same YAML, its keys in another order, in another style, with other spaces and comments."""
    shuffled = _shuffled(draw, value)
    style = draw(st.sampled_from([None, True, False]))
    width = draw(st.integers(40, 400))
    text = yaml.safe_dump(
        shuffled, sort_keys=False, default_flow_style=style, width=width, indent=draw(st.integers(2, 6))
    )
    comment = draw(st.sampled_from(["", "# why not\n", "\n\n", "---\n"]))
    return comment + text


def _shuffled(draw: st.DrawFn, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shuffled(draw, value[key]) for key in draw(st.permutations(list(value)))}
    if isinstance(value, list):
        return [_shuffled(draw, item) for item in value]
    if isinstance(value, str) and value.startswith(("at least ", "between ")):
        return value.replace(" ", draw(st.sampled_from([" ", "  "])))
    return value


@given(st.data())
def test_reformatting_and_reordering_leave_the_hash_as_it_is(data: st.DataObject):
    """Layout, order of keys, comments and spaces mean nothing."""
    text = worked(data.draw(st.integers(1, 12)))
    original = read(text)
    (tree,) = read_yaml(text)

    again = read(data.draw(respelt(tree.value)))

    assert original.hash == again.hash
    assert {signal.id for signal in original.signals} == {signal.id for signal in again.signals}


BODY = SIGNALS + "qualify: {a: at least 1, b: at least 2}\neligible: {account.plan: trial}\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 1", "version: 2"),
        ("owner: growth", "owner: sales"),
        ("why: Because.", "why: It is so."),
        ("within: 30 days", "within: 45 days"),
        ("stage: activation", "stage: expansion"),
        ("at least 1", "at least 1.0"),
        ("account.plan: trial", "account.plan: [trial]"),
        ("qualify: {a: at least 1, b: at least 2}", "qualify: {all: [{b: at least 2}, {a: at least 1}]}"),
        (
            "qualify: {a: at least 1, b: at least 2}",
            "qualify: {b: at least 2, a: at least 1}\nreview: {every: 90 days}",
        ),
    ],
)
def test_what_decides_nothing_leaves_the_hash_as_it_is(old: str, new: str):
    """Only what can change who qualifies is hashed."""
    assert read(HEADER + BODY).hash == read((HEADER + BODY).replace(old, new)).hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("id: probe", "id: other"),
        ("at least 1", "at least 2"),
        ("at least 1", "more than 1"),
        ("count: A", "count: C"),
        ("count: A}", "count: A, where: {x: 1}}"),
        ("count: A}", "count: A, within: 7 days of B}"),
        ("count: A}", "distinct: A, of: x}"),
        ("qualify: {a", "qualify: {not: {a: 7}, a"),
        ("account.plan: trial", "account.plan: not trial"),
        ("eligible", "fit"),
        ("account.plan: trial}", "account.plan: trial}\nexclude: [students]"),
        ("qualify", "window: 7 days of B\nqualify"),
    ],
)
def test_what_decides_changes_the_hash(old: str, new: str):
    """Each of these can change who qualifies."""
    assert read(HEADER + BODY).hash != read((HEADER + BODY).replace(old, new)).hash


def test_an_exclusion_list_that_says_something_else_changes_the_hash():
    """Lists and named values are part of what decides."""
    one = read_definitions({"a.yaml": HEADER + BODY, "project.yaml": PROJECT})
    other = read_definitions({"a.yaml": HEADER + BODY, "project.yaml": PROJECT.replace("bot: true", "bot: [true, 1]")})
    assert one.definitions[0].hash != other.definitions[0].hash


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("qualfy: {a: 1}", "1:1: error D002: the file has no key `qualfy`; did you mean `qualify`?"),
        (SIGNALS + "qualify: [a]", "2:10: error D002: `qualify` is a list; expected a condition, which is a mapping"),
        (SIGNALS + "qualify:", "2:9: error D002: `qualify` is empty; expected a condition"),
        (
            "window: 2 weeks of X",
            "1:9: error D002: `window` is `2 weeks of X`, which is not a window; write `14 days of X`",
        ),
        (
            "signals: {a: {count: A, within: soon}}",
            "1:33: error D002: `signals.a.within` is `soon`, which is not a window, "
            "such as `ever`, `14 days of Account Created`, `48h of Trial Started`, `7 days`",
        ),
        ("signals: {a: {count: A, of: x}}", "1:25: error D002: `of` has no meaning beside `count`"),
        ("signals: {a: {distinct: A}}", "1:15: error D002: `distinct` needs `of` beside it"),
        (
            "signals: {a: {count: A, distinct: A, of: x}}",
            "1:25: error D002: `signals.a` has `count` and `distinct`; only one of them can stand here",
        ),
        (
            "signals: {a: {count: 404}}",
            "1:22: error D002: `signals.a.count` is the number `404`; expected an event name, such as",
        ),
        (
            "signals: {any: {count: A}}",
            "1:11: error D002: `any` means something else in conditions; choose another name for the signal",
        ),
        ("signals: {a: {count: [A, any]}}", "1:22: error D002: `any` is every event already; let it stand alone"),
        (SIGNALS + "qualify: {c: 1}", "2:11: error D004: no signal is called `c`; there are `a`, `b`"),
        (SIGNALS + "qualify: {a: at lest 3}", "did you mean `at least 3`?"),
        (
            SIGNALS + "qualify: {at_least: {of: [{a: 1}]}}",
            "2:21: error D002: `qualify.at_least` needs `share` or `count`",
        ),
        (
            SIGNALS + "exclude: [student]",
            "2:11: error D006: the project has no exclusion list `student`; did you mean `students`?",
        ),
        (
            "signals: {a: {count: A, within: 0 days of B}}",
            "1:33: error D008: `0 days of B` is not between a second and a hundred years",
        ),
        ("levels: [40]", "1:10: error D002: `levels[0]` is the number `40`; put it in quotes if a per cent is meant"),
        (
            "nudge: {near: 180%}",
            "1:15: error D002: `nudge.near` is `180%`, which is not a share, such as `40%`, `2.5%`, `100%`",
        ),
        ("predicts: {event: A}", "1:1: error D001: the key `predicts` is here twice; the first is on line 3"),
        ("a: b: c", "1:5: error D001: not YAML: mapping values are not allowed here"),
    ],
)
def test_an_error_says_where_what_and_what_would_be_right(body: str, error: str):
    """Line, column, rule, the value, and what to write."""
    assert any(error in text for text in body_errors(body)), body_errors(body)


def test_all_problems_are_told_at_once():
    """One mistake does not hide another, in this file or the next."""
    documents = {
        "a.yaml": HEADER + "signals: {a: {cuont: A}}\nqualify: {a: at lest 3, b: 1}\nexclude: [nobody]",
        "b.yaml": "a: [",
        "project.yaml": "project: p\ntimezone: Mars/Base\n",
    }
    assert {
        ("a.yaml", "D002"),
        ("a.yaml", "D004"),
        ("a.yaml", "D005"),
        ("a.yaml", "D006"),
        ("b.yaml", "D001"),
        ("project.yaml", "D010"),
    } == {(text.split(":")[0], text.split("error ")[1][:4]) for text in errors(documents)}


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ("owner: growth", "a.yaml:1:6: error D009: `pql` has no `owner`: the team that answers for this definition"),
        ("id: probe", "a.yaml:1:6: error D002: `pql` has no `id`"),
        ("why: Because.\n", "a.yaml:1:1: error D002: the file has no `why`"),
        (
            "predicts: {event: Subscription Started, within: 30 days}\n",
            "a.yaml:1:1: error D002: the file has no `predicts`",
        ),
    ],
)
def test_what_is_mandatory_is_asked_for(header: str, error: str):
    """Owner, reason and prediction are no decoration."""
    without = HEADER.replace(f", {header}", "").replace(f"{header}, ", "").replace(header, "")
    assert any(text.startswith(error) for text in errors({"a.yaml": without + BODY})), errors(
        {"a.yaml": without + BODY}
    )


def test_ids_are_unique_in_a_folder():
    """The second one is told where the first is."""
    assert ["b.yaml:1:11: error D003: the id `probe` is taken by a.yaml:1"] == errors(
        {"a.yaml": HEADER + BODY, "b.yaml": HEADER + BODY}
    )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("timezone: UTC", "D002: the file has no `project`"),
        ("project: p\ntimezone: Mars/Base", "2:11: error D010: `Mars/Base` is no time zone"),
        ("project: p\ntimezone: ../../etc/passwd", "2:11: error D010"),
        ("project: p\nexclude: {default: [a]}", "2:21: error D006: there is no exclusion list `a`"),
        (
            "project: p\nexclude: {lists: {a: {user.x: 1, account.y: 1}}}",
            "2:19: error D010: the list `a` tests users and accounts; make it two lists",
        ),
        ("project: p\nexclude: {lists: {a: {x: 1}}}", "2:23: error D002"),
        ("project: p\nexclude: {lists: {a: {user.x: at lest 1}}}", "2:31: error D005"),
        ("project: p\nvalues: {a: x}", "2:13: error D002: `values.a` is the text `x`; expected a list of values"),
        ("project: p\n---\nproject: q", "3:1: error D010: a folder has one project"),
    ],
)
def test_the_project_file_is_checked_too(text: str, error: str):
    """With file, line and column like any other."""
    (found,) = errors({"project.yaml": text})
    assert error in found


# --- robustness -------------------------------------------------------------------------------------------------------

JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 500)
    | st.sampled_from(["", "any", "at least 3", "7 days", "40%", "x: y"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["all", "any", "of", "count", "share", "at_least", "user.x", "where"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@settings(max_examples=settings.default.max_examples // 4)
@given(st.data())
def test_a_definition_with_anything_anywhere_is_read_or_refused(data: st.DataObject):
    """Whatever stands in the place of any value: problems with places in the text, and never another error."""
    (tree,) = read_yaml(worked(data.draw(st.integers(1, 12))))
    path = data.draw(st.sampled_from([path for path, _ in walk(tree.value)]))
    text = yaml.safe_dump(_replaced(tree.value, path, data.draw(JUNK)))

    found = lint_definitions({"a.yaml": text, "project.yaml": PROJECT}, planboard())

    lines = text.splitlines()
    assert all(problem.line <= len(lines) + 1 for problem in found)
    assert all(problem.column <= len(lines[problem.line - 1]) + 1 for problem in found if problem.line <= len(lines))
    compiled = compile_documents({"a.yaml": text, "project.yaml": PROJECT})
    has_error = any(problem.severity == "error" for problem in compiled.problems)
    assert has_error == (compiled.catalogue.definitions == ())


def _replaced(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    if not path:
        return junk
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _replaced(value[path[0]], path[1:], junk)
    return copy


# --- the folder -------------------------------------------------------------------------------------------------------


def test_a_folder_is_read_by_its_yaml_files(tmp_path: Path):
    """*.yaml and *.yml; nothing else, and nothing below."""
    for name in ("a.yaml", "b.yml", "c.txt", "d.json"):
        (tmp_path / name).write_text("a: 1", encoding="utf-8")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "e.yaml").write_text("a: 1", encoding="utf-8")

    assert {"a.yaml": "a: 1", "b.yml": "a: 1"} == read_definitions_folder(tmp_path)


def test_a_file_that_is_not_utf_8_has_a_place(tmp_path: Path):
    """Line and column of the first byte that is none."""
    (tmp_path / "a.yaml").write_bytes("a: 1\nb: é".encode() + b"\xff")
    with pytest.raises(DefinitionProblems) as caught:
        load_catalogue(tmp_path)
    assert "a.yaml:2:5: error D001: not UTF-8: invalid start byte; save the file as UTF-8" == str(caught.value)


def test_a_large_file_is_not_read_whole(tmp_path: Path):
    """It is cut, and refused for its length."""
    (tmp_path / "a.yaml").write_text("a: " + "é" * (5 * CHARACTERS_MAX), encoding="utf-8")
    with pytest.raises(DefinitionProblems, match="longer than"):
        load_catalogue(tmp_path)


def test_a_folder_that_is_missing_is_a_problem(tmp_path: Path):
    """It says what was looked for."""
    with pytest.raises(DefinitionProblems, match="does not exist; definitions are YAML files in a folder"):
        load_catalogue(tmp_path / "none")
    assert () == load_catalogue(tmp_path).definitions
