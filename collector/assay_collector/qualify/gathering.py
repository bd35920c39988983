"""
Gathering: what may be used of what is stored about one person or account.

Tallies lie under the raw identity of each event. Merge, un-merge, consent and exclusion are one operation here:
choosing which of those rows are folded. Nothing is ever moved or subtracted.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from types import MappingProxyType
from typing import Any

import msgspec

from assay.contract.consent import SCORING_PURPOSES
from assay.contract.times import INSTANT_MIN
from assay_collector.identity.accounts import Stay, attribute, home
from assay_collector.identity.consent import allowed_spans, forbids, next_expiry
from assay_collector.identity.rules import DEFAULT_IDENTITY_RULES, Adopt, IdentityRules
from assay_collector.identity.spans import ALWAYS, Spans, before, both, contains
from assay_collector.pql.decision import EntityFacts
from assay_collector.pql.definition import Catalogue, Definition, EntityKind, Exclusion, Trait
from assay_collector.pql.matching import CompiledSignal
from assay_collector.pql.prospects import Prospects
from assay_collector.pql.steps import Steps
from assay_collector.pql.tallies import Series, Span
from assay_collector.qualify.clipping import Clipper, Own, known_traits, own_memberships
from assay_collector.qualify.occurrences import Rereader
from assay_collector.store import ConsentEntry, Facts, Tally, TallyItem, TraitChange

_decode = msgspec.json.Decoder().decode
# Of how many identifiers at most it is looked up beforehand which signals were marked at all.
LOOKED_AT_MAX = 200


@dataclass(frozen=True, slots=True)
class Rows:
    """The tally rows that are folded, with the account under which each leaf's own events are read again."""

    tallies: Sequence[Tally]
    items: Sequence[TallyItem]


class Gatherer:
    """Gathers facts for the definitions of one catalogue."""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        identity: IdentityRules = DEFAULT_IDENTITY_RULES,
        breathe: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            breathe: Called every few milliseconds, so that others get their turn in between.
        """
        self._catalogue = catalogue
        self._identity = identity
        self._breathe = breathe
        self._by_kind: dict[EntityKind, list[Definition]] = {"user": [], "account": []}
        for definition in catalogue.definitions:
            self._by_kind[definition.entity].append(definition)
        self._prospects = Prospects(catalogue.definitions)
        self._compiled = {signal.id: CompiledSignal(signal) for signal in catalogue.signals}
        lists = {exclusion for definition in catalogue.definitions for exclusion in definition.exclude}
        self._exclusions = sorted(lists, key=lambda exclusion: exclusion.name)
        self._trait_keys = self._collect_trait_keys()

    def person(
        self,
        facts: Facts,
        person: bytes,
        now: int = INSTANT_MIN,
        definitions: Sequence[Definition] | None = None,
    ) -> "Gathered":
        """
        Everything about a person, given by its id.

        Args:
            now: Which consent has expired by then.
            definitions: Those that will be asked about, for less work; None: any may be.
        """
        leaves = tuple(facts.leaves_of([person]).get(person, (person,)))
        said = _words(facts, leaves)
        users = _users(facts, leaves) if said else frozenset()
        is_refused = bool(said) and forbids(said, users, now)
        allowed = () if is_refused else allowed_spans(said, users)
        facts_of = lru_cache(maxsize=None)(partial(self._person_facts, facts, leaves, allowed))
        return Gathered(
            kind="user",
            ids=leaves,
            marked=self._marked(facts, leaves, definitions),
            exclusions=lambda: self._exclusions_of(facts, "user", leaves),
            facts_under=lambda _, signals: facts_of(signals),
            prospects=self._prospects,
            definitions=definitions or self._by_kind["user"],
            is_refused=is_refused,
            consent_until=lambda: next_expiry(said, now),
        )

    def account(
        self,
        facts: Facts,
        account: bytes,
        now: int = INSTANT_MIN,
        definitions: Sequence[Definition] | None = None,
    ) -> "Gathered":
        """
        Everything about an account: what was done in it, and by its members without naming one.

        Args:
            now: Which consent has expired by then.
            definitions: Those that will be asked about, for less work; None: any may be.
        """
        joined = {row.leaf for row in facts.memberships(accounts=[account])}
        parts: dict[frozenset[int], _Part] = {}

        def facts_under(lists: frozenset[str], signals: frozenset[int]) -> EntityFacts:
            if signals not in parts:
                parts[signals] = self._part_of_account(facts, account, joined, signals, now)
            return self._account_facts(facts, account, parts[signals], lists, signals)

        def consent_until() -> int | None:
            ends = [part.members.consent_until for part in parts.values()]
            return min((end for end in ends if end is not None), default=None)

        return Gathered(
            kind="account",
            ids=(account,),
            marked=self._marked(facts, [account, *_grown(facts, joined)], definitions),
            exclusions=lambda: self._exclusions_of(facts, "account", [account]),
            facts_under=facts_under,
            prospects=self._prospects,
            definitions=definitions or self._by_kind["account"],
            consent_until=consent_until,
        )

    # --- prospects ---

    def _marked(
        self, facts: Facts, entities: Sequence[bytes], definitions: Sequence[Definition] | None
    ) -> frozenset[int]:
        """The signals that were marked at all; all of them, where to look would be dear or serve nothing."""
        if definitions is None or len(entities) > LOOKED_AT_MAX:
            return self._prospects.signals
        return facts.marked(entities, sorted(self._prospects.signals_of(definitions)))

    # --- accounts ---

    def _part_of_account(
        self, facts: Facts, account: bytes, joined: set[bytes], signals: frozenset[int], now: int
    ) -> "_Part":
        named = self._rows(facts, [account], signals)
        members = Members(facts, account, {row.leaf for row in named.tallies}, joined, now, self._identity.adopt)
        unnamed = self._rows(facts, members.adopted_leaves, signals)
        clipper = Clipper(facts, self._compiled, members, account)
        if members.shared or members.divided:
            named = Rows(clipper.tallies(named.tallies), clipper.items(named.items))
        return _Part(
            members,
            Rows(
                [*named.tallies, *clipper.tallies(unnamed.tallies)],
                [*named.items, *clipper.items(unnamed.items)],
            ),
            self._traits(facts, "account", [account]),
            self._excluded_people(facts, members.leaves),
        )

    def _account_facts(
        self, facts: Facts, account: bytes, part: "_Part", lists: frozenset[str], signals: frozenset[int]
    ) -> EntityFacts:
        members, rows = part.members, part.rows
        kept = members.allowed({person for person, names in part.listed.items() if names & lists})
        users = self._users_among(facts, [members.people.get(leaf, leaf) for leaf in kept], signals)
        reader = Rereader(
            facts,
            self._compiled,
            [row for row in rows.tallies if row.leaf in kept],
            [row for row in rows.items if row.leaf in kept],
            account,
            members,
            members.people,
            users,
            self._breathe,
        )
        return self._fold("account", reader, part.traits, partial(self._traits_of_member, facts, members))

    # --- people ---

    def _person_facts(
        self, facts: Facts, leaves: Sequence[bytes], allowed: Spans, signals: frozenset[int]
    ) -> EntityFacts:
        shared = facts.shared_from(leaves)
        own, all_rows = Own(shared, allowed), self._rows(facts, leaves if allowed else (), signals)
        clipper = Clipper(facts, self._compiled, own)
        is_divided = bool(shared) or allowed is not ALWAYS
        rows = Rows(clipper.tallies(all_rows.tallies), clipper.items(all_rows.items)) if is_divided else all_rows
        # A trait is no more to be used than an event is. Exclusion lists, which only leave people out, still see it.
        traits = (
            self._traits(facts, "user", leaves, shared, allowed) | self._account_traits_of(facts, leaves, shared)
            if allowed
            else {}
        )
        users = self._users_among(facts, leaves, signals)
        reader = Rereader(
            facts,
            self._compiled,
            rows.tallies,
            rows.items,
            belonging=own,
            people=dict.fromkeys(leaves, max(users, default=b"")),
            users=users,
            breathe=self._breathe,
        )
        return self._fold("user", reader, traits, lambda _: {})

    def _users_among(self, facts: Facts, people: Sequence[bytes], signals: frozenset[int]) -> frozenset[bytes]:
        """Who of these people has a user id; asked only where users are counted."""
        if not any(self._compiled[signal].of_user for signal in signals):
            return frozenset()
        return _users(facts, people)

    def _account_traits_of(
        self, facts: Facts, leaves: Sequence[bytes], shared: Mapping[bytes, int]
    ) -> dict[Trait, Steps[Any]]:
        if not self._trait_keys["account"]:
            return {}
        first = home(Stay(row.account, row.at) for row in own_memberships(facts.memberships(leaves=leaves), shared))
        return {} if first is None else self._traits(facts, "account", [first])

    # --- rows ---

    def _rows(self, facts: Facts, entities: Sequence[bytes], signals: frozenset[int]) -> Rows:
        if not entities or not signals:
            return Rows((), ())
        distinct = [signal for signal in signals if self._compiled[signal].is_distinct]
        items = facts.items(entities, sorted(distinct)) if distinct else ()
        return Rows(facts.tallies(entities, sorted(signals)), items)

    def _fold(
        self,
        kind: EntityKind,
        reader: Rereader,
        traits: Mapping[Trait, Steps[Any]],
        traits_of_member: Callable[[bytes], Mapping[Trait, Steps[Any]]],
    ) -> EntityFacts:
        return EntityFacts(
            kind=kind,
            series=_Folded(reader),
            traits=traits,
            instants=reader.instants,
            occurrences=reader.occurrences,
            sights=reader.sights,
            breathe=self._breathe,
            traits_of_member=traits_of_member,
        )

    def _traits_of_member(self, facts: Facts, members: "Members", person: bytes) -> Mapping[Trait, Steps[Any]]:
        allowed = members.divided.get(person, ALWAYS)
        return self._traits(facts, "user", members.leaves.get(person, (person,)), members.shared, allowed)

    # --- traits and exclusions ---

    def _collect_trait_keys(self) -> dict[EntityKind, list[str]]:
        keys: dict[EntityKind, set[str]] = {"user": set(), "account": set()}
        for definition in self._catalogue.definitions:
            for trait in definition.traits:
                keys[trait.of].add(trait.key)
        return {kind: sorted(found) for kind, found in keys.items()}

    def _traits(
        self,
        facts: Facts,
        kind: EntityKind,
        entities: Sequence[bytes],
        shared: Mapping[bytes, int] = MappingProxyType({}),
        allowed: Spans = ALWAYS,
    ) -> dict[Trait, Steps[Any]]:
        keys = self._trait_keys[kind]
        if not keys:
            return {}
        known = known_traits(facts.traits(entities, keys), shared)
        found = (change for change in known if change.scored and contains(allowed, change.at))
        return {Trait(kind, key): steps for key, steps in _histories(found).items()}

    def _exclusions_of(self, facts: Facts, kind: EntityKind, entities: Sequence[bytes]) -> frozenset[str]:
        """The names of the lists that this person or account is on."""
        return _listed(facts, [entry for entry in self._exclusions if entry.of == kind], [(b"", entities)]).get(
            b"", frozenset()
        )

    def _excluded_people(self, facts: Facts, leaves: Mapping[bytes, Sequence[bytes]]) -> Mapping[bytes, frozenset[str]]:
        """Person -> the names of the lists of users it is on."""
        lists = [entry for entry in self._exclusions if entry.of == "user"]
        return _listed(facts, lists, list(leaves.items()))


class _Folded(Mapping[int, Series]):
    """The series of each signal, folded when it is asked for."""

    def __init__(self, reader: Rereader) -> None:
        self._reader = reader
        self._known: dict[int, Series] = {}

    def __getitem__(self, signal: int) -> Series:
        if signal not in self._known:
            rows = self._reader.rows[signal]
            spans = (Span(row.bucket, row.n, row.first_at, row.last_at) for row in rows)
            self._known[signal] = Series.fold(signal, spans, self._reader.spans_of_items(signal))
        return self._known[signal]

    def __iter__(self) -> Iterator[int]:
        return iter(self._reader.rows)

    def __len__(self) -> int:
        return len(self._reader.rows)


class Gathered:
    """What may be used about one person or account."""

    def __init__(
        self,
        *,
        kind: EntityKind,
        ids: tuple[bytes, ...],
        marked: frozenset[int],
        exclusions: Callable[[], frozenset[str]],
        facts_under: Callable[[frozenset[str], frozenset[int]], EntityFacts],
        prospects: Prospects,
        definitions: Sequence[Definition],
        is_refused: bool = False,
        consent_until: Callable[[], int | None],
    ) -> None:
        """
        Args:
            ids: The person's identifiers, or the account.
            marked: The signals that were ever marked, at the least.
            exclusions: The names of the lists that the entity is on.
            facts_under: The facts, given the lists of users that do not count, and the signals that matter.
            definitions: Those that will be asked about.
            is_refused: The person's consent forbids to use anything of it.
            consent_until: When a consent that was used ends by itself, so that time alone may change the facts.
        """
        self.kind = kind
        self.ids = ids
        self.marked = marked
        self.is_refused = is_refused
        self._prospects = prospects
        self._asked = frozenset(
            signal for each in definitions if self.can_qualify(each) for signal in prospects.reads[each.id]
        )
        self._list_names = exclusions
        self._facts_under = lru_cache(maxsize=None)(facts_under)
        self._consent_until = consent_until

    def can_qualify(self, definition: Definition) -> bool:
        """Whether it may ever come to an episode; see ``prospects``. If not, its facts need not be read."""
        return self._prospects.can_qualify(definition, self.marked)

    def facts(self, definition: Definition) -> EntityFacts:
        """What a definition may use; its own lists of exclusions applied."""
        users = frozenset(entry.name for entry in definition.exclude if entry.of == "user" != self.kind)
        own = self._prospects.reads[definition.id]
        facts = self._facts_under(users, self._asked if own <= self._asked else own)
        on = sorted(entry.name for entry in definition.exclude if entry.name in self._exclusions)
        return replace(facts, excluded_by=on[0]) if on else facts

    @property
    def consent_until(self) -> int | None:
        """When a consent that was used ends by itself."""
        return self._consent_until()

    @cached_property
    def _exclusions(self) -> frozenset[str]:
        return self._list_names()


class Members:
    """The people who did something in an account, or belong to it."""

    def __init__(
        self, facts: Facts, account: bytes, named_leaves: set[bytes], joined: set[bytes], now: int, adopt: Adopt
    ) -> None:
        known = list(named_leaves | joined)
        self.people: dict[bytes, bytes] = dict(facts.people(known))
        found = {self.people.get(leaf, leaf) for leaf in known}
        grown = facts.leaves_of(list(found))
        # Person -> all its leaves, also those that never touched this account: their consent binds the others.
        self.leaves: dict[bytes, Sequence[bytes]] = {person: grown.get(person, (person,)) for person in found}
        self.people.update({leaf: person for person, leaves in self.leaves.items() for leaf in leaves})
        self._facts = facts
        self._now = now
        self._adopt = adopt
        self.shared = facts.shared_from([leaf for leaves in self.leaves.values() for leaf in leaves])
        self._adopted = self._adoptions(account, {self.people.get(leaf, leaf) for leaf in joined})

    @property
    def adopted_leaves(self) -> list[bytes]:
        """Leaves whose events without a named account belong to this one, for some time at least."""
        return [leaf for person in self._adopted for leaf in self.leaves[person]]

    def spans(self, leaf: bytes, *, named: bool) -> Spans:
        """When what was done under a leaf, naming the account or none, counts for the account."""
        person = self.people.get(leaf, leaf)
        spans = ALWAYS if named else self._adopted.get(person, ())
        return before(both(spans, self.divided.get(person, ALWAYS)), self.shared.get(leaf))

    def allowed(self, excluded: set[bytes]) -> set[bytes]:
        """The leaves that may be folded: their person consents, and is not excluded."""
        return {leaf for person in self._consenting - excluded for leaf in self.leaves[person]}

    @cached_property
    def _consenting(self) -> set[bytes]:
        refusing = {person for person, said in self._words.items() if forbids(said, self._speakers, self._now)}
        return self.leaves.keys() - refusing

    @cached_property
    def divided(self) -> Mapping[bytes, Spans]:
        """Of people who refused for a time, when they did not."""
        found = {person: allowed_spans(said, self._speakers) for person, said in self._words.items()}
        return {person: spans for person, spans in found.items() if spans is not ALWAYS}

    @cached_property
    def _words(self) -> Mapping[bytes, Sequence[ConsentEntry]]:
        """What each person said."""
        found: dict[bytes, list[ConsentEntry]] = {}
        for entry in self._said:
            found.setdefault(self.people.get(entry.subject, entry.subject), []).append(entry)
        return found

    @cached_property
    def _speakers(self) -> frozenset[bytes]:
        return _users(self._facts, [entry.subject for entry in self._said])

    @property
    def consent_until(self) -> int | None:
        """When a member's consent ends by itself."""
        return next_expiry(self._said, self._now)

    @cached_property
    def _said(self) -> Sequence[ConsentEntry]:
        return _words(self._facts, [leaf for leaves in self.leaves.values() for leaf in leaves])

    def _adoptions(self, account: bytes, people: set[bytes]) -> dict[bytes, Spans]:
        leaves = [leaf for person in people for leaf in self.leaves[person]]
        stays: dict[bytes, list[Stay]] = {}
        for row in own_memberships(self._facts.memberships(leaves=leaves), self.shared):
            stays.setdefault(self.people.get(row.leaf, row.leaf), []).append(Stay(row.account, row.at, row.left_at))
        found = {person: attribute(rows, self._adopt).get(account, ()) for person, rows in stays.items()}
        return {person: spans for person, spans in found.items() if spans}


@dataclass(frozen=True, slots=True)
class _Part:
    """What is known of an account by some of its signals."""

    members: Members
    rows: Rows
    traits: Mapping[Trait, Steps[Any]]
    listed: Mapping[bytes, frozenset[str]]  # person -> the names of the lists of users it is on


def _grown(facts: Facts, leaves: set[bytes]) -> list[bytes]:
    """The leaves, and every other leaf of their people."""
    people = facts.people(list(leaves))
    grown = facts.leaves_of(list(set(people.values())))
    return list(leaves.union(*grown.values()))


def _listed(
    facts: Facts, lists: Sequence[Exclusion], groups: Sequence[tuple[bytes, Sequence[bytes]]]
) -> dict[bytes, frozenset[str]]:
    """Which lists each group of entities is on, by their latest traits; unknown traits put nobody on a list."""
    keys = sorted({key for entry in lists for key, _ in entry.tests})
    if not keys:
        return {}
    owner = {entity: group for group, entities in groups for entity in entities}
    changes: dict[bytes, list[TraitChange]] = {}
    for change in known_traits(facts.traits(list(owner), keys), facts.shared_from(list(owner))):
        changes.setdefault(owner[change.entity], []).append(change)
    found: dict[bytes, frozenset[str]] = {}
    for group, history in changes.items():
        latest = {key: _scalar(_decode(change.value)) for key, change in _latest(history).items()}
        names = {entry.name for entry in lists if _is_on(entry, latest)}
        if names:
            found[group] = frozenset(names)
    return found


def _is_on(entry: Exclusion, traits: Mapping[str, Any]) -> bool:
    return all(traits.get(key) is not None and test.holds(traits[key]) is True for key, test in entry.tests)


def _latest(history: Iterable[TraitChange]) -> dict[str, TraitChange]:
    found: dict[str, TraitChange] = {}
    for change in history:
        known = found.get(change.key)
        if known is None or (known.at, known.event_id) < (change.at, change.event_id):
            found[change.key] = change
    return found


def _histories(history: Iterable[TraitChange]) -> dict[str, Steps[Any]]:
    """Each trait over time; of several values at one instant the one with the largest event id holds."""
    by_key: dict[str, list[TraitChange]] = {}
    for change in history:
        by_key.setdefault(change.key, []).append(change)
    return {
        key: Steps.of(
            None,
            [(c.at, _scalar(_decode(c.value))) for c in sorted(changes, key=lambda c: (c.at, c.event_id))],
        )
        for key, changes in by_key.items()
    }


def _scalar(value: Any) -> Any:
    return None if isinstance(value, dict | list) else value


def _words(facts: Facts, leaves: Sequence[bytes]) -> Sequence[ConsentEntry]:
    """What was said of scoring; nothing, where nobody ever said anything but yes, with how many events ever."""
    return facts.consents(leaves, SCORING_PURPOSES) if facts.doubtful(leaves, SCORING_PURPOSES) else ()


def _users(facts: Facts, leaves: Sequence[bytes]) -> frozenset[bytes]:
    return frozenset(id for id, known in facts.identifiers(leaves).items() if known.type == "user")
