"""A collector as a real process, for tests."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 30.0
STOP_SECONDS = 30.0


@dataclass
class Serving:
    """A running `assay serve`."""

    process: "subprocess.Popen[str]"
    url: str
    start_line: str

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def workers(self) -> list[int]:
        """The process ids of the parent's children."""
        return [int(line) for line in _run("ps", "-o", "pid=", "--ppid", str(self.process.pid)).split()]

    def terminate(self) -> int:
        """Tell it to stop, as a supervisor does; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """End the whole process group at once, as a power cut does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)


@contextmanager
def serving(folder: Path, *flags: str, database: str = "assay.db", port: int = 0) -> Iterator[Serving]:
    """`assay serve` in a folder, in a process group of its own; whatever is left of it is killed in the end."""
    process = subprocess.Popen(
        [*ASSAY, "serve", "--database", database, "--port", str(port), *flags],
        cwd=folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # As from a terminal, even where the tests themselves run under nohup.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    try:
        line = _first_line(process)
        yield Serving(process, re.search(r"http://\S+(?=;)", line)[0], line)
    finally:
        if _group_lives(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_SECONDS)
        process.stdout.close()


def assay(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """An operator's command in a folder."""
    return subprocess.run(
        [*ASSAY, *words], cwd=folder, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False
    )


def write_key(folder: Path, *, database: str = "assay.db", source: str = "web") -> str:
    """A source, and a key for it."""
    assay(folder, "keys", "sources", "create", source, "--database", database)
    return assay(folder, "keys", "create", "--source", source, "--database", database).stdout.strip()


def wait_until(condition, seconds: float = 10.0) -> None:
    """Look until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)


def clean_environment() -> dict[str, str]:
    """The environment without settings of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}


ASSAY = (sys.executable, "-m", "assay_collector")


def _first_line(process: "subprocess.Popen[str]") -> str:
    line = process.stdout.readline()
    assert line, f"the collector ended at once, with exit code {process.wait(STOP_SECONDS)}"
    return line


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _run(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout
