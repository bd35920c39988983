"""The conditions of a document, compiled."""

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from assay.contract.times import DAY, HOUR
from assay_collector.pql.comparators import Comparator
from assay_collector.pql.definition import (
    All,
    AnyOf,
    AtLeast,
    Condition,
    Criterion,
    Not,
    Points,
    Score,
    ScorePoints,
    Sequence,
    Subject,
    Use,
)
from assay_collector.pql.document import Document
from assay_collector.pql.problems import quoted
from assay_collector.pql.signals import Signals, is_since
from assay_collector.pql.windows import is_elapsed
from assay_collector.pql.yaml_tree import Path, walk

# Points decay in steps of an hour or a day; a half-life shorter than a step would not be exact.
HALF_LIFE_MIN, HALF_LIFE_MAX = HOUR, 365 * DAY


@dataclass
class Conditions:
    """Compiles conditions. None stands for one that cannot be compiled; the reason is noted."""

    document: Document
    signals: Signals
    # Where the definition's score is written.
    score_path: Path | None = None
    # While the items of a score are compiled: they cannot ask for the score.
    _in_score: bool = False

    @cached_property
    def has_score(self) -> bool:
        """Whether the definition lists what gives points."""
        return any(
            path[-1:] == ("score",) and isinstance(written, list) and not self._is_test_of_score(path)
            for clause in ("qualify", "stages")
            for path, written in walk(self.document.get(clause), (clause,))
        )

    def compile(self, *path: str | int) -> Condition | None:
        """A mapping: AND of its entries. None also if there is none."""
        if self.document.get(*path) is None:
            return None
        parts = self._entries(path)
        if parts is None:
            return None
        return parts[0] if len(parts) == 1 else All(parts)

    def _entries(self, path: Path) -> tuple[Condition, ...] | None:
        """The conditions that a mapping's entries, or a list's items, stand for; None if one is missing."""
        written = self.document.get(*path)
        if path in self.document.bad_paths or not isinstance(written, list | dict):
            return None
        if isinstance(written, list):
            parts = [self.compile(*path, index) for index in range(len(written))]
        else:
            has_score = isinstance(written.get("score"), list)
            keys = [key for key in written if not (has_score and key in ("enter", "exit"))]
            parts = [self._entry((*path, key), key) for key in keys]
        whole = tuple(part for part in parts if part is not None)
        return whole if len(whole) == len(parts) else None

    def _entry(self, path: Path, key: str) -> Condition | None:
        if path in self.document.bad_paths:
            return None
        match key:
            case "all":
                parts = self._entries(path)
                return None if parts is None else All(parts)
            case "any":
                parts = self._entries(path)
                return None if parts is None else AnyOf(parts)
            case "not":
                inner = self.compile(*path)
                return None if inner is None else Not(inner)
            case "at_least":
                return self._at_least(path)
            case "fit":
                return self._fit(path)
            case "score":
                return self._score_entry(path)
            case "enter" | "exit":
                message = f"{quoted(key)} goes with a `score` that lists items: `score: [...]`"
                self.document.note("D013", path, message, on_key=True)
                return None
        return self._criterion(path, key)

    def _at_least(self, path: Path) -> Condition | None:
        written = self.document.get(*path)
        parts = self._entries((*path, "of")) if isinstance(written, dict) else None
        if parts is None or self.document.is_bad(*path):
            return None
        if "count" in written:
            return AtLeast(parts, count=written["count"])
        return AtLeast(parts, share=self.document.percent(*path, "share"))

    def _fit(self, path: Path) -> Condition | None:
        if path[0] != "route":
            message = "whether `fit` matches is asked in `route` only; write its conditions out here"
            self.document.note("D014", path, message, on_key=True)
            return None
        if self.document.get("fit") is None:
            self.document.note("D014", path, "the definition has no `fit` to match; add one", on_key=True)
            return None
        fit = All(())  # what it says is compiled, and found wanting, in its own place
        return fit if self.document.get(*path) == "match" else Not(fit)

    # --- criteria ---

    def _criterion(self, path: Path, name: str) -> Condition | None:
        subject: Subject | None
        if "." in name:
            subject = self.document.trait(name, path, on_key=True)
        else:
            subject = self.signals.get(name, path, on_key=True)
        test = self._test(subject, path)
        if subject is None or test is None:
            return None
        criterion = Criterion(subject, test)
        self.document.criteria.append((path, criterion))
        return criterion

    def _test(self, subject: Subject | None, path: Path) -> Comparator | None:
        """The test of a subject; of one that could not be compiled, whatever could be meant is right."""
        written = self.document.get(*path)
        if is_since(subject) or (subject is None and is_elapsed(written)):
            return self.document.elapsed(path)
        if subject is not None and is_elapsed(written):
            message = (
                f"{quoted(written)} is a test of a duration, and {quoted(subject.name)} is none; "
                "write a plain number, or measure the time since an event with `since: EVENT`"
            )
            self.document.note("D005", path, message)
            return None
        return self.document.comparator(path)

    # --- the score ---

    def _score_entry(self, path: Path) -> Condition | None:
        if isinstance(self.document.get(*path), list) and not self._is_test_of_score(path):
            return self._score(path)
        if self._in_score or not self.has_score:
            why = "an item of the score cannot ask for it" if self._in_score else "the definition has no score"
            message = f"{why}; `score: [...]` in `qualify` lists what gives points"
            self.document.note("D013", path, message, on_key=True)
            return None
        test = self._test(ScorePoints(), path)
        if test is None:
            return None
        criterion = Criterion(ScorePoints(), test)
        self.document.criteria.append((path, criterion))
        return criterion

    def _is_test_of_score(self, path: Path) -> bool:
        """A list of plain values is a comparator."""
        return not all(isinstance(item, dict) for item in self.document.get(*path))

    def _score(self, path: Path) -> Condition | None:
        if not self._may_stand(path):
            return None
        self._in_score = True
        items = [self._points((*path, index)) for index in range(len(self.document.get(*path)))]
        self._in_score = False
        self.score_path = path
        limits = self._limits(path)
        whole = tuple(item for item in items if item is not None)
        if limits is None or len(whole) < len(items):
            return None
        return Score(whole, *limits)

    def _may_stand(self, path: Path) -> bool:
        message = None
        if path[0] not in ("qualify", "stages"):
            message = "what gives points is listed in `qualify`; here the score can be tested: `score: at least 80`"
        elif self._in_score:
            message = "a score has no score within it"
        elif self.score_path is not None:
            line = self.document.findings.tree.at_key(self.score_path).line
            message = f"a definition has one score; the first is on line {line}"
        if message is not None:
            self.document.note("D013", path, message, on_key=True)
        return message is None

    def _limits(self, path: Path) -> tuple[Decimal, Decimal] | None:
        """`enter` and `exit`, which stand beside the score."""
        beside = path[:-1]
        enter, leave = self._number(*beside, "enter"), self._number(*beside, "exit")
        if self.document.is_bad(*beside, "enter") or self.document.is_bad(*beside, "exit"):
            return None
        if enter is None:
            message = "the score has no `enter` beside it: the points at which to qualify, such as `enter: 60`"
            self.document.note("D013", path, message, on_key=True)
            return None
        if leave is not None and leave > enter:
            message = f"`exit: {leave}` is above `enter: {enter}`: it would end as it begins; write {enter} or less"
            self.document.note("D013", (*beside, "exit"), message)
            return None
        return enter, enter if leave is None else leave

    def _number(self, *path: str | int) -> Decimal | None:
        written = self.document.get(*path)
        is_number = isinstance(written, int | float) and not isinstance(written, bool)
        return Decimal(str(written)) if is_number else None

    def _points(self, path: Path) -> Points | None:
        if path in self.document.bad_paths or self.document.is_bad(*path, "points"):
            return None
        written = self.document.get(*path)
        points = self._number(*path, "points")
        if points is None or self.document.is_bad(*path, "cap"):
            return None
        if "when" in written:
            when = self.compile(*path, "when")
            return None if when is None else Points(points, when=when)
        each = self._each((*path, "each"))
        half_life = None
        if "half_life" in written:
            half_life = self.document.duration(*path, "half_life", least=HALF_LIFE_MIN, most=HALF_LIFE_MAX)
            if half_life is None:
                return None
        cap = self._number(*path, "cap")
        if cap is not None and cap * points < 0:
            message = f"`cap: {cap}` is on the other side of 0 than `points: {points}`; write {-cap}"
            self.document.note("D013", (*path, "cap"), message)
            return None
        return None if each is None else Points(points, each=each, cap=cap, half_life=half_life)

    def _each(self, path: Path) -> Use | Sequence | None:
        if self.document.is_bad(*path):
            return None
        name = str(self.document.get(*path))
        subject = self.signals.get(name, path)
        if isinstance(subject, Sequence):
            return subject
        if isinstance(subject, Use) and subject.signal.aggregate in ("count", "distinct", "active_days"):
            return subject
        if subject is not None:
            message = (
                f"{quoted(name)} cannot be counted one by one; `each` goes with `count`, `distinct`, `active_days` "
                "and `sequence`; for the rest write `when`"
            )
            self.document.note("D012", path, message)
        return None
