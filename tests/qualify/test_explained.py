"""Explaining, over the whole language: what is told is true, and enough by itself."""

import json
import re
from decimal import Decimal
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from assay.contract.times import DAY, HOUR, MINUTE, SECOND, format_instant, parse_instant
from assay_collector.pql.comparators import Comparator, parse_comparator
from assay_collector.pql.decision import Judge, decide
from assay_collector.pql.definition import Definition, traits_of
from assay_collector.pql.examples import facts_from
from assay_collector.pql.explain import evidence
from assay_collector.pql.lacking import missing
from assay_collector.pql.windows import parse_elapsed
from qualify.recount import Recount
from qualify.whole import AS_OF, AT_LEAST, DEFINITIONS, HISTORIES, HORIZON, START, known_of

History = list[dict[str, Any]]
_UNITS = {"day": DAY, "days": DAY, "h": HOUR, "m": MINUTE, "s": SECOND}


def until(history: History, as_of: int) -> History:
    return [entry for entry in history if parse_instant(entry["t"]) <= as_of]


# --- missing steps ---------------------------------------------------------------------------------------------------


@given(DEFINITIONS | AT_LEAST, HISTORIES, AS_OF)
def test_the_steps_that_are_told_do_qualify(definition: Definition, history: History, as_of: int):
    """By really taking them, in a recount that knows nothing of how they were found."""
    before = until(history, as_of)
    said = missing(definition, facts_from(definition, before), as_of)
    assume(said["reachable"] and not any("value of" in step for step in said["steps"]))
    at = max([as_of, *(parse_instant(step["wait until"]) for step in said["steps"] if "wait until" in step)])
    after = Recount(
        definition, known_of(definition.entity, [*before, *taken(said["steps"], as_of)]), HORIZON + 40 * DAY
    )

    assert after.may_begin(at)
    assert all(as_of < parse_instant(step["before"]) for step in said["steps"] if "before" in step)


def taken(steps: list[dict[str, Any]], at: int) -> History:
    """What would be in the history, had somebody taken these steps."""
    found: History = []
    for step in steps:
        if "trait" in step:
            found.append({"t": format_instant(at), "user": "somebody", "traits": {step["trait"]: step["example"]}})
        for n in range(step.get("events", 0)):
            of = step.get("distinct")
            event = dict(step["example"])
            if of is not None and of != "user_id":
                event["properties"] = event["properties"] | {of: f"another {n}"}
            user = f"another {n}" if of == "user_id" else "somebody"
            found.append({"t": format_instant(at), "user": user, **event})
    return found


@given(DEFINITIONS, HISTORIES, AS_OF)
def test_what_could_decide_it_is_named(definition: Definition, history: History, as_of: int):
    """Where no trait is said to block, no value of any unknown trait makes the entity qualify."""
    before = until(history, as_of)
    facts = facts_from(definition, before)
    said = missing(definition, facts, as_of)
    own = {t for subject in definition.subjects for t in traits_of(subject) if t.of == definition.entity}
    unknown = sorted((t for t in own if facts.traits.get(t) is None), key=lambda trait: trait.name)
    assume(unknown and "blockedOn" not in said and Judge(definition, facts).gate.at(as_of) is not True)
    for values in (("trial", 4), ("paid", 4), ("trial", 1), ("paid", 1), ("other", 100)):
        told = {trait.name: values[0] if trait.key == "plan" else values[1] for trait in unknown}
        known = [{"t": format_instant(as_of), "user": "ada", "traits": told}]

        assert not Recount(definition, known_of(definition.entity, [*before, *known]), HORIZON).may_begin(as_of)


# --- evidence --------------------------------------------------------------------------------------------------------


@given(DEFINITIONS, HISTORIES, AS_OF)
def test_the_evidence_alone_gives_the_verdict_again(definition: Definition, history: History, as_of: int):
    """Through JSON and back, of every step and of any instant: its values and tests say what was decided, and why."""
    facts = facts_from(definition, until(history, as_of))
    verdict = decide(definition, facts, as_of)
    for moment in verdict.moments:
        shown = json.loads(json.dumps(evidence(definition, facts, moment.at, moment)))
        is_open = moment.step == "qualified" or moment.step.startswith("stage:")

        assert is_open == shown["qualified"] == derived(shown)
        if is_open and moment.at == parse_instant(shown["episode"]["began"]):
            eligible = shown.get("eligible", {"name": "", "value": 1, "test": "at least 1"})
            assert (True, True) == (truth(shown["qualify"], shown), truth(eligible, shown))
    shown = json.loads(json.dumps(evidence(definition, facts, as_of)))

    assert verdict.is_qualified == (shown["qualified"] is True)
    assert shown["qualified"] == derived(shown)


def derived(shown: dict[str, Any]) -> bool | None:
    """The verdict of an evidence; its reason is checked on the way."""
    if "endedBy" in shown:
        by, at = shown["endedBy"], parse_instant(shown["asOf"])
        match by["clause"]:
            case "exit":
                assert truth(shown["exit"], shown) is True
            case "qualify":
                assert truth(shown["qualify"], shown) is not True
            case "expire":
                assert at == parse_instant(by["began"]) + duration(by["after"])
            case "convert":
                assert at == parse_instant(by["at"])
        return False
    if "episode" in shown and "ended" not in shown["episode"]:
        return True
    if any(each["what"] not in ("qualify", "eligible") for each in shown.get("inTheWay", ())):
        return False
    truths = [truth(shown[part], shown) for part in ("qualify", "eligible") if part in shown]
    return False if False in truths else None if None in truths else True


def truth(tree: dict[str, Any], shown: dict[str, Any], negated: bool = False) -> bool | None:
    """The truth of a tree, from its values and tests alone."""
    if "items" in tree:
        return _of_score(tree)
    if "name" in tree:
        return _of_criterion(tree, parse_instant(shown["asOf"]), negated)
    if "not" in tree:
        inner = truth(tree["not"], shown, not negated)
        return None if inner is None else not inner
    parts = [truth(part, shown, negated) for part in tree.get("all", tree.get("any", tree.get("of")))]
    need = len(parts) if "all" in tree else 1 if "any" in tree else tree["atLeast"]
    if parts.count(True) >= need:
        return True
    return None if parts.count(True) + parts.count(None) >= need else False


def _of_score(tree: dict[str, Any]) -> bool:
    enter, _, leave = tree["test"].partition(", until below ")
    if tree["value"] >= float(enter.removeprefix("at least ")):
        return True
    return bool(leave) and tree["value"] >= float(leave) and tree["holds"]


def _of_criterion(tree: dict[str, Any], at: int, negated: bool) -> bool | None:
    value, test = tree["value"], _read(tree)
    if _is_of_time(tree) and value is not None:
        value = duration(value)
    said = test.holds(value)
    if "observedSince" not in tree:
        return said
    if value is None:
        if tree["observedSince"] is None:
            return None
        value = at - parse_instant(tree["observedSince"])
    elif said is negated or said is None:
        return said
    # At least so much, and nobody knows how much more.
    more = [int(operand) + one for operand in test.operands for one in (-1, 0, 1, 2)]
    found = {test.holds(number) for number in [value, *more] if number >= value}
    return found.pop() if len(found) == 1 else None


def _read(tree: dict[str, Any]) -> Comparator:
    """A test as a definition writes it: digits alone are a number."""
    if _is_of_time(tree):
        return parse_elapsed(tree["test"])
    return parse_comparator(int(tree["test"]) if tree["test"].isdigit() else tree["test"])


def _is_of_time(tree: dict[str, Any]) -> bool:
    return tree["name"] == "quiet"


def duration(text: str) -> int:
    """Microseconds of "2 days 3h 4m 1.5s"."""
    parts = re.findall(r"([\d.]+) ?(days?|h|m|s)", text)
    return sum(int(Decimal(number) * _UNITS[unit]) for number, unit in parts)


# --- what is unknown -------------------------------------------------------------------------------------------------


@given(DEFINITIONS, HISTORIES, AS_OF, st.sampled_from(["trial", "paid"]), st.sampled_from([1, 4]))
def test_learning_a_trait_never_turns_what_is_true_into_unknown(
    definition: Definition, history: History, as_of: int, plan: str, seats: int
):
    """Nor does unknown ever qualify; which variant an entity is, and whether a trait is known, are other questions."""
    assume(not definition.variants)
    # Of a trait that nobody told it is false, not unknown, that it is known: learning it is a change, not a loss.
    assume("is known" not in repr(definition))
    silent = [e for e in history if not any(key.endswith((".plan", ".seats")) for key in e.get("traits", ()))]
    of = definition.entity
    learnt = {"t": format_instant(START - DAY), "user": "ada", "traits": {f"{of}.plan": plan, f"{of}.seats": seats}}
    before = Judge(definition, facts_from(definition, silent)).gate
    after = Judge(definition, facts_from(definition, [learnt, *silent])).gate
    instants = [as_of, *(at for at, _ in (*before.changes, *after.changes))]

    assert [] == [at for at in instants if before.at(at) is True and after.at(at) is None]
    assert [] == [m for m in decide(definition, facts_from(definition, silent), as_of).moments
                  if m.step == "qualified" and before.at(m.at) is not True]  # fmt: skip
