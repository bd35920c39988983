"""
The scenes that a definition of users shares with others: all is done but the last step, and then the last step is done
somehow, by which it must, or must not, count.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Unpack

from examples.planboard.messages import SCHEMA_VIOLATION, UNPLANNED, How
from examples.planboard.scenes.stage import Json, Kind, Plant, Stage, user
from examples.planboard.world import DAY, HOUR, STAFF_DOMAIN, Person

DOMAIN = "alone.example"  # people on their own, in no account


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What it takes to qualify a user, short of the last step."""

    definition: str
    # Somebody who signed up at the given time does everything but the last step.
    nearly: Callable[[Stage, Person, int], None]
    # The event that completes it, with what matters of it, and how long after sign-up it comes.
    last_event: str
    last_properties: Json
    finish: int
    # Properties of the last event with which it fails the plan.
    spoilt: Json

    def person(self, stage: Stage, at: int, *, domain: str = DOMAIN, **how: Unpack[How]) -> Person:
        """Somebody new who lacks the last step."""
        person = stage.signs_up(at, domain, **how)
        self.nearly(stage, person, at)
        return person

    def last_step(self, stage: Stage, who: Person, at: int, **how: Unpack[How]) -> None:
        """The last step, at the usual time."""
        stage.does(who, self.last_event, at + self.finish, self.last_properties, **how)

    def plant(self, kind: Kind, person: Person, at: int, *, qualifies: bool) -> Plant:
        """Somebody's fate: since the last step, or never."""
        return Plant(self.definition, kind, user(person), at + self.finish if qualifies else None)


def plant_users(stage: Stage, steps: Steps) -> Iterator[Plant]:
    """Play every shared scene once."""
    for scene in (_near_miss, _qualifies, _twice, _excluded, _denied, _anonymous, _bad):
        yield from scene(stage, steps)


def _near_miss(stage: Stage, steps: Steps) -> Iterator[Plant]:
    at = stage.start()
    yield steps.plant(Kind.NEAR_MISS, steps.person(stage, at), at, qualifies=False)


def _qualifies(stage: Stage, steps: Steps) -> Iterator[Plant]:
    for kind in (Kind.QUALIFIES, Kind.LATE):
        at = stage.start()
        person = steps.person(stage, at)
        steps.last_step(stage, person, at, late=kind is Kind.LATE)
        yield steps.plant(kind, person, at, qualifies=True)


def _twice(stage: Stage, steps: Steps) -> Iterator[Plant]:
    at = stage.start()
    person = steps.person(stage, at)
    steps.last_step(stage, person, at, twice=True)
    yield steps.plant(Kind.DUPLICATE, person, at, qualifies=True)


def _excluded(stage: Stage, steps: Steps) -> Iterator[Plant]:
    at = stage.start()
    colleague = steps.person(stage, at, domain=STAFF_DOMAIN)
    found_out = steps.person(stage, at)
    stage.diary.identify(found_out, at + steps.finish + DAY, {"bot": True}, ids="user", late=True)
    for person in (colleague, found_out):
        steps.last_step(stage, person, at)
        yield steps.plant(Kind.EXCLUDED, person, at, qualifies=False)


def _denied(stage: Stage, steps: Steps) -> Iterator[Plant]:
    at = stage.start()
    withdraws = steps.person(stage, at, scoring=True)
    steps.last_step(stage, withdraws, at)
    stage.diary.page(withdraws, "/settings/privacy", at + steps.finish + DAY, scoring=False)
    yield steps.plant(Kind.DENIED, withdraws, at, qualifies=False)


def _anonymous(stage: Stage, steps: Steps) -> Iterator[Plant]:
    # The last step is done signed out, and whose it was is heard two hours later.
    at = stage.start()
    person = steps.person(stage, at)
    stage.does(person, steps.last_event, at + steps.finish, steps.last_properties, ids="anonymous")
    stage.diary.identify(person, at + steps.finish + 2 * HOUR)
    yield steps.plant(Kind.ANONYMOUS, person, at, qualifies=True)


def _bad(stage: Stage, steps: Steps) -> Iterator[Plant]:
    at = stage.start()
    person = steps.person(stage, at)
    stage.diary.track(person, steps.last_event, at + steps.finish, steps.spoilt, bad=SCHEMA_VIOLATION)
    misspelt = steps.last_event.upper()
    usual = stage.usual(steps.last_event) | steps.last_properties
    stage.diary.track(person, misspelt, at + steps.finish, usual, bad=UNPLANNED)
    yield steps.plant(Kind.BAD, person, at, qualifies=False)
