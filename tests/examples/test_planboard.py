"""The simulated product: the same for the same seed, true to its plan, and with every kind of fate planted."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from examples.planboard import DEFAULT_NOW, DEFINITIONS, Entity, Faults, Message, Simulation, build
from examples.planboard.scenes import Kind
from examples.planboard.truth import Episode
from examples.planboard.world import SECOND

from assay.contract.plan import Outcome, Plan, Verdict
from assay.plans import load_plan

PLANBOARD = Path(__file__).parents[2] / "schemas" / "planboard"
SMALL = 0.1

EVERYWHERE = {
    Kind.QUALIFIES,
    Kind.NEAR_MISS,
    Kind.DUPLICATE,
    Kind.LATE,
    Kind.EXCLUDED,
    Kind.DENIED,
    Kind.ANONYMOUS,
    Kind.BAD,
}
EDGES = {Kind.EDGE_START, Kind.EDGE_END}
PLANTED = {
    "trial-activation": EVERYWHERE | EDGES,
    "team-invites": EVERYWHERE,
    "production-call": EVERYWHERE,
    "team-messaging-depth": EVERYWHERE,
    "workspace-activated": EVERYWHERE | EDGES,
    "trial-high-intent": EVERYWHERE | EDGES | {Kind.ELIGIBLE, Kind.OPEN},
    "composite-onboarding": EVERYWHERE | EDGES | {Kind.VARIANT},
    "storage-upgrade": EVERYWHERE,
}


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return build(scale=SMALL, faults=Faults.every())


@pytest.fixture(scope="module")
def plan() -> Plan:
    return load_plan(PLANBOARD / "plan")


def sent(simulation: Simulation) -> list[dict[str, Any]]:
    return [dict(message.body) for message in simulation.messages]


def verdict(plan: Plan, message: Message) -> Verdict:
    body = message.body
    name = body.get("event") if body["type"] == "track" else body.get("name") if body["type"] == "page" else None
    stated = body["traits"] if body["type"] in ("identify", "group") else body["properties"]
    return plan.verdict(body["type"], name, stated, body.get("context", {}).get("schemaVersion"))


# --- the same, or not ---


def test_a_seed_gives_the_same_simulation() -> None:
    """Two builds with the same arguments agree in every message, its order and the truth."""
    one, other = build(3, SMALL), build(3, SMALL)

    assert sent(one) == sent(other)
    assert one.truth == other.truth
    assert one.expected_counts == other.expected_counts


def test_another_seed_shares_nobody() -> None:
    """Two seeds have no message, user or account in common, so both may be sent to one collector."""

    def ids(simulation: Simulation, key: str) -> set[str]:
        return {body[key] for body in sent(simulation) if key in body}

    one, other = build(3, SMALL), build(4, SMALL)

    for key in ("messageId", "userId", "anonymousId", "groupId"):
        assert set() == ids(one, key) & ids(other, key)


def test_a_larger_scale_has_more_of_everything() -> None:
    """At twice the scale there are about twice the messages and scenes, and the default is a demo's worth."""
    one, two = build(scale=1), build(scale=2)

    assert 6_000 <= one.expected_counts.sent <= 11_000
    assert 1.6 < two.expected_counts.sent / one.expected_counts.sent < 2.4
    assert 2 * len(one.plants) == len(two.plants)


@pytest.mark.parametrize(
    "faults",
    [
        Faults(denied_consent=0, bots=0),
        Faults(duplicates=1, lateness=0.5, disorder=1, clock_skew=0, bad_events=0.3, denied_consent=0, bots=0),
        Faults(clock_skew=0.5, disorder=1, denied_consent=0, bots=0),
    ],
    ids=["some", "delivery", "clocks"],
)
def test_faults_of_delivery_change_no_truth(faults: Faults) -> None:
    """However messages are repeated, held back, mixed or accompanied by bad ones, the same entities qualify."""
    assert build(5, SMALL, faults=Faults.none()).truth == build(5, SMALL, faults=faults).truth


def test_everything_has_happened_before_now(simulation: Simulation) -> None:
    """No message lies in the future of the `now` that was passed in, even by a wrong clock."""
    latest = max(message.at + max(message.skew, 0) for message in simulation.messages)

    assert latest < DEFAULT_NOW


def test_the_order_of_delivery_is_not_that_of_the_events(simulation: Simulation) -> None:
    """With every knob on, about half of all neighbours arrive in the wrong order."""
    times = [message.at for message in simulation.messages]
    wrong = sum(later < earlier for earlier, later in pairwise(times))

    assert 0.4 < wrong / len(times) < 0.6


def test_late_messages_come_last() -> None:
    """Without the knob for lateness, what the scenes need late arrives after all the rest."""
    order = [message.late for message in build(scale=SMALL, faults=Faults.none()).messages]

    assert sorted(order) == order
    assert any(order)


# --- true to the plan ---


def test_good_messages_pass_the_plan(simulation: Simulation, plan: Plan) -> None:
    """Every message that is not meant to be bad is planned and valid."""
    failing = [m.body for m in simulation.messages if m.bad is None and not verdict(plan, m).is_valid]

    assert [] == failing


def test_bad_messages_fail_as_they_say(simulation: Simulation, plan: Plan) -> None:
    """Messages marked as violations or as unplanned are just that."""
    outcomes = {(m.bad, verdict(plan, m).outcome) for m in simulation.messages if m.bad}

    assert ("schema_violation", Outcome.INVALID) in outcomes
    assert ("unplanned_event", Outcome.UNPLANNED) in outcomes
    assert {Outcome.INVALID} == {outcome for bad, outcome in outcomes if bad == "schema_violation"}
    assert {Outcome.UNPLANNED} == {outcome for bad, outcome in outcomes if bad == "unplanned_event"}


def test_the_plan_has_every_event_of_the_definitions(plan: Plan) -> None:
    """Every event that a definition counts, opens a window with or predicts is in the plan."""
    planned = {name for kind, name in plan.schemas if kind == "track"}
    for definition in definitions().values():
        counting = ("count", "distinct", "last")
        counted = {signal[key] for signal in definition["signals"].values() for key in counting if key in signal}
        counted.add(definition["predicts"]["event"])
        counted.update(definition["window"].split(" of ")[1:] if "window" in definition else ())

        assert set() == counted - planned


def test_the_simulation_uses_most_of_the_plan(simulation: Simulation, plan: Plan) -> None:
    """Old versions and deprecated events occur, and more than half of the planned events do."""
    used = {m.body["event"] for m in simulation.messages if m.bad is None and m.body["type"] == "track"}
    planned = {name for kind, name in plan.schemas if kind == "track"}

    assert set() == used - planned
    assert 2 * len(used) > len(planned)
    assert any(m.body.get("context", {}).get("schemaVersion") == "1-0-0" for m in simulation.messages)


def definitions() -> dict[str, Any]:
    files = sorted((PLANBOARD / "definitions").glob("*.yaml"))
    return {file.stem: yaml.safe_load(file.read_text("utf-8")) for file in files if file.stem != "project"}


def test_the_truth_knows_the_definitions() -> None:
    """The hand-written truth and the definitions' files speak of the same eight, each for the same kind of entity."""
    described = {name: definition["pql"] for name, definition in definitions().items()}

    assert dict(DEFINITIONS) == {name: pql["entity"] for name, pql in described.items()}
    assert list(described) == [pql["id"] for pql in described.values()]


def test_the_definitions_are_the_worked_ones() -> None:
    """Word for word; only the titles above them may be shorter."""
    worked = {f.stem.partition("-")[2]: f for f in (PLANBOARD.parent / "worked").glob("[0-9]*.yaml")}

    for name, definition in definitions().items():
        assert yaml.safe_load(worked[name].read_text("utf-8")) == definition


# --- planted ---


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_every_kind_is_planted(simulation: Simulation, definition: str) -> None:
    """Each definition has entities of every kind that it can have."""
    kinds = {plant.kind for plant in simulation.plants if plant.definition == definition}

    assert set() == PLANTED[definition] - kinds


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_the_recount_meets_what_was_planted(simulation: Simulation, definition: str) -> None:
    """What was worked out by hand for each scene is what the recount over all messages says."""
    planted = [plant for plant in simulation.plants if plant.definition == definition]

    courses = simulation.courses[definition]
    expected = [(plant.kind, plant.entity, _ended(plant.since, plant.until)) for plant in planted]
    actual = [(plant.kind, plant.entity, (courses.get(plant.entity) or [None])[0]) for plant in planted]
    assert expected == actual
    assert {True, False} == {plant.since is None for plant in planted}


def _ended(since: int | None, until: int | None) -> Episode | None:
    """A first qualification as it stands now."""
    return None if since is None else Episode(since, until if until is not None and until <= DEFAULT_NOW else None)


def test_what_expires_may_begin_again() -> None:
    """Asked a year later, a trial qualified three times more, 104 days apart, and lasted 14 days each time."""
    year = 365 * 24 * 3600 * SECOND
    courses = build(scale=SMALL, faults=Faults.none(), as_of=DEFAULT_NOW + year).courses["trial-high-intent"]
    episodes = next(each for each in courses.values() if len(each) == 4)

    assert {104 * 24 * 3600 * SECOND} == {later.since - earlier.since for earlier, later in pairwise(episodes)}
    assert {14 * 24 * 3600 * SECOND} == {e.until - e.since for e in episodes if e.until is not None}


def test_the_background_qualifies_too() -> None:
    """Ordinary accounts without a planted fate qualify for each definition within reach of a few weeks."""
    simulation = build(scale=1)
    planted = {(plant.definition, plant.entity) for plant in simulation.plants}
    unplanned = Counter(
        definition
        for definition, found in simulation.courses.items()
        for entity in found
        if (definition, entity) not in planted
    )

    within_reach = {"trial-activation", "team-invites", "production-call", "workspace-activated"}
    assert within_reach | {"composite-onboarding"} <= set(unplanned)


# --- counts and comparison ---


def test_everything_sent_is_accounted_for(simulation: Simulation) -> None:
    """What is sent is stored, or a duplicate, or in quarantine."""
    counts = simulation.expected_counts

    assert len(simulation.messages) == counts.sent
    assert counts.sent == counts.stored + counts.duplicates + sum(counts.quarantined.values())
    assert {"schema_violation", "unplanned_event", "no_user_anon_id", "event_too_large"} == set(counts.quarantined)


def test_copies_are_true_copies(simulation: Simulation) -> None:
    """A message id never stands for two different messages."""
    bodies: dict[str, Any] = {}

    assert all(body == bodies.setdefault(body["messageId"], body) for body in sent(simulation))


def test_only_what_the_sdk_can_send_goes_through_it(simulation: Simulation) -> None:
    """Bad messages, wrong clocks and times finer than a millisecond go over plain HTTP."""
    through_sdk = [message for message in simulation.messages if message.via == "sdk"]

    assert 0.5 < len(through_sdk) / len(simulation.messages)
    assert not any(message.bad or message.skew or message.exact or message.at % 1000 for message in through_sdk)


def test_the_truth_differs_from_itself_nowhere(simulation: Simulation) -> None:
    """What qualifies as it should is no difference, also at the latest that a repaired clock allows."""
    assert [] == simulation.differences(simulation.truth)
    assert [] == simulation.differences(simulation.truth_at_latest)


def test_differences_are_told_apart() -> None:
    """A missing, an unexpected and a moved qualification each get a sentence that names entity and time."""
    simulation = build(scale=SMALL, faults=Faults.none())
    stranger = Entity("account", "nobody")
    found = {definition: dict(entities) for definition, entities in simulation.truth.items()}
    missing, moved = sorted(found["team-invites"])[:2]
    del found["team-invites"][missing]
    found["team-invites"][moved] += SECOND
    found["trial-high-intent"][stranger] = DEFAULT_NOW

    differences = simulation.differences(found)
    assert 3 == len(differences)
    assert f"team-invites: {missing} should qualify at" in differences[0]
    assert str(moved) in differences[1]
    assert "trial-high-intent: account:nobody should not qualify and does, at 2026-03-31T00:00:00Z" == differences[2]
