"""Who is who: from the links that are stored, and the words of admins, to the people they make."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from assay_collector.identity.identifiers import IdentifierType
from assay_collector.identity.people import Pair, People, ends_of, pair_of, resolve
from assay_collector.identity.rules import COMPONENT_MAX, RULE_VERSION
from assay_collector.store import Cause, Facts, IdentityAct, LinkRow, Resolution, Touch

# So many are asked for between two breaths.
_IDS = 500


@dataclass(frozen=True, slots=True)
class Component:
    """Everything that is linked to an identifier, directly or not, whatever became of the links."""

    links: Sequence[LinkRow]
    ids: frozenset[bytes]
    types: Mapping[bytes, IdentifierType]
    undone: frozenset[Pair]

    def people(self, component_max: int) -> People:
        """Who is who in it."""
        return resolve((row.claim for row in self.links), self.types, undone=self.undone, component_max=component_max)

    def ends(self, row: LinkRow) -> Pair:
        """Which identifiers one of its links joins."""
        return ends_of(row.claim, self.types)


def read_component(
    facts: Facts, leaf: bytes, acts: Iterable[IdentityAct] = (), breathe: Callable[[], None] = lambda: None
) -> Component:
    """
    The component of an identifier, through links of any state.

    Args:
        acts: Words of admins that are not stored (yet).
        breathe: Called every few milliseconds, so that others get their turn in between.
    """
    rows: dict[Any, LinkRow] = {}
    reached: set[bytes] = set()
    frontier = {leaf}
    more = list(acts)
    added = [row for act in more for row in links_of_act(act)]
    while frontier:
        reached |= frontier
        found: list[LinkRow] = [row for row in added if {row.low, row.high} & frontier]
        ordered = sorted(frontier)
        for start in range(0, len(ordered), _IDS):
            found += facts.links_of(ordered[start : start + _IDS])
            breathe()
        for row in found:
            known = rows.get(row.claim.key)
            rows[row.claim.key] = row if known is None or row.at < known.at else known
        breathe()
        frontier = {end for row in found for end in (row.low, row.high, row.as_user) if end is not None} - reached
    ids = sorted(reached)
    known_types = {id: cast(IdentifierType, found.type) for id, found in facts.identifiers(ids).items()}
    breathe()
    undone = _undone([*facts.acts_of(ids), *more]) if rows else frozenset()
    return Component(list(rows.values()), frozenset(reached), known_types, undone)


def links_of_act(act: IdentityAct) -> list[LinkRow]:
    """The links that an admin's word makes."""
    if act.action == "undo":
        return []
    kind = "admin" if act.action == "link" else "rename"
    return [LinkRow(*pair, kind, act.at, act.act_id, former=act.former) for pair in act.pairs]


def resolve_component(
    facts: Facts,
    leaf: bytes,
    *,
    component_max: int = COMPONENT_MAX,
    acts: Iterable[IdentityAct] = (),
    breathe: Callable[[], None] = lambda: None,
) -> Resolution | None:
    """Who is who among everything that is linked, directly or not, to a leaf. None: it is linked to nothing."""
    component = read_component(facts, leaf, acts, breathe)
    if not component.links:
        return None
    breathe()
    people = component.people(component_max)
    breathe()
    # Whoever is joined by nothing (any more) is a person of its own.
    after = {id: people.person_of.get(id, id) for id in sorted(component.types.keys() | people.person_of.keys())}
    before, shared = facts.people(list(after)), facts.shared_from(list(after))
    return Resolution(
        people=after,
        links={
            row.claim.key: decision
            for row in component.links
            if _is_news(row, decision := people.decisions[row.claim.key])
        },
        touches=_touches(before, after, shared, people.shared_from),
        shared_from=dict(people.shared_from),
    )


def _is_news(row: LinkRow, decision: Any) -> bool:
    return (row.state, row.reason, row.rule_version) != (decision.state, decision.reason, RULE_VERSION)


def _touches(
    before: Mapping[bytes, bytes],
    after: Mapping[bytes, bytes],
    shared_before: Mapping[bytes, int],
    shared_after: Mapping[bytes, int],
) -> tuple[Touch, ...]:
    """
    Who is concerned, and whether things came together or went apart.

    An identifier that leaves a person is the person's loss; what it joins is a gain. Whom it leaves is concerned no
    less than whom it joins, and need not have moved itself.
    """
    causes: dict[bytes, Cause] = {}
    moved = {id for id, person in after.items() if before.get(id, id) != person}
    split = _split(before, after)
    for id in sorted(moved):
        for concerned in (id, before.get(id, id), after[id]):
            causes.setdefault(concerned, "unmerge" if before.get(concerned, concerned) in split else "merge")
    for id, person in after.items():
        was, now = shared_before.get(id), shared_after.get(id)
        if was != now:
            gained = now is None or (was is not None and now > was)
            causes.setdefault(person, "merge" if gained else "unmerge")
            causes.setdefault(id, "merge" if gained else "unmerge")
    return tuple(Touch("user", id, cause) for id, cause in sorted(causes.items()))


def _split(before: Mapping[bytes, bytes], after: Mapping[bytes, bytes]) -> frozenset[bytes]:
    """The people of before who are several now."""
    now: dict[bytes, set[bytes]] = {}
    for id, person in after.items():
        now.setdefault(before.get(id, id), set()).add(person)
    return frozenset(person for person, several in now.items() if len(several) > 1)


def _undone(acts: Iterable[IdentityAct]) -> frozenset[Pair]:
    """The pairs of which the last word is that they are not one."""
    last: dict[Pair, IdentityAct] = {}
    for act in sorted(acts, key=lambda act: (act.at, act.act_id)):
        last.update(dict.fromkeys((pair_of(*pair) for pair in act.pairs), act))
    return frozenset(pair for pair, act in last.items() if act.action == "undo")
