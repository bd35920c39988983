"""Accounts that do, or do not quite, reach three of seven first-value steps within 14 days of signing up."""

from collections.abc import Iterator

from examples.planboard.scenes.accounts import Recipe, plant_common
from examples.planboard.scenes.stage import Kind, Plant, Stage, Team
from examples.planboard.world import DAY, HOUR

ID = "workspace-activated"
WINDOW = 14 * DAY


def plant(stage: Stage) -> Iterator[Plant]:
    """Play every scene once."""
    yield from plant_common(stage, RECIPE)
    for scene in (all_seven, near_miss, edge_start, edge_end, duplicate, late_sign_up):
        yield from scene(stage)


def _two_of_seven(stage: Stage, team: Team) -> None:
    """Signed up and two documents; one asset and one task short of two more."""
    for hours in (1, 2):
        for event in ("Document Created", "Asset Uploaded", "Task Added"):
            stage.does(team.owner, event, team.at + hours * HOUR)


RECIPE = Recipe(
    definition=ID,
    nearly=_two_of_seven,
    last_event="Calendar Created",
    finish=40 * HOUR,
    spoilt={},
    traits={},
)


def all_seven(stage: Stage) -> Iterator[Plant]:
    team = RECIPE.team(stage)
    stage.does(team.owner, "Asset Uploaded", team.at + 3 * HOUR)  # the third criterion
    for event in ("Task Added", "Member Invited", "Document Shared", "Calendar Created"):
        stage.does(team.owner, event, team.at + 5 * DAY)
    yield Plant(ID, Kind.QUALIFIES, team.entity, team.at + 3 * HOUR)


def near_miss(stage: Stage) -> Iterator[Plant]:
    # Everything, but by an account whose sign-up nobody has seen: no window, so nothing to count.
    owner = stage.world.person("early.example")
    team = Team(stage.world.account(), owner, stage.start())
    stage.diary.identify(owner, team.at)
    stage.diary.group(owner, team.account, team.at, team.account.traits())
    _two_of_seven(stage, team)
    for event in ("Task Added", "Member Invited", "Document Shared", "Calendar Created"):
        stage.does(owner, event, team.at + 5 * DAY)
    yield Plant(ID, Kind.NEAR_MISS, team.entity, None)


def edge_start(stage: Stage) -> Iterator[Plant]:
    inside = stage.founds(stage.start(), exact=True)
    stage.does(inside.owner, "Calendar Created", inside.at, exact=True)
    stage.does(inside.owner, "Document Shared", inside.at, exact=True)
    yield Plant(ID, Kind.EDGE_START, inside.entity, inside.at)
    outside = stage.founds(stage.start(), exact=True)
    stage.does(outside.owner, "Calendar Created", outside.at - 1, exact=True)
    stage.does(outside.owner, "Document Shared", outside.at, exact=True)
    yield Plant(ID, Kind.EDGE_START, outside.entity, None)


def edge_end(stage: Stage) -> Iterator[Plant]:
    for offset, qualifies in ((-1, True), (0, False)):
        team = stage.founds(stage.start(), exact=True)
        _two_of_seven(stage, team)
        end = team.at + WINDOW + offset
        stage.does(team.owner, "Document Shared", end, exact=True)
        yield Plant(ID, Kind.EDGE_END, team.entity, end if qualifies else None)


def duplicate(stage: Stage) -> Iterator[Plant]:
    team = stage.founds(stage.start())
    for hours, event in enumerate(("Document Created", "Document Shared"), start=1):
        stage.does(team.owner, event, team.at + hours * HOUR, twice=True)
    for event in ("Asset Uploaded", "Task Added"):
        stage.does(team.owner, event, team.at + 4 * HOUR)
        stage.does(team.owner, event, team.at + 5 * HOUR, twice=True)
    yield Plant(ID, Kind.DUPLICATE, team.entity, None)


def late_sign_up(stage: Stage) -> Iterator[Plant]:
    # The first sign-up of the account arrives last and moves its window two days back: what lay in it falls out.
    team = stage.founds(stage.start(), late=True)
    _two_of_seven(stage, team)
    partner = stage.joins(team, team.at + 2 * DAY - HOUR)
    stage.does(partner, "Account Created", team.at + 2 * DAY)
    stage.does(partner, "Document Created", team.at + 3 * DAY)
    stage.does(partner, "Document Created", team.at + 3 * DAY + HOUR)
    stage.does(partner, "Calendar Created", team.at + 15 * DAY)
    yield Plant(ID, Kind.LATE, team.entity, None)
