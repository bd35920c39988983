"""Evidence, clause by clause: what is shown, and in which words what fails is told."""

from dataclasses import replace
from typing import Any

import pytest

from assay.contract.times import DAY, HOUR, format_instant
from assay_collector.pql.decision import Judge
from assay_collector.pql.definition import Definition
from assay_collector.pql.examples import facts_from
from assay_collector.pql.explain import evidence, failings, named, reasons, standing_at, what_stands_in_the_way
from assay_collector.pql.lifecycle import Moment
from pql.facts import START, definition

NOW = START + 3 * DAY
SIGNALS = (
    "signals: {a: {count: A}, b: {count: B}, lately: {count: A, within: 48h}, days: {active_days: A, within: 2 days}}\n"
)


def done(event: str, at: int = START, **properties: Any) -> dict[str, Any]:
    return {"t": format_instant(at), "event": event, "user": "ada", "properties": properties}


def told(at: int = START, **traits: Any) -> dict[str, Any]:
    return {"t": format_instant(at), "user": "ada", "traits": {key.replace("_", "."): traits[key] for key in traits}}


def shown(asked: Definition, *history: dict[str, Any], at: int = NOW, moment: Moment | None = None) -> dict[str, Any]:
    return evidence(asked, facts_from(asked, list(history)), at, moment)


# --- in words ---


@pytest.mark.parametrize(
    ("qualify", "holding", "failing"),
    [
        ("{a: at least 1}", ["a = 1 (at least 1)"], []),
        ("{a: at least 2}", [], ["a = 1 (at least 2)"]),
        ("{a: at least 1, b: at least 1}", ["a = 1 (at least 1)"], ["b = 0 (at least 1)"]),
        ("{any: [{a: at least 2}, {b: at least 1}]}", [], ["a = 1 (at least 2)", "b = 0 (at least 1)"]),
        (
            "{at_least: {count: 2, of: [{a: at least 1}, {a: at least 2}, {b: at least 1}]}}",
            ["a = 1 (at least 1)"],
            ["a = 1 (at least 2)", "b = 0 (at least 1)"],
        ),
        ("{not: {a: at least 1}, b: at least 1}", [], ["not (a = 1 (at least 1))", "b = 0 (at least 1)"]),
        ("{not: {user.role: admin}, a: at least 1}", ["a = 1 (at least 1)"], ["not (unknown)"]),
        ("{user.role: admin}", [], ["user.role = unknown (admin)"]),
        ("{score: [{each: a, points: 3, cap: 9}], enter: 6, exit: 2}", [], ["score = 3 (at least 6, until below 2)"]),
        ("{score: [{each: a, points: 3, cap: 9}], enter: 3}", ["score = 3 (at least 3)"], []),
        (
            "{lately: at most 1, a: at least 1}",
            ["a = 1 (at least 1)"],
            ["lately = 1 (at most 1, observed since 2026-03-05T08:00:00.000Z)"],
        ),
    ],
)
def test_what_holds_and_what_fails_is_told_by_criterion(qualify: str, holding: list[str], failing: list[str]):
    """Each with its value and test; of a `not` what it forbids; of what was not watched, since when it was."""
    tree = shown(definition(SIGNALS + f"qualify: {qualify}"), done("A", NOW - HOUR))["qualify"]

    assert (holding, failing) == (reasons(tree), failings(tree))


def test_who_was_never_observed_is_said_to_be_so():
    """Nobody could have seen it."""
    asked = definition(SIGNALS + "qualify: {lately: at most 1, a: at least 1}")

    assert ["lately = 0 (at most 1, observed never)", "a = 0 (at least 1)"] == failings(shown(asked)["qualify"])
    assert "observedSince" not in shown(asked, done("A", START))["qualify"]["all"][0]


def test_events_are_named_as_people_do():
    """One, either of several, or any."""
    asked = definition("signals: {x: {count: [A, B]}, y: {count: any}}\nqualify: {x: at least 1, y: at least 1}")

    assert ["A or B", "any event"] == [named(use.signal.matcher) for use in asked.uses]


# --- the trees ---


def test_a_share_shows_how_many_are_satisfied():
    """And how many must be."""
    asked = definition(
        SIGNALS + "qualify: {at_least: {share: 60%, of: [{a: at least 1}, {b: at least 1}, {a: at least 9}]}}"
    )
    tree = shown(asked, done("A"))["qualify"]

    assert (2, 1, False) == (tree["atLeast"], tree["satisfied"], tree["holds"])


def test_a_score_shows_what_each_item_gives():
    """Points once while something holds, or so many for each."""
    asked = definition(
        SIGNALS + "qualify: {score: [{when: {b: at least 1}, points: 5}, {each: a, points: 2.5, cap: 4}], enter: 3}"
    )

    assert {
        "name": "score",
        "value": 4,
        "test": "at least 3",
        "holds": True,
        "items": [
            {"points": 5, "when": {"name": "b", "value": 0, "test": "at least 1", "holds": False}},
            {"points": 2.5, "each": "a", "value": 2, "given": 4},
        ],
    } == shown(asked, done("A"), done("A", START + 1))["qualify"]


# --- episodes ---


def test_the_evidence_of_a_step_is_of_that_step():
    """Of two at one instant the one that is asked for; without, the last; and of the episode that it belongs to."""
    asked = definition(
        SIGNALS + "qualify: {a: at least 1}\nlifecycle: {expire: 1h, convert: {event: B}, requalify: {after: 0 days}}"
    )
    history = [done("B", START - 1), done("A"), done("B")]
    begun = shown(asked, *history, at=START, moment=Moment(1, "qualified", START))
    last = shown(asked, *history, at=START)

    assert (True, {"number": 1, "began": "2026-03-02T09:00:00.000Z"}) == (begun["qualified"], begun["episode"])
    assert (False, "converted", "2026-03-02T09:00:00.000Z") == (
        last["qualified"],
        last["episode"]["how"],
        last["episode"]["ended"],
    )
    assert "endedBy" not in begun
    assert {"clause": "convert", "event": "B", "at": "2026-03-02T09:00:00.000Z"} == last["endedBy"]


def test_before_its_first_episode_there_is_none():
    """And nothing ended."""
    assert not {"episode", "endedBy", "exit", "eligible", "fit"} & shown(definition(SIGNALS + "qualify: {a: 1}")).keys()


def test_what_lapsed_by_itself_was_ended_by_its_own_condition():
    """Where there is no `exit`, what must hold is what began it."""
    asked = definition(SIGNALS + "qualify: {days: at least 1}")

    assert {"clause": "qualify"} == shown(asked, done("A"), at=START - START % DAY + 2 * DAY)["endedBy"]


def test_a_mark_to_be_surpassed_is_told_by_signal():
    """With what must be reached."""
    asked = definition(
        SIGNALS + "qualify: {a: at least 1}\nlifecycle: {expire: 1h, requalify: {after: 0 days, beyond: {a: 300%}}}"
    )

    assert [{"what": "beyond", "signal": "a", "must be": "at least 3"}] == [
        each for each in shown(asked, done("A"))["inTheWay"] if each["what"] == "beyond"
    ]


def test_a_hold_is_told_with_its_beginning_and_its_end():
    """Since when it holds, and until when it must."""
    asked = definition(SIGNALS + "qualify: {a: at least 1}\nlifecycle: {hold: 2h}")

    assert [{"what": "hold", "since": "2026-03-02T09:00:00.000Z", "until": "2026-03-02T11:00:00.000Z"}] == shown(
        asked, done("A"), at=START + HOUR
    )["inTheWay"]


def test_of_who_is_on_a_list_the_course_of_things_is_not_told():
    """The list is enough, and the conditions, which others may see."""
    asked = definition(SIGNALS + "qualify: {a: at least 1}\nlifecycle: {hold: 2h}")
    facts = facts_from(asked, [done("A", NOW - HOUR)])
    judge = Judge(asked, replace(facts, excluded_by="bots"))

    assert [{"what": "list", "name": "bots"}] == what_stands_in_the_way(judge, NOW)


# --- standing ---


def test_what_is_shown_with_a_lead_is_what_the_definition_has():
    """Score, tier and level; of variants the first that is meant; of what it has not, nothing."""
    ladder = definition(
        SIGNALS + "qualify: {any: [{a: at least 1}, {b: at least 1}]}\nlevels: [50%, 100%]\n"
        "tiers: {hot: {b: at least 1}, warm: {a: at least 1}}\nfit: {user.seats: at least 5}\n"
        "variants: [{name: v, when: {user.role: x}, qualify: {a: at least 5}},"
        " {name: w, when: {user.role: [x, y]}, qualify: {a: at least 6}}]"
    )
    plain = definition(SIGNALS + "qualify: {a: at least 1}")

    def standing(asked: Definition, *history: dict[str, Any]) -> dict[str, Any]:
        return {
            key: value
            for key, value in standing_at(asked, facts_from(asked, list(history)), NOW).items()
            if key != "asOf"
        }

    assert {} == standing(plain, done("A"))
    assert {"fit": "unknown", "tier": None, "level": None} == standing(ladder, done("C"))
    assert {"fit": "match", "tier": "warm", "level": "50%", "variant": "w"} == standing(
        ladder, done("A"), told(user_seats=7, user_role="y")
    )
    assert ("v", "100%", "hot") == tuple(
        standing(ladder, done("A"), done("B"), told(user_role="x"))[key] for key in ("variant", "level", "tier")
    )


def test_stages_show_the_highest_that_holds():
    """And none where there are no stages."""
    asked = definition(SIGNALS + "stages:\n  - {name: one, qualify: {a: 1}}\n  - {name: two, qualify: {b: 1}}")

    assert ("one", "two") == (shown(asked, done("A"))["stage"], shown(asked, done("B"))["stage"])
    assert "stage" not in shown(definition(SIGNALS + "qualify: {a: 1}"), done("A"))


@pytest.mark.parametrize(
    ("signal", "zone", "expected"),
    [
        ("active_days: A, within: 2 days", "Asia/Kathmandu", {"timezone": "Asia/Kathmandu"}),
        ("active_days: A, within: 2 days", "Mars/Olympus_Mons", {"timezoneIgnored": "Mars/Olympus_Mons"}),
        ("active_days: A, within: 2 days", None, {}),
        ("count: A", "Asia/Kathmandu", {}),
    ],
)
def test_the_accounts_time_zone_is_shown_where_days_count(signal: str, zone: str | None, expected: dict[str, str]):
    """And what was said that is none."""
    asked = definition(f"signals: {{x: {{{signal}}}}}\nqualify: {{x: at least 1}}", "account")
    history = [done("A")] + ([told(account_timezone=zone)] if zone else [])

    assert expected == {key: value for key, value in shown(asked, *history).items() if key.startswith("timezone")}
