"""Versions of definitions from the command line, over a real database."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from assay_collector.cli import main
from assay_collector.pql.definition import Catalogue
from assay_collector.qualify.keeper import Keeper
from qualify.house import House
from qualify.wire import DAY, NOW, START, track

TASKS = """
pql: {id: tasks, version: VERSION, entity: user, stage: activation, owner: growth}
why: Work was begun.
predicts: {event: Subscription Started, within: 30 days}
signals: {tasks: {count: Task Assigned, WHERE}}
qualify: {tasks: at least MOST}
tests:
  - {name: one is not enough, given: [{t: 2026-03-01T09:00Z, event: Task Assigned}], at: 2026-03-02T00:00Z,
     expect: {qualified: EXPECTED}}
"""
Assay = Callable[..., str]


def text(version: int = 1, most: int = 2, where: str = "where: {}", expected: bool = False) -> str:
    where = "" if where == "where: {}" else where
    return (
        TASKS.replace("VERSION", str(version))
        .replace(", WHERE", f", {where}" if where else "")
        .replace("MOST", str(most))
        .replace("EXPECTED", str(expected).lower())
    )


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Anna did three things and bought, Bert two, Carl one."""
    house = House(tmp_path, Catalogue())
    done = {"anna": 3, "bert": 2, "carl": 1}
    house.receive(
        [
            track("Task Assigned", START + n, who, kind="x" if n else "y")
            for who, many in done.items()
            for n in range(many)
        ]
    )
    house.receive([track("Subscription Started", START + DAY, "anna")])
    yield house
    house.store.close()


@pytest.fixture
def keeper(house: House) -> Keeper:
    """What a running collector would do between two rounds."""
    keeper = Keeper(house.store, house.receiver, house.qualifier, show=lambda _: None)
    keeper.start(NOW)
    return keeper


@pytest.fixture
def assay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Assay:
    """Runs `assay pql` on the house's database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASSAY_DATABASE", "house.db")
    monkeypatch.delenv("ASSAY_CONFIG", raising=False)

    def run(*words: str, exit_code: int = 0, **files: str) -> str:
        for name, content in files.items():
            (tmp_path / f"{name}.yaml").write_text(content)
        result = CliRunner().invoke(main, ["pql", *words], prog_name="assay")
        assert exit_code == result.exit_code, result.output
        return result.stdout

    return run


def settle(house: House, keeper: Keeper) -> set[str]:
    """Who is a lead once the collector has taken everything up."""
    while keeper.step(NOW):
        pass
    house.decide(NOW)
    return set(house.since("tasks"))


def test_a_plan_says_who_enters_and_writes_nothing(assay: Assay, house: House):
    """Beside how well it would have foreseen, how many leads a week, and what has to be filled."""
    shown = json.loads(assay("plan", "new.yaml", "--json", new=text()))

    assert ["anna", "bert"] == sorted(each["id"] for each in shown["enters"]["entities"])
    assert (0, None, True) == (shown["leaves"]["count"], shown["running"], shown["acceptable"])
    half = {"hits": 1, "of": 2, "share": 0.5, "interval95": [0.0945, 0.9055]}
    whole = {"hits": 1, "of": 1, "share": 1.0, "interval95": [0.2065, 1.0]}
    assert (half, whole) == (shown["precision"], shown["recall"])
    assert (1, 7) == (shown["backfill"]["signals"], shown["backfill"]["events"])
    assert (0, [], {}) == (house.store.register.revision(), house.ledger(), dict(house.store.tallies.filled()))
    said = assay("plan", "new.yaml", "--names", "1")
    assert "enters: 2:" in said
    assert "precision: 1 of 2 (50%, likely 9% to 91%)" in said


def test_a_plan_compares_with_what_runs(assay: Assay, house: House, keeper: Keeper):
    """Here the threshold alone is another, so nothing has to be filled, and one person leaves."""
    assay("activate", "new.yaml", "--by", "ada", "--note", "first", new=text())
    assert {"anna", "bert"} == settle(house, keeper)
    shown = json.loads(assay("plan", "next.yaml", "--json", next=text(2, most=3)))

    assert (1, ["bert"]) == (shown["running"], [each["id"] for each in shown["leaves"]["entities"]])
    assert (0, 0, 0) == (shown["enters"]["count"], shown["backfill"]["signals"], shown["waiting"])
    assert [("tasks", 0.5, 1.0)] == [(o["definition"], o["jaccard"], o["contained"]) for o in shown["overlaps"]]


def test_activation_is_taken_up_and_told_in_the_history(assay: Assay, house: House, keeper: Keeper):
    """Who, when, why, and what was different; what it brought is marked, and nobody is alerted."""
    assay("activate", "new.yaml", "--by", "ada", "--note", "first", new=text())
    settle(house, keeper)
    said = assay("activate", "next.yaml", "--by", "bo", "--note", "stricter", next=text(2, most=3))
    waiting = json.loads(assay("history", "--json"))["definitions"]
    assert {"anna"} == settle(house, keeper)

    assert "qualify.tasks: at least 2 -> at least 3" in said
    assert [("active", "not taken up by a collector yet")] == [(each["status"], each["state"]) for each in waiting]
    first, second = json.loads(assay("history", "tasks", "--json"))["changes"]
    assert ("ada", "first", None, []) == tuple(first[key] for key in ("by", "note", "replaced", "diff"))
    assert ("bo", "stricter", 1, "restate") == tuple(second[key] for key in ("by", "note", "replaced", "trend"))
    assert ["pql.version: 1 -> 2", "qualify.tasks: at least 2 -> at least 3"] == second["diff"]
    assert {"definition"} == {row.cause for row in house.ledger()}
    assert "v2: active since" in assay("history", "tasks")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (text(expected=True), "example not met: one is not enough"),
        (text().replace("at least 2", "at leest 2"), "D005"),
        (text().replace("owner: growth", "owner: ''"), "D0"),
        ("not: [a definition", "D001"),
    ],
    ids=["its own example", "misspelt", "nobody owns it", "no YAML"],
)
def test_what_lint_or_its_examples_refuse_is_not_activated(assay: Assay, house: House, wrong: str, reason: str):
    """Nor made a shadow; and the plan says so as well, and why."""
    for words in (("activate", "new.yaml", "--by", "ada", "--note", ""), ("shadow", "new.yaml"), ("plan", "new.yaml")):
        assert reason in assay(*words, exit_code=1, new=wrong)

    assert 0 == house.store.register.revision()


def test_a_shadow_is_recorded_and_no_lead(assay: Assay, house: House, keeper: Keeper):
    """Until it is activated by its id; then it is as if it had always decided."""
    assay("shadow", "new.yaml", "--note", "let us see", new=text())
    assert set() == settle(house, keeper)
    assert {"anna", "bert"} == set(house.since("shadow:tasks@1"))
    assert [] == list(house.store.agenda.qualified(definition=None, limit=9, offset=0))

    assay("activate", "tasks", "--by", "ada", "--note", "it did well")
    assert {"anna", "bert"} == settle(house, keeper)


def test_retiring_empties_the_leads_and_keeps_the_record(assay: Assay, house: House, keeper: Keeper):
    """Bug: open episodes of a definition that was gone stayed leads for ever."""
    assay("activate", "new.yaml", "--by", "ada", "--note", "first", new=text())
    settle(house, keeper)
    assay("retire", "tasks", "--by", "ada", "--note", "done with it")
    assert set() == settle(house, keeper)

    retracted = [row for row in house.ledger() if row.change == "retracted"]
    assert (2, {"definition"}) == (len(retracted), {row.cause for row in retracted})
    assert "is retired already" in assay("retire", "tasks")
    assay("activate", "tasks@1", "--by", "ada", "--note", "back")
    assert {"anna", "bert"} == settle(house, keeper)


def test_whoever_activates_what_runs_changes_nothing(assay: Assay, house: House):
    """Also when it is laid out otherwise (invariant 19)."""
    assay("activate", "new.yaml", "--by", "ada", "--note", "first", new=text())
    again = "# the same\n" + text().replace("{tasks: at least 2}", "\n  tasks: at least 2")

    said = assay("activate", "again.yaml", "--by", "ada", "--note", "", again=again)
    assert ("is active already" in said, 1) == (True, house.store.register.revision())


def test_a_definition_that_nobody_knows_is_named_with_those_that_are(assay: Assay, house: House):
    """Files have their own words."""
    assay("activate", "new.yaml", "--by", "ada", "--note", "first", new=text())

    for words in (("retire", "taks"), ("activate", "taks", "--by", "a", "--note", ""), ("history", "taks")):
        assay(*words, exit_code=2)
    assay("activate", "gone.yaml", "--by", "a", "--note", "", exit_code=1)
    assay("plan", "gone.yaml", exit_code=2)
