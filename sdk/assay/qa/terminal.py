"""What all commands for QA share: exit codes, output that harms no terminal, and how they refuse."""

import json
import sys
from typing import Any, Final

import click

from assay.contract.display import visible
from assay.contract.errors import AssayError

EXIT_CLEAN: Final = 0
EXIT_FOUND: Final = 1
EXIT_UNUSABLE: Final = 2

format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["human", "json"]),
    default="human",
    show_default=True,
    help="json writes one object a line, the summary last.",
)


class Unusable(click.ClickException):
    """What the command needs cannot be had."""

    exit_code = EXIT_UNUSABLE


def unusable(error: AssayError) -> Unusable:
    # Only the line breaks between problems are ours to keep.
    return Unusable("\n".join(visible(line) for line in str(error).split("\n")))


def counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def write_json(value: Any) -> None:
    # ASCII only: no byte of an event can reach the terminal as it came.
    click.echo(json.dumps(value, ensure_ascii=True))


def say(text: str, err: bool = False) -> None:
    """Write one line; what was recorded can neither move the cursor nor fail on a terminal that is not UTF-8."""
    stream = sys.stderr if err else sys.stdout
    encoding = stream.encoding or "utf-8"
    click.echo(visible(text).encode(encoding, "backslashreplace").decode(encoding), err=err)
