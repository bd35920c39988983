"""What a definition file says, as frozen values. Durations are microseconds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
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


Aggregate = Literal["count", "distinct", "active_days", "sum", "min", "max", "first", "last", "since"]
# Those that read a property.
OF_PROPERTY: tuple[Aggregate, ...] = ("distinct", "sum", "min", "max", "first", "last")


@dataclass(frozen=True)
class Signal:
    """
    One aggregate over matching events, without window and threshold: what is tallied.

    ``scope`` is part of it because an account's tally and a person's tally of the same events are different rows.
    """

    scope: EntityKind
    aggregate: Aggregate
    matcher: Matcher
    of: str | None = None  # dotted path of the property that the aggregate reads, or user_id

    @cached_property
    def id(self) -> int:
        """A signed 63-bit hash of the normal form: the same signal in two definitions is tallied once."""
        document = msgspec.json.encode([self.scope, self.aggregate, self.matcher.document(), self.of])
        return int.from_bytes(blake2b(document, digest_size=8, person=b"assay.signal").digest(), "big") >> 1


# --- windows: for how long an event counts ---


@dataclass(frozen=True, slots=True)
class Ever:
    """All of time."""


@dataclass(frozen=True, slots=True)
class Anchored:
    """From the entity's first such event, inclusive, for `length`, exclusive."""

    length: int
    anchor: Signal  # a count; its first event is the anchor
    text: str = ""


@dataclass(frozen=True, slots=True)
class Rolling:
    """The `length` up to now, exactly; `ago` shifts it back."""

    length: int
    ago: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class CalendarDays:
    """Today and the `days` - 1 days before, whole days of a time zone; `ago` shifts it back by as many days."""

    days: int
    zone: str
    ago: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class CalendarMonth:
    """The month of a time zone that it is now."""

    zone: str
    text: str = "this month"


Window = Ever | Anchored | Rolling | CalendarDays | CalendarMonth
# Those that move along with time.
Moving = Rolling | CalendarDays | CalendarMonth


# --- subjects: what a criterion is about ---


@dataclass(frozen=True, slots=True)
class Use:
    """A signal as a definition uses it: named, and through a window."""

    name: str
    signal: Signal
    window: Window
    zone: str = "UTC"  # whose days count, for active_days


@dataclass(frozen=True, slots=True)
class Trait:
    """A trait of the user or of the account."""

    of: EntityKind
    key: str

    @property
    def name(self) -> str:
        return f"{self.of}.{self.key}"


@dataclass(frozen=True, slots=True)
class NamedTrait:
    """A trait under a signal's name."""

    name: str
    trait: Trait


@dataclass(frozen=True, slots=True)
class Ratio:
    """One signal divided by another; unknown while the second is unknown or zero."""

    name: str
    above: "Subject"
    below: "Subject"


@dataclass(frozen=True, slots=True)
class Members:
    """How many of an account's people have `having` of the inner signal, and the right traits."""

    name: str
    inner: Use  # in the account's scope; folded for each person apart
    having: Comparator
    where: tuple[tuple[Trait, Comparator], ...] = ()


@dataclass(frozen=True, slots=True)
class Sequence:
    """How often `then` came at most `apart` after a `first`."""

    name: str
    first: Signal  # a count
    then: Signal  # a count
    apart: int
    window: Window


@dataclass(frozen=True, slots=True)
class ScorePoints:
    """The definition's score."""

    name: str = "score"


Subject = Use | Trait | NamedTrait | Ratio | Members | Sequence | ScorePoints

# Whose days and months count, where it is known: the account's; else the project's.
ZONE = Trait("account", "timezone")


@dataclass(frozen=True, slots=True)
class Criterion:
    """One test of one signal or trait."""

    subject: Subject
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


@dataclass(frozen=True, slots=True)
class Points:
    """One item of a score: once while `when` holds, or for each of what `each` counts."""

    points: Decimal
    when: "Condition | None" = None
    each: Use | Sequence | None = None
    cap: Decimal | None = None  # the most, or for negative points the least, that `each` can give
    half_life: int | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """True from the instant the score reaches `enter` until it falls below `leave`."""

    items: tuple[Points, ...]
    enter: Decimal
    leave: Decimal


Condition = Criterion | All | AnyOf | Not | AtLeast | Score


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
        case Score(items=items):
            for item in items:
                if item.when is not None:
                    yield from criteria(item.when)


def signed_criteria(condition: Condition, negated: bool = False) -> Iterator[tuple[Criterion, bool]]:
    """Every criterion, and whether it is its absence that is asked for: it stands under an odd number of `not`."""
    match condition:
        case Criterion():
            yield condition, negated
        case Not(of=inner):
            yield from signed_criteria(inner, not negated)
        case All(of=parts) | AnyOf(of=parts) | AtLeast(of=parts):
            for part in parts:
                yield from signed_criteria(part, negated)
        case Score(items=items):
            for item in items:
                if item.when is not None:
                    yield from signed_criteria(item.when)


def needs_watch(criterion: Criterion, negated: bool) -> bool:
    """Whether it can hold because something was not seen: it does only of who was observed for as long."""
    subject, test = criterion.subject, criterion.test
    if not test.operands:
        return False
    if isinstance(subject, Use) and subject.signal.aggregate == "since":
        return True
    return is_watched(subject) and (test.asks_for_more is negated or test.operator not in _ONE_SIDED)


def is_watched(subject: Subject) -> bool:
    """Whether a subject is counted in a window that moves along with time."""
    counts = isinstance(subject, Sequence) or (
        isinstance(subject, Use) and subject.signal.aggregate in ("count", "distinct", "active_days")
    )
    return counts and isinstance(getattr(subject, "window", None), Moving)


_ONE_SIDED = ("at least", "more than", "at most", "less than")


def subjects(condition: Condition) -> Iterator[Subject]:
    """Everything that a condition reads."""
    match condition:
        case Criterion(subject=subject):
            yield subject
        case Not(of=inner):
            yield from subjects(inner)
        case All(of=parts) | AnyOf(of=parts) | AtLeast(of=parts):
            for part in parts:
                yield from subjects(part)
        case Score(items=items):
            for item in items:
                if item.when is not None:
                    yield from subjects(item.when)
                if item.each is not None:
                    yield item.each


def signals_of(subject: Subject) -> Iterator[Signal]:
    """The signals that a subject is computed from, anchors included."""
    match subject:
        case Use(signal=signal, window=window):
            yield signal
            if isinstance(window, Anchored):
                yield window.anchor
        case Ratio(above=above, below=below):
            yield from signals_of(above)
            yield from signals_of(below)
        case Members(inner=inner):
            yield from signals_of(inner)
        case Sequence(first=first, then=then, window=window):
            yield from (first, then)
            if isinstance(window, Anchored):
                yield window.anchor


def traits_of(subject: Subject) -> Iterator[Trait]:
    """The traits that a subject reads of the entity itself, or of its members."""
    match subject:
        case Trait():
            yield subject
        case NamedTrait(trait=trait):
            yield trait
        case Ratio(above=above, below=below):
            yield from traits_of(above)
            yield from traits_of(below)
        case Members(where=where):
            yield from (trait for trait, _ in where)


@dataclass(frozen=True, slots=True)
class Variant:
    """Another way to qualify, for those of whom `when` holds."""

    name: str
    when: Condition
    qualify: Condition
    stage: str | None = None  # the rung that it stands in for; None: the whole


@dataclass(frozen=True, slots=True)
class Rung:
    """A named stage of a ladder, or a tier."""

    name: str
    qualify: Condition


@dataclass(frozen=True, slots=True)
class Requalify:
    """When it may begin again: so long after the end, and only beyond so much of the last high-water mark."""

    after: int
    beyond: tuple[tuple[Subject, Decimal], ...] = ()


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """How a qualification begins, ends and begins again. Durations are microseconds."""

    hold: int = 0
    exit: Condition | None = None  # None: when `qualify` no longer holds
    expire: int | None = None
    convert: Signal | None = None  # a count; its first event after the beginning ends it well
    requalify: Requalify | None = None  # None: never again


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
    uses: tuple[Subject, ...] = ()  # every named signal, used in a condition or not
    tiers: tuple[Rung, ...] = ()  # the first that holds is the tier
    levels: tuple[Decimal, ...] = ()  # shares, ascending
    stages: tuple[Rung, ...] = ()  # the last that holds is the stage
    variants: tuple[Variant, ...] = ()  # the first whose `when` holds replaces what it names
    lifecycle: Lifecycle = Lifecycle()
    document: Mapping[str, Any] = field(default_factory=dict)  # the whole file, for what this version carries along
    hash: str = ""  # of the normal form
    file: str = ""
    elder: "Elder | None" = None  # the version that speaks for the time before this one

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """Every condition of the file."""
        found = [self.qualify, self.eligible, self.fit, self.lifecycle.exit]
        found += [condition for variant in self.variants for condition in (variant.when, variant.qualify)]
        found += [rung.qualify for rung in (*self.tiers, *self.stages)]
        return tuple(condition for condition in found if condition is not None)

    @cached_property
    def subjects(self) -> tuple[Subject, ...]:
        """Everything that the definition reads, each once."""
        requalify = self.lifecycle.requalify
        found = [
            *self.uses,
            *(subject for condition in self.conditions for subject in subjects(condition)),
            *(subject for subject, _ in (requalify.beyond if requalify else ())),
        ]
        return tuple(dict.fromkeys(found))

    @cached_property
    def signals(self) -> tuple[Signal, ...]:
        """Every signal to tally for this definition, anchors and what elder versions read included, each once."""
        found = {} if self.elder is None else {signal.id: signal for signal in self.elder.definition.signals}
        found |= {signal.id: signal for subject in self.subjects for signal in signals_of(subject)}
        if self.lifecycle.convert is not None:
            found[self.lifecycle.convert.id] = self.lifecycle.convert
        if any(needs_watch(c, negated) for condition in self.conditions for c, negated in signed_criteria(condition)):
            found[self.observed.id] = self.observed
        return tuple(found.values())

    @cached_property
    def observed(self) -> Signal:
        """Any event of the entity: since the first, it is observed. One that is tallied anyway, where there is one."""
        own = (signal for subject in self.subjects for signal in signals_of(subject))
        return next(filter(self._sees_every_event, own), Signal(self.entity, "count", Matcher(())))

    def _sees_every_event(self, signal: Signal) -> bool:
        # Every event has somebody who did it, and may lack any other property.
        is_of_all = signal.aggregate != "distinct" or signal.of == "user_id"
        return is_of_all and signal.scope == self.entity and signal.matcher == Matcher(())

    @cached_property
    def traits(self) -> frozenset[Trait]:
        """The traits that the definition reads."""
        found = frozenset(trait for subject in self.subjects for trait in traits_of(subject))
        found |= self.elder.definition.traits if self.elder is not None else frozenset()
        return found | {ZONE} if self.reads_calendar else found

    def in_force(self, instant: int) -> "Definition":
        """The version that speaks for an instant: this one, or an elder."""
        if self.elder is None or instant >= self.elder.until:
            return self
        return self.elder.definition.in_force(instant)

    # --- time zones ---

    @cached_property
    def reads_calendar(self) -> bool:
        """Whether it depends on where days or months begin."""
        return any(map(_reads_calendar, self.subjects))

    def in_zone(self, zone: str) -> "Definition":
        """The same with the days and months of another time zone."""
        known = self._in_zones.get(zone)
        if known is None:
            found: Definition = _in_zone(self, zone)
            known = self._in_zones[zone] = found
        return known

    @cached_property
    def _in_zones(self) -> dict[str, "Definition"]:
        return {}

    @cached_property
    def near(self) -> Decimal | None:
        """From which share of what is asked for on an entity is near; None: nobody wants to know."""
        nudge = self.document.get("nudge")
        return Decimal(str(nudge["near"]).removesuffix("%")) / 100 if nudge else None

    # --- what it comes to ---

    @cached_property
    def is_monotone(self) -> bool:
        """
        Whether more events can only ever help: `at least` over all time and anchored windows, and nothing that ends it.

        Such a definition has no timers, and no new event makes anybody leave it.
        """
        lifecycle = self.lifecycle
        wanted = [self.qualify, *(rung.qualify for rung in self.stages)]
        return (
            not self.variants
            and (lifecycle.hold, lifecycle.exit, lifecycle.expire) == (0, None, None)
            and all(_only_grows(condition) for condition in wanted)
        )


@dataclass(frozen=True, slots=True)
class Elder:
    """A version that goes on speaking for the time before another took over."""

    definition: Definition
    until: int  # exclusive


def _reads_calendar(subject: Subject) -> bool:
    match subject:
        case Use(signal=signal, window=window):
            return signal.aggregate == "active_days" or isinstance(window, CalendarDays | CalendarMonth)
        case Sequence(window=window):
            return isinstance(window, CalendarDays | CalendarMonth)
        case Members(inner=inner):
            return _reads_calendar(inner)
        case Ratio(above=above, below=below):
            return _reads_calendar(above) or _reads_calendar(below)
    return False


def _in_zone(value: Any, zone: str) -> Any:
    """A value of this module, with every calendar in it moved to a time zone."""
    if isinstance(value, tuple):
        return tuple(_in_zone(part, zone) for part in value)
    if not is_dataclass(value) or isinstance(value, type | Comparator | Signal | Exclusion):
        return value
    found: dict[str, Any] = {each.name: getattr(value, each.name) for each in fields(value)}
    changed = {name: _in_zone(part, zone) for name, part in found.items() if name != "zone"}
    return replace(value, **changed, **({"zone": zone} if "zone" in found else {}))


def _only_grows(condition: Condition) -> bool:
    match condition:
        case Criterion(subject=subject, test=test):
            counts = isinstance(subject, Sequence) or (
                isinstance(subject, Use) and subject.signal.aggregate in ("count", "distinct", "active_days")
            )
            return counts and test.asks_for_more and isinstance(getattr(subject, "window", None), Ever | Anchored)
        case All(of=parts) | AnyOf(of=parts) | AtLeast(of=parts):
            return all(map(_only_grows, parts))
    return False


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
    marketing: tuple[str, ...] = ()  # events that show interest in marketing, not use of the product
    max_definitions_per_stage: int = 7


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
