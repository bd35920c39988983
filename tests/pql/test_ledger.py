"""The ledger follows the verdicts, line by line, and never takes a line back."""

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay_collector.pql.decision import Moment
from assay_collector.pql.ledger import LATE_AFTER, Transition, reconcile, speaking, standing
from pql.facts import START, definition

PROBE = definition("signals: {tasks: {count: Task Added}}\nqualify: {tasks: at least 1}")
ENTITY = b"e" * 16
QUALIFIED = Moment(1, "qualified", START)
EXITED = Moment(1, "exited", START + 9)


def lines(rows: list[Transition], *moments: Moment, now: int = START, causes: str = "event") -> list[Transition]:
    """What is appended so that the ledger says these moments."""
    return list(
        reconcile(
            PROBE, ENTITY, moments, rows, causes=frozenset(causes.split()), now=now, evidence=lambda m: b"%d" % m.at
        )
    )


def told(rows: list[Transition]) -> list[tuple[str, str, int, int]]:
    return [(row.step, row.change, row.revision, row.effective_at) for row in rows]


def test_a_first_moment_is_new():
    """With its evidence, at its own instant."""
    (row,) = lines([], QUALIFIED, now=START + 5)

    assert ("qualified", "new", 1, START, START + 5, b"%d" % START) == (
        row.step, row.change, row.revision, row.effective_at, row.recorded_at, row.evidence,
    )  # fmt: skip


def test_a_moved_moment_is_corrected():
    """The old line stays; the new one speaks."""
    rows = lines([], QUALIFIED)

    assert [("qualified", "corrected", 2, START - 3)] == told(lines(rows, Moment(1, "qualified", START - 3)))


def test_a_moment_that_is_no_more_is_retracted():
    """Also when only the exit falls away."""
    rows = lines([], QUALIFIED, EXITED)

    assert [("exited", "retracted", 2, START + 9)] == told(lines(rows, QUALIFIED))
    assert [("qualified", "retracted", 2, START), ("exited", "retracted", 2, START + 9)] == told(lines(rows))


def test_what_was_retracted_may_come_back():
    """As a new line, with a revision of its own."""
    rows = lines([], QUALIFIED)
    rows += lines(rows)

    assert [("qualified", "new", 3, START)] == told(lines(rows, QUALIFIED))


@pytest.mark.parametrize(
    ("causes", "now", "expected"),
    [
        ("event", START + LATE_AFTER, "event"),
        ("event", START + LATE_AFTER + 1, "late"),
        ("event adoption", START, "event"),
        ("event identity", START, "event"),
        ("event identity merge", START, "merge"),
        ("merge unmerge", START, "unmerge"),
        ("trait merge consent", START, "consent"),
        ("account event", START, "trait"),
        ("timer", START, "timer"),
        ("definition timer erasure", START, "definition"),
    ],
)
def test_the_strongest_cause_is_named(causes: str, now: int, expected: str):
    """An event speaks for itself only where nothing else does, and is late after an hour."""
    assert [expected] == [row.cause for row in lines([], QUALIFIED, now=now, causes=causes)]


INSTANTS = st.integers(START, START + 3)
SAID = st.one_of(
    st.just(()),
    INSTANTS.map(lambda at: (Moment(1, "qualified", at),)),
    st.tuples(INSTANTS, INSTANTS).map(lambda pair: (Moment(1, "qualified", pair[0]), Moment(1, "exited", pair[1] + 9))),
)


@given(st.lists(SAID, max_size=6))
def test_after_any_changes_of_mind_the_ledger_says_the_last(sequence: list[tuple[Moment, ...]]):
    """Asked again it has nothing to add; revisions count up from 1, and no two lines share a key."""
    rows: list[Transition] = []
    for moments in sequence:
        rows += lines(rows, *moments)
        assert [] == lines(rows, *moments)
        assert {(m.episode, m.step): m.at for m in moments} == {
            key: row.effective_at for key, row in standing(rows).items()
        }

    by_key = sorted(rows, key=lambda row: (row.episode, row.step, row.revision))
    for _, group in groupby(by_key, key=lambda row: (row.episode, row.step)):
        changes = list(group)
        assert list(range(1, len(changes) + 1)) == [row.revision for row in changes]
        # A retraction follows something that stood; new lines follow nothing or a retraction.
        assert all(
            (before is None or before.change == "retracted") == (row.change == "new")
            for before, row in zip([None, *changes], changes, strict=False)
        )


@given(st.lists(SAID, max_size=6), st.randoms())
def test_the_order_of_lines_does_not_matter(sequence: list[tuple[Moment, ...]], random):
    """The highest revision speaks, wherever it stands."""
    rows: list[Transition] = []
    for moments in sequence:
        rows += lines(rows, *moments)
    shuffled = random.sample(rows, len(rows))

    assert speaking(rows) == speaking(shuffled)
    assert standing(rows) == standing(shuffled)
