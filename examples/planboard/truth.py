"""
The planted truth: who really qualifies for each definition, and since when.

A plain recount over the list of good events, by hand for each definition. It shares no code and no idea with the
collector: no definitions are read, no tallies kept, no order assumed. When the two disagree, one of them is wrong.

All eight conditions are monotone (only "at least", over all time or over a window anchored to a first event), so a
criterion holds from the instant of its k-th event on, and a condition from the latest of its criteria on. What comes
and goes beside them is said for each: a pause before it counts, an end after so many days, another path for some.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from examples.planboard.messages import Message
from examples.planboard.world import COMPETITOR_DOMAINS, DAY, DISPOSABLE_DOMAINS, HOUR, MINUTE, STAFF_DOMAIN


class Entity(NamedTuple):
    """A user, by user id, else by anonymous id; or an account, by the id its `group` calls use."""

    kind: Literal["user", "account"]
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


class Episode(NamedTuple):
    """One qualification; microseconds since 1970."""

    since: int
    until: int | None = None  # when it ended; None: it has not


# Definition id -> who is qualified -> since when (effective_at, microseconds since 1970).
Truth = Mapping[str, Mapping[Entity, int]]
# Definition id -> who ever was -> every qualification, in order of time.
Courses = Mapping[str, Mapping[Entity, tuple[Episode, ...]]]

# Definition id -> whether it qualifies users or accounts.
DEFINITIONS: Mapping[str, Literal["user", "account"]] = {
    "trial-activation": "user",
    "team-invites": "account",
    "production-call": "account",
    "team-messaging-depth": "account",
    "workspace-activated": "account",
    "trial-high-intent": "account",
    "composite-onboarding": "user",
    "storage-upgrade": "user",
}


@dataclass(frozen=True)
class Deed:
    """One track event that counts, with the person who did it and the account it was done in."""

    at: int
    event: str
    properties: Mapping[str, Any]
    person: str
    account: str | None


def recount(messages: Iterable[Message], as_of: int) -> Courses:
    """
    Who qualified, since when, and until when.

    Args:
        messages: Anything that was sent, in any order, with any duplicates and bad events among it.
        as_of: The moment at which it is asked; nothing is said of what time alone will do after it.
    """
    good = {m.message_id: m for m in messages if m.bad is None}
    history = _History(sorted(good.values(), key=lambda m: (m.at, m.message_id)))
    found: dict[str, dict[Entity, tuple[Episode, ...]]] = {}
    for definition, kind in DEFINITIONS.items():
        found[definition] = {}
        traits_of = history.account_traits if kind == "account" else history.person_traits
        for entity_id, deeds in history.deeds_by(kind).items():
            traits = traits_of.get(entity_id, {})
            if kind == "account" and _is_excluded_account(definition, traits):
                continue
            episodes = [e for e in _EPISODES[definition](deeds, traits, as_of) if e.since <= as_of]
            if episodes:
                found[definition][Entity(kind, entity_id)] = tuple(episodes)
    return found


def open_now(courses: Courses) -> Truth:
    """Who is qualified at the end of it, and since when."""
    return {
        definition: {entity: episodes[-1].since for entity, episodes in found.items() if episodes[-1].until is None}
        for definition, found in courses.items()
    }


# --- who did what, where -------------------------------------------------------------------------------------------

TraitHistory = Mapping[str, Sequence[tuple[int, Any]]]  # key -> (since, value), oldest first


class _History:
    def __init__(self, messages: Sequence[Message]) -> None:
        self._owner = _owners_of_anonymous_ids(messages)
        self.account_traits: dict[str, dict[str, list[tuple[int, Any]]]] = defaultdict(lambda: defaultdict(list))
        self.person_traits: dict[str, dict[str, list[tuple[int, Any]]]] = defaultdict(lambda: defaultdict(list))
        self._accounts_joined: dict[str, dict[str, int]] = defaultdict(dict)
        consent: dict[str, bool] = {}
        for message in messages:
            body, person = message.body, self._person(message)
            says = _scoring_consent(message)
            if says is not None:
                consent[person] = says
            if body["type"] == "identify":
                for key, value in body["traits"].items():
                    self.person_traits[person][key].append((message.at, value))
            elif body["type"] == "group":
                self._accounts_joined[person].setdefault(body["groupId"], message.at)
                for key, value in body["traits"].items():
                    self.account_traits[body["groupId"]][key].append((message.at, value))
        self._left_out = {person for person, granted in consent.items() if not granted}
        self._left_out |= {person for person, traits in self.person_traits.items() if _is_excluded_person(traits)}
        self._deeds = [
            Deed(m.at, m.body["event"], m.body["properties"], self._person(m), self._account(m))
            for m in messages
            if m.body["type"] == "track" and _scoring_consent(m) is not False and self._person(m) not in self._left_out
        ]

    def deeds_by(self, kind: Literal["user", "account"]) -> Mapping[str, Sequence[Deed]]:
        """The deeds that count, by person or by account, oldest first."""
        found: dict[str, list[Deed]] = defaultdict(list)
        for deed in self._deeds:
            key = deed.person if kind == "user" else deed.account
            if key is not None:
                found[key].append(deed)
        return found

    def _person(self, message: Message) -> str:
        user_id = message.body.get("userId")
        anonymous_id = message.body.get("anonymousId")
        return str(user_id or self._owner.get(str(anonymous_id), anonymous_id))

    def _account(self, message: Message) -> str | None:
        named = message.body.get("context", {}).get("groupId") or message.body["properties"].get("groupId")
        if named is not None:
            return str(named)
        joined = self._accounts_joined.get(self._person(message), {})
        by_then = [account for account, since in joined.items() if since <= message.at]
        if by_then:
            return by_then[0] if len(by_then) == 1 else None
        return min(joined, key=lambda account: joined[account], default=None)


def _owners_of_anonymous_ids(messages: Sequence[Message]) -> Mapping[str, str]:
    """Anonymous id -> the user first seen with it."""
    owners: dict[str, str] = {}
    for message in messages:
        user_id, anonymous_id = message.body.get("userId"), message.body.get("anonymousId")
        if user_id and anonymous_id:
            owners.setdefault(anonymous_id, user_id)
    return owners


def _scoring_consent(message: Message) -> bool | None:
    preferences = message.body.get("context", {}).get("consent", {}).get("categoryPreferences", {})
    answer: bool | None = preferences.get("pql_scoring")
    return answer


def _is_excluded_person(traits: TraitHistory) -> bool:
    last = {key: values[-1][1] for key, values in traits.items()}
    return last.get("bot") is True or last.get("email_domain") == STAFF_DOMAIN


def _is_excluded_account(definition: str, traits: TraitHistory) -> bool:
    last = {key: values[-1][1] for key, values in traits.items()}
    if last.get("test") is True:
        return True
    return definition == "trial-high-intent" and (
        last.get("domain") in COMPETITOR_DOMAINS or last.get("segment") == "education"
    )


# --- since when, definition by definition ----------------------------------------------------------------------------

Instant = int | None  # None: never
Since = Callable[[Sequence[Deed], TraitHistory], Instant]
# With the moment at which it is asked.
Episodes = Callable[[Sequence[Deed], TraitHistory, int], Iterable[Episode]]
LONG_AGO = -(10**18)


def _trial_activation(deeds: Sequence[Deed], _: TraitHistory) -> Instant:
    deeds = _window(deeds, "Account Created", 14 * DAY)
    return _all(_count(deeds, 1, "Project Created"), _count(deeds, 3, "Task Assigned"))


def _team_invites(deeds: Sequence[Deed], _: TraitHistory) -> Instant:
    serious = [
        deed
        for deed in deeds
        if deed.event != "Teammate Invited" or deed.properties.get("invitee_domain") not in (None, *DISPOSABLE_DOMAINS)
    ]
    invited = _distinct(serious, 2, "Teammate Invited", "invitee_id")
    return _all(invited, _distinct(deeds, 1, "Invite Accepted", "invitee_id"))


def _production_call(deeds: Sequence[Deed], _: TraitHistory) -> Instant:
    calls = [deed for deed in deeds if deed.event == "API Called" and deed.properties["env"] == "production"]
    return _count([deed for deed in calls if 200 <= deed.properties["status"] <= 299], 1, "API Called")


def _team_messaging_depth(deeds: Sequence[Deed], _: TraitHistory) -> Instant:
    return _count([deed for deed in deeds if deed.properties.get("sender_kind") == "human"], 2000, "Message Sent")


def _workspace_activated(deeds: Sequence[Deed], _: TraitHistory) -> Instant:
    deeds = _window(deeds, "Account Created", 14 * DAY)
    criteria = [
        _count(deeds, 1, "Account Created"),
        _distinct(deeds, 1, "Member Invited", "invitee_id"),
        _count(deeds, 2, "Document Created"),
        _count(deeds, 1, "Document Shared"),
        _count(deeds, 3, "Asset Uploaded"),
        _count(deeds, 3, "Task Added"),
        _count(deeds, 1, "Calendar Created"),
    ]
    met = sorted(since for since in criteria if since is not None)
    return met[2] if len(met) >= 3 else None  # 3 of 7 are the first 40 %


def _trial_high_intent(deeds: Sequence[Deed], traits: TraitHistory, as_of: int) -> Iterator[Episode]:
    deeds = _window(deeds, "Trial Started", 48 * HOUR)
    sources = [deed for deed in deeds if deed.properties.get("kind") == "data_source"]
    met = _all(
        _count(deeds, 3, "Project Created"),
        _count(sources, 1, "Integration Connected"),
        _distinct(deeds, 2, "Teammate Invited", "invitee_id"),
    )
    # On trial when it begins; it lasts for 14 days, and may begin again 90 days after.
    while met is not None:
        since = _first_moment_with(traits.get("plan_state", ()), "trial", met)
        if since is None or since > as_of:
            return
        ends = since + 14 * DAY
        yield Episode(since, ends if ends <= as_of else None)
        met = ends + 90 * DAY


def _composite_onboarding(deeds: Sequence[Deed], traits: TraitHistory, _: int) -> Iterator[Episode]:
    onboarded, invited = _count(deeds, 1, "Onboarding Completed"), _count(deeds, 1, "Teammate Invited")
    first_days = _window(deeds, "Account Created", 7 * DAY)
    usual = _all(onboarded, _distinct(deeds, 2, "Project Created", "project_id"), invited)
    practitioners = _all(onboarded, _count(first_days, 2, "Feature X Used"), invited)
    # Another path from the moment on at which somebody is known for a practitioner, and back.
    roles = [(LONG_AGO, None), *traits.get("role", ())]
    since: int | None = None
    for position, (start, role) in enumerate(roles):
        met = practitioners if role == "practitioner" else usual
        end = roles[position + 1][0] if position + 1 < len(roles) else None
        if since is not None and (met is None or met > start):
            yield Episode(since, start)
            return
        if since is None and met is not None and (end is None or max(met, start) < end):
            since = max(met, start)
    if since is not None:
        yield Episode(since)


def _storage_upgrade(deeds: Sequence[Deed], _: TraitHistory) -> Instant:
    desktops = [deed for deed in deeds if deed.properties.get("platform") == "desktop"]
    return _all(
        _count(deeds, 1, "Account Created"), _count(desktops, 1, "App Installed"), _count(deeds, 1, "File Uploaded")
    )


def _once(since: Since, hold: int = 0) -> Episodes:
    """What never ends, once it has held for so long."""

    def episodes(deeds: Sequence[Deed], traits: TraitHistory, _: int) -> Iterator[Episode]:
        met = since(deeds, traits)
        if met is not None:
            yield Episode(met + hold)

    return episodes


_EPISODES: Mapping[str, Episodes] = {
    "trial-activation": _once(_trial_activation),
    "team-invites": _once(_team_invites, hold=10 * MINUTE),
    "production-call": _once(_production_call),
    "team-messaging-depth": _once(_team_messaging_depth),
    "workspace-activated": _once(_workspace_activated),
    "trial-high-intent": _trial_high_intent,
    "composite-onboarding": _composite_onboarding,
    "storage-upgrade": _once(_storage_upgrade),
}


def _window(deeds: Sequence[Deed], anchor: str, length: int) -> Sequence[Deed]:
    """From the first event of this name on: the start is in, the end is out."""
    start = min((deed.at for deed in deeds if deed.event == anchor), default=None)
    return [] if start is None else [deed for deed in deeds if start <= deed.at < start + length]


def _count(deeds: Sequence[Deed], k: int, event: str) -> Instant:
    times = sorted(deed.at for deed in deeds if deed.event == event)
    return times[k - 1] if len(times) >= k else None


def _distinct(deeds: Sequence[Deed], k: int, event: str, key: str) -> Instant:
    first_seen: dict[Any, int] = {}
    for deed in deeds:
        if deed.event == event and deed.properties.get(key) is not None:
            value = deed.properties[key]
            first_seen[value] = min(deed.at, first_seen.get(value, deed.at))
    times = sorted(first_seen.values())
    return times[k - 1] if len(times) >= k else None


def _all(*criteria: Instant) -> Instant:
    met = [since for since in criteria if since is not None]
    return max(met) if len(met) == len(criteria) else None


def _first_moment_with(changes: Sequence[tuple[int, Any]], value: object, earliest: int) -> Instant:
    """The first instant at or after `earliest` at which a trait has this value."""
    for position, (since, new) in enumerate(changes):
        until = changes[position + 1][0] if position + 1 < len(changes) else None
        still_holds = until is None or until > earliest
        if new == value and still_holds and (until is None or until > since):
            return max(since, earliest)
    return None
