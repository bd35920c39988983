"""The worked definitions, each read as its sentence says, at and around every threshold and window edge."""

from itertools import permutations

import pytest

from assay.contract.times import DAY, HOUR, MINUTE, SECOND, parse_instant
from qualify.house import House
from qualify.wire import NOW, START, Message, group, identify, times, track

# --- 1. "created first project and assigned at least 3 tasks", within 14 days of signing up ---

SIGNED_UP = track("Account Created", START, "ada")
PROJECT = track("Project Created", START + HOUR, "ada")
ACTIVATION_ENDS = START + 14 * DAY


def tasks(n: int, at: int = START + 2 * HOUR) -> list[Message]:
    return times(n, "Task Assigned", at, "ada")


@pytest.mark.parametrize(
    ("messages", "since"),
    [
        pytest.param([SIGNED_UP, PROJECT, *tasks(3)], START + 2 * HOUR + 2 * MINUTE, id="a project and three tasks"),
        pytest.param([SIGNED_UP, PROJECT, *tasks(9)], START + 2 * HOUR + 2 * MINUTE, id="more is the same"),
        pytest.param([SIGNED_UP, PROJECT, *tasks(2)], None, id="two tasks"),
        pytest.param([SIGNED_UP, *tasks(3)], None, id="no project"),
        pytest.param([PROJECT, *tasks(3)], None, id="never signed up"),
        pytest.param(
            [SIGNED_UP, *tasks(3, START), PROJECT], START + HOUR, id="tasks at the very instant of signing up"
        ),
        pytest.param([SIGNED_UP, PROJECT, *tasks(3, START - 1)], None, id="a task just before signing up"),
        pytest.param(
            [SIGNED_UP, PROJECT, *tasks(2), track("Task Assigned", ACTIVATION_ENDS - 1, "ada")],
            ACTIVATION_ENDS - 1,
            id="the third just before the end of the 14th day",
        ),
        pytest.param(
            [SIGNED_UP, PROJECT, *tasks(2), track("Task Assigned", ACTIVATION_ENDS, "ada")],
            None,
            id="the third at its end",
        ),
        pytest.param(
            [SIGNED_UP, PROJECT, *tasks(2), track("Task Assigned", START + 3 * HOUR, "bob")],
            None,
            id="the third is Bob's",
        ),
    ],
)
def test_trial_activation(house: House, messages: list[Message], since: int | None):
    """Within 14 days of signing up: a project, and three tasks assigned."""
    house.take_in(*messages)

    assert ({} if since is None else {"ada": since}) == house.since("trial-activation")


def test_a_late_message_completes_or_moves_a_qualification(house: House):
    """The ledger keeps what it said, and says why it says something else now."""
    house.take_in(SIGNED_UP, PROJECT, *tasks(3)).take_in(track("Task Assigned", START + 30 * MINUTE, "ada"))
    at = START + 2 * HOUR + MINUTE

    assert {"ada": at} == house.since("trial-activation")
    assert [("new", "late"), ("corrected", "late")] == [(row.change, row.cause) for row in house.ledger()]


def test_a_late_sign_up_takes_a_qualification_back(house: House):
    """An earlier sign-up closes the window before the third task."""
    house.take_in(SIGNED_UP, PROJECT, *tasks(2), track("Task Assigned", START + 13 * DAY, "ada"))
    house.take_in(track("Account Created", START - 2 * DAY, "ada"))

    assert {} == house.since("trial-activation")
    assert ["new", "retracted"] == [row.change for row in house.ledger()]


# --- 2. "invited 2 teammates", one of whom accepted; throw-away addresses do not count ---


def invite(who: str, at: int = START, domain: str | None = "acme.example", by: str = "ada") -> Message:
    properties = {"invitee_id": who} if domain is None else {"invitee_id": who, "invitee_domain": domain}
    return track("Teammate Invited", at, by, account="acme", **properties)


ACCEPTED = track("Invite Accepted", START + HOUR, "cy", account="acme", invitee_id="cy")
# It counts once it has been true for so long.
HELD = 10 * MINUTE


@pytest.mark.parametrize(
    ("messages", "since"),
    [
        pytest.param([invite("bob"), invite("cy"), ACCEPTED], START + HOUR, id="two invited, one accepted"),
        pytest.param([invite("bob"), invite("cy", by="dan"), ACCEPTED], START + HOUR, id="by two colleagues"),
        pytest.param(
            [ACCEPTED, invite("bob"), invite("cy", START + DAY)], START + DAY, id="accepted before the second"
        ),
        pytest.param([invite("bob"), invite("bob", START + 1), ACCEPTED], None, id="one invited twice"),
        pytest.param([invite("bob"), invite("cy")], None, id="nobody accepted"),
        pytest.param(
            [invite("bob"), invite("cy", domain="mailinator.example"), ACCEPTED], None, id="a throw-away address"
        ),
        pytest.param([invite("bob"), invite("cy", domain=None), ACCEPTED], None, id="an unknown address"),
    ],
)
def test_team_invites(house: House, messages: list[Message], since: int | None):
    """Two different teammates at lasting addresses, and one of them came; ten minutes later it counts."""
    house.take_in(*messages)

    assert ({} if since is None else {"acme": since + HELD}) == house.since("team-invites")


# --- 3. "successful API call from production environment" ---


@pytest.mark.parametrize(
    ("env", "status", "qualifies"),
    [
        ("production", 199, False),
        ("production", 200, True),
        ("production", 299, True),
        ("production", 300, False),
        ("production", "204", True),
        ("staging", 200, False),
        ("Production", 200, False),
        ("production", None, False),
    ],
)
def test_production_call(house: House, env: str, status: object, qualifies: bool):
    """Between 200 and 299, both included, in production as it is spelt; a number in quotes is a number."""
    house.take_in(track("API Called", START, "ada", account="acme", env=env, status=status))

    assert ({"acme": START} if qualifies else {}) == house.since("production-call")


# --- 5. "2,000 messages" ---


@pytest.mark.parametrize(("n", "qualifies"), [(1_999, False), (2_000, True), (2_001, True)])
def test_team_messaging_depth(house: House, n: int, qualifies: bool):
    """Of people, by whomever; at the two-thousandth, not at the first of its hour."""
    written = times(n, "Message Sent", START, "ada", apart=SECOND, account="acme", sender_kind="human")
    robots = times(50, "Message Sent", START, "ada", apart=SECOND, account="acme", sender_kind="bot")
    house.take_in(*written, *robots)

    assert ({"acme": START + 1_999 * SECOND} if qualifies else {}) == house.since("team-messaging-depth")


# --- 7. the seven criteria, "40 % activated", within 14 days ---

STEPS = {
    "account": times(1, "Account Created", START, "ada", account="acme"),
    "members": [track("Member Invited", START + 1 * HOUR, "ada", account="acme", invitee_id="bob")],
    "documents": times(2, "Document Created", START + 2 * HOUR, "ada", account="acme"),
    "shares": times(1, "Document Shared", START + 3 * HOUR, "ada", account="acme"),
    "assets": times(3, "Asset Uploaded", START + 4 * HOUR, "ada", account="acme"),
    "tasks": times(3, "Task Added", START + 5 * HOUR, "ada", account="acme"),
    "calendars": times(1, "Calendar Created", START + 6 * HOUR, "ada", account="acme"),
}


@pytest.mark.parametrize("pair", list(permutations(sorted(STEPS.keys() - {"account"}), 2))[::5], ids="+".join)
def test_three_of_seven_steps_activate_a_workspace(house: House, pair: tuple[str, str]):
    """Signing up is the first; any two others make 40 %, each only once its last event is there."""
    first, second = pair
    messages = [*STEPS["account"], *STEPS[first], *STEPS[second]]
    since = max(parse_instant(message["timestamp"]) for message in messages)
    house.take_in(*messages)
    complete = house.since("workspace-activated")
    house.clear()
    house.take_in(*messages[:-1])

    assert {"acme": since} == complete
    assert {} == house.since("workspace-activated")


@pytest.mark.parametrize(("at", "qualifies"), [(START + 14 * DAY - 1, True), (START + 14 * DAY, False)])
def test_a_workspace_is_activated_in_its_first_fourteen_days(house: House, at: int, qualifies: bool):
    """The third step just before the end of the window counts, at its end it does not."""
    third = track("Calendar Created", at, "ada", account="acme")
    house.take_in(*STEPS["account"], *STEPS["members"], third)

    assert ({"acme": at} if qualifies else {}) == house.since("workspace-activated")


# --- 8. on trial, within 48 hours: 3 projects, a data source, 2 teammates ---

TRIAL = [
    group("acme", START - DAY, "ada", plan_state="trial"),
    track("Trial Started", START, "ada", account="acme"),
]
TRIAL_ENDS = START + 48 * HOUR


def projects(n: int, at: int = START) -> list[Message]:
    return times(n, "Project Created", at, "ada", account="acme")


def source(at: int = START + HOUR, kind: str = "data_source") -> Message:
    return track("Integration Connected", at, "ada", account="acme", kind=kind)


TEAM = [invite("bob", START + 2 * HOUR), invite("cy", START + 3 * HOUR)]


@pytest.mark.parametrize(
    ("messages", "since"),
    [
        pytest.param([*projects(3), source(), *TEAM], START + 3 * HOUR, id="all of it"),
        pytest.param([*projects(2), source(), *TEAM], None, id="two projects"),
        pytest.param([*projects(3), *TEAM], None, id="no data source"),
        pytest.param([*projects(3), source(kind="chat"), *TEAM], None, id="a chat is no data source"),
        pytest.param([*projects(3), source(), TEAM[0]], None, id="one teammate"),
        pytest.param([*projects(3), source(TRIAL_ENDS - 1), *TEAM], TRIAL_ENDS - 1, id="just before 48 hours are over"),
        pytest.param([*projects(3), source(TRIAL_ENDS), *TEAM], None, id="when they are over"),
        pytest.param([*projects(3, START - 1), source(), *TEAM], None, id="a project just before the trial"),
    ],
)
def test_trial_high_intent(house: House, messages: list[Message], since: int | None):
    """Three projects, a data source and two teammates, in the first two days."""
    house.take_in(*TRIAL, *messages)

    assert ({} if since is None else {"acme": since}) == house.began("trial-high-intent")


@pytest.mark.parametrize(
    ("plans", "since"),
    [
        pytest.param([(START - DAY, "trial")], START + 3 * HOUR, id="on trial all along"),
        pytest.param([(START - DAY, "trial"), (START + 4 * HOUR, "paid")], START + 3 * HOUR, id="paid afterwards"),
        pytest.param([(START - DAY, "trial"), (START + 2 * HOUR, "paid")], None, id="paid before"),
        pytest.param([(START + 3 * HOUR, "trial")], START + 3 * HOUR, id="on trial from that instant"),
        pytest.param([(START + 5 * DAY, "trial")], START + 5 * DAY, id="known to be on trial only later"),
        pytest.param([(START - DAY, "free")], None, id="free"),
        pytest.param([], None, id="nobody said"),
    ],
)
def test_high_intent_is_for_trials(house: House, plans: list[tuple[int, str]], since: int | None):
    """The plan is asked at the instant of qualifying; unknown is not on trial."""
    said = [group("acme", at, "ada", plan_state=plan) for at, plan in plans]
    house.take_in(TRIAL[1], *said, *projects(3), source(), *TEAM)

    assert ({} if since is None else {"acme": since}) == house.began("trial-high-intent")


# --- who is who ---


def test_an_anonymous_past_counts_from_when_it_happened(house: House):
    """Everything before the sign-up is the user's, as soon as it is known whose it was."""
    before = [
        track("Account Created", START, anon="v1"),
        track("Project Created", START + 1, anon="v1"),
        *times(3, "Task Assigned", START + 2, anon="v1", apart=1),
    ]
    house.take_in(*before)
    assert {"v1": START + 4} == house.since("trial-activation")
    house.take_in(identify(START + DAY, "ada", anon="v1"))

    assert {"ada": START + 4} == house.since("trial-activation")


def test_a_merge_retires_the_anonymous_ids_lines(house: House):
    """They are retracted, not removed, and the user's are new; the cause is that somebody is known."""
    house.take_in(track("Account Created", START, anon="v1"), track("Project Created", START, anon="v1"))
    house.take_in(*times(3, "Task Assigned", START, anon="v1"))
    house.take_in(identify(START + DAY, "ada", anon="v1"))

    assert {("v1", "new", "late"), ("v1", "retracted", "merge"), ("ada", "new", "merge")} == {
        (house.name(row.entity), row.change, row.cause) for row in house.ledger()
    }


def test_a_late_link_gives_an_anonymous_past_to_whom_it_belongs(house: House):
    """Bob was seen with the browser first; what Ada had of it, she loses."""
    past = [track("Account Created", START, anon="v1"), track("Project Created", START, anon="v1")]
    house.take_in(*past, *times(3, "Task Assigned", START, anon="v1"), identify(START + DAY, "ada", anon="v1"))
    assert {"ada": START + 2 * MINUTE} == house.since("trial-activation")
    house.take_in(identify(START + HOUR, "bob", anon="v1"))

    assert {"bob": START + 2 * MINUTE} == house.since("trial-activation")
    assert () == house.differences()


def test_two_users_of_one_browser_stay_two_people(house: House):
    """Each has what they did under their own name; the browser's past is the first one's."""
    shared = [identify(START, "ada", anon="v1"), identify(START + 1, "bob", anon="v1")]
    house.take_in(*shared, track("Account Created", START, "bob"), track("Project Created", START, "bob"))
    house.take_in(*times(3, "Task Assigned", START, anon="v1"))

    assert {} == house.since("trial-activation")


# --- accounts ---

CALL = {"env": "production", "status": 200}


def test_the_first_account_adopts_what_came_before(house: House):
    """An event that names no account belongs to the only one its person is in, also from before."""
    house.take_in(track("API Called", START, "ada", **CALL))
    assert {} == house.since("production-call")
    house.take_in(group("acme", START + DAY, "ada"))

    assert {"acme": START} == house.since("production-call")


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (START + 2 * DAY - 1, {"acme": START + 2 * DAY - 1}),
        (START + 2 * DAY, {}),
    ],
)
def test_with_two_accounts_nothing_is_guessed(house: House, at: int, expected: dict[str, int]):
    """From the second membership on, an event has to say where it happened."""
    house.take_in(group("acme", START, "ada"), group("beta", START + 2 * DAY, "ada"))
    house.take_in(track("API Called", at, "ada", **CALL))

    assert expected == house.since("production-call")


def test_what_became_ambiguous_within_an_hour_is_not_counted_within_it(house: House):
    """Of five tasks of one hour, the one after Ada joined a second account is nobody's; so Bob's first is the third."""
    at = START + HOUR
    house.take_in(*STEPS["account"], *STEPS["members"], group("acme", START, "ada"), group("acme", START, "bob"))
    house.take_in(*times(2, "Task Added", at, "ada"), group("beta", at + 3 * MINUTE, "ada"))
    house.take_in(track("Task Added", at + 4 * MINUTE, "ada"), *times(2, "Task Added", at + 5 * MINUTE, "bob"))

    assert {"acme": at + 5 * MINUTE} == house.since("workspace-activated")


def test_two_accounts_joined_at_once_adopt_nothing(house: House):
    """Neither was the first."""
    house.take_in(group("acme", START, "ada"), group("beta", START, "ada"))
    house.take_in(track("API Called", START - 1, "ada", **CALL))

    assert {} == house.since("production-call")


def test_a_named_account_wins_over_membership(house: House):
    """Work done elsewhere stays there."""
    house.take_in(group("acme", START, "ada"), track("API Called", START + 1, "ada", account="beta", **CALL))

    assert {"beta": START + 1} == house.since("production-call")


def test_an_anonymous_members_past_is_adopted_too(house: House):
    """Link and membership may come in any order, after the event."""
    house.take_in(track("API Called", START, anon="v1", **CALL))
    house.take_in(group("acme", START + DAY, "ada"))
    house.take_in(identify(START + 2 * DAY, "ada", anon="v1"))

    assert {"acme": START} == house.since("production-call")


# --- consent ---


def test_a_refusal_takes_everything_back_and_a_grant_gives_it_again(house: House):
    """Except for what happened while it was refused."""
    activated = [SIGNED_UP, PROJECT, *tasks(2)]
    refused = track("Task Assigned", START + 5 * HOUR, "ada", scoring=False)
    house.take_in(*activated, tasks(1, START + 4 * HOUR)[0])
    assert {"ada": START + 4 * HOUR} == house.since("trial-activation")
    house.take_in(refused)
    assert {} == house.since("trial-activation")
    house.take_in(identify(START + 6 * HOUR, "ada", scoring=True))

    assert {"ada": START + 4 * HOUR} == house.since("trial-activation")
    assert ["new", "retracted", "new"] == [row.change for row in house.ledger()]
    assert ["consent", "consent"] == [row.cause for row in house.ledger()][1:]


def test_an_event_that_was_refused_stays_out(house: House):
    """A later grant does not reach back to it."""
    house.take_in(SIGNED_UP, PROJECT, *tasks(2), track("Task Assigned", START + 5 * HOUR, "ada", scoring=False))
    house.take_in(identify(START + 6 * HOUR, "ada", scoring=True))

    assert {} == house.since("trial-activation")


def test_an_hour_that_is_read_again_leaves_out_what_was_refused(house: House):
    """Of five tasks of one hour the second was refused, so the third that counts is the fourth."""
    second = track("Task Assigned", START + 2 * HOUR + 1, "ada", scoring=False)
    granted = times(4, "Task Assigned", START + 2 * HOUR, "ada", scoring=True)
    house.take_in(SIGNED_UP, PROJECT, second, *granted, identify(START + DAY, "ada", scoring=True))

    assert {"ada": START + 2 * HOUR + 2 * MINUTE} == house.since("trial-activation")


def test_a_browsers_refusal_binds_the_person_until_they_speak(house: House):
    """An anonymous grant on another browser does not lift it; the user's own word does."""
    called = [track("API Called", START, "ada", account="acme", **CALL), identify(START, "ada", anon="v1")]
    house.take_in(*called, track("Signed In", START + 1, anon="v1", scoring=False))
    assert {} == house.since("production-call")
    house.take_in(identify(START, "ada", anon="v2"), track("Signed In", START + 2, anon="v2", scoring=True))
    assert {} == house.since("production-call")
    house.take_in(identify(START + 3, "ada", scoring=True))

    assert {"acme": START} == house.since("production-call")


def test_of_two_words_at_one_instant_the_refusal_counts(house: House):
    """Whichever id it was said under."""
    called = [track("API Called", START, "ada", account="acme", **CALL), identify(START, "ada", anon="v1")]
    house.take_in(*called, track("Signed In", START + 5, anon="v1", scoring=False))
    house.take_in(identify(START + 5, "ada", scoring=True))
    assert {} == house.since("production-call")
    house.take_in(identify(START + 6, "ada", scoring=True), track("Signed In", START + 6, "ada", scoring=False))

    assert {} == house.since("production-call")


# --- exclusion lists ---


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(identify(START + DAY, "ada", bot=True), id="a bot"),
        pytest.param(identify(START + DAY, "ada", email_domain="planboard.example"), id="our own staff"),
        pytest.param(group("acme", START + DAY, "ada", test=True), id="a test account"),
        pytest.param(group("acme", START + DAY, "ada", domain="rival.example"), id="a competitor"),
        pytest.param(group("acme", START + DAY, "ada", segment="education"), id="a school"),
    ],
)
def test_whoever_is_on_a_list_was_never_a_lead(house: House, said: Message):
    """Also when it is learned afterwards; and off the list, as if they had never been on it."""
    qualified = [*TRIAL, *projects(3), source(), *TEAM]
    house.take_in(*qualified)
    assert {"acme": START + 3 * HOUR} == house.began("trial-high-intent")
    house.take_in(said)
    assert {} == house.began("trial-high-intent")
    forgotten = dict.fromkeys(said["traits"])
    house.take_in({**said, "messageId": "undone", "timestamp": "2026-04-01T00:00:00Z", "traits": forgotten})

    assert {"acme": START + 3 * HOUR} == house.began("trial-high-intent")


def test_lists_that_a_definition_does_not_name_leave_it_alone(house: House):
    """Competitors are left out of high intent only."""
    house.take_in(group("acme", START, "ada", domain="rival.example"))
    house.take_in(track("API Called", START, "ada", account="acme", **CALL))

    assert {"acme": START} == house.since("production-call")


def test_an_excluded_colleague_does_not_count_for_the_account(house: House):
    """The others' part stays."""
    house.take_in(identify(START, "bot", bot=True), invite("bob", by="bot"), invite("cy"), ACCEPTED)
    assert {} == house.since("team-invites")
    house.take_in(invite("dan"))

    assert {"acme": START + HOUR + HELD} == house.since("team-invites")


# --- what the reader is told ---


def test_explain_says_what_is_missing_and_doing_it_qualifies(house: House):
    """The words name the events, with what they must be like."""
    house.take_in(invite("bob"), track("API Called", START, "ada", account="acme", env="staging", status=200))
    (account,) = house.reader().qualifications("account", "acme")["entities"]
    missing = {each["definition"]: each["missing"]["words"] for each in account["definitions"]}

    assert [
        "1 more Teammate Invited (another invitee_id) where invitee_domain is not disposable",
        "1 more Invite Accepted (another invitee_id)",
    ] == missing["team-invites"]
    assert ["1 more API Called where env is production, status is between 200 and 299"] == missing["production-call"]
    house.take_in(invite("cy"), ACCEPTED, track("API Called", NOW, "ada", account="acme", **CALL))
    assert {"acme"} == house.since("team-invites").keys() & house.since("production-call").keys()


def test_a_lead_is_listed_with_its_reasons(house: House):
    """Value and test of each criterion that holds, since when, and whether it fits."""
    known = group("acme", START, "ada", employees=50, industry="media")
    house.take_in(*TRIAL, known, *projects(4), source(), *TEAM, now=START + DAY)
    (lead,) = house.reader().leads("trial-high-intent", 10, 0)

    assert ("acme", "2026-03-02T12:00:00.000Z", "match") == (lead["id"], lead["since"], lead["fit"])
    assert ["projects = 4 (at least 3)", "sources = 1 (at least 1)", "invites = 2 (at least 2)"] == lead["reasons"]
