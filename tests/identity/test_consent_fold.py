"""A person's consent: a fold of the log that no order shows in, equal to one written apart."""

from dataclasses import dataclass, replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.contract.times import INSTANT_MAX, INSTANT_MIN
from assay_collector.identity.consent import Standing, allowed_spans, covers, forbids, next_expiry, stand
from assay_collector.identity.spans import ALWAYS, contains

USER, PHONE, LAPTOP = b"user", b"phone", b"laptop"
END = INSTANT_MAX + 1


@dataclass(frozen=True)
class Said:
    """A line of the log."""

    subject: bytes = USER
    state: str = "granted"
    at: int = 5
    purpose: str = "pql_scoring"
    event_id: bytes | None = b""
    expires_at: int | None = None
    policy: str | None = "opt_out"


def state(*words: Said, now: int = 100) -> tuple[str, bool]:
    found = stand(words, {USER}, now)["pql_scoring"]
    return found.state, found.is_refused


def test_the_latest_word_speaks():
    """Whatever came before it."""
    assert ("denied", True) == state(Said(at=1), Said(at=2, state="denied"))
    assert ("granted", False) == state(Said(at=2), Said(at=1, state="denied"))


@pytest.mark.parametrize("no", ["denied", "withdrawn"])
def test_of_two_words_at_one_instant_the_no_counts(no):
    """Whatever their ids."""
    assert (no, True) == state(Said(event_id=b"b"), Said(state=no, event_id=b"a"))


def test_a_no_on_a_browser_survives_the_sign_in():
    """It binds the person, until the person itself speaks again, later."""
    no = Said(PHONE, "denied", at=5)

    assert ("denied", True) == state(no, Said(at=4))
    assert ("denied", True) == state(no, Said(at=5))
    assert ("denied", True) == state(no, Said(LAPTOP, at=6))
    assert ("granted", False) == state(no, Said(at=6))


def test_a_yes_on_a_browser_does_not_spread():
    """The person has not spoken yet."""
    assert ("unknown", False) == state(Said(PHONE))
    assert Standing("granted", False, 5, PHONE) == stand([Said(PHONE)], (), 100)["pql_scoring"]


def test_a_grant_runs_out():
    """From then on nothing is known, which the policy reads."""
    grant = Said(expires_at=50)

    assert ("granted", False) == state(grant, now=49)
    assert ("expired", False) == state(grant, now=50)
    assert ("expired", True) == state(replace(grant, policy="opt_in"), now=50)
    assert (50, None) == (next_expiry([grant], 49), next_expiry([grant], 50))


@pytest.mark.parametrize("silence", ["unknown", "expired"])
def test_silence_is_read_by_the_policy_it_came_under(silence):
    """And a known person's yes answers a browser's silence, whenever it was given."""
    assert (silence, False) == state(Said(state=silence))
    assert (silence, True) == state(Said(state=silence, policy="opt_in"))
    assert ("granted", False) == state(Said(PHONE, silence, at=9, policy="opt_in"), Said(at=1))
    assert (silence, True) == state(Said(state=silence, at=9, policy="opt_in"), Said(at=1))


@pytest.mark.parametrize(
    ("less", "more", "expected"),
    [
        pytest.param(Said(), Said(expires_at=50), ("expired", False), id="one that ends"),
        pytest.param(Said(expires_at=200), Said(expires_at=50), ("expired", False), id="the shorter"),
        pytest.param(Said(expires_at=50, event_id=b"a"), Said(event_id=b"b"), ("granted", False), id="the larger id"),
        pytest.param(Said(expires_at=50, event_id=None), Said(event_id=b"a"), ("granted", False), id="one with an id"),
        pytest.param(
            Said(state="unknown"), Said(state="unknown", policy="opt_in"), ("unknown", True), id="silence that is a no"
        ),
    ],
)
def test_of_two_words_at_one_instant_one_speaks(less: Said, more: Said, expected: tuple[str, bool]):
    """The more restrictive, then the larger id, then the shorter grant: whichever is read first."""
    assert [expected, expected] == [state(less, more), state(more, less)]


def test_of_a_person_of_two_names_the_later_yes_is_told():
    """An admin may have joined two users; each speaks for both."""
    grants = [Said(at=3), Said(b"other", at=7)]

    assert Standing("granted", False, 7, b"other") == stand(grants, {USER, b"other"}, 100)["pql_scoring"]
    assert Standing("granted", False, 7, b"other") == stand(grants[::-1], {USER, b"other"}, 100)["pql_scoring"]


def test_the_next_expiry_is_the_earliest_that_is_still_to_come():
    """Of grants alone: what is refused does not run out."""
    words = [Said(expires_at=12), Said(PHONE, expires_at=7), Said(LAPTOP, "denied", expires_at=6)]

    assert [7, 12, None] == [next_expiry(words, now) for now in (0, 7, 12)]


def test_a_grant_covers_what_came_after_it_and_before_its_end():
    """On its own identifier, and for every purpose that is asked for."""
    words = [Said(expires_at=50), Said(PHONE, at=1), Said(purpose="analytics", at=20)]

    assert [False, True, True, False] == [covers(words, USER, ["pql_scoring"], at) for at in (4, 5, 49, 50)]
    assert [False, True] == [covers(words, USER, ["pql_scoring", "analytics"], at) for at in (19, 20)]
    assert not covers(words, LAPTOP, ["pql_scoring"], 30)


def _key(word: Said) -> tuple[int, str, bytes | None]:
    return word.at, word.state, word.event_id


# --- the same, written apart --------------------------------------------------------------------------------------


def naive_refuses(words: list[Said], purpose: str, now: int) -> bool:
    """Whether anybody's last word stands as a no. Plain and slow."""

    def ended(word: Said) -> bool:
        return word.expires_at is not None and word.expires_at <= now

    def no_of(word: Said) -> str:
        if word.state in ("denied", "withdrawn"):
            return "no"
        if word.state == "granted" and not ended(word):
            return ""
        return "silence" if word.policy == "opt_in" else ""

    last: dict[bytes, Said] = {}
    for word in [w for w in words if w.purpose == purpose]:
        harder = ["granted", "unknown", "expired", "denied", "withdrawn"].index
        others = [w for w in words if w.purpose == purpose and w.subject == word.subject]
        ordered = sorted(others, key=lambda w: (-w.at, -harder(w.state), [-byte for byte in w.event_id or b""]))
        first = [w for w in ordered if (w.at, w.state, w.event_id) == _key(ordered[0])]
        last[word.subject] = min(first, key=lambda w: (w.expires_at is None, w.expires_at or 0, w.policy != "opt_in"))
    mine = last.get(USER)
    yes_at = mine.at if mine is not None and mine.state == "granted" and not ended(mine) else None
    for subject, word in last.items():
        if no_of(word) == "no" and not (yes_at is not None and yes_at > word.at):
            return True
        if no_of(word) == "silence" and (yes_at is None or subject == USER):
            return True
    return False


WORDS = st.lists(
    st.builds(
        Said,
        subject=st.sampled_from([USER, PHONE, LAPTOP]),
        state=st.sampled_from(["granted", "granted", "denied", "withdrawn", "expired", "unknown"]),
        at=st.integers(0, 6),
        purpose=st.sampled_from(["pql_scoring", "pql_scoring", "analytics"]),
        event_id=st.sampled_from([b"a", b"b", b"c"]),
        expires_at=st.sampled_from([None, None, 3, 7, 12]),
        policy=st.sampled_from([None, "opt_in", "opt_out", "exempt"]),
    ),
    max_size=8,
)


@given(words=WORDS, now=st.integers(0, 15), random=st.randoms(use_true_random=False))
def test_the_fold_is_the_naive_one_in_any_order(words: list[Said], now: int, random: Random):
    """With any duplicates."""
    # Of lines that differ in nothing that orders them, only one can stand in the log.
    unique = list({(w.subject, w.purpose, w.at, w.event_id, w.state): w for w in words}.values())
    again = random.sample(unique, len(unique)) + random.choices(unique or [Said()], k=len(unique))

    found = {purpose: each.is_refused for purpose, each in stand(unique, {USER}, now).items()}
    assert {purpose: naive_refuses(unique, purpose, now) for purpose in {w.purpose for w in unique}} == found
    assert stand(unique, {USER}, now) == stand(again, {USER}, now)
    assert any(found.values()) == forbids(unique, {USER}, now)


@given(words=WORDS, now=st.integers(0, 15))
def test_more_identifiers_never_allow_more(words: list[Said], now: int):
    """A merge takes the more restrictive state: who refuses alone refuses together, unless the person said yes."""
    browsers = [word for word in words if word.subject != USER]
    alone = [word for word in browsers if word.subject == PHONE]

    if forbids(alone, (), now):
        assert forbids(browsers, (), now)


@given(words=WORDS, now=st.integers(0, 15))
def test_between_two_expiries_time_changes_nothing(words: list[Said], now: int):
    """The next expiry is never later than the next change."""
    end = next_expiry(words, now)
    later = 100 if end is None else end - 1

    assert stand(words, {USER}, now) == stand(words, {USER}, max(now, later))


@given(words=WORDS, at=st.integers(-1, 15))
def test_when_a_person_refused_is_what_it_had_said_by_then(words: list[Said], at: int):
    """Asked instant by instant."""
    unique = list({(w.subject, w.purpose, w.at, w.event_id, w.state): w for w in words}.values())
    told = [word for word in unique if word.at <= at]

    assert forbids(told, {USER}, at) == (not contains(allowed_spans(unique, {USER}), at))


def test_who_only_ever_agrees_is_allowed_always():
    """However often it is said; that is what most histories are."""
    assert ALWAYS is allowed_spans([Said(at=n) for n in range(9)], {USER})


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param([Said(at=1, state="denied"), Said(at=8)], ((INSTANT_MIN, 1), (8, END)), id="no, then yes"),
        pytest.param([Said(at=INSTANT_MIN, state="denied")], (), id="no from the beginning"),
        pytest.param([Said(at=5, expires_at=3, policy="opt_in")], ((INSTANT_MIN, 5),), id="over before it was given"),
        pytest.param([Said(at=5, expires_at=9, policy="opt_in")], ((INSTANT_MIN, 9),), id="over, and silence is a no"),
        pytest.param([Said(at=5, expires_at=9)], ALWAYS, id="over, and silence is none"),
        pytest.param(
            [Said(at=1, state="denied"), Said(at=8, expires_at=16), Said(at=32)],
            ((INSTANT_MIN, 1), (8, END)),
            id="once answered, answered",
        ),
    ],
)
def test_the_times_at_which_nothing_was_refused(words: list[Said], expected: tuple[tuple[int, int], ...]):
    """In order, with no empty one, whichever word is read first."""
    assert [expected, expected] == [allowed_spans(words, {USER}), allowed_spans(words[::-1], {USER})]
