"""Sights: where only presence counts, a few events of a run stand for all of them."""

from typing import Any, cast

from hypothesis import event, example, given
from hypothesis import strategies as st

from assay.contract.times import HOUR, MINUTE, parse_instant
from assay_collector.pql.definition import Matcher, Rolling, Signal
from assay_collector.pql.matching import CompiledSignal
from assay_collector.pql.presence import presence, reach
from assay_collector.pql.sweeps import distinct
from assay_collector.qualify.occurrences import Rereader
from assay_collector.store import Tally

START = parse_instant("2026-03-28T20:00:00Z")
SIGNAL = Signal("user", "active_days", Matcher(()))
LEAVES = (b"phone", b"browser")
# Two events of a leaf in an hour at the most: all that there is, is in the rows, and nothing has to be read again.
HOURS = st.dictionaries(
    st.tuples(st.sampled_from(LEAVES), st.integers(0, 3)), st.lists(st.integers(0, 59), min_size=1, max_size=2)
)


@given(HOURS, st.sampled_from([5, 30, 90, 300]))
@example({(b"phone", 0): [0, 50], (b"browser", 0): [20]}, 30)
def test_what_is_left_out_shows_nowhere(hours: dict[tuple[bytes, int], list[int]], minutes: int):
    """One person with two identifiers is present exactly when any of the events says so."""
    window = Rolling(minutes * MINUTE)
    told = {key: sorted(START + key[1] * HOUR + at * MINUTE for at in found) for key, found in hours.items()}
    rows = [
        Tally(leaf, SIGNAL.id, START // HOUR + hour, leaf, len(found), found[0], found[-1])
        for (leaf, hour), found in told.items()
    ]
    compiled = {SIGNAL.id: CompiledSignal(SIGNAL)}
    reader = Rereader(cast(Any, None), compiled, rows, (), people=dict.fromkeys(LEAVES, b"ada"))
    seen = [found.at for found in reader.sights(SIGNAL.id, lambda first: reach(window, first, None))]
    every = [at for found in told.values() for at in found]
    event(f"{len(every) - len(seen)} left out")

    assert spells(every, window) == spells(seen, window)


def spells(instants: list[int], window: Rolling) -> object:
    """When somebody is present at all."""
    return distinct(("ada", found) for at in instants if (found := presence(window, at, None)))
