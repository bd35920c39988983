"""Telling why identifiers are one person, or are not: by which message, when, by which rule."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from assay.contract.times import format_instant
from assay_collector.qualify.resolving import Component
from assay_collector.store import EventRow, Facts, Identifier, IdentityAct, LinkRow

Json = dict[str, Any]

_RULES = {
    "observed": "a message that carries two identifiers says that they are one person's",
    "alias": "an alias message says that the previous id is the same person's",
    "admin": "an admin said that they are one person",
    "rename": "an admin said that the user is now called otherwise",
}
_REASONS = {
    "two_users": "it would have made two users one person; only an admin, or an alias of a source that may, does that",
    "shared_device": "the device had been used by a second user by then, so what is seen on it later is nobody's",
    "cardinality_ceiling": "one of the two was seen with more others within a day than one person has, as bots are",
    "component_ceiling": "the person would have had more identifiers than a person may have",
    "undone": "an admin said that it was wrong",
}


class Teller:
    """Tells about one component of links."""

    def __init__(self, facts: Facts, component: Component) -> None:
        self._facts = facts
        self._component = component

    def why(self, first: bytes, second: bytes | None) -> Json:
        """Why two are one person or are not; of one alone, why it is who it is."""
        people = self._people
        person = people.get(first, first)
        if second is None:
            mine = {id for id in self._component.ids if people.get(id, id) == person}
            chain = [row for row in self._active if set(self._component.ends(row)) & mine]
            refused = self._refused(mine)
            is_one: bool | None = None
        else:
            is_one = people.get(second, second) == person
            chain = self._path(first, second) if is_one else []
            refused = self._refused({first, second}) if is_one else self._between(first, second)
        links = [self.link(row) for row in sorted(chain, key=lambda row: (row.at, row.low, row.high))]
        shown: Json = {
            "of": [self.name(id) for id in (first, second) if id is not None],
            "onePerson": is_one,
            "person": person.hex(),
            "because": links,
            "refused": [self.refusal(row) for row in refused],
        }
        return {**shown, "words": self._words(first, second, shown)}

    def name(self, id: bytes) -> str:
        """An identifier as people know it."""
        known = self._known.get(id)
        return id.hex() if known is None else f"{known.type} {known.value}"

    def link(self, row: LinkRow) -> Json:
        """A link that stands: what it joins, and its evidence."""
        one, other = self._component.ends(row)
        return {
            "joins": [self.name(one), self.name(other)],
            "kind": row.kind,
            "rule": _RULES[row.kind],
            "ruleVersion": row.rule_version,
            "at": format_instant(row.at),
            "evidence": self._evidence(row),
            "words": f"{self._said(row)}: {self.name(one)} and {self.name(other)} are one person",
        }

    def refusal(self, row: LinkRow) -> Json:
        """A link that does not stand: what it would have joined, and why not."""
        one, other = self._component.ends(row)
        reason = row.reason or row.state
        again = f" (said again {row.again} times since)" if row.again else ""
        return {
            "wouldJoin": [self.name(one), self.name(other)],
            "kind": row.kind,
            "state": row.state,
            "reason": reason,
            "at": format_instant(row.at),
            "evidence": self._evidence(row),
            "undoneBy": self._undoing(one, other) if row.state == "undone" else None,
            "again": row.again,
            "words": (
                f"{self._said(row)} that {self.name(one)} and {self.name(other)} are one person; "
                f"that was refused: {_REASONS.get(reason, reason)}{again}"
            ),
        }

    # --- words ---

    def _words(self, first: bytes, second: bytes | None, shown: Json) -> list[str]:
        if second is None:
            head = f"{self.name(first)} is the person {self.name(bytes.fromhex(shown['person']))}"
            words = [head if shown["because"] else f"{self.name(first)} is linked to nobody"]
        elif shown["onePerson"]:
            words = [f"{self.name(first)} and {self.name(second)} are one person"]
        else:
            words = [f"{self.name(first)} and {self.name(second)} are two persons"]
            if not shown["refused"]:
                words.append("nothing that was ever received says that they are one")
        return words + [link["words"] for link in shown["because"]] + [row["words"] for row in shown["refused"]]

    def _said(self, row: LinkRow) -> str:
        if row.kind in ("admin", "rename"):
            act = self._acts.get(row.event_id)
            who = "an admin" if act is None else act.actor
            return f"on {format_instant(row.at)} {who} said"
        event = self._events.get(row.event_id)
        if event is None:
            return f"on {format_instant(row.at)} a message said"
        kind = f"{event.type} message" if event.name is None else f"{event.type} message {event.name!r}"
        return f"on {format_instant(row.at)} the {kind} {event.message_id!r} of source {event.source!r} said"

    def _evidence(self, row: LinkRow) -> Json | None:
        act = self._acts.get(row.event_id)
        if act is not None:
            return _act(act)
        event = self._events.get(row.event_id)
        if event is None:
            return None
        return {"source": event.source, "messageId": event.message_id, "type": event.type, "name": event.name}

    def _undoing(self, one: bytes, other: bytes) -> Json | None:
        words = [act for act in self._acts.values() if {one, other} in [set(pair) for pair in act.pairs]]
        undos = [act for act in words if act.action == "undo"]
        return _act(max(undos, key=lambda act: (act.at, act.act_id))) if undos else None

    # --- what stands, and the way from one to another ---

    @property
    def _active(self) -> list[LinkRow]:
        return [row for row in self._component.links if row.state == "active"]

    def _refused(self, ids: Iterable[bytes]) -> list[LinkRow]:
        own = set(ids)
        rows = [r for r in self._component.links if r.state != "active" and own & set(self._component.ends(r))]
        return sorted(rows, key=lambda row: (row.at, row.low, row.high))

    def _between(self, first: bytes, second: bytes) -> list[LinkRow]:
        """What would have joined the two persons."""
        people = self._people
        two = [people.get(first, first), people.get(second, second)]
        return [
            row
            for row in self._refused(self._component.ids)
            if {people.get(end, end) for end in self._component.ends(row)} == set(two)
        ]

    def _path(self, first: bytes, second: bytes) -> list[LinkRow]:
        """The links that lead from one to the other, over as few others as possible."""
        came_by: dict[bytes, tuple[bytes, LinkRow]] = {}
        reached, frontier = {first}, [first]
        while frontier and second not in reached:
            following: list[bytes] = []
            for row in sorted(self._active, key=lambda row: (row.at, row.low, row.high)):
                for start, end in (self._component.ends(row), self._component.ends(row)[::-1]):
                    if start in frontier and end not in reached:
                        reached.add(end)
                        came_by[end] = (start, row)
                        following.append(end)
            frontier = following
        path: list[LinkRow] = []
        while second in came_by:
            second, row = came_by[second]
            path.append(row)
        return path

    # --- what is read once ---

    @cached_property
    def _people(self) -> Mapping[bytes, bytes]:
        return self._facts.people(sorted(self._component.ids))

    @cached_property
    def _known(self) -> Mapping[bytes, Identifier]:
        return self._facts.identifiers(sorted(self._component.ids))

    @cached_property
    def _events(self) -> Mapping[bytes, EventRow]:
        return {e.event_id: e for e in self._facts.events_by_id([row.event_id for row in self._component.links])}

    @cached_property
    def _acts(self) -> Mapping[bytes, IdentityAct]:
        return {act.act_id: act for act in self._facts.acts_of(sorted(self._component.ids))}


def _act(act: IdentityAct) -> Json:
    return {
        "act": act.act_id.hex(),
        "actor": act.actor,
        "at": format_instant(act.at),
        "action": act.action,
        "note": act.note,
    }
