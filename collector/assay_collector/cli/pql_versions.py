"""``assay pql shadow | activate | retire | history``: which versions of definitions run."""

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.contract.times import format_instant
from assay_collector.cli.opening import now, opened
from assay_collector.cli.options import Command, json_options, settings_options
from assay_collector.cli.output import print_json, printable
from assay_collector.settings import Resolved

if TYPE_CHECKING:
    from assay_collector.cli.candidates import Candidate
    from assay_collector.store import Store, Version, VersionChange

_TAKEN_UP = "a running collector takes it up within seconds, any other when it starts; see `assay pql history`"


def _by_options(*, must: bool) -> Callable[[Command], Command]:
    """Who and why, for the record."""

    def decorate(command: Command) -> Command:
        who = click.option(
            "--by", required=must, default=None if must else getpass.getuser, help="Who decides so, for the record."
        )
        why = click.option("--note", required=must, default=None if must else "", help="Why, for the record.")
        return who(why(command))

    return decorate


@click.command(
    help="""Let a definition decide, in place of the version before.

    TARGET is the file of one definition, or the id of one that is known to the register: its shadow, else its latest
    version; ID@VERSION names another. What lint or the definition's own examples refuse is not activated.

    Verdicts that change by it are recorded with the cause `definition`, and nobody is alerted. Signals that are new
    are filled from the stored events first; until then the version before goes on.

    Exits with 1 when it is refused.

    \b
    Examples:
      assay pql activate candidate.yaml --by ada --note "counts accepted invites only"
      assay pql activate team-invites --by ada --note "the shadow did well for two weeks"
      assay pql activate team-invites@1 --by bo --note "back to the first"
    """
)
@click.argument("target")
@_by_options(must=True)
@settings_options("database", "definitions", "plan")
@json_options
def activate(resolved: Resolved, target: str, by: str, note: str, format_: str) -> None:
    """See the command's help."""
    from assay_collector.qualify.versions import activate as run

    _put(resolved, target, by, note, format_, run, "is active already")


@click.command(
    help="""Let a definition be decided on the side: recorded, but no lead, and nobody is told.

    TARGET is the file of one definition, or the id of one that is known to the register (ID@VERSION names a version).
    Each definition has at most one shadow; a new one replaces it. `assay leads --definition shadow:ID@VERSION` lists
    what it says.

    Exits with 1 when lint or its own examples refuse it.

    \b
    Examples:
      assay pql shadow candidate.yaml
      assay pql shadow candidate.yaml --by ada --note "is a half-life of three days better?"
    """
)
@click.argument("target")
@_by_options(must=False)
@settings_options("database", "definitions", "plan")
@json_options
def shadow(resolved: Resolved, target: str, by: str, note: str, format_: str) -> None:
    """See the command's help."""
    from assay_collector.qualify.versions import shadow as run

    _put(resolved, target, by, note, format_, run, "is decided already")


@click.command(
    help="""Let a definition, and its shadow, decide no more.

    Whoever is qualified under it is so no longer: open qualifications are retracted, with the cause `definition`, and
    nobody is alerted. What was over stays on record. Tallies are kept until the next start, so that changing your mind
    costs nothing.

    \b
    Examples:
      assay pql retire team-invites --by ada --note "replaced by composite-onboarding"
    """
)
@click.argument("id")
@_by_options(must=False)
@settings_options("database")
@json_options
def retire(resolved: Resolved, id: str, by: str, note: str, format_: str) -> None:
    """See the command's help."""
    from assay_collector.qualify.versions import Decided
    from assay_collector.qualify.versions import retire as run

    with opened(resolved.settings.database) as store:
        change = run(store.register, id, Decided(by, note, now()))
    _say_changed(change, f"{id} is retired already", format_)


@click.command(
    help="""Say which versions of definitions ran: who changed them, when, why, and what was different.

    \b
    Examples:
      assay pql history
      assay pql history team-invites
      assay pql history --json | jq '.changes[-1]'
    """
)
@click.argument("id", required=False)
@settings_options("database")
@json_options
def history(resolved: Resolved, id: str | None, format_: str) -> None:
    """See the command's help."""
    from assay_collector.qualify.versions import UnknownVersion

    with opened(resolved.settings.database) as store:
        versions, changes = store.register.versions(id), store.register.history(id)
        if id is not None and not versions:
            raise UnknownVersion(id, tuple(sorted({version.id for version in store.register.versions()})))
        states = _states(store)
        shown = [_version(version, states) for version in versions if version.status != "retired"]
    if format_ == "json":
        print_json({"definitions": shown, "changes": [_change(change) for change in changes]})
        return
    for each in shown:
        click.echo(f"{each['definition']} v{each['version']}: {each['status']} since {each['since']}, {each['state']}")
    for change in changes:
        _print_change(change)
    if not changes:
        click.echo("no definition was ever registered; `assay serve --definitions` registers a folder", err=True)


def _put(
    resolved: Resolved,
    target: str,
    by: str,
    note: str,
    format_: str,
    run: "Callable[..., VersionChange | None]",
    nothing: str,
) -> None:
    from assay_collector.qualify.versions import Decided

    with opened(resolved.settings.database, create=Path(target).is_file()) as store:
        candidate = _candidate(store, resolved, target)
        if candidate.written is None or not candidate.is_acceptable:
            _refuse(candidate, format_)
            return
        change = run(store.register, candidate.written, Decided(by, note, now()))
    for problem in candidate.problems:
        click.echo(printable(str(problem)), err=True)
    _say_changed(
        change, f"{candidate.written.definition.id} v{candidate.written.definition.version} {nothing}", format_
    )


def _candidate(store: "Store", resolved: Resolved, target: str) -> "Candidate":
    # Needs the collector extra.
    from assay.plans import load_plan
    from assay_collector.cli.candidates import read_file, read_version
    from assay_collector.qualify.versions import find

    settings = resolved.settings
    plan = load_plan(settings.plan) if settings.plan else None
    if Path(target).is_file():
        return read_file(Path(target), settings, plan, store.register)
    if target.endswith((".yaml", ".yml")):
        raise click.ClickException(f"there is no file {target}")
    return read_version(find(store.register, target), plan, store.register)


def _refuse(candidate: "Candidate", format_: str) -> None:
    if format_ == "json":
        print_json({"change": None, **candidate.to_json()})
    else:
        for reason in candidate.reasons():
            click.echo(printable(reason))
        click.echo("refused: nothing was changed", err=True)
    raise SystemExit(1)


def _say_changed(change: "VersionChange | None", nothing: str, format_: str) -> None:
    if format_ == "json":
        print_json({"change": None if change is None else _change(change)})
        return
    if change is None:
        click.echo(f"{nothing}; nothing was changed")
        return
    _print_change(change)
    click.echo(_TAKEN_UP, err=True)


# --- showing ---


def _states(store: "Store") -> dict[str, str]:
    """How far each definition is, by its content's hash: whether it decides already."""
    from assay_collector.qualify.refill import UNDER_WAY
    from assay_collector.qualify.versions import running

    deciding = store.tallies.definitions()
    waiting = {filling.signal: filling.live_after - filling.filled_to for filling in store.tallies.fillings()}
    states: dict[str, str] = {}
    for definition in running(store.register, now()).all.definitions:
        known = deciding.get(definition.id)
        left = max((waiting.get(signal.id, 0) for signal in definition.signals), default=0)
        if known is not None and known.hash == definition.hash:
            states[definition.id] = f"deciding since {format_instant(known.live_at)}"
        elif left:
            states[definition.id] = f"being filled, {left} log positions to go"
        elif UNDER_WAY in deciding:
            states[definition.id] = "everybody is being decided anew"
        else:
            states[definition.id] = "not taken up by a collector yet"
    return states


def _version(version: "Version", states: dict[str, str]) -> dict[str, Any]:
    from assay_collector.qualify.versions import compiled, shadow_name

    name = version.id if version.status == "active" else shadow_name(compiled(version))
    return {
        "definition": version.id,
        "version": version.version,
        "status": version.status,
        "since": format_instant(version.since),
        "state": states.get(name, "not taken up by a collector yet"),
        "hash": version.hash,
        "content": version.content,
    }


def _change(change: "VersionChange") -> dict[str, Any]:
    until = change.overlap_until
    return {
        "definition": change.id,
        "version": change.version,
        "change": change.change,
        "at": format_instant(change.at),
        "by": change.actor,
        "note": change.note,
        "replaced": change.replaced_version,
        "trend": change.trend,
        "overlapUntil": None if until is None else format_instant(until),
        "diff": list(change.diff),
        "content": change.content,
    }


def _print_change(change: "VersionChange") -> None:
    instead = "" if change.replaced_version is None else f", version {change.replaced_version} before"
    trend = "" if change.trend is None else f", trend {change.trend}"
    both = "" if change.overlap_until is None else f", both until {format_instant(change.overlap_until)}"
    note = f": {change.note}" if change.note else ""
    head = f"{format_instant(change.at)} {change.id} v{change.version} {change.change}{instead}{trend}{both}"
    click.echo(printable(f"{head}, by {change.actor}{note}"))
    for line in change.diff:
        click.echo(printable(f"  {line}"))
