"""The simulated product with every fault knob on: the leads are the planted truth, in any order of delivery."""

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from random import Random
from typing import Any

import pytest
from examples.planboard import DEFAULT_NOW, DEFINITIONS, Entity, Faults, Message, Simulation, build
from examples.planboard.messages import write_instant

from assay.contract.times import HOUR
from assay_collector.store import Counts
from qualify.house import House, opened
from qualify.planboard import catalogue, plan

RECEIVED_AT = DEFAULT_NOW + HOUR
BATCH = 100

ORDERS: dict[str, Callable[[Sequence[Message]], list[Message]]] = {
    "as delivered": list,
    "backwards": lambda messages: list(reversed(messages)),
    "shuffled": lambda messages: Random(1).sample(messages, len(messages)),
}


SEEDS = (7, 8, 9)
# Each seed in an order of its own; a long run has all of them in every order.
RUNS = list(product(SEEDS, ORDERS)) if "ASSAY_SOAK" in os.environ else list(zip(SEEDS, ORDERS, strict=True))


@pytest.fixture(scope="module")
def door() -> Iterator[House]:
    with opened(catalogue(), plan()) as house:
        yield house


@pytest.mark.soak
@pytest.mark.parametrize(("seed", "order"), RUNS)
def test_the_leads_are_the_planted_truth(door: House, seed: int, order: str):
    """Duplicates, lateness, disorder, wrong clocks, bots, refusals and bad events; decided now and then on the way."""
    simulation = build(seed, scale=0.1, faults=Faults.every())
    door.clear()
    messages = [_sent(message) for message in ORDERS[order](simulation.messages)]
    for start in range(0, len(messages), BATCH):
        door.receive(messages[start : start + BATCH], now=RECEIVED_AT)
        if start % (20 * BATCH) == 0:
            door.decide(RECEIVED_AT)
    door.decide(RECEIVED_AT)

    assert [] == simulation.differences(_leads(door))
    assert _ended(simulation) == {key: ends for key, ends in _ended_in(door).items() if key in _ended(simulation)}
    assert _ended(simulation).keys() == _ended_in(door).keys()
    assert _expected(simulation) == door.store.events.counts()
    assert () == door.differences(RECEIVED_AT)


def _sent(message: Message) -> dict[str, Any]:
    """As its device sends it; a device whose clock is off stamps it by that clock."""
    stamp = {"sentAt": write_instant(RECEIVED_AT + message.skew)} if message.skew else {}
    return {**message.body, **stamp}


def _leads(house: House) -> dict[str, dict[Entity, int]]:
    return {
        definition: {Entity(kind, name): at for name, at in house.since(definition).items()}
        for definition, kind in DEFINITIONS.items()
    }


def _ended(simulation: Simulation) -> dict[tuple[str, Entity], list[tuple[int, int]]]:
    """Every qualification that has ended: (definition, who) -> since and until when."""
    return {
        (definition, entity): ends
        for definition, found in simulation.courses.items()
        for entity, episodes in found.items()
        if (ends := [(e.since, e.until) for e in episodes if e.until is not None])
    }


def _ended_in(house: House) -> dict[tuple[str, Entity], list[tuple[int, int]]]:
    found: dict[tuple[str, Entity], list[tuple[int, int]]] = {}
    for (definition, kind, name), steps in house.standing().items():
        for (episode, step), at in sorted(steps.items()):
            if step in ("exited", "expired", "converted"):
                since = steps[episode, "qualified"]
                found.setdefault((definition, Entity(kind, name)), []).append((since, at))
    return found


def _expected(simulation: Simulation) -> Counts:
    counts = simulation.expected_counts
    return Counts(stored=counts.stored, duplicates=counts.duplicates, conflicts=0, quarantined=dict(counts.quarantined))
