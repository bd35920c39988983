"""Options that several commands have."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from assay_collector.settings import SETTINGS, Resolved, Setting
from assay_collector.surroundings import settings_here

Command = Callable[..., Any]

format_option = click.option(
    "--format",
    "format_",
    type=click.Choice(["human", "json"]),
    default="human",
    show_default=True,
    help="How to print.",
)


def json_options(command: Command) -> Command:
    """``--format`` and, shorter, ``--json``; the command gets ``format_``."""

    @functools.wraps(command)
    def with_format(json: bool, format_: str, **options: Any) -> Any:
        return command(format_="json" if json else format_, **options)

    return format_option(click.option("--json", is_flag=True, help="The same as --format json.")(with_format))


def settings_options(*names: str) -> Callable[[Command], Command]:
    """
    A flag for each of these settings (none named: for all), and ``--config``; the command gets ``resolved``.

    The flags hold text; the settings themselves read and refuse it, so that a value is judged alike wherever it
    stands.
    """
    chosen = [setting for setting in SETTINGS if setting.flag and (not names or setting.name in names)]

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_settings(config: Path | None, **options: Any) -> Any:
            flags = {setting.name: options.pop(setting.name) for setting in chosen}
            return command(resolved=_resolve(flags, config), **options)

        decorated: Command = click.option(
            "--config",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="The TOML file with settings.  [default: assay.toml, if there is one; env: ASSAY_CONFIG]",
        )(with_settings)
        for setting in reversed(chosen):
            decorated = _option(setting)(decorated)
        return decorated

    return decorate


def _option(setting: Setting) -> Callable[[Command], Command]:
    assert setting.flag
    unit = f"unit: {setting.unit}; " if setting.unit else ""
    default = f"default: {setting.show(setting.default)}; " if setting.default is not None else ""
    return click.option(
        setting.flag, setting.name, help=f"{setting.meaning}  [{unit}{default}env: {setting.variable}]", metavar="VALUE"
    )


def _resolve(flags: dict[str, Any], config: Path | None) -> Resolved:
    resolved = settings_here(flags=flags, config=config)
    for note in resolved.notes:
        click.echo(f"note: {note}", err=True)
    return resolved
