"""
Prospects: whether an entity can qualify at all, by which of its signals were ever marked.

Most of whoever does anything never did most of what definitions ask for. Of them a definition is settled by a look at
what is missing, without a single row of what is there. The answer errs on one side only: whoever "cannot" cannot,
whatever the events were, whenever they happened, and whatever traits the entity has; of others nothing is said.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from decimal import Decimal
from functools import lru_cache

from assay_collector.pql import definition as d
from assay_collector.pql.comparators import Comparator
from assay_collector.pql.sweeps import MILLIONTH, millionths


class Prospects:
    """The prospects under the definitions of one catalogue; the same is asked over and over, so answers are kept."""

    def __init__(self, definitions: Iterable[d.Definition]) -> None:
        known = {definition.id: definition for definition in definitions}
        self.reads = {id: frozenset(signal.id for signal in each.signals) for id, each in known.items()}
        self.signals = self.signals_of(known.values())
        self._can_qualify = lru_cache(maxsize=10_000)(lambda name, marked: can_qualify(known[name], marked))

    def signals_of(self, definitions: Iterable[d.Definition]) -> frozenset[int]:
        """Every signal that these read."""
        return frozenset().union(*(self.reads[definition.id] for definition in definitions))

    def can_qualify(self, definition: d.Definition, marked: frozenset[int]) -> bool:
        """See the function of that name."""
        return self._can_qualify(definition.id, marked & self.reads[definition.id])


def can_qualify(definition: d.Definition, marked: AbstractSet[int]) -> bool:
    """
    Whether an episode may ever begin.

    Args:
        marked: The ids of the signals with an event, at the least; more do no harm.
    """
    if definition.elder is not None:
        return True
    if definition.eligible is not None and not _can_hold(definition.eligible, marked):
        return False
    own = [rung.qualify for rung in definition.stages] or [definition.qualify]
    ways = [*own, *(variant.qualify for variant in definition.variants)]
    return any(_can_hold(way, marked) for way in ways)


def _can_hold(condition: d.Condition, marked: AbstractSet[int]) -> bool:
    match condition:
        case d.Criterion():
            return not _is_lost(condition, marked)
        case d.All(of=parts):
            return all(_can_hold(part, marked) for part in parts)
        case d.AnyOf(of=parts):
            return any(_can_hold(part, marked) for part in parts)
        case d.AtLeast(of=parts):
            return sum(_can_hold(part, marked) for part in parts) >= condition.need
        case d.Score(items=items, enter=enter):
            most = [_most(item, marked) for item in items]
            return None in most or sum(points for points in most if points is not None) >= enter
        case d.Not():
            return True


def _is_lost(criterion: d.Criterion, marked: AbstractSet[int]) -> bool:
    return (
        _is_nothing(criterion.subject, marked)
        # What asks that something was not seen holds of nothing.
        and not d.needs_watch(criterion, negated=False)
        and not _holds_of_nothing(criterion.test)
    )


def _holds_of_nothing(test: Comparator) -> bool:
    return test.holds(0) is True or test.holds(None) is True


def _is_nothing(subject: d.Subject, marked: AbstractSet[int]) -> bool:
    """Whether a subject is 0 or unknown at every instant."""
    match subject:
        case d.Use(signal=signal):
            return signal.aggregate != "since" and signal.id not in marked
        case d.Members(inner=inner):
            return inner.signal.id not in marked
        case d.Sequence(first=first, then=then):
            return first.id not in marked or then.id not in marked
        case d.Ratio(above=above, below=below):
            return _is_nothing(above, marked) or _is_nothing(below, marked)
        case d.Trait() | d.NamedTrait() | d.ScorePoints():
            return False


def _most(item: d.Points, marked: AbstractSet[int]) -> Decimal | None:
    """The most points that an item of a score may give; None: there is no limit."""
    if item.points <= 0:
        return Decimal(0)
    if item.when is not None:
        return _in_millionths(item.points) if _can_hold(item.when, marked) else Decimal(0)
    assert item.each is not None
    if _is_nothing(item.each, marked):
        return Decimal(0)
    return None if item.cap is None else _in_millionths(item.cap)


def _in_millionths(points: Decimal) -> Decimal:
    """As scores are added up."""
    return (millionths(points) or 0) * MILLIONTH
