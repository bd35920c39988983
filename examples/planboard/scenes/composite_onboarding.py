"""Users who do, or do not quite, end the onboarding, create two projects and invite somebody; and practitioners."""

from collections.abc import Iterator
from typing import Unpack

from examples.planboard.messages import How
from examples.planboard.scenes.stage import Kind, Plant, Stage, user
from examples.planboard.scenes.users import DOMAIN, Steps, plant_users
from examples.planboard.world import DAY, HOUR, MINUTE, Person

ID = "composite-onboarding"
WINDOW = 7 * DAY


def plant(stage: Stage) -> Iterator[Plant]:
    """Play every scene once."""
    yield from plant_users(stage, STEPS)
    for scene in (near_miss, practitioners, edge_start, edge_end, changes_role):
        yield from scene(stage)


def _one_project_short(stage: Stage, person: Person, at: int) -> None:
    stage.does(person, "Onboarding Completed", at + HOUR)
    stage.does(person, "Teammate Invited", at + 2 * HOUR)
    stage.does(person, "Project Created", at + 3 * HOUR)


STEPS = Steps(
    definition=ID,
    nearly=_one_project_short,
    last_event="Project Created",
    last_properties={},
    finish=2 * DAY,
    spoilt={"template": "kanban"},
)


def near_miss(stage: Stage) -> Iterator[Plant]:
    # One project, told twice.
    at = stage.start()
    person = stage.signs_up(at, DOMAIN)
    project = stage.usual("Project Created")
    for hours in (1, 2):
        stage.does(person, "Project Created", at + hours * HOUR, project)
    stage.does(person, "Onboarding Completed", at + 3 * HOUR)
    stage.does(person, "Teammate Invited", at + 4 * HOUR)
    yield STEPS.plant(Kind.NEAR_MISS, person, at, qualifies=False)


def _practitioner(stage: Stage, at: int, **how: Unpack[How]) -> Person:
    """Onboarded and with somebody invited; Feature X is still to be used twice."""
    person = stage.signs_up(at, DOMAIN, role="practitioner", **how)
    stage.does(person, "Onboarding Completed", at + HOUR)
    stage.does(person, "Teammate Invited", at + 2 * HOUR)
    return person


def practitioners(stage: Stage) -> Iterator[Plant]:
    at = stage.start()
    person = _practitioner(stage, at)
    for days in (1, 3):
        stage.does(person, "Feature X Used", at + days * DAY)
    yield Plant(ID, Kind.VARIANT, user(person), at + 3 * DAY)
    # The others' path is not theirs.
    person = _practitioner(stage, at)
    for days in (1, 3):
        stage.does(person, "Project Created", at + days * DAY)
    yield Plant(ID, Kind.VARIANT, user(person), None)


def edge_start(stage: Stage) -> Iterator[Plant]:
    for offset, qualifies in ((0, True), (-1, False)):
        at = stage.start()
        person = _practitioner(stage, at, exact=True)
        stage.does(person, "Feature X Used", at + offset, exact=True)
        stage.does(person, "Feature X Used", at + DAY, exact=True)
        yield Plant(ID, Kind.EDGE_START, user(person), at + DAY if qualifies else None)


def edge_end(stage: Stage) -> Iterator[Plant]:
    for offset, qualifies in ((-1, True), (0, False)):
        at = stage.start()
        person = _practitioner(stage, at, exact=True)
        stage.does(person, "Feature X Used", at + DAY, exact=True)
        stage.does(person, "Feature X Used", at + WINDOW + offset, exact=True)
        yield Plant(ID, Kind.EDGE_END, user(person), at + WINDOW + offset if qualifies else None)


def changes_role(stage: Stage) -> Iterator[Plant]:
    # Qualified as everybody is, then known for a practitioner who has not used Feature X: it ends then, for good.
    at = stage.start()
    person = STEPS.person(stage, at)
    STEPS.last_step(stage, person, at)
    stage.diary.identify(person, at + 9 * DAY, {"role": "practitioner"}, ids="user")
    stage.diary.identify(person, at + 12 * DAY + MINUTE, {"role": "member"}, ids="user")
    yield Plant(ID, Kind.VARIANT, user(person), at + STEPS.finish, at + 9 * DAY)
