"""``assay pql``: working on definitions."""

import click

from assay_collector.cli.options import format_option, settings_options
from assay_collector.cli.output import print_json, printable
from assay_collector.cli.pql_plan import plan
from assay_collector.cli.pql_versions import activate, history, retire, shadow
from assay_collector.settings import Resolved


@click.group()
def pql() -> None:
    """Work on definitions of who is product-qualified."""


@pql.command(
    help="""Run the examples that the definitions carry under `tests:`.

    Exits with 1 when one is not met.

    \b
    Examples:
      assay pql test --definitions definitions/
      assay pql test --format json
    """
)
@settings_options("definitions", "plan")
@format_option
def test(resolved: Resolved, format_: str) -> None:
    """See the command's help."""
    # Needs the collector extra.
    from assay_collector.app import load
    from assay_collector.pql.examples import run_examples

    definitions = load(resolved.settings).catalogue.definitions
    results = [(definition.id, result) for definition in definitions for result in run_examples(definition)]
    if format_ == "json":
        print_json(
            [
                {
                    "definition": id,
                    "example": result.name,
                    "met": not result.differences,
                    "differences": [*result.differences],
                }
                for id, result in results
            ]
        )
    else:
        for id, result in results:
            click.echo(printable(f"{'not met' if result.differences else 'met'}: {id}: {result.name}"))
            for difference in result.differences:
                click.echo(printable(f"  {difference}"))
        without = len(definitions) - len({id for id, _ in results})
        note = f"; {without} definitions have none" if without else ""
        click.echo(f"{len(results)} examples of {len(definitions)} definitions{note}")
    if any(result.differences for _, result in results):
        raise SystemExit(1)


for command in (plan, shadow, activate, retire, history):
    pql.add_command(command)
