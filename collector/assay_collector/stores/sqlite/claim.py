"""One collector a database."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from assay.contract.errors import AssayError
from assay_collector.store import StoreUnavailable


@dataclass(eq=False)
class AlreadyServed(AssayError):
    """Another collector serves this database."""

    database: Path
    process: str  # its process id, or "" when it is only just starting

    def __str__(self) -> str:
        who = f"process {self.process}" if self.process else "another process"
        return f"{who} is serving {self.database} already; stop it, or name another file with --database"


class Claim:
    """
    The right to serve a database, which one process at a time has.

    SQLite keeps any number of writers apart by itself, but two collectors would decide and deliver the same things
    twice, and wait for each other at every commit. Operators' short commands need no claim.

    The kernel drops the claim with the process, however it ends; the file that stays behind means nothing.
    """

    def __init__(self, database: Path) -> None:
        """
        Claim a database until `release`.

        Raises:
            AlreadyServed: Somebody else has it.
            StoreUnavailable: The file beside the database cannot be written.
        """
        try:
            self._file = _open_beside(database)
        except OSError as error:
            raise StoreUnavailable(f"{error.strerror}: {error.filename}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            process = os.read(self._file, 32).decode("ascii", "replace").strip()
            os.close(self._file)
            raise AlreadyServed(database, process) from None
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())
        self._held = True

    def release(self) -> None:
        """Let another process have it. Calling it again does nothing."""
        if self._held:
            self._held = False
            os.close(self._file)


def _open_beside(database: Path) -> int:
    # Resolved, so that one database reached by two paths has one lock.
    path = database.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
