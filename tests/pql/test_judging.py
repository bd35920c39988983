"""What a judge says beside episodes: status, levels, tiers, rungs, and values asked for one instant."""

from decimal import Decimal

import pytest

from assay.contract.times import DAY, HOUR, MINUTE
from assay_collector.pql.decision import Judge, Moment, Verdict, decide
from assay_collector.pql.definition import AnyOf
from assay_collector.pql.lifecycle import ENDS
from pql.facts import AFTER, START, Raw, definition, facts_of

A, B, C = "{a: at least 1}", "{b: at least 1}", "{c: at least 1}"
ABC = "signals: {a: {count: A}, b: {count: B}, c: {count: C}}\n"


def verdict(*steps: tuple[int, str, int], held: tuple[int, int] | None = None) -> Verdict:
    return Verdict(tuple(Moment(*step) for step in steps), None, held)


# --- the verdict ---


@pytest.mark.parametrize(
    ("told", "status", "since"),
    [
        (verdict(), "not qualified", None),
        (verdict((1, "qualified", 5)), "qualified", 5),
        (verdict((1, "qualified", 5), (1, "stage:two", 7)), "qualified", 5),
        *((verdict((1, "qualified", 5), (1, end, 9)), end, 9) for end in ENDS),
        (verdict((1, "qualified", 5), (1, "exited", 9), (2, "qualified", 12)), "qualified", 12),
        (verdict(held=(3, 8)), "held", 3),
        (verdict((1, "qualified", 1), (1, "exited", 2), held=(3, 8)), "held", 3),
    ],
)
def test_the_status_is_how_far_the_last_episode_has_come(told: Verdict, status: str, since: int | None):
    """And since when; a rung of the ladder is no end of it."""
    assert (status, since, status == "qualified") == (told.status, told.since, told.is_qualified)


def test_who_is_held_is_told_since_when_and_until_when():
    """From the instant it became true until it has lasted; without a `hold` nobody is."""
    waits = definition(ABC + f"qualify: {A}\nlifecycle: {{hold: 10m}}")
    facts = facts_of(waits, [(START, "A")])

    assert (START, START + 10 * MINUTE) == decide(waits, facts, START).held
    assert [None, None] == [decide(waits, facts, at).held for at in (START - 1, START + 10 * MINUTE)]


def test_who_must_not_wait_is_never_held():
    """Also when the next event is known already."""
    at_once = definition(ABC + f"qualify: {A}")

    assert Verdict((), START + 5) == decide(at_once, facts_of(at_once, [(START + 5, "A")]), START)


# --- tiers and levels ---


@pytest.mark.parametrize(
    ("seen", "level"),
    [("", None), ("A", None), ("AB", Decimal("0.5")), ("ABC", Decimal("0.75")), ("ABCD", Decimal(1))],
)
@pytest.mark.parametrize("how", ["all: [{parts}]", "any: [{parts}]", "at_least: {{count: 2, of: [{parts}]}}"])
def test_the_level_is_the_highest_share_that_is_satisfied(how: str, seen: str, level: Decimal | None):
    """Of the parts of the condition, however many of them it asks for."""
    parts = ", ".join(f"{{{name}: at least 1}}" for name in "abcd")
    laddered = definition(
        "signals: {a: {count: A}, b: {count: B}, c: {count: C}, d: {count: D}}\n"
        f"qualify: {{{how.format(parts=parts)}}}\nlevels: [50%, 75%, 100%]"
    )

    assert level == Judge(laddered, facts_of(laddered, [(START, name) for name in seen])).level.at(START)


def test_the_level_of_one_criterion_is_all_or_nothing():
    """There is no part of it."""
    single = definition(ABC + f"qualify: {A}\nlevels: [50%]")
    level = Judge(single, facts_of(single, [(START, "A")])).level

    assert [None, Decimal("0.5")] == [level.at(START - 1), level.at(START)]


def test_the_tier_is_the_first_that_holds():
    """In the order of the file, not of what is more."""
    tiered = definition(ABC + f"qualify: {A}\ntiers: {{hot: {B}, warm: {A}}}")
    tier = Judge(tiered, facts_of(tiered, [(START, "A"), (START + 5, "B")])).tier

    assert [None, "warm", "hot"] == [tier.at(START - 1), tier.at(START), tier.at(START + 5)]


# --- stages ---

LADDER = definition(
    ABC + f"stages:\n  - {{name: one, qualify: {A}}}\n  - {{name: two, qualify: {{b: between 1 and 2}}}}\n"
    "lifecycle: {expire: 1h, exit: {c: at least 1}}"
)


def rungs(raw: Raw) -> list[tuple[int, str, int]]:
    moments = decide(LADDER, facts_of(LADDER, raw), AFTER).moments
    return [(each.episode, each.step, each.at - START) for each in moments if each.step.startswith("stage:")]


def test_a_rung_is_reached_within_an_episode_and_not_at_its_end():
    """Who climbs as it ends, or afterwards, has not climbed in it."""
    assert [(1, "stage:one", 0), (1, "stage:two", HOUR - 1)] == rungs([(START, "A"), (START + HOUR - 1, "B")])
    assert [(1, "stage:one", 0)] == rungs([(START, "A"), (START + HOUR, "B")])
    assert [(1, "stage:one", 0)] == rungs([(START, "A"), (START + 3 * HOUR, "B")])


def test_each_episode_is_climbed_anew():
    """By its own beginning and its own end."""
    again = definition(
        ABC + f"stages:\n  - {{name: one, qualify: {{user.role: admin}}}}\n  - {{name: two, qualify: {A}}}\n"
        "lifecycle: {expire: 1h, requalify: {after: 2h}}"
    )
    roles = [(START, "admin"), (START + HOUR, "member"), (START + 5 * HOUR, "admin")]
    raw = [(START + 5 * HOUR + 7, "A")]
    moments = decide(again, facts_of(again, raw, {"user.role": roles}), START + 5 * HOUR + 30 * MINUTE).moments

    assert [
        (1, "qualified", 0),
        (1, "stage:one", 0),
        (1, "exited", HOUR),
        (2, "qualified", 5 * HOUR),
        (2, "stage:one", 5 * HOUR),
        (2, "stage:two", 5 * HOUR + 7),
    ] == [(each.episode, each.step, each.at - START) for each in moments]


def test_a_variant_of_a_stage_replaces_that_stage_alone():
    """Whoever it is meant for qualifies by the variant for this stage, and as everybody for the others."""
    varied = definition(
        ABC + f"stages:\n  - {{name: one, qualify: {A}}}\n  - {{name: two, qualify: {B}}}\n"
        f"variants: [{{name: v, when: {{user.role: admin}}, stage: two, qualify: {C}}}]"
    )
    admin = {"user.role": [(START - 1, "admin")]}

    def stage(name: str, traits: dict[str, list[tuple[int, str]]]) -> str | None:
        return Judge(varied, facts_of(varied, [(START, name)], traits)).stage.at(START)

    assert ["one", "two", None] == [stage(name, {}) for name in "ABC"]
    assert ["one", None, "two"] == [stage(name, admin) for name in "ABC"]


def test_the_condition_at_an_instant_is_that_of_the_variants_that_it_is():
    """Of every stage its own, or that of the first variant that is meant."""
    varied = definition(
        ABC + f"stages:\n  - {{name: one, qualify: {A}}}\n  - {{name: two, qualify: {B}}}\n"
        f"variants: [{{name: v, when: {{user.role: admin}}, stage: two, qualify: {C}}}]"
    )
    judge = Judge(varied, facts_of(varied, [], {"user.role": [(START, "admin")]}))
    one, two = (rung.qualify for rung in varied.stages)

    assert AnyOf((one, two)) == judge.qualify_at(START - 1)
    assert AnyOf((one, varied.variants[0].qualify)) == judge.qualify_at(START)


@pytest.mark.parametrize(("need", "truths"), [(1, [False, True, True]), (2, [False, False, True])])
def test_so_many_of_several_hold_at_an_instant_as_over_time(need: int, truths: list[bool]):
    """Counted then."""
    some = definition(ABC + f"qualify: {{at_least: {{count: {need}, of: [{A}, {B}]}}}}")
    judge = Judge(some, facts_of(some, [(START, "A"), (START + 1, "B")]))

    assert truths == [judge.truth_at(some.qualify, START + more) for more in (-1, 0, 1)]
    assert truths == [judge.truth(some.qualify).at(START + more) for more in (-1, 0, 1)]


# --- at one instant ---


def test_the_time_since_is_counted_from_the_last_event_by_then():
    """That of the instant itself included; before the first it is unknown."""
    quiet = definition("signals: {quiet: {since: Made}}\nqualify: {quiet: more than 2 days}")
    (use,) = quiet.uses
    judge = Judge(quiet, facts_of(quiet, [(START, "Made"), (START + DAY, "Made"), (START + 3 * DAY, "Made")]))

    assert [None, 0, DAY - 1, 0, DAY] == [
        judge.value_at(use, at) for at in (START - 1, START, START + DAY - 1, START + DAY, START + 2 * DAY)
    ]


def test_what_is_supposed_is_worth_that_at_every_instant():
    """Whatever the facts say, and only the subjects that are supposed."""
    two = definition(
        "signals: {a: {count: A}, b: {count: B}, s: {since: A}}\nqualify: {a: at least 1, b: at least 1, s: at most 1h}"
    )
    supposed, other, since = (next(use for use in two.uses if use.name == name) for name in "abs")
    judge = Judge(two, facts_of(two, [(START, "A")]), {supposed: 7})

    assert (7, 7, 0) == (
        judge.value_at(supposed, START - 1),
        judge.value_at(supposed, START),
        judge.value_at(other, START),
    )
    assert 5 == judge.value_at(since, START + 5)
    assert judge.truth_at(two.qualify, START) is False


def test_a_score_enters_at_the_very_points_and_leaves_below_the_others():
    """At `enter`, and at `exit`, exactly, it holds."""
    scored = definition(
        "signals: {a: {count: A}, b: {count: B}}\n"
        "qualify: {score: [{each: a, points: 2, cap: 10}, {each: b, points: -1, cap: -10}], enter: 4, exit: 2}"
    )
    raw = [(START, "A"), (START + 1, "A"), (START + 2, "B"), (START + 3, "B"), (START + 4, "B"), (START + 5, "A")]
    truth = Judge(scored, facts_of(scored, raw)).truth(scored.qualify)

    assert [False, True, True, True, False, False] == [truth.at(at) for at, _ in raw]


@pytest.mark.parametrize("how", ["{%s, b: at least 1}", "{any: [{%s}, {b: at least 1}]}", "{not: {%s}, b: at least 1}"])
def test_a_score_is_found_wherever_the_condition_asks_for_it(how: str):
    """Among other criteria, and under a `not`."""
    scored = definition(
        "signals: {a: {count: A}, b: {count: B}}\n"
        f"qualify: {how % 'score: [{each: a, points: 2, cap: 10}], enter: 4'}"
    )

    assert 2 == Judge(scored, facts_of(scored, [(START, "A")])).score.at(START)
