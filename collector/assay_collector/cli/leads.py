"""``assay leads``."""

import sys
from typing import Any

import click

from assay_collector.cli.options import format_option, settings_options
from assay_collector.cli.output import print_json, print_table
from assay_collector.cli.reading import Opened, opened_for_reading
from assay_collector.pql.words import obstacle_in_words
from assay_collector.settings import Resolved

# So many are looked at between two steps of the progress bar.
PAGE_ENTITIES = 200


@click.command(
    help="""List who is qualified: every user and account with an open qualification, the latest first.

    \b
    Examples:
      assay leads                                        everybody
      assay leads --definition trial-high-intent
      assay leads --format json | jq '.[].id'            for programs, with the full evidence
      assay leads --near                                 who is close, and the cheapest step that is missing

    With --near nobody is listed who is qualified, but whoever has as much of what is asked for as the definition's
    `nudge: {near: 80%}` says, the nearest first. Definitions without a `nudge` have no such list.
    """
)
@click.option("--definition", help="Only those of this definition, by its id; of a shadow by shadow:ID@VERSION.")
@click.option("--near", is_flag=True, help="List who is close to qualifying instead, and what is missing.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="The most to list.")
@click.option("--offset", type=click.IntRange(0), default=0, help="Leave out this many first.")
@settings_options("database", "definitions", "plan")
@format_option
def leads(resolved: Resolved, definition: str | None, near: bool, limit: int, offset: int, format_: str) -> None:
    """See the command's help."""
    with opened_for_reading(resolved.settings) as opened:
        known = {each.id for each in opened.shadowed.definitions}
        if definition is not None and known and definition not in known:
            raise click.BadParameter(
                f"there is no definition {definition!r}; known are {', '.join(sorted(known))}",
                param_hint="--definition",
            )
        if near:
            _show_near(_all_near(opened, definition)[offset : offset + limit], format_)
            return
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


def _all_near(opened: Opened, definition: str | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    total = sum(1 for _ in opened.store.tallies.entities())
    with click.progressbar(length=total, label="looking", file=sys.stderr) as bar:
        last: bytes | None = b""
        while last is not None:
            page, last = opened.reader.near(definition, last, PAGE_ENTITIES)
            found += page
            bar.update(PAGE_ENTITIES)
    return sorted(found, key=lambda each: -each["near"])


def _show_near(found: list[dict[str, Any]], format_: str) -> None:
    if format_ == "json":
        print_json(found)
        return
    rows = [
        (f"{each['near']:.0%}", each["definition"], each["kind"], each["id"] or each["entity"], _lacks(each["missing"]))
        for each in found
    ]
    print_table(("NEAR", "DEFINITION", "KIND", "WHO", "MISSING"), rows)
    if not found:
        click.echo("nobody is near; definitions with `nudge: {near: 80%}` say how near is near", err=True)


def _lacks(lacking: dict[str, Any]) -> str:
    return "; ".join([*lacking["words"], *(obstacle_in_words(each) for each in lacking["inTheWay"] if "until" in each)])
