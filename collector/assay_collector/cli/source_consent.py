"""What a source's settings of consent are called on the command line."""

from collections.abc import Iterable, Mapping
from typing import Any

import click

from assay.contract.consent import GPC_PURPOSES, PURPOSES
from assay_collector.store import Source

POLICIES = ("opt_in", "opt_out", "exempt")
ACTIONS = ("store_restricted", "anonymise", "drop")
NONE = "ignore"

CONSENT_OPTIONS = (
    click.option(
        "--consent",
        multiple=True,
        metavar="PURPOSE=STATE",
        help="What holds for a purpose when nothing was said: opt_in, opt_out or exempt. May be given repeatedly.",
    ),
    click.option(
        "--on-deny",
        multiple=True,
        metavar="PURPOSE=ACTION",
        help="What becomes of an event whose person denies a purpose: store_restricted (kept, neither scored nor sent),"
        " anonymise or drop. May be given repeatedly.  [default: store_restricted]",
    ),
    click.option(
        "--category",
        multiple=True,
        metavar="CATEGORY=PURPOSE,...",
        help="The purposes that a category of the consent manager stands for. May be given repeatedly.",
    ),
    click.option(
        "--gpc",
        metavar="PURPOSE,...",
        help=f"The purposes that Global Privacy Control denies.  [default: {','.join(GPC_PURPOSES)}]",
    ),
    click.option(
        "--dnt", metavar="PURPOSE,...", help=f"The purposes that Do Not Track denies, or {NONE}.  [default: {NONE}]"
    ),
    click.option(
        "--google-consent/--no-google-consent",
        default=None,
        help="Whether to read context.googleConsent.  [default: no]",
    ),
    click.option(
        "--consent-days",
        type=click.IntRange(min=0),
        help="After so many days a grant ends by itself, unless it says when; 0: never.  [default: 0]",
    ),
)


def consent_changes(source: Source, options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a source that these options change."""
    changes: dict[str, Any] = {}
    if options["consent"]:
        changes["consent"] = {**(source.consent or {}), **_chosen(options["consent"], "--consent", POLICIES)}
    if options["on_deny"]:
        changes["on_deny"] = {**(source.on_deny or {}), **_chosen(options["on_deny"], "--on-deny", ACTIONS)}
    if options["category"]:
        changes["categories"] = {**(source.categories or {}), **_categories(options["category"])}
    if options["gpc"] is not None:
        changes["gpc"] = tuple(_purposes(options["gpc"], "--gpc"))
    if options["dnt"] is not None:
        changes["dnt"] = () if options["dnt"] == NONE else tuple(_purposes(options["dnt"], "--dnt"))
    if options["google_consent"] is not None:
        changes["google_consent"] = options["google_consent"]
    if options["consent_days"] is not None:
        changes["consent_days"] = options["consent_days"] or None
    return changes


def consent_in_words(source: Source) -> str:
    """A source's settings of consent, on a line."""
    parts = [
        *(f"{purpose}={policy}" for purpose, policy in (source.consent or {}).items()),
        *(f"{purpose} denied: {action}" for purpose, action in (source.on_deny or {}).items()),
    ]
    return ", ".join(parts)


def _chosen(entries: Iterable[str], option: str, choices: tuple[str, ...]) -> dict[str, str]:
    chosen = dict(_split(entry, option) for entry in entries)
    for purpose, choice in chosen.items():
        _purposes(purpose, option)
        if choice not in choices:
            raise click.BadParameter(f"{purpose}={choice}: must be one of {', '.join(choices)}", param_hint=option)
    return chosen


def _categories(entries: Iterable[str]) -> dict[str, list[str]]:
    return {category: _purposes(text, "--category") for category, text in (_split(e, "--category") for e in entries)}


def _purposes(text: str, option: str) -> list[str]:
    found = [purpose.strip() for purpose in text.split(",")]
    for purpose in found:
        if purpose not in PURPOSES:
            raise click.BadParameter(f"{purpose!r} is no purpose; there are {', '.join(PURPOSES)}", param_hint=option)
    return found


def _split(entry: str, option: str) -> tuple[str, str]:
    left, equals, right = entry.partition("=")
    if not (left and equals and right):
        raise click.BadParameter(f"{entry!r} must have the form NAME=VALUE", param_hint=option)
    return left.strip(), right.strip()
