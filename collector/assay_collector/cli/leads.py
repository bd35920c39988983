"""``assay leads``."""

import click

from assay_collector.cli.options import format_option, settings_options
from assay_collector.cli.output import print_json, print_table
from assay_collector.cli.reading import opened_for_reading
from assay_collector.settings import Resolved


@click.command(
    help="""List who is qualified: every user and account with an open qualification, the latest first.

    \b
    Examples:
      assay leads                                        everybody
      assay leads --definition trial-high-intent
      assay leads --format json | jq '.[].id'            for programs, with the full evidence
    """
)
@click.option("--definition", help="Only those of this definition, by its id.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="The most to list.")
@click.option("--offset", type=click.IntRange(0), default=0, help="Leave out this many first.")
@settings_options("database", "definitions", "plan")
@format_option
def leads(resolved: Resolved, definition: str | None, limit: int, offset: int, format_: str) -> None:
    """See the command's help."""
    with opened_for_reading(resolved.settings) as opened:
        known = {each.id for each in opened.catalogue.definitions}
        if definition is not None and known and definition not in known:
            raise click.BadParameter(
                f"there is no definition {definition!r}; known are {', '.join(sorted(known))}",
                param_hint="--definition",
            )
        found = opened.reader.leads(definition, limit, offset)
    if format_ == "json":
        print_json(found)
        return
    rows = [
        (lead["since"], lead["definition"], lead["kind"], lead["id"] or lead["entity"], "; ".join(lead["reasons"]))
        for lead in found
    ]
    print_table(("SINCE", "DEFINITION", "KIND", "WHO", "BECAUSE"), rows)
    if not found:
        click.echo("nobody is qualified yet; `assay explain ENTITY` says what somebody still lacks", err=True)
