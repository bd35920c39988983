"""Batches are exact, answers have one meaning, and waits keep to their floors and ceilings."""

import json
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.delivery import (
    BACKOFF_SECONDS_MAX,
    BATCH_BYTES_MAX,
    DELAY_SECONDS_MAX,
    JITTER,
    Answer,
    BatchLimits,
    Delivered,
    DropReason,
    EventResult,
    Refused,
    Retry,
    Split,
    batch_body,
    decide,
    fitting,
    halves,
    jittered_seconds,
    retry_after_seconds,
    retry_delay_seconds,
)

SENT_AT = "2026-03-01T09:00:00.000Z"
NOW = 1_772_355_600.0
EVENTS = st.lists(st.integers(2, 400).map(lambda size: b'"' + b"x" * (size - 2) + b'"'))


@given(EVENTS, st.integers(1, 20), st.integers(60, 1500))
def test_a_batch_is_the_longest_that_keeps_both_limits(events, events_max, bytes_max):
    """One more event would break the count or the bytes of the very body that is sent; one event always goes."""
    limits = BatchLimits(events_max, bytes_max)
    count = fitting(events, limits)
    one_more = events[: count + 1]

    assert count == 0 or count == 1 or (count <= events_max and len(batch_body(events[:count], SENT_AT)) <= bytes_max)
    assert (count > 0) == bool(events)
    assert count == len(events) or len(one_more) > events_max or len(batch_body(one_more, SENT_AT)) > bytes_max


@given(EVENTS)
def test_a_body_is_the_events_as_they_were(events):
    """The body is JSON, its events are the given ones in order, and halves lose none."""
    body = json.loads(batch_body(events, SENT_AT))

    assert {"sentAt": SENT_AT, "batch": [json.loads(event) for event in events]} == body
    assert events == [event for half in halves(events) for event in half]


def answer(status: int, body: bytes = b'{"success":true}', retry_after: str = "") -> Answer:
    return Answer(status=status, body=body, retry_after=retry_after)


@pytest.mark.parametrize(
    ("given_answer", "expected"),
    [
        (answer(200), Delivered()),
        (answer(202), Delivered()),
        (answer(200, b"<html>log in</html>"), Retry("unclean_answer")),
        (answer(200, b'{"success":false}'), Retry("unclean_answer")),
        (answer(204, b""), Retry("unclean_answer")),
        (answer(301), Retry("http_301")),
        (answer(400, b'{"code":"invalid_json"}'), Refused(DropReason.REJECTED, "http_400 invalid_json")),
        (answer(401, b"no"), Refused(DropReason.UNAUTHORIZED, "http_401")),
        (answer(403, b"no"), Refused(DropReason.UNAUTHORIZED, "http_403")),
        (answer(404, b"no"), Refused(DropReason.REJECTED, "http_404")),
        (answer(408, b""), Retry("http_408")),
        (answer(410, b""), Retry("http_410")),
        (answer(413, b""), Split()),
        (answer(429, b"", "7"), Retry("http_429", 7.0)),
        (answer(460, b""), Retry("http_460")),
        (answer(500, b""), Retry("http_500")),
        (answer(501, b""), Refused(DropReason.REJECTED, "http_501")),
        (answer(503, b'{"code":"busy"}', "30"), Retry("http_503 busy", 30.0)),
        (answer(505, b""), Refused(DropReason.REJECTED, "http_505")),
        (answer(511, b""), Retry("http_511")),
        (Answer(status=0, failure="ConnectError"), Retry("ConnectError")),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else None,
)
def test_an_answer_has_one_meaning(given_answer, expected):
    """Delivered only by a clean acknowledgement; retried if time may help; refused if it cannot."""
    assert expected == decide(given_answer, 2, NOW)


def test_an_event_that_is_too_large_alone_is_refused():
    """There is nothing left to split."""
    assert Refused(DropReason.TOO_LARGE, "http_413") == decide(answer(413, b""), 1, NOW)


def test_results_of_single_events_are_told():
    """Quarantined events are delivered; rejected ones are named; stored ones and duplicates need no word."""
    results = [
        {"messageId": "a", "status": "stored"},
        {"messageId": "b", "status": "quarantined", "code": "invalid"},
        {"messageId": "c", "status": "rejected", "code": "unplanned"},
        {"messageId": "d", "status": "duplicate"},
    ]
    body = json.dumps({"success": True, "results": results}).encode()
    expected = Delivered((EventResult("b", "quarantined", "invalid"),), (EventResult("c", "rejected", "unplanned"),))

    assert expected == decide(answer(200, body), 4, NOW)


def test_a_batch_with_rejected_events_is_delivered_but_for_them():
    """A collector in development says 400 and what became of each; without a word on each, all are refused."""
    results = [{"messageId": "a", "status": "stored"}, {"messageId": "b", "status": "rejected", "code": "invalid"}]
    body = json.dumps({"success": False, "code": "rejected", "results": results}).encode()

    assert Delivered((), (EventResult("b", "rejected", "invalid"),)) == decide(answer(400, body), 2, NOW)
    assert Refused(DropReason.REJECTED, "http_400 rejected") == decide(answer(400, body), 3, NOW)


@given(
    st.integers(0, 999),
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.text(max_size=9) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["success", "code", "results", "messageId", "status"]), inner, max_size=5)
        ),
    ).map(lambda value: json.dumps(value).encode()),
    st.text(max_size=20),
)
def test_no_answer_is_too_odd_for_a_decision(status, body, retry_after):
    """Whatever a server or a proxy says, there is a decision."""
    assert isinstance(decide(answer(status, body, retry_after), 3, NOW), Delivered | Retry | Split | Refused)


def test_the_collectors_wish_is_a_floor():
    """A Retry-After longer than our own backoff is honoured, up to the ceiling."""
    assert 20.0 == retry_delay_seconds(1, asked_seconds=20.0)
    assert DELAY_SECONDS_MAX == retry_delay_seconds(1, asked_seconds=3600.0)


def test_waits_double_up_to_a_ceiling():
    """Half a second first; a thousand failures later it is still a minute."""
    assert [0.5, 1.0, 2.0, 4.0] == [retry_delay_seconds(attempt) for attempt in (1, 2, 3, 4)]
    assert BACKOFF_SECONDS_MAX == retry_delay_seconds(5_000)


@given(st.floats(0, 300), st.floats(0, 1, exclude_max=True))
def test_jitter_only_lengthens(delay_seconds, draw):
    """So a wish of the collector stays a floor."""
    assert delay_seconds <= jittered_seconds(delay_seconds, draw) <= delay_seconds * (1 + JITTER)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", 0.0),
        ("3", 3.0),
        (" 120 ", 120.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("\u0663", 0.0),
        ("9" * 400, 999999999999.0),
    ],
)
def test_a_retry_after_is_seconds_or_a_date(header, expected):
    """What cannot be read asks for nothing."""
    assert expected == retry_after_seconds(header, NOW)


def test_codes_from_outside_are_safe_to_log():
    """A code is cut short and has no line breaks, so an answer cannot forge a log line."""
    body = json.dumps({"code": "a\nb" + "x" * 500}).encode()
    decision = decide(answer(400, body), 1, NOW)

    assert isinstance(decision, Refused)
    assert "\n" not in decision.detail
    assert len(decision.detail) < 120


def test_the_limits_are_segments():
    """500 KB a request, as its documentation says."""
    assert 500_000 == BATCH_BYTES_MAX
