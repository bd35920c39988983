"""Small helpers that every part of the adapter uses."""

from collections.abc import Iterable, Iterator, Sequence
from sqlite3 import Connection
from typing import Any, TypeVar

T = TypeVar("T")

# SQLite allows 32,766 parameters; few enough to keep statements cached, many enough to make them few.
PARAMETERS_MAX = 500


def chunks(values: Sequence[T], size: int = PARAMETERS_MAX) -> Iterator[Sequence[T]]:
    """The values in runs of at most `size`."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def marks(count: int) -> str:
    """`count` parameter marks: ?,?,?"""
    return ",".join("?" * count)


def select_in(connection: Connection, sql: str, values: Iterable[object]) -> Iterator[tuple[Any, ...]]:
    """Rows of a query with one `{}` for a list of parameters, however long the list."""
    wanted = list(dict.fromkeys(values))
    if len(wanted) == 1:
        yield from connection.execute(sql.format("?"), wanted)
        return
    for part in chunks(wanted):
        yield from connection.execute(sql.format(marks(len(part))), part)
