"""``assay keys``."""

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, cast, get_args

import click

from assay.contract.times import format_instant
from assay_collector.cli.lazy import Refused
from assay_collector.cli.opening import now, opened
from assay_collector.cli.options import format_option, settings_options
from assay_collector.cli.output import print_json, print_table
from assay_collector.cli.source_consent import CONSENT_OPTIONS, consent_changes, consent_in_words
from assay_collector.keys import ENTROPY_BYTES, KeyKind, new_key
from assay_collector.settings import Resolved
from assay_collector.store import Key, Keyring, PlanMode, Source

_SOURCE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@click.group()
def keys() -> None:
    """
    Make, list and revoke keys, and the sources they belong to.

    A browser key is in every page's source code, so it can only send events. A server key is kept secret and can do
    the same for people whose consent the server speaks for. An admin token belongs to no source and reads.

    \b
    Examples:
      assay keys sources create web --name "The web app"
      assay keys create --source web --kind browser
      assay keys create --kind admin --note "the CRM's sync"
      assay keys list
      assay keys revoke key_Xb93Kd02Lq
    """


@keys.command(
    help="""Make a key. Its secret goes to standard output, this once: only a hash of it is kept.

    \b
    Examples:
      assay keys create --source web --kind browser
      export WRITE_KEY=$(assay keys create --source api)
    """
)
@click.option("--source", help="The source whose events it admits; admin tokens have none.")
@click.option(
    "--kind", type=click.Choice(get_args(KeyKind)), default="server", show_default=True, help="What it may do."
)
@click.option("--note", default="", help="Who has it, or what for.")
@settings_options("database")
@format_option
def create(resolved: Resolved, source: str | None, kind: KeyKind, note: str, format_: str) -> None:
    """See the command's help."""
    if (kind == "admin") == (source is not None):
        raise click.UsageError("an admin token has no --source, and every other key has one")
    with opened(resolved.settings.database, create=True) as store:
        if source is not None:
            _source(store.keyring, source)
        secret, key = new_key(kind, source, entropy=secrets.token_bytes(ENTROPY_BYTES), now=now(), note=note)
        store.keyring.put_key(key)
    if format_ == "json":
        print_json({**_key_document(key), "secret": secret})
        return
    place = f"source {source}" if source else "administration"
    click.echo(f"Made {key.id}, a {kind} key for {place}. This is the only time its secret is shown:", err=True)
    click.echo(secret)


@keys.command("list")
@settings_options("database")
@format_option
def list_keys(resolved: Resolved, format_: str) -> None:
    """List all keys, newest first; revoked ones too."""
    with opened(resolved.settings.database) as store:
        found = store.keyring.keys()
    if format_ == "json":
        print_json([_key_document(key) for key in found])
        return
    heads = ("KEY", "KIND", "SOURCE", "MADE", "REVOKED", "NOTE")
    print_table(heads, [_key_row(key) for key in found])


@keys.command()
@click.argument("key_id", metavar="KEY")
@settings_options("database")
def revoke(resolved: Resolved, key_id: str) -> None:
    """Revoke a key, by its id from `assay keys list`; a running collector follows within `key_cache_seconds`."""
    with opened(resolved.settings.database) as store:
        if not store.keyring.revoke(key_id, now()):
            raise Refused(f"no key {key_id!r} that is not revoked already; `assay keys list` names them")
    click.echo(f"Revoked {key_id}.")


def _key_row(key: Key) -> tuple[str, ...]:
    revoked = format_instant(key.revoked_at) if key.revoked_at is not None else ""
    return (key.id, key.kind, key.source or "", format_instant(key.created_at), revoked, key.note)


def _key_document(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "kind": key.kind,
        "source": key.source,
        "created_at": format_instant(key.created_at),
        "revoked_at": format_instant(key.revoked_at) if key.revoked_at is not None else None,
        "note": key.note,
    }


# --- sources ---


@keys.group()
def sources() -> None:
    """
    The places where events come from. Events are the same only within a source.

    \b
    Examples:
      assay keys sources create web --name "The web app"
      assay keys sources change web --invalid allow
      assay keys sources list
    """


_MODE = click.Choice(get_args(PlanMode))


def _source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option(
            "--allow-user-merge/--no-user-merge",
            "allow_user_merge",
            default=None,
            help="Whether its alias messages may make two users one person.  [default: no]",
        ),
        click.option(
            "--identify-by",
            type=click.Choice(["device", "email", "external", "none"]),
            multiple=True,
            help="What else its messages identify people by: context.device.id, the trait email (kept as a hash), "
            "context.externalIds. May be given repeatedly.",
        ),
        click.option("--name", help="What people call it."),
        click.option("--namespace", help="User ids of one namespace mean the same person.  [default: default]"),
        click.option("--invalid", type=_MODE, help="What becomes of events that fail the plan.  [default: quarantine]"),
        click.option(
            "--unplanned", type=_MODE, help="What becomes of events the plan does not know.  [default: quarantine]"
        ),
        *CONSENT_OPTIONS,
    )
    for option in reversed(options):
        command = option(command)
    return command


@sources.command("create")
@click.argument("source_id", metavar="SOURCE")
@_source_options
@settings_options("database")
def create_source(resolved: Resolved, source_id: str, **options: Any) -> None:
    """Make a source. SOURCE is short and stable: letters, digits, - and _."""
    if not _SOURCE_ID.fullmatch(source_id):
        raise click.BadParameter(f"{source_id!r} must be 1 to 64 letters, digits, - and _", param_hint="SOURCE")
    with opened(resolved.settings.database, create=True) as store:
        if any(source.id == source_id for source in store.keyring.sources()):
            raise Refused(
                f"there is a source {source_id!r} already; `assay keys sources change {source_id}` changes it"
            )
        store.keyring.put_source(_changed(Source(id=source_id, name=source_id), options), now())
    click.echo(f"Made source {source_id}. A key for it: assay keys create --source {source_id}")


@sources.command("change")
@click.argument("source_id", metavar="SOURCE")
@_source_options
@settings_options("database")
def change_source(resolved: Resolved, source_id: str, **options: Any) -> None:
    """Change a source; what is not named stays as it is."""
    with opened(resolved.settings.database) as store:
        store.keyring.put_source(_changed(_source(store.keyring, source_id), options), now())
    click.echo(f"Changed source {source_id}.")


@sources.command("list")
@settings_options("database")
@format_option
def list_sources(resolved: Resolved, format_: str) -> None:
    """List all sources."""
    with opened(resolved.settings.database) as store:
        found = store.keyring.sources()
    if format_ == "json":
        print_json([asdict(source) for source in found])
        return
    rows = [
        (source.id, source.name, source.namespace, source.invalid, source.unplanned, consent_in_words(source))
        for source in found
    ]
    print_table(("SOURCE", "NAME", "NAMESPACE", "INVALID", "UNPLANNED", "CONSENT"), rows)


def _source(keyring: Keyring, source_id: str) -> Source:
    known = {source.id: source for source in keyring.sources()}
    if source_id not in known:
        names = f"known: {', '.join(known)}" if known else "there is none yet"
        raise Refused(f"no source {source_id!r} ({names}); make it with: assay keys sources create {source_id}")
    return known[source_id]


def _changed(source: Source, options: Mapping[str, Any]) -> Source:
    changes = {name: value for name, value in options.items() if name in _PLAIN_FIELDS and value is not None}
    changes |= consent_changes(source, options)
    if options["identify_by"]:
        changes["identify_by"] = tuple(dict.fromkeys(by for by in options["identify_by"] if by != "none"))
    return replace(source, **cast(Any, changes))


_PLAIN_FIELDS = ("name", "namespace", "invalid", "unplanned", "allow_user_merge")
