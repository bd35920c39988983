"""
A rehearsal: what an admin's word on links would do, computed by the evaluator that decides, before anything is written.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay_collector.pql.decision import decide
from assay_collector.pql.definition import Catalogue, EntityKind
from assay_collector.qualify.gathering import Gatherer
from assay_collector.qualify.resolving import resolve_component
from assay_collector.store import Facts, IdentityAct, Resolution


@dataclass(frozen=True, slots=True)
class Change:
    """A verdict that would become another."""

    kind: EntityKind
    entity: bytes
    definition: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would happen."""

    people_before: frozenset[bytes]  # of all identifiers concerned
    people_after: frozenset[bytes]
    moved: frozenset[bytes]  # identifiers that would be somebody else's, or shared otherwise
    events: int  # how many events those have
    changes: tuple[Change, ...]

    @property
    def is_nothing(self) -> bool:
        """Whether nobody would become anybody else."""
        return not self.moved


def rehearse(
    facts: Facts, catalogue: Catalogue, gatherer: Gatherer, act: IdentityAct, now: int, component_max: int
) -> Rehearsal:
    """What a word would do; nothing is written."""
    resolutions: list[Resolution] = []
    done: set[bytes] = set()
    for end in sorted({end for pair in act.pairs for end in pair}):
        resolution = None if end in done else resolve_component(facts, end, component_max=component_max, acts=[act])
        if resolution is not None:
            resolutions.append(resolution)
            done.update(resolution.people)
    after = {id: person for resolution in resolutions for id, person in resolution.people.items()}
    shared = {id: at for resolution in resolutions for id, at in resolution.shared_from.items()}
    ids = sorted(after)
    stored, shared_before = facts.people(ids), facts.shared_from(ids)
    before = {id: stored.get(id, id) for id in ids}
    moved = frozenset(id for id in ids if before[id] != after[id] or shared_before.get(id) != shared.get(id))
    overlaid = Overlaid(facts, after, shared)
    concerned = {before[id] for id in moved} | {after[id] for id in moved}
    everybody = [id for id in ids if before[id] in concerned or after[id] in concerned]
    accounts = {*facts.accounts_of(everybody), *(row.account for row in facts.memberships(leaves=everybody))}
    entities: list[tuple[EntityKind, bytes]] = [
        *(("user", person) for person in sorted(concerned)),
        *(("account", account) for account in sorted(accounts if moved else ())),
    ]
    return Rehearsal(
        people_before=frozenset(before[id] for id in everybody),
        people_after=frozenset(after[id] for id in everybody),
        moved=moved,
        events=facts.events_count(sorted(moved)),
        changes=tuple(
            Change(kind, entity, definition, was, becomes)
            for kind, entity in entities
            for definition, was, becomes in _changes(
                _verdicts(facts, catalogue, gatherer, kind, entity, now, before),
                _verdicts(overlaid, catalogue, gatherer, kind, entity, now, after),
            )
        ),
    )


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterable[tuple[str, str, str]]:
    return [(id, before[id], after[id]) for id in before if before[id] != after[id]]


def _verdicts(
    facts: Any,
    catalogue: Catalogue,
    gatherer: Gatherer,
    kind: EntityKind,
    entity: bytes,
    now: int,
    people: Mapping[bytes, bytes],
) -> dict[str, str]:
    """Definition -> status. An id that is nobody's name is nobody, and qualifies for nothing."""
    definitions = [definition for definition in catalogue.definitions if definition.entity == kind]
    if not definitions or (kind == "user" and people.get(entity, entity) != entity):
        return {definition.id: "nobody" for definition in definitions}
    gathered = gatherer.person(facts, entity, now) if kind == "user" else gatherer.account(facts, entity, now)
    return {definition.id: decide(definition, gathered.facts(definition), now).status for definition in definitions}


class Overlaid:
    """Facts in which these identifiers are who they would be. All else is as it is."""

    def __init__(self, facts: Facts, people: Mapping[bytes, bytes], shared_from: Mapping[bytes, int]) -> None:
        self._facts = facts
        self._people = people
        self._shared_from = shared_from
        self._leaves: dict[bytes, list[bytes]] = {}
        for id, person in people.items():
            self._leaves.setdefault(person, []).append(id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._facts, name)

    def people(self, leaves: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """See Facts."""
        return {
            **self._facts.people([id for id in leaves if id not in self._people]),
            **{id: self._people[id] for id in leaves if id in self._people},
        }

    def leaves_of(self, people: Sequence[bytes]) -> Mapping[bytes, Sequence[bytes]]:
        """See Facts."""
        others = [person for person in people if person not in self._people]
        return {
            **self._facts.leaves_of(others),
            **{person: self._leaves[person] for person in people if person in self._leaves},
        }

    def shared_from(self, leaves: Sequence[bytes]) -> Mapping[bytes, int]:
        """See Facts."""
        return {
            **self._facts.shared_from([id for id in leaves if id not in self._people]),
            **{id: self._shared_from[id] for id in leaves if id in self._shared_from},
        }
