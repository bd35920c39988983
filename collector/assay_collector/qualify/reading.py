"""Who is qualified, and why: what the API and the command line show. The same words for both."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from assay.contract.times import format_instant
from assay_collector.identity.identifiers import Identify
from assay_collector.pql.decision import decide
from assay_collector.pql.definition import Catalogue, Definition, EntityKind
from assay_collector.pql.explain import evidence, reasons
from assay_collector.pql.lacking import missing
from assay_collector.pql.ledger import standing
from assay_collector.pql.words import in_words
from assay_collector.qualify.gathering import Gathered, Gatherer
from assay_collector.store import Facts, Identifier, Store, Transition

Json = dict[str, Any]

_decode = msgspec.json.Decoder().decode
_TYPES: dict[EntityKind, tuple[str, ...]] = {"user": ("user", "anonymous"), "account": ("account",)}


class Reader:
    """Answers questions about the ledger, and about why it says what it says."""

    def __init__(self, store: Store, catalogue: Catalogue, identify: Identify, clock: Callable[[], int]) -> None:
        self._store = store
        self._identify = identify
        self._clock = clock
        self.use(catalogue)

    def use(self, catalogue: Catalogue) -> None:
        """Explain by these definitions from now on."""
        # In one step, so that nobody who is asking meanwhile sees half of it.
        self._explained = catalogue, Gatherer(catalogue)

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
            "status": verdict.status,
            "since": None if verdict.since is None else format_instant(verdict.since),
        }
        # A lead is explained by what made it one; anybody else by how things stand now.
        shown["evidence"] = evidence(definition, facts, now if verdict.since is None else verdict.since)
        if not verdict.is_qualified:
            lacking = missing(definition, facts, now)
            shown["missing"] = {**lacking, "words": [in_words(step) for step in lacking["steps"]]}
        shown["history"] = [_history(row) for row in ledger]
        # The ledger follows within moments; a reader who is faster than it should know.
        shown["recorded"] = _is_recorded(verdict.moments, ledger)
        return shown


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
    }


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
