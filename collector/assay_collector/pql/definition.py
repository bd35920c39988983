"""What a definition file says, as frozen values. Durations are microseconds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from assay_collector.pql.comparators import Comparator

EntityKind = Literal["user", "account"]
Stage = Literal["activation", "monetization", "expansion"]


@dataclass(frozen=True, slots=True)
class Matcher:
    """Which events a signal looks at: by name (empty: any track event), and by properties."""

    events: tuple[str, ...]
    where: tuple[tuple[str, Comparator], ...] = ()  # dotted path into the properties -> test

    def document(self) -> Any:
        """The normal form, for identity: order and spelling of the file do not show."""
        where = sorted((path, test.operator, sorted(map(repr, test.operands))) for path, test in self.where)
        return [sorted(self.events), where]


@dataclass(frozen=True)
class Signal:
    """
    One aggregate over matching events, without window and threshold: what is tallied.

    ``scope`` is part of it because an account's tally and a person's tally of the same events are different rows.
    """

    scope: EntityKind
    aggregate: Literal["count", "distinct"]
    matcher: Matcher
    of: str | None = None  # for distinct: dotted path of the property, or user_id

    @cached_property
    def id(self) -> int:
        """A signed 63-bit hash of the normal form: the same signal in two definitions is tallied once."""
        document = msgspec.json.encode([self.scope, self.aggregate, self.matcher.document(), self.of])
        return int.from_bytes(blake2b(document, digest_size=8, person=b"assay.signal").digest(), "big") >> 1


@dataclass(frozen=True, slots=True)
class Ever:
    """All of time."""


@dataclass(frozen=True, slots=True)
class Anchored:
    """From the entity's first such event, inclusive, for `length`, exclusive."""

    length: int
    anchor: Signal  # a count; its first event is the anchor
    text: str = ""


Window = Ever | Anchored


@dataclass(frozen=True, slots=True)
class Use:
    """A signal as a definition uses it: named, and through a window."""

    name: str
    signal: Signal
    window: Window


@dataclass(frozen=True, slots=True)
class Trait:
    """A trait of the user or of the account."""

    of: EntityKind
    key: str

    @property
    def name(self) -> str:
        return f"{self.of}.{self.key}"


@dataclass(frozen=True, slots=True)
class Criterion:
    """One test of one signal or trait."""

    subject: Use | Trait
    test: Comparator

    @property
    def name(self) -> str:
        return self.subject.name


@dataclass(frozen=True, slots=True)
class All:
    of: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    of: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    of: "Condition"


@dataclass(frozen=True, slots=True)
class AtLeast:
    """At least a count, or a share (0 < share <= 1), of the conditions hold."""

    of: tuple["Condition", ...]
    count: int | None = None
    share: Decimal | None = None

    @property
    def need(self) -> int:
        """How many must hold: a share p of n holds iff satisfied >= ceil(p x n)."""
        if self.count is not None:
            return self.count
        assert self.share is not None
        exact = self.share * len(self.of)
        return int(exact.to_integral_value(rounding="ROUND_CEILING"))


Condition = Criterion | All | AnyOf | Not | AtLeast


def criteria(condition: Condition) -> Iterator[Criterion]:
    """Every criterion of a condition, in the order of the file."""
    match condition:
        case Criterion():
            yield condition
        case Not(of=inner):
            yield from criteria(inner)
        case All(of=parts) | AnyOf(of=parts) | AtLeast(of=parts):
            for part in parts:
                yield from criteria(part)


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One definition: who is qualified, and what goes with it."""

    id: str
    version: int
    entity: EntityKind
    stage: Stage
    owner: str
    why: str
    qualify: Condition
    eligible: Condition | None = None
    fit: Condition | None = None
    exclude: tuple["Exclusion", ...] = ()  # the project's default lists included
    uses: tuple[Use, ...] = ()  # every named signal, used in a condition or not
    document: Mapping[str, Any] = field(default_factory=dict)  # the whole file, for what this version carries along
    hash: str = ""  # of the normal form
    file: str = ""

    @cached_property
    def signals(self) -> tuple[Signal, ...]:
        """Every signal to tally for this definition, anchors included, each once."""
        found: dict[int, Signal] = {}
        for use in self.uses:
            found[use.signal.id] = use.signal
            if isinstance(use.window, Anchored):
                found[use.window.anchor.id] = use.window.anchor
        return tuple(found.values())

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """All conditions that decide: qualify, eligible, fit."""
        return tuple(c for c in (self.qualify, self.eligible, self.fit) if c is not None)

    @cached_property
    def traits(self) -> frozenset[Trait]:
        """The traits that the conditions read."""
        return frozenset(
            criterion.subject
            for condition in self.conditions
            for criterion in criteria(condition)
            if isinstance(criterion.subject, Trait)
        )


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A named list of the project: whom it holds of never qualifies, and such a user counts for no account."""

    name: str
    of: EntityKind
    tests: tuple[tuple[str, Comparator], ...]  # trait key -> test; all must hold


@dataclass(frozen=True, kw_only=True)
class Project:
    """What holds for every definition of a folder."""

    name: str = "project"
    timezone: str = "UTC"
    lists: Mapping[str, Exclusion] = field(default_factory=dict)
    default_lists: tuple[str, ...] = ()
    values: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """A folder of definitions, loaded: the project and its definitions, ids unique."""

    project: Project = field(default_factory=Project)
    definitions: tuple[Definition, ...] = ()

    @cached_property
    def signals(self) -> tuple[Signal, ...]:
        """Every signal of every definition, each once, by id."""
        found = {signal.id: signal for definition in self.definitions for signal in definition.signals}
        return tuple(found[key] for key in sorted(found))
