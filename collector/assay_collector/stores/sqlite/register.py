"""The register of definitions over one SQLite file."""

from collections.abc import Mapping, Sequence
from sqlite3 import Connection
from typing import Any

import msgspec
from msgspec.structs import asdict

from assay_collector.store import RegisterMoved, Version, VersionChange
from assay_collector.stores.sqlite.database import Database
from assay_collector.stores.sqlite.rows import marks

_VERSION_COLUMNS = Version.__struct_fields__
_CHANGE_COLUMNS = VersionChange.__struct_fields__
_PUT_VERSION = (
    f"INSERT INTO definitions ({','.join(_VERSION_COLUMNS)}) VALUES ({marks(len(_VERSION_COLUMNS))}) "
    "ON CONFLICT DO UPDATE SET status = excluded.status, since = excluded.since, lineage = excluded.lineage"
)
_APPEND_CHANGE = f"INSERT INTO definition_changes ({','.join(_CHANGE_COLUMNS)}) VALUES ({marks(len(_CHANGE_COLUMNS))})"
# The columns that hold lists, as JSON.
_LISTS = frozenset({"lineage", "diff"})


class SQLiteRegister:
    """Register over one SQLite file; see the port for what it promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def revision(self) -> int:
        with self._database.reading() as connection:
            return _revision(connection)

    def versions(self, id: str | None = None) -> Sequence[Version]:
        sql = f"SELECT {','.join(_VERSION_COLUMNS)} FROM definitions WHERE ? IN (id, '') ORDER BY since, id, content"
        with self._database.reading() as connection:
            return [Version(**_row(_VERSION_COLUMNS, row)) for row in connection.execute(sql, (id or "",))]

    def history(self, id: str | None = None) -> Sequence[VersionChange]:
        sql = f"SELECT {','.join(_CHANGE_COLUMNS)} FROM definition_changes WHERE ? IN (id, '') ORDER BY position"
        with self._database.reading() as connection:
            return [VersionChange(**_row(_CHANGE_COLUMNS, row)) for row in connection.execute(sql, (id or "",))]

    def files(self) -> Mapping[str, str]:
        with self._database.reading() as connection:
            return dict(connection.execute("SELECT id, content FROM definition_files"))

    def record(
        self,
        versions: Sequence[Version],
        changes: Sequence[VersionChange],
        *,
        revision: int,
        files: Mapping[str, str] | None = None,
    ) -> None:
        with self._database.transaction() as connection:
            if _revision(connection) != revision:
                raise RegisterMoved
            connection.executemany(_PUT_VERSION, [_values(version) for version in versions])
            connection.executemany(_APPEND_CHANGE, [_values(change) for change in changes])
            if files is not None:
                connection.execute("DELETE FROM definition_files")
                connection.executemany("INSERT INTO definition_files VALUES (?, ?)", list(files.items()))


def _revision(connection: Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(position), 0) FROM definition_changes").fetchone()[0])


def _values(row: Version | VersionChange) -> list[Any]:
    return [msgspec.json.encode(value).decode() if column in _LISTS else value for column, value in asdict(row).items()]


def _row(columns: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    values = dict(zip(columns, row, strict=True))
    for column in _LISTS & values.keys():
        values[column] = _tuples(msgspec.json.decode(values[column]))
    return values


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
