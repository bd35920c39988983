"""Simulating a definition: over the whole history of a store, with the evaluator that runs live."""

from collections.abc import Iterator
from typing import Any

import pytest
from examples.planboard import DEFAULT_NOW, Faults, Message, Simulation, build
from examples.planboard.messages import write_instant

from assay_collector.pql.definition import Catalogue, Definition
from assay_collector.pql.ledger import Transition, standing
from assay_collector.pql.lifecycle import Moment
from assay_collector.qualify.planning import Share, simulate
from qualify import planboard
from qualify.house import House, opened

NOBODY = Catalogue()


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    """The simulated product's three months, with every fault knob on."""
    return build(seed=11, scale=0.2, faults=Faults.every())


@pytest.fixture(scope="module")
def live(simulation: Simulation) -> Iterator[House]:
    """Where everything was decided as it came."""
    with opened(planboard.catalogue(), planboard.plan()) as house:
        receive(house, simulation)
        yield house


@pytest.fixture(scope="module")
def silent(simulation: Simulation) -> Iterator[House]:
    """Where the same came, and no definition was known."""
    with opened(NOBODY, planboard.plan()) as house:
        receive(house, simulation)
        yield house


def receive(house: House, simulation: Simulation) -> None:
    for start in range(0, len(simulation.messages), 200):
        house.receive([as_sent(message) for message in simulation.messages[start : start + 200]], now=DEFAULT_NOW)
        house.decide(DEFAULT_NOW)


def as_sent(message: Message) -> dict[str, Any]:
    """A device whose clock is off says so by its `sentAt`."""
    sent_at = {"sentAt": write_instant(DEFAULT_NOW + message.skew)} if message.skew else {}
    return {**message.body, **sent_at}


def said_live(house: House, definition: str) -> dict[bytes, set[Moment]]:
    """Every step that stands in the ledger."""
    rows: dict[bytes, list[Transition]] = {}
    for row in house.ledger():
        if row.definition == definition:
            rows.setdefault(row.entity, []).append(row)
    said = {
        entity: {Moment(episode, step, row.effective_at) for (episode, step), row in standing(found).items()}
        for entity, found in rows.items()
    }
    return {entity: steps for entity, steps in said.items() if steps}


@pytest.mark.parametrize("definition", planboard.catalogue().definitions, ids=lambda definition: definition.id)
@pytest.mark.parametrize("where", ["live", "silent"])
def test_plan_and_live_agree_on_the_whole_history(
    request: pytest.FixtureRequest, live: House, where: str, definition: Definition
):
    """Everybody's every step, at its instant, with every fault; whether its signals were tallied or are all new."""
    planned: House = request.getfixturevalue(where)
    before = planned.tallies()
    found = simulate(planned.store, definition, planboard.catalogue().project, now=DEFAULT_NOW)
    expected = said_live(live, definition.id)

    assert expected
    assert expected == {entity: set(moments) for entity, moments in found.moments.items()}
    assert ((0, 0) if where == "live" else (len(definition.signals), planned.store.events.position())) == (
        found.backfill.signals,
        found.backfill.events,
    )
    assert (set(), set()) == (found.enters, found.leaves) or where == "silent"
    assert before == planned.tallies()


@pytest.mark.parametrize(
    ("hits", "of", "expected"),
    [(45, 300, (0.11403, 0.19482)), (3, 10, (0.10779, 0.60322)), (0, 25, (0.0, 0.13319)), (25, 25, (0.86681, 1.0))],
)
def test_a_share_of_few_says_little(hits: int, of: int, expected: tuple[float, float]):
    """Wilson's interval, as SciPy computes it."""
    assert expected == pytest.approx(Share(hits, of).interval, abs=5e-6)
    assert None is Share(0, 0).interval
