"""
One file of the spool: events as lines, written at the end, read from where the last read ended, done from the front.

The first line says since when there are events in it, and up to which byte they have been dealt with; so a journal is
NDJSON for whoever looks into it.
"""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from assay.delivery import BatchLimits, fitting

_HEAD = b'{"spool":1,"since":"%020d","done":"%020d"}\n'
_READ_HEAD = re.compile(rb'\{"spool":1,"since":"(\d{20})","done":"(\d{20})"\}\n')
HEAD_BYTES = len(_HEAD % (0, 0))
# Above the largest event.
_LINE_BYTES_MAX = 64 * 1024


class _Line(msgspec.Struct):
    type: str
    messageId: str  # noqa: N815 - the wire's name


_read_line = msgspec.json.Decoder(_Line).decode


class Journal:
    """
    An open file. Who has it open has it locked, so nobody else writes to it.

    Args:
        since: Seconds since the Unix epoch: no event in it is older.
        size: Where the next line goes.
        done: Up to which byte events need to be kept no longer.
        unread: How many events come after that.
        is_new: Whether this client made it; only such ones are written to.
    """

    def __init__(self, path: Path, fd: int, *, since: int, size: int, done: int, unread: int, is_new: bool) -> None:
        self.path = path
        self.fd = fd
        self.since = since
        self.size = size
        self.unread = unread
        self.is_new = is_new
        self._read = self._done = done

    @property
    def is_empty(self) -> bool:
        return self.size == HEAD_BYTES

    @property
    def is_done(self) -> bool:
        return self._done >= self.size

    @property
    def left_bytes(self) -> int:
        """Of events that are not done."""
        return self.size - self._done

    def append(self, event: bytes, *, sync: bool) -> None:
        """Write a line, or nothing. Raises: OSError."""
        line = event + b"\n"
        try:
            if os.pwrite(self.fd, line, self.size) < len(line):
                raise OSError("the disk took a part of a line")
            if sync:
                os.fdatasync(self.fd)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self.fd, self.size)
            raise
        self.size += len(line)
        self.unread += 1

    def take(self, limits: BatchLimits) -> list[bytes]:
        """Read the next events that fit. None, though some are unread: somebody has damaged the file."""
        left = self.size - self._read
        likely = left // max(self.unread, 1) * limits.events_max * 5 // 4
        room = min(left, likely + _LINE_BYTES_MAX, limits.bytes_max + _LINE_BYTES_MAX)
        lines = os.pread(self.fd, room, self._read).split(b"\n", limits.events_max)[:-1]
        events = lines[: fitting(lines, limits)]
        if not all(event.startswith(b"{") for event in events):
            return []
        self._read += sum(map(len, events)) + len(events)
        self.unread -= len(events)
        return events

    def give_up(self) -> tuple[int, int]:
        """Read no more of it. Returns: the events and bytes that were left."""
        left = self.unread, self.size - self._read
        self.unread, self._read = 0, self.size
        return left

    def done(self, size: int) -> None:
        """So many bytes more, from the front, need to be kept no longer."""
        self._done += size

    def begin(self, now: float) -> None:
        """The first event is about to come: age counts from here."""
        self.since = int(now)
        with suppress(OSError):
            os.pwrite(self.fd, _HEAD % (self.since, self._done), 0)

    def mark(self) -> None:
        """Write down how far it is done. If that fails or is lost, events are sent twice, with the same ids."""
        with suppress(OSError):
            if self.is_done and not self.is_empty and self.is_new:
                # The file first: a mark beyond its end says that all is done, should the process die in between.
                os.ftruncate(self.fd, HEAD_BYTES)
                self.size = self._read = self._done = HEAD_BYTES
            os.pwrite(self.fd, _HEAD % (self.since, self._done), 0)


class DamagedJournal(Exception):
    """A file that is no journal, or not all of one."""

    def __init__(self, events: Iterable[bytes], damaged: int) -> None:
        super().__init__()
        self.events = list(events)
        self.damaged = damaged  # lines


def new_journal(path: Path, fd: int, now: float) -> Journal:
    """Begin an empty file. Raises: OSError."""
    since = int(now)
    os.pwrite(fd, _HEAD % (since, HEAD_BYTES), 0)
    return Journal(path, fd, since=since, size=HEAD_BYTES, done=HEAD_BYTES, unread=0, is_new=True)


def read_journal(path: Path, fd: int) -> Journal:
    """
    Read what another process has left. A last line without its end was never promised to anyone.

    Raises:
        DamagedJournal: With the events that can be saved.
        OSError: It cannot be read.
    """
    content = _content(fd)
    head = _READ_HEAD.match(content)
    since, done = (int(head[1]), int(head[2])) if head else (0, 0)
    *lines, torn = content[done if head else 0 :].split(b"\n")
    good = [line for line in lines if _is_event(line)]
    bad = len(lines) - len(good) + (1 if torn and not head else 0)
    if bad:
        raise DamagedJournal(good, bad)
    size = max(len(content) - len(torn), min(done, len(content)))
    return Journal(path, fd, since=since, size=size, done=min(done, size), unread=len(lines), is_new=False)


def _content(fd: int) -> bytes:
    parts = []
    at = 0
    while part := os.pread(fd, 1 << 20, at):
        parts.append(part)
        at += len(part)
    return b"".join(parts)


def _is_event(line: bytes) -> bool:
    try:
        _read_line(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return True
