"""What follows from an attempt."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.contract.times import DAY, HOUR, MINUTE, SECOND
from assay_collector.deliver.retry import (
    ATTEMPTS_MAX,
    ATTEMPTS_MAX_REFUSED,
    RETRY_AFTER_MAX,
    SCHEDULE,
    Delivered,
    Retry,
    decide,
    pause,
    retry_after,
)
from assay_collector.deliver.sender import Answer, NoAnswer

from .builders import NOW

DOCS = Path(__file__).parents[2] / "docs" / "webhooks.md"


def attempts_until_given_up(result: Answer | NoAnswer) -> int:
    attempt = 1
    while isinstance(decide(result, attempt=attempt, now=NOW, jitter=0.0), Retry):
        attempt += 1
    return attempt


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_delivered(status: int) -> None:
    """A receiver may say yes in its own way."""
    assert Delivered() == decide(Answer(status=status), attempt=1, now=NOW, jitter=0.5)


@pytest.mark.parametrize(
    ("result", "attempts"),
    [
        pytest.param(Answer(status=410), 1, id="gone"),
        pytest.param(Answer(status=400), ATTEMPTS_MAX_REFUSED, id="bad request"),
        pytest.param(Answer(status=401), ATTEMPTS_MAX_REFUSED, id="unauthorized"),
        pytest.param(Answer(status=404), ATTEMPTS_MAX_REFUSED, id="not found"),
        pytest.param(Answer(status=301), ATTEMPTS_MAX_REFUSED, id="redirect"),
        pytest.param(NoAnswer(kind="refused", detail=""), ATTEMPTS_MAX_REFUSED, id="forbidden address"),
        pytest.param(Answer(status=408), ATTEMPTS_MAX, id="request timeout"),
        pytest.param(Answer(status=409), ATTEMPTS_MAX, id="conflict"),
        pytest.param(Answer(status=425), ATTEMPTS_MAX, id="too early"),
        pytest.param(Answer(status=429), ATTEMPTS_MAX, id="too many requests"),
        pytest.param(Answer(status=500), ATTEMPTS_MAX, id="server error"),
        pytest.param(Answer(status=101), ATTEMPTS_MAX, id="no final answer"),
        pytest.param(NoAnswer(kind="timeout", detail=""), ATTEMPTS_MAX, id="timeout"),
        pytest.param(NoAnswer(kind="unreachable", detail=""), ATTEMPTS_MAX, id="unreachable"),
    ],
)
def test_patience_depends_on_what_went_wrong(result: Answer | NoAnswer, attempts: int) -> None:
    """A receiver that says no is tried less often than one that cannot answer, and one that is gone not at all."""
    assert attempts == attempts_until_given_up(result)


def test_the_pauses_are_the_schedules() -> None:
    """Without jitter, each failure waits exactly its step."""
    pauses = [decide(Answer(status=500), attempt=n, now=NOW, jitter=0.0) for n in range(1, ATTEMPTS_MAX)]

    assert [Retry(NOW + step, "HTTP 500") for step in SCHEDULE] == pauses


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_jitter_lengthens_by_a_fifth_at_most(attempt: int, jitter: float) -> None:
    """However late the attempt, its pause lies between the schedule's step and 1.2 times that."""
    step = SCHEDULE[min(attempt, len(SCHEDULE)) - 1]

    assert step <= pause(attempt, jitter) <= step * 1.2


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("120", 120 * SECOND),
        (" 7 ", 7 * SECOND),
        ("Thu, 01 Jan 2026 00:10:00 GMT", 10 * MINUTE),
        ("Wed, 31 Dec 2025 23:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", RETRY_AFTER_MAX),
        ("999999999", RETRY_AFTER_MAX),
        ("9" * 5000, RETRY_AFTER_MAX),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("²", 0),
        ("", 0),
        (None, 0),
    ],
)
def test_retry_after_is_read_in_both_its_forms(header: str | None, expected: int) -> None:
    """Seconds or a date; nonsense counts as absent, and nobody can ask for more than a day."""
    assert expected == retry_after(header, NOW)


@given(st.text(max_size=40))
def test_any_retry_after_is_survived(header: str) -> None:
    """Whatever a receiver writes there, the pause stays between nothing and the cap."""
    assert 0 <= retry_after(header, NOW) <= RETRY_AFTER_MAX


def test_the_receivers_wish_is_a_floor() -> None:
    """A Retry-After longer than our pause counts, a shorter one does not shorten it."""
    assert Retry(NOW + HOUR, "HTTP 429") == decide(
        Answer(status=429, retry_after="3600"), attempt=1, now=NOW, jitter=0.0
    )
    assert Retry(NOW + 2 * HOUR, "HTTP 503") == decide(
        Answer(status=503, retry_after="1"), attempt=4, now=NOW, jitter=0.0
    )


def test_the_table_in_the_docs_is_the_schedule() -> None:
    """The page on webhooks shows the very pauses that the code keeps."""
    rows = re.findall(r"^\| (\d+) \| (\S+) (seconds|minutes|hours) \|", DOCS.read_text(), re.MULTILINE)
    units = {"seconds": SECOND, "minutes": MINUTE, "hours": HOUR}

    assert [(n, step) for n, step in enumerate(SCHEDULE, 1)] == [(int(n), int(x) * units[u]) for n, x, u in rows]
    assert 3 * DAY < sum(SCHEDULE) < 4 * DAY
