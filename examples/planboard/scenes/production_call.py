"""Accounts that do, or do not quite, make one successful API call from production."""

from collections.abc import Iterator

from examples.planboard.messages import SCHEMA_VIOLATION
from examples.planboard.scenes.accounts import Recipe, plant_common
from examples.planboard.scenes.stage import Json, Kind, Plant, Stage, Team
from examples.planboard.world import DAY, HOUR

ID = "production-call"


def plant(stage: Stage) -> Iterator[Plant]:
    """Play every scene once."""
    yield from plant_common(stage, RECIPE)
    for scene in (near_miss, ends_of_the_range, duplicate, late, backend, old_client):
        yield from scene(stage)


def _tries_in_development(stage: Stage, team: Team) -> None:
    for minutes, status in ((10, 401), (20, 200), (30, 201)):
        stage.does(team.owner, "API Called", team.at + minutes * HOUR // 60, {"env": "development", "status": status})


RECIPE = Recipe(
    definition=ID,
    nearly=_tries_in_development,
    last_event="API Called",
    finish=20 * HOUR,
    spoilt={"env": "production", "status": "200"},
    traits={},
)


def near_miss(stage: Stage) -> Iterator[Plant]:
    team = RECIPE.team(stage)
    calls = (("production", 199), ("production", 300), ("production", 500), ("staging", 200))
    for hours, (env, status) in enumerate(calls):
        stage.does(team.owner, "API Called", team.at + hours * HOUR, {"env": env, "status": status})
    yield RECIPE.plant(Kind.NEAR_MISS, team, qualifies=False)


def ends_of_the_range(stage: Stage) -> Iterator[Plant]:
    for status in (200, 299):
        team = RECIPE.team(stage)
        stage.does(team.owner, "API Called", team.at + RECIPE.finish, {"status": status})
        yield RECIPE.plant(Kind.QUALIFIES, team, qualifies=True)


def duplicate(stage: Stage) -> Iterator[Plant]:
    # One call is enough, so a copy could only qualify wrongly if it were counted without its conditions.
    team = RECIPE.team(stage)
    stage.does(team.owner, "API Called", team.at + HOUR, {"env": "staging"}, twice=True)
    yield RECIPE.plant(Kind.DUPLICATE, team, qualifies=False)
    team = RECIPE.team(stage)
    RECIPE.last_step(stage, team.owner, team, twice=True)
    yield RECIPE.plant(Kind.DUPLICATE, team, qualifies=True)


def late(stage: Stage) -> Iterator[Plant]:
    # A second call is heard of first.
    team = RECIPE.team(stage)
    stage.does(team.owner, "API Called", team.at + 3 * DAY)
    RECIPE.last_step(stage, team.owner, team, late=True)
    yield RECIPE.plant(Kind.LATE, team, qualifies=True)


def backend(stage: Stage) -> Iterator[Plant]:
    # A server names the account among the properties, and what called it.
    team = RECIPE.team(stage)
    server = stage.world.person(team.account.domain)
    call: Json = {"language": "python", "framework": "flask", "channel": "sdk", "groupId": team.account.account_id}
    RECIPE.last_step(stage, server, team, call)
    yield RECIPE.plant(Kind.PLACE, team, qualifies=True)


def old_client(stage: Stage) -> Iterator[Plant]:
    # An old client sends the first version of the event, and says so.
    team = RECIPE.team(stage)
    RECIPE.last_step(stage, team.owner, team, schema_version="1-0-0")
    yield RECIPE.plant(Kind.QUALIFIES, team, qualifies=True)
    # What only the newer version knows fails the older one.
    team = RECIPE.team(stage)
    newer = stage.usual("API Called") | {"language": "go"}
    stage.diary.track(
        team.owner, "API Called", team.at + RECIPE.finish, newer, schema_version="1-0-0", bad=SCHEMA_VIOLATION
    )
    yield RECIPE.plant(Kind.BAD, team, qualifies=False)
