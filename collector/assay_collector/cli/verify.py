"""``assay verify``."""

import sys

import click

from assay_collector.cli.opening import now
from assay_collector.cli.options import format_option, settings_options
from assay_collector.cli.output import print_json
from assay_collector.cli.reading import opened_for_reading
from assay_collector.settings import Resolved
from assay_collector.store import OutboxMessage


@click.command(
    help="""Compute every tally, person and verdict again from the stored events, and compare with what is stored.

    A difference is a bug, or damage to the file. Ask it of a database that nothing writes to: what arrives meanwhile,
    and what is still on the agenda, would show as a difference. Exits with 1 when anything differs.
    """
)
@settings_options("database", "definitions", "plan", "identity_component_max", "identity_adopt")
@format_option
def verify(resolved: Resolved, format_: str) -> None:
    """See the command's help."""
    # Needs the collector extra.
    from assay_collector.app import identity_rules
    from assay_collector.qualify.worker import Qualifier
    from assay_collector.verify import verify as run

    with opened_for_reading(resolved.settings) as opened:
        store, catalogue = opened.store, opened.shadowed
        qualifier = Qualifier(store, catalogue, notify=_tell_nobody, identity=identity_rules(resolved.settings))
        total = store.events.counts().stored
        with click.progressbar(length=total, label="reading events", file=sys.stderr) as bar:
            found = run(store, catalogue, qualifier, now=now(), progress=bar.update)
    if format_ == "json":
        print_json(
            {
                "events": found.events,
                "tallies": found.tallies,
                "entities": found.entities,
                "differences": list(found.differences),
            }
        )
    else:
        click.echo(f"{found.events} events, {found.tallies} tallies, {found.entities} entities computed again")
        for difference in found.differences:
            click.echo(difference)
        click.echo("nothing differs" if found.is_clean else f"{len(found.differences)} differences")
    if not found.is_clean:
        raise SystemExit(1)


def _tell_nobody(*_: object) -> tuple[OutboxMessage, ...]:
    return ()
