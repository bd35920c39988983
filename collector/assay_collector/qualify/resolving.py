"""Who is who: from the links that are stored to the people they make."""

from assay_collector.identity.people import Pair
from assay_collector.identity.people import resolve as resolve_people
from assay_collector.store import Facts, Resolution, Touch

# The kinds of links that make people. An alias is kept, and does not join anybody yet.
RESOLVED_KINDS = ("observed",)


def resolve_component(facts: Facts, leaf: bytes) -> Resolution | None:
    """Who is who among everything that is linked, directly or not, to a leaf. None: it is linked to nothing."""
    rows = {}
    reached: set[bytes] = set()
    frontier = {leaf}
    while frontier:
        reached |= frontier
        found = [row for row in facts.links_of(sorted(frontier)) if row.kind in RESOLVED_KINDS]
        rows.update({(row.low, row.high, row.kind): row for row in found})
        frontier = {end for row in found for end in (row.low, row.high)} - reached
    if not rows:
        return None
    users = frozenset(id for id, known in facts.identifiers(sorted(reached)).items() if known.type == "user")
    people = resolve_people([Pair(row.low, row.high, row.at) for row in rows.values()], users)
    before = facts.people(sorted(reached))
    moved = {id for id, person in people.person_of.items() if before.get(id, id) != person}
    # Whom an identifier leaves is concerned no less than whom it joins, and need not have moved itself.
    left = {before.get(id, id) for id in moved}
    return Resolution(
        people=dict(people.person_of),
        links={(low, high): people.blocked.get((low, high)) for low, high, _ in rows},
        touches=tuple(Touch("user", id, "identity") for id in sorted(moved | left)),
    )
