"""`assay check`: recorded messages against a plan."""

import gzip
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from assay.contract.plan import Plan
from assay.qa.check import LINE_BYTES_MAX, UNPLANNED_NAMES_MAX, Checker, Finding, read_lines
from assay.qa.commands import check


def event(event_type: str, name: str | None, version: str, schema: dict[str, Any]) -> dict[str, Any]:
    """An event's document."""
    about = {"type": event_type, "version": version, "purposes": ["analytics"]} | ({"event": name} if name else {})
    return {"x-assay": about, "additionalProperties": False, **schema}


AMOUNT = {"properties": {"amount": {"type": "number"}, "mail": {"type": "string", "x-pii": "email"}}}
DOCUMENTS = {
    "plan.json": {"name": "shop"},
    "events/paid/1-0-0.json": event("track", "Order Paid", "1-0-0", AMOUNT),
    "events/paid/2-0-0.json": event("track", "Order Paid", "2-0-0", AMOUNT | {"required": ["amount"]}),
    "events/identify/1-0-0.json": event("identify", None, "1-0-0", {"properties": {"age": {"type": "integer"}}}),
    "events/page/1-0-0.json": event("page", None, "1-0-0", {"properties": {"url": {"type": "string"}}}),
}
FILES = {file: json.dumps(document).encode() for file, document in DOCUMENTS.items()}
PLAN = Plan.from_documents(FILES)


def paid(**properties: Any) -> dict[str, Any]:
    """A track message of the planned event."""
    return {"type": "track", "event": "Order Paid", "userId": "u", "properties": properties}


def lines(*messages: Any) -> bytes:
    """NDJSON; bytes are taken as they stand."""
    return b"".join(m + b"\n" if isinstance(m, bytes) else json.dumps(m).encode() + b"\n" for m in messages)


def findings(*messages: Any, **options: Any) -> list[tuple[int, str, str]]:
    """What is wrong with a recording, as (line, pointer, rule)."""
    return short(Checker(plan=PLAN, **options).check("f", io.BytesIO(lines(*messages))))


def short(found: Iterable[Finding]) -> list[tuple[int, str, str]]:
    """Findings as (line, pointer, rule)."""
    return [(finding.line, finding.pointer, finding.rule) for finding in found]


EXTRA = ("/properties/\\ud800", "additionalProperties")
DEEP = b'{"type": "page", "properties": {"url": ' + b"[" * 500 + b"]" * 500 + b"}}"
NAMES = ["type", "event", "properties", "traits", "context", "batch", "name"]
WORDS = ["track", "Order Paid", "identify", "page"]
JSON = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=10,
)


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (paid(amount=1), []),
        (paid(amount="1"), [("/properties/amount", "type")]),
        (paid(), [("/properties", "required")]),
        (paid() | {"context": {"schemaVersion": "1-0-0"}}, []),
        (paid() | {"context": {"schemaVersion": "3-0-0"}}, [("/context/schemaVersion", "version")]),
        (paid() | {"context": {"schemaVersion": 1}}, [("/context/schemaVersion", "type")]),
        (paid() | {"context": "odd"}, [("/properties", "required")]),
        (paid() | {"properties": None}, [("/properties", "required")]),
        (paid() | {"properties": [1]}, [("/properties", "type")]),
        ({"type": "track", "event": "Order Pid"}, [("/event", "unplanned")]),
        ({"type": "track", "event": ""}, [("/event", "type")]),
        ({"type": "track", "event": 5}, [("/event", "type")]),
        ({"type": "identify", "traits": {"age": "x"}}, [("/traits/age", "type")]),
        ({"type": "identify", "context": {"traits": {"age": "x"}}}, [("/context/traits/age", "type")]),
        ({"type": "identify", "traits": None}, []),
        ({"type": "group", "traits": {}}, [("", "unplanned")]),
        ({"type": "page", "name": "Home", "properties": {"url": 1}}, [("/properties/url", "type")]),
        ({"type": "page", "name": None}, []),
        ({"type": "alias", "previousId": "a", "userId": "b"}, []),
        ({"type": "purchase"}, [("/type", "enum")]),
        ({"event": "Order Paid"}, [("/type", "enum")]),
        ({"type": ["track"]}, [("/type", "enum")]),
        (5, [("", "type")]),
        (None, [("", "type")]),
        (
            {"batch": [paid(amount=1), paid(amount="1"), 7]},
            [("/batch/1/properties/amount", "type"), ("/batch/2", "type")],
        ),
        ({"batch": [paid()], "context": {"schemaVersion": "1-0-0"}}, []),
        ({"batch": []}, []),
        ([paid(amount=1), paid()], [("/1/properties", "required")]),
        (b'\xef\xbb\xbf{"type": "alias"}', []),
        (b'{"type": "identify", "traits": {"age": NaN}}', [("/traits/age", "type")]),
        (b'{"type": "identify", "traits": {"age": 1e999}}', [("/traits/age", "type")]),
        (b'{"type": "identify", "traits": {"age": 1' + b"0" * 400 + b"}}", []),
        (b'{"type": "identify", "traits": {"age": 1' + b"0" * 5000 + b"}}", [("", "json")]),
        (b'{"type": "page", "properties": {"\\ud800": 1}}', [("/properties", "json"), EXTRA]),
        (b"nonsense", [("", "json")]),
        (b'{"type": "alias"', [("", "json")]),
        (b"\xff\xfe", [("", "json")]),
        (b"[" * 100_000, [("", "json")]),
        (DEEP, [("/properties", "json"), ("/properties/url", "type")]),
    ],
)
def test_a_message_is_read_leniently_and_judged(message: Any, expected: list[tuple[str, str]]):
    """Pointers lead into the line, whatever shape it has."""
    assert [(1, pointer, rule) for pointer, rule in expected] == findings(message)


def test_a_bad_line_costs_no_other():
    """Blank lines count as lines, so that numbers are those of an editor."""
    assert [(1, "", "json"), (4, "/properties/amount", "type")] == findings(b"{", b"", paid(amount=1), paid(amount=""))


def test_the_last_line_needs_no_line_break():
    """A recording that was cut at the end of a line is whole."""
    stream = io.BytesIO(lines(paid(amount=1), paid(amount="")).rstrip())

    assert [(2, "/properties/amount", "type")] == short(Checker(plan=PLAN).check("f", stream))


def test_a_line_that_is_too_long_is_skipped_in_pieces():
    """It is reported once, and the next line has its own number."""
    data = b"x" * (LINE_BYTES_MAX + 5) + b"\n{}\n"

    assert [(1, None), (2, b"{}\n")] == list(read_lines(io.BytesIO(data)))


def test_only_the_types_asked_for_are_checked():
    """Others are counted as left out; what has no type at all is shown all the same."""
    checker = Checker(plan=PLAN, types={"identify"})

    found = short(checker.check("f", io.BytesIO(lines(paid(), {"type": "identify", "traits": {"age": ""}}, {}))))

    assert [(2, "/traits/age", "type"), (3, "/type", "enum")] == found
    assert (2, 1) == (checker.tally.events, checker.tally.skipped)


def test_everything_is_counted():
    """Each event is valid, invalid or unplanned; rules and unplanned names are counted."""
    checker = Checker(plan=PLAN)
    recording = lines(paid(amount=1), paid(extra=1), {"type": "track", "event": "X"}, {"type": "group"}, b"{", 5)

    list(checker.check("f", io.BytesIO(recording)))

    tally = checker.tally
    assert (6, 1, 5, 1, 2, 2) == (
        tally.lines,
        tally.unreadable,
        tally.events,
        tally.valid,
        tally.invalid,
        tally.unplanned,
    )
    assert {"required": 1, "additionalProperties": 1, "unplanned": 2, "json": 1, "type": 1} == dict(tally.by_rule)
    assert {"track X": 1, "group": 1} == dict(tally.unplanned_events)


def test_ever_new_names_do_not_fill_the_memory():
    """Past a number of names the rest is counted together."""
    checker = Checker(plan=PLAN)
    recording = lines(*({"type": "track", "event": f"E{n}"} for n in range(UNPLANNED_NAMES_MAX + 10)))

    list(checker.check("f", io.BytesIO(recording)))

    assert UNPLANNED_NAMES_MAX + 1 == len(checker.tally.unplanned_events)
    assert 10 == checker.tally.unplanned_events["(other names)"]


@given(st.lists(st.binary(max_size=40) | JSON, max_size=5))
def test_no_line_makes_the_check_fail(messages: list[Any]):
    """Random bytes and random JSON give findings, never an exception; every finding can be shown."""
    checker = Checker(plan=PLAN)

    found = list(checker.check("f", io.BytesIO(lines(*messages))))

    assert all(finding.message.isprintable() and finding.rule for finding in found)
    tally = checker.tally
    assert tally.events == tally.valid + tally.invalid + tally.unplanned


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """The plan's folder."""
    folder = tmp_path / "plan"
    for file, data in FILES.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(data)
    return folder


def run(*arguments: Any, stdin: bytes = b"", env: dict[str, str] | None = None) -> Result:
    """Run `assay check`."""
    return CliRunner().invoke(check, [str(argument) for argument in arguments], input=stdin, env=env)


def record(folder: Path, *messages: Any, name: str = "events.ndjson") -> Path:
    """A recording on disk."""
    (folder / name).write_bytes(lines(*messages))
    return folder / name


def test_a_clean_recording_exits_with_zero(plan: Path, tmp_path: Path):
    """The summary names the plan and its revision."""
    result = run(record(tmp_path, paid(amount=1)), "--plan", plan)

    assert 0 == result.exit_code
    assert f"\n1 event in 1 file against shop ({PLAN.revision}): 1 valid, 0 invalid, 0 unplanned\n" == result.output


def test_violations_are_shown_with_line_pointer_and_rule(plan: Path, tmp_path: Path):
    """One line a violation, as a compiler would write it; exit code 1."""
    file = record(tmp_path, paid(amount=1), paid(amount="12", mail=5), {"type": "track", "event": "Order Pid"})

    result = run(file, "--plan", plan)

    assert 1 == result.exit_code
    assert [
        f'{file}:2: /properties/amount: type: must be number, not "12"  (track "Order Paid" 2-0-0)',
        f'{file}:2: /properties/mail: type: must be string, not a number  (track "Order Paid" 2-0-0)',
        f'{file}:3: /event: unplanned: track "Order Pid" is not in the plan; did you mean "Order Paid"?  '
        '(track "Order Pid")',
        "",
        f"3 events in 1 file against shop ({PLAN.revision}): 1 valid, 1 invalid, 1 unplanned",
        "violations by rule: type 2, unplanned 1",
        "unplanned events:",
        "         1  track Order Pid",
    ] == result.output.splitlines()


def test_json_is_one_object_a_line(plan: Path, tmp_path: Path):
    """Violations first, the summary last."""
    result = run(record(tmp_path, paid(amount="1")), "--plan", plan, "--format", "json")

    violation, summary = map(json.loads, result.output.splitlines())
    assert ("violation", 1, "/properties/amount", "type", "number", "Order Paid", "2-0-0") == tuple(
        violation[key] for key in ("kind", "line", "pointer", "rule", "expected", "event", "version")
    )
    assert ("summary", 1, 0, {"type": 1}, PLAN.revision) == tuple(
        summary[key] for key in ("kind", "invalid", "valid", "by_rule", "plan_revision")
    )


def test_unplanned_events_can_be_allowed(plan: Path, tmp_path: Path):
    """They are still counted and named."""
    result = run(record(tmp_path, {"type": "track", "event": "New"}), "--plan", plan, "--allow-unplanned")

    assert 0 == result.exit_code
    assert "track New" in result.output


def test_the_standard_input_and_gzip_are_read(plan: Path, tmp_path: Path):
    """Gzip is known by its first bytes, not by the file's name."""
    zipped = gzip.compress(lines(paid(amount="1")))
    (tmp_path / "events.log").write_bytes(zipped)

    result = run("-", tmp_path / "events.log", "--plan", plan, stdin=zipped)

    assert 1 == result.exit_code
    assert ["stdin:1:", f"{tmp_path / 'events.log'}:1:"] == [line.split()[0] for line in result.output.splitlines()[:2]]


@pytest.mark.parametrize("damage", ["missing", "folder", "cut", "flipped"])
def test_an_unreadable_file_does_not_stop_the_others(plan: Path, tmp_path: Path, damage: str):
    """It is named in one line, the rest is checked, and the exit code is 2."""
    bad = tmp_path / "bad"
    zipped = bytearray(gzip.compress(lines(*[paid(amount=n) for n in range(1000)])))
    if damage == "folder":
        bad.mkdir()
    elif damage == "cut":
        bad.write_bytes(zipped[:-20])
    elif damage == "flipped":
        zipped[len(zipped) // 2] ^= 0xFF
        bad.write_bytes(zipped)

    result = run(bad, record(tmp_path, paid(amount="1")), "--plan", plan)

    assert 2 == result.exit_code
    assert f"{bad}: cannot be read: " in result.stderr
    assert ":1: /properties/amount: type:" in result.stdout
    assert "Traceback" not in result.output


def test_an_indented_file_is_told_what_to_do(plan: Path, tmp_path: Path):
    """A batch that is spread over lines is no NDJSON; the way out is named."""
    (tmp_path / "batch.json").write_text("{\n  \n  (\n}")

    assert "jq -c . FILE | assay check -" in run(tmp_path / "batch.json", "--plan", plan).stderr


def test_without_a_plan_the_command_says_how_to_give_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Exit code 2, and all three ways are named."""
    monkeypatch.chdir(tmp_path)

    result = run(record(tmp_path, paid()))

    assert 2 == result.exit_code
    assert "--plan DIR, set ASSAY_PLAN, or run where there is a folder schemas/plan" in result.stderr


@pytest.mark.parametrize("way", ["environment", "default"])
def test_the_plan_is_found(plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str):
    """By ASSAY_PLAN, or where plans usually lie."""
    monkeypatch.chdir(tmp_path)
    if way == "default":
        Path("schemas").mkdir()
        plan.rename("schemas/plan")

    result = run(record(tmp_path, paid(amount=1)), env={"ASSAY_PLAN": str(plan)} if way == "environment" else None)

    assert 0 == result.exit_code


def test_a_bad_plan_is_explained_and_exits_with_two(plan: Path, tmp_path: Path):
    """Every problem has a line."""
    (plan / "plan.json").write_text("{}")

    result = run(record(tmp_path, paid()), "--plan", plan)

    assert 2 == result.exit_code
    assert 'plan.json: lacks the required property "name"' in result.stderr


@pytest.mark.parametrize("form", ["human", "json"])
def test_what_was_recorded_cannot_reach_the_terminal(plan: Path, tmp_path: Path, form: str):
    """Escape sequences, carriage returns and direction marks in names, values and file names are made visible."""
    evil = "\x1b]0;x\x07\r\u202e\x9b\ud800"
    messages = [
        {"type": "track", "event": evil},
        paid(amount=evil) | {"properties": {evil: evil, "amount": evil}},
        paid() | {"context": {"schemaVersion": evil}},
        {"type": evil},
    ]

    result = run(record(tmp_path, *messages, name="\x1b[31mevents"), "--plan", plan, "--format", form)

    assert 1 == result.exit_code
    assert all(char == "\n" or char.isprintable() for char in result.output)


def test_no_marked_value_is_shown(plan: Path, tmp_path: Path):
    """Personal data stays in the recording."""
    file = record(tmp_path, paid(amount=1, mail=["ann@example.com"]), {"type": "identify", "traits": {"mail": "ann@x"}})

    result = run(file, "--plan", plan)

    assert 1 == result.exit_code
    assert "ann@" not in result.output


def test_a_terminal_that_is_not_utf8_is_no_problem(plan: Path, tmp_path: Path):
    """What it cannot show is escaped."""
    file = record(tmp_path, {"type": "track", "event": "Größe 💡"})

    result = CliRunner(charset="ascii").invoke(check, [str(file), "--plan", str(plan)])

    assert 1 == result.exit_code
    assert b"Gr\\xf6\\xdfe \\U0001f4a1" in result.stdout_bytes


def test_the_help_teaches_by_examples():
    """What can be typed is shown, and what the exit codes mean."""
    text = run("--help").output

    assert all(part in text for part in ("assay check events.ndjson", "Exit code:", "ASSAY_PLAN", "jq -c ."))
