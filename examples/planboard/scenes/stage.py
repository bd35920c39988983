"""What every planted scene stands on: a clock, a world, a diary, and short ways to say what usually happens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any, Unpack

from examples.planboard.messages import Diary, How, Message
from examples.planboard.truth import Entity
from examples.planboard.world import DAY, MINUTE, SECOND, Account, Person, World

MILLISECOND = 1_000

Json = dict[str, Any]


class Kind(StrEnum):
    """Why a scene was planted."""

    QUALIFIES = "qualifies"
    NEAR_MISS = "near miss"
    EDGE_START = "edge of the window's start"
    EDGE_END = "edge of the window's end"
    DUPLICATE = "duplicate"
    LATE = "late"
    EXCLUDED = "excluded"
    DENIED = "denied consent"
    ANONYMOUS = "anonymous past"
    BAD = "bad event"
    ELIGIBLE = "eligibility"
    OPEN = "not ended yet"
    VARIANT = "another path"
    PLACE = "which account"


@dataclass(frozen=True)
class Plant:
    """An entity with a planted fate: why, and since when it qualifies (None: never), worked out by hand."""

    definition: str
    kind: Kind
    entity: Entity
    since: int | None
    until: int | None = None  # when that first qualification ends by itself


@dataclass(frozen=True)
class Team:
    """An account with the person who opened it, and when they signed up."""

    account: Account
    owner: Person
    at: int

    @property
    def entity(self) -> Entity:
        return Entity("account", self.account.account_id)


def user(person: Person) -> Entity:
    """The entity of a person who signed up."""
    return Entity("user", person.user_id)


class Stage:
    """Where scenes are played. All that happens on it lies before `now`."""

    def __init__(self, world: World, diary: Diary, rng: Random, now: int) -> None:
        self.world = world
        self.diary = diary
        self.rng = rng
        self._now = now

    def start(self) -> int:
        """A moment between 85 and 25 days ago, in whole milliseconds: time enough for every window to close."""
        before = self.rng.randrange(25 * DAY, 85 * DAY)
        return (self._now - before) // MILLISECOND * MILLISECOND

    def recently(self) -> int:
        """A moment between nine and five days ago, in whole milliseconds."""
        before = self.rng.randrange(5 * DAY, 9 * DAY)
        return (self._now - before) // MILLISECOND * MILLISECOND

    def does(self, who: Person, event: str, at: int, properties: Json | None = None, **how: Unpack[How]) -> Message:
        """Somebody does something; properties that are not given are the usual ones."""
        return self.diary.track(who, event, at, self.usual(event) | (properties or {}), **how)

    def signs_up(self, at: int, domain: str, *, role: str = "member", bot: bool = False, **how: Unpack[How]) -> Person:
        """A visitor looks around, says who they are, and has an account a minute later, at `at`."""
        person = self.world.person(domain, role=role, bot=bot)
        visit: How = {**how, "ids": "anonymous"}
        self.diary.page(person, "/signup", at - 2 * MINUTE, **visit)
        known: How = {**how, "ids": "both"}
        self.diary.identify(person, at - MINUTE, **known)
        self.does(person, "Account Created", at, **how)
        return person

    def founds(self, at: int, account: Account | None = None, traits: Json | None = None, **how: Unpack[How]) -> Team:
        """Somebody signs up at `at` and opens an account for their company ten seconds before."""
        account = account or self.world.account()
        owner = self.signs_up(at, account.domain, role="owner", **how)
        self.diary.group(owner, account, at - 10 * SECOND, account.traits() | (traits or {}))
        return Team(account, owner, at)

    def joins(self, team: Team, at: int, **how: Unpack[How]) -> Person:
        """A colleague is known and in the account from `at` on. They send no Account Created."""
        person = self.world.person(team.account.domain)
        self.diary.identify(person, at, **how)
        self.diary.group(person, team.account, at, **how)
        return person

    def usual(self, event: str) -> Json:
        """Properties with which this event passes the plan: new things have new ids, the rest is drawn."""
        things = {key: self.diary.thing_id(kind) for key, kind in _THINGS.get(event, {}).items()}
        return things | {key: self.rng.choice(values) for key, values in _VALUES.get(event, {}).items()}


# Event -> property -> what kind of new thing its id names.
_THINGS: Mapping[str, Mapping[str, str]] = {
    "Asset Uploaded": {"asset_id": "ast"},
    "Automation Created": {"automation_id": "aut"},
    "Calendar Created": {"calendar_id": "cal"},
    "Comment Added": {"task_id": "tsk"},
    "Document Created": {"document_id": "doc"},
    "Document Shared": {"document_id": "doc"},
    "File Uploaded": {"file_id": "fil"},
    "Invite Accepted": {"invitee_id": "inv"},
    "Member Invited": {"invitee_id": "inv"},
    "Project Created": {"project_id": "prj"},
    "Project Opened": {"project_id": "prj"},
    "Report Run": {"report_id": "rep"},
    "Task Added": {"task_id": "tsk"},
    "Task Assigned": {"task_id": "tsk", "assignee_id": "mate"},
    "Task Completed": {"task_id": "tsk"},
    "Teammate Invited": {"invitee_id": "inv"},
}

# Event -> property -> the values it may have.
_VALUES: Mapping[str, Mapping[str, Sequence[object]]] = {
    "API Called": {"env": ["production"], "status": [200]},
    "Account Created": {"method": ["email", "google", "sso"]},
    "App Installed": {"platform": ["desktop", "ios", "android"]},
    "Asset Uploaded": {"bytes": range(10_000, 5_000_000)},
    "Billing Viewed": {"role": ["owner", "admin"]},
    "File Uploaded": {"bytes": range(1_000, 10_000_000)},
    "Integration Connected": {"integration": ["warehouse", "sheets", "postgres"], "kind": ["data_source"]},
    "Message Sent": {"sender_kind": ["human"], "length": range(1, 400)},
    "Plan Upgraded": {"plan": ["team"]},
    "Premium Used": {"feature": ["timeline", "forecast"], "units": range(1, 20)},
    "Seats Added": {"seats": range(1, 10)},
    "Search Performed": {"results": range(50)},
    "Signed In": {"method": ["password", "google", "sso"]},
    "Storage Measured": {"used_bytes": range(10**6, 10**10)},
    "Subscription Started": {"plan": ["team"]},
    "Teammate Invited": {"invitee_domain": ["customer.example"], "role": ["member", "admin"]},
    "Trial Started": {"plan": ["team"], "days": [14]},
}
