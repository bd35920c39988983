"""Accounts that do, or do not quite, invite two teammates of whom one accepts."""

from collections.abc import Iterator
from dataclasses import replace

from examples.planboard.scenes.accounts import Recipe, plant_common
from examples.planboard.scenes.stage import Json, Kind, Plant, Stage, Team
from examples.planboard.world import COMPETITOR_DOMAINS, DAY, DISPOSABLE_DOMAINS, HOUR, MINUTE

ID = "team-invites"
HELD = 10 * MINUTE  # it counts only once it has been true for so long


def plant(stage: Stage) -> Iterator[Plant]:
    """Play every scene once."""
    for plant in _plants(stage):
        yield plant if plant.since is None else replace(plant, since=plant.since + HELD)


def _plants(stage: Stage) -> Iterator[Plant]:
    yield from plant_common(stage, RECIPE)
    for scene in (near_miss, duplicate, accepted_last, competitor, held):
        yield from scene(stage)


def _one_invited_and_accepted(stage: Stage, team: Team) -> None:
    invitee = stage.world.person(team.account.domain)
    invitation: Json = {"invitee_id": invitee.user_id, "invitee_domain": team.account.domain}
    stage.does(team.owner, "Teammate Invited", team.at + HOUR, invitation)
    # The invitation service speaks for the invitee, and names the account among the properties.
    accepted: Json = {"invitee_id": invitee.user_id, "groupId": team.account.account_id}
    stage.does(invitee, "Invite Accepted", team.at + 3 * HOUR, accepted)


RECIPE = Recipe(
    definition=ID,
    nearly=_one_invited_and_accepted,
    last_event="Teammate Invited",
    finish=20 * HOUR,
    spoilt={"invitee_id": 12345, "invitee_domain": "customer.example"},
    traits={},
)


def near_miss(stage: Stage) -> Iterator[Plant]:
    nobody_accepts = stage.founds(stage.start())
    for hours in (1, 2, 3):
        stage.does(nobody_accepts.owner, "Teammate Invited", nobody_accepts.at + hours * HOUR)
    yield RECIPE.plant(Kind.NEAR_MISS, nobody_accepts, qualifies=False)
    throw_away_address = RECIPE.team(stage)
    RECIPE.last_step(stage, throw_away_address.owner, throw_away_address, {"invitee_domain": DISPOSABLE_DOMAINS[0]})
    yield RECIPE.plant(Kind.NEAR_MISS, throw_away_address, qualifies=False)
    unknown_address = RECIPE.team(stage)
    invitation = {"invitee_id": stage.diary.thing_id("inv")}
    stage.diary.track(unknown_address.owner, "Teammate Invited", unknown_address.at + RECIPE.finish, invitation)
    yield RECIPE.plant(Kind.NEAR_MISS, unknown_address, qualifies=False)
    # The same teammate, reminded: two messages, one invitee.
    reminded = stage.founds(stage.start())
    invitation = stage.usual("Teammate Invited")
    for hours in (1, 20):
        stage.does(reminded.owner, "Teammate Invited", reminded.at + hours * HOUR, invitation)
    stage.does(reminded.owner, "Invite Accepted", reminded.at + 22 * HOUR)
    yield RECIPE.plant(Kind.NEAR_MISS, reminded, qualifies=False)


def duplicate(stage: Stage) -> Iterator[Plant]:
    team = stage.founds(stage.start())
    stage.does(team.owner, "Teammate Invited", team.at + HOUR, twice=True)
    stage.does(team.owner, "Invite Accepted", team.at + 2 * HOUR, twice=True)
    yield RECIPE.plant(Kind.DUPLICATE, team, qualifies=False)


def accepted_last(stage: Stage) -> Iterator[Plant]:
    team = stage.founds(stage.start())
    for hours in (1, 2, 3):
        stage.does(team.owner, "Teammate Invited", team.at + hours * HOUR)
    stage.does(team.owner, "Invite Accepted", team.at + 9 * DAY, {"groupId": team.account.account_id})
    yield Plant(ID, Kind.QUALIFIES, team.entity, team.at + 9 * DAY)


def competitor(stage: Stage) -> Iterator[Plant]:
    # This definition does not exclude competitors.
    team = RECIPE.team(stage, domain=COMPETITOR_DOMAINS[1])
    RECIPE.last_step(stage, team.owner, team)
    yield RECIPE.plant(Kind.QUALIFIES, team, qualifies=True)


def held(stage: Stage) -> Iterator[Plant]:
    # More of the same while it is being waited for moves nothing.
    team = RECIPE.team(stage)
    RECIPE.last_step(stage, team.owner, team)
    for minutes in (1, 5, 9):
        stage.does(team.owner, "Teammate Invited", team.at + RECIPE.finish + minutes * MINUTE)
    yield RECIPE.plant(Kind.QUALIFIES, team, qualifies=True)
