"""Patience on the way: what the last decision bears is not decided anew, and the ledger is right all the same."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings

from assay.contract.times import DAY, HOUR, MINUTE, SECOND, parse_instant
from assay_collector.qualify.worker import REST_FACTOR, Qualifier
from qualify.house import House, opened
from qualify.stories import HISTORIES, NOW, catalogue_of
from qualify.test_whole_language_live import CATALOGUE, recount
from qualify.wire import Message, times

FEW = settings(max_examples=settings.default.max_examples // 10)
LATER = NOW + 6 * DAY
MANY = catalogue_of({"a-many": "signals: {made: {count: Made}}\nqualify: {made: at least 10}"})


@pytest.fixture(scope="module")
def built() -> Iterator[House]:
    with opened(CATALOGUE) as house:
        yield house


@pytest.fixture
def many() -> Iterator[House]:
    with opened(MANY) as house:
        yield house


def made(number: int, at: int) -> list[Message]:
    """So many events of the account, a second apart."""
    return times(number, "Made", at, "ada", apart=SECOND, account="acme")


def steps(house: House) -> list[tuple[str, str]]:
    return [(row.step, row.change) for row in house.ledger()]


@FEW
@given(history=HISTORIES)
def test_events_that_come_as_they_happen_end_in_what_a_recount_says(built: House, history: list[Message]):
    """Each is received and decided at its time; nothing that patience passed over is missing or in the wrong place."""
    # Their clocks are right, and nothing is of the future.
    told = [{**message, "sentAt": None} for message in history if parse_instant(message["timestamp"]) <= NOW]
    history = [{key: value for key, value in message.items() if value is not None} for message in told]
    built.clear()
    built.live_through(*history, until=NOW)

    assert recount(history, NOW) == built.standing()
    assert () == built.differences(NOW)
    built.decide(LATER)
    assert recount(history, LATER) == built.standing()


def test_what_a_decision_bears_is_not_read_again(many: House):
    """Nobody notices, until somebody has to look, that what was read before is gone."""
    for number, at in ((12, NOW), (1, NOW + MINUTE)):
        many.receive(made(number, at), now=at + MINUTE)
        many.decide(at + MINUTE)
    with many.store.database.transaction() as connection:
        connection.execute("DELETE FROM tallies")
    many.receive(made(1, NOW + 2 * MINUTE), now=NOW + 3 * MINUTE)
    many.decide(NOW + 3 * MINUTE)
    assert [("qualified", "new")] == steps(many)
    many.receive(made(1, NOW - 2 * HOUR), now=NOW + 4 * MINUTE)
    many.decide(NOW + 4 * MINUTE)

    assert [("qualified", "new"), ("qualified", "retracted")] == steps(many)


def test_the_event_that_turns_it_is_looked_at(many: House):
    """Nine are borne, the tenth is not, however often it was decided before."""
    for number in range(10):
        assert [] == steps(many)
        many.receive(made(1, NOW + number * MINUTE), now=NOW + number * MINUTE)
        many.decide(NOW + number * MINUTE)

    assert [("qualified", "new")] == steps(many)


def test_whoever_was_expensive_rests(many: House):
    """For so many times what the decision took; then what came meanwhile is decided at once. Others are not kept."""
    clock = Clock(SECOND)
    qualifier = Qualifier(many.store, MANY, notify=lambda transition, identifier: (), elapsed=clock)
    many.receive(made(1, NOW), now=NOW)
    assert 0 < qualifier.run_once(NOW)
    many.receive(made(9, NOW + 1), now=NOW + 10 * SECOND)

    assert 0 == qualifier.run_once(NOW + 10 * SECOND)
    assert 0 < qualifier.run_once(NOW + 10 * SECOND + REST_FACTOR * clock.total)
    assert [("qualified", "new")] == steps(many)


class Clock:
    """Computing time that is told, not measured: each look at it takes so many microseconds."""

    def __init__(self, step: int) -> None:
        self.step, self.total = step, 0

    def __call__(self) -> int:
        self.total += self.step
        return self.total
