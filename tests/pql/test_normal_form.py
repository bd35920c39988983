"""Normal forms: what two definitions have in common, what a file says, and hashes that stay."""

from assay_collector.pql.definition import Definition
from assay_collector.pql.normal_form import content_hash, criteria_in_use
from pql.facts import definition

SIGNALS = "signals: {a: {count: A, within: 7 days}, b: {sum: B, of: x}, c: {count: A, within: 7 days}, d: {count: D}}\n"


def asked(qualify: str, rest: str = "") -> Definition:
    return definition(SIGNALS + f"qualify: {qualify}\n{rest}")


def test_criteria_are_the_same_by_what_they_ask_and_not_by_name():
    """Of `qualify` and of `eligible`; a test, an item's condition, and what points are given for."""
    one = criteria_in_use(asked("{a: at least 1, b: at least 2}", "eligible: {user.plan: trial}"))
    other = criteria_in_use(asked("{c: at least 1.0, b: at least 3}", "eligible: {user.plan: trial}"))
    scored = criteria_in_use(
        asked("{score: [{when: {c: at least 1}, points: 5}, {each: d, points: 1, cap: 9}], enter: 5}")
    )

    assert (3, 3, 2) == (len(one), len(other), len(one & other))
    assert (2, 1, 0) == (len(scored), len(scored & one), len(scored & criteria_in_use(asked("{d: at least 1}"))))
    assert one == criteria_in_use(asked("{any: [{b: at least 2}, {a: at least 1}]}", "eligible: {user.plan: trial}"))


def test_traits_and_numbers_are_told_apart_by_what_they_mean():
    """However a number is written; ten is not one."""
    assert 2 == len(criteria_in_use(asked("{user.x: 1, user.y: 1}")))
    assert criteria_in_use(asked("{b: at least 1.50}")) == criteria_in_use(asked("{b: at least 1.5}"))
    assert 4 == len({criteria_in_use(asked(f"{{b: at least {n}}}")) for n in (1, 10, 1.5, 15)})
    assert criteria_in_use(asked("{user.x: [b, a]}")) == criteria_in_use(asked("{user.x: [a, b]}"))
    assert asked("{a: 1, b: 1}").hash != asked("{any: [{a: 1}, {b: 1}]}").hash


def test_the_hash_of_the_content_changes_with_any_word_and_not_with_order():
    """Also with those that decide nothing, as a reason."""
    one = content_hash(asked("{a: at least 1, b: at least 2}"))

    assert 32 == len(one)
    assert one == content_hash(asked("{b: at least 2, a: at least 1}"))
    assert one != content_hash(asked("{a: at least 1, b: at least 2}", "levels: [50%]"))
    assert asked("{a: 1}").hash == asked("{a: 1}", "levels: [50%]").hash


def test_the_hash_of_a_definition_never_changes():
    """It is stored with every version: another would say that somebody else may qualify, and decide everybody anew."""
    everything = definition(
        "signals: {a: {count: A, within: 7 days}, s: {since: A}, r: {ratio: [a, b]}, b: {sum: B, of: x, within: 48h},\n"
        "  m: {members: {count: A}, having: at least 1, where: {user.x: 1, user.y: 2}},\n"
        "  q: {sequence: [A, B], apart: 1h}, k: {active_days: any, within: this month}, l: {trait: account.seats},\n"
        "  n: {distinct: C, of: z, within: 2 days of Signed Up}}\n"
        "stages:\n"
        "  - {name: one, qualify: {any: [{a: at least 1}, {not: {k: at least 3}}]}}\n"
        "  - {name: two, qualify: {at_least: {count: 2, of: [{r: at least 50%}, {m: 1}, {q: at least 1}, {l: 5}]}}}\n"
        "variants: [{name: v, stage: two, when: {account.x: 1}, qualify: {n: at least 5}}]\n"
        "eligible: {account.plan: [trial, free]}\nfit: {account.size: at least 10}\n"
        "lifecycle: {hold: 10m, exit: {s: more than 2 days}, expire: 9 days, convert: {event: C, where: {x: 1, y: 2}},"
        " requalify: {after: 1 day, beyond: {a: 150%, b: 120%}}}",
        "account",
    )
    scored = asked(
        "{score: [{when: {a: at least 1}, points: 5}, {each: d, points: 2, cap: 6, half_life: 7 days}], enter: 6}"
    )

    assert ("2a8ad32c26832177c44fd87b6bdfeed5", "81cfd3c4baf524a8de91795c95612b8b") == (everything.hash, scored.hash)
