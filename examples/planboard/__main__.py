"""`python -m examples.planboard`: the simulated product from a shell."""

import json
import time

import click
from examples.planboard.drive import NotDelivered, deliver
from examples.planboard.faults import Faults
from examples.planboard.messages import write_instant
from examples.planboard.simulation import Simulation, build

FAULTS = {"none": Faults.none, "some": Faults, "every": Faults.every}


@click.group()
@click.option("--seed", default=7, show_default=True, help="The same seed gives the same product.")
@click.option("--scale", default=1.0, show_default=True, help="1 is about 10,000 messages.")
@click.option("--faults", type=click.Choice(list(FAULTS)), default="some", show_default=True, help="What goes wrong.")
@click.pass_context
def main(context: click.Context, seed: int, scale: float, faults: str) -> None:
    """A project-management product with planted truth, ending now."""
    # The start of the day, so that the same command gives the same messages all day long.
    today = int(time.time()) // 86_400 * 86_400 * 1_000_000
    context.obj = build(seed, scale, today, FAULTS[faults](), as_of=int(time.time() * 1_000_000))


@main.command()
@click.argument("url")
@click.argument("write_key")
@click.pass_obj
def send(simulation: Simulation, url: str, write_key: str) -> None:
    """Deliver everything to the collector at URL."""
    with click.progressbar(length=len(simulation.messages), label="events") as bar:
        try:
            delivered = deliver(simulation, url, write_key, bar.update)
        except NotDelivered as error:
            raise click.ClickException(str(error)) from error
    click.echo(f"{delivered.sdk} through the SDK, {delivered.raw} as raw HTTP; expected: {simulation.expected_counts}")


@main.command()
@click.pass_obj
def messages(simulation: Simulation) -> None:
    """Print every message as a line of JSON, in the order of delivery."""
    for message in simulation.messages:
        click.echo(json.dumps(message.body))


@main.command()
@click.pass_obj
def truth(simulation: Simulation) -> None:
    """Print who really qualifies, and since when."""
    for definition, entities in simulation.truth.items():
        for entity, since in sorted(entities.items(), key=lambda item: item[1]):
            click.echo(f"{definition}\t{entity}\t{write_instant(since)}")


if __name__ == "__main__":
    main()
