"""What is missing, by every kind of signal, and how near it is."""

from fractions import Fraction
from typing import Any

import pytest

from assay.contract.times import DAY, HOUR, format_instant
from assay_collector.pql.decision import Judge
from assay_collector.pql.definition import Definition
from assay_collector.pql.examples import facts_from
from assay_collector.pql.lacking import missing, nearness
from assay_collector.pql.words import in_words
from pql.facts import START, definition

NOW = START + 3 * DAY
AT_ONCE = "lifecycle: {requalify: {after: 0 days}}"


def one(signal: str, test: str, entity: str = "user", clauses: str = AT_ONCE) -> Definition:
    """Who has ever done anything, and passes a test of one signal."""
    return definition(
        f"signals: {{x: {{{signal}}}, seen: {{count: any, within: ever}}}}\n"
        f"qualify: {{x: {test}, seen: at least 1}}\n{clauses}",
        entity,
    )


def paid(at: int, size: float = 3, user: str = "ada", event: str = "Paid") -> dict[str, Any]:
    return {"t": format_instant(at), "event": event, "user": user, "properties": {"size": size, "plan": "free"}}


def said(asked: Definition, *history: dict[str, Any], at: int = NOW) -> dict[str, Any]:
    return missing(asked, facts_from(asked, list(history)), at)


def words(told: dict[str, Any]) -> list[str] | None:
    return [in_words(step) for step in told["steps"]] if told["reachable"] else None


@pytest.mark.parametrize(
    ("signal", "test", "expected"),
    [
        ("sum: Paid, of: size", "at least 5", ["1 more Paid with size 2"]),
        ("sum: Paid, of: size", "less than 2.5", ["1 more Paid with size -1.5"]),
        ("min: Paid, of: size", "at most 2", ["1 more Paid with size 2"]),
        ("min: Paid, of: size", "at least 4", None),
        ("max: Paid, of: size", "at least 7", ["1 more Paid with size 7"]),
        ("last: Paid, of: plan", "pro", ["1 more Paid with plan pro"]),
        ("first: Paid, of: plan", "pro", None),
        ("first: Left, of: plan", "pro", ["1 more Left with plan pro"]),
        ("since: Paid", "at most 30m", ["1 more Paid"]),
        ("since: Paid", "more than 2h", ["wait until 2026-03-05T10:00:00.000001Z"]),
        ("active_days: Left, within: 3 days", "at least 1", ["1 more Left"]),
        ("active_days: Left, within: 3 days", "at least 2", ["x must be at least 2; it is 0"]),
        ("active_days: any, within: 3 days", "at least 2", None),
        ("count: Paid, within: 2 days, ago: 1 day", "at least 1", ["wait until 2026-03-06T00:00:00.000Z"]),
        ("count: Paid, within: 48h", "less than 1", ["wait until 2026-03-07T08:00:00.000Z"]),
        ("count: Left, within: 2 days of Signed Up", "at least 2", ["1 more Signed Up", "2 more Left"]),
        ("distinct: Paid, of: plan", "at least 3", ["2 more Paid (another plan)"]),
        ("sequence: [Left, Paid], apart: 1h, within: ever", "at least 1", ["x must be at least 1; it is 0"]),
        ("count: Paid", "at least 4", ["3 more Paid"]),
        ("count: Paid", "between 3 and 4", ["2 more Paid"]),
        ("count: Paid", "less than 1", None),
    ],
)
def test_every_kind_of_signal_says_what_would_do(signal: str, test: str, expected: list[str] | None):
    """An hour after one payment of 3: events with a value, time, what has to be, or nothing at all."""
    asked = one(signal, test)

    assert expected == words(said(asked, paid(NOW - HOUR)))


def test_people_are_asked_for_as_people():
    """Of an account of one, that wants three, two others."""
    asked = one("distinct: any, of: user_id", "at least 3", "account")

    assert ["2 more any event (another user_id)"] == words(said(asked, paid(START)))


def test_a_cool_down_says_when_it_is_over():
    """And until then no step helps."""
    again = one("count: Paid", "at least 1", clauses="lifecycle: {expire: 1h, requalify: {after: 9 days}}")
    told = said(again, paid(START))

    assert ("2026-03-11T10:00:00.000Z", ["cool-down"]) == (
        told["notBefore"],
        [each["what"] for each in told["inTheWay"]],
    )
    assert "notBefore" not in said(again)


@pytest.mark.parametrize(
    ("qualify", "expected"),
    [
        ("{not: {a: at least 1}, c: at least 1}", ["1 more C"]),
        ("{not: {all: [{quiet: at most 1h}, {b: less than 1}]}, p: at least 1}", ["1 more B"]),
        ("{not: {any: [{b: less than 1}, {c: less than 2}]}, p: at least 1}", ["1 more B", "2 more C"]),
        ("{not: {at_least: {count: 2, of: {a: less than 3, b: less than 1, c: less than 2}}}, p: at least 1}",
         ["1 more B", "2 more C"]),
        ("{any: [{all: [{a: at least 9}, {b: at least 9}]}, {c: at least 4}]}", ["4 more C"]),
        ("{at_least: {count: 2, of: {a: at least 9, b: at least 2, c: at least 1}}}", ["2 more B", "1 more C"]),
        ("{at_least: {count: 1, of: {a: at least 9, b: at least 2, c: at least 1}}}", ["1 more C"]),
        ("{not: {quiet: at most 1h}, b: at least 1}", ["wait until 2026-03-05T09:30:00.000001Z", "1 more B"]),
        ("{b: at least 1, user.seats: [5, 6], c: at least 1}", ["1 more B", "user.seats must be [5, 6]", "1 more C"]),
        ("{user.seats: at least 5, not: {user.seats: at least 9}}",
         ["user.seats must be at least 5 and not (at least 9)"]),
    ],
)  # fmt: skip
def test_conditions_of_every_shape_say_the_cheapest_way(qualify: str, expected: list[str]):
    """In the order of the file; nothing that is there already is asked for again."""
    asked = definition(
        "signals: {a: {count: A}, b: {count: B}, c: {count: C}, quiet: {since: Paid}, p: {count: Paid}}\n"
        + f"qualify: {qualify}"
    )

    assert expected == words(said(asked, paid(NOW - HOUR // 2)))


# --- how near ---


@pytest.mark.parametrize(
    ("qualify", "expected"),
    [
        ("{a: at least 4}", Fraction(1, 4)),
        ("{a: at least 1}", Fraction(1)),
        ("{a: more than 2}", Fraction(1, 2)),
        ("{a: between 2 and 3}", Fraction(1, 2)),
        ("{b: at least 4}", Fraction(0)),
        ("{user.role: admin}", Fraction(0)),
        ("{user.seats: at least 10}", Fraction(0)),
        ("{a: [7, 8]}", Fraction(0)),
        ("{a: at least 4, b: at least 1}", Fraction(1, 8)),
        ("{any: [{b: at least 4}, {a: at least 4}, {a: at least 5}]}", Fraction(1, 4)),
        ("{at_least: {count: 2, of: [{b: at least 4}, {a: at least 4}, {a: at least 1}]}}", Fraction(5, 8)),
        ("{not: {a: at least 1}, b: at least 1}", Fraction(0)),
        ("{not: {a: at least 9}, b: at least 1}", Fraction(1, 2)),
        ("{score: [{each: a, points: 3, cap: 12}], enter: 12}", Fraction(1, 4)),
        ("{score: [{each: a, points: -3, cap: -12}, {each: b, points: 5, cap: 20}], enter: 12}", Fraction(0)),
    ],
)
def test_how_near_is_the_part_of_what_is_asked_for(qualify: str, expected: Fraction):
    """With one A: `all` is the mean, `any` the best, `at_least` the mean of the best, a score its part of `enter`."""
    asked = definition("signals: {a: {count: A}, b: {count: B}}\n" + f"qualify: {qualify}")

    assert expected == nearness(Judge(asked, facts_from(asked, [paid(START, event="A")])), NOW)
