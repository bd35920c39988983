"""
The disk spool: a folder of journals, in which events outlast their process.

Each client appends to a journal of its own, so no process ever waits for another. Why no database: a commit of an
embedded one took 32 to 54 us where a line takes 4, and 100 us as soon as two processes shared it (2-core machine, WAL);
``track()`` would have cost more for it than for everything else together.

What ``append`` returned True for survives the death of the process (``kill -9``), because the kernel has it. It
survives a power cut only with ``sync="full"``, which waits for the disk in every call.

Who may send what: a journal is locked (flock) by the process that writes or sends it. The kernel gives the lock free
when that process ends, however it ends; then any other client of the same destination takes the journal over. No clock
and no process id has a part in that. A folder on a network file system is no place for a spool.
"""

import os
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from assay.delivery import BatchLimits, DropReason, SpoolSync, fitting
from assay.journal import DamagedJournal, Journal, new_journal, read_journal

try:
    import fcntl
except ImportError:  # no POSIX system; the client says so when a spool is asked for
    IS_SUPPORTED = False
else:
    IS_SUPPORTED = True

# A journal that has grown to this, or to an eighth of the spool, is followed by another, and deleted once it is done.
JOURNAL_BYTES_MAX = 8_000_000
# Likewise one that is so old. What is too old to send is dropped by whole journals.
JOURNAL_SECONDS_MAX = 3_600.0
# How often the disk is tried again after it failed.
DISK_RETRY_SECONDS = 1.0
# How often a new file is tried anew that another process takes for one that was left.
_DRAFTS_MAX = 5
# How many damaged files are kept for whoever wants to know what happened.
DAMAGED_FILES_MAX = 10


class _Memory:
    """Stands in for a journal while the disk takes nothing."""

    def __init__(self) -> None:
        self._events: deque[bytes] = deque()

    @property
    def unread(self) -> int:
        return len(self._events)

    def append(self, event: bytes) -> None:
        self._events.append(event)

    def take(self, limits: BatchLimits) -> list[bytes]:
        count = fitting(self._events, limits)
        return [self._events.popleft() for _ in range(count)]


@dataclass
class Found:
    """What processes that ended have left."""

    journals: list[Journal] = field(default_factory=list)
    # Events from damaged journals, which are moved aside once these are safe.
    rescued: list[bytes] = field(default_factory=list)
    damaged_files: list[Path] = field(default_factory=list)
    damaged_lines: int = 0


class Spool:
    """
    A queue (see assay.buffer.Queue) on disk, bounded in bytes and age, that goes on in memory while the disk fails.

    Args:
        folder: Where the journals are; made when it is needed, for this user only, as events are personal data.
        destination: A name for collector and key; clients take over only what is for the same.
        bytes_max: Of the events of this destination that wait in the folder, as far as this process has seen them.
            Files may have up to one journal more.
        seconds_max: The age at which a journal is dropped unsent.
        sync: See above.
        memory_events_max: How many events wait in memory while the disk fails.
    """

    lasts = True

    def __init__(
        self,
        folder: Path,
        destination: str,
        *,
        bytes_max: int,
        seconds_max: float,
        sync: SpoolSync,
        memory_events_max: float,
    ) -> None:
        self.unspooled = 0
        self._folder = folder
        self._destination = destination
        self._bytes_max = bytes_max
        self._journal_bytes_max = min(JOURNAL_BYTES_MAX, bytes_max // 8)
        self._seconds_max = seconds_max
        self._sync = sync == "full"
        self._memory_events_max = memory_events_max
        self._parts: deque[Journal | _Memory] = deque()  # in the order of sending; the last one is written to
        # In flight: the journal, each event's bytes, and whether it was dropped meanwhile.
        self._taken: deque[tuple[Journal | _Memory, int, bool]] = deque()
        self._unread = 0
        self._in_flight = 0
        self._in_memory = 0  # of those unread or in flight
        self._bytes = 0  # of those unread or in flight, on disk
        self._others_bytes = 0
        self._losses: Counter[DropReason] = Counter()
        self._open: dict[str, int] = {}  # path -> file descriptor
        self._disk_at = 0.0  # when the disk may be tried again
        self._trouble = ""

    # --- Queue ---

    def append(self, event: bytes) -> bool:
        """Write an event down. See Queue."""
        size = len(event) + 1
        if self._bytes + self._others_bytes + size > self._bytes_max:
            return False
        last = self._parts[-1] if self._parts else None
        if not (isinstance(last, Journal) and self._is_writable(last)):
            last = self._next_part(last)
        if isinstance(last, Journal):
            try:
                if last.is_empty:
                    last.begin(time.time())
                last.append(event, sync=self._sync)
            except OSError as error:
                self._disk_failed(error)
                last = self._memory()
            else:
                self._bytes += size
                self._unread += 1
                return True
        return self._remember(last, event)

    def __len__(self) -> int:
        return self._unread

    def take(self, limits: BatchLimits) -> list[bytes]:
        """See Queue. What is too old, or not readable any more, is given up here."""
        while (part := self._first_unread()) is not None:
            if isinstance(part, Journal) and time.time() - part.since > self._seconds_max:
                self._give_up(part, DropReason.EXPIRED)
                continue
            events = _read(part, limits)
            if events:
                self._unread -= len(events)
                self._in_flight += len(events)
                self._taken.extend((part, len(event) + 1, False) for event in events)
                return events
            if isinstance(part, Journal):
                self._give_up(part, DropReason.DAMAGED)
        return []

    def drop_oldest(self) -> bool:
        """See Queue."""
        part = self._first_unread()
        events = [] if part is None else _read(part, BatchLimits(1))
        if part is None or not events:
            return False
        self._unread -= 1
        self._forget_bytes(part, len(events[0]) + 1, 1)
        return True

    def end(self, count: int) -> None:
        """See Queue."""
        self._in_flight -= count
        part: Journal | _Memory | None = None
        while self._taken and (count or self._taken[0][2]):
            part, size, was_dropped = self._taken.popleft()
            count -= not was_dropped
            if isinstance(part, Journal):
                part.done(size)
                self._bytes -= 0 if was_dropped else size
            else:
                self._in_memory -= not was_dropped
        if part is not None:
            self._mark(part)

    def losses(self) -> Mapping[DropReason, int]:
        """See Queue."""
        losses, self._losses = self._losses, Counter()
        return losses

    def trouble(self) -> str:
        """See Queue."""
        trouble, self._trouble = self._trouble, ""
        return trouble

    def leave(self) -> int:
        """See Queue; the disk is tried once more for what is in memory."""
        self._disk_at = 0.0
        memories = [part for part in self._parts if isinstance(part, _Memory)]
        left = [event for memory in memories for event in _read(memory, BatchLimits(2**31, 2**62))]
        self._unread -= len(left)
        self._in_memory -= len(left)
        unspooled = self.unspooled
        self._memory_events_max = 0  # disk or nothing
        lost = sum(not self.append(event) for event in left)
        self.unspooled = unspooled
        return lost

    @property
    def spooled(self) -> int:
        """See Queue."""
        return self._unread + self._in_flight - self._in_memory

    def close(self) -> None:
        """Let go of the journals, for a later process to find; those that are done with are deleted."""
        for part in self._parts:
            if isinstance(part, Journal) and part.is_done:
                part.path.unlink(missing_ok=True)
        self.forget()

    def forget(self) -> None:
        """Close the files and touch nothing. In a forked child they are its parent's, who has them locked still."""
        self._parts.clear()
        for path in list(self._open):
            self._let_go(path)

    # --- what others have left ---

    def has_others(self) -> bool:
        """Whether there are journals that this client did not make."""
        return any(str(path) not in self._open for path in self._paths())

    def find(self) -> Found:
        """Lock and read the journals of processes that ended. It takes its time, and needs no lock of the buffer."""
        found, others_bytes = Found(), 0
        self._sweep_drafts()
        for path in self._paths():
            if str(path) in self._open:
                continue
            with suppress(OSError):
                fd = self._lock(path)
                if fd is None:
                    others_bytes += path.stat().st_size
                else:
                    self._read_into(found, path, fd)
        self._others_bytes = others_bytes
        return found

    def put(self, found: Found) -> int:
        """
        Queue what was found, behind what is here already.

        Returns:
            How many events these are, those that are lost included.
        """
        last = self._parts[-1] if self._parts else None
        if isinstance(last, Journal) and last.is_new and last.is_empty:
            self._parts.extendleft(reversed(found.journals))
        else:
            self._parts.extend(found.journals)  # the next event begins another journal
        count = sum(journal.unread for journal in found.journals)
        self._unread += count
        self._bytes += sum(journal.left_bytes for journal in found.journals)
        lost = sum(not self.append(event) for event in found.rescued)
        self._losses += Counter({DropReason.DAMAGED: found.damaged_lines, DropReason.QUEUE_FULL: lost})
        for path in found.damaged_files:
            self._move_aside(path)
        return count + len(found.rescued) + found.damaged_lines

    def _read_into(self, found: Found, path: Path, fd: int) -> None:
        try:
            journal = read_journal(path, fd)
        except DamagedJournal as damage:
            found.rescued += damage.events
            found.damaged_lines += damage.damaged
            found.damaged_files.append(path)
            return
        except OSError:
            self._let_go(str(path))
            raise
        if journal.unread:
            found.journals.append(journal)
        else:
            path.unlink(missing_ok=True)
            self._let_go(str(path))

    def _move_aside(self, path: Path) -> None:
        with suppress(OSError):
            path.replace(path.with_suffix(".damaged"))
            for old in sorted(self._folder.glob("*.damaged"), key=os.path.getmtime)[:-DAMAGED_FILES_MAX]:
                old.unlink(missing_ok=True)
        self._trouble = "damaged_journal"
        self._let_go(str(path))

    # --- parts ---

    def _is_writable(self, journal: Journal) -> bool:
        if not journal.is_new or journal.size >= self._journal_bytes_max:
            return False
        return journal.is_empty or time.time() - journal.since < JOURNAL_SECONDS_MAX

    def _next_part(self, last: Journal | _Memory | None) -> Journal | _Memory:
        """A new journal, or memory where the disk allows none."""
        if isinstance(last, _Memory) and time.monotonic() < self._disk_at:
            return last
        try:
            journal = self._make()
        except OSError as error:
            self._disk_failed(error)
            return self._memory()
        if isinstance(last, _Memory) and not last.unread and not self._is_in_flight(last):
            self._parts.pop()
        self._parts.append(journal)
        return journal

    def _memory(self) -> _Memory:
        last = self._parts[-1] if self._parts else None
        if not isinstance(last, _Memory):
            last = _Memory()
            self._parts.append(last)
        return last

    def _remember(self, memory: _Memory, event: bytes) -> bool:
        if memory.unread >= self._memory_events_max:
            return False
        memory.append(event)
        self._unread += 1
        self._in_memory += 1
        self.unspooled += 1
        return True

    def _first_unread(self) -> Journal | _Memory | None:
        return next((part for part in self._parts if part.unread), None)

    def _give_up(self, journal: Journal, reason: DropReason) -> None:
        count, size = journal.give_up()
        self._unread -= count
        self._losses[reason] += count
        self._forget_bytes(journal, size, 0)

    def _forget_bytes(self, part: Journal | _Memory, size: int, events: int) -> None:
        """Events that were not sent are needed no longer; but those in flight before them are not done yet."""
        if isinstance(part, _Memory):
            self._in_memory -= events
        else:
            self._bytes -= size
        if self._is_in_flight(part):
            self._taken.append((part, size, True))
        elif isinstance(part, Journal):
            part.done(size)
            self._mark(part)

    def _mark(self, part: Journal | _Memory) -> None:
        """Write down how far a journal is done, and let go of parts that nothing is left of."""
        is_written_to = self._parts[-1] is part and not (isinstance(part, Journal) and not part.is_new)
        if isinstance(part, Journal) and (is_written_to or not part.is_done):
            part.mark()
        elif not is_written_to and not part.unread and not self._is_in_flight(part):
            self._parts.remove(part)
            if isinstance(part, Journal):
                part.path.unlink(missing_ok=True)
                self._let_go(str(part.path))

    def _is_in_flight(self, part: Journal | _Memory) -> bool:
        return bool(self._taken) and self._taken[-1][0] is part  # a batch is of one part

    # --- files ---

    def _paths(self) -> Iterator[Path]:
        """The journals of this destination, the oldest first."""
        try:
            yield from sorted(self._folder.glob(f"{self._destination}-*.events"))
        except OSError:
            return

    def _make(self) -> Journal:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Under its own name only once it is locked: nobody can come in between.
        draft, fd = self._draft()
        path = draft.with_suffix(".events")
        try:
            journal = new_journal(path, fd, time.time())
            self._open[str(path)] = self._open.pop(str(draft))  # before it can be found, also by our own find
            draft.rename(path)
            if self._sync:
                self._sync_folder()
        except OSError:
            draft.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            self._let_go(str(draft))
            self._let_go(str(path))
            raise
        return journal

    def _draft(self) -> tuple[Path, int]:
        """A new file, locked. Raises: OSError."""
        for _ in range(_DRAFTS_MAX):
            name = f"{self._destination}-{time.time_ns() // 1000:016x}-{os.urandom(4).hex()}.new"
            draft = self._folder / name
            fd = self._lock(draft, os.O_CREAT | os.O_EXCL)
            if fd is not None:
                return draft, fd
            # Somebody has swept it away in the moment before it was locked.
        raise BlockingIOError("a new file is locked")

    def _sweep_drafts(self) -> None:
        """Delete what processes left that were killed while they made a journal: no event was in it yet."""
        for draft in self._folder.glob("*.new"):
            with suppress(OSError):
                if self._lock(draft) is not None:
                    draft.unlink(missing_ok=True)
                    self._let_go(str(draft))

    def _lock(self, path: Path, flags: int = 0) -> int | None:
        """Open a journal that nobody has. Returns: None: somebody has it, or has just deleted it. Raises: OSError."""
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_nlink:
                self._open[str(path)] = fd
                return fd
        except OSError:
            pass
        os.close(fd)
        return None

    def _let_go(self, path: str) -> None:
        fd = self._open.pop(path, None)
        if fd is not None:
            with suppress(OSError):
                os.close(fd)

    def _sync_folder(self) -> None:
        fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _disk_failed(self, error: OSError) -> None:
        self._trouble = f"disk_failed error={type(error).__name__} errno={error.errno}"
        self._disk_at = time.monotonic() + DISK_RETRY_SECONDS


def _read(part: Journal | _Memory, limits: BatchLimits) -> list[bytes]:
    try:
        return part.take(limits)
    except OSError:
        return []
