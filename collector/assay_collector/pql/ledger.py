"""From verdicts to the ledger: what has to be written so that it says what is true now."""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from assay_collector.pql.definition import Definition, EntityKind
from assay_collector.pql.lifecycle import ENDS, Moment

# What is learned this long after it took effect came late; below, it is just how long things take.
LATE_AFTER = 3_600_000_000
# A member of evidence from which somebody's values were taken out. Such a line is said again, on the evidence that is.
ERASED = "erased"
_ERASED = b'"erased":true'


class Transition(msgspec.Struct, frozen=True, gc=False):
    """One line of the ledger: append-only, and bitemporal (`effective_at`, `recorded_at`)."""

    definition: str
    definition_version: int
    kind: EntityKind
    entity: bytes  # a person or an account
    episode: int  # counted from 1
    step: str  # qualified | held | exited | expired | converted
    revision: int  # counted from 1; the highest speaks
    change: str  # new | corrected | retracted
    effective_at: int
    recorded_at: int
    cause: str
    evidence: bytes  # JSON: each signal's value and threshold, at effective_at


Key = tuple[int, str]  # episode, step
# The causes that speak for themselves, the strongest first, and their names in the ledger.
_CAUSES = {
    "definition": "definition",
    "erasure": "erasure",
    "consent": "consent",
    "unmerge": "unmerge",
    "merge": "merge",
    "trait": "trait",
    "account": "trait",
    "timer": "timer",
}


def speaking(rows: Iterable[Transition]) -> dict[Key, Transition]:
    """Of each (episode, step) the row with the highest revision, for one definition and entity."""
    view: dict[Key, Transition] = {}
    for row in rows:
        key = (row.episode, row.step)
        if key not in view or row.revision > view[key].revision:
            view[key] = row
    return view


def standing(rows: Iterable[Transition]) -> dict[Key, Transition]:
    """What the ledger says now: the rows that speak, less those retracted."""
    return {key: row for key, row in speaking(rows).items() if row.change != "retracted"}


def reconcile(
    definition: Definition,
    entity: bytes,
    moments: Sequence[Moment],
    rows: Sequence[Transition],
    *,
    causes: frozenset[str],
    now: int,
    evidence: Callable[[Moment], bytes],
    live_at: int | None = None,
) -> tuple[Transition, ...]:
    """
    The transitions to append.

    Args:
        moments: What is true.
        rows: What the ledger holds for this definition and entity.
        causes: What put the entity on the agenda.
        evidence: Computes a moment's evidence; called for what is new or corrected only.
        live_at: Since when the ledger is decided under this definition: what took effect later is not put down to it.

    Returns:
        New, corrected and retracted steps; empty when the ledger already says so. Writing them and asking again gives
        nothing, so a repeated decision changes nothing.
    """
    view = speaking(rows)
    wanted = {(moment.episode, moment.step): moment for moment in moments}
    appended: list[Transition] = []
    for key, moment in wanted.items():
        row = view.get(key)
        if row is None or row.change == "retracted":
            change = "new"
        elif row.effective_at != moment.at or _ERASED in row.evidence:
            change = "corrected"
        else:
            continue
        appended.append(
            Transition(
                definition=definition.id,
                definition_version=definition.in_force(moment.at).version,
                kind=definition.entity,
                entity=entity,
                episode=moment.episode,
                step=moment.step,
                revision=1 if row is None else row.revision + 1,
                change=change,
                effective_at=moment.at,
                recorded_at=now,
                cause=_cause(causes, moment.at, now, live_at),
                evidence=evidence(moment),
            )
        )
    for key, row in standing(rows).items():
        if key not in wanted:
            appended.append(_retraction(row, definition.version, _cause(causes, row.effective_at, now, live_at), now))
    return tuple(appended)


def retract_open(rows: Iterable[Transition], now: int) -> tuple[Transition, ...]:
    """
    What has to be appended when a definition is retired: whoever is qualified under it is so no more.

    What is over stays on record.

    Args:
        rows: What the ledger holds for the definition and one entity.
    """
    said = standing(rows)
    over = {episode for episode, step in said if step in ENDS}
    return tuple(
        _retraction(row, row.definition_version, "definition", now)
        for (episode, _), row in sorted(said.items())
        if episode not in over
    )


def _retraction(row: Transition, version: int, cause: str, now: int) -> Transition:
    return Transition(
        definition=row.definition,
        definition_version=version,
        kind=row.kind,
        entity=row.entity,
        episode=row.episode,
        step=row.step,
        revision=row.revision + 1,
        change="retracted",
        effective_at=row.effective_at,
        recorded_at=now,
        cause=cause,
        evidence=b"{}",
    )


def _cause(causes: frozenset[str], effective_at: int, now: int, live_at: int | None) -> str:
    if "definition" in causes and live_at is not None and effective_at > live_at:
        # Nobody had to change the definition for that; time alone brought it, if nothing else did.
        causes = causes - {"definition"} or frozenset({"timer"})
    for cause, name in _CAUSES.items():
        if cause in causes:
            return name
    return "late" if now - effective_at > LATE_AFTER else "event"
