"""
The scenes that every account definition shares: all is done but the last step, and then the last step is done by
somebody, somehow, for whom or by which it must, or must not, count.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Unpack

from examples.planboard.messages import SCHEMA_VIOLATION, UNPLANNED, How
from examples.planboard.scenes.stage import Json, Kind, Plant, Stage, Team
from examples.planboard.world import DAY, HOUR, MINUTE, STAFF_DOMAIN, Person


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What it takes to qualify an account, short of the last step."""

    definition: str
    # The owner does everything but the last step, between the team's sign-up and `finish` later.
    nearly: Callable[[Stage, Team], None]
    # The event that completes it, and how long after sign-up it comes.
    last_event: str
    finish: int
    # Properties of the last event with which it fails the plan.
    spoilt: Json
    # What the account must be known by, besides the usual.
    traits: Json

    def team(self, stage: Stage, **account: Any) -> Team:
        """A new team that lacks the last step."""
        team = stage.founds(stage.start(), stage.world.account(**account), self.traits)
        self.nearly(stage, team)
        return team

    def last_step(
        self, stage: Stage, who: Person, team: Team, properties: Json | None = None, **how: Unpack[How]
    ) -> None:
        """Somebody does the last step, at the usual time."""
        stage.does(who, self.last_event, team.at + self.finish, properties, **how)

    def plant(self, kind: Kind, team: Team, *, qualifies: bool) -> Plant:
        """The team's fate: since the last step, or never."""
        return Plant(self.definition, kind, team.entity, team.at + self.finish if qualifies else None)


def plant_common(stage: Stage, recipe: Recipe) -> Iterator[Plant]:
    """Play every shared scene once."""
    for scene in SCENES:
        yield from scene(stage, recipe)


def qualifies(stage: Stage, recipe: Recipe) -> Iterator[Plant]:
    team = recipe.team(stage)
    recipe.last_step(stage, team.owner, team)
    yield recipe.plant(Kind.QUALIFIES, team, qualifies=True)
    # A colleague's step counts for the account as well.
    team = recipe.team(stage)
    recipe.last_step(stage, stage.joins(team, team.at + HOUR), team)
    yield recipe.plant(Kind.QUALIFIES, team, qualifies=True)


def near_miss(stage: Stage, recipe: Recipe) -> Iterator[Plant]:
    yield recipe.plant(Kind.NEAR_MISS, recipe.team(stage), qualifies=False)


def late(stage: Stage, recipe: Recipe) -> Iterator[Plant]:
    team = recipe.team(stage)
    recipe.last_step(stage, team.owner, team, late=True)
    yield recipe.plant(Kind.LATE, team, qualifies=True)
    # The step is there, but who did it, and for whom, comes last.
    team = recipe.team(stage)
    recipe.last_step(stage, stage.joins(team, team.at + HOUR, late=True), team)
    yield recipe.plant(Kind.LATE, team, qualifies=True)


def excluded(stage: Stage, recipe: Recipe) -> Iterator[Plant]:
    # Our own support does it for them.
    team = recipe.team(stage)
    support = stage.world.person(STAFF_DOMAIN)
    stage.diary.identify(support, team.at)
    recipe.last_step(stage, support, team, named=team.account)
    yield recipe.plant(Kind.EXCLUDED, team, qualifies=False)
    # A member that is a bot does it.
    team = recipe.team(stage)
    monitor = stage.world.person(team.account.domain, bot=True)
    stage.diary.identify(monitor, team.at)
    stage.diary.group(monitor, team.account, team.at)
    recipe.last_step(stage, monitor, team)
    yield recipe.plant(Kind.EXCLUDED, team, qualifies=False)
    # It is a test account.
    team = recipe.team(stage, test=True)
    recipe.last_step(stage, team.owner, team)
    yield recipe.plant(Kind.EXCLUDED, team, qualifies=False)
    # It is one, but that is learnt late.
    team = recipe.team(stage)
    recipe.last_step(stage, team.owner, team)
    stage.diary.group(team.owner, team.account, team.at + 5 * DAY, {"test": True}, late=True)
    yield recipe.plant(Kind.EXCLUDED, team, qualifies=False)


def denied(stage: Stage, recipe: Recipe) -> Iterator[Plant]:
    team = recipe.team(stage)
    recipe.last_step(stage, stage.joins(team, team.at + HOUR, scoring=False), team)
    yield recipe.plant(Kind.DENIED, team, qualifies=False)
    # Denied for that one event, and granted again.
    team = recipe.team(stage)
    member = stage.joins(team, team.at + HOUR, scoring=True)
    recipe.last_step(stage, member, team, scoring=False)
    stage.diary.page(member, "/settings/privacy", team.at + recipe.finish + HOUR, scoring=True)
    yield recipe.plant(Kind.DENIED, team, qualifies=False)
    # Denied at first, granted for good before the step.
    team = recipe.team(stage)
    member = stage.joins(team, team.at + HOUR, scoring=False)
    stage.diary.page(member, "/settings/privacy", team.at + 2 * HOUR, scoring=True)
    recipe.last_step(stage, member, team, scoring=True)
    yield recipe.plant(Kind.DENIED, team, qualifies=True)


def anonymous(stage: Stage, recipe: Recipe) -> Iterator[Plant]:
    # A guest does it, and is known and in the account only two hours later: it counts from when it was done.
    team = recipe.team(stage)
    guest = stage.world.person(team.account.domain)
    recipe.last_step(stage, guest, team, ids="anonymous")
    stage.diary.identify(guest, team.at + recipe.finish + 2 * HOUR)
    stage.diary.group(guest, team.account, team.at + recipe.finish + 2 * HOUR + MINUTE)
    yield recipe.plant(Kind.ANONYMOUS, team, qualifies=True)
    # A guest who never says who they are, nor for whom, counts for nobody.
    team = recipe.team(stage)
    recipe.last_step(stage, stage.world.person(team.account.domain), team, ids="anonymous")
    yield recipe.plant(Kind.ANONYMOUS, team, qualifies=False)


def bad(stage: Stage, recipe: Recipe) -> Iterator[Plant]:
    team = recipe.team(stage)
    finish = team.at + recipe.finish
    stage.diary.track(team.owner, recipe.last_event, finish, recipe.spoilt, bad=SCHEMA_VIOLATION)
    misspelt = recipe.last_event.lower().replace(" ", "_")
    stage.diary.track(team.owner, misspelt, finish + HOUR, stage.usual(recipe.last_event), bad=UNPLANNED)
    yield recipe.plant(Kind.BAD, team, qualifies=False)


def place(stage: Stage, recipe: Recipe) -> Iterator[Plant]:
    # Somebody without any membership names the account on the event.
    team = recipe.team(stage)
    freelancer = stage.world.person("freelance.example")
    stage.diary.identify(freelancer, team.at)
    recipe.last_step(stage, freelancer, team, named=team.account)
    yield recipe.plant(Kind.PLACE, team, qualifies=True)
    # A consultant in two accounts says which one it is.
    here, elsewhere = recipe.team(stage), recipe.team(stage)
    consultant = stage.joins(here, here.at + HOUR)
    stage.diary.group(consultant, elsewhere.account, here.at + HOUR + MINUTE)
    recipe.last_step(stage, consultant, here, named=here.account)
    yield recipe.plant(Kind.PLACE, here, qualifies=True)
    yield recipe.plant(Kind.PLACE, elsewhere, qualifies=False)


SCENES = (qualifies, near_miss, late, excluded, denied, anonymous, bad, place)
