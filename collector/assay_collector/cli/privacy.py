"""``assay privacy``."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay_collector.cli.lazy import Refused
from assay_collector.cli.opening import opened
from assay_collector.cli.options import format_option, settings_options
from assay_collector.cli.output import print_json, print_table
from assay_collector.settings import Resolved

if TYPE_CHECKING:
    from assay_collector.privacy.office import Office, Subject

_SETTINGS = ("database", "privacy_due_days", "suppressed_events")


@click.group()
def privacy() -> None:
    """
    What a person may ask for: to know what is held, to be forgotten, to be left alone.

    SUBJECT is a userId, an anonymousId or an email address as your product knows it, or our own id in hexadecimal.
    Whatever else is known to be the same person is included.

    \b
    Examples:
      assay privacy export ada@example.org --output ada.jsonl
      assay privacy erase ada@example.org --dry-run
      assay privacy erase ada@example.org --by "Grace" --reason "ticket 4711"
      assay privacy suppress ada@example.org
      assay privacy requests
    """


def _subject_options(command: Any) -> Any:
    for option in (
        click.option("--namespace", help="Only whoever is known by this id in this namespace."),
        click.option("--type", "type_", help="Only whoever has it as this: user, anonymous, device, email_hash, ..."),
        click.argument("subject"),
    ):
        command = option(command)
    return command


_by = click.option("--by", default="", metavar="NAME", help="Who asks you to, or who you are: it is put on record.")
_reason = click.option("--reason", default="", help="Why; it is put on record, without the person's identifiers.")


@privacy.command(
    help="""Write down everything that is held about a person: one JSON object a line, from every table.

    \b
    Examples:
      assay privacy export ada@example.org --output ada.jsonl
      assay privacy export ada@example.org | jq -r .table | sort | uniq -c
    """
)
@_subject_options
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="A file instead of standard output.")
@_by
@_reason
@settings_options(*_SETTINGS)
def export(
    resolved: Resolved,
    subject: str,
    namespace: str | None,
    type_: str | None,
    output: Path | None,
    by: str,
    reason: str,
) -> None:
    """See the command's help."""
    with _office(resolved) as office:
        wanted = _subject(subject, namespace, type_)
        total = sum(office.held(office.find(wanted)).values())
        request = office.enter("export", wanted, by=by, reason=reason)
        with (
            click.open_file(str(output) if output else "-", "wb") as file,
            click.progressbar(length=total, label="exporting", file=sys.stderr) as bar,
        ):
            for line in office.export(request):
                file.write(line)
                bar.update(1)
    click.echo(f"request {request.request_id.hex()} is done", err=True)


@privacy.command(
    help="""Forget a person: every identifier, event, trait, link and verdict, in every table.

    From the first moment on nothing about the person is taken, scored or sent. Then the rows go, a few milliseconds at
    a time; a running collector goes on meanwhile. What was broken off is continued by the collector.

    \b
    Examples:
      assay privacy erase ada@example.org --dry-run
      assay privacy erase ada@example.org --by "Grace" --reason "ticket 4711"
    """
)
@_subject_options
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@_by
@_reason
@settings_options(*_SETTINGS)
@format_option
def erase(
    resolved: Resolved,
    subject: str,
    namespace: str | None,
    type_: str | None,
    dry_run: bool,
    by: str,
    reason: str,
    format_: str,
) -> None:
    """See the command's help."""
    with _office(resolved) as office:
        wanted = _subject(subject, namespace, type_)
        ids = office.find(wanted)
        held = dict(office.held(ids))
        if dry_run:
            _print_held([id.hex() for id in ids], held, format_)
            return
        request = office.enter("erase", wanted, by=by, reason=reason)
        with click.progressbar(length=sum(held.values()), label="erasing", file=sys.stderr) as bar:
            office.carry_out(request.request_id, _rest(), bar.update)
        office.settle()
        described = office.describe(office.request(request.request_id))
    if format_ == "json":
        print_json(described)
        return
    click.echo(f"Erased; request {described['id']} is {described['state']}.")
    print_table(("TABLE", "REMOVED"), [(table, str(n)) for table, n in sorted(described["counts"].items())])
    if described["state"] == "notifying":
        click.echo("The certificate follows when every recipient was told; `assay privacy certificate` shows it.")


@privacy.command(
    help="""Stop processing a person: nothing new is scored or sent, and what was is no longer used.

    New events are refused, or kept unscored, as the setting suppressed_events says. Messages about the person that have
    not left are withdrawn.

    \b
    Examples:
      assay privacy suppress ada@example.org --by "Grace"
      assay privacy suppress --lift 0191a8...     by the request's id
    """
)
@click.option("--lift", "lift", is_flag=True, help="End it: SUBJECT is the id of the request.")
@_subject_options
@_by
@_reason
@settings_options(*_SETTINGS)
@format_option
def suppress(
    resolved: Resolved,
    subject: str,
    namespace: str | None,
    type_: str | None,
    lift: bool,
    by: str,
    reason: str,
    format_: str,
) -> None:
    """See the command's help."""
    with _office(resolved) as office:
        if lift:
            request_id = _request_id(subject)
            office.lift(request_id)
        else:
            request_id = office.enter("suppress", _subject(subject, namespace, type_), by=by, reason=reason).request_id
        described = office.describe(office.request(request_id))
    if format_ == "json":
        print_json(described)
        return
    click.echo(f"Request {described['id']} is {described['state']}.")


@privacy.command(
    help="""List all requests, newest first, with their state and the date they are due.

    Exits with 1 when one is overdue.

    \b
    Examples:
      assay privacy requests
      assay privacy requests --format json | jq '.[] | select(.overdue)'
    """
)
@settings_options(*_SETTINGS)
@format_option
def requests(resolved: Resolved, format_: str) -> None:
    """See the command's help."""
    with _office(resolved) as office:
        found = [office.describe(each) for each in office.requests()]
    if format_ == "json":
        print_json(found)
    else:
        print_table(("REQUEST", "KIND", "STATE", "ENTERED", "DUE", "BY"), [_row(each) for each in found])
    if any(each["overdue"] for each in found):
        raise SystemExit(1)


@privacy.command(
    help="""Show the certificate of an erasure; with --check, say whether a file holds one of this store's, unchanged.

    \b
    Examples:
      assay privacy certificate 0191a8... > certificate.json
      assay privacy certificate --check certificate.json
    """
)
@click.argument("request_id", metavar="[REQUEST]", required=False)
@click.option("--check", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A file to check.")
@settings_options(*_SETTINGS)
def certificate(resolved: Resolved, request_id: str | None, check: Path | None) -> None:
    """See the command's help."""
    if (request_id is None) == (check is None):
        raise click.UsageError("name a request, or a file to --check")
    with _office(resolved) as office:
        if check is not None:
            document = json.loads(check.read_text())
            if not (isinstance(document, dict) and office.is_genuine(document)):
                raise Refused("this certificate was not made by this store, or was changed since")
            click.echo("This certificate was made by this store, and is unchanged.")
            return
        found = office.describe(office.request(_request_id(request_id or "")))["certificate"]
    if found is None:
        raise Refused("this request has no certificate: it is no erasure, or is not done yet")
    print_json(found)


@privacy.command(
    help="""Write the database anew, so that nothing that was removed is left in any of its files.

    An erasure overwrites what it removes. What earlier writes left behind in unused corners of the file, and in the
    write-ahead log, goes with this. The collector must be stopped; it needs as much free disk as the database takes.

    \b
    Examples:
      assay privacy vacuum
    """
)
@settings_options("database")
def vacuum(resolved: Resolved) -> None:
    """See the command's help."""
    from assay_collector.stores.sqlite.claim import Claim

    database = resolved.settings.database
    with opened(database) as store:
        claim = Claim(database)
        try:
            store.retention.compact()
        finally:
            claim.release()
    click.echo(f"Wrote {database} anew: {database.stat().st_size} bytes.")


@contextmanager
def _office(resolved: Resolved) -> Iterator["Office"]:
    # Needs the collector extra, which this module's importers may not have.
    from assay_collector.app import identity_key, privacy_office
    from assay_collector.identity.identifiers import identifier_hasher

    with opened(resolved.settings.database) as store:
        identify = identifier_hasher(identity_key(resolved.settings, store))
        yield privacy_office(store, resolved.settings, identify)


def _subject(value: str, namespace: str | None, type_: str | None) -> "Subject":
    from assay_collector.privacy.office import Subject

    return Subject(value=value, namespace=namespace, type=type_)


def _rest() -> Any:
    from assay_collector.privacy.worker import Pace

    return Pace(lambda: time.thread_time_ns() // 1000, time.sleep).pause


def _request_id(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Refused(f"{text!r} is no request's id; `assay privacy requests` lists them") from None


def _print_held(ids: list[str], held: dict[str, int], format_: str) -> None:
    if format_ == "json":
        print_json({"subjects": ids, "held": held})
        return
    click.echo(f"{len(ids)} identifiers of one person. This would go:")
    print_table(("TABLE", "ROWS"), [(table, str(n)) for table, n in sorted(held.items())])


def _row(described: dict[str, Any]) -> tuple[str, ...]:
    due = described["dueAt"][:10] + (" overdue" if described["overdue"] else "")
    return (
        described["id"],
        described["kind"],
        described["state"],
        described["requestedAt"],
        due,
        described["by"],
    )
