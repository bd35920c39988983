"""Accounts: to which account a person's event belongs when the event does not say."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from assay.contract.times import INSTANT_MAX, INSTANT_MIN
from assay_collector.identity.rules import Adopt
from assay_collector.identity.spans import Span, Spans

_END = INSTANT_MAX + 1


@dataclass(frozen=True, slots=True)
class Stay:
    """An identifier belongs to an account from `start`, inclusive, to `end`, exclusive; None: still."""

    account: bytes
    start: int
    end: int | None = None


def attribute(stays: Iterable[Stay], adopt: Adopt = "first") -> Mapping[bytes, Spans]:
    """
    Which of a person's events without a named account belong to which account.

    An event belongs to the only membership valid at its time. What came before any membership is adopted by the first
    account, or by none. Where several are valid it is ambiguous, and ambiguity is not guessed.

    Args:
        stays: The memberships of all of the person's identifiers.

    Returns:
        Account -> when, ascending.
    """
    known = merged(stays)
    found: dict[bytes, list[Span]] = {}
    for span, accounts in _moments(known):
        if len(accounts) == 1:
            found.setdefault(accounts[0], []).append(span)
    first = home(known)
    if first is not None and adopt == "first":
        found.setdefault(first, []).insert(0, (INSTANT_MIN, known[0].start))
    return {account: _joined(spans) for account, spans in found.items()}


def ambiguous(stays: Iterable[Stay]) -> Spans:
    """When an event that names no account could belong to several."""
    return _joined([span for span, accounts in _moments(merged(stays)) if len(accounts) > 1])


def home(stays: Iterable[Stay]) -> bytes | None:
    """The account whose traits are a person's: the first. None: there is none, or there were two at once."""
    known = merged(stays)
    firsts = [stay.account for stay in known if stay.start == known[0].start]
    return firsts[0] if len(firsts) == 1 else None


def merged(stays: Iterable[Stay]) -> list[Stay]:
    """One stay an account: from the first beginning to the last end. In order of their beginning."""
    found: dict[bytes, Stay] = {}
    for stay in stays:
        known = found.get(stay.account, stay)
        end = None if known.end is None or stay.end is None else max(known.end, stay.end)
        found[stay.account] = Stay(stay.account, min(known.start, stay.start), end)
    return sorted(found.values(), key=lambda stay: (stay.start, stay.account))


def _moments(stays: list[Stay]) -> Iterator[tuple[Span, list[bytes]]]:
    """The times between all beginnings and ends, and which accounts are valid throughout each."""
    bounds = sorted({stay.start for stay in stays} | {_END if stay.end is None else stay.end for stay in stays})
    for start, end in pairwise(bounds):
        yield (start, end), [stay.account for stay in stays if stay.start <= start and _ends_after(stay, start)]


def _ends_after(stay: Stay, at: int) -> bool:
    return stay.end is None or stay.end > at


def _joined(spans: list[Span]) -> Spans:
    """Spans in ascending order, those that touch as one."""
    found: list[Span] = []
    for start, end in spans:
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return tuple(found)
