"""What the API and the command line say of an entity: its state, its history, who is near, in whose days."""

from collections.abc import Iterator
from typing import Any

import pytest

from assay.contract.times import DAY, HOUR, MINUTE, format_instant, parse_instant
from assay_collector.pql.language import read_definitions
from qualify.house import House, opened
from qualify.stories import definition_text
from qualify.wire import START, Message, group, identify, times, track

PROJECT = "project: reading\ntimezone: UTC\n"
BODIES = {
    "u-held": """
signals: {made: {count: Made, within: 5h}}
qualify: {made: at least 2}
lifecycle: {hold: 10m, exit: {made: at most 1}, requalify: {after: 1 day}}""",
    "u-quiet": """
signals: {made: {count: Made}, quiet: {since: Shared}}
qualify: {made: at least 1, quiet: more than 2 days}""",
    "a-days": "signals: {days: {active_days: Made, within: 3 days}}\nqualify: {days: at least 2}",
    "a-near": """
signals: {made: {count: Made}, docs: {distinct: Shared, of: doc}}
qualify: {made: at least 10, docs: at least 1}
nudge: {near: 80%}
tiers: {hot: {made: at least 20}, warm: {made: at least 10}}""",
    "u-near": """
signals: {made: {count: Made}}
qualify: {made: at least 4}
eligible: {user.plan: free}
nudge: {near: 50%}""",
}
TEXTS = {f"{name}.yaml": definition_text(name, body) for name, body in BODIES.items()}
CATALOGUE = read_definitions({"project.yaml": PROJECT, **TEXTS})


@pytest.fixture(scope="module")
def built() -> Iterator[House]:
    with opened(CATALOGUE) as house:
        yield house


@pytest.fixture
def house(built: House) -> House:
    built.clear()
    return built


def said(house: House, name: str, definition: str, now: int) -> dict[str, Any]:
    """What is told of one entity under one definition."""
    found = house.reader(now).qualifications(None, name)
    return next(v for entity in found["entities"] for v in entity["definitions"] if v["definition"] == definition)


# --- states ----------------------------------------------------------------------------------------------------------

MADE = times(2, "Made", START, "ada")
SECOND = START + MINUTE


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (START, ("not qualified", None, None)),
        (SECOND, ("held", SECOND, SECOND + 10 * MINUTE)),
        (SECOND + 10 * MINUTE - 1, ("held", SECOND, SECOND + 10 * MINUTE)),
        (SECOND + 10 * MINUTE, ("qualified", SECOND + 10 * MINUTE, None)),
        (START + 5 * HOUR, ("exited", START + 5 * HOUR, None)),
    ],
    ids=["before", "held", "to the last", "qualified", "exited"],
)
def test_held_is_a_state_of_its_own(house: House, now: int, expected: tuple[str, int | None, int | None]):
    """Between becoming true and being qualified it is held, and it is said until when; the ledger waits."""
    house.live_through(*[m for m in MADE if parse_instant(m["timestamp"]) <= now], until=now)
    shown = said(house, "ada", "u-held", now)
    status, since, until = expected

    assert (status, since and format_instant(since)) == (shown["status"], shown["since"])
    assert (until and format_instant(until)) == shown.get("until")
    assert ["qualified", "exited"][: {"qualified": 1, "exited": 2}.get(status, 0)] == [
        row["step"] for row in shown["history"]
    ]


def test_the_history_tells_each_step_with_its_cause_and_its_evidence(house: House):
    """What happened when, when it was known, because of what, and the criterion that ended it."""
    house.live_through(*MADE, until=START + 6 * HOUR)
    began, ended = said(house, "ada", "u-held", START + 6 * HOUR)["history"]

    assert ("qualified", "timer", True) == (began["step"], began["cause"], began["evidence"]["qualified"])
    assert ("exited", "timer", False) == (ended["step"], ended["cause"], ended["evidence"]["qualified"])
    assert {"clause": "exit"} == ended["evidence"]["endedBy"]
    assert ("made", 1, True) == tuple(ended["evidence"]["exit"][key] for key in ("name", "value", "holds"))


def test_after_an_end_it_is_said_when_it_may_begin_again(house: House):
    """The cool-down stands in the way, and for how long."""
    now = START + 6 * HOUR
    house.live_through(*MADE, *times(2, "Made", now - MINUTE, "ada"), until=now)
    lacking = said(house, "ada", "u-held", now)["missing"]

    assert format_instant(START + 5 * HOUR + DAY) == lacking["notBefore"]
    assert {"cool-down", "hold"} >= {each["what"] for each in lacking["inTheWay"]}


# --- what was not seen -----------------------------------------------------------------------------------------------


def test_what_was_never_seen_holds_only_of_who_was_observed(house: House):
    """Quiet for two days: of who never shared, once they have been observed for two days; to the microsecond."""
    house.live_through(track("Made", START, "ada"), until=START + 2 * DAY)
    before = said(house, "ada", "u-quiet", START + 2 * DAY)["evidence"]["qualify"]["all"][1]
    house.live_through(until=START + 3 * DAY)

    assert (None, None, format_instant(START)) == (before["value"], before["holds"], before["observedSince"])
    assert {"ada": START + 2 * DAY + 1} == house.since("u-quiet")


# --- whose days ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "qualifies"),
    [("UTC", False), ("Pacific/Kiritimati", False), ("Asia/Tokyo", True), ("Mars/Olympus_Mons", False), (9, False)],
)
def test_days_are_those_of_the_account(house: House, zone: object, qualifies: bool):
    """16:00 and 14:00 UTC of one day are two days in Tokyo; what is no time zone is ignored, and said."""
    noon = parse_instant("2026-03-02T14:30:00Z")
    told = [group("acme", START, "ada", timezone=zone), *times(2, "Made", noon, "ada", apart=HOUR, account="acme")]
    house.take_in(*told, now=noon + 2 * HOUR)
    shown = said(house, "acme", "a-days", noon + 2 * HOUR)["evidence"]

    assert qualifies == (house.since("a-days") == {"acme": noon + HOUR})
    is_one = zone in ("UTC", "Asia/Tokyo", "Pacific/Kiritimati")
    assert (
        {"timezone": zone}
        if is_one
        else {"timezoneIgnored": zone} == {key: value for key, value in shown.items() if key.startswith("timezone")}
    )


def test_when_an_account_moves_its_days_move_with_it(house: House):
    """The latest word counts for all of time, so what no longer stands is retracted."""
    noon = parse_instant("2026-03-02T14:30:00Z")
    told = [
        group("acme", START, "ada", timezone="Asia/Tokyo"),
        *times(2, "Made", noon, "ada", apart=HOUR, account="acme"),
    ]
    house.live_through(*told, group("acme", noon + 2 * HOUR, "ada", timezone="UTC"), until=noon + 3 * HOUR)

    assert ["new", "retracted"] == [row.change for row in house.ledger() if row.definition == "a-days"]
    assert {"trait"} == {row.cause for row in house.ledger() if row.change == "retracted"}


# --- who is near -----------------------------------------------------------------------------------------------------


def near(house: House, now: int, definition: str | None = None, limit: int = 100) -> dict[str, tuple[float, list[str]]]:
    """Who is near, how near, and what they lack; every page of it."""
    found: dict[str, tuple[float, list[str]]] = {}
    last: bytes | None = b""
    while last is not None:
        page, last = house.reader(now).near(definition, last, limit)
        assert not found.keys() & {each["id"] for each in page}
        found |= {each["id"]: (each["near"], each["missing"]["words"]) for each in page}
    return found


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_whoever_has_most_of_it_is_near(house: House, limit: int):
    """With the cheapest missing step; who qualifies, who has too little, and who is not near enough, are not."""
    events: list[Message] = []
    for account, made, docs in (("six", 6, 1), ("five", 5, 1), ("nine", 9, 0), ("all", 10, 1), ("none", 0, 1)):
        events += times(made, "Made", START, account=account, user=f"of-{account}")
        events += times(docs, "Shared", START, account=account, user=f"of-{account}", doc="x")
    house.take_in(*events, now=START + HOUR)

    assert {"six": (0.8, ["4 more Made"])} == near(house, START + HOUR, "a-near", limit)


def test_one_person_is_near_once(house: House):
    """However many identifiers it has; a plan that nobody knows can still be told, a refusal is one."""
    linked = [identify(START, "ada", anon=f"v{n}", plan="free") for n in range(4)]
    made = [track("Made", START + HOUR, anon=f"v{n}") for n in range(3)]
    house.take_in(*linked, *made, *times(2, "Made", START, "bob"), now=START + 2 * HOUR)
    refused = [identify(START + HOUR, "cy", plan="free", scoring=False), *times(3, "Made", START, "cy")]
    house.take_in(*refused, now=START + 2 * HOUR)

    assert {
        "ada": (0.75, ["1 more Made"]),
        "bob": (0.5, ["2 more Made", "user.plan must be free"]),
    } == near(house, START + 2 * HOUR, "u-near", 1)


# --- what decides nothing --------------------------------------------------------------------------------------------


def test_new_tiers_decide_nobody_again(house: House):
    """They are read, not decided: explained by at once, while the ledger keeps what it said."""
    house.take_in(
        *times(10, "Made", START, "ada", account="acme"), track("Shared", START, "ada", account="acme", doc="x")
    )
    before = house.ledger()
    body = BODIES["a-near"].replace("warm: {made: at least 10}", "mild: {made: at least 5}")
    texts = TEXTS | {"a-near.yaml": definition_text("a-near", body)}
    changed = read_definitions({"project.yaml": PROJECT, **texts})
    assert [d.hash for d in CATALOGUE.definitions] == [d.hash for d in changed.definitions]
    reader = house.reader(START + DAY)
    reader.use(changed)
    (entity,) = reader.qualifications("account", "acme")["entities"]
    (shown,) = [v for v in entity["definitions"] if v["definition"] == "a-near"]

    assert ("warm", "mild") == (shown["history"][0]["evidence"]["tier"], shown["now"]["tier"])
    assert before == house.ledger()


def test_what_only_grows_is_labelled(house: House):
    """Where nothing can end it and no time is involved."""
    house.take_in(track("Made", START, "ada", account="acme"), now=START)

    assert (True, False) == (
        said(house, "acme", "a-near", START)["monotone"],
        said(house, "ada", "u-held", START)["monotone"],
    )
