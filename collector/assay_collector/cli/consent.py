"""``assay consent``."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from assay_collector.cli.lazy import Refused
from assay_collector.cli.opening import now, opened
from assay_collector.cli.options import format_option, settings_options
from assay_collector.cli.output import print_json, print_table, printable
from assay_collector.settings import Resolved, Settings

if TYPE_CHECKING:
    from assay_collector.privacy.consent import ConsentReader


@click.group()
def consent() -> None:
    """
    Ask why something was stored, and what somebody allows.

    \b
    Examples:
      assay consent why 0198f2c4-...         under which consent a message was stored, or dropped
      assay consent show ada@example.org     where somebody stands on each purpose, and all they ever said
    """


@consent.command(
    help="""Say why a message was stored, or dropped.

    MESSAGE_ID is the messageId that its sender gave it. The answer names the time, the signals, the source's policy,
    the purposes, the legal basis, and the raw evidence.

    \b
    Examples:
      assay consent why order-4711
      assay consent why order-4711 --format json
    """
)
@click.argument("message_id")
@settings_options("database", "identity_key")
@format_option
def why(resolved: Resolved, message_id: str, format_: str) -> None:
    """See the command's help."""
    with _reader(resolved.settings) as reader:
        found = reader.why(message_id)
    if found is None:
        raise Refused(f"no message {message_id!r} was stored or dropped; `assay quarantine` lists what was refused")
    if format_ == "json":
        print_json(found)
        return
    for answer in found["answers"]:
        for sentence in answer["words"]:
            _say(sentence)
        for signal, raw in answer["evidence"].items():
            _say(f"Evidence ({signal}): {raw}")
        _say("")


@consent.command(
    help="""Say where somebody stands on each purpose, and list everything they ever said about consent.

    SUBJECT is a userId or an anonymousId as your product knows it, or our own id in hexadecimal. Whoever is known to be
    the same person is included.

    \b
    Examples:
      assay consent show ada@example.org
      assay consent show ada@example.org --format json
    """
)
@click.argument("subject")
@settings_options("database", "identity_key")
@format_option
def show(resolved: Resolved, subject: str, format_: str) -> None:
    """See the command's help."""
    with _reader(resolved.settings) as reader:
        found = reader.show(subject)
    if found is None:
        raise Refused(f"{subject!r} never said anything about consent; names are compared exactly")
    if format_ == "json":
        print_json(found)
        return
    for person in found["people"]:
        _print_person(person)


def _print_person(found: dict[str, Any]) -> None:
    rows = [
        (p, each["state"], "yes" if each["allowed"] else "no", each["since"] or "", _who(each["saidBy"]))
        for p, each in found["purposes"].items()
    ]
    print_table(("PURPOSE", "STATE", "ALLOWED", "SINCE", "SAID BY"), rows)
    click.echo()
    print_table(
        ("SAID AT", "BY", "PURPOSE", "STATE", "SIGNAL", "SOURCE", "BASIS", "TEXT", "UNTIL"),
        [_row(line) for line in found["log"]],
    )


@contextmanager
def _reader(settings: Settings) -> Iterator["ConsentReader"]:
    # Needs the collector extra, which this module's importers may not have.
    from assay_collector.app import identity_key
    from assay_collector.identity.identifiers import identifier_hasher
    from assay_collector.privacy.consent import ConsentReader

    with opened(settings.database) as store:
        yield ConsentReader(store, identifier_hasher(identity_key(settings, store)), now)


def _row(line: dict[str, Any]) -> tuple[str, ...]:
    return (
        line["saidAt"] or "",
        _who(line["identifier"]),
        line["purpose"],
        line["state"],
        line["signal"],
        line["source"] or "",
        line["legalBasis"] or "",
        line["policyVersion"] or "",
        line["expiresAt"] or "",
    )


def _who(name: dict[str, Any]) -> str:
    return f"{name['type']} {name['value']}" if name["type"] else name["id"]


def _say(text: str) -> None:
    click.echo(printable(text))
