"""Patience: what a verdict bears, it does bear."""

from typing import Any

from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

from assay.contract.times import DAY, HOUR, MINUTE, format_instant, parse_instant
from assay_collector.pql.decision import Judge, decide
from assay_collector.pql.definition import Definition
from assay_collector.pql.examples import facts_from
from assay_collector.pql.matching import CompiledSignal
from assay_collector.pql.patience import Happened, Patience, bits_of, patience_of
from qualify.whole import AS_OF, DEFINITIONS, HISTORIES, HORIZON

MANY = settings(phases=[Phase.generate])
History = list[dict[str, Any]]

NAMES = st.sampled_from(["Made", "Shared", "Signed Up", "Paid", "Other"])
MORE = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, MINUTE, 30 * MINUTE, HOUR, 5 * HOUR, DAY]),
        NAMES,
        st.fixed_dictionaries(
            {}, optional={"doc": st.sampled_from(["x", "y", "z"]), "size": st.sampled_from([1, 5, -7, "many"])}
        ),
        st.sampled_from(["ada", "bob", "eve"]),
    ),
    min_size=1,
    max_size=5,
)


def patience_at(definition: Definition, history: History, as_of: int) -> Patience:
    judge = Judge(definition, facts_from(definition, history))
    return patience_of(judge, judge.verdict(as_of), as_of)


def happened(definition: Definition, entry: dict[str, Any]) -> Happened:
    """What the agenda is told of an event."""
    marked = [
        signal.id
        for signal in definition.signals
        if CompiledSignal(signal).matches(entry["event"], entry["properties"])
    ]
    return Happened(1, parse_instant(entry["t"]), bits_of(marked))


def borne(definition: Definition, patience: Patience, more: Any, now: int) -> History:
    """Of these events the ones that patience has room for, one after the other."""
    found: History = []
    for offset, name, properties, user in more:
        at = max(patience.floor, 0) + offset if patience.floor > 0 else now + offset
        entry = {"t": format_instant(at), "event": name, "properties": properties, "user": user}
        if patience.bears(happened(definition, entry), now):
            patience = patience.after(happened(definition, entry))
            found.append(entry)
    return found


@MANY
@given(DEFINITIONS, HISTORIES, st.lists(st.tuples(AS_OF, MORE), min_size=1, max_size=5))
def test_what_patience_bears_changes_nothing(definition: Definition, history: History, tries: list[tuple[int, Any]]):
    """Until it ends no step of any episode comes, goes or moves, whatever it lets pass."""
    for as_of, more in tries:
        known = [entry for entry in history if parse_instant(entry["t"]) <= as_of]
        patience = patience_at(definition, known, as_of)
        added = borne(definition, patience, more, as_of)
        last = max(as_of, min(patience.until - 1, HORIZON))
        before = decide(definition, facts_from(definition, known), as_of)
        after = decide(definition, facts_from(definition, [*known, *added]), last)

        event(f"{len(added)} of {len(more)} borne")
        assert patience.until > as_of
        assert before.moments == after.moments
