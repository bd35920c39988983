"""Times during which something holds: half-open, ascending, disjoint."""

from assay.contract.times import INSTANT_MAX, INSTANT_MIN

Span = tuple[int, int]  # from the first instant, inclusive, to the second, exclusive
Spans = tuple[Span, ...]

ALWAYS: Spans = ((INSTANT_MIN, INSTANT_MAX + 1),)


def contains(spans: Spans, at: int) -> bool:
    """Whether an instant lies in one of them."""
    return any(start <= at < end for start, end in spans)


def covers(spans: Spans, first: int, last: int) -> bool:
    """Whether both instants, and all between, lie in one of them."""
    return any(start <= first and last < end for start, end in spans)


def misses(spans: Spans, first: int, last: int) -> bool:
    """Whether neither of the instants, nor any between, lies in one of them."""
    return all(last < start or end <= first for start, end in spans)


def both(spans: Spans, others: Spans) -> Spans:
    """The times that lie in either's."""
    if others is ALWAYS or spans is ALWAYS:
        return spans if others is ALWAYS else others
    pairs = ((max(a, c), min(b, d)) for a, b in spans for c, d in others)
    return tuple(sorted((start, end) for start, end in pairs if start < end))


def before(spans: Spans, instant: int | None) -> Spans:
    """The part of them that lies before an instant; None: all."""
    if instant is None:
        return spans
    return tuple((start, min(end, instant)) for start, end in spans if start < instant)
