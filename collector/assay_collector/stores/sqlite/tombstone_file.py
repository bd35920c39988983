"""
The erasures on record beside the database, so that an older copy of the database learns of them.

One JSON object a line: the request, when, and the keyed hashes of the identifiers; nobody can read from them who it
was. A line is on the disk before the erasure is in the database. Lines are only ever added.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from assay.contract.times import format_instant

SUFFIX = ".tombstones"


class Line(msgspec.Struct, frozen=True):
    """One erasure, or that one came to nothing."""

    request: str  # hexadecimal
    at: str
    ids: tuple[str, ...] = ()  # hexadecimal
    cancelled: bool = False  # the database refused it after the line was written


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Line).decode


class TombstoneFile:
    """The file of one database."""

    def __init__(self, database: Path) -> None:
        # Resolved, so that one database reached by two paths has one file.
        resolved = database.resolve()
        self.path = resolved.with_name(resolved.name + SUFFIX)

    def append(self, request_id: bytes, ids: Sequence[bytes], now: int) -> None:
        """
        Put an erasure on record, durably.

        Raises:
            OSError: It is not on record.
        """
        self._write(Line(request_id.hex(), format_instant(now), tuple(sorted(id.hex() for id in ids))))

    def cancel(self, request_id: bytes, now: int) -> None:
        """The erasure did not come about."""
        self._write(Line(request_id.hex(), format_instant(now), cancelled=True))

    def erasures(self) -> dict[bytes, frozenset[bytes]]:
        """What is on record: request -> subjects."""
        found: dict[bytes, frozenset[bytes]] = {}
        for line in self._lines():
            request_id = bytes.fromhex(line.request)
            if line.cancelled:
                found.pop(request_id, None)
            else:
                found[request_id] = frozenset(bytes.fromhex(id) for id in line.ids)
        return found

    def _lines(self) -> Iterator[Line]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return
        for text in content.splitlines():
            try:
                yield _decode(text)
            except msgspec.MsgspecError:
                # A power cut in the middle of a line: its erasure was never acknowledged, nor begun.
                continue

    def _write(self, line: Line) -> None:
        is_new = not self.path.exists()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            # A line cut short by a power cut must not swallow this one.
            os.write(descriptor, b"\n" + _encode(line) + b"\n" if not is_new else _encode(line) + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            _sync_folder(self.path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
