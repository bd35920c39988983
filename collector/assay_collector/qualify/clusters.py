"""Everything that is known to be one person."""

from collections.abc import Sequence

from assay_collector.qualify.resolving import resolve_component
from assay_collector.store import Facts


def everybody_of(facts: Facts, ids: Sequence[bytes]) -> tuple[bytes, ...]:
    """
    All identity ids of the people that these belong to, from the links as they are now: also from those that nobody has
    come round to resolving yet.
    """
    found = set(ids)
    for id in ids:
        resolution = resolve_component(facts, id)
        if resolution is not None and id in resolution.people:
            person = resolution.people[id]
            found.update(other for other, whose in resolution.people.items() if whose == person)
    return tuple(sorted(found))
