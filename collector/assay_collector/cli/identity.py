"""``assay identity``."""

import getpass
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from assay.contract.times import UnreadableTime, parse_instant
from assay_collector.cli.lazy import Refused
from assay_collector.cli.opening import now
from assay_collector.cli.options import json_options, settings_options
from assay_collector.cli.output import print_json, print_table, printable
from assay_collector.cli.reading import opened_for_reading
from assay_collector.settings import Resolved

if TYPE_CHECKING:
    from assay_collector.qualify.identity_desk import IdentityDesk

_SETTINGS = ("database", "definitions", "plan", "identity_component_max", "identity_adopt")


@click.group()
def identity() -> None:
    """
    Who is who, why, and an admin's word on it.

    An ID is a userId, an anonymousId or another identifier as your product knows it; where that could be several,
    write its type before it: user:42, anonymous:42. What is done is on record, with who did it.

    \b
    Examples:
      assay identity show ada
      assay identity why ada anonymous:5f2c
      assay identity undo ada anonymous:5f2c --dry-run
      assay identity link ada ada@example.org
    """


_namespace = click.option("--namespace", help="Only ids of this namespace.")
_by = click.option("--by", metavar="NAME", help="Who you are; it is put on record.  [default: your login]")
_note = click.option("--note", default="", help="Why; it is put on record.")
_dry_run = click.option("--dry-run", is_flag=True, help="Only say what it would do.")
_yes = click.option("--yes", is_flag=True, help="Do it without asking.")


@identity.command(
    help="""Show a person: its identifiers, traits with where each comes from, accounts, and what was refused.

    Without an ID: how many links were refused, by reason.

    \b
    Examples:
      assay identity show ada
      assay identity show ada --at 2026-03-01T00:00:00Z     its traits as they were then
      assay identity show
    """
)
@click.argument("id_", metavar="[ID]", required=False)
@click.option("--at", metavar="INSTANT", help="Traits as they were then.")
@_namespace
@settings_options(*_SETTINGS)
@json_options
def show(resolved: Resolved, id_: str | None, at: str | None, namespace: str | None, format_: str) -> None:
    """See the command's help."""
    try:
        moment = None if at is None else parse_instant(at)
    except UnreadableTime:
        raise click.BadParameter("must be an instant such as 2026-03-01T00:00:00Z", param_hint="--at") from None
    with _desk(resolved) as desk:
        shown = desk.counts() if id_ is None else desk.show(_who(id_, namespace), moment)
    if format_ == "json":
        print_json(shown)
    elif id_ is None:
        print_table(("REASON", "LINKS"), [(reason, str(n)) for reason, n in shown.items()])
    else:
        _print_person(shown)


@identity.command(
    help="""Say why two ids are one person, or are not; of one id alone, why it is who it is.

    Each line names the message or the admin, when, and what came of it.

    \b
    Examples:
      assay identity why ada anonymous:5f2c
      assay identity why ada --json
    """
)
@click.argument("id_", metavar="ID")
@click.argument("other", metavar="[ID]", required=False)
@_namespace
@settings_options(*_SETTINGS)
@json_options
def why(resolved: Resolved, id_: str, other: str | None, namespace: str | None, format_: str) -> None:
    """See the command's help."""
    with _desk(resolved) as desk:
        told = desk.why(_who(id_, namespace), None if other is None else _who(other, namespace))
    if format_ == "json":
        print_json(told)
        return
    for line in told["words"]:
        click.echo(printable(line))


@identity.command(
    help="""Say that two ids are one person, users included. What it does is told first, and asked for.

    With --rename the first, a user id, is the former name of the second.

    \b
    Examples:
      assay identity link ada anonymous:5f2c --dry-run
      assay identity link old-id new-id --rename --note "ticket 4711" --yes
    """
)
@click.argument("id_", metavar="ID")
@click.argument("other", metavar="ID")
@click.option("--rename", "is_rename", is_flag=True, help="The first is a former name of the second.")
@_namespace
@_dry_run
@_yes
@_by
@_note
@settings_options(*_SETTINGS)
@json_options
def link(
    resolved: Resolved,
    id_: str,
    other: str,
    is_rename: bool,
    namespace: str | None,
    dry_run: bool,
    yes: bool,
    by: str | None,
    note: str,
    format_: str,
) -> None:
    """See the command's help."""
    one, two = _who(id_, namespace), _who(other, namespace)
    with _desk(resolved) as desk:
        if not dry_run and not yes:
            _ask(desk.link(one, two, actor=_actor(by), is_rename=is_rename, dry_run=True))
        done = desk.link(one, two, actor=_actor(by), note=note, is_rename=is_rename, dry_run=dry_run)
    _print_done(done, format_)


@identity.command(
    help="""Say that links were wrong: between two ids, of one message, or all of one id. What it does is told first.

    An undone link stays undone, however often it is observed again, until `assay identity link` links the two anew.

    \b
    Examples:
      assay identity undo ada anonymous:5f2c --dry-run
      assay identity undo --message web:ajs-next-17-4f
      assay identity undo --all-of anonymous:5f2c --yes
    """
)
@click.argument("id_", metavar="[ID]", required=False)
@click.argument("other", metavar="[ID]", required=False)
@click.option("--message", metavar="SOURCE:MESSAGE_ID", help="The links that rest on this message.")
@click.option("--all-of", "all_of", metavar="ID", help="All links of this id.")
@_namespace
@_dry_run
@_yes
@_by
@_note
@settings_options(*_SETTINGS)
@json_options
def undo(
    resolved: Resolved,
    id_: str | None,
    other: str | None,
    message: str | None,
    all_of: str | None,
    namespace: str | None,
    dry_run: bool,
    yes: bool,
    by: str | None,
    note: str,
    format_: str,
) -> None:
    """See the command's help."""
    what = _undo(id_, other, message, all_of, namespace)
    with _desk(resolved) as desk:
        if not dry_run and not yes:
            _ask(desk.undo(what, actor=_actor(by), dry_run=True))
        done = desk.undo(what, actor=_actor(by), note=note, dry_run=dry_run)
    _print_done(done, format_)


def _undo(id_: str | None, other: str | None, message: str | None, all_of: str | None, namespace: str | None) -> Any:
    from assay_collector.qualify.identity_desk import Undo

    given = [id_ is not None or other is not None, message is not None, all_of is not None]
    if given.count(True) != 1 or (id_ is None) != (other is None):
        raise click.UsageError("name two ids, or --message, or --all-of")
    if message is not None:
        source, colon, message_id = message.partition(":")
        if not (source and colon and message_id):
            raise click.BadParameter("must be SOURCE:MESSAGE_ID", param_hint="--message")
        return Undo(message=(source, message_id))
    if all_of is not None:
        return Undo(everything_of=_who(all_of, namespace))
    assert id_ is not None
    assert other is not None
    return Undo(pair=(_who(id_, namespace), _who(other, namespace)))


def _who(text: str, namespace: str | None) -> Any:
    from dataclasses import replace

    from assay_collector.qualify.identity_desk import Who

    return replace(Who.parse(text), namespace=namespace)


def _actor(by: str | None) -> str:
    return f"{by or getpass.getuser()} (command line)"


@contextmanager
def _desk(resolved: Resolved) -> "Iterator[IdentityDesk]":
    # Needs the collector extra, which this module's importers may not have.
    from assay_collector.app import identity_key, identity_rules
    from assay_collector.identity.identifiers import identifier_hasher
    from assay_collector.qualify.identity_desk import (
        AmbiguousIdentifier,
        IdentityDesk,
        LinkRefused,
        NothingToUndo,
        UnknownIdentifier,
    )

    settings = resolved.settings
    with opened_for_reading(settings) as opened:
        identify = identifier_hasher(identity_key(settings, opened.store))
        try:
            yield IdentityDesk(
                opened.store,
                lambda: opened.catalogue,
                identify,
                clock=now,
                new_id=lambda: uuid.uuid4().bytes,
                rules=identity_rules(settings),
            )
        except (UnknownIdentifier, AmbiguousIdentifier, NothingToUndo, LinkRefused) as error:
            raise Refused(str(error)) from None


def _ask(rehearsed: dict[str, Any]) -> None:
    for line in rehearsed["words"]:
        click.echo(printable(line), err=True)
    click.confirm("Do it?", abort=True, err=True)


def _print_done(done: dict[str, Any], format_: str) -> None:
    if format_ == "json":
        print_json(done)
        return
    for line in done["words"]:
        click.echo(printable(line))
    click.echo(f"Done, on record as {done['act']}." if done["done"] else "Nothing was done: this was a dry run.")


def _print_person(shown: dict[str, Any]) -> None:
    click.echo(printable(f"{shown['name']}: {shown['events']} events"))
    for found in shown["identifiers"]:
        shared = f", shared from {found['sharedFrom']} on" if found["sharedFrom"] else ""
        click.echo(printable(f"  {found['type']} {found['value']} ({found['namespace']}){shared}"))
    for trait in shown["traits"]:
        origin = f"{trait['source']} {trait['messageId']}"
        click.echo(printable(f"  trait {trait['key']} = {trait['value']!r} since {trait['since']}, from {origin}"))
    for row in shown["accounts"]["memberships"]:
        end = f" to {row['to']}" if row["to"] else ""
        click.echo(
            printable(f"  account {row['account']} from {row['from']}{end}, from {row['source']} {row['messageId']}")
        )
    for span in shown["accounts"]["ambiguous"]:
        click.echo(f"  ambiguous account from {span['from']} to {span['to'] or 'now'}")
    for row in shown["refused"]:
        click.echo(printable(f"  refused: {row['words']}"))
