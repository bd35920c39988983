"""Accounts: to which account a person's event belongs when the event does not say."""

from collections.abc import Iterable
from dataclasses import dataclass

from assay.contract.times import INSTANT_MAX, INSTANT_MIN


@dataclass(frozen=True, slots=True)
class Attribution:
    """From `start`, inclusive, to `end`, exclusive, the person's events belong to the account."""

    account: bytes
    start: int
    end: int


def attribute(memberships: Iterable[tuple[bytes, int]]) -> Attribution | None:
    """
    Which of a person's events without a named account belong to which account.

    An event belongs to the only membership valid at its time; what came before any membership is adopted by the first
    account. From the second account on it is ambiguous, and ambiguity is not guessed.

    Args:
        memberships: (account, valid from), of all of the person's identifiers.
    """
    joined: dict[bytes, int] = {}
    for account, at in memberships:
        joined[account] = min(at, joined.get(account, at))
    ordered = sorted((at, account) for account, at in joined.items())
    if not ordered:
        return None
    end = ordered[1][0] if len(ordered) > 1 else INSTANT_MAX + 1
    if ordered[0][0] == end:
        return None
    return Attribution(ordered[0][1], INSTANT_MIN, end)
