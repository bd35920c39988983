"""How commands print."""

import json
from collections.abc import Sequence
from typing import Any

import click


def print_json(document: Any) -> None:
    """One JSON document, for programs."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns under heads, each as wide as it must be; control characters are shown, not sent to the terminal."""
    table = [list(heads), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    for row in table:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def printable(text: str) -> str:
    """Text as a terminal may safely show it."""
    # Names and message ids come from outside; an escape sequence among them must not reach the terminal.
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)
