"""A group of commands that are imported when they are used, so that the base install can run those it has parts for."""

import difflib
import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from assay.contract.errors import AssayError

# What the collector extra brings. A command that misses one of these misses the extra.
COLLECTOR_MODULES = frozenset(
    {"flask", "granian", "prometheus_client", "sqlite_utils", "standardwebhooks", "tzdata", "werkzeug", "yaml"}
)


class Refused(click.ClickException):
    """What was asked for cannot be done; said in one line. Exit code 1 is left to commands that find something."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """A command before it is imported."""

    target: str  # module:attribute
    help: str


class LazyGroup(click.Group):
    """A click group over a table of entries."""

    def __init__(self, *, entries: Mapping[str, Entry], **options: Any) -> None:
        super().__init__(**options)
        self._entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """The names, in the table's order."""
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's
        """Import a command."""
        entry = self._entries.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        with _explained(cmd_name):
            command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a misspelt one gets a suggestion."""
        nearest = difflib.get_close_matches(args[0], self._entries, n=1)
        if args[0] not in self._entries and nearest:
            ctx.fail(f"No such command {args[0]!r}; did you mean {nearest[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's
        """The list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self._entries.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what Assay refuses on purpose is said in one line."""
        with _explained(ctx):
            return super().invoke(ctx)


@contextmanager
def _explained(where: str | click.Context) -> Iterator[None]:
    """Turns Assay's errors, and a missing extra, into one line each."""
    try:
        yield
    except AssayError as error:
        raise Refused(str(error)) from error
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in COLLECTOR_MODULES:
            raise
        command = where if isinstance(where, str) else where.invoked_subcommand
        raise Refused(f"assay {command} needs the collector extra: pip install 'assay[collector]'") from error
