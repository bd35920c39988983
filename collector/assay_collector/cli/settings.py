"""``assay settings``."""

from typing import Any

import click

from assay_collector.cli.options import format_option, settings_options
from assay_collector.cli.output import print_json
from assay_collector.settings import SETTINGS, Resolved, Setting


@click.command(
    help="""Show every setting: its meaning, unit, default, value, and where the value came from.

    \b
    Examples:
      assay settings                           what would `assay serve` run with here?
      assay settings --port 9000               what would it run with, given this flag?
      ASSAY_PORT=9000 assay settings --format json
    """
)
@settings_options()
@format_option
def settings(resolved: Resolved, format_: str) -> None:
    """See the command's help."""
    if format_ == "json":
        print_json([_document(setting, resolved) for setting in SETTINGS])
        return
    for setting in SETTINGS:
        click.echo("\n".join(_lines(setting, resolved)) + "\n")


def _lines(setting: Setting, resolved: Resolved) -> list[str]:
    unit = f" {setting.unit}" if setting.unit else ""
    places = ", ".join(place for place in (setting.flag, setting.variable) if place)
    return [
        f"{setting.name} = {_value(setting, resolved)}{unit}",
        f"    {setting.meaning}",
        f"    from {resolved.origins[setting.name]}; default {setting.show(setting.default)}"
        f"; set by {places or '[[' + setting.name + ']] in the file'}",
    ]


def _value(setting: Setting, resolved: Resolved) -> str:
    return setting.show(getattr(resolved.settings, setting.name))


def _document(setting: Setting, resolved: Resolved) -> dict[str, Any]:
    return {
        "name": setting.name,
        "value": _plain(setting, getattr(resolved.settings, setting.name)),
        "origin": resolved.origins[setting.name],
        "default": _plain(setting, setting.default),
        "unit": setting.unit or None,
        "meaning": setting.meaning,
        "variable": setting.variable,
        "flag": setting.flag,
    }


def _plain(setting: Setting, value: Any) -> Any:
    """A value in JSON's types; secrets and lists as they are shown."""
    if value is None or (isinstance(value, int | float | str) and not setting.secret):
        return value
    return setting.show(value)
