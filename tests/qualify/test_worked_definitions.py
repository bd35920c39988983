"""The worked definitions that use time, people, scores and ladders, each read as its sentence says, live."""

from collections.abc import Iterator

import pytest

from assay.contract.times import DAY, HOUR, MINUTE, SECOND, parse_instant
from assay_collector.pql.language import read_definitions
from pql.definitions import WORKED
from qualify.house import House, opened
from qualify.wire import START, Message, group, identify, times, track

PROJECT = """
project: worked
timezone: Europe/Berlin
exclude:
  default: [bots]
  lists:
    bots: {user.bot: true}
    competitors: {account.domain: [rival.example]}
    students: {account.segment: education}
values:
  disposable: [mailinator.example]
"""
# By Berlin's calendar; its clocks change on March 29th.
MARCH_1ST = parse_instant("2026-02-28T23:00:00Z")
MARCH_29TH = parse_instant("2026-03-28T23:00:00Z")
MARCH_30TH = parse_instant("2026-03-29T22:00:00Z")
APRIL_1ST = parse_instant("2026-03-31T22:00:00Z")
# Long after everything that is told here.
LATER = START + 300 * DAY
MS = 1_000

Told = list[tuple[int, str, int]]  # (episode, step, since when), in order of time


@pytest.fixture(scope="module")
def worked() -> Iterator[House]:
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(WORKED.glob("[0-9]*.yaml"))}
    with opened(read_definitions({"project.yaml": PROJECT, **texts})) as house:
        yield house


@pytest.fixture
def house(worked: House) -> House:
    worked.clear()
    return worked


def steps(house: House, definition: str, name: str) -> Told:
    """What the ledger says of one entity now, in order of time."""
    kind = next((k for d, k, n in house.standing() if (d, n) == (definition, name)), "user")
    found = house.standing().get((definition, kind, name), {})
    return sorted(((episode, step, at) for (episode, step), at in found.items()), key=lambda line: line[2])


def at_both(
    house: House, definition: str, name: str, messages: list[Message], until: int
) -> list[tuple[int, str, int]]:
    """What is said when everything was decided in time; and it is the same when all is decided at the end."""
    house.live_through(*messages, until=until)
    timely = steps(house, definition, name)
    assert {"new"} >= {row.change for row in house.ledger()}
    assert {0} >= {row.recorded_at - row.effective_at for row in house.ledger()}
    house.clear()
    house.take_in(*messages, now=until)
    assert timely == steps(house, definition, name)
    assert () == house.differences(until)
    return timely


def acme(event: str, at: int, user: str = "ada", **properties: object) -> Message:
    return track(event, at, user, account="acme", **properties)


def evidence(house: House, definition: str) -> dict:
    (lead,) = house.reader(LATER).leads(definition, 10, 0)
    return lead["evidence"]


# --- 2. an invite has to stand for ten minutes ---

INVITES = [
    acme("Teammate Invited", START, invitee_id="bob", invitee_domain="acme.example"),
    acme("Teammate Invited", START + HOUR, invitee_id="cy", invitee_domain="acme.example"),
    acme("Invite Accepted", START + MINUTE, "cy", invitee_id="cy"),
]
HELD = START + HOUR + 10 * MINUTE


@pytest.mark.parametrize(("now", "since"), [(HELD - 1, None), (HELD, HELD), (HELD + DAY, HELD)])
def test_team_invites_are_held_for_ten_minutes(house: House, now: int, since: int | None):
    """Ten minutes after the second invite, to the microsecond, and no sooner; however late it is asked."""
    expected = [] if since is None else [(1, "qualified", since)]

    assert expected == at_both(house, "team-invites", "acme", INVITES, now)


def test_a_held_qualification_is_caused_by_time(house: House):
    """Nothing happened when it was over; the one that an event completes is caused by it."""
    house.live_through(*INVITES, until=HELD)

    assert ["timer"] == [row.cause for row in house.ledger() if row.definition == "team-invites"]


def test_what_an_event_completes_is_not_put_down_to_a_timer(house: House):
    """Although the account was waiting for one: to have been quiet for thirty days."""
    trial = [group("acme", START, "ada", plan_state="trial"), acme("Trial Started", START)]
    made = [acme("Project Created", START, "ada") for _ in range(3)]
    connected = acme("Integration Connected", START + 2 * HOUR, kind="data_source")
    house.live_through(*INVITES, *trial, *made, SOURCE, connected, until=START + 3 * HOUR)

    assert ["event"] == [row.cause for row in house.ledger() if row.definition == "trial-high-intent"]


# --- 4. three kinds of commitment; practitioners by another path ---

ONBOARDED = [
    track("Account Created", START, "ada"),
    track("Onboarding Completed", START + HOUR, "ada"),
    track("Teammate Invited", START + 2 * HOUR, "ada"),
]


def project(id: str, at: int) -> Message:
    return track("Project Created", at, "ada", project_id=id)


def feature(at: int) -> Message:
    return track("Feature X Used", at, "ada")


@pytest.mark.parametrize(
    ("role", "messages", "since"),
    [
        pytest.param("member", [project("a", START), project("b", START + DAY)], START + DAY, id="two projects"),
        pytest.param(None, [project("a", START), project("b", START + DAY)], START + DAY, id="of no known role"),
        pytest.param("member", [project("a", START), project("a", START + DAY)], None, id="one project twice"),
        pytest.param("practitioner", [project("a", START), project("b", START)], None, id="a practitioner's projects"),
        pytest.param("practitioner", [feature(START), feature(START + DAY)], START + DAY, id="uses feature X twice"),
        pytest.param("practitioner", [feature(START)], None, id="once"),
        pytest.param("member", [feature(START), feature(START + DAY)], None, id="not by who is none"),
        pytest.param(
            "practitioner",
            [feature(START), feature(START + 7 * DAY - MS)],
            START + 7 * DAY - MS,
            id="just within 7 days",
        ),
        pytest.param("practitioner", [feature(START), feature(START + 7 * DAY)], None, id="after 7 days"),
    ],
)
def test_composite_onboarding(house: House, role: str | None, messages: list[Message], since: int | None):
    """Onboarding, an invite, and two projects; or, of a practitioner, feature X twice in the first seven days."""
    said = [] if role is None else [identify(START, "ada", role=role)]
    expected = [] if since is None else [(1, "qualified", since)]

    assert expected == at_both(house, "composite-onboarding", "ada", [*said, *ONBOARDED, *messages], LATER)


def test_who_changes_role_changes_path(house: House):
    """Projects count from when a practitioner is none any more; who becomes one leaves."""
    roles = [identify(START + at * DAY, "ada", role=role) for at, role in ((0, "practitioner"), (3, "admin"))]
    back = identify(START + 9 * DAY, "ada", role="practitioner")
    messages = [*ONBOARDED, *roles, project("a", START), project("b", START), back]

    assert [(1, "qualified", START + 3 * DAY), (1, "exited", START + 9 * DAY)] == at_both(
        house, "composite-onboarding", "ada", messages, LATER
    )


# --- 6. sign-up, desktop and upload; and how full the space is ---


@pytest.mark.parametrize(
    ("used", "second_device_at", "upload_at", "tier"),
    [
        pytest.param(800, START, START + DAY, "hot", id="80 % on two devices"),
        pytest.param(799, START, START + DAY, "warm", id="one byte less"),
        pytest.param(800, None, START + DAY, "warm", id="one device"),
        pytest.param(500, None, START + DAY, "warm", id="half full"),
        pytest.param(499, START, START + DAY, None, id="less than half"),
        pytest.param("800", START, START + DAY, "hot", id="a number in quotes"),
        pytest.param(None, START, START + DAY, None, id="never measured"),
        pytest.param(900, START, APRIL_1ST - MS, "hot", id="the last instant of the 30th day"),
        pytest.param(900, START, APRIL_1ST, "warm", id="the 31st day"),
    ],
)
def test_storage_upgrade(house: House, used: object, second_device_at: int | None, upload_at: int, tier: str | None):
    """On the day of uploading: at least 80 % with two devices in 30 days is hot, 50 % is warm."""
    messages = [
        track("Account Created", START, "ada"),
        track("App Installed", START, "ada", platform="desktop"),
        identify(START, "ada", storage_limit_bytes=1_000),
        *([] if used is None else [track("Storage Measured", upload_at - 1 * MS, "ada", used_bytes=used)]),
        track("File Synced", upload_at - 1 * MS, "ada", device_id="laptop"),
        *([] if second_device_at is None else [track("File Synced", second_device_at, "ada", device_id="phone")]),
        track("File Uploaded", upload_at, "ada"),
    ]

    assert [(1, "qualified", upload_at)] == at_both(house, "storage-upgrade", "ada", messages, LATER)
    assert tier == evidence(house, "storage-upgrade")["tier"]


def test_a_referral_that_raises_the_limit_cools_down(house: House):
    """The limit is a trait: what was 80 % is 40 %."""
    messages = [
        track("Account Created", START, "ada"),
        track("Storage Measured", START, "ada", used_bytes=800),
        identify(START, "ada", storage_limit_bytes=1_000),
        identify(START + HOUR, "ada", storage_limit_bytes=2_000),
        track("App Installed", START, "ada", platform="desktop"),
        track("File Uploaded", START + DAY, "ada"),
    ]
    house.take_in(*messages, now=LATER)

    assert None is evidence(house, "storage-upgrade")["tier"]


# --- 9. the monthly limit, or a hard buying signal ---

FREE = identify(MARCH_1ST, "ada", plan="free", monthly_units=100)


def premium(*uses: tuple[int, object]) -> list[Message]:
    return [track("Premium Used", at, "ada", units=units) for at, units in uses]


def noon(day: int) -> int:
    """Of a day of March, a little before Berlin's."""
    return MARCH_1ST + (day - 1) * DAY + 11 * HOUR


@pytest.mark.parametrize(
    ("messages", "since"),
    [
        pytest.param(premium(*((noon(d), 25) for d in (2, 3, 4, 5))), noon(5), id="four days, 100 %"),
        pytest.param(premium(*((noon(d), 24.99) for d in (2, 3, 4, 5))), None, id="99.96 %"),
        pytest.param(premium(*((noon(d), 40) for d in (2, 3, 4, 4))), None, id="three days"),
        pytest.param(
            premium(*((noon(d), 25) for d in (2, 3, 4)), (MARCH_30TH - MS, 25)), MARCH_30TH - MS, id="28 days"
        ),
        pytest.param(premium(*((noon(d), 25) for d in (2, 3, 4)), (MARCH_30TH, 25)), None, id="29 days"),
        pytest.param(
            premium(*((noon(d), 30) for d in (20, 21, 22)), (APRIL_1ST - MS, 30)), APRIL_1ST - MS, id="this month"
        ),
        pytest.param(premium(*((noon(d), 30) for d in (20, 21, 22)), (APRIL_1ST, 30)), None, id="the next month"),
        pytest.param(premium(*((noon(d), 30) for d in (20, 21, 22)), (APRIL_1ST, 100)), APRIL_1ST, id="all of it then"),
    ],
)
def test_a_free_user_reaches_the_limit(house: House, messages: list[Message], since: int | None):
    """On four days of the last 28, and all of this month's units, by Berlin's calendar."""
    house.take_in(FREE, *messages, now=LATER)
    expected = [] if since is None else [since]

    assert expected == [at for _, step, at in steps(house, "free-limit-reached", "ada") if step == "qualified"]


@pytest.mark.parametrize(
    ("messages", "since"),
    [
        pytest.param(times(3, "API Rate Limited", START, "ada"), START + 2 * MINUTE, id="three times"),
        pytest.param(times(2, "API Rate Limited", START, "ada"), None, id="twice"),
        pytest.param(
            [*times(2, "API Rate Limited", MARCH_29TH - 1 * HOUR, "ada"), track("API Rate Limited", noon(35), "ada")],
            None,
            id="the third on the 8th day, of which one had 23 hours",
        ),
        pytest.param(
            [
                *times(2, "API Rate Limited", MARCH_29TH - HOUR, "ada"),
                track("API Rate Limited", MARCH_29TH + 6 * DAY - HOUR - MS, "ada"),
            ],
            MARCH_29TH + 6 * DAY - HOUR - MS,
            id="the last instant of the 7th day",
        ),
        pytest.param([track("Workspace Created", START + n, "ada", workspace_id=str(n % 2000)) for n in (0, 1000)],
                     START + MS, id="two workspaces"),
        pytest.param([track("Workspace Created", START + n, "ada", workspace_id="a") for n in (0, 1000)],
                     None, id="one workspace twice"),
        pytest.param([track("Invoice Requested", START, "ada")], START, id="an invoice"),
        pytest.param([track("Billing Details Added", START, "ada")], START, id="billing details"),
    ],
)  # fmt: skip
def test_a_free_user_shows_a_hard_buying_signal(house: House, messages: list[Message], since: int | None):
    """Any one of them; and only of who is on the free plan."""
    expected = [] if since is None else [(1, "qualified", since)]

    assert expected == at_both(house, "free-limit-reached", "ada", [FREE, *messages], LATER)
    house.clear()
    house.take_in(identify(MARCH_1ST, "ada", plan="paid", monthly_units=100), *messages, now=LATER)
    assert [] == steps(house, "free-limit-reached", "ada")


def test_a_new_month_is_an_exit(house: House):
    """Nothing of it is used yet; and what is used of the next one waits for thirty days, which it does not have."""
    used = premium(*((noon(d), 30) for d in (25, 26, 27, 28)))
    again = premium(*((APRIL_1ST + d * DAY, 60) for d in (2, 3, 4, 28)))

    assert [(1, "qualified", noon(28)), (1, "exited", APRIL_1ST)] == at_both(
        house, "free-limit-reached", "ada", [FREE, *used, *again], LATER
    )


def test_who_upgrades_has_converted_and_may_come_again(house: House):
    """The offer ends with the purchase; two workspaces still stand when the cool-down is over, to the microsecond."""
    opened = [track("Workspace Created", START + n * HOUR, "ada", workspace_id=str(n)) for n in (0, 1)]
    bought = track("Plan Upgraded", START + DAY, "ada")
    expected = [(1, "qualified", START + HOUR), (1, "converted", START + DAY), (2, "qualified", START + 31 * DAY)]

    assert expected[:2] == at_both(house, "free-limit-reached", "ada", [FREE, *opened, bought], START + 31 * DAY - 1)
    house.clear()
    assert expected == at_both(house, "free-limit-reached", "ada", [FREE, *opened, bought], START + 31 * DAY)


# --- 10. from 5 to 20 active users in two weeks ---

PAID = group("acme", MARCH_1ST, "u0", plan_state="paid", seats=10)
# Nobody can say of an account that it had few users then who did not see it then.
SEEN = acme("Signed In", MARCH_1ST - 20 * DAY, "u0")


def active(n: int, at: int, event: str = "Signed In") -> list[Message]:
    return [acme(event, at + user * SECOND, f"u{user}") for user in range(n)]


def grown(at: int, users: int) -> list[Message]:
    """So many active users, of two departments, and an admin who views billing twice; the last one last."""
    work = [acme("Workflow Run", at, "u0", department=name) for name in ("sales", "support")]
    return [*work, *(acme("Billing Viewed", at, "u0", role="admin") for _ in range(2)), *active(users, at)]


LAST = 19 * SECOND
# On the 16th, fourteen days back and six more: February 24th, by Berlin's calendar.
FIRST_DAY = MARCH_1ST - 5 * DAY


@pytest.mark.parametrize(
    ("then", "at", "since"),
    [
        pytest.param(5, noon(16), noon(16) + LAST, id="five a fortnight ago"),
        pytest.param(6, noon(16), None, id="six"),
        pytest.param(6, noon(15), noon(15) + LAST, id="six, but a day less ago"),
        pytest.param(6, noon(22), MARCH_1ST + 22 * DAY, id="six, until they were too long ago"),
    ],
)
def test_seat_expansion(house: House, then: int, at: int, since: int | None):
    """Twenty in the last seven days; at most five in the seven days that ended fourteen days ago."""
    messages = [PAID, SEEN, *active(then, noon(2)), *grown(at, 20)]
    found = at_both(house, "seat-expansion", "acme", messages, LATER)

    assert ([] if since is None else [(1, "qualified", since)]) == found[:1]
    house.clear()
    house.take_in(PAID, SEEN, *active(then, noon(2)), *grown(at, 19), now=LATER)
    assert [] == steps(house, "seat-expansion", "acme")


@pytest.mark.parametrize(
    ("first", "since"),
    [(FIRST_DAY, noon(16) + LAST), (FIRST_DAY + 1, MARCH_1ST + 16 * DAY)],
    ids=["the whole of it", "a microsecond too late"],
)
def test_a_new_account_has_not_grown_before_its_time(house: House, first: int, since: int):
    """It must have been seen for as long as is looked back: from the first of the seven days a fortnight ago."""
    house.take_in(PAID, acme("Signed In", first, "u0"), *grown(noon(16), 20), now=LATER)

    assert (1, "qualified", since) == steps(house, "seat-expansion", "acme")[0]


@pytest.mark.parametrize(("users", "again"), [(29, False), (30, True)])
def test_an_account_comes_again_only_with_half_as_many_more(house: House, users: int, again: bool):
    """After sixty days, and beyond 150 % of its last peak."""
    second = noon(16) + 70 * DAY
    messages = [PAID, SEEN, *grown(noon(16), 20), *grown(second, users)]
    found = at_both(house, "seat-expansion", "acme", messages, second + HOUR)
    first = [(1, "qualified", noon(16) + LAST), (1, "exited", MARCH_1ST + 22 * DAY)]

    assert first + ([(2, "qualified", second + 29 * SECOND)] if again else []) == found


# --- 11. a score of habit and intent ---

COMPANY = group("acme", MARCH_1ST, "ada", employees=50)


def regulars(users: int, days: int) -> list[Message]:
    return [acme("Signed In", noon(2 + day), f"u{user}") for day in range(days) for user in range(users)]


def reports(n: int, at: int, user: str = "u9") -> list[Message]:
    return times(n, "Report Run", at, user, account="acme")


@pytest.mark.parametrize(
    ("messages", "qualifies"),
    [
        pytest.param([COMPANY, *regulars(3, 3), *reports(10, noon(4))], True, id="30 + 20 + 10"),
        pytest.param([COMPANY, *regulars(3, 3), *reports(9, noon(4))], False, id="one report less"),
        pytest.param([COMPANY, *regulars(2, 3), *reports(10, noon(4))], False, id="two regulars"),
        pytest.param([COMPANY, *regulars(3, 2), *reports(10, noon(4))], False, id="on two days"),
        pytest.param([*regulars(3, 3), *reports(90, noon(4))], False, id="reports give 12 at most"),
        pytest.param(
            [*regulars(3, 3), *reports(12, noon(4)), *times(3, "Pricing Viewed", noon(4), "u9", account="acme")],
            True,
            id="three views of the price give 18",
        ),
        pytest.param(
            [*regulars(3, 3), *reports(11, noon(4)), *times(9, "Pricing Viewed", noon(4), "u9", account="acme")],
            False,
            id="and nine no more",
        ),
        pytest.param(
            [identify(START, "u9", role="owner"), *regulars(3, 3), *reports(12, noon(4)), *times(1, "Pricing Viewed",
             noon(4), "u9", account="acme")],
            True,
            id="an owner's report gives 15",
        ),
        pytest.param(
            [identify(START, "u8", role="owner"), *regulars(3, 3), *reports(12, noon(4)), *times(1, "Pricing Viewed",
             noon(4), "u9", account="acme")],
            False,
            id="not another's",
        ),
        pytest.param(
            [group("acme", START, "ada", employees=49), *regulars(3, 3), *reports(12, noon(4))], False, id="too small"
        ),
        pytest.param(
            [group("acme", START, "ada", employees=50, email_kind="personal"), *regulars(3, 3), *reports(12, noon(4)),
             *times(2, "Pricing Viewed", noon(4), "u9", account="acme")],
            False,
            id="a personal address costs 20",
        ),
        pytest.param(
            [group("acme", START, "ada", employees=50, domain="rival.example"), *regulars(3, 3),
             *reports(12, noon(4))],
            False,
            id="a competitor",
        ),
    ],
)  # fmt: skip
def test_habit_score(house: House, messages: list[Message], qualifies: bool):
    """Sixty points enter."""
    found = at_both(house, "habit-score", "acme", messages, noon(5))

    assert (["qualified"] if qualifies else []) == [step for _, step, _ in found]


def test_a_score_stays_until_below_forty_five(house: House):
    """60 at the tenth report, 45 when an owner's reports are two weeks old; 35 when they are thirty days old."""
    basics = [COMPANY, identify(START, "u9", role="owner"), acme("Checklist Completed", START)]
    found = at_both(house, "habit-score", "acme", [*basics, *reports(10, noon(10))], LATER)

    # The day after the 30th day, whole days of a spring in which the clocks changed.
    assert [(1, "qualified", noon(10) + 9 * MINUTE), (1, "exited", MARCH_1ST + 39 * DAY - HOUR)] == found


@pytest.mark.parametrize(
    ("age", "qualifies"), [(7 * DAY - MS, True), (7 * DAY, True), (8 * DAY - MS, True), (8 * DAY, False)]
)
def test_interest_in_the_price_halves_in_a_week(house: House, age: int, qualifies: bool):
    """Six points are three a week later, by whole days: 20 + 15 + 15 + 7 + 3."""
    basics = [COMPANY, identify(START, "u9", role="owner"), acme("Checklist Completed", START)]
    viewed = acme("Pricing Viewed", START)
    messages = [*basics, viewed, *(acme("Report Run", START + age, "u9") for _ in range(7))]
    found = at_both(house, "habit-score", "acme", messages, START + age)

    assert ([(1, "qualified", START + age)] if qualifies else []) == found


@pytest.mark.parametrize(("views", "tier", "score"), [(2, "B", 74), (3, "A", 80)])
def test_tiers_of_a_score(house: House, views: int, tier: str, score: int):
    """80 points are an A."""
    prices = times(views, "Pricing Viewed", noon(4), "u9", account="acme", apart=0)
    done = [*reports(12, noon(3)), *prices, *regulars(3, 2), *(acme("Signed In", noon(4), f"u{n}") for n in range(3))]
    house.take_in(COMPANY, *done, now=noon(5))
    shown = evidence(house, "habit-score")

    assert (tier, score) == (shown["tier"], shown["score"])


# --- 12. a ladder ---

SOURCE, FLOW = acme("Integration Connected", START), acme("Automation Created", START + HOUR)
PRICED = START + 2 * HOUR


def asked(after: int) -> list[Message]:
    return [acme("Pricing Viewed", PRICED), acme("Contact Requested", PRICED + after)]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        pytest.param([SOURCE], {"engaged": START}, id="a source"),
        pytest.param([SOURCE, FLOW], {"engaged": START, "activated": START + HOUR}, id="and an automation"),
        pytest.param([FLOW], {}, id="an automation alone"),
        pytest.param(
            [*active(10, START), *asked(3 * DAY)], {"expansion-ready": PRICED + 3 * DAY}, id="ten, and asked in 3 days"
        ),
        pytest.param([*active(10, START), *asked(3 * DAY + MS)], {}, id="a moment later"),
        pytest.param([*active(9, START), *asked(DAY)], {"expansion-ready": PRICED + DAY}, id="nine, and who asked"),
        pytest.param([*active(8, START), *asked(DAY)], {}, id="eight, and who asked"),
        pytest.param(
            [group("acme", START, "ada", employees=500), SOURCE, FLOW], {"engaged": START}, id="an enterprise"
        ),
        pytest.param(
            [
                group("acme", START, "ada", employees=500),
                *times(2, "Integration Connected", START, "u0", account="acme"),
                *times(3, "Automation Created", START + HOUR, "u0", account="acme"),
                *active(5, START + 2 * HOUR),
            ],
            {"engaged": START, "activated": START + 2 * HOUR + 4 * SECOND},
            id="an enterprise of five",
        ),
    ],
)
def test_value_ladder(house: House, messages: list[Message], expected: dict[str, int]):
    """Each rung is told when it is first reached; any of them qualifies."""
    found = at_both(house, "value-ladder", "acme", messages, START + 20 * DAY)

    assert expected == {step.removeprefix("stage:"): at for _, step, at in found if step.startswith("stage:")}
    assert ([min(expected.values())] if expected else []) == [at for _, step, at in found if step == "qualified"]


def test_a_quiet_account_leaves_and_comes_back_with_its_first_event(house: House):
    """More than thirty days after the last event; it does not come back before anything happens."""
    quiet, back = START + 30 * DAY + 1, START + 45 * DAY
    messages = [SOURCE, acme("Signed In", back)]
    expected = [
        (1, "qualified", START),
        (1, "stage:engaged", START),
        (1, "exited", quiet),
        (2, "qualified", back),
        (2, "stage:engaged", back),
        (2, "exited", back + 30 * DAY + 1),
    ]

    assert expected == at_both(house, "value-ladder", "acme", messages, LATER)
