"""``assay explain``."""

from typing import Any

import click

from assay_collector.cli.options import format_option, settings_options
from assay_collector.cli.output import print_json, printable
from assay_collector.cli.reading import opened_for_reading
from assay_collector.pql.explain import reasons
from assay_collector.pql.losses import losses_in_words
from assay_collector.pql.words import obstacle_in_words
from assay_collector.settings import Resolved

_SIGNS = {True: "yes", False: "no", None: "unknown"}


@click.command(
    help="""Say what somebody qualifies for, and why or why not.

    ENTITY is a userId, an anonymousId or an account's id as your product knows it, or our own id in hexadecimal.

    \b
    Examples:
      assay explain acme                     an account, or a user of that name
      assay explain ada@example.org --kind user
      assay explain acme --format json
    """
)
@click.argument("entity")
@click.option("--kind", type=click.Choice(["user", "account"]), help="Only a user, or only an account, of this name.")
@settings_options("database", "definitions", "plan")
@format_option
def explain(resolved: Resolved, entity: str, kind: Any, format_: str) -> None:
    """See the command's help."""
    with opened_for_reading(resolved.settings) as opened:
        found = opened.reader.qualifications(kind, entity)
    if found is None:
        raise click.ClickException(
            f"nobody named {entity!r} was ever seen; names are compared exactly, `assay leads` lists some"
        )
    if format_ == "json":
        print_json(found)
        return
    for each in found["entities"]:
        _print_entity(each)


def _print_entity(shown: dict[str, Any]) -> None:
    _say(f"{shown['kind']} {shown['id'] or shown['entity']}")
    others = [f"{found['type']} {found['value']}" for found in shown["identifiers"] if found["value"] != shown["id"]]
    if others:
        _say(f"  also known as: {', '.join(others)}")
    for verdict in shown["definitions"]:
        _say("")
        since = f" since {verdict['since']}" if verdict["since"] else ""
        until = f" until {verdict['until']}" if "until" in verdict else ""
        _say(f"  {verdict['definition']} v{verdict['version']}: {verdict['status']}{since}{until}")
        _print_tree(verdict["evidence"]["qualify"], 4)
        if "eligible" in verdict["evidence"]:
            _say("    eligible:")
            _print_tree(verdict["evidence"]["eligible"], 6)
        if "timezone" in verdict["evidence"]:
            _say(f"    days are those of {verdict['evidence']['timezone']}, the account's time zone")
        if "timezoneIgnored" in verdict["evidence"]:
            _say(f"    account.timezone is no time zone and is ignored: {verdict['evidence']['timezoneIgnored']}")
        _print_missing(verdict.get("missing", {}))
        for row in verdict["history"]:
            _say(
                f"    history: {row['step']} ({row['change']}) effective {row['effectiveAt']}, "
                f"recorded {row['recordedAt']}, because of {row['cause']}{_ended_by(row['evidence'])}"
            )
            if lost := losses_in_words(row["evidence"]):
                _say(f"      {lost}")
        if not verdict["recorded"]:
            _say("    (the ledger has not caught up with this yet)")


def _print_tree(tree: dict[str, Any], indent: int) -> None:
    if "name" in tree:
        value = "unknown" if tree["value"] is None else tree["value"]
        window = f", window {tree['window']}" if "window" in tree else ""
        seen = tree.get("observedSince", "")
        watched = f", observed {'since ' + seen if seen else 'never'}" if "observedSince" in tree else ""
        _say(f"{' ' * indent}{tree['name']} = {value} ({tree['test']}{window}{watched}): {_SIGNS[tree['holds']]}")
        return
    heads = {"all": "all of", "any": "any of", "of": f"at least {tree.get('atLeast')} of", "not": "not"}
    for key, head in heads.items():
        if key in tree:
            _say(f"{' ' * indent}{head}: {_SIGNS[tree['holds']]}")
            for part in tree[key] if isinstance(tree[key], list) else [tree[key]]:
                _print_tree(part, indent + 2)


def _ended_by(evidence: dict[str, Any]) -> str:
    by = evidence.get("endedBy", {})
    match by.get("clause"):
        case "exit":
            return f": {'; '.join(reasons(evidence['exit'])) or 'its exit condition'}"
        case "expire":
            return f": {by['after']} after it began"
        case "convert":
            return f": {by['event']}"
        case "qualify":
            return ": it no longer holds"
    return ""


def _print_missing(lacking: dict[str, Any]) -> None:
    for each in lacking.get("inTheWay", ()):
        if each["what"] != "qualify":
            _say(f"    in the way: {obstacle_in_words(each)}")
    if lacking.get("words"):
        _say(f"    missing: {'; '.join(lacking['words'])}")
    elif lacking and not lacking["reachable"]:
        _say("    out of reach: nothing that could still happen makes it qualify")
    if "blockedOn" in lacking:
        _say(f"    blocked on: {', '.join(lacking['blockedOn'])}")


def _say(text: str) -> None:
    click.echo(printable(text))
