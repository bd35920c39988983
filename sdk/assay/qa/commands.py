"""The command line for QA: `assay check` and `assay lint`."""

import io
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import click

from assay.contract.display import visible
from assay.contract.errors import AssayError
from assay.contract.plan import Plan, PlanError
from assay.plans import load_plan, read_plan_folder
from assay.qa.check import TYPES, Checker, Finding, Tally
from assay.qa.lint import ERROR, RULES, DefinitionLinter, LintFinding, Rule, lint_documents
from assay.qa.terminal import (
    EXIT_CLEAN,
    EXIT_FOUND,
    EXIT_UNUSABLE,
    Unusable,
    counted,
    format_option,
    say,
    unusable,
    write_json,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Hooks", "check", "lint"]

DEFAULT_PLAN: Final = Path("schemas/plan")
MISSING_EXTRA: Final = "linting definitions needs the collector: pip install 'assay[collector]'"

# Below this size a recording is read before a progress bar could be seen.
_PROGRESS_BYTES_MIN = 8 * 1024 * 1024
_UNPLANNED_SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class Hooks:
    """
    What other parts add to these commands; hand it over as the click context's object.

    A definition linter may raise ImportError: the extra it needs is then named in one line.
    """

    definition_linters: tuple[DefinitionLinter, ...] = ()
    # The rules that those linters know, as `--rules` lists them.
    definition_rules: tuple[Rule, ...] = ()


def _default_plan() -> Path | None:
    return DEFAULT_PLAN if DEFAULT_PLAN.is_dir() else None


_plan_option = click.option(
    "--plan",
    "plan_folder",
    type=click.Path(path_type=Path),
    envvar="ASSAY_PLAN",
    show_envvar=True,
    default=_default_plan,
    show_default="./schemas/plan, if there is one",
    metavar="DIR",
    help="The folder of the tracking plan.",
)


# -- check -------------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@_plan_option
@format_option
@click.option(
    "--type",
    "types",
    type=click.Choice(TYPES),
    multiple=True,
    help="Check only messages of this type; may be given more than once.",
)
@click.option(
    "--allow-unplanned",
    is_flag=True,
    help="Count events that the plan does not have, but do not call them violations.",
)
def check(
    files: tuple[str, ...], plan_folder: Path | None, form: str, types: tuple[str, ...], allow_unplanned: bool
) -> None:
    """
    Check recorded events against a tracking plan.

    FILE holds tracking messages as SDKs send them: one message, one batch or one array of messages a line, plain or
    gzipped. A dash is the standard input. Each violation is shown with its line, the JSON pointer into that line, and
    the rule. Values that the plan marks as personal data are never shown.

    \b
    Examples:
      assay check events.ndjson
      assay check --plan schemas/planboard/plan yesterday.ndjson.gz today.ndjson
      assay check --type track --allow-unplanned events.ndjson
      kubectl logs deploy/app | grep '^{' | assay check - --plan plan
      jq -c . batch.json | assay check -
      assay check --format json events.ndjson | jq -r 'select(.kind=="violation") | .rule' | sort | uniq -c

    \b
    Exit code:
      0  every event fits the plan
      1  there are violations
      2  a file or the plan cannot be read, or the command was misused
    """
    plan = _load(plan_folder)
    checker = Checker(plan=plan, types=frozenset(types), unplanned_is_finding=not allow_unplanned)
    show: Callable[[Finding], None] = _show_json if form == "json" else _show_finding
    found = unreadable = 0
    for file in files:
        try:
            with _open(file) as recording:
                for finding in checker.check(recording.name, recording.stream):
                    recording.clear_line()
                    show(finding)
                    found += 1
        except (OSError, EOFError, zlib.error) as error:
            say(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}", err=True)
            unreadable += 1
    if form == "json":
        write_json({**checker.tally.to_json(), "plan": plan.name, "plan_revision": plan.revision})
    else:
        _show_tally(checker.tally, plan, len(files))
    sys.exit(EXIT_UNUSABLE if unreadable else EXIT_FOUND if found else EXIT_CLEAN)


def _show_finding(finding: Finding) -> None:
    where = f"{finding.file}:{finding.line}"
    about = " ".join([finding.type or "", f'"{finding.event}"' if finding.event else "", finding.version or ""]).split()
    suffix = f"  ({' '.join(about)})" if about else ""
    at = f"{finding.pointer}: " if finding.pointer else ""
    say(f"{where}: {at}{finding.rule}: {finding.message}{suffix}")


def _show_json(finding: Finding | LintFinding) -> None:
    write_json(finding.to_json())


def _show_tally(tally: Tally, plan: Plan, files: int) -> None:
    say("")
    say(
        f"{counted(tally.events, 'event')} in {counted(files, 'file')} against {plan.name} ({plan.revision}): "
        f"{tally.valid:,} valid, {tally.invalid:,} invalid, {tally.unplanned:,} unplanned"
        + (f"; {tally.skipped:,} left out by type" if tally.skipped else "")
    )
    if tally.by_rule:
        say("violations by rule: " + ", ".join(f"{rule} {count:,}" for rule, count in tally.by_rule.most_common()))
    if tally.unplanned_events:
        say("unplanned events:")
        for name, count in tally.unplanned_events.most_common(_UNPLANNED_SHOWN_MAX):
            say(f"  {count:>8,}  {name}")
        hidden = len(tally.unplanned_events) - _UNPLANNED_SHOWN_MAX
        if hidden > 0:
            say(f"            and {hidden:,} more")
    if tally.unreadable and tally.unreadable == tally.lines:
        say("no line is JSON by itself; is the file indented? try: jq -c . FILE | assay check -", err=True)


@dataclass(frozen=True, slots=True)
class _Recording:
    name: str
    stream: IO[bytes]
    # Takes the progress bar, if there is one, off the line before something else is written.
    clear_line: Callable[[], None]


@contextmanager
def _open(file: str) -> Iterator[_Recording]:
    """Open a recording; on a terminal a long one shows its progress."""
    if file == "-":
        yield _Recording("stdin", sys.stdin.buffer, _nothing)
        return
    path = Path(file)
    with path.open("rb", buffering=0) as stream:
        size = path.stat().st_size
        if size < _PROGRESS_BYTES_MIN or not sys.stderr.isatty():
            yield _Recording(file, io.BufferedReader(stream), _nothing)
            return
        label = visible(path.name)
        with click.progressbar(length=size, label=label, file=sys.stderr, update_min_steps=1 << 20) as bar:
            yield _Recording(file, io.BufferedReader(_Metered(stream, bar.update)), _clear_line)


class _Metered(io.RawIOBase):
    """A file that tells how far it has been read."""

    def __init__(self, stream: io.FileIO, advance: Callable[[int], None]) -> None:
        self._stream = stream
        self._advance = advance

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        count = self._stream.readinto(buffer) or 0
        self._advance(count)
        return count


def _nothing() -> None:
    return


def _clear_line() -> None:
    click.echo("\r\x1b[2K", nl=False, err=True)


# -- lint --------------------------------------------------------------------------------------------------------------


@click.command()
@_plan_option
@click.option(
    "--definitions",
    "definitions_folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="The folder of definitions; needs the extra assay[collector].",
)
@format_option
@click.option("--ignore", "ignored", multiple=True, metavar="RULE", help="Leave a rule out, such as P004; repeatable.")
@click.option("--strict", is_flag=True, help="Warnings too make the exit code 1.")
@click.option("--rules", "list_rules", is_flag=True, help="List every rule, and stop.")
@click.pass_context
def lint(
    context: click.Context,
    plan_folder: Path | None,
    definitions_folder: Path | None,
    form: str,
    ignored: tuple[str, ...],
    strict: bool,
    list_rules: bool,
) -> None:
    """
    Check a tracking plan, and the definitions that read it.

    Finds what keeps a plan from loading (P000), and what it may say but had better not: events without owner,
    properties without type, breaking changes without a new MODEL, names that sound like personal data, and more.

    \b
    Examples:
      assay lint
      assay lint --plan schemas/planboard/plan --definitions schemas/planboard/definitions
      assay lint --ignore P004 --strict
      assay lint --rules
      assay lint --format json | jq -r 'select(.rule=="P008") | .file'

    \b
    Exit code:
      0  no errors (with --strict, no warnings either)
      1  errors found
      2  a folder cannot be read, or the command was misused
    """
    hooks = context.find_object(Hooks) or Hooks()
    if list_rules:
        _show_rules((*RULES.values(), *hooks.definition_rules))
        return
    if plan_folder is None and definitions_folder is None:
        raise click.UsageError(_NO_PLAN)
    plan, findings = (None, []) if plan_folder is None else _lint_plan(plan_folder)
    if definitions_folder is not None:
        findings += _lint_definitions(hooks, definitions_folder, plan)
    kept = [finding for finding in findings if finding.rule not in ignored]
    _show_findings(kept, form)
    fatal = any(strict or finding.severity == ERROR for finding in kept)
    sys.exit(EXIT_FOUND if fatal else EXIT_CLEAN)


def _lint_plan(folder: Path) -> tuple[Plan | None, list[LintFinding]]:
    try:
        documents = read_plan_folder(folder)
    except PlanError as error:
        raise unusable(error) from None
    plan, findings = lint_documents(documents, time.time_ns() // 1000)
    return plan, findings


def _lint_definitions(hooks: Hooks, folder: Path, plan: Plan | None) -> list[LintFinding]:
    if not hooks.definition_linters:
        raise Unusable(MISSING_EXTRA)
    try:
        return [finding for linter in hooks.definition_linters for finding in linter(folder, plan)]
    except ImportError:
        raise Unusable(MISSING_EXTRA) from None
    except AssayError as error:
        raise unusable(error) from None


def _show_findings(findings: list[LintFinding], form: str) -> None:
    errors = sum(finding.severity == ERROR for finding in findings)
    warnings = len(findings) - errors
    if form == "json":
        for finding in findings:
            _show_json(finding)
        write_json({"kind": "summary", "errors": errors, "warnings": warnings})
        return
    for finding in findings:
        line = f":{finding.line}" if finding.line else ""
        line += f":{finding.column}" if finding.column else ""
        at = f"#{finding.pointer}" if finding.pointer else ""
        say(f"{finding.file}{line}{at}: {finding.severity} {finding.rule}: {finding.message}")
    if findings:
        say("")
    say(f"{counted(errors, 'error')}, {counted(warnings, 'warning')}")


def _show_rules(rules: Iterable[Rule]) -> None:
    for rule in rules:
        say(f"{rule.id}  {rule.severity:<7}  {rule.title}")


# -- both --------------------------------------------------------------------------------------------------------------

_NO_PLAN = "which plan? give --plan DIR, set ASSAY_PLAN, or run where there is a folder schemas/plan"


def _load(folder: Path | None) -> Plan:
    if folder is None:
        raise click.UsageError(_NO_PLAN)
    try:
        return load_plan(folder)
    except PlanError as error:
        raise unusable(error) from None
