"""A folder of definitions acts when it changes; what is decided by command holds until then."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from assay_collector.pql.language import read_definitions
from assay_collector.qualify.versions import Decided, Written, activate, follow_folder, retire, running, write_down
from assay_collector.store import Register
from assay_collector.stores.sqlite.store import SQLiteStore
from qualify.wire import NOW

HEAD = """
pql: {{id: {id}, version: {version}, entity: user, stage: activation, owner: growth}}
why: It is a test.
predicts: {{event: Subscription Started, within: 30 days}}
"""
BY = Decided("ada", "she knows", NOW + 1)


def text(id: str = "tasks", version: int = 1, most: int = 2) -> str:
    body = f"signals: {{tasks: {{count: Task Assigned}}}}\nqualify: {{tasks: at least {most}}}\n"
    return HEAD.format(id=id, version=version) + body


def written(*texts: str, project: str = "") -> tuple[Written, ...]:
    documents = {f"{number}.yaml": each for number, each in enumerate(texts)}
    documents |= {"project.yaml": project} if project else {}
    return write_down(documents, read_definitions(documents))


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    with closing(SQLiteStore(tmp_path / "assay.db")) as store:
        yield store.register


def runs(register: Register) -> dict[str, int]:
    """Which version of which definition decides."""
    return {definition.id: definition.version for definition in running(register, NOW).active.definitions}


def told(register: Register) -> list[tuple[str, str, int, str]]:
    return [(change.actor, change.change, change.version, change.id) for change in register.history()]


def test_a_folder_is_registered_and_is_what_runs(register: Register):
    """With who did it on record; starting again changes nothing."""
    assert 2 == follow_folder(register, written(text(), text("other")), NOW)
    assert 0 == follow_folder(register, written(text(), text("other")), NOW)

    assert {"tasks": 1, "other": 1} == runs(register)
    assert [("folder", "activated", 1, "tasks"), ("folder", "activated", 1, "other")] == told(register)


def test_a_file_that_changes_replaces_what_ran(register: Register):
    """Also when nobody gave it a new number, and when it goes back to what it was."""
    for most in (2, 3, 2):
        follow_folder(register, written(text(most=most)), NOW)

    assert [(), ("qualify.tasks: at least 2 -> at least 3",), ("qualify.tasks: at least 3 -> at least 2",)] == [
        change.diff for change in register.history()
    ]
    assert 1 == len(running(register, NOW).active.definitions)


def test_a_file_that_is_gone_is_retired(register: Register):
    """And comes back with its file."""
    follow_folder(register, written(text(), text("other")), NOW)
    follow_folder(register, written(text("other")), NOW)
    assert {"other": 1} == runs(register)

    follow_folder(register, written(text(), text("other")), NOW)
    assert {"tasks": 1, "other": 1} == runs(register)


def test_what_was_decided_by_command_outlasts_an_unchanged_file(register: Register):
    """A start does not bring back what was retired, nor the version before."""
    folder = written(text(), text("other"))
    follow_folder(register, folder, NOW)
    activate(register, *written(text(version=2, most=5)), BY)
    retire(register, "other", BY)
    follow_folder(register, folder, NOW)

    assert {"tasks": 2} == runs(register)


def test_a_changed_file_acts_once_more(register: Register):
    """The last who says something is heard."""
    follow_folder(register, written(text()), NOW)
    activate(register, *written(text(version=2, most=5)), BY)
    follow_folder(register, written(text(version=3, most=4)), NOW)

    assert {"tasks": 3} == runs(register)


def test_what_was_never_in_the_folder_is_left_alone_by_it(register: Register):
    """It came by command, and goes by command."""
    activate(register, *written(text("mine")), BY)
    follow_folder(register, written(text()), NOW)
    follow_folder(register, (), NOW)

    assert {"mine": 1} == runs(register)


def test_another_project_file_is_another_meaning(register: Register):
    """The zone of the days is part of what a definition says; and it is kept with the version."""
    daily = HEAD.format(id="days", version=1) + (
        "signals: {days: {active_days: any, within: 7 days}}\nqualify: {days: at least 3}\n"
    )
    follow_folder(register, written(daily, project="project: ours\ntimezone: Europe/Berlin"), NOW)
    follow_folder(register, written(daily, project="project: ours\ntimezone: Asia/Tokyo"), NOW)

    assert ("the project: time zone, lists of values or exclusion lists",) == register.history()[-1].diff
    (definition,) = running(register, NOW).active.definitions
    assert "Asia/Tokyo" == definition.uses[0].zone  # type: ignore[union-attr]
