"""Users who do, or do not quite, create a project and assign three tasks within 14 days of signing up."""

from collections.abc import Iterator
from typing import Unpack

from examples.planboard.messages import SCHEMA_VIOLATION, UNPLANNED, How
from examples.planboard.scenes.stage import Kind, Plant, Stage, user
from examples.planboard.world import DAY, HOUR, MINUTE, STAFF_DOMAIN, Person

ID = "trial-activation"
DOMAIN = "solo.example"  # people on their own, in no account
WINDOW = 14 * DAY


def plant(stage: Stage) -> Iterator[Plant]:
    """Play every scene once."""
    for scene in SCENES:
        yield from scene(stage)


def qualifies(stage: Stage) -> Iterator[Plant]:
    at = stage.start()
    person = stage.signs_up(at, DOMAIN)
    _plans(stage, person, at, tasks=3)
    yield Plant(ID, Kind.QUALIFIES, user(person), at + 4 * DAY)
    # The same in another order: the project comes last.
    person = stage.signs_up(at, DOMAIN)
    _assigns(stage, person, at, 3)
    stage.does(person, "Project Created", at + 5 * DAY)
    yield Plant(ID, Kind.QUALIFIES, user(person), at + 5 * DAY)


def near_miss(stage: Stage) -> Iterator[Plant]:
    at = stage.start()
    one_task_short = stage.signs_up(at, DOMAIN)
    _plans(stage, one_task_short, at, tasks=2)
    yield Plant(ID, Kind.NEAR_MISS, user(one_task_short), None)
    no_project = stage.signs_up(at, DOMAIN)
    _assigns(stage, no_project, at, 3)
    yield Plant(ID, Kind.NEAR_MISS, user(no_project), None)
    # A second sign-up, in another workspace, opens no second window.
    again = stage.signs_up(at, DOMAIN)
    _plans(stage, again, at, tasks=2)
    stage.does(again, "Account Created", at + 15 * DAY, {"method": "invite"})
    stage.does(again, "Task Assigned", at + 16 * DAY)
    yield Plant(ID, Kind.NEAR_MISS, user(again), None)


def edge_start(stage: Stage) -> Iterator[Plant]:
    at = stage.start()
    inside = stage.signs_up(at, DOMAIN, exact=True)
    stage.does(inside, "Project Created", at, exact=True)
    _assigns(stage, inside, at, 3)
    yield Plant(ID, Kind.EDGE_START, user(inside), at + 4 * DAY)
    outside = stage.signs_up(at, DOMAIN, exact=True)
    stage.does(outside, "Project Created", at - 1, exact=True)
    _assigns(stage, outside, at, 3)
    yield Plant(ID, Kind.EDGE_START, user(outside), None)


def edge_end(stage: Stage) -> Iterator[Plant]:
    at = stage.start()
    inside = stage.signs_up(at, DOMAIN, exact=True)
    _plans(stage, inside, at, tasks=2)
    stage.does(inside, "Task Assigned", at + WINDOW - 1, exact=True)
    yield Plant(ID, Kind.EDGE_END, user(inside), at + WINDOW - 1)
    outside = stage.signs_up(at, DOMAIN, exact=True)
    _plans(stage, outside, at, tasks=2)
    stage.does(outside, "Task Assigned", at + WINDOW, exact=True)
    yield Plant(ID, Kind.EDGE_END, user(outside), None)


def duplicate(stage: Stage) -> Iterator[Plant]:
    at = stage.start()
    person = stage.signs_up(at, DOMAIN)
    _plans(stage, person, at, tasks=2, twice=True)
    yield Plant(ID, Kind.DUPLICATE, user(person), None)


def late(stage: Stage) -> Iterator[Plant]:
    at = stage.start()
    person = stage.signs_up(at, DOMAIN)
    _plans(stage, person, at, tasks=2)
    stage.does(person, "Task Assigned", at + 6 * DAY, late=True)
    yield Plant(ID, Kind.LATE, user(person), at + 6 * DAY)
    # The sign-up itself comes last: until then nothing has a window to fall into.
    person = stage.signs_up(at, DOMAIN, late=True)
    _plans(stage, person, at, tasks=3)
    yield Plant(ID, Kind.LATE, user(person), at + 4 * DAY)
    # A late event moves the instant back to when it really was.
    person = stage.signs_up(at, DOMAIN)
    _plans(stage, person, at, tasks=3)
    stage.does(person, "Task Assigned", at + DAY + HOUR, late=True)
    yield Plant(ID, Kind.LATE, user(person), at + 3 * DAY)


def excluded(stage: Stage) -> Iterator[Plant]:
    at = stage.start()
    bot = stage.signs_up(at, DOMAIN, bot=True)
    colleague = stage.signs_up(at, STAFF_DOMAIN)
    # Known to be a bot only afterwards, and that comes late as well.
    found_out = stage.signs_up(at, DOMAIN)
    stage.diary.identify(found_out, at + 10 * DAY, {"bot": True}, ids="user", late=True)
    for person in (bot, colleague, found_out):
        _plans(stage, person, at, tasks=3)
        yield Plant(ID, Kind.EXCLUDED, user(person), None)


def denied(stage: Stage) -> Iterator[Plant]:
    at = stage.start()
    withdraws = stage.signs_up(at, DOMAIN, scoring=True)
    _plans(stage, withdraws, at, tasks=3, scoring=True)
    stage.diary.page(withdraws, "/settings/privacy", at + 20 * DAY, scoring=False)
    yield Plant(ID, Kind.DENIED, user(withdraws), None)
    # Denied before sign-up, and never asked again.
    visitor = stage.signs_up(at, DOMAIN)
    stage.diary.page(visitor, "/", at - HOUR, ids="anonymous", scoring=False)
    _plans(stage, visitor, at, tasks=3)
    yield Plant(ID, Kind.DENIED, user(visitor), None)
    # Denied for one event only: that one never counts, whatever is granted later.
    for_a_while = stage.signs_up(at, DOMAIN, scoring=True)
    _plans(stage, for_a_while, at, tasks=2, scoring=True)
    stage.does(for_a_while, "Task Assigned", at + 5 * DAY, scoring=False)
    stage.diary.page(for_a_while, "/settings/privacy", at + 6 * DAY, scoring=True)
    yield Plant(ID, Kind.DENIED, user(for_a_while), None)


def anonymous(stage: Stage) -> Iterator[Plant]:
    at = stage.start()
    # Tries the product as a guest; the browser says who it was only two days later.
    guest = stage.world.person(DOMAIN)
    stage.does(guest, "Account Created", at, ids="anonymous")
    _plans(stage, guest, at, tasks=2, ids="anonymous")
    stage.diary.identify(guest, at + 4 * DAY)
    stage.does(guest, "Task Assigned", at + 5 * DAY)
    yield Plant(ID, Kind.ANONYMOUS, user(guest), at + 5 * DAY)
    # The same, but the message that links the two ids arrives after everything else.
    guest = stage.world.person(DOMAIN)
    stage.does(guest, "Account Created", at, ids="anonymous")
    _plans(stage, guest, at, tasks=2, ids="anonymous")
    stage.diary.identify(guest, at + 4 * DAY, late=True)
    stage.does(guest, "Task Assigned", at + 5 * DAY)
    yield Plant(ID, Kind.ANONYMOUS, user(guest), at + 5 * DAY)


def bad(stage: Stage) -> Iterator[Plant]:
    at = stage.start()
    person = stage.signs_up(at, DOMAIN)
    _plans(stage, person, at, tasks=2)
    nobody_assigned = {"task_id": stage.diary.thing_id("tsk")}
    stage.diary.track(person, "Task Assigned", at + 5 * DAY, nobody_assigned, bad=SCHEMA_VIOLATION)
    stage.diary.track(person, "task_assigned", at + 6 * DAY, stage.usual("Task Assigned"), bad=UNPLANNED)
    yield Plant(ID, Kind.BAD, user(person), None)


SCENES = (qualifies, near_miss, edge_start, edge_end, duplicate, late, excluded, denied, anonymous, bad)


def _plans(stage: Stage, person: Person, at: int, tasks: int, **how: Unpack[How]) -> None:
    """A project on the first day, and a task assigned on each of the days from the second on."""
    stage.does(person, "Project Created", at + DAY, **how)
    _assigns(stage, person, at, tasks, **how)


def _assigns(stage: Stage, person: Person, at: int, tasks: int, **how: Unpack[How]) -> None:
    for day in range(2, 2 + tasks):
        stage.does(person, "Task Assigned", at + day * DAY, **how)
        stage.diary.page(person, "/board", at + day * DAY + MINUTE)
