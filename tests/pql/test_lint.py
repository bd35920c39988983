"""Lint: what is probably not meant, each rule by its stable id."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from assay_collector.cli import main
from assay_collector.pql.lint import lint_definitions
from assay_collector.pql.rules import RULES
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
            "signals: {a: {sum: Premium Used, of: user_id}}\nqualify: {a: at least 1}",
            "1:38: error D102: `Premium Used` has no property `user_id`",
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
            "signals: {a: {active_days: Task Added, within: 7 days}}\nqualify: {a: at least 8}",
            "2:14: error D202: `a: at least 8` never holds; a count is at most 7 in this window",
        ),
        (
            "signals: {m: {members: {active_days: any, within: 48h}, having: at least 4}}\nqualify: {m: at least 1}",
            "1:65: error D202: `having: at least 4` never holds; a count is at most 3 in this window",
        ),
        (
            "signals: {q: {sequence: [Pricing Viewed, Contact Requested], apart: 3 days}}\nqualify: {q: at least 50%}",
            "2:14: error D202: `q: at least 50%` asks a count for a share",
        ),
        (
            TASKS + "qualify: {tasks: at least 1}\ntiers: {hot: {tasks: less than 0}}",
            "3:22: error D202: `tasks: less than 0` never holds",
        ),
        (
            "signals: {u: {sum: Premium Used, of: units}}\nqualify: {u: lots}",
            "2:14: error D202: `u: lots` never holds; this is a number, such as `at least 1`",
        ),
        (
            TASKS + "qualify: {score: [{each: tasks, points: 2, cap: 10}, "
            "{when: {account.test: true}, points: -5}], enter: 11}",
            "2:104: error D202: the score never reaches 11; all items together give 10 at most",
        ),
        (
            TASKS + "qualify: {score: [{each: tasks, points: 2, cap: 10}], enter: 8}\ntiers: {A: {score: at least 20}}",
            "3:20: error D202: the score never reaches 20; all items together give 10 at most",
        ),
        (
            "signals: {s: {since: Task Added}}\nqualify: {s: less than 0 days}",
            "2:14: error D202: `s: less than 0 days` never holds; a time since is never below nothing",
        ),
        (
            "signals: {a: {count: Account Created}}\nqualify: {score: [{each: a, points: 20}], enter: 20}",
            "2:1: warning D203: signing up is enough to qualify",
        ),
        (
            "signals: {m: {members: {count: Account Created}, having: at least 1}}\nqualify: {m: at least 1}",
            "2:1: warning D203: signing up is enough to qualify",
        ),
        (
            "signals: {s: {since: Account Created}}\nqualify: {s: more than 3 days}",
            "2:1: warning D203: signing up is enough to qualify",
        ),
        (
            "signals: {a: {count: Account Created}, t: {count: Task Added}}\n"
            "stages: [{name: one, qualify: {a: at least 1}}, {name: two, qualify: {t: at least 1}}]",
            "2:1: warning D203: signing up is enough to qualify",
        ),
        (
            "signals: {a: {count: Pricing Viewed}}\nqualify: {a: at least 3}",
            "2:1: warning D206: only marketing events decide (`Pricing Viewed`); add a signal of somebody using",
        ),
        (
            TASKS + "qualify: {score: [{each: tasks, points: 2}], enter: 0}",
            "2:1: error D205: this holds of everybody",
        ),
        (
            "signals: {m: {members: {count: Task Added}, having: 1, where: {user.rolle: admin}}}\n"
            "qualify: {m: at least 1}",
            "1:64: warning D104: the plan has no trait `user.rolle`; did you mean `user.role`?",
        ),
        (
            TASKS + "qualify: {tasks: at least 1}\nlifecycle: {convert: {event: Plan Upgradde}}",
            "3:30: error D101: the plan has no event `Plan Upgradde`; did you mean `Plan Upgraded`?",
        ),
        (
            "signals: {q: {sequence: [Pricing Viewed, Contact Reqested], apart: 1h}}\nqualify: {q: at least 1}",
            "1:25: error D101: the plan has no event `Contact Reqested`",
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
        "signals: {a: {active_days: Task Added, within: 7 days}}\nqualify: {a: at least 7}",
        "signals: {t: {count: Task Added, within: 7 days}}\nqualify: {t: at most 0}",
        "signals: {p: {count: Pricing Viewed}, t: {count: Task Added}}\n"
        "qualify: {any: [{p: at least 3}, {t: at least 3}]}",
        "signals: {p: {count: [Pricing Viewed, Task Added]}}\nqualify: {p: at least 3}",
        "signals: {a: {count: Task Added, within: 7 days of Account Created}}\n"
        "qualify: {not: {a: is known}, account.test: false}",
        TASKS + "qualify: {tasks: at least 1}\nlifecycle: {exit: {tasks: at least 9}}",
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


def definition(id: str, body: str, entity: str = "account") -> str:
    """A definition of this id."""
    return (HEADER + body).replace("probe", id).replace("account,", f"{entity},")


def folder_lint(*texts: str, project: str = PROJECT) -> list[str]:
    """What is said of definitions beside each other."""
    documents = {f"{chr(97 + index)}.yaml": text for index, text in enumerate(texts)} | {"project.yaml": project}
    return [str(problem) for problem in lint_definitions(documents)]


FIVE = "signals: {a: {count: A}, b: {count: B}, c: {count: C}, d: {count: D}, e: {count: E}}\n"
SAME = FIVE + "qualify: {a: at least 1, b: at least 1, c: at least 1, d: at least 1, e: at least 1}"


def test_definitions_that_are_nearly_the_same_are_warned_of():
    """More than 80 % of the criteria of both, whatever the signals are called."""
    renamed = "signals: {z: {count: A}, b: {count: B}, c: {count: C}, d: {count: D}, e: {count: E}}\n" + (
        "qualify: {z: more than 0.5, b: at least 1, c: at least 1, d: at least 1, e: at least 1}"
    ).replace("more than 0.5", "at least 1.0")
    more = SAME.replace("e: at least 1}", "e: at least 1, account.x: 1}")
    assert [
        "b.yaml:1:1: warning D207: 5 of the 5 criteria of this and of `one` (a.yaml) are the same; "
        "make them one definition, or let them differ"
    ] == folder_lint(definition("one", SAME), definition("two", renamed))
    assert ["5 of the 6"] == [text[26:36] for text in folder_lint(definition("one", SAME), definition("two", more))]


@pytest.mark.parametrize(
    "other",
    [
        definition("two", SAME.replace("e: at least 1}", "e: at least 2}")),
        definition("two", SAME, entity="user"),
        definition("two", SAME.replace("count: A}", "count: A, within: 7 days}")),
        definition("two", SAME + "\neligible: {account.x: 1, account.y: 2}"),
    ],
    ids=["threshold", "entity", "window", "audience"],
)
def test_definitions_that_differ_enough_are_left_alone(other: str):
    """4 of 6 criteria, another kind of entity, another window, another audience."""
    assert [] == folder_lint(definition("one", SAME), other)


def test_too_many_definitions_of_a_stage_are_warned_of():
    """At the first that is one too many; the project says how many are."""
    texts = [definition(f"d{n}", f"signals: {{a: {{count: E{n}}}}}\nqualify: {{a: at least 1}}") for n in range(8)]
    assert [] == folder_lint(*texts[:7])
    assert [
        "h.yaml:1:51: warning D208: 8 definitions are of the stage `activation`, and nobody keeps more than 7 apart; "
        "retire some, or raise `max_definitions_per_stage` in project.yaml"
    ] == folder_lint(*texts)
    assert [] == folder_lint(*texts, project=PROJECT + "max_definitions_per_stage: 8\n")


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
