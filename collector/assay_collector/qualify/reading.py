"""Who is qualified, and why: what the API and the command line show. The same words for both."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import msgspec

from assay.contract.times import format_instant
from assay_collector.identity.identifiers import Identify
from assay_collector.identity.rules import DEFAULT_IDENTITY_RULES, IdentityRules
from assay_collector.pql.decision import EntityFacts, Judge, decide
from assay_collector.pql.definition import Catalogue, Definition, EntityKind
from assay_collector.pql.explain import evidence, reasons, standing_at
from assay_collector.pql.lacking import missing, nearness
from assay_collector.pql.ledger import standing
from assay_collector.pql.losses import losses_in_words
from assay_collector.pql.words import in_words
from assay_collector.qualify.gathering import Gathered, Gatherer
from assay_collector.store import Facts, Identifier, Store, Transition

Json = dict[str, Any]

_decode = msgspec.json.Decoder().decode
_TYPES: dict[EntityKind, tuple[str, ...]] = {"user": ("user", "anonymous"), "account": ("account",)}


class Reader:
    """Answers questions about the ledger, and about why it says what it says."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        identify: Identify,
        clock: Callable[[], int],
        identity: IdentityRules = DEFAULT_IDENTITY_RULES,
    ) -> None:
        self._store = store
        self._identify = identify
        self._clock = clock
        self._identity = identity
        self.use(catalogue)

    def use(self, catalogue: Catalogue) -> None:
        """Explain by these definitions from now on."""
        # In one step, so that nobody who is asking meanwhile sees half of it.
        self._explained = catalogue, Gatherer(catalogue, identity=self._identity)

    @property
    def catalogue(self) -> Catalogue:
        """The definitions by which it explains."""
        return self._explained[0]

    def leads(self, definition: str | None, limit: int, offset: int) -> list[Json]:
        """Open episodes, the latest first: who is qualified under which definition, since when, and the reasons."""
        found = self._store.agenda.qualified(definition=definition, limit=limit, offset=offset)
        with self._store.snapshot() as facts:
            known = facts.identifiers([transition.entity for transition in found])
        return [_lead(transition, known.get(transition.entity)) for transition in found]

    def qualifications(self, kind: str | None, value: str) -> Json | None:
        """
        Everything about one entity: each definition's verdict with its evidence, what is missing, and the history.

        Args:
            kind: None: a user or an account of this name, whichever is known; both, if both are.
            value: A userId, an anonymousId, an account's id, or our own id in hexadecimal.

        Returns:
            None if nobody of this name was ever seen.
        """
        with self._store.snapshot() as facts:
            found = [
                self._entity(facts, found_kind, entity)
                for found_kind in ("user", "account")
                if kind in (None, found_kind)
                for entity in self._find(facts, found_kind, value)
            ]
        return {"entities": found} if found else None

    def near(self, definition: str | None, after: bytes, limit: int) -> tuple[list[Json], bytes | None]:
        """
        Who is near: as much of what is asked for is there as the definition's `nudge` says, and nothing but steps is
        missing. In no order; of those who wait for `hold` it is told as well.

        Nobody keeps such a list, as time alone changes it: it is worked out, so many entities at a time.

        Args:
            definition: Only those of this definition; None: of all that have a `nudge`.
            after: Where the page before ended; at first nothing.
            limit: How many entities are looked at.

        Returns:
            The near ones, and where this page ended; None: nobody is left.
        """
        found: list[Json] = []
        catalogue, gatherer = self._explained
        nudging = [d for d in catalogue.definitions if d.near is not None and definition in (None, d.id)]
        page = list(islice(self._store.tallies.entities(after), limit)) if nudging else []
        with self._store.snapshot() as facts:
            known = facts.identifiers(page)
            for entity in page:
                kind: EntityKind = "account" if entity in known and known[entity].type == "account" else "user"
                wanted = [d for d in nudging if d.entity == kind]
                if wanted and (kind == "account" or _speaks_for_its_person(facts, entity, catalogue)):
                    with self._store.turn.background():
                        found += self._near(facts, gatherer, kind, entity, wanted)
        return found, page[-1] if len(page) == limit else None

    def _near(
        self, facts: Facts, gatherer: Gatherer, kind: EntityKind, leaf: bytes, definitions: Sequence[Definition]
    ) -> list[Json]:
        now = self._clock()
        entity = leaf if kind == "account" else facts.people([leaf]).get(leaf, leaf)
        gathered = (gatherer.account if kind == "account" else gatherer.person)(facts, entity, now)
        name = facts.identifiers([entity]).get(entity)
        found: list[Json] = []
        for definition in definitions:
            usable = gathered.facts(definition)
            judge = Judge(definition, usable)
            share = nearness(judge, now)
            if share < (definition.near or 0) or judge.verdict(now).is_qualified:
                continue
            lacking = _missing(definition, usable, now)
            if not lacking["reachable"]:
                continue
            found.append(
                {
                    "definition": definition.id,
                    "version": definition.version,
                    "kind": kind,
                    "id": None if name is None else name.value,
                    "entity": entity.hex(),
                    "near": float(round(share, 4)),
                    "missing": lacking,
                }
            )
        return found

    # --- finding ---

    def _find(self, facts: Facts, kind: EntityKind, value: str) -> list[bytes]:
        """The person or account behind a name, in every namespace."""
        namespaces = {source.namespace for source in self._store.keyring.sources()} or {"default"}
        candidates = [
            self._identify(namespace, type, value)  # type: ignore[arg-type]
            for namespace in sorted(namespaces)
            for type in _TYPES[kind]
        ]
        if len(value) == 32 and all(sign in "0123456789abcdef" for sign in value):
            candidates.append(bytes.fromhex(value))
        known = [id for id, found in facts.identifiers(candidates).items() if found.type in _TYPES[kind]]
        if kind == "account":
            return known
        people = facts.people(known)
        return sorted({people.get(leaf, leaf) for leaf in known})

    # --- showing ---

    def _entity(self, facts: Facts, kind: EntityKind, entity: bytes) -> Json:
        catalogue, gatherer = self._explained
        gather = gatherer.person if kind == "user" else gatherer.account
        gathered = gather(facts, entity, self._clock())
        ledger = facts.ledger(kind, [entity])
        known = facts.identifiers([entity, *gathered.ids])
        name = known.get(entity)
        return {
            "kind": kind,
            "id": None if name is None else name.value,
            "entity": entity.hex(),
            "identifiers": [
                {"type": found.type, "value": found.value, "namespace": found.namespace}
                for found in sorted(known.values(), key=lambda found: (found.type, found.value))
            ],
            "definitions": [
                self._verdict(definition, gathered, [row for row in ledger if row.definition == definition.id])
                for definition in catalogue.definitions
                if definition.entity == kind
            ],
        }

    def _verdict(self, definition: Definition, gathered: Gathered, ledger: Sequence[Transition]) -> Json:
        now = self._clock()
        facts = gathered.facts(definition)
        verdict = decide(definition, facts, now)
        shown: Json = {
            "definition": definition.id,
            "version": definition.version,
            "stage": definition.stage,
            "why": definition.why,
            "monotone": definition.is_monotone,
            "status": verdict.status,
            "since": None if verdict.since is None else format_instant(verdict.since),
        }
        if verdict.held is not None:
            shown["until"] = format_instant(verdict.held[1])
        # A lead is explained by what made it one, and shown as it stands; anybody else only by how things stand now.
        began = [moment for moment in verdict.moments if moment.step == "qualified"] if verdict.is_qualified else []
        if began:
            shown["evidence"] = evidence(definition, facts, began[-1].at, began[-1])
            shown["now"] = standing_at(definition, facts, now)
        else:
            shown["evidence"] = evidence(definition, facts, now)
            shown["missing"] = _missing(definition, facts, now)
        shown["history"] = [_history(row) for row in sorted(ledger, key=_when_said)]
        # The ledger follows within moments; a reader who is faster than it should know.
        shown["recorded"] = _is_recorded(verdict.moments, ledger)
        return shown


def _speaks_for_its_person(facts: Facts, leaf: bytes, catalogue: Catalogue) -> bool:
    """Whether it is the first of a person's identifiers with anything to count, so that nobody is looked at twice."""
    person = facts.people([leaf]).get(leaf, leaf)
    before = [other for other in facts.leaves_of([person]).get(person, ()) if other < leaf]
    return not before or not facts.tallies(before, [signal.id for signal in catalogue.signals])


def _missing(definition: Definition, facts: EntityFacts, now: int) -> Json:
    lacking = missing(definition, facts, now)
    return {**lacking, "words": [in_words(step) for step in lacking["steps"]]}


def _when_said(row: Transition) -> tuple[int, int, int, int]:
    return row.recorded_at, row.effective_at, row.episode, row.revision


def _is_recorded(moments: Iterable[Any], ledger: Sequence[Transition]) -> bool:
    said = {(row.episode, row.step, row.effective_at) for row in standing(ledger).values()}
    return said == {(moment.episode, moment.step, moment.at) for moment in moments}


def _history(row: Transition) -> Json:
    return {
        "episode": row.episode,
        "step": row.step,
        "revision": row.revision,
        "change": row.change,
        "effectiveAt": format_instant(row.effective_at),
        "recordedAt": format_instant(row.recorded_at),
        "cause": row.cause,
        "version": row.definition_version,
        "evidence": _decode(row.evidence),
        **_losses_of(row),
    }


def _losses_of(row: Transition) -> Json:
    lost = losses_in_words(_decode(row.evidence))
    return {"audit": lost} if lost else {}


def _lead(transition: Transition, identifier: Identifier | None) -> Json:
    shown = _decode(transition.evidence)
    return {
        "definition": transition.definition,
        "version": transition.definition_version,
        "kind": transition.kind,
        "id": None if identifier is None else identifier.value,
        "entity": transition.entity.hex(),
        "since": format_instant(transition.effective_at),
        "recordedAt": format_instant(transition.recorded_at),
        "cause": transition.cause,
        "reasons": reasons(shown.get("qualify", {})),
        "fit": shown.get("fit"),
        "evidence": shown,
    }
