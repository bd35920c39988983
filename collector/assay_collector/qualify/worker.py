"""
The agenda loop: take who is due, gather, decide, append.

A round is: resolve the people whose links changed, then decide every person and account that is due. Whoever turns out
to be concerned beside the entity that was touched (the account of a person, an id that a merge retired) is put on the
agenda, not decided on the side, so there is one way only.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce

import msgspec

from assay.contract.consent import SCORING_PURPOSES
from assay_collector.identity.consent import covers
from assay_collector.identity.rules import DEFAULT_IDENTITY_RULES, IdentityRules
from assay_collector.pql.decision import Judge, Moment, Verdict
from assay_collector.pql.definition import Catalogue, Definition, EntityKind
from assay_collector.pql.explain import evidence
from assay_collector.pql.happened import Happened
from assay_collector.pql.ledger import reconcile, retract_open, speaking
from assay_collector.pql.losses import losses
from assay_collector.pql.matching import SignalIndex
from assay_collector.pql.patience import Patience, patience_of, patience_without_prospects
from assay_collector.qualify.breathing import Breath
from assay_collector.qualify.gathering import Gathered, Gatherer
from assay_collector.qualify.memory import Memory
from assay_collector.qualify.refill import marks_of
from assay_collector.qualify.resolving import resolve_component
from assay_collector.store import (
    PLAIN_CAUSES,
    SHADOW,
    AgendaEntry,
    Decided,
    Facts,
    Identifier,
    OutboxMessage,
    Resolution,
    Store,
    StoreUnavailable,
    Touch,
    Transition,
)

log = logging.getLogger("assay_collector.qualify")

ROUND_ENTRIES = 200
# An entity whose decision took longer (microseconds) rests for so many times as long, within a limit.
CHEAP = 2_000
REST_FACTOR = 10
REST_MAX = 60_000_000
DEAR = 5_000
# What a round decides is written after so many microseconds at the latest, so that nobody waits for all the others, and
# no reader keeps the write-ahead log from being taken in.
ROUND_MAX = 250_000
# What a person's entry may be due for without concerning anybody's account.
_OWN_CAUSES = frozenset({"event", "timer", "account"})

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
Notify = Callable[[Transition, Identifier | None], tuple[OutboxMessage, ...]]


class Qualifier:
    """Decides whoever is due."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        *,
        notify: Notify,
        identity: IdentityRules = DEFAULT_IDENTITY_RULES,
        live_at: Mapping[str, int] | None = None,
        release: Callable[[Sequence[bytes]], None] | None = None,
        elapsed: Callable[[], int] = lambda: 0,
    ) -> None:
        """
        Args:
            notify: The outbox messages that a transition causes; pure.
            release: Has events count that waited for a grant; None: by the signals of the catalogue. Where others are
                tallied as well, whoever takes events in has to do it.
            live_at: See `use`.
            elapsed: Microseconds that have passed, from any moment on: how long a section and a round may last, and
                what a decision takes, which decides how long its entity rests. By default time stands still: they last
                as long as they like, and nobody rests.
        """
        self._elapsed = elapsed
        self._breath = Breath(store.turn, elapsed)
        self._is_behind = False  # after the last round somebody was still due
        self._resting: dict[tuple[EntityKind, bytes], int] = {}
        self._store = store
        self.identity = identity
        self._notify = notify
        self._turn = store.turn
        self._count_released = release or self._count_by_own_signals
        self.use(catalogue, live_at)

    def use(self, catalogue: Catalogue, live_at: Mapping[str, int] | None = None) -> None:
        """
        Decide by these definitions from now on; not to be called during a round.

        Args:
            live_at: Since when each has decided, by its id: what took effect later was not caused by its change. None:
                all have for ever, or it does not matter.
        """
        self._gatherer = Gatherer(catalogue, identity=self.identity, breathe=self._breath)
        self._signals = SignalIndex(catalogue.signals)
        self._memory = Memory()
        self._live_at = live_at or {}
        self._definitions: dict[EntityKind, list[Definition]] = {"user": [], "account": []}
        for definition in catalogue.definitions:
            self._definitions[definition.entity].append(definition)
        self._judges_by_account = any(
            trait.of == "account" for definition in self._definitions["user"] for trait in definition.traits
        )

    def run_once(self, now: int, *, anybody: bool = False) -> int:
        """
        One round over whoever is due.

        Args:
            anybody: Also who rests after an expensive decision.

        Returns:
            How many agenda entries were settled; 0: nobody is due.
        """
        self._is_behind = False
        self._resting = {} if anybody else {who: until for who, until in self._resting.items() if until > now}
        entries: Sequence[AgendaEntry] = [
            entry
            for entry in self._store.agenda.take(now, ROUND_ENTRIES + len(self._resting))
            if (entry.kind, entry.entity) not in self._resting
        ]
        if not entries:
            return 0
        entries = self._resolve_identities(entries, now)
        self._release([entry.entity for entry in entries if entry.kind == "user" and "consent" in entry.causes])
        with self._store.snapshot() as facts:
            decided = self._decide_all(facts, entries, now, at_most=ROUND_MAX)
        self._store.agenda.complete(decided, now)
        self._is_behind = len(entries) >= ROUND_ENTRIES or len(decided) < len(entries)
        return len(decided)

    def take_a_round(self, now: int) -> bool:
        """One round; says whether somebody is due still."""
        self.run_once(now)
        return self._is_behind

    def run_until_idle(self, clock: Callable[[], int]) -> int:
        """Rounds until nobody is due. Returns how many entries were settled."""
        total = 0
        while settled := self.run_once(clock(), anybody=True):
            total += settled
        return total

    def preview(self, entries: Sequence[AgendaEntry], now: int) -> list[Decided]:
        """What deciding these would append, whatever was found before; nothing is written."""
        remembered, self._memory = self._memory, Memory()
        try:
            with self._store.snapshot() as facts:
                return self._decide_all(facts, entries, now)
        finally:
            self._memory = remembered

    def forget(self) -> None:
        """Forget what earlier decisions bear; whoever is due next is decided in full."""
        self._memory = Memory()

    # --- identity ---

    def _resolve_identities(self, entries: Sequence[AgendaEntry], now: int) -> Sequence[AgendaEntry]:
        """Find out who is who where that is due; returns the entries with what came of it among their causes."""
        leaves = [entry.entity for entry in entries if entry.kind == "user" and "identity" in entry.causes]
        done: set[bytes] = set()
        resolutions: list[Resolution] = []
        with self._store.snapshot() as facts, self._breath.held():
            for leaf in leaves:
                self._breath()
                resolution = None if leaf in done else self._resolve(facts, leaf)
                if resolution is not None:
                    done.update(resolution.people)
                    resolutions.append(resolution)
        if not resolutions:
            return entries
        self._store.agenda.resolve(resolutions, now)
        found = {touch.entity: touch.cause for resolution in resolutions for touch in resolution.touches}
        return [_with_cause(entry, found.get(entry.entity)) if entry.kind == "user" else entry for entry in entries]

    def _resolve(self, facts: Facts, leaf: bytes) -> Resolution | None:
        return resolve_component(facts, leaf, component_max=self.identity.component_max, breathe=self._breath)

    # --- consent ---

    def _release(self, leaves: Sequence[bytes]) -> None:
        """Have events count that waited for a grant which is in the log by now."""
        if not leaves:
            return
        with self._store.snapshot() as facts:
            waiting = facts.waiting(leaves)
            words = facts.consents([event.leaf for event in waiting], SCORING_PURPOSES) if waiting else ()
        covered = [event.event_id for event in waiting if covers(words, event.leaf, event.purposes, event.at)]
        if covered:
            self._count_released(covered)

    def _count_by_own_signals(self, event_ids: Sequence[bytes]) -> None:
        self._store.events.release(event_ids, partial(marks_of, index=self._signals))

    # --- decisions ---

    def _decide_all(
        self, facts: Facts, entries: Sequence[AgendaEntry], now: int, *, at_most: int | None = None
    ) -> list[Decided]:
        """The entries decided; after so many microseconds the rest is left for another round."""
        decided: list[Decided] = []
        started = self._elapsed()
        with self._breath.held():
            for group in _by_subject(facts, entries):
                begun = self._breath.worked
                decided += self._decide_group(facts, group, now)
                self._rest(group, now, self._breath.worked - begun)
                if at_most is not None and self._elapsed() - started > at_most:
                    break
                self._breath()
        return decided

    def _rest(self, group: "_Group", now: int, cost: int) -> None:
        """Whoever was expensive is left alone for a while, so that nobody takes more than a part of the machine."""
        if cost > CHEAP:
            until = now + cost + min(REST_FACTOR * cost, REST_MAX)
            self._resting.update(((entry.kind, entry.entity), until) for entry in group.entries)

    def _decide_group(self, facts: Facts, group: "_Group", now: int) -> list[Decided]:
        """All entries of one subject: decided once, settled each."""
        transitions, next_at = self._decide(facts, group, now)
        outbox = self._messages(facts, transitions)
        touches = _accounts_concerned(facts, group) if group.kind == "user" else self._people_concerned(facts, group)
        first, *others = group.entries
        return [
            Decided(first, transitions, outbox, touches, next_at),
            *(Decided(entry, (), ()) for entry in others),
        ]

    def _people_concerned(self, facts: Facts, group: "_Group") -> tuple[Touch, ...]:
        """The people whose verdict may change with a trait of the account: those who belong to it."""
        if not self._judges_by_account or not any("account" in entry.causes for entry in group.entries):
            return ()
        leaves = {row.leaf for row in facts.memberships(accounts=[group.subject])}
        return tuple(Touch("user", leaf, "account") for leaf in sorted(leaves))

    def _decide(self, facts: Facts, group: "_Group", now: int) -> tuple[tuple[Transition, ...], int | None]:
        """What to append, and when time alone may change it. Who only had what its last decision bears is not read."""
        subject = (group.kind, group.subject)
        known = self._memory.recall(subject)
        happened = group.happened
        found: dict[str, Patience] = {}
        if happened is not None and known:
            found = {id: each.after(happened) for id, each in known.items() if each.bears(happened, now)}
        appended: tuple[Transition, ...] = ()
        definitions = self._definitions[group.kind]
        pending = [definition for definition in definitions if definition.id not in found]
        if pending or not definitions:
            appended, fresh = self._decide_anew(facts, group, pending, now, is_busy=known is not None)
            found |= fresh
        self._memory.keep(subject, found)
        return appended, min((each.due_at for each in found.values() if each.due_at is not None), default=None)

    def _decide_anew(
        self, facts: Facts, group: "_Group", definitions: Sequence[Definition], now: int, *, is_busy: bool
    ) -> tuple[tuple[Transition, ...], dict[str, Patience]]:
        begun = self._breath.worked
        if not definitions:
            return self._retract_retired(facts.ledger(group.kind, [group.subject]), group.kind, now), {}
        gather = self._gatherer.person if group.kind == "user" else self._gatherer.account
        gathered = gather(facts, group.subject, now, definitions)
        ledger = facts.ledger(group.kind, gathered.ids)
        causes = frozenset(cause for entry in group.entries for cause in entry.causes)
        if gathered.is_refused and causes == {"timer"}:
            causes |= {"consent"}  # what time has ended is the consent
        appended = [*self._retract_retired(ledger, group.kind, now)]
        found: dict[str, Patience] = {}
        for definition in definitions:
            # Most are not heard of again soon, so only the second decision looks ahead, unless the first was dear.
            looks_ahead = is_busy or self._breath.worked - begun > DEAR
            judge, verdict, found[definition.id] = self._judge(definition, gathered, now, looks_ahead=looks_ahead)
            for id in sorted({group.subject, *(row.entity for row in ledger)}):
                rows = [row for row in ledger if row.entity == id and row.definition == definition.id]
                found_now = reconcile(
                    definition,
                    id,
                    # An id that a merge retired says nothing any more; what it said is retracted.
                    verdict.moments if id == group.subject else (),
                    rows,
                    causes=causes,
                    now=now,
                    live_at=self._live_at.get(definition.id),
                    evidence=partial(_evidence, definition, gathered, judge),
                )
                appended += [_with_losses(row, rows, definition, gathered) for row in found_now]
        return tuple(appended), found

    def _retract_retired(self, ledger: Sequence[Transition], kind: EntityKind, now: int) -> tuple[Transition, ...]:
        """Nobody is qualified under a definition that decides no more. What a shadow said stays on record."""
        running = {definition.id for definition in self._definitions[kind]}
        retired: dict[tuple[str, bytes], list[Transition]] = {}
        for row in ledger:
            if row.definition not in running and not row.definition.startswith(SHADOW):
                retired.setdefault((row.definition, row.entity), []).append(row)
        return tuple(each for key in sorted(retired) for each in retract_open(retired[key], now))

    def _judge(
        self, definition: Definition, gathered: Gathered, now: int, *, looks_ahead: bool
    ) -> tuple[Judge | None, Verdict, Patience]:
        if not gathered.can_qualify(definition):
            return None, Verdict((), None), patience_without_prospects(definition, gathered.marked)
        judge = Judge(definition, gathered.facts(definition))
        verdict = judge.verdict(now)
        patience = patience_of(judge, verdict, now) if looks_ahead else Patience(until=now, next_at=verdict.next_at)
        return judge, verdict, patience.limited(gathered.consent_until)

    def _messages(self, facts: Facts, transitions: Iterable[Transition]) -> tuple[OutboxMessage, ...]:
        found = list(transitions)
        if not found:
            return ()
        known = facts.identifiers([transition.entity for transition in found])
        return tuple(message for t in found for message in self._notify(t, known.get(t.entity)))


@dataclass(frozen=True, slots=True)
class _Group:
    """The due entries of one subject."""

    kind: EntityKind
    subject: bytes  # a person or an account
    entries: tuple[AgendaEntry, ...]

    @property
    def happened(self) -> Happened | None:
        """What happened to it, if plain events are all that did."""
        if any(entry.causes - PLAIN_CAUSES for entry in self.entries):
            return None
        return reduce(Happened.and_more, (entry.happened for entry in self.entries))


def _evidence(definition: Definition, gathered: Gathered, judge: Judge | None, moment: Moment) -> bytes:
    return _encode(evidence(definition, gathered.facts(definition), moment.at, moment, judge))


def _with_losses(
    row: Transition, ledger: Sequence[Transition], definition: Definition, gathered: Gathered
) -> Transition:
    """What consent takes back tells which criteria it took."""
    if row.change != "retracted" or row.cause != "consent":
        return row
    before = speaking(ledger)[row.episode, row.step].evidence
    lost = losses(_decode(before), evidence(definition, gathered.facts(definition), row.effective_at), "consent")
    return msgspec.structs.replace(row, evidence=_encode(lost))


def _with_cause(entry: AgendaEntry, cause: str | None) -> AgendaEntry:
    return entry if cause is None else msgspec.structs.replace(entry, causes=entry.causes | {cause})


def _by_subject(facts: Facts, entries: Sequence[AgendaEntry]) -> list[_Group]:
    people = facts.people([entry.entity for entry in entries if entry.kind == "user"])
    groups: dict[tuple[EntityKind, bytes], list[AgendaEntry]] = {}
    for entry in entries:
        subject = people.get(entry.entity, entry.entity) if entry.kind == "user" else entry.entity
        groups.setdefault((entry.kind, subject), []).append(entry)
    return [_Group(kind, subject, tuple(found)) for (kind, subject), found in groups.items()]


def _accounts_concerned(facts: Facts, group: _Group) -> tuple[Touch, ...]:
    """The accounts whose verdict may change with the person: those it acted in or belongs to."""
    causes = frozenset(cause for entry in group.entries for cause in entry.causes) - _OWN_CAUSES
    if not causes:
        return ()
    leaves = facts.leaves_of([group.subject]).get(group.subject, (group.subject,))
    accounts = {row.account for row in facts.memberships(leaves=leaves)}
    if causes - {"adoption"}:
        accounts |= set(facts.accounts_of(leaves))
    happened = group.happened
    return tuple(
        Touch("account", account, cause, happened)  # type: ignore[arg-type]
        for account in sorted(accounts)
        for cause in sorted(causes)
    )


class Worker:
    """Runs a qualifier until told to stop."""

    def __init__(
        self,
        qualifier: Qualifier,
        *,
        clock: Callable[[], int],
        interval_seconds: float,
        upkeep: Callable[[int], bool] = lambda _: False,
    ) -> None:
        """
        Args:
            interval_seconds: How long to rest when nobody is due.
            upkeep: What else is to be done between rounds, a little at a time; says whether more of it waits.
        """
        self._qualifier = qualifier
        self._clock = clock
        self._interval = interval_seconds
        self._upkeep = upkeep

    def run(self, stopping: threading.Event) -> None:
        """Decide whoever is due, until the event is set; the round under way is finished."""
        while not stopping.is_set():
            if not self._round():
                stopping.wait(self._interval)

    def _round(self) -> bool:
        """Whether there is more to be done."""
        # Each for itself: a definition that cannot be taken up must not keep the others from deciding.
        has_more = self._attempt(lambda: self._upkeep(self._clock()))
        return self._attempt(lambda: self._qualifier.take_a_round(self._clock())) or has_more

    def _attempt(self, work: Callable[[], bool]) -> bool:
        try:
            return work()
        except StoreUnavailable as error:
            log.warning("assay.decide_postponed", extra={"reason": error.reason})
        except Exception:
            # A bug in deciding must not end deciding: the entries stay due, and every failure is on record.
            log.exception("assay.decide_failed")
        return False
