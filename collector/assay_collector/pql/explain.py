"""
Why: each criterion with its value and verdict, how an episode ended, and what stands in the way of one.

The result is plain JSON. It is written into the ledger as evidence and served by the API and the command line alike.
What is still missing, and what would do, is in ``lacking``.
"""

from collections.abc import Mapping
from typing import Any, assert_never

from assay.contract.times import format_instant
from assay_collector.pql import definition as d
from assay_collector.pql.comparators import Truth
from assay_collector.pql.decision import EntityFacts, Judge
from assay_collector.pql.lifecycle import ENDS, Moment, Obstacle, obstacles
from assay_collector.pql.values import period_of
from assay_collector.pql.words import as_json, duration_in_words, percent, plain

Json = dict[str, Any]

# Of several steps at one instant the later in an episode is the later.
_RANKS = {"qualified": 0, **dict.fromkeys(ENDS, 2)}


def evidence(
    definition: d.Definition,
    facts: EntityFacts,
    instant: int,
    moment: Moment | None = None,
    judge: Judge | None = None,
) -> Json:
    """
    Each criterion's value, threshold and verdict at an instant, and what follows from them.

    The evidence alone gives the verdict again.

    Args:
        moment: The step that it is for, of those at that instant; None: the last.
        judge: Of the same definition and facts, where there is one: what it has computed is not computed again.
    """
    in_force = definition.in_force(instant)
    if judge is None or in_force is not definition:
        judge = Judge(in_force, facts)
    definition = judge.definition
    told = _told_by(judge, instant, moment)
    shown: Json = {"asOf": format_instant(instant), "version": definition.version}
    episode = _episode(told)
    is_open = bool(episode) and "ended" not in episode
    in_the_way = [] if is_open else what_stands_in_the_way(judge, instant, told)
    shown["qualified"] = True if is_open else _truth_of_the_rest(judge, instant, in_the_way)
    shown["qualify"] = _tree(judge, judge.qualify_at(instant), instant)
    if definition.eligible is not None:
        shown["eligible"] = _tree(judge, definition.eligible, instant)
    if episode:
        shown["episode"] = episode
    ended = told[-1] if told and told[-1].step in ENDS and told[-1].at == instant else None
    if definition.lifecycle.exit is not None and (is_open or ended):
        shown["exit"] = _tree(judge, definition.lifecycle.exit, instant)
    if ended is not None:
        shown["endedBy"] = _ended_by(definition, ended)
    if in_the_way:
        shown["inTheWay"] = in_the_way
    return shown | _fit(judge, instant) | _standing(judge, instant) | _zone(judge)


def standing_at(definition: d.Definition, facts: EntityFacts, instant: int) -> Json:
    """What is shown with a lead and does not decide: fit, score, tier, level, stage and variant, at an instant."""
    judge = Judge(definition, facts)
    return {"asOf": format_instant(instant), **_fit(judge, instant), **_standing(judge, instant)}


def _told_by(judge: Judge, instant: int, moment: Moment | None) -> list[Moment]:
    """What had happened by an instant, up to a step of it."""
    if judge.facts.excluded_by is not None:
        return []
    found = [each for each in judge.moments(instant) if each.at <= instant and each.step in _RANKS]
    found.sort(key=lambda each: (each.episode, _RANKS[each.step]))
    if moment is None:
        return found
    rank = (moment.episode, _RANKS.get(moment.step, 1))
    return [each for each in found if (each.episode, _RANKS[each.step]) <= rank]


def _episode(told: list[Moment]) -> Json:
    if not told:
        return {}
    number = told[-1].episode
    steps = {each.step: each.at for each in told if each.episode == number}
    shown = {"number": number, "began": format_instant(steps["qualified"])}
    for step in ENDS:
        if step in steps:
            shown |= {"ended": format_instant(steps[step]), "how": step}
    return shown


def _ended_by(definition: d.Definition, ended: Moment) -> Json:
    """What ended an episode: its condition, its time, or its event."""
    lifecycle = definition.lifecycle
    match ended.step:
        case "converted":
            assert lifecycle.convert is not None
            matcher = lifecycle.convert.matcher
            where = {"where": {path: str(test) for path, test in matcher.where}} if matcher.where else {}
            return {"clause": "convert", "event": named(matcher), **where, "at": format_instant(ended.at)}
        case "expired":
            assert lifecycle.expire is not None
            began = format_instant(ended.at - lifecycle.expire)
            return {"clause": "expire", "after": duration_in_words(lifecycle.expire), "began": began}
    return {"clause": "qualify" if lifecycle.exit is None else "exit"}


def what_stands_in_the_way(judge: Judge, instant: int, told: list[Moment] | None = None) -> list[Json]:
    """
    What keeps an entity from qualifying: lists, conditions, and the course of things.

    Args:
        told: What had happened by then; None: it is worked out.
    """
    told = _told_by(judge, instant, None) if told is None else told
    found: list[Json] = []
    if judge.facts.excluded_by is not None:
        found.append({"what": "list", "name": judge.facts.excluded_by})
    if judge.qualify.at(instant) is not True:
        found.append({"what": "qualify"})
    eligible = judge.definition.eligible
    if eligible is not None and judge.truth_at(eligible, instant) is not True:
        found.append({"what": "eligible"})
    if judge.facts.excluded_by is None:
        found += [_obstacle(judge, each) for each in obstacles(judge.course, told, instant)]
    return found


def _obstacle(judge: Judge, obstacle: Obstacle) -> Json:
    shown: Json = {"what": obstacle.what}
    if obstacle.since is not None:
        shown["since"] = format_instant(obstacle.since)
    if obstacle.until is not None:
        shown["until"] = format_instant(obstacle.until)
    requalify = judge.definition.lifecycle.requalify
    if obstacle.mark is not None and obstacle.least is not None and requalify is not None:
        shown |= {"signal": requalify.beyond[obstacle.mark][0].name, "must be": f"at least {plain(obstacle.least)}"}
    return shown


def _truth_of_the_rest(judge: Judge, instant: int, in_the_way: list[Json]) -> Truth:
    """Unknown where only what is not known stands in the way."""
    if any(each["what"] not in ("qualify", "eligible") for each in in_the_way):
        return False
    return judge.gate.at(instant)


def _fit(judge: Judge, instant: int) -> Json:
    fit = judge.definition.fit
    if fit is None:
        return {}
    return {"fit": {True: "match", False: "no match", None: "unknown"}[judge.truth_at(fit, instant)]}


def _zone(judge: Judge) -> Json:
    """Whose days count, where the account has a time zone of its own; and what was said that is none."""
    said = judge.facts.said_zone
    if said is None or not judge.definition.reads_calendar:
        return {}
    return {"timezone": said} if judge.facts.zone is not None else {"timezoneIgnored": said}


def _standing(judge: Judge, instant: int) -> Json:
    """Score, tier, level, stage and variant, for a definition that has them."""
    definition = judge.definition
    shown: Json = {}
    score = judge.score.at(instant)
    if score is not None:
        shown["score"] = as_json(score)
    if definition.tiers:
        shown["tier"] = judge.tier.at(instant)
    if definition.levels:
        level = judge.level.at(instant)
        shown["level"] = None if level is None else percent(level)
    if definition.stages:
        shown["stage"] = judge.stage.at(instant)
    for variant in definition.variants:
        if judge.truth_at(variant.when, instant) is True:
            shown["variant"] = variant.name
            break
    return shown


# --- what holds ----------------------------------------------------------------------------------------------------


def _tree(judge: Judge, condition: d.Condition, instant: int, negated: bool = False) -> Json:
    holds = judge.truth_at(condition, instant, negated)
    match condition:
        case d.Criterion():
            return _criterion(judge, condition, instant, holds, negated)
        case d.Not(of=inner):
            return {"not": _tree(judge, inner, instant, not negated), "holds": holds}
        case d.All(of=parts):
            return {"all": [_tree(judge, part, instant, negated) for part in parts], "holds": holds}
        case d.AnyOf(of=parts):
            return {"any": [_tree(judge, part, instant, negated) for part in parts], "holds": holds}
        case d.AtLeast(of=parts):
            trees = [_tree(judge, part, instant, negated) for part in parts]
            satisfied = sum(tree["holds"] is True for tree in trees)
            return {"atLeast": condition.need, "satisfied": satisfied, "of": trees, "holds": holds}
        case d.Score(enter=enter, leave=leave):
            test = f"at least {plain(enter)}" + ("" if enter == leave else f", until below {plain(leave)}")
            score = judge.score.at(instant)
            items = [_item(judge, item, instant) for item in condition.items]
            return {"name": "score", "value": as_json(score), "test": test, "holds": holds, "items": items}
        case _:
            assert_never(condition)


def _criterion(judge: Judge, criterion: d.Criterion, instant: int, holds: Truth, negated: bool) -> Json:
    subject = criterion.subject
    value = judge.value_at(subject, instant)
    is_since = isinstance(subject, d.Use) and subject.signal.aggregate == "since"
    if is_since and value is not None:
        value = duration_in_words(value)
    shown: Json = {"name": criterion.name, "value": as_json(value), "test": str(criterion.test), "holds": holds}
    window = getattr(subject, "window", None)
    if window is not None and not isinstance(window, d.Ever):
        shown["window"] = window.text
        period = period_of(window, judge.facts)
        if period is not None:
            shown["from"], shown["until"] = format_instant(period.start), format_instant(period.end)
    if d.needs_watch(criterion, negated):
        unseen = value is None if is_since else not judge.seen_whole(subject).at(instant)
        watched = judge.observed is not None and judge.observed <= instant
        if unseen:
            shown["observedSince"] = format_instant(judge.observed) if watched and judge.observed is not None else None
    return shown


def _item(judge: Judge, item: d.Points, instant: int) -> Json:
    if item.when is not None:
        return {"points": as_json(item.points), "when": _tree(judge, item.when, instant)}
    assert item.each is not None
    return {
        "points": as_json(item.points),
        "each": item.each.name,
        "value": as_json(judge.value_at(item.each, instant)),
        "given": as_json(judge.points(item).at(instant)),
    }


def named(matcher: d.Matcher) -> str:
    """The events that a matcher looks at, as people say it."""
    return " or ".join(matcher.events) or "any event"


def reasons(tree: Json) -> list[str]:
    """The criteria that hold, as people say them: "tasks = 4 (at least 3)"."""
    if "name" in tree:
        return [f"{tree['name']} = {plain(tree['value'])} ({tree['test']})"] if tree["holds"] else []
    parts = tree.get("all") or tree.get("any") or tree.get("of") or []
    return [reason for part in parts for reason in reasons(part)]


def failings(tree: Mapping[str, Any]) -> list[str]:
    """The criteria for want of which it does not hold, as people say them: "tasks = 2 (at least 3)"."""
    if tree["holds"] is True:
        return []
    if "name" in tree:
        since = tree.get("observedSince", "")
        watched = f", observed {f'since {since}' if since else 'never'}" if "observedSince" in tree else ""
        return [f"{tree['name']} = {plain(tree['value'])} ({tree['test']}{watched})"]
    if "not" in tree:
        return [f"not ({'; '.join(reasons(tree['not'])) or 'unknown'})"]
    parts = tree.get("all") or tree.get("any") or tree.get("of") or []
    return [failing for part in parts for failing in failings(part)]
