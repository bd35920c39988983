"""
Two accounts around the two-thousandth message. It takes two thousand messages each, so each of them carries many kinds
at once: the one must qualify in spite of everything, the other must not, in spite of everything.
"""

from collections.abc import Iterator
from typing import Unpack

from examples.planboard.messages import SCHEMA_VIOLATION, How
from examples.planboard.scenes.stage import MILLISECOND, Kind, Plant, Stage, Team
from examples.planboard.world import DAY, HOUR, STAFF_DOMAIN, Person

ID = "team-messaging-depth"
ENOUGH = 2000
GUEST_MESSAGES = 15


def plant(stage: Stage) -> Iterator[Plant]:
    """Play both scenes once."""
    yield from qualifies(stage)
    yield from near_miss(stage)


def qualifies(stage: Stage) -> Iterator[Plant]:
    team = stage.founds(stage.start())
    # A guest writes a little before anybody knows who they are.
    guest = stage.world.person(team.account.domain)
    _writes(stage, [guest], team.at + HOUR, GUEST_MESSAGES, ids="anonymous")
    stage.diary.identify(guest, team.at + DAY)
    stage.diary.group(guest, team.account, team.at + DAY + MILLISECOND)
    _team_writes(stage, team, ENOUGH - GUEST_MESSAGES - 1)
    _bots_write(stage, team, 40)
    # The last one in time, and in order of arrival.
    stage.does(team.owner, "Message Sent", team.at + 20 * DAY, late=True)
    for kind in (Kind.QUALIFIES, Kind.LATE, Kind.ANONYMOUS):
        yield Plant(ID, kind, team.entity, team.at + 20 * DAY)


def near_miss(stage: Stage) -> Iterator[Plant]:
    team = stage.founds(stage.start())
    _team_writes(stage, team, ENOUGH - 1 - 20)
    _writes(stage, [team.owner], team.at + 3 * DAY, 20, twice=True)
    _bots_write(stage, team, 20)
    private = stage.joins(team, team.at + HOUR, scoring=False)
    _writes(stage, [private], team.at + 4 * DAY, 5)
    support = stage.world.person(STAFF_DOMAIN)
    stage.diary.identify(support, team.at)
    _writes(stage, [support], team.at + 5 * DAY, 5, named=team.account)
    stage.diary.track(team.owner, "Message Sent", team.at + 6 * DAY, {"length": 5}, bad=SCHEMA_VIOLATION)
    for kind in (Kind.NEAR_MISS, Kind.DUPLICATE, Kind.DENIED, Kind.EXCLUDED, Kind.BAD):
        yield Plant(ID, kind, team.entity, None)


def _team_writes(stage: Stage, team: Team, n: int) -> None:
    """Five people write this many messages between the second and the twentieth day."""
    people = [team.owner, *(stage.joins(team, team.at + hours * HOUR) for hours in range(1, 5))]
    _writes(stage, people, team.at + 2 * DAY, n, over=17 * DAY)


def _bots_write(stage: Stage, team: Team, n: int) -> None:
    for i in range(n):
        stage.does(team.owner, "Message Sent", team.at + 7 * DAY + i * HOUR, {"sender_kind": "bot"})


def _writes(stage: Stage, people: list[Person], start: int, n: int, over: int = 2 * HOUR, **how: Unpack[How]) -> None:
    for i in range(n):
        at = start + i * (over // MILLISECOND) // n * MILLISECOND
        stage.does(people[i % len(people)], "Message Sent", at, **how)
