"""Lint: what is probably not meant, each rule by its stable id."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from assay_collector.cli import main
from assay_collector.pql.lint import lint_definitions
from assay_collector.pql.problems import RULES
from pql.definitions import HEADER, PLANBOARD, PROJECT, ROOT, body_lint, planboard

TASKS = "signals: {tasks: {count: Task Added}}\n"


@pytest.mark.parametrize(
    ("body", "finding"),
    [
        (
            "signals: {a: {count: Task Aded}}\nqualify: {a: at least 1}",
            "1:22: error D101: the plan has no event `Task Aded`; did you mean `Task Added`?",
        ),
        (
            "signals: {a: {count: Teleported}}\nqualify: {a: at least 1}",
            "1:22: error D101: the plan has no event `Teleported`; add it to the plan, or name one that is there",
        ),
        (
            "window: 14 days of Acount Created\n" + TASKS + "qualify: {tasks: at least 1}",
            "1:9: error D101: the plan has no event `Acount Created`; did you mean `Account Created`?",
        ),
        (
            "signals: {a: {count: API Called, where: {envv: production}}}\nqualify: {a: at least 1}",
            "1:42: error D102: `API Called` has no property `envv`; did you mean `env`?",
        ),
        (
            "signals: {a: {distinct: Teammate Invited, of: invitee}}\nqualify: {a: at least 1}",
            "1:47: error D102: `Teammate Invited` has no property `invitee`; did you mean `invitee_id`?",
        ),
        (
            "signals: {a: {count: any, where: {colour: red}}}\nqualify: {a: at least 1}",
            "1:35: error D102: no event has the property `colour`",
        ),
        (
            "signals: {a: {count: API Called, where: {env: prodution}}}\nqualify: {a: at least 1}",
            "1:47: error D103: `env` is never `prodution`; did you mean `production`?",
        ),
        (
            TASKS + "qualify: {tasks: at least 1, account.plan_state: trail}",
            "2:50: error D103: `account.plan_state` is never `trail`; did you mean `trial`?",
        ),
        (
            TASKS + "qualify: {tasks: at least 1, account.test: yes}",
            "2:44: error D103: `account.test` is never `yes`; there are `false`, `true`",
        ),
        (
            TASKS + "qualify: {tasks: at least 1, account.emplyees: at least 50}",
            "2:30: warning D104: the plan has no trait `account.emplyees`; did you mean `account.employees`?",
        ),
        (
            "signals: {size: {trait: account.employee}}\nqualify: {size: at least 50}",
            "1:25: warning D104: the plan has no trait `account.employee`; did you mean `account.employees`?",
        ),
        (
            "signals: {a: {distinct: Teammate Invited, of: invitee_id, where: {invitee_domain: not disposble}}}\n"
            "qualify: {a: at least 1}",
            "1:83: error D007: no list of values is called `disposble`; did you mean `not disposable`? "
            "(A text that is meant as such: `not [disposble]`.)",
        ),
        (
            "signals: {a: {count: Task Added}, b: {count: Task Added}}\nqualify: {a: at least 1}",
            "1:35: warning D201: the signal `b` is tallied and never used",
        ),
        (
            "signals: {a: {count: Task Added}}\nqualify: {a: at least 1, any: [{a: at least 0}]}",
            "2:36: error D202: `a: at least 0` always holds",
        ),
        (
            "signals: {a: {count: Task Added}}\nqualify: {a: at least 1, any: [{a: is known}]}",
            "2:36: error D202: `a: is known` always holds",
        ),
        (TASKS + "qualify: {tasks: less than 0}", "2:18: error D202: `tasks: less than 0` never holds"),
        (TASKS + "qualify: {tasks: many}", "2:18: error D202: `tasks: many` never holds"),
        (TASKS + "qualify: {tasks: at least 80%}", "2:18: error D202: `tasks: at least 80%` asks a count for a share"),
        (
            TASKS + "qualify: {any: [{at_least: {count: 3, of: [{tasks: at least 1}, {tasks: at least 2}]}}]}",
            "2:36: error D202: 3 of 2 entries never hold",
        ),
        (
            TASKS + "qualify: {tasks: at least 1, at_least: {share: 0%, of: [{tasks: at least 2}]}}",
            "2:48: error D202: a share of 0% always holds",
        ),
        (
            "window: 14 days of Account Created\nsignals: {a: {count: Account Created}}\nqualify: {a: at least 1}",
            "3:1: warning D203: signing up is enough to qualify: `Account Created` alone makes this hold",
        ),
        (
            "window: 14 days of Account Created\n" + TASKS + "qualify: {tasks: at most 5}",
            "3:1: warning D203: signing up is enough to qualify",
        ),
        (
            "signals: {a: {count: Account Created}, t: {count: Task Added}}\n"
            "qualify: {at_least: {share: 50%, of: {a: at least 1, t: at least 1}}}",
            "2:1: warning D203: signing up is enough to qualify",
        ),
        (
            TASKS + "qualify: {tasks: at most 5}",
            "2:1: error D205: this holds of everybody before anything has happened, so nobody ever enters it",
        ),
    ],
)
def test_each_rule_says_where_what_and_what_would_be_right(body: str, finding: str):
    """Each case breaks one rule, and only that."""
    (found,) = body_lint(body, planboard())
    assert found.startswith(finding)


@pytest.mark.parametrize(
    "body",
    [
        TASKS + "qualify: {tasks: at least 1}",
        "signals: {a: {distinct: any, of: user_id}}\nqualify: {a: at least 2}",
        "signals: {a: {count: any, where: {env: production}}}\nqualify: {a: at least 2}",
        "signals: {a: {count: API Called, where: {language: go}}}\nqualify: {a: at least 2}",
        "window: 14 days of Account Created\n" + TASKS + "qualify: {tasks: at least 1}",
        "signals: {size: {trait: account.employees}}\nqualify: {size: at least 50}",
        TASKS + "qualify: {tasks: at least 1, not: {account.plan_state: paid}}",
        "signals: {a: {count: Account Created}, t: {count: Task Added}}\nqualify: {a: at least 1, t: at least 1}",
    ],
)
def test_what_is_meant_is_left_alone(body: str):
    """No rule has anything to say of these."""
    assert [] == body_lint(body, planboard())


def test_without_a_plan_nothing_is_said_of_events():
    """The rules D1xx need one."""
    assert [] == body_lint("signals: {a: {count: Teleported}}\nqualify: {a: at least 1}")


def test_a_definition_without_an_example_is_warned_of():
    """An example says more than a comment."""
    header = "\n".join(line for line in HEADER.splitlines() if not line.startswith("tests"))
    (found,) = lint_definitions({"a.yaml": f"{header}\n{TASKS}qualify: {{tasks: at least 1}}"}, planboard())
    assert ("D204", "warning", 1, 1) == (found.rule, found.severity, found.line, found.column)


def test_the_words_of_every_kind_of_signal_are_checked():
    """Those that a member is asked of as well."""
    signals = "signals: {a: {since: Task Aded}, m: {members: {count: Task Aded}, having: at least 1}}"
    body = f"{signals}\nqualify: {{a: more than 3}}"
    assert ["1:22", "1:55"] == [text.split(": ")[0] for text in body_lint(body, planboard()) if "D101" in text]


def test_problems_are_ordered_and_safe_to_print():
    """By file, line and column; what a file says cannot move the cursor."""
    found = lint_definitions({"b.yaml": '"\\e[31m": 1', "a.yaml": "a: 1\nb: 2", "project.yaml": PROJECT})
    assert sorted(found) == list(found)
    assert not any("\x1b" in str(problem) for problem in found)


def test_every_rule_is_explained_in_the_docs():
    """The table in docs/definitions.md has each rule with its severity."""
    text = (ROOT / "docs" / "definitions.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `([A-Z][\w-]+)` \| (error|warning) \|", text, re.MULTILINE))
    assert {rule: severity for rule, (severity, _) in RULES.items()} == documented


def test_the_command_line_lints_definitions(tmp_path: Path):
    """`assay lint --definitions` shows file, line and column, and exits with 1."""
    (tmp_path / "a.yaml").write_text(f"{HEADER}{TASKS}qualify: {{task: at least 1}}\n", encoding="utf-8")

    result = CliRunner().invoke(main, ["lint", "--definitions", str(tmp_path)])

    assert 1 == result.exit_code, result.output
    assert "a.yaml:6:11: error D004: no signal is called `task`; did you mean `tasks`?" in result.output


def test_the_command_line_says_when_there_is_nothing_wrong():
    """The simulated product's definitions only lack examples."""
    result = CliRunner().invoke(
        main, ["lint", "--definitions", str(PLANBOARD / "definitions"), "--ignore", "D204", "--strict"]
    )
    assert (0, "0 errors, 0 warnings\n") == (result.exit_code, result.output)
