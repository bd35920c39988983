"""The clauses and signals of the language: what each is compiled to, and what is said where one cannot be."""

from decimal import Decimal

import pytest

from assay.contract.times import DAY, HOUR, MINUTE
from assay_collector.pql.comparators import UnreadableComparator
from assay_collector.pql.definition import (
    All,
    CalendarDays,
    CalendarMonth,
    Members,
    Not,
    Ratio,
    Rolling,
    Score,
    ScorePoints,
    Use,
    Window,
)
from assay_collector.pql.language import read_definitions
from assay_collector.pql.windows import parse_elapsed
from pql.definitions import HEADER, PROJECT, body_errors, errors, read, read_body

SIGNALS = "signals: {a: {count: A}, b: {count: B}}\n"
SCORE = "qualify: {score: [{when: {a: at least 1}, points: 5}, {each: b, points: 2, cap: 6}], enter: 8}\n"


@pytest.mark.parametrize(
    ("written", "window"),
    [
        ("within: 7 days", CalendarDays(7, "UTC", 0, "7 days")),
        ("within: 1 day", CalendarDays(1, "UTC", 0, "1 day")),
        ("within: 7 days, ago: 14 days", CalendarDays(7, "UTC", 14, "7 days")),
        ("within: 48h", Rolling(48 * HOUR, 0, "48h")),
        ("within: 30m, ago: 6h", Rolling(30 * MINUTE, 6 * HOUR, "30m")),
        ("within: this month", CalendarMonth("UTC")),
    ],
)
def test_windows_that_move(written: str, window: Window):
    """Days are of the calendar, hours are exact."""
    (use,) = read_body(f"signals: {{a: {{count: A, {written}}}}}\nqualify: {{a: at least 1}}").uses
    assert window == use.window


def test_days_are_those_of_the_projects_time_zone():
    """Of windows, months and active days alike."""
    body = (
        "signals: {a: {count: A, within: 7 days}, b: {count: B, within: this month}, c: {active_days: C}}\n"
        "qualify: {a: at least 1, b: at least 1, c: at least 1}"
    )
    project = PROJECT + "timezone: Pacific/Kiritimati\n"
    (definition,) = read_definitions({"a.yaml": HEADER + body, "project.yaml": project}).definitions
    assert ["Pacific/Kiritimati", "Pacific/Kiritimati"] == [use.window.zone for use in definition.uses[:2]]
    assert "Pacific/Kiritimati" == definition.uses[2].zone
    assert read_body(body).hash != definition.hash


def test_the_window_at_the_top_moves_as_well():
    """It is that of every signal without its own, shifted by the signal's `ago`, and of members; not of `since`."""
    definition = read_body(
        "window: 7 days\n"
        "signals: {a: {count: A}, b: {count: A, ago: 7 days}, m: {members: {count: A}, having: 1}, s: {since: A}}\n"
        "qualify: {a: 1, b: 1, m: 1, s: less than 1h}"
    )
    week, before, members, since = definition.uses
    assert (0, 7) == (week.window.ago, before.window.ago)
    assert isinstance(members, Members)
    assert (week.window, "ever") == (members.inner.window, type(since.window).__name__.lower())


@pytest.mark.parametrize(
    ("written", "operator", "operands"),
    [
        ("more than 30 days", "more than", (30 * DAY,)),
        ("at least 48h", "at least", (48 * HOUR,)),
        ("less than  90m", "less than", (90 * MINUTE,)),
        ("between 1 day and 3 days", "between", (DAY, 3 * DAY)),
        ("between 36h and 3 days", "between", (36 * HOUR, 3 * DAY)),
        ("is known", "is known", ()),
    ],
)
def test_tests_of_durations(written: str, operator: str, operands: tuple[int, ...]):
    """In microseconds."""
    test = parse_elapsed(written)
    assert (operator, tuple(map(Decimal, operands))) == (test.operator, test.operands)


@pytest.mark.parametrize(
    ("written", "suggestion"),
    [
        ("more than 30", "more than 30 days"),
        ("more then 30 days", "more than 30 days"),
        ("over 2 weeks", "more than 14 days"),
        ("> 30 days", "more than 30 days"),
        ("30 days", "at least 30 days"),
        ("between 1 and 3 days", "between 1 day and 3 days"),
        ("at least 2 hours", "at least 2h"),
        (7, "at least 7 days"),
        ("soon", ""),
        ("not 3 days", ""),
        ("between 3 days and 1 day", ""),
    ],
)
def test_a_test_that_is_not_of_a_duration_has_a_suggestion(written: object, suggestion: str):
    """Where it is clear what was meant."""
    with pytest.raises(UnreadableComparator) as caught:
        parse_elapsed(written)
    assert suggestion == caught.value.suggestion


def test_a_ratio_may_name_what_comes_later_and_another_ratio():
    """The order of the file means nothing."""
    definition = read_body(
        "signals: {r: {ratio: [q, b]}, q: {ratio: [a, b]}, a: {count: A}, b: {count: B}}\nqualify: {r: at least 50%}"
    )
    ratio, inner, above, below = definition.uses
    assert Ratio("r", inner, below) == ratio
    assert Ratio("q", above, below) == inner
    assert 2 == len(definition.signals)


def test_a_score_without_exit_is_left_where_it_is_entered():
    """And it may stand beside other conditions, and within `not`."""
    score = read_body(SIGNALS + SCORE).qualify
    assert isinstance(score, Score)
    assert (Decimal(8), Decimal(8)) == (score.enter, score.leave)
    beside = read_body(SIGNALS + SCORE.replace("{score", "{a: at least 1, not: {score").replace("}\n", "}}\n")).qualify
    assert isinstance(beside, All)
    assert Not(score) == beside.of[1]


def test_a_mark_to_pass_may_be_the_score():
    """`beyond: {score: 120%}`."""
    definition = read_body(SIGNALS + SCORE + "lifecycle: {requalify: {after: 1 day, beyond: {score: 120%}}}")
    assert definition.lifecycle.requalify is not None
    assert ((ScorePoints(), Decimal("1.2")),) == definition.lifecycle.requalify.beyond


def test_a_condition_of_a_ladder_is_that_any_rung_is_reached():
    """Stages stand in place of `qualify`."""
    ladder = read_body(SIGNALS + "stages: [{name: x, qualify: {a: at least 1}}, {name: y, qualify: {b: at least 1}}]")
    assert [rung.qualify for rung in ladder.stages] == list(ladder.qualify.of)


Q = "qualify: {a: at least 1}"
STAGES = "stages: [{name: one, qualify: {a: at least 1}}, {name: two, qualify: {b: at least 1}}]"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        # windows
        (
            f"signals: {{a: {{count: A, within: 48h, ago: 2 days}}}}\n{Q}",
            "1:43: error D008: `48h` is exact, and `2 days` are days of the calendar; write `ago: 48h`",
        ),
        (
            f"signals: {{a: {{count: A, within: 7 days, ago: 48h}}}}\n{Q}",
            "1:46: error D008: `7 days` are days of the calendar, and `48h` is exact; write `ago: 2 days`",
        ),
        (
            f"signals: {{a: {{count: A, within: 7 days, ago: 36h}}}}\n{Q}",
            "1:46: error D008: `7 days` are days of the calendar, and `36h` is exact; write `within: 168h`",
        ),
        (
            f"signals: {{a: {{count: A, ago: 2 days}}}}\n{Q}",
            "1:30: error D008: `ever` cannot be shifted back; `ago` goes with a window such as `7 days` or `48h`",
        ),
        (
            f"signals: {{a: {{count: A, within: this month, ago: 2 days}}}}\n{Q}",
            "1:50: error D008: `this month` cannot be shifted back",
        ),
        (
            f"signals: {{a: {{count: A, within: 7 days of B, ago: 2 days}}}}\n{Q}",
            "1:51: error D008: `7 days of B` cannot be shifted back",
        ),
        (f"window: 0 days\n{SIGNALS}{Q}", "1:9: error D008: `0 days` is not between a second and a hundred years"),
        (f"window: 40000 days\n{SIGNALS}{Q}", "1:9: error D008: `40000 days` is not between"),
        (
            f"signals: {{a: {{count: A, within: 7 days, ago: 0 days}}}}\n{Q}",
            "1:46: error D008: `0 days` is no time at all",
        ),
        (f"signals: {{a: {{sequence: [A, B], apart: 0h}}}}\n{Q}", "1:40: error D008: `0h` is no time at all"),
        # durations
        (
            SIGNALS + "qualify: {a: more than 30 days}",
            "2:14: error D005: `more than 30 days` is a test of a duration, and `a` is none; write a plain number",
        ),
        (
            "signals: {a: {since: A}}\nqualify: {a: more than 30}",
            "2:14: error D005: `more than 30` is no test of a duration; did you mean `more than 30 days`?",
        ),
        # traits
        (
            "qualify: {user.role: admin}",
            "1:11: error D011: an account has no `user.role`; ask for a trait of the account, or for that of its",
        ),
        (f"signals: {{a: {{trait: user.role}}}}\n{Q}", "1:22: error D011: an account has no `user.role`"),
        (
            f"signals: {{a: {{members: {{count: A}}, having: 1, where: {{role: admin}}}}}}\n{Q}",
            "1:55: error D011: `role` is no trait of a member; write `user.role`",
        ),
        # signals
        (
            f"signals: {{a: {{ratio: [b, c]}}, b: {{ratio: [a, c]}}, c: {{count: C}}}}\n{Q}",
            "1:43: error D012: a ratio of itself: `a -> b -> a`",
        ),
        (f"signals: {{a: {{ratio: [a, b]}}, b: {{count: B}}}}\n{Q}", "1:23: error D012: a ratio of itself: `a -> a`"),
        (
            f"signals: {{a: {{ratio: [bb, c1]}}, b1: {{count: B}}, c1: {{count: C}}}}\n{Q}",
            "1:23: error D004: no signal is called `bb`",
        ),
        (
            f"signals: {{a: {{ratio: [s, b]}}, s: {{since: B}}, b: {{count: B}}}}\n{Q}",
            "1:23: error D012: `s` is a time since; a ratio divides numbers",
        ),
        (
            f"signals: {{a: {{members: {{since: A}}, having: 1}}}}\n{Q}",
            "1:25: error D012: `since` is not asked of each member; use a signal such as `count` within a window",
        ),
        (
            f"signals: {{a: {{members: {{members: {{count: A}}, having: 1}}, having: 1}}}}\n{Q}",
            "1:25: error D012: `members` is not asked of each member",
        ),
        (f"signals: {{a: {{count: A, having: 1}}}}\n{Q}", "1:25: error D002: `having` has no meaning beside `count`"),
        # scores
        (
            SIGNALS + "qualify: {score: [{when: {a: at least 1}, points: 5}]}",
            "2:11: error D013: the score has no `enter` beside it: the points at which to qualify",
        ),
        (
            SIGNALS + SCORE.replace("enter: 8", "enter: 8, exit: 9"),
            "2:102: error D013: `exit: 9` is above `enter: 8`: it would end as it begins; write 8 or less",
        ),
        (
            SIGNALS + Q + "\ntiers: {hot: {score: at least 80}}",
            "3:15: error D013: the definition has no score; `score: [...]` in `qualify` lists what gives points",
        ),
        (
            SIGNALS + SCORE.replace("{a: at least 1}", "{score: at least 1}"),
            "2:27: error D013: an item of the score cannot ask for it",
        ),
        (
            SIGNALS + Q + "\ntiers: {hot: {score: [{when: {a: 1}, points: 1}], enter: 1}}",
            "3:15: error D013: what gives points is listed in `qualify`; here the score can be tested",
        ),
        (
            SIGNALS
            + "qualify: {any: [{score: [{each: a, points: 1}], enter: 1}, {score: [{each: b, points: 1}], enter: 1}]}",
            "2:61: error D013: a definition has one score; the first is on line 6",
        ),
        (
            SIGNALS + SCORE.replace("each: b", "each: c"),
            "2:62: error D004: no signal is called `c`",
        ),
        (
            "signals: {a: {count: A}, b: {last: B, of: x}}\n" + SCORE,
            "2:62: error D012: `b` cannot be counted one by one",
        ),
        (
            SIGNALS + SCORE.replace("cap: 6", "cap: -6"),
            "2:81: error D013: `cap: -6` is on the other side of 0 than `points: 2`; write 6",
        ),
        (
            SIGNALS + SCORE.replace("cap: 6", "half_life: 30m"),
            "2:87: error D008: `30m` is shorter than 1h",
        ),
        (SIGNALS + "qualify: {score: at least 3, a: at least 1}", "2:11: error D013: the definition has no score"),
        # stages, variants, levels
        (
            SIGNALS + Q + "\n" + STAGES,
            "3:1: error D002: the file has `qualify` and `stages`; only one of them can stand here",
        ),
        (SIGNALS + STAGES.replace("two", "one"), "2:56: error D014: the stage `one` is here twice"),
        (
            SIGNALS + STAGES + "\nvariants: [{name: v, when: {account.x: 1}, qualify: {a: 2}}]",
            "3:12: error D014: the definition has stages; say with `stage` which one this stands in for: `one`, `two`",
        ),
        (
            SIGNALS + STAGES + "\nvariants: [{name: v, when: {account.x: 1}, stage: tow, qualify: {a: 2}}]",
            "3:51: error D004: the definition has no stage `tow`; there are `one`, `two`",
        ),
        (
            SIGNALS + Q + "\nvariants: [{name: v, when: {account.x: 1}, stage: two, qualify: {a: 2}}]",
            "3:51: error D004: the definition has no stage `two`; it has no `stages`: leave `stage` out",
        ),
        (
            SIGNALS + Q + "\nvariants: [{name: v, when: {b: at least 1}, qualify: {a: 2}}]",
            "3:28: error D012: a variant is chosen by traits, and `b` is none; test it in `qualify`",
        ),
        (
            SIGNALS + Q + "\nvariants: [{name: v, when: {user.role: admin}, qualify: {a: 2}}]",
            "3:29: error D011: an account has no `user.role`",
        ),
        (SIGNALS + Q + "\nlevels: [70%, 40%]", "3:15: error D014: levels ascend, each once; `40%` does not come after"),
        (SIGNALS + Q + "\nlevels: [40%, 40%]", "3:15: error D014: levels ascend, each once"),
        (SIGNALS + Q + "\nlevels: [0%, 40%]", "3:10: error D014: a level is a share of the criteria, above 0%"),
        (SIGNALS + Q + "\ntiers: {hot: {c: at least 1}}", "3:15: error D004: no signal is called `c`"),
        # lifecycle
        (SIGNALS + Q + "\nlifecycle: {expire: 0 days}", "3:21: error D008: `0 days` is no time at all"),
        (SIGNALS + Q + "\nlifecycle: {exit: {c: 1}}", "3:20: error D004: no signal is called `c`"),
        (
            SIGNALS + Q + "\nlifecycle: {requalify: {after: 1 day, beyond: {c: 150%}}}",
            "3:48: error D004: no signal is called `c`",
        ),
        (
            "signals: {a: {count: A}, s: {since: A}}\n"
            + Q
            + "\nlifecycle: {requalify: {after: 1 day, beyond: {s: 150%}}}",
            "3:48: error D012: `s` is a time since; a mark to pass is a number",
        ),
        (
            SIGNALS + Q + "\nlifecycle: {convert: {event: A, where: {x: at lest 1}}}",
            "3:44: error D005: `at lest 1` is no comparator",
        ),
        # what goes along
        (
            SIGNALS + Q + "\nroute: [{when: {fit: match}, to: x}]",
            "3:17: error D014: the definition has no `fit` to match; add one",
        ),
        (
            SIGNALS + "qualify: {a: at least 1, fit: match}\nfit: {account.x: 1}",
            "2:26: error D014: whether `fit` matches is asked in `route` only",
        ),
        (
            SIGNALS + Q + "\nroute: [{to: x, payload: [reason, bb]}]",
            "3:35: error D004: a lead has no `bb` to carry; there are `a`, `b`, `fit`",
        ),
        (SIGNALS + Q + "\nroute: [{to: x, payload: [user.email]}]", "3:27: error D011: an account has no `user.email`"),
        (SIGNALS + Q + "\nroute: [{to: x, until: converted}]", "3:24: error D014: nothing ever converts"),
        (SIGNALS + Q + "\nroute: [{when: {c: 1}, to: x}]", "3:17: error D004: no signal is called `c`"),
        (
            SIGNALS + Q + "\nexperiment: {name: e, arms: {x: 60%, y: 50%}}",
            "3:23: error D014: the arms add up to 110%; all shares together are at most 100%",
        ),
        (
            SIGNALS + Q + "\ncontinuity: {supersedes: 1, trend: splice}",
            "3:26: error D014: version 1 cannot supersede version 1; name an earlier one",
        ),
    ],
)
def test_an_error_says_where_what_and_what_would_be_right(body: str, error: str):
    """Each body breaks one rule, and nothing follows from it."""
    (found,) = body_errors(body)
    assert found.startswith(error)


def test_members_are_those_of_an_account():
    """A definition of users cannot ask for them."""
    body = f"signals: {{a: {{members: {{count: A}}, having: 1}}}}\n{Q}"
    (error,) = errors({"a.yaml": (HEADER + body).replace("account,", "user,")})
    assert "a.yaml:5:15: error D012: a user has no members; count their own events" in error


@pytest.mark.parametrize(("kind", "name"), [("tier", "warm"), ("stage", "three")])
def test_examples_name_tiers_and_stages_that_are_there(kind: str, name: str):
    """Otherwise they could never be met."""
    text = HEADER.replace("{qualified: false}", f"{{{kind}: {name}}}") + SIGNALS + STAGES + "\ntiers: {hot: {a: 1}}"
    (error,) = errors({"a.yaml": text})
    column = HEADER.splitlines()[3].index("{qualified") + len(f"{{{kind}: ") + 1
    assert error.startswith(f"a.yaml:4:{column}: error D004: the definition has no {kind} `{name}`")


def test_users_may_ask_for_the_traits_of_their_account():
    """In a variant as anywhere else."""
    body = SIGNALS + Q + "\nvariants: [{name: v, when: {account.x: 1, user.y: 2}, qualify: {a: 2}}]"
    assert 1 == len(read((HEADER + body).replace("account,", "user,")).variants)


BODY = (
    "signals: {a: {count: A, within: 7 days}, s: {since: A}, r: {ratio: [a, b]}, b: {sum: B, of: x, within: 48h},\n"
    "  m: {members: {count: A}, having: at least 1, where: {user.x: 1, user.y: 2}}, q: {sequence: [A, B], apart: 1h}}\n"
    "stages: [{name: one, qualify: {a: at least 1}}, {name: two, qualify: {r: at least 50%, m: 1, q: at least 1}}]\n"
    "variants: [{name: v, stage: two, when: {account.x: 1}, qualify: {a: at least 5}}]\n"
    "tiers: {hot: {a: at least 9}, warm: {a: at least 3}}\n"
    "lifecycle: {hold: 10m, exit: {s: more than 2 days}, expire: 9 days, convert: {event: C, where: {x: 1, y: 2}},"
    " requalify: {after: 1 day, beyond: {a: 150%, b: 120%}}}\n"
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("within: 48h", "within: 2880m"),
        ("hold: 10m", "hold: 600s"),
        ("more than 2 days", "more than 48h"),
        ("apart: 1h", "apart: 60m"),
        ("{user.x: 1, user.y: 2}", "{user.y: 2, user.x: 1}"),
        ("{a: 150%, b: 120%}", "{b: 120%, a: 150.0%}"),
        ("{x: 1, y: 2}", "{y: 2, x: 1.0}"),
        ("at least 50%", "at least 0.5"),
        ("name: v", "name: w"),
        ("hot: {a: at least 9}, warm: {a: at least 3}", "warm: {a: at least 3}, hot: {a: at least 9}"),
        ("event: C", "event: [C]"),
    ],
)
def test_what_means_the_same_has_the_same_hash(old: str, new: str):
    """Spelling, order and units do not show; tiers and names of variants decide nothing."""
    assert old in BODY
    assert read_body(BODY).hash == read_body(BODY.replace(old, new)).hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("within: 48h", "within: 2 days"),
        ("within: 7 days", "within: 8 days"),
        ("within: 7 days", "within: 7 days, ago: 1 day"),
        ("ratio: [a, b]", "ratio: [b, a]"),
        ("sum: B", "max: B"),
        ("apart: 1h", "apart: 2h"),
        ("sequence: [A, B]", "sequence: [B, A]"),
        ("having: at least 1", "having: at least 2"),
        ("user.x: 1", "user.x: 3"),
        ("name: one", "name: first"),
        ("stage: two", "stage: one"),
        ("account.x: 1", "account.x: 3"),
        ("hold: 10m", "hold: 11m"),
        ("more than 2 days", "more than 3 days"),
        ("expire: 9 days", "expire: 8 days"),
        ("event: C", "event: D"),
        ("after: 1 day", "after: 2 days"),
        ("b: 120%", "b: 130%"),
    ],
)
def test_what_means_something_else_has_another_hash(old: str, new: str):
    """Two days and 48 hours are two windows."""
    assert old in BODY
    assert read_body(BODY).hash != read_body(BODY.replace(old, new)).hash


@pytest.mark.parametrize(
    "change", ["points: 5|points: 6", "cap: 6|cap: 7", "enter: 8|enter: 9", "enter: 8|enter: 8, exit: 5"]
)
def test_every_number_of_a_score_is_hashed(change: str):
    """The order of its items is not."""
    old, new = change.split("|")
    assert read_body(SIGNALS + SCORE).hash != read_body(SIGNALS + SCORE.replace(old, new)).hash
    one, other = "{when: {a: at least 1}, points: 5}", "{each: b, points: 2, cap: 6}"
    swapped = SCORE.replace(one, "*").replace(other, one).replace("*", other)
    assert read_body(SIGNALS + SCORE).hash == read_body(SIGNALS + swapped).hash


def test_a_criterion_of_active_days_knows_its_zone():
    """Days begin elsewhere elsewhere."""
    (use,) = read_body("signals: {a: {active_days: A}}\nqualify: {a: at least 2}").uses
    assert isinstance(use, Use)
    assert "UTC" == use.zone
