"""``assay dead-letters``."""

from typing import Any

import click

from assay.contract.times import format_instant
from assay_collector.cli.lazy import Refused
from assay_collector.cli.opening import now, opened
from assay_collector.cli.options import format_option, settings_options
from assay_collector.cli.output import print_json, print_table
from assay_collector.settings import Resolved
from assay_collector.store import Delivery

_EVERY = 1_000_000


@click.group("dead-letters")
def dead_letters() -> None:
    """
    The messages that no webhook accepted, however often they were sent.

    \b
    Examples:
      assay dead-letters list
      assay dead-letters list --endpoint crm --format json
      assay dead-letters resend MESSAGE MESSAGE
      assay dead-letters resend --all --endpoint crm
    """


@dead_letters.command("list")
@click.option("--endpoint", help="Only those for this endpoint.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The most to list.")
@settings_options("database")
@format_option
def list_dead(resolved: Resolved, endpoint: str | None, limit: int, format_: str) -> None:
    """List them, newest first."""
    with opened(resolved.settings.database) as store:
        found = store.outbox.dead(endpoint=endpoint, limit=limit)
    if format_ == "json":
        print_json([_document(delivery) for delivery in found])
        return
    heads = ("MESSAGE", "ENDPOINT", "TYPE", "MADE", "ATTEMPTS", "LAST ERROR")
    print_table(heads, [_row(delivery) for delivery in found])


@dead_letters.command()
@click.argument("message_ids", metavar="[MESSAGE]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them.")
@click.option("--endpoint", help="With --all: only those for this endpoint.")
@settings_options("database")
def resend(resolved: Resolved, message_ids: tuple[str, ...], every: bool, endpoint: str | None) -> None:
    """Send them again, under the same ids; a running collector does so at once."""
    if every == bool(message_ids) or (endpoint and not every):
        raise click.UsageError("name the messages to resend, or say --all (and perhaps --endpoint)")
    with opened(resolved.settings.database) as store:
        if every:
            message_ids = tuple(each.message.message_id for each in store.outbox.dead(endpoint=endpoint, limit=_EVERY))
        count = store.outbox.resend(message_ids, now())
    if count < len(message_ids):
        raise Refused(f"{count} of {len(message_ids)} will be sent again; the others are no dead letters")
    click.echo(f"{count} will be sent again.")


def _row(delivery: Delivery) -> tuple[str, ...]:
    message = delivery.message
    made = format_instant(message.created_at)
    error = delivery.last_error or ""
    return (message.message_id, message.endpoint, message.type, made, str(delivery.attempts), error)


def _document(delivery: Delivery) -> dict[str, Any]:
    return {
        "message_id": delivery.message.message_id,
        "endpoint": delivery.message.endpoint,
        "type": delivery.message.type,
        "entity": delivery.message.entity.hex(),
        "created_at": format_instant(delivery.message.created_at),
        "attempts": delivery.attempts,
        "last_error": delivery.last_error,
    }
