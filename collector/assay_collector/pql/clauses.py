"""The clauses around `qualify`: tiers, levels, stages, variants and lifecycle, compiled; the others, checked."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from assay_collector.pql.conditions import Conditions
from assay_collector.pql.definition import (
    Condition,
    Lifecycle,
    NamedTrait,
    Requalify,
    Rung,
    ScorePoints,
    Signal,
    Subject,
    Trait,
    Variant,
    subjects,
)
from assay_collector.pql.document import Document
from assay_collector.pql.problems import did_you_mean, quoted
from assay_collector.pql.signals import Signals, is_since
from assay_collector.pql.yaml_tree import Path

# What a lead can carry besides signals and traits.
_PAYLOAD_WORDS = ("reason", "score", "stage", "tier", "level", "fit")


@dataclass(frozen=True)
class Clauses:
    """Compiles the clauses of a document. What cannot be compiled is left out; the reason is noted."""

    document: Document
    signals: Signals
    conditions: Conditions

    # --- how far and how well ---

    def tiers(self) -> tuple[Rung, ...]:
        """The tiers, the best first."""
        written = self.document.get("tiers")
        names = written if isinstance(written, dict) else ()
        found = ((name, self.conditions.compile("tiers", name)) for name in names)
        return tuple(Rung(name, condition) for name, condition in found if condition is not None)

    def levels(self) -> tuple[Decimal, ...]:
        """The levels, ascending."""
        if not self.document.has("levels"):
            return ()
        levels: list[Decimal] = []
        for index, written in enumerate(self.document.get("levels")):
            level, message = self.document.percent("levels", index), None
            if not 0 < level <= 1:
                message = f"a level is a share of the criteria, above 0% and up to 100%; {quoted(written)} is none"
            elif levels and level <= levels[-1]:
                message = f"levels ascend, each once; {quoted(written)} does not come after the one before it"
            if message is not None:
                self.document.note("D014", ("levels", index), message)
            levels.append(level)
        return tuple(levels)

    def stages(self) -> tuple[Rung, ...]:
        """The stages, the first one first."""
        found: dict[str, Rung] = {}
        for index, name in self._stage_names():
            condition = self.conditions.compile("stages", index, "qualify")
            if name in found:
                message = f"the stage {quoted(name)} is here twice; give each its own name"
                self.document.note("D014", ("stages", index, "name"), message)
            elif condition is not None:
                found[name] = Rung(name, condition)
        return tuple(found.values())

    def _stage_names(self) -> Iterator[tuple[int, str]]:
        written = self.document.get("stages")
        for index, stage in enumerate(written if isinstance(written, list) else ()):
            if isinstance(stage, dict) and not self.document.is_bad("stages", index, "name"):
                yield index, str(stage["name"])

    # --- other ways to qualify ---

    def variants(self) -> tuple[Variant, ...]:
        """The variants, the first that fits being the one that counts."""
        written = self.document.get("variants")
        indexes = range(len(written)) if isinstance(written, list) else ()
        found = [self._variant(("variants", index)) for index in indexes]
        return tuple(variant for variant in found if variant is not None)

    def _variant(self, path: Path) -> Variant | None:
        when = self.conditions.compile(*path, "when")
        qualify = self.conditions.compile(*path, "qualify")
        stage = self._variants_stage(path)
        if when is not None:
            self._check_segment(when, (*path, "when"))
        if when is None or qualify is None or self.document.is_bad(*path, "name"):
            return None
        return Variant(self.document.get(*path, "name"), when, qualify, stage)

    def _check_segment(self, when: Condition, path: Path) -> None:
        """A segment is what somebody is, not what somebody does."""
        for subject in subjects(when):
            if not isinstance(subject, Trait | NamedTrait):
                message = f"a variant is chosen by traits, and {quoted(subject.name)} is none; test it in `qualify`"
                self.document.note("D012", path, message)

    def _variants_stage(self, path: Path) -> str | None:
        stages = [name for _, name in self._stage_names()]
        stage = self.document.get(*path, "stage")
        if self.document.is_bad(*path) or ("stages",) in self.document.bad_paths:
            return None
        if stage is None:
            if stages:
                names = ", ".join(map(quoted, stages))
                message = f"the definition has stages; say with `stage` which one this stands in for: {names}"
                self.document.note("D014", path, message)
        elif stage not in stages:
            hint = did_you_mean(stage, stages) if stages else "; it has no `stages`: leave `stage` out"
            self.document.note("D004", (*path, "stage"), f"the definition has no stage {quoted(stage)}{hint}")
        return str(stage) if stage in stages else None

    # --- the lifecycle ---

    def lifecycle(self) -> Lifecycle:
        """How a qualification begins, ends and begins again."""
        hold = self._duration("hold", least=0)
        return Lifecycle(
            hold=0 if hold is None else hold,
            exit=self.conditions.compile("lifecycle", "exit"),
            expire=self._duration("expire", least=1),
            convert=self._convert(),
            requalify=self._requalify(),
        )

    def _duration(self, *path: str, least: int) -> int | None:
        whole = ("lifecycle", *path)
        return self.document.duration(*whole, least=least) if self.document.has(*whole) else None

    def _convert(self) -> Signal | None:
        if not self.document.has("lifecycle", "convert"):
            return None
        where = self.document.where(("lifecycle", "convert", "where"))
        matcher = self.document.matcher(("lifecycle", "convert", "event"), where or ())
        return Signal(self.document.entity, "count", matcher)

    def _requalify(self) -> Requalify | None:
        after = self._duration("requalify", "after", least=0)
        if after is None:
            return None
        path: Path = ("lifecycle", "requalify", "beyond")
        names = self.document.get(*path) if self.document.has(*path) else {}
        marks = ((self._mark((*path, name), name), self.document.percent(*path, name)) for name in names)
        return Requalify(after, tuple((subject, factor) for subject, factor in marks if subject is not None))

    def _mark(self, path: Path, name: str) -> Subject | None:
        if name == "score" and self.conditions.has_score:
            return ScorePoints()
        subject = self.signals.get(name, path, on_key=True)
        if is_since(subject):
            message = f"{quoted(name)} is a time since; a mark to pass is a number, such as a `count`"
            self.document.note("D012", path, message, on_key=True)
        return subject

    # --- what decides nothing, and is carried along ---

    def check_what_goes_along(self) -> None:
        """Note what is wrong with the clauses that do not decide."""
        if not self.document.is_bad("predicts"):
            self.document.where(("predicts", "where"))
            self.document.duration("predicts", "within")
        self._check_routes()
        self._check_arms()
        self._check_supersedes()
        self._check_examples()

    def _check_routes(self) -> None:
        routes = self.document.get("route")
        for index, route in enumerate(routes if isinstance(routes, list) else ()):
            path: Path = ("route", index)
            self.conditions.compile(*path, "when")
            for place in range(len(route["payload"]) if self.document.has(*path, "payload") else 0):
                self._check_payload((*path, "payload", place))
            if self.document.has(*path, "until") and self.document.get("lifecycle", "convert") is None:
                message = "nothing ever converts; say with `lifecycle: {convert: {event: ...}}` what does"
                self.document.note("D014", (*path, "until"), message)

    def _check_payload(self, path: Path) -> None:
        name = str(self.document.get(*path))
        kind, dot, _ = name.partition(".")
        if dot and kind in ("user", "account"):
            self.document.trait(name, path)
        elif name not in _PAYLOAD_WORDS:
            known = (*self.signals.names, *_PAYLOAD_WORDS)
            if name not in known:
                message = f"a lead has no {quoted(name)} to carry{did_you_mean(name, known)}"
                self.document.note("D004", path, message)

    def _check_arms(self) -> None:
        path: Path = ("experiment", "arms")
        arms = self.document.get(*path) if self.document.has(*path) else {}
        total = sum((self.document.percent(*path, name) for name in arms), Decimal(0))
        if total > 1:
            message = f"the arms add up to {(total * 100).normalize():f}%; all shares together are at most 100%"
            self.document.note("D014", path, message, on_key=True)

    def _check_supersedes(self) -> None:
        path: Path = ("continuity", "supersedes")
        version = self.document.get("pql", "version")
        if not self.document.has(*path) or self.document.is_bad("pql", "version"):
            return
        if self.document.get(*path) >= version:
            message = f"version {version} cannot supersede version {self.document.get(*path)}; name an earlier one"
            self.document.note("D014", path, message)

    def _check_examples(self) -> None:
        examples = self.document.get("tests")
        written = self.document.get("tiers")
        tiers = list(written) if isinstance(written, dict) else []
        stages = [name for _, name in self._stage_names()]
        for index in range(len(examples) if isinstance(examples, list) else 0):
            for kind, known in (("tier", tiers), ("stage", stages)):
                path: Path = ("tests", index, "expect", kind)
                name = self.document.get(*path)
                if self.document.has(*path) and name not in known:
                    hint = did_you_mean(name, known) or f"; it has no {kind}s"
                    self.document.note("D004", path, f"the definition has no {kind} {quoted(name)}{hint}")
