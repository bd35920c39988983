"""Everything that is known to be one person."""

from collections.abc import Collection, Sequence

from assay_collector.identity.rules import COMPONENT_MAX
from assay_collector.qualify.resolving import Component, read_component
from assay_collector.store import Facts


def everybody_of(facts: Facts, ids: Sequence[bytes], *, component_max: int = COMPONENT_MAX) -> tuple[bytes, ...]:
    """
    All identity ids of the people that these belong to, from the links as they are now: also from those that nobody has
    come round to resolving yet.
    """
    found = set(ids)
    for id in ids:
        component = read_component(facts, id)
        people = component.people(component_max).person_of
        mine = {id, *(other for other, whose in people.items() if whose == people.get(id))}
        found |= mine | _other_readings(facts, component, mine)
    return tuple(sorted(found))


def _other_readings(facts: Facts, component: Component, mine: Collection[bytes]) -> set[bytes]:
    """
    A previous name that an alias spoke of may be a user's or an anonymous id. Where it is the person's in one reading,
    it is in the other as well, unless that one is somebody of its own.
    """
    found: set[bytes] = set()
    for row in component.links:
        if row.as_user is None:
            continue
        if {row.low, row.high} <= set(mine) and row.as_user not in component.types:
            found.add(row.as_user)
        if row.as_user in mine and not _is_somebody(facts, component, row.former):
            found.add(row.former)
    return found


def _is_somebody(facts: Facts, component: Component, id: bytes) -> bool:
    """Whether anything is known of an id but that it was a previous name."""
    is_linked = any(row.as_user is None and id in (row.low, row.high) for row in component.links)
    return is_linked or facts.events_count([id]) > 0
