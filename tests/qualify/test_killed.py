"""A collector that is killed at any statement, and started again, leaves the ledger as if nothing had happened."""

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay_collector.pql.ledger import Transition
from assay_collector.qualify.worker import Qualifier
from assay_collector.store import Identifier, OutboxMessage
from qualify.house import House
from qualify.stories import CATALOGUE, HISTORIES, NOW
from qualify.wire import Message

_FAST = Path("/dev/shm")
BATCH = 4
# Opening takes some sixty statements; a whole run of so few messages about three hundred.
STATEMENTS = 300
SHORT = HISTORIES.map(lambda history: history[:8])

Left = tuple[list[Transition], list[str]]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """With an empty database, made once."""
    with TemporaryDirectory(dir=_FAST if _FAST.is_dir() else None) as name:
        (Path(name) / "empty").mkdir()
        House(Path(name) / "empty", CATALOGUE).store.close()
        yield Path(name)


@given(history=SHORT, deaths=st.lists(st.integers(1, STATEMENTS), min_size=1, max_size=2))
def test_killed_at_any_statement_and_tried_again(folder: Path, history: list[Message], deaths: list[int]):
    """Every line is in the ledger once, every announcement has been written once, and both are the same to the byte."""
    expected = left_by(folder, "whole", lambda path: live(path, history))
    for number, statement in enumerate(deaths):
        copy(folder, "empty" if number == 0 else "killed", "killed")
        in_a_process(lambda statement=statement: die_at(statement, lambda: live(folder / "killed", history)))
    live(folder / "killed", history)

    assert expected == left_in(folder / "killed")
    assert len(set(expected[1])) == len(expected[1])


@pytest.mark.parametrize("death", [1, 30, 61])
def test_a_process_really_dies(folder: Path, death: int):
    """Killed, by the signal that nobody can catch; or nothing would be shown above."""
    copy(folder, "empty", "killed")
    status = in_a_process(lambda: die_at(death, lambda: live(folder / "killed", [])))

    assert signal.SIGKILL == os.WTERMSIG(status)


def live(path: Path, history: Sequence[Message]) -> None:
    """Receive everything, batch by batch, and decide now and then; whoever gets no answer sends again."""
    house = House(path, CATALOGUE)
    qualifier = Qualifier(house.store, CATALOGUE, notify=announce)
    for start in range(0, len(history), BATCH):
        house.receive(history[start : start + BATCH], now=NOW)
    while qualifier.run_once(NOW):
        pass
    house.store.close()


def announce(transition: Transition, identifier: Identifier | None) -> tuple[OutboxMessage, ...]:
    """One message a line of the ledger, by a key of its own."""
    line = (transition.definition, transition.entity.hex(), transition.episode, transition.step, transition.revision)
    key = "/".join(map(str, line))
    return (OutboxMessage(key, "crm", transition.entity, f"pql.{transition.step}", b"{}", transition.recorded_at),)


# --- what is left ----------------------------------------------------------------------------------------------------


def left_by(folder: Path, name: str, run: Callable[[Path], None]) -> Left:
    """What a run from an empty database leaves."""
    copy(folder, "empty", name)
    run(folder / name)
    return left_in(folder / name)


def left_in(path: Path) -> Left:
    """The whole ledger, and the key of every announcement ever written."""
    house = House(path, CATALOGUE)
    try:
        with house.store.database.reading() as connection:
            keys = [key for (key,) in connection.execute("SELECT message_id FROM outbox ORDER BY message_id")]
        return house.ledger(), keys
    finally:
        house.store.close()


def copy(folder: Path, source: str, target: str) -> None:
    if source != target:
        shutil.rmtree(folder / target, ignore_errors=True)
        shutil.copytree(folder / source, folder / target)


# --- dying -----------------------------------------------------------------------------------------------------------


def in_a_process(run: Callable[[], None]) -> int:
    """Run in a process of its own, and say how it ended."""
    child = os.fork()
    if child == 0:
        try:
            run()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


def die_at(statement: int, run: Callable[[], None]) -> None:
    """Run, and be killed as soon as SQLite begins its so many-th statement, on whichever connection."""
    left = statement

    def count(_: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    class Traced(sqlite3.Connection):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.set_trace_callback(count)

    connect = sqlite3.connect
    sqlite3.connect = lambda *arguments, **named: connect(*arguments, **{"factory": Traced, **named})  # type: ignore[assignment]
    run()
