"""
The agenda loop: take who is due, gather, decide, append.

A round is: resolve the people whose links changed, then decide every person and account that is due. Whoever turns out
to be concerned beside the entity that was touched (the account of a person, an id that a merge retired) is put on the
agenda, not decided on the side, so there is one way only.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from assay_collector.identity.rules import DEFAULT_IDENTITY_RULES, IdentityRules
from assay_collector.pql.decision import decide
from assay_collector.pql.definition import Catalogue, Definition, EntityKind
from assay_collector.pql.explain import evidence
from assay_collector.pql.ledger import reconcile
from assay_collector.qualify.gathering import Gathered, Gatherer
from assay_collector.qualify.resolving import resolve_component
from assay_collector.store import (
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
# What a person's entry may be due for without concerning anybody's account.
_OWN_CAUSES = frozenset({"event", "timer", "account"})

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
    ) -> None:
        """
        Args:
            notify: The outbox messages that a transition causes; pure.
        """
        self._store = store
        self._gatherer = Gatherer(catalogue)
        self._identity = identity
        self._notify = notify
        self._turn = store.turn
        self._definitions: dict[EntityKind, list[Definition]] = {"user": [], "account": []}
        for definition in catalogue.definitions:
            self._definitions[definition.entity].append(definition)
        self._judges_by_account = any(
            trait.of == "account" for definition in self._definitions["user"] for trait in definition.traits
        )

    def run_once(self, now: int) -> int:
        """
        One round over whoever is due.

        Returns:
            How many agenda entries were settled; 0: nobody is due.
        """
        entries = self._store.agenda.take(now, ROUND_ENTRIES)
        if not entries:
            return 0
        entries = self._resolve_identities(entries, now)
        with self._store.snapshot() as facts:
            decided = self._decide_all(facts, entries, now)
        self._store.agenda.complete(decided, now)
        return len(decided)

    def run_until_idle(self, clock: Callable[[], int]) -> int:
        """Rounds until nobody is due. Returns how many entries were settled."""
        total = 0
        while settled := self.run_once(clock()):
            total += settled
        return total

    def preview(self, entries: Sequence[AgendaEntry], now: int) -> list[Decided]:
        """What deciding these would append; nothing is written."""
        with self._store.snapshot() as facts:
            return self._decide_all(facts, entries, now)

    # --- identity ---

    def _resolve_identities(self, entries: Sequence[AgendaEntry], now: int) -> Sequence[AgendaEntry]:
        """Find out who is who where that is due; returns the entries with what came of it among their causes."""
        leaves = [entry.entity for entry in entries if entry.kind == "user" and "identity" in entry.causes]
        done: set[bytes] = set()
        resolutions: list[Resolution] = []
        with self._store.snapshot() as facts:
            for leaf in leaves:
                with self._turn.background():
                    resolution = (
                        None
                        if leaf in done
                        else resolve_component(facts, leaf, component_max=self._identity.component_max)
                    )
                if resolution is not None:
                    done.update(resolution.people)
                    resolutions.append(resolution)
        if not resolutions:
            return entries
        self._store.agenda.resolve(resolutions, now)
        found = {touch.entity: touch.cause for resolution in resolutions for touch in resolution.touches}
        return [_with_cause(entry, found.get(entry.entity)) if entry.kind == "user" else entry for entry in entries]

    # --- decisions ---

    def _decide_all(self, facts: Facts, entries: Sequence[AgendaEntry], now: int) -> list[Decided]:
        decided: list[Decided] = []
        for group in _by_subject(facts, entries):
            with self._turn.background():
                decided += self._decide_group(facts, group, now)
        return decided

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
        definitions = self._definitions[group.kind]
        if not definitions:
            return (), None
        gathered = self._gather(facts, group.kind, group.subject)
        ledger = facts.ledger(group.kind, gathered.ids)
        causes = frozenset(cause for entry in group.entries for cause in entry.causes)
        appended: list[Transition] = []
        upcoming: list[int] = []
        for definition in definitions:
            usable = gathered.facts(definition)
            verdict = decide(definition, usable, now)
            if verdict.next_at is not None:
                upcoming.append(verdict.next_at)
            for id in sorted({group.subject, *(row.entity for row in ledger)}):
                appended += reconcile(
                    definition,
                    id,
                    # An id that a merge retired says nothing any more; what it said is retracted.
                    verdict.moments if id == group.subject else (),
                    [row for row in ledger if row.entity == id and row.definition == definition.id],
                    causes=causes,
                    now=now,
                    evidence=lambda moment, d=definition, f=usable: _encode(evidence(d, f, moment.at)),  # type: ignore[misc]
                )
        return tuple(appended), min(upcoming, default=None)

    def _gather(self, facts: Facts, kind: EntityKind, subject: bytes) -> Gathered:
        return self._gatherer.person(facts, subject) if kind == "user" else self._gatherer.account(facts, subject)

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
    return tuple(Touch("account", account, cause) for account in sorted(accounts) for cause in sorted(causes))  # type: ignore[arg-type]


class Worker:
    """Runs a qualifier until told to stop."""

    def __init__(self, qualifier: Qualifier, *, clock: Callable[[], int], interval_seconds: float) -> None:
        """
        Args:
            interval_seconds: How long to rest when nobody is due.
        """
        self._qualifier = qualifier
        self._clock = clock
        self._interval = interval_seconds

    def run(self, stopping: threading.Event) -> None:
        """Decide whoever is due, until the event is set; the round under way is finished."""
        while not stopping.is_set():
            if self._round() < ROUND_ENTRIES:
                stopping.wait(self._interval)

    def _round(self) -> int:
        try:
            return self._qualifier.run_once(self._clock())
        except StoreUnavailable as error:
            log.warning("assay.decide_postponed", extra={"reason": error.reason})
        except Exception:
            # A bug in deciding must not end deciding: the entries stay due, and every failure is on record.
            log.exception("assay.decide_failed")
        return 0
