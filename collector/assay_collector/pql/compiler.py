"""From one YAML document to a definition; what is wrong with it is noted, and reading goes on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from assay_collector.pql.comparators import Comparator, UnreadableComparator, parse_comparator
from assay_collector.pql.definition import (
    All,
    Anchored,
    AnyOf,
    AtLeast,
    Condition,
    Criterion,
    Definition,
    EntityKind,
    Ever,
    Exclusion,
    Matcher,
    Not,
    Project,
    Signal,
    Trait,
    Use,
    Window,
)
from assay_collector.pql.definition_schema import AGGREGATES
from assay_collector.pql.normal_form import definition_hash
from assay_collector.pql.problems import Findings, did_you_mean, quoted
from assay_collector.pql.structure import check_definition
from assay_collector.pql.windows import DURATION_MAX, parse_window
from assay_collector.pql.yaml_tree import Path

# Clauses that change who qualifies or what becomes of it. Ignoring one in silence would make the file a lie.
_CLAUSES_NOT_YET = ("tiers", "stages", "variants", "lifecycle", "holdout", "experiment", "route")
_AGGREGATES_NOT_YET = tuple(name for name in AGGREGATES if name not in ("count", "distinct", "trait"))
_ENTRIES_NOT_YET = ("score", "enter", "exit", "fit")
_WINDOW_WORDS = {"rolling": "a window that rolls", "calendar": "a window of calendar days"}


@dataclass(frozen=True, slots=True)
class _Unusable:
    """A signal that is written down and cannot be compiled; the reason is noted already."""


_UNUSABLE = _Unusable()


def compile_definition(findings: Findings, project: Project) -> Definition | None:
    """
    Compile a document.

    Returns:
        The definition; None if anything was noted in `findings` that keeps it from running.
    """
    bad_paths = check_definition(findings)
    if not isinstance(findings.tree.value, dict):
        return None
    return _Compiler(findings, project, bad_paths).definition()


@dataclass
class _Compiler:
    findings: Findings
    project: Project
    # Where the document is not of the language's shape; nothing below is read.
    bad_paths: tuple[Path, ...]
    _signals: dict[str, Use | Trait | _Unusable] = field(default_factory=dict)

    @property
    def _document(self) -> dict[str, Any]:
        value: dict[str, Any] = self.findings.tree.value
        return value

    @property
    def _entity(self) -> EntityKind:
        entity = self.findings.tree.get(("pql", "entity"))
        return "account" if entity == "account" else "user"

    def definition(self) -> Definition | None:
        for clause in _CLAUSES_NOT_YET:
            if clause in self._document:
                self.findings.add_not_yet((clause,), quoted(clause))
        self._read_signals()
        conditions = {name: self._clause(name) for name in ("qualify", "eligible", "fit")}
        exclude = self._exclusions()
        self._check_prediction()
        if any(problem.severity == "error" for problem in self.findings.problems):
            return None
        qualify = conditions["qualify"]
        assert qualify is not None, "without `qualify` there are stages, which are noted"
        return self._build(qualify, conditions["eligible"], conditions["fit"], exclude)

    def _build(
        self,
        qualify: Condition,
        eligible: Condition | None,
        fit: Condition | None,
        exclude: tuple[Exclusion, ...],
    ) -> Definition:
        header = self._document["pql"]
        uses = tuple(use for use in self._signals.values() if isinstance(use, Use))
        return Definition(
            id=header["id"],
            version=header["version"],
            entity=self._entity,
            stage=header["stage"],
            owner=header["owner"],
            why=self._document["why"],
            qualify=qualify,
            eligible=eligible,
            fit=fit,
            exclude=exclude,
            uses=uses,
            document=self._document,
            hash=definition_hash(header["id"], self._entity, (qualify, eligible, fit), uses, exclude),
            file=self.findings.file,
        )

    def _is_bad(self, *path: str | int) -> bool:
        return any(bad[: len(path)] == path for bad in self.bad_paths)

    # --- signals ------------------------------------------------------------------------------------------------------

    def _read_signals(self) -> None:
        top_window = self._window(("window",)) if "window" in self._document else Ever()
        signals = self._document.get("signals")
        for name, written in signals.items() if isinstance(signals, dict) else ():
            subject = None if self._is_bad("signals", name) else self._signal(name, written, top_window)
            self._signals[name] = subject or _UNUSABLE

    def _signal(self, name: str, written: Mapping[str, Any], top_window: Window | None) -> Use | Trait | None:
        path: Path = ("signals", name)
        for key in written:
            if key in _AGGREGATES_NOT_YET or key == "ago":
                self.findings.add_not_yet((*path, key), quoted(key))
        if "trait" in written:
            return self._trait(written["trait"], (*path, "trait"))
        where = self._where((*path, "where"))
        window = self._window((*path, "within")) if "within" in written else top_window
        aggregate = "count" if "count" in written else "distinct"
        if aggregate not in written or "ago" in written or where is None or window is None:
            return None
        matcher = self._matcher(written[aggregate], (*path, aggregate), where)
        signal = Signal(self._entity, "count" if aggregate == "count" else "distinct", matcher, written.get("of"))
        return Use(name, signal, window)

    def _matcher(self, written: str | list[str], path: Path, where: tuple[tuple[str, Comparator], ...]) -> Matcher:
        names = [written] if isinstance(written, str) else written
        if names == ["any"]:
            return Matcher((), where)
        if "any" in names:
            self.findings.add("D002", path, "`any` is every event already; let it stand alone")
        return Matcher(tuple(names), where)

    def _where(self, path: Path) -> tuple[tuple[str, Comparator], ...] | None:
        """The tests of a `where`; None if one of them is unreadable."""
        written = self.findings.tree.get(path) or {}
        tests = {name: self._comparator((*path, name)) for name in written}
        readable = tuple((name, test) for name, test in tests.items() if test is not None)
        return readable if len(readable) == len(tests) else None

    def _window(self, path: Path) -> Window | None:
        if self._is_bad(*path):
            return None
        text = str(self.findings.tree.get(path))
        window = parse_window(text)
        if window is None:
            return None
        if window.kind == "ever":
            return Ever()
        if window.kind != "anchored":
            self.findings.add_not_yet(path, f"{quoted(text)}, {_WINDOW_WORDS[window.kind]},")
            return None
        if not 0 < window.length <= DURATION_MAX:
            self.findings.add("D008", path, f"{quoted(text)} is not between a second and a hundred years")
            return None
        events = () if window.anchor == "any" else (window.anchor,)
        return Anchored(window.length, Signal(self._entity, "count", Matcher(events)), text)

    # --- conditions ---------------------------------------------------------------------------------------------------

    def _clause(self, name: str) -> Condition | None:
        return self._condition((name,)) if name in self._document else None

    def _condition(self, path: Path) -> Condition | None:
        """A mapping: AND of its entries. None if one of them cannot be compiled; the reason is noted."""
        parts = self._entries(path)
        if parts is None:
            return None
        return parts[0] if len(parts) == 1 else All(parts)

    def _entries(self, path: Path) -> tuple[Condition, ...] | None:
        """The conditions that a mapping's entries, or a list's items, stand for; None if one is missing."""
        if path in self.bad_paths:
            return None
        written = self.findings.tree.get(path)
        if isinstance(written, list):
            parts = [self._condition((*path, index)) for index in range(len(written))]
        else:
            parts = [self._entry((*path, key), key) for key in written]
        whole = tuple(part for part in parts if part is not None)
        return whole if len(whole) == len(parts) else None

    def _entry(self, path: Path, key: str) -> Condition | None:
        if path in self.bad_paths:
            return None
        match key:
            case "all":
                parts = self._entries(path)
                return None if parts is None else All(parts)
            case "any":
                parts = self._entries(path)
                return None if parts is None else AnyOf(parts)
            case "not":
                inner = self._condition(path)
                return None if inner is None else Not(inner)
            case "at_least":
                return self._at_least(path)
        if key in _ENTRIES_NOT_YET:
            self.findings.add_not_yet(path, quoted(key))
            return None
        return self._criterion(path, key)

    def _at_least(self, path: Path) -> Condition | None:
        written = self.findings.tree.get(path)
        parts = self._entries((*path, "of"))
        if parts is None or self._is_bad(*path):
            return None
        if "count" in written:
            return AtLeast(parts, count=written["count"])
        return AtLeast(parts, share=Decimal(written["share"].removesuffix("%")) / 100)

    def _criterion(self, path: Path, name: str) -> Condition | None:
        subject = self._trait(name, path) if "." in name else self._named(name, path)
        test = self._comparator(path)
        return None if subject is None or test is None else Criterion(subject, test)

    def _named(self, name: str, path: Path) -> Use | Trait | None:
        subject = self._signals.get(name)
        if subject is None and ("signals",) not in self.bad_paths:
            hint = did_you_mean(name, self._signals)
            message = f"no signal is called {quoted(name)}{hint}"
            if not self._signals:
                message += "; name it under `signals`, or write user.NAME or account.NAME for a trait"
            self.findings.add("D004", path, message, on_key=True)
        return None if isinstance(subject, _Unusable) else subject

    def _trait(self, written: str, path: Path) -> Trait | None:
        """A trait of the entity itself, or, in a definition of users, of the account they belong to."""
        kind, _, key = written.partition(".")
        if kind == "user" and self._entity == "account":
            self.findings.add_not_yet(path, f"a trait of the user ({quoted(written)}) in a definition of accounts")
            return None
        return Trait("account" if kind == "account" else "user", key)

    def _comparator(self, path: Path) -> Comparator | None:
        written = self.findings.tree.get(path)
        try:
            return parse_comparator(written, self.project.values)
        except UnreadableComparator as error:
            self.findings.add("D005", path, str(error))
            return None

    # --- the rest -----------------------------------------------------------------------------------------------------

    def _exclusions(self) -> tuple[Exclusion, ...]:
        named = self._document.get("exclude", [])
        if self._is_bad("exclude") or not isinstance(named, list):
            return ()
        for index, name in enumerate(named):
            if name not in self.project.lists:
                hint = did_you_mean(name, self.project.lists) or "; its file, project.yaml, has none"
                self.findings.add("D006", ("exclude", index), f"the project has no exclusion list {quoted(name)}{hint}")
        names = dict.fromkeys((*self.project.default_lists, *named))
        return tuple(self.project.lists[name] for name in names if name in self.project.lists)

    def _check_prediction(self) -> None:
        """What a definition predicts does not decide; it is carried along, once its tests are readable."""
        if not self._is_bad("predicts"):
            self._where(("predicts", "where"))
