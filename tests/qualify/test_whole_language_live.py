"""The language's windows, folds, scores and lifecycles through the real receiver, file and qualifier."""

from collections.abc import Iterator, Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.contract.times import DAY, HOUR
from assay_collector.pql.language import read_definitions
from qualify.house import IDENTIFY, House, opened
from qualify.oracle import Found, Oracle
from qualify.stories import HISTORIES, NOW, definition_text
from qualify.wire import Message

# Through a real file an example takes some fifty times as long as on pure code.
FEW = settings(max_examples=settings.default.max_examples // 4)
# When every window has emptied.
LATER = NOW + 6 * DAY

PROJECT = """
project: small
timezone: Asia/Kathmandu
exclude: {default: [bots], lists: {bots: {user.bot: true}, rivals: {account.domain: [rival.example]}}}
"""
BODIES = {
    "u-rolling": """
signals: {made: {count: Made, within: 30m}}
qualify: {made: at least 1}
lifecycle: {hold: 10m, requalify: {after: 1h}}""",
    "u-days": """
signals: {days: {active_days: any, within: 2 days}, quiet: {since: any}}
qualify: {days: at least 2}
lifecycle: {exit: {quiet: more than 30m}, requalify: {after: 0 days}}""",
    "u-sum": """
signals:
  size: {sum: Shared, of: size, within: this month}
  made: {count: Made, within: 2h}
  mean: {ratio: [size, made]}
qualify: {any: [{size: at least 10}, {mean: at least 5}]}
lifecycle: {convert: {event: Other}, expire: 2h, requalify: {after: 30m}}""",
    "u-last": """
signals: {newest: {last: Shared, of: doc}, least: {min: Shared, of: size, within: 48h}}
qualify: {newest: x, least: at most 4}
variants: [{name: admin, when: {user.role: admin}, qualify: {newest: is known}}]
lifecycle: {requalify: {after: 0 days}}""",
    "u-score": """
signals: {made: {count: Made, within: 48h}, docs: {distinct: Shared, of: doc, within: 1 day}, plan: {trait: user.plan}}
qualify:
  score: [{each: made, points: 5, half_life: 2h}, {each: docs, points: 3, cap: 4}, {when: {plan: free}, points: 2}]
  enter: 8
  exit: 4
lifecycle: {requalify: {after: 0 days}}""",
    "a-members": """
signals:
  busy: {members: {count: [Made, Shared], within: 2h}, having: at least 2}
  heads: {members: {active_days: any, within: 2 days}, having: at least 1, where: {user.role: admin}}
qualify: {busy: at least 1, heads: at least 1}
lifecycle: {requalify: {after: 0 days}}""",
    "a-people": """
signals:
  now: {distinct: any, of: user_id, within: 1 day}
  then: {distinct: any, of: user_id, within: 1 day, ago: 1 day}
qualify: {then: at most 1, now: at least 1}
lifecycle: {requalify: {after: 1h, beyond: {now: 150%}}}
exclude: [rivals]""",
    "a-ladder": """
signals:
  ask: {sequence: [Made, Shared], apart: 30m}
  people: {distinct: any, of: user_id, within: 2h}
  made: {count: Made}
stages: [{name: one, qualify: {made: at least 1}}, {name: two, qualify: {ask: at least 1, people: at least 2}}]
variants: [{name: small, when: {account.seats: at most 10}, stage: two, qualify: {ask: at least 1}}]
eligible: {account.plan: not paid}""",
}
TEXTS = {f"{name}.yaml": definition_text(name, body) for name, body in BODIES.items()}
CATALOGUE = read_definitions({"project.yaml": PROJECT, **TEXTS})


@pytest.fixture(scope="module")
def built() -> Iterator[House]:
    with opened(CATALOGUE) as house:
        yield house


def recount(messages: Sequence[Message], now: int) -> Found:
    return Oracle(messages, now, lambda who: IDENTIFY("default", *who), NOW).qualifications(CATALOGUE.definitions)


@FEW
@given(history=HISTORIES, hours=st.integers(0, 110), random=st.randoms(use_true_random=False))
def test_what_is_decided_live_is_what_a_recount_says(built: House, history: list[Message], hours: int, random: Random):
    """In whatever order and batches it comes, however often, and whenever it is looked at."""
    as_of = NOW + hours * HOUR + random.choice([0, 1])
    built.clear()
    told = random.sample(history, len(history)) + random.choices(history, k=3)
    while told:
        built.receive(told[:4], now=NOW)
        if random.random() < 0.5:
            built.decide(NOW)
        told = told[4:]
    built.decide(NOW)
    assert recount(history, NOW) == built.standing()
    built.decide(as_of)
    assert recount(history, as_of) == built.standing()
    built.decide(LATER)

    assert recount(history, LATER) == built.standing()
    assert () == built.differences(LATER)


@FEW
@given(history=HISTORIES)
def test_timers_on_time_and_late_say_the_same(built: House, history: list[Message]):
    """Whether the agenda is looked at whenever something is due, or once long after."""
    built.clear()
    built.receive(history, now=NOW)
    built.decide(NOW)
    while (due := built.next_due()) is not None and due <= LATER:
        built.decide(due)
    timely = built.standing()
    timers = [row for row in built.ledger() if row.recorded_at > NOW]
    built.clear()
    built.receive(history, now=NOW)
    built.decide(LATER)

    assert timely == built.standing()
    assert [] == [row for row in timers if row.effective_at != row.recorded_at]
