"""``assay pql plan``."""

import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay_collector.cli.opening import now, opened
from assay_collector.cli.options import json_options, settings_options
from assay_collector.cli.output import print_json, printable
from assay_collector.settings import Resolved

if TYPE_CHECKING:
    from assay_collector.qualify.planning import Share, Simulation
    from assay_collector.store import Store

_STEPS = 1_000


@click.command(
    help="""Say what a definition would do: who would enter, who would leave, and how well it foresees what it claims.

    FILE holds one definition: a new one, or a new version of one that runs. It is decided over everything that the
    database holds, by what decides live, beside a running collector; nothing is written.

    Exits with 0 when it could be activated, with 1 when lint or its own examples refuse it.

    \b
    Examples:
      assay pql plan definitions/habit-score.yaml
      assay pql plan candidate.yaml --database /var/lib/assay/assay.db --weeks 12
      assay pql plan candidate.yaml --json | jq .enters.count
    """
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--weeks", type=click.IntRange(1, 520), default=8, show_default=True, help="Count leads of so many weeks."
)
@click.option(
    "--names", type=click.IntRange(0), default=10, show_default=True, help="Name so many of each; JSON has all."
)
@settings_options("database", "definitions", "plan")
@json_options
def plan(resolved: Resolved, file: Path, weeks: int, names: int, format_: str) -> None:
    """See the command's help."""
    # Needs the collector extra.
    from assay.plans import load_plan
    from assay_collector.app import identity_rules
    from assay_collector.cli.candidates import read_file
    from assay_collector.qualify.planning import simulate

    settings = resolved.settings
    with opened(settings.database) as store:
        tracking = load_plan(settings.plan) if settings.plan else None
        candidate = read_file(file, settings, tracking, store.register)
        if candidate.written is None:
            _refuse(candidate.to_json(), candidate.reasons(), format_)
            return
        with click.progressbar(length=_STEPS, label="deciding", file=sys.stderr) as bar:
            found = simulate(
                store,
                candidate.written.definition,
                candidate.project,
                now=now(),
                weeks=weeks,
                identity=identity_rules(settings),
                report=_Bar(bar).report,
            )
        document = _document(store, found) | candidate.to_json()
    if format_ == "json":
        print_json(document)
    else:
        _print(document, names)
        for reason in candidate.reasons():
            click.echo(printable(reason))
    if not candidate.is_acceptable:
        raise SystemExit(1)


class _Bar:
    """Reading is the first half where there is anything to read, deciding the rest."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._at = 0

    def report(self, what: str, done: int, total: int) -> None:
        half = _STEPS // 2
        share = done * half // max(total, 1)
        at = share if what == "reading events" else half + share
        self._bar.update(at - self._at)
        self._at = at


def _refuse(document: dict[str, Any], reasons: list[str], format_: str) -> None:
    if format_ == "json":
        print_json(document)
    else:
        for reason in reasons:
            click.echo(printable(reason))
    raise SystemExit(1)


def _document(store: "Store", found: "Simulation") -> dict[str, Any]:
    definition = found.definition
    active = next((each for each in store.register.versions(definition.id) if each.status == "active"), None)
    return {
        "definition": definition.id,
        "version": definition.version,
        "entity": definition.entity,
        "monotone": definition.is_monotone,
        "running": None if active is None else active.version,
        "meansTheSame": active is not None and active.hash == definition.hash,
        "entities": found.entities,
        "qualified": len(found.qualified),
        "qualifiedNow": len(found.running),
        "enters": _named(store, found.enters),
        "leaves": _named(store, found.leaves),
        "overlaps": [
            {
                "definition": overlap.definition,
                "shared": overlap.shared,
                "jaccard": round(overlap.jaccard, 4),
                "contained": round(overlap.contained, 4),
                "large": overlap.is_large,
            }
            for overlap in found.overlaps
        ],
        "predicts": definition.document["predicts"],
        "precision": _share(found.precision),
        "recall": _share(found.recall),
        "leadsPerWeek": {"mean": round(found.per_week, 2), "weeks": list(found.weekly)},
        "backfill": {
            "signals": found.backfill.signals,
            "events": found.backfill.events,
            "seconds": round(found.backfill.seconds, 1),
        },
        "waiting": found.waiting,
    }


def _named(store: "Store", entities: Collection[bytes]) -> dict[str, Any]:
    with store.snapshot() as facts:
        known = facts.identifiers(sorted(entities))
    listed = [{"id": known[each].value if each in known else None, "entity": each.hex()} for each in sorted(entities)]
    return {"count": len(listed), "entities": listed}


def _share(share: "Share") -> dict[str, Any]:
    return {
        "hits": share.hits,
        "of": share.of,
        "share": None if share.value is None else round(share.value, 4),
        "interval95": None if share.interval is None else [round(end, 4) for end in share.interval],
    }


def _print(shown: dict[str, Any], names: int) -> None:
    against = "nothing of its id runs" if shown["running"] is None else f"v{shown['running']} runs"
    same = "; it means the same" if shown["meansTheSame"] else ""
    click.echo(f"{shown['definition']} v{shown['version']} ({against}{same})")
    click.echo(
        f"  qualified: {shown['qualified']} of {shown['entities']} {shown['entity']}s; now {shown['qualifiedNow']}"
    )
    for what in ("enters", "leaves"):
        listed = [each["id"] or each["entity"] for each in shown[what]["entities"][:names]]
        more = ", ..." if shown[what]["count"] > len(listed) else ""
        who = f": {', '.join(listed)}{more}" if listed else ""
        click.echo(printable(f"  {what}: {shown[what]['count']}{who}"))
    for overlap in shown["overlaps"]:
        note = "; they are nearly the same" if overlap["large"] and overlap["definition"] != shown["definition"] else ""
        click.echo(
            f"  overlap with {overlap['definition']}: {overlap['jaccard']:.0%} of either, "
            f"{overlap['contained']:.0%} of the smaller{note}"
        )
    outcome = f"{_event(shown['predicts']['event'])} within {shown['predicts']['within']}"
    click.echo(printable(f"  precision: {_of(shown['precision'], 'of those whose time is over came to')} {outcome}"))
    click.echo(printable(f"  recall: {_of(shown['recall'], 'of those who came to it had qualified before')}"))
    weekly = " ".join(map(str, shown["leadsPerWeek"]["weeks"]))
    click.echo(f"  leads a week: {shown['leadsPerWeek']['mean']} over all; the last weeks: {weekly}")
    backfill = shown["backfill"]
    click.echo(
        f"  to be filled: {backfill['signals']} new signals from {backfill['events']} events, "
        f"about {backfill['seconds']} seconds"
        if backfill["signals"]
        else "  to be filled: nothing; every signal is known"
    )
    if shown["monotone"]:
        click.echo("  monotone: no timer is ever set for it, and no new event makes anybody leave it")
    if shown["waiting"]:
        click.echo(f"  ({shown['waiting']} decisions of the running version are still due)")


def _of(share: dict[str, Any], words: str) -> str:
    if not share["of"]:
        return "nobody to judge by yet;"
    least, most = share["interval95"]
    return f"{share['hits']} of {share['of']} ({share['share']:.0%}, likely {least:.0%} to {most:.0%}) {words}"


def _event(named: Any) -> str:
    return named if isinstance(named, str) else " or ".join(named)
