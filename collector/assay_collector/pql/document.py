"""A definition's document while it is compiled: what stands where, and what has been noted of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from assay.contract.times import DAY, SECOND
from assay_collector.pql.comparators import Comparator, UnreadableComparator, parse_comparator
from assay_collector.pql.definition import (
    Anchored,
    CalendarDays,
    CalendarMonth,
    Criterion,
    EntityKind,
    Ever,
    Matcher,
    Project,
    Rolling,
    Signal,
    Trait,
    Window,
)
from assay_collector.pql.problems import Findings, quoted
from assay_collector.pql.windows import (
    DURATION_MAX,
    WindowText,
    counts_days,
    parse_duration,
    parse_elapsed,
    parse_window,
    show_duration,
)
from assay_collector.pql.yaml_tree import Path

Where = tuple[tuple[str, Comparator], ...]


@dataclass(frozen=True)
class Document:
    """
    One definition's text and what surrounds it.

    Its readers return None for what cannot be read, and note the reason, unless the schema has noted it already.
    """

    findings: Findings
    project: Project
    # Where the text is not of the language's shape; nothing below is read.
    bad_paths: tuple[Path, ...]
    # Every criterion that could be read, with the place of its test, for the linter.
    criteria: list[tuple[Path, Criterion]] = field(default_factory=list)

    @property
    def entity(self) -> EntityKind:
        """Who qualifies."""
        return "account" if self.get("pql", "entity") == "account" else "user"

    def get(self, *path: str | int) -> Any:
        """What stands at a path; None where nothing does."""
        return self.findings.tree.get(path)

    def has(self, *path: str | int) -> bool:
        """Whether something stands at a path that can be read."""
        return self.get(*path) is not None and not self.is_bad(*path)

    def is_bad(self, *path: str | int) -> bool:
        """Whether the text at a path, around it or within it is not of the language's shape."""
        return any(bad[: len(path)] == path or (bad and bad == path[: len(bad)]) for bad in self.bad_paths)

    def note(self, rule: str, path: Path, message: str, on_key: bool = False) -> None:
        """Note a problem with the value at a path, or with the key that leads to it."""
        self.findings.add(rule, path, message, on_key)

    # --- tests ---

    def comparator(self, path: Path) -> Comparator | None:
        """The test of a value."""
        return self._test(path, lambda written: parse_comparator(written, self.project.values))

    def elapsed(self, path: Path) -> Comparator | None:
        """The test of a duration."""
        return self._test(path, parse_elapsed)

    def _test(self, path: Path, parse: Callable[[object], Comparator]) -> Comparator | None:
        try:
            return parse(self.get(*path))
        except UnreadableComparator as error:
            self.note("D005", path, str(error))
            return None

    def where(self, path: Path) -> Where | None:
        """The tests of a `where`; none if there is none."""
        written = self.get(*path) or {}
        tests = {name: self.comparator((*path, name)) for name in written}
        readable = tuple((name, test) for name, test in tests.items() if test is not None)
        return readable if len(readable) == len(tests) else None

    # --- events and traits ---

    def matcher(self, path: Path, where: Where = ()) -> Matcher:
        """The events that are named at a path."""
        written = self.get(*path)
        names = [written] if isinstance(written, str) else written
        if names == ["any"]:
            return Matcher((), where)
        if "any" in names:
            self.note("D002", path, "`any` is every event already; let it stand alone")
        return Matcher(tuple(names), where)

    def trait(self, written: str, path: Path, on_key: bool = False) -> Trait | None:
        """A trait of the entity itself, or, in a definition of users, of the account they belong to."""
        kind, _, key = written.partition(".")
        if kind == "user" and self.entity == "account":
            message = (
                f"an account has no {quoted(written)}; ask for a trait of the account, "
                "or for that of its people in the `where` of a `members` signal"
            )
            self.note("D011", path, message, on_key)
            return None
        return Trait("account" if kind == "account" else "user", key)

    # --- durations and windows ---

    def duration(self, *path: str | int, least: int = SECOND, most: int = DURATION_MAX) -> int | None:
        """The microseconds of a duration, a day as 24 hours."""
        if self.is_bad(*path):
            return None
        text = str(self.get(*path))
        length = parse_duration(text)
        if length is not None and not least <= length <= most:
            limit = f"shorter than {show_duration(least)}" if length < least else f"longer than {most // DAY} days"
            self.note("D008", path, f"{quoted(text)} is {limit}" if length else f"{quoted(text)} is no time at all")
            return None
        return length

    def percent(self, *path: str | int) -> Decimal:
        """A per cent as its fraction."""
        return Decimal(str(self.get(*path)).removesuffix("%")) / 100

    def window(self, path: Path, ago: Path | None = None) -> Window | None:
        """
        The window at a path; `ever` where there is none.

        Args:
            ago: Where a shift back is written.
        """
        written = self.get(*path)
        if self.is_bad(*path) or (ago is not None and self.is_bad(*ago)):
            return None
        text = "ever" if written is None else str(written)
        found = parse_window(text)
        if found is None:
            return None
        if found.kind not in ("ever", "month") and not 0 < found.length <= DURATION_MAX:
            self.note("D008", path, f"{quoted(text)} is not between a second and a hundred years")
            return None
        shift = 0 if ago is None else self._shift(found, text, ago)
        return None if shift is None else self._window(found, text, shift)

    def _shift(self, window: WindowText, text: str, path: Path) -> int | None:
        shift = self.duration(*path)
        if shift is None:
            return None
        written = str(self.get(*path))
        problem = None
        if window.kind not in ("rolling", "days"):
            problem = f"{quoted(text)} cannot be shifted back; `ago` goes with a window such as `7 days` or `48h`"
        elif window.kind == "rolling" and counts_days(written):
            right = quoted(f"ago: {show_duration(shift)}")
            problem = f"{quoted(text)} is exact, and {quoted(written)} are days of the calendar; write {right}"
        elif window.kind == "days" and not counts_days(written):
            days, rest = divmod(shift, DAY)
            right = quoted(f"within: {show_duration(window.length)}" if rest or not days else f"ago: {days} days")
            problem = f"{quoted(text)} are days of the calendar, and {quoted(written)} is exact; write {right}"
        if problem is not None:
            self.note("D008", path, problem)
            return None
        return shift

    def _window(self, found: WindowText, text: str, shift: int) -> Window:
        zone = self.project.timezone
        match found.kind:
            case "ever":
                return Ever()
            case "month":
                return CalendarMonth(zone)
            case "days":
                return CalendarDays(found.length // DAY, zone, shift // DAY, text)
            case "rolling":
                return Rolling(found.length, shift, text)
        events = () if found.anchor == "any" else (found.anchor,)
        return Anchored(found.length, Signal(self.entity, "count", Matcher(events)), text)
