"""Random histories of messages, statements of consent and sign-ins, in random order: what a naive recount says."""

from collections.abc import Iterator, Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.contract.times import MINUTE, format_instant
from qualify.house import IDENTIFY, House, opened
from qualify.oracle import Found, Oracle
from qualify.stories import CATALOGUE, HISTORIES, INSTANTS, LATER, NOW, numbered
from qualify.wire import Message

# Through a real file an example takes some fifty times as long as on pure code.
FEWER = settings(max_examples=settings.default.max_examples * 3 // 10)

_PEOPLE = st.sampled_from([("ada", None)] * 3 + [(None, "v1")] * 2 + [("ada", "v1"), ("bob", None), ("bob", "v2")])
_STATES = st.sampled_from(["granted", "granted", "denied", "withdrawn"])


@st.composite
def statements(draw: st.DrawFn) -> Message:
    """What somebody allows, plainly."""
    user, anon = draw(_PEOPLE)
    purposes = draw(st.sampled_from([("pql_scoring",), ("pql_scoring",), ("analytics",), ("analytics", "pql_scoring")]))
    message = {
        "type": "consent",
        "timestamp": format_instant(draw(INSTANTS)),
        "userId": user,
        "anonymousId": anon,
        "purposes": {purpose: draw(_STATES) for purpose in purposes} | {"sales_contact": "denied"},
    }
    return {key: value for key, value in message.items() if value is not None}


@st.composite
def histories(draw: st.DrawFn) -> list[Message]:
    """Messages, of which many came by a source that asks first, among statements."""
    told = draw(HISTORIES)
    strict = draw(st.sampled_from([0, 2, 3]))
    asked = [
        {**message, "source": "strict"} if strict and i % strict == 0 else message for i, message in enumerate(told)
    ]
    mixed = draw(st.permutations([*asked, *draw(st.lists(statements(), min_size=1, max_size=5))]))
    return numbered(mixed)


@pytest.fixture(scope="module")
def small() -> Iterator[House]:
    with opened(CATALOGUE) as house:
        yield house


def recount(messages: Sequence[Message], now: int) -> Found:
    return Oracle(messages, now, lambda who: IDENTIFY("default", *who), NOW).qualifications(CATALOGUE.definitions)


@FEWER
@given(history=histories(), random=st.randoms(use_true_random=False))
def test_no_order_of_words_and_deeds_shows(small: House, history: list[Message], random: Random):
    """With duplicates, in any batches, decided at any time: the same tallies, the same verdicts, the recount's."""
    small.clear()
    small.receive(history, now=NOW)
    small.decide(LATER)
    tallies, standing = small.tallies(), small.standing()
    again = random.sample(history, len(history)) + random.choices(history, k=len(history) // 2)
    small.clear()
    for message in random.sample(again, len(again)):
        small.receive([message], now=NOW)
        if random.random() < 0.3:
            small.decide(NOW + random.randint(0, 1) * 3 * MINUTE)
    small.decide(LATER)

    assert recount(history, LATER) == standing
    assert (tallies, standing) == (small.tallies(), small.standing())
    assert () == small.differences(LATER)


@FEWER
@given(history=histories(), data=st.data())
def test_an_event_without_consent_never_changes_a_tally(small: House, history: list[Message], data: st.DataObject):
    """Neither one that refuses, nor a silent one of a strict source whose id never agreed."""
    small.clear()
    small.receive(history, now=NOW)
    small.decide(LATER)
    tallies = small.tallies()
    tracks = [m for m in history if m["type"] == "track"] or history
    sample = data.draw(st.sampled_from(tracks))
    context = {**sample.get("context", {}), "consent": {"categoryPreferences": {"pql_scoring": False}}}
    stranger = {**sample, "userId": "nobody-agreed", "source": "strict", "context": {"groupId": "acme"}}
    small.receive([{**sample, "messageId": "no", "context": context}, {**stranger, "messageId": "silent"}], now=NOW)
    small.decide(LATER)

    assert tallies == small.tallies()


@FEWER
@given(history=histories())
def test_what_counts_can_be_told_from_the_log_alone(small: House, history: list[Message]):
    """Whether an event is scored is what its snapshot and the log say; nothing else remembers it."""
    small.clear()
    small.receive(history, now=NOW)
    small.decide(LATER)
    oracle = {h.id: h.scored for h in Oracle(history, LATER, lambda who: IDENTIFY("default", *who), NOW).all}

    assert oracle == {event.event_id: event.scored for _, event in small.store.events.scan()}
