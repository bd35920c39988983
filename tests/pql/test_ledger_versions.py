"""What the ledger puts down to a definition's new version, what it takes back with it, and what was erased."""

import pytest

from assay_collector.pql.ledger import LATE_AFTER, Transition, reconcile, retract_open
from assay_collector.pql.lifecycle import Moment
from pql.facts import START, definition

PROBE = definition("signals: {tasks: {count: Task Added}}\nqualify: {tasks: at least 1}")
QUALIFIED = Moment(1, "qualified", START)
# A second version was put into force then.
LIVE_AT = START


def lines(
    *moments: Moment, rows: tuple[Transition, ...] = (), causes: str = "event", live_at: int | None = None
) -> tuple[Transition, ...]:
    return reconcile(
        PROBE,
        b"e" * 16,
        moments,
        rows,
        causes=frozenset(causes.split()),
        now=START + LATE_AFTER,
        evidence=lambda moment: b'{"at":%d}' % moment.at,
        live_at=live_at,
    )


@pytest.mark.parametrize(
    ("causes", "at", "live_at", "expected"),
    [
        ("definition", START, LIVE_AT, "definition"),
        ("definition", START - 1, LIVE_AT, "definition"),
        ("definition", START + 1, LIVE_AT, "timer"),
        ("definition", START + 1, None, "definition"),
        ("definition trait", START + 1, LIVE_AT, "trait"),
        ("definition trait", START, LIVE_AT, "definition"),
        ("definition event", START + 1, LIVE_AT, "event"),
        ("event", START + 1, LIVE_AT, "event"),
        ("trait", START + 1, LIVE_AT, "trait"),
    ],
)
def test_what_takes_effect_after_a_version_is_not_put_down_to_it(
    causes: str, at: int, live_at: int | None, expected: str
):
    """Nobody had to change the definition for that."""
    assert [expected] == [row.cause for row in lines(Moment(1, "qualified", at), causes=causes, live_at=live_at)]


def test_what_was_erased_of_the_evidence_is_computed_anew():
    """By a correction at the same instant; once is enough."""
    (row,) = lines(QUALIFIED)
    erased = Transition(
        **{name: getattr(row, name) for name in row.__struct_fields__} | {"evidence": b'{"erased":true}'}
    )
    again = lines(QUALIFIED, rows=(erased,))

    assert [("corrected", 2, START, b'{"at":%d}' % START)] == [
        (line.change, line.revision, line.effective_at, line.evidence) for line in again
    ]
    assert () == lines(QUALIFIED, rows=(erased, *again))


def test_a_retired_definition_takes_back_what_is_open_and_nothing_else():
    """Every step of the open episodes, in order; what is over stays on record, and what was retracted stays so."""
    over = (QUALIFIED, Moment(1, "exited", START + 1))
    open_again = (Moment(2, "qualified", START + 3), Moment(2, "held", START + 2))
    rows = lines(*over, *open_again)
    now = START + 10
    taken_back = retract_open(rows, now)

    assert [
        (2, "held", "retracted", 2, START + 2, now, "definition"),
        (2, "qualified", "retracted", 2, START + 3, now, "definition"),
    ] == [
        (row.episode, row.step, row.change, row.revision, row.effective_at, row.recorded_at, row.cause)
        for row in taken_back
    ]
    assert () == retract_open((*rows, *taken_back), now)
    assert () == retract_open(lines(*over), now)
