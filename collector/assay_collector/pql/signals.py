"""The `signals` of a document, compiled: each name to what it stands for."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from assay.contract.times import MICROSECOND
from assay_collector.pql.comparators import Comparator
from assay_collector.pql.definition import (
    Aggregate,
    Criterion,
    Ever,
    Members,
    NamedTrait,
    Ratio,
    Sequence,
    Signal,
    Subject,
    Trait,
    Use,
    Window,
)
from assay_collector.pql.document import Document, Where
from assay_collector.pql.problems import did_you_mean, quoted
from assay_collector.pql.yaml_tree import Path

EVENT_AGGREGATES: Final[tuple[Aggregate, ...]] = (
    "count",
    "distinct",
    "active_days",
    "sum",
    "min",
    "max",
    "first",
    "last",
    "since",
)


@dataclass
class Signals:
    """The named signals of a document; each is compiled once, and a name that means nothing is noted once."""

    document: Document
    _found: dict[str, Subject | None] = field(default_factory=dict)
    # The ratios that are being compiled, outermost first.
    _open: list[str] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name, in the order of the file."""
        written = self.document.get("signals")
        return tuple(written) if isinstance(written, dict) else ()

    def compile(self) -> tuple[Subject, ...]:
        """Every signal that can be compiled, in the order of the file."""
        if self.document.get("window") is not None:
            self.document.window(("window",))  # if no signal uses it, its problems are told all the same
        found = [self._named(name) for name in self.names]
        return tuple(subject for subject in found if subject is not None)

    def get(self, name: str, path: Path, on_key: bool = False) -> Subject | None:
        """What a name stands for; None, and a problem at the path, where it stands for nothing."""
        if name in self.names:
            return self._named(name)
        if ("signals",) not in self.document.bad_paths:
            message = f"no signal is called {quoted(name)}{did_you_mean(name, self.names)}"
            if not self.names:
                message += "; name it under `signals`, or write user.NAME or account.NAME for a trait"
            self.document.note("D004", path, message, on_key)
        return None

    def _named(self, name: str) -> Subject | None:
        if name not in self._found:
            path: Path = ("signals", name)
            self._open.append(name)
            subject = None if self.document.is_bad(*path) else self._signal(name, path, self.document.get(*path))
            self._open.pop()
            self._found[name] = subject
        return self._found[name]

    def _signal(self, name: str, path: Path, written: Mapping[str, Any]) -> Subject | None:
        if "trait" in written:
            trait = self.document.trait(written["trait"], (*path, "trait"))
            return None if trait is None else NamedTrait(name, trait)
        if "ratio" in written:
            return self._ratio(name, path)
        if "members" in written:
            return self._members(name, path)
        if "sequence" in written:
            return self._sequence(name, path, written)
        return self._use(name, path, written)

    # --- over events ---

    def _use(self, name: str, path: Path, written: Mapping[str, Any]) -> Use | None:
        aggregate = next(known for known in EVENT_AGGREGATES if known in written)
        where = self.document.where((*path, "where"))
        # What is measured from the last event of all is not cut off by any window.
        window = Ever() if aggregate == "since" else self._window(path, written)
        if where is None or window is None:
            return None
        matcher = self.document.matcher((*path, aggregate), where)
        signal = Signal(self.document.entity, aggregate, matcher, written.get("of"))
        return Use(name, signal, window, self.document.project.timezone if aggregate == "active_days" else "UTC")

    def _window(self, path: Path, written: Mapping[str, Any]) -> Window | None:
        """A signal's own window, else that of the document."""
        own: Path = (*path, "within")
        return self.document.window(
            own if "within" in written else ("window",), (*path, "ago") if "ago" in written else None
        )

    def _sequence(self, name: str, path: Path, written: Mapping[str, Any]) -> Sequence | None:
        apart = self.document.duration(*path, "apart", least=MICROSECOND)
        window = self._window(path, written)
        if apart is None or window is None:
            return None
        first, then = (self._step((*path, "sequence", step)) for step in (0, 1))
        return Sequence(name, first, then, apart, window)

    def _step(self, path: Path) -> Signal:
        return Signal(self.document.entity, "count", self.document.matcher(path))

    # --- over other signals ---

    def _ratio(self, name: str, path: Path) -> Ratio | None:
        above, below = (self._operand((*path, "ratio", index)) for index in (0, 1))
        return None if above is None or below is None else Ratio(name, above, below)

    def _operand(self, path: Path) -> Subject | None:
        name = self.document.get(*path)
        if name in self._open:
            way = " -> ".join([*self._open[self._open.index(name) :], name])
            self.document.note("D012", path, f"a ratio of itself: {quoted(way)}; name a signal over events or a trait")
            return None
        subject = self.get(name, path)
        if is_since(subject):
            message = f"{quoted(name)} is a time since; a ratio divides numbers, such as a `count` or a `sum`"
            self.document.note("D012", path, message)
            return None
        return subject

    def _members(self, name: str, path: Path) -> Members | None:
        if self.document.entity == "user":
            message = "a user has no members; count their own events, or make it a definition of accounts"
            self.document.note("D012", (*path, "members"), message, on_key=True)
            return None
        inner_path: Path = (*path, "members")
        inner = self._inner(name, inner_path)
        having = None if inner is None else self._having(name, inner, (*path, "having"))
        where = self._members_where((*path, "where"))
        if inner is None or having is None or where is None:
            return None
        return Members(name, inner, having, where)

    def _having(self, name: str, inner: Use, path: Path) -> Comparator | None:
        test = self.document.comparator(path)
        if test is not None:
            self.document.criteria.append((path, Criterion(replace(inner, name=f"{name}.having"), test)))
        return test

    def _inner(self, name: str, path: Path) -> Use | None:
        written = self.document.get(*path)
        other = next((key for key in ("since", "trait", "ratio", "members", "sequence") if key in written), None)
        if other is not None:
            right = "`count` within a window, `having: at least 1`" if other == "since" else "`count` or `active_days`"
            message = f"{quoted(other)} is not asked of each member; use a signal such as {right}"
            self.document.note("D012", (*path, other), message, on_key=True)
            return None
        return self._use(name, path, written)

    def _members_where(self, path: Path) -> tuple[tuple[Trait, Comparator], ...] | None:
        """The tests of the members' own traits."""
        found: Where | None = self.document.where(path)
        strange = [name for name, _ in found or () if not name.startswith("user.")]
        for name in strange:
            message = (
                f"{quoted(name)} is no trait of a member; write {quoted(f'user.{name}')}, "
                "or put the test of an event's property into the inner signal's own `where`"
            )
            self.document.note("D011", (*path, name), message, on_key=True)
        if found is None or strange:
            return None
        return tuple((Trait("user", name.removeprefix("user.")), test) for name, test in found)


def is_since(subject: Subject | None) -> bool:
    """Whether a subject is the time since an event."""
    return isinstance(subject, Use) and subject.signal.aggregate == "since"
