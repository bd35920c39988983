"""
What a definition would do: decided over everything that is stored, without writing anything.

The evaluator is the one that runs live. Tallies of signals that are known are read from the store; those of new ones
are made in memory from the stored events.
"""

import gc
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import sqrt
from statistics import NormalDist

from assay.contract.times import DAY
from assay_collector.identity.rules import DEFAULT_IDENTITY_RULES, IdentityRules
from assay_collector.pql.comparators import parse_comparator
from assay_collector.pql.decision import EntityFacts, decide
from assay_collector.pql.definition import Catalogue, Definition, EntityKind, Ever, Matcher, Project, Signal, Use
from assay_collector.pql.ledger import standing
from assay_collector.pql.lifecycle import ENDS, Moment
from assay_collector.pql.matching import SignalIndex
from assay_collector.pql.windows import parse_duration
from assay_collector.qualify.gathering import Gathered, Gatherer
from assay_collector.qualify.overlay import Overlay, laid_over, read_ahead
from assay_collector.qualify.refill import marks_of
from assay_collector.store import SHADOW, Facts, Store, Transition

CHUNK_ENTITIES = 500
WEEK = 7 * DAY
# What one core of a small server fills, beside ingest: for the estimate.
FILLED_A_SECOND = 20_000
# Two definitions that share more of their people than this are nearly the same.
OVERLAP_MAX = 0.8

Report = Callable[[str, int, int], None]  # what is being done, how much of it is done, of how much
Moments = Mapping[bytes, tuple[Moment, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """Who qualified, at any time, under both the candidate and another definition."""

    definition: str
    shared: int
    candidate: int
    other: int

    @property
    def jaccard(self) -> float:
        """Those under both, of those under either."""
        either = self.candidate + self.other - self.shared
        return self.shared / either if either else 0.0

    @property
    def contained(self) -> float:
        """How much of the smaller lies within the larger."""
        smaller = min(self.candidate, self.other)
        return self.shared / smaller if smaller else 0.0

    @property
    def is_large(self) -> bool:
        """They are nearly the same."""
        return self.jaccard > OVERLAP_MAX


# So many standard deviations from the mean lie 95 % of a normal distribution.
_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    hits: int
    of: int

    @property
    def value(self) -> float | None:
        """None: of nobody."""
        return self.hits / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Within what the share of all there ever will be lies, 19 times of 20 (Wilson's score interval)."""
        if not self.of:
            return None
        spread = _Z * _Z / self.of
        middle = (self.hits / self.of + spread / 2) / (1 + spread)
        half = _Z / (1 + spread) * sqrt(self.hits * (self.of - self.hits) / self.of**3 + spread / self.of / 4)
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, kw_only=True, slots=True)
class Backfill:
    """What has to be read again before the definition can decide."""

    signals: int  # that are new
    events: int
    seconds: float  # about


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulation:
    """What a definition says of everybody, as of a moment, and how that compares."""

    definition: Definition
    as_of: int
    # Everybody of whom it ever said anything -> every step.
    moments: Moments
    entities: int  # looked at
    qualified: frozenset[bytes]
    running: frozenset[bytes]  # qualified under the version that decides now
    overlaps: tuple[Overlap, ...]  # with it first, then with the others
    precision: Share
    recall: Share
    weekly: tuple[int, ...]  # qualifications in each of the last weeks, the earliest first
    per_week: float  # over all of history
    backfill: Backfill
    waiting: int  # agenda entries that are due: so much may be behind in `running`

    @property
    def enters(self) -> frozenset[bytes]:
        """Who would be qualified, and is not."""
        return self.qualified - self.running

    @property
    def leaves(self) -> frozenset[bytes]:
        """Who is qualified, and would not be."""
        return self.running - self.qualified


def simulate(
    store: Store,
    candidate: Definition,
    project: Project,
    *,
    now: int,
    weeks: int = 8,
    identity: IdentityRules = DEFAULT_IDENTITY_RULES,
    report: Report = lambda *_: None,
) -> Simulation:
    """
    Decide a definition over the whole history of a store; nothing is written.

    Args:
        project: What its `predicts` is read with.
        weeks: How many weeks `weekly` has.
        report: Told how far it is.
    """
    outcome = Outcome.of(candidate, project)
    studied = replace(candidate, uses=(*candidate.uses, Use("predicts", outcome.signal, Ever())))
    with store.snapshot() as stored:
        filled = store.tallies.filled()
        overlay = _tallied(store, [signal for signal in studied.signals if signal.id not in filled], report)
        among = store.tallies.definitions()
        study = _Study(studied, outcome, laid_over(stored, overlay), now, among=among, identity=identity)
        with _settled():
            study.run(_subjects(store, stored, overlay, studied.entity, report))
        new = [signal for signal in candidate.signals if signal.id not in filled]
        events = store.events.position() if new else 0
        waiting, _ = store.agenda.backlog(now)
        since = store.events.earliest()
    backfill = Backfill(signals=len(new), events=events, seconds=events / FILLED_A_SECOND)
    return study.result(candidate, weeks, backfill, waiting, since)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a definition predicts: an event that comes at least `after` and at most `after + within` later."""

    signal: Signal
    after: int
    within: int

    @staticmethod
    def of(definition: Definition, project: Project) -> "Outcome":
        """The prediction of a definition's file."""
        said = definition.document["predicts"]
        named = said["event"]
        events = (named,) if isinstance(named, str) else tuple(named)
        where = tuple((path, parse_comparator(test, project.values)) for path, test in said.get("where", {}).items())
        matcher = Matcher(() if events == ("any",) else events, where)
        return Outcome(
            signal=Signal(definition.entity, "count", matcher),
            after=parse_duration(str(said["after"])) or 0 if "after" in said else 0,
            within=parse_duration(str(said["within"])) or 0,
        )

    def instants(self, facts: EntityFacts) -> Iterator[int]:
        """When it came for an entity, ascending."""
        for span in facts.series_of(self.signal).spans:
            if span.n <= 2:  # both instants are known
                yield from (span.first_at, span.last_at)[: span.n]
            else:
                yield from (at for at, _ in facts.instants(self.signal.id, span.hour))

    def is_foreseen(self, begin: int, at: int) -> bool:
        """Whether an outcome at an instant is what a qualification at another foresaw."""
        return begin + self.after < at <= begin + self.after + self.within

    def is_mature(self, begin: int, now: int) -> bool:
        """Whether all the time in which it may come is over."""
        return begin + self.after + self.within <= now


class _Study:
    """Collects what is found of one entity after the other."""

    def __init__(
        self,
        definition: Definition,
        outcome: Outcome,
        facts: Facts,
        now: int,
        among: Collection[str],
        identity: IdentityRules,
    ) -> None:
        """
        Args:
            among: The definitions that decide now.
        """
        self._definition = definition
        self._among = among
        self._outcome = outcome
        self._facts = facts
        self._now = now
        self._gatherer = Gatherer(Catalogue(definitions=(definition,)), identity=identity)
        self._moments: dict[bytes, tuple[Moment, ...]] = {}
        self._said: dict[str, tuple[set[bytes], set[bytes]]] = {}  # definition -> who qualifies, who ever did
        self._entities = 0
        self._precision = [0, 0]
        self._recall = [0, 0]

    def run(self, chunks: Iterable[Sequence[bytes]]) -> None:
        """Decide everybody."""
        kind = self._definition.entity
        for subjects in chunks:
            ahead = read_ahead(self._facts, self._ids_around(subjects))
            for row_of in _by_definition(self._facts.ledger(kind, subjects)).items():
                self._note_said(*row_of)
            for subject in subjects:
                gathered = self._gather(ahead, subject)
                self._decide(subject, gathered)
            self._entities += len(subjects)

    def _ids_around(self, subjects: Sequence[bytes]) -> Iterable[bytes]:
        """Whatever may be asked about when these are decided."""
        if self._definition.entity == "user":
            found = self._facts.leaves_of(subjects)
            return [*subjects, *(leaf for leaves in found.values() for leaf in leaves)]
        signals = [signal.id for signal in self._definition.signals]
        leaves = {row.leaf for row in self._facts.tallies(subjects, signals)}
        leaves |= {row.leaf for row in self._facts.memberships(accounts=subjects)}
        people = {*leaves, *self._facts.people(list(leaves)).values()}
        grown = self._facts.leaves_of(list(people))
        return [*subjects, *people, *(leaf for found in grown.values() for leaf in found)]

    def _gather(self, facts: Facts, subject: bytes) -> Gathered:
        gather = self._gatherer.person if self._definition.entity == "user" else self._gatherer.account
        return gather(facts, subject, self._now)

    def _decide(self, subject: bytes, gathered: Gathered) -> None:
        facts = gathered.facts(self._definition)
        verdict = decide(self._definition, facts, self._now)
        if verdict.moments:
            self._moments[subject] = verdict.moments
        begins = [moment.at for moment in verdict.moments if moment.step == "qualified"]
        if facts.excluded_by is None and (begins or self._outcome.signal.id in facts.series):
            self._judge(begins, [at for at in self._outcome.instants(facts) if at <= self._now])

    def _judge(self, begins: Sequence[int], came: Sequence[int]) -> None:
        """Whether the first qualification was followed by the outcome, and the outcome preceded by a qualification."""
        foreseen = self._outcome.is_foreseen
        if begins and self._outcome.is_mature(begins[0], self._now):
            self._precision[1] += 1
            self._precision[0] += any(foreseen(begins[0], at) for at in came)
        if came:
            self._recall[1] += 1
            self._recall[0] += any(foreseen(begin, at) for begin in begins for at in came)

    def _note_said(self, definition: str, rows: Mapping[bytes, Sequence[Transition]]) -> None:
        if definition not in self._among:
            return
        now, ever = self._said.setdefault(definition, (set(), set()))
        for entity, found in rows.items():
            said = standing(found)
            begun = {episode for episode, step in said if step == "qualified"}
            if begun:
                ever.add(entity)
            if begun - {episode for episode, step in said if step in ENDS}:
                now.add(entity)

    def result(
        self, candidate: Definition, weeks: int, backfill: Backfill, waiting: int, since: int | None
    ) -> Simulation:
        """What was found; `since` is when the first event happened."""
        begins = sorted(m.at for moments in self._moments.values() for m in moments if m.step == "qualified")
        ever = {entity for entity, moments in self._moments.items() if any(m.step == "qualified" for m in moments)}
        first_week = self._now - weeks * WEEK
        span = max(1.0, (self._now - (self._now if since is None else since)) / WEEK)
        names = sorted(self._said.keys() - {candidate.id})
        return Simulation(
            definition=candidate,
            as_of=self._now,
            moments=self._moments,
            entities=self._entities,
            qualified=frozenset(e for e, moments in self._moments.items() if _is_open(moments)),
            running=frozenset(self._said.get(candidate.id, (set(), set()))[0]),
            overlaps=tuple(
                _overlap(name, ever, self._said[name][1])
                for name in [*([candidate.id] if candidate.id in self._said else []), *names]
            ),
            precision=Share(*self._precision),
            recall=Share(*self._recall),
            weekly=tuple(
                sum(first_week + week * WEEK < at <= first_week + (week + 1) * WEEK for at in begins)
                for week in range(weeks)
            ),
            per_week=len(begins) / span,
            backfill=backfill,
            waiting=waiting,
        )


def _is_open(moments: Iterable[Moment]) -> bool:
    steps = [moment.step for moment in moments if moment.step == "qualified" or moment.step in ENDS]
    return bool(steps) and steps[-1] == "qualified"


def _overlap(name: str, ever: set[bytes], other: set[bytes]) -> Overlap:
    return Overlap(definition=name, shared=len(ever & other), candidate=len(ever), other=len(other))


def _by_definition(rows: Iterable[Transition]) -> Mapping[str, Mapping[bytes, list[Transition]]]:
    found: dict[str, dict[bytes, list[Transition]]] = {}
    for row in rows:
        if not row.definition.startswith(SHADOW):
            found.setdefault(row.definition, {}).setdefault(row.entity, []).append(row)
    return found


# --- whom and what it is decided over ---


@contextmanager
def _settled() -> Iterator[None]:
    """While millions of tallies stay as they are, the garbage collector need not walk them over and over."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _tallied(store: Store, signals: Sequence[Signal], report: Report) -> Overlay:
    """The tallies of signals that the store does not have, from its events."""
    overlay = Overlay(signal.id for signal in signals)
    if not signals:
        return overlay
    index = SignalIndex(signals)
    total = store.events.position()
    for number, (position, event) in enumerate(store.events.scan_tallied(index.names)):
        overlay.add(marks_of(event, index))
        if number % 1_000 == 0:
            report("reading events", position, total)
    report("reading events", total, total)
    return overlay


def _subjects(
    store: Store, facts: Facts, overlay: Overlay, kind: EntityKind, report: Report
) -> Iterator[Sequence[bytes]]:
    """Every person, or every account, in chunks."""
    ids = list(dict.fromkeys([*store.tallies.entities(), *overlay.entities]))
    seen: set[bytes] = set()
    for start in range(0, len(ids), CHUNK_ENTITIES):
        report("deciding", start, len(ids))
        found = _people(facts, ids[start : start + CHUNK_ENTITIES])
        subjects = found if kind == "user" else _accounts(facts, ids[start : start + CHUNK_ENTITIES])
        yield [subject for subject in subjects if subject not in seen]
        seen.update(subjects)
    report("deciding", len(ids), len(ids))


def _people(facts: Facts, ids: Sequence[bytes]) -> list[bytes]:
    known = facts.identifiers(ids)
    leaves = [id for id in ids if id not in known or known[id].type != "account"]
    people = facts.people(leaves)
    return list(dict.fromkeys(people.get(leaf, leaf) for leaf in leaves))


def _accounts(facts: Facts, ids: Sequence[bytes]) -> list[bytes]:
    """Those among them, and those that the people among them belong to."""
    known = facts.identifiers(ids)
    named = [id for id in ids if id in known and known[id].type == "account"]
    belonging = facts.memberships(leaves=[id for id in ids if id not in known or known[id].type != "account"])
    return list(dict.fromkeys([*named, *sorted({row.account for row in belonging})]))
