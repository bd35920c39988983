"""``assay quarantine``."""

from typing import Any

import click

from assay.contract.times import format_instant
from assay_collector.cli.opening import opened
from assay_collector.cli.options import format_option, settings_options
from assay_collector.cli.output import print_json, print_table
from assay_collector.settings import Resolved
from assay_collector.store import Quarantined


def _read_id(context: click.Context, parameter: click.Parameter, value: str | None) -> bytes | None:  # noqa: ARG001
    try:
        return bytes.fromhex(value) if value else None
    except ValueError:
        raise click.BadParameter(f"{value!r} is no id from this list") from None


@click.command(
    help="""List what was sent and not stored as an event, newest first, and why.

    \b
    Examples:
      assay quarantine                                   the newest fifty
      assay quarantine --reason schema_violation
      assay quarantine --limit 1 --raw --format json     with what was sent, personal data included
    """
)
@click.option("--reason", help="Only those with this reason code; `assay counts` lists the codes.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The most to list.")
@click.option("--before", callback=_read_id, metavar="ID", help="Go on after the last id of the page before.")
@click.option("--raw", is_flag=True, help="Show what was sent as well. It may hold personal data.")
@settings_options("database")
@format_option
def quarantine(
    resolved: Resolved, reason: str | None, limit: int, before: bytes | None, raw: bool, format_: str
) -> None:
    """See the command's help."""
    with opened(resolved.settings.database) as store:
        found = store.events.quarantine(reason=reason, limit=limit, before=before)
    if format_ == "json":
        print_json([_document(entry, raw) for entry in found])
        return
    heads = ("ID", "RECEIVED", "SOURCE", "REASON", "EVENT", "WHERE", "LIBRARY", "DETAIL")
    print_table((*heads, "RAW") if raw else heads, [_row(entry, raw) for entry in found])


def _row(entry: Quarantined, raw: bool) -> tuple[str, ...]:
    event = " ".join(part for part in (entry.type, entry.name) if part)
    library = " ".join(part for part in (entry.library, entry.library_version) if part)
    received = format_instant(entry.received_at)
    row = (entry.quarantine_id.hex(), received, entry.source, entry.reason, event, entry.pointer, library, entry.detail)
    return (*row, _text(entry.raw)) if raw else row


def _document(entry: Quarantined, raw: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": entry.quarantine_id.hex(),
        "source": entry.source,
        "message_id": entry.message_id,
        "received_at": format_instant(entry.received_at),
        "reason": entry.reason,
        "pointer": entry.pointer,
        "detail": entry.detail,
        "type": entry.type,
        "name": entry.name,
        "schema_version": entry.schema_version,
        "library": entry.library,
        "library_version": entry.library_version,
    }
    return {**document, "raw": _text(entry.raw)} if raw else document


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
