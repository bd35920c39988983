"""
The identity desk: who is who and why, in words that a lawyer can read; and an admin's word on it, rehearsed first.

The command line and the API give the same answers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from assay.contract.errors import AssayError
from assay.contract.ids import event_id
from assay.contract.times import INSTANT_MAX, INSTANT_MIN, format_instant
from assay_collector.identity.accounts import Stay, ambiguous, attribute
from assay_collector.identity.identifiers import TYPES, Identify, hash_email
from assay_collector.identity.people import pair_of
from assay_collector.identity.rules import DEFAULT_IDENTITY_RULES, IdentityRules
from assay_collector.identity.spans import Spans
from assay_collector.pql.definition import Catalogue
from assay_collector.qualify.gathering import Gatherer
from assay_collector.qualify.rehearsing import Rehearsal, rehearse
from assay_collector.qualify.resolving import Component, read_component
from assay_collector.qualify.telling import Teller
from assay_collector.store import Facts, Identifier, IdentityAct, LinkRow, Membership, Store, TraitChange

Json = dict[str, Any]
_decode = msgspec.json.Decoder().decode
_ORDER: dict[str, int] = {type: place for place, type in enumerate(TYPES)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Who:
    """Somebody as a person names it: by a value, and where that is not enough by its type and namespace."""

    value: str
    type: str | None = None
    namespace: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Who":
        """From ``value`` or ``type:value``."""
        type, colon, value = text.partition(":")
        return cls(value=value, type=type) if colon and value and type in TYPES else cls(value=text)


@dataclass(eq=False)
class UnknownIdentifier(AssayError):
    """Nobody was ever seen by this id."""

    who: Who

    def __str__(self) -> str:
        return f"nobody was ever seen by the id {self.who.value!r}; ids are compared exactly"


@dataclass(eq=False)
class AmbiguousIdentifier(AssayError):
    """Several identifiers have this value."""

    who: Who
    found: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.who.value!r} is several: {', '.join(self.found)}; name one as type:value, or its namespace"


@dataclass(eq=False)
class NothingToUndo(AssayError):
    """No link stands that could be undone."""

    what: str

    def __str__(self) -> str:
        return f"no link {self.what} stands; `assay identity why` shows what does"


@dataclass(eq=False)
class LinkRefused(AssayError):
    """These two cannot be linked, by anybody."""

    why: str

    def __str__(self) -> str:
        return f"these cannot be linked: {self.why}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Undo:
    """What is to be undone: the links of a pair, of a message, or all of one identifier."""

    pair: tuple[Who, Who] | None = None
    message: tuple[str, str] | None = None  # source and messageId
    everything_of: Who | None = None


class IdentityDesk:
    """Answers who is who, and takes an admin's word on it."""

    def __init__(
        self,
        store: Store,
        catalogue: Callable[[], Catalogue],
        identify: Identify,
        *,
        clock: Callable[[], int],
        new_id: Callable[[], bytes],
        rules: IdentityRules = DEFAULT_IDENTITY_RULES,
    ) -> None:
        """
        Args:
            catalogue: What decides at the moment; rehearsals are judged by it.
            new_id: Draws 16 bytes, for acts.
        """
        self._store = store
        self._catalogue = catalogue
        self._identify = identify
        self._clock = clock
        self._new_id = new_id
        self._rules = rules

    # --- questions ---

    def show(self, who: Who, at: int | None = None) -> Json:
        """
        A person: its identifiers, its traits with where each comes from, its accounts, and what was refused.

        Args:
            at: Traits as they were then; None: as they are now.

        Raises:
            UnknownIdentifier: Nobody was ever seen by this id.
            AmbiguousIdentifier: Several were.
        """
        with self._reading() as facts:
            id = self._find(facts, who)
            person, leaves = _person(facts, id)
            component = read_component(facts, id)
            teller = Teller(facts, component)
            shared = facts.shared_from(leaves)
            known = facts.identifiers(leaves)
            memberships = facts.memberships(leaves=leaves)
            return {
                "person": person.hex(),
                "name": teller.name(person),
                "identifiers": [
                    _identifier(known[leaf], shared.get(leaf))
                    for leaf in sorted(known, key=lambda leaf: (_place(known[leaf].type), known[leaf].value))
                ],
                "events": facts.events_count(leaves),
                "traits": self._traits(facts, leaves, shared, self._clock() if at is None else at),
                "accounts": self._accounts(facts, leaves, memberships),
                "refused": [teller.refusal(row) for row in _refused(component, leaves)],
            }

    def why(self, one: Who, other: Who | None = None) -> Json:
        """
        Why these two are one person, or are not; of one alone, why it is who it is.

        Returns:
            The messages and words that joined them, in order, what was refused, and all of it in words.
        """
        with self._reading() as facts:
            first = self._find(facts, one)
            second = None if other is None else self._find(facts, other)
            return Teller(facts, read_component(facts, first)).why(first, second)

    def counts(self) -> Json:
        """How many links do not stand, by reason."""
        return dict(self._store.agenda.link_counts())

    # --- words ---

    def link(
        self, one: Who, other: Who, *, actor: str, note: str = "", is_rename: bool = False, dry_run: bool = False
    ) -> Json:
        """
        Say that two are one person; or, of two users, that the first is now called as the second.

        Raises:
            LinkRefused: They are the same, lie in two namespaces, or only users can be renamed.
        """
        with self._reading() as facts:
            a, b = self._find(facts, one), self._find(facts, other)
            known = facts.identifiers([a, b])
            _check_link(known[a], known[b], is_rename=is_rename)
            kind: Literal["link", "rename"] = "rename" if is_rename else "link"
            act = self._act(kind, [pair_of(a, b)], actor, note, former=a if is_rename else b"")
            rehearsal = self._rehearse(facts, act)
        return self._take(act, rehearsal, dry_run=dry_run)

    def undo(self, what: Undo, *, actor: str, note: str = "", dry_run: bool = False) -> Json:
        """
        Say that links were wrong. They stay undone, however often they are observed again, until somebody links anew.

        Raises:
            NothingToUndo: No such link stands.
        """
        with self._reading() as facts:
            pairs = self._pairs(facts, what)
            act = self._act("undo", pairs, actor, note)
            rehearsal = self._rehearse(facts, act)
        return self._take(act, rehearsal, dry_run=dry_run)

    def _take(self, act: IdentityAct, rehearsal: Rehearsal, *, dry_run: bool) -> Json:
        if not dry_run:
            self._store.agenda.act(act, act.at)
        with self._reading() as facts:
            told = _rehearsed(facts, rehearsal)
        return {
            "done": not dry_run,
            "act": None if dry_run else act.act_id.hex(),
            "action": act.action,
            "links": len(act.pairs),
            **told,
        }

    def _rehearse(self, facts: Facts, act: IdentityAct) -> Rehearsal:
        catalogue = self._catalogue()
        with self._store.turn.background():
            gatherer = Gatherer(catalogue, identity=self._rules)
            return rehearse(facts, catalogue, gatherer, act, act.at, self._rules.component_max)

    def _act(
        self,
        action: Literal["link", "rename", "undo"],
        pairs: Iterable[tuple[bytes, bytes]],
        actor: str,
        note: str,
        former: bytes = b"",
    ) -> IdentityAct:
        return IdentityAct(self._new_id(), self._clock(), actor, action, tuple(sorted(set(pairs))), note, former)

    def _pairs(self, facts: Facts, what: Undo) -> list[tuple[bytes, bytes]]:
        if what.pair is not None:
            one, other = (self._find(facts, who) for who in what.pair)
            rows = self._standing(facts, one)
            pairs = [ends for ends in rows.values() if set(ends) == {one, other}]
            said = f"between {what.pair[0].value!r} and {what.pair[1].value!r}"
        elif what.message is not None:
            own = event_id(*what.message)
            leaves = [event.leaf for event in facts.events_by_id([own])]
            rows = {row: ends for leaf in leaves for row, ends in self._standing(facts, leaf).items()}
            pairs = [ends for row, ends in rows.items() if row.event_id == own]
            said = f"that rests on message {what.message[1]!r} of source {what.message[0]!r}"
        else:
            assert what.everything_of is not None
            id = self._find(facts, what.everything_of)
            pairs = [ends for ends in self._standing(facts, id).values() if id in ends]
            said = f"of {what.everything_of.value!r}"
        if not pairs:
            raise NothingToUndo(said)
        return pairs

    def _standing(self, facts: Facts, id: bytes) -> dict[LinkRow, tuple[bytes, bytes]]:
        component = read_component(facts, id)
        rows = {row: component.ends(row) for row in component.links}
        return {row: ends for row, ends in rows.items() if ends not in component.undone and ends[0] != ends[1]}

    # --- finding ---

    def _find(self, facts: Facts, who: Who) -> bytes:
        namespaces = {source.namespace for source in self._store.keyring.sources()} or {"default"}
        candidates = [
            self._identify(namespace, type, value)
            for namespace in sorted(namespaces if who.namespace is None else {who.namespace})
            for type in TYPES
            if who.type in (None, type)
            for value in {TYPES[type].canonical(who.value), *([hash_email(who.value)] if type == "email_hash" else ())}
        ]
        if len(who.value) == 32 and all(sign in "0123456789abcdef" for sign in who.value):
            candidates.append(bytes.fromhex(who.value))
        found = facts.identifiers(candidates)
        found = {id: known for id, known in found.items() if known.type in TYPES}
        if not found:
            raise UnknownIdentifier(who)
        people = {_person(facts, id)[0] for id in found}
        if len(found) > 1 and len(people) > 1:
            # The name of an alias lies there as an anonymous id too; who did something is meant.
            active = {id: known for id, known in found.items() if facts.events_count([id])}
            if len(active) != 1:
                raise AmbiguousIdentifier(
                    who, tuple(sorted(f"{k.type}:{k.value} in {k.namespace}" for k in found.values()))
                )
            found = active
        return min(found.values(), key=lambda known: _place(known.type)).id

    def _reading(self) -> AbstractContextManager[Facts]:
        return self._store.snapshot()

    # --- showing ---

    def _traits(self, facts: Facts, leaves: Sequence[bytes], shared: Mapping[bytes, int], at: int) -> list[Json]:
        history = [
            change
            for change in facts.trait_history(leaves)
            if change.at <= at and change.at < shared.get(change.entity, change.at + 1)
        ]
        latest: dict[str, TraitChange] = {}
        for change in sorted(history, key=lambda change: (change.at, change.event_id)):
            latest[change.key] = change
        events = {event.event_id: event for event in facts.events_by_id([c.event_id for c in latest.values()])}
        return [
            {
                "key": key,
                "value": _decode(change.value),
                "since": format_instant(change.at),
                "source": events[change.event_id].source if change.event_id in events else None,
                "messageId": events[change.event_id].message_id if change.event_id in events else None,
                "changes": sum(1 for each in history if each.key == key),
            }
            for key, change in sorted(latest.items())
        ]

    def _accounts(self, facts: Facts, leaves: Sequence[bytes], rows: Sequence[Membership]) -> Json:
        stays = [Stay(row.account, row.at, row.left_at) for row in rows]
        belongs = attribute(stays, self._rules.adopt)
        unclear = ambiguous(stays)
        names = {id: found.value for id, found in facts.identifiers([row.account for row in rows]).items()}
        events = {event.event_id: event for event in facts.events_by_id([row.event_id for row in rows])}
        return {
            "memberships": [
                {
                    "account": names.get(row.account, row.account.hex()),
                    "role": row.role,
                    "from": format_instant(row.at),
                    "to": None if row.left_at is None else format_instant(row.left_at),
                    "source": events[row.event_id].source if row.event_id in events else None,
                    "messageId": events[row.event_id].message_id if row.event_id in events else None,
                }
                for row in sorted(rows, key=lambda row: (row.at, row.account))
            ],
            "eventsWithoutAccountBelongTo": [
                {"account": names.get(account, account.hex()), "when": _when(spans)}
                for account, spans in sorted(belongs.items())
            ],
            "ambiguous": _when(unclear),
            "ambiguousEvents": sum(facts.events_count(leaves, *span, unnamed=True) for span in unclear),
        }


def _place(type: str) -> int:
    return _ORDER.get(type, len(_ORDER))


def _person(facts: Facts, id: bytes) -> tuple[bytes, Sequence[bytes]]:
    person = facts.people([id]).get(id, id)
    return person, sorted(facts.leaves_of([person]).get(person, (person,)))


def _refused(component: Component, leaves: Iterable[bytes]) -> list[LinkRow]:
    own = set(leaves)
    rows = [row for row in component.links if row.state != "active" and own.intersection(component.ends(row))]
    return sorted(rows, key=lambda row: (row.at, row.low, row.high))


def _identifier(known: Identifier, shared_from: int | None) -> Json:
    return {
        "type": known.type,
        "value": known.value,
        "namespace": known.namespace,
        "id": known.id.hex(),
        "sharedFrom": None if shared_from is None else format_instant(shared_from),
    }


def _when(spans: Spans) -> list[Json]:
    return [
        {
            "from": None if start == INSTANT_MIN else format_instant(start),
            "to": None if end > INSTANT_MAX else format_instant(end),
        }
        for start, end in spans
    ]


def _check_link(one: Identifier, other: Identifier, *, is_rename: bool) -> None:
    if one.id == other.id:
        raise LinkRefused("they are the same")
    if one.namespace != other.namespace:
        raise LinkRefused(f"{one.value!r} lies in namespace {one.namespace!r}, {other.value!r} in {other.namespace!r}")
    if is_rename and not one.type == other.type == "user":
        raise LinkRefused("only a user id is renamed")


def _rehearsed(facts: Facts, rehearsal: Rehearsal) -> Json:
    names = facts.identifiers([change.entity for change in rehearsal.changes])
    changes = [
        {
            "kind": change.kind,
            "id": names[change.entity].value if change.entity in names else None,
            "entity": change.entity.hex(),
            "definition": change.definition,
            "before": change.before,
            "after": change.after,
        }
        for change in rehearsal.changes
    ]
    return {
        "people": {"before": len(rehearsal.people_before), "after": len(rehearsal.people_after)},
        "events": rehearsal.events,
        "verdicts": changes,
        "words": _in_words(rehearsal, changes),
    }


def _in_words(rehearsal: Rehearsal, changes: Sequence[Json]) -> list[str]:
    if rehearsal.is_nothing:
        return ["nobody becomes anybody else"]
    before, after = len(rehearsal.people_before), len(rehearsal.people_after)
    if after > before:
        words = [f"splits {_people(before)} into {after}"]
    elif after < before:
        words = [f"joins {_people(before)} into {after}"]
    else:
        words = [f"{_some(len(rehearsal.moved), 'identifier')} hands among {_people(after)}"]
    words.append(f"{_some(rehearsal.events, 'event')} hands")
    for change in changes:
        name = f"{change['kind']} {change['id'] or change['entity']}"
        if change["before"] == "qualified":
            words.append(f"{name} loses its PQL ({change['definition']})")
        elif change["after"] == "qualified":
            words.append(f"{name} becomes a PQL ({change['definition']})")
    return words


def _some(count: int, what: str) -> str:
    return f"1 {what} changes" if count == 1 else f"{count} {what}s change"


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"
