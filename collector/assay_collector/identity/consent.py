"""
The consent of a person, folded from the words in the log. Pure: the same words in any order give the same state.

Per identifier and purpose the latest word speaks: by event time; of several at one instant the more restrictive; then
by row id. A person is several identifiers, of which the most restrictive binds all, until the person itself, as a known
user, grants again later. A grant on an anonymous identifier is that browser's alone.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from assay.contract.times import INSTANT_MAX, INSTANT_MIN
from assay_collector.identity.spans import ALWAYS, Span, Spans

# Of words at one instant the one that ranks highest speaks.
_RANK = {"granted": 0, "unknown": 1, "expired": 2, "denied": 3, "withdrawn": 4}
_REFUSALS = ("denied", "withdrawn")


class Word(Protocol):
    """What somebody said about one purpose, as the log holds it."""

    @property
    def subject(self) -> bytes: ...  # the identifier under which it was said
    @property
    def purpose(self) -> str: ...
    @property
    def state(self) -> str: ...  # granted | denied | withdrawn | expired | unknown
    @property
    def at(self) -> int: ...
    @property
    def event_id(self) -> bytes | None: ...
    @property
    def expires_at(self) -> int | None: ...  # when a grant ends by itself
    @property
    def policy(self) -> str | None: ...  # how the source it came by reads silence: opt_in, else as opt_out


W = TypeVar("W", bound=Word)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a person stands on one purpose."""

    state: str  # granted | denied | withdrawn | expired | unknown
    is_refused: bool  # whether that forbids the purpose
    since: int  # the time of the word that says so
    subject: bytes  # the identifier under which it was said


def effective_state(word: Word, now: int) -> str:
    """What a word says now: a grant that has run out is `expired`."""
    if word.state == "granted" and word.expires_at is not None and word.expires_at <= now:
        return "expired"
    return word.state


def refuses(word: Word, now: int) -> bool:
    """Whether a word, taken alone, forbids its purpose: a no does, and silence where silence means no."""
    state = effective_state(word, now)
    return state in _REFUSALS or (state != "granted" and word.policy == "opt_in")


def last_words(words: Iterable[W]) -> dict[tuple[str, bytes], W]:
    """(purpose, subject) -> the word that speaks."""
    latest: dict[tuple[str, bytes], W] = {}
    for word in words:
        key = (word.purpose, word.subject)
        other = latest.get(key)
        if other is None or _order(other) < _order(word):
            latest[key] = word
    return latest


def forbids(words: Sequence[Word], speakers: Collection[bytes], now: int) -> bool:
    """
    Whether a person refuses any of the purposes that these words are about.

    Args:
        words: Of all the person's identifiers, for the purposes in question.
        speakers: The identifiers that are the person itself: its user ids.
    """
    return any(standing.is_refused for standing in stand(words, speakers, now).values())


def stand(words: Iterable[Word], speakers: Collection[bytes], now: int) -> dict[str, Standing]:
    """
    Where a person stands on each purpose that was ever spoken of.

    Args:
        words: Of all the person's identifiers.
        speakers: The identifiers that are the person itself: its user ids.
    """
    by_purpose: dict[str, list[Word]] = {}
    for (purpose, _), word in last_words(words).items():
        by_purpose.setdefault(purpose, []).append(word)
    return {purpose: _stand(found, speakers, now) for purpose, found in by_purpose.items()}


def next_expiry(words: Iterable[Word], now: int) -> int | None:
    """When a grant ends next: time alone may then change where somebody stands."""
    ends = [word.expires_at for word in words if word.state == "granted" and word.expires_at is not None]
    return min((end for end in ends if end > now), default=None)


def allowed_spans(words: Iterable[Word], speakers: Collection[bytes]) -> Spans:
    """
    When a person did not refuse, of the purposes that these words are about: what it did at other times stays out of
    use, also after it has agreed again.

    Args:
        words: Of all the person's identifiers, for the purposes in question.
        speakers: The identifiers that are the person itself: its user ids.
    """
    said = list(words)
    ends = {word.expires_at for word in said if word.state == "granted" and word.expires_at is not None}
    if not ends and all(word.state == "granted" for word in said):
        return ALWAYS
    ordered = sorted(said, key=_order)
    found: list[Span] = []
    latest: dict[tuple[str, bytes], Word] = {}
    since: int | None = INSTANT_MIN  # None: it refuses
    coming = deque(ordered)
    for at in sorted({word.at for word in ordered} | ends):
        # Who says yes with every event, or no, changes nothing by it.
        may_turn = at in ends
        while coming and coming[0].at <= at:
            word = coming.popleft()
            latest[word.purpose, word.subject] = word
            may_turn = may_turn or (word.state not in _REFUSALS if since is None else not _is_plain_yes(word))
        if not may_turn:
            continue
        is_refused = forbids(list(latest.values()), speakers, at)
        if is_refused and since is not None:
            found += [(since, at)] if since < at else []
            since = None
        elif not is_refused and since is None:
            since = at
    return tuple(found) if since is None else (*found, (since, INSTANT_MAX + 1))


def covers(words: Iterable[Word], subject: bytes, purposes: Iterable[str], at: int) -> bool:
    """
    Whether an identifier's own grants covered a moment: for each purpose one that was given by then and had not ended.

    What was refused meanwhile is another question, see `forbids`.
    """
    grants = [word for word in words if word.subject == subject and word.state == "granted"]
    return all(
        any(
            grant.purpose == purpose and grant.at <= at and (grant.expires_at is None or at < grant.expires_at)
            for grant in grants
        )
        for purpose in purposes
    )


def _stand(words: Sequence[Word], speakers: Collection[bytes], now: int) -> Standing:
    grants = [w for w in words if w.subject in speakers and effective_state(w, now) == "granted"]
    spoken_at = max((grant.at for grant in grants), default=None)
    standing = [w for w in words if refuses(w, now) and not _is_answered(w, spoken_at, speakers, now)]
    if standing:
        return _standing(max(standing, key=_order), now, is_refused=True)
    if grants:
        return _standing(max(grants, key=_order), now)
    latest = max(words, key=_order)
    # One browser's yes is not the known person's, nor another browser's.
    is_theirs = effective_state(latest, now) != "granted" or (
        not speakers and all(effective_state(word, now) == "granted" for word in words)
    )
    return _standing(latest, now) if is_theirs else Standing("unknown", False, latest.at, latest.subject)


def _is_answered(word: Word, spoken_at: int | None, speakers: Collection[bytes], now: int) -> bool:
    """Whether the person itself has said yes since; where a browser is only silent, a yes of any time answers it."""
    if spoken_at is None:
        return False
    is_no = effective_state(word, now) in _REFUSALS
    return spoken_at > word.at or (not is_no and word.subject not in speakers)


def _is_plain_yes(word: Word) -> bool:
    return word.state == "granted" and word.expires_at is None


def _standing(word: Word, now: int, *, is_refused: bool = False) -> Standing:
    return Standing(effective_state(word, now), is_refused, word.at, word.subject)


def _order(word: Word) -> tuple[int, int, bytes, int, bool, bytes]:
    # Of two grants at one instant the shorter is the more restrictive.
    ends = -word.expires_at if word.expires_at is not None else -(1 << 63)
    # One message may be the word of several identifiers.
    return word.at, _RANK[word.state], word.event_id or b"", ends, word.policy == "opt_in", word.subject
