"""Users who do, or do not quite, sign up, install the desktop app and upload a file."""

from collections.abc import Iterator

from examples.planboard.scenes.stage import Kind, Plant, Stage, user
from examples.planboard.scenes.users import DOMAIN, Steps, plant_users
from examples.planboard.world import DAY, HOUR, Person

ID = "storage-upgrade"


def plant(stage: Stage) -> Iterator[Plant]:
    """Play every scene once."""
    yield from plant_users(stage, STEPS)
    yield from phone_only(stage)
    yield from before_sign_up(stage)


def _uploads_by_phone(stage: Stage, person: Person, at: int) -> None:
    stage.does(person, "App Installed", at + HOUR, {"platform": "ios"})
    stage.does(person, "File Uploaded", at + 2 * HOUR)


STEPS = Steps(
    definition=ID,
    nearly=_uploads_by_phone,
    last_event="App Installed",
    last_properties={"platform": "desktop"},
    finish=3 * DAY,
    spoilt={"platform": "dektop"},
)


def phone_only(stage: Stage) -> Iterator[Plant]:
    at = stage.start()
    person = STEPS.person(stage, at)
    stage.does(person, "App Installed", at + DAY, {"platform": "android"})
    yield STEPS.plant(Kind.NEAR_MISS, person, at, qualifies=False)


def before_sign_up(stage: Stage) -> Iterator[Plant]:
    # Everything but the sign-up, and the sign-up last: in whatever order, it counts from the last of the three.
    person, at = stage.world.person(DOMAIN), stage.start()
    stage.does(person, "App Installed", at, {"platform": "desktop"}, ids="anonymous")
    stage.does(person, "File Uploaded", at + HOUR, ids="anonymous")
    stage.diary.identify(person, at + 2 * DAY)
    stage.does(person, "Account Created", at + 2 * DAY + HOUR)
    yield Plant(ID, Kind.ANONYMOUS, user(person), at + 2 * DAY + HOUR)
