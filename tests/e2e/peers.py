"""
Other people's Python clients, unmodified.

Their requirements exclude one another, so each is installed into a folder of its own, once a checkout.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving import clean_environment

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".venv-peers" / (sys.implementation.cache_tag or "python")
SCRIPT = Path(__file__).parent / "clients" / "python_client.py"
INSTALL_SECONDS = 300.0
RUN_SECONDS = 90.0

Call = tuple[str, dict[str, Any]]  # the client's method, and its arguments


class PeerMissing(AssertionError):
    """A client could not be installed. No test is skipped for it: what was not tried is not known to work."""


@dataclass(frozen=True)
class Peer:
    """A client as its makers published it."""

    requirement: str
    module: str  # that holds its class Client

    def __str__(self) -> str:
        return self.requirement

    @property
    def folder(self) -> Path:
        return HOME / re.sub(r"[^a-z0-9.]+", "-", self.requirement)

    def install(self) -> None:
        """
        Make the folder, unless it is there.

        Raises:
            PeerMissing: With what pip said.
        """
        HOME.mkdir(parents=True, exist_ok=True)
        with _alone(HOME / f"{self.folder.name}.lock"):
            if not self.folder.exists():
                self._install()

    def start(self, options: dict[str, Any], calls: Iterable[Call]) -> "Running":
        """A process in which the client makes these calls, and flushes."""
        self.install()
        process = subprocess.Popen(
            [sys.executable, SCRIPT, self.module],
            env={**clean_environment(), "PYTHONPATH": str(self.folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        orders = [options, *({"call": call, "arguments": arguments} for call, arguments in calls)]
        process.stdin.write("".join(json.dumps(order) + "\n" for order in orders))
        process.stdin.close()
        process.stdin = None  # communicate() would close it again
        return Running(process)

    def run(self, options: dict[str, Any], calls: Iterable[Call]) -> list[dict[str, Any]]:
        """Make these calls; what the client reported as failed."""
        return self.start(options, calls).wait()

    def _install(self) -> None:
        draft = self.folder.with_name(f"{self.folder.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        pip = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--retries", "2")
        done = subprocess.run(
            [*pip, "--target", draft, self.requirement],
            env={**os.environ, "PIP_REQUIRE_VIRTUALENV": "0"},
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        if done.returncode:
            raise PeerMissing(f"{self} could not be installed; this test needs a package registry:\n{done.stderr}")
        draft.rename(self.folder)


@dataclass(frozen=True)
class Running:
    """A client at work."""

    process: "subprocess.Popen[str]"

    def wait(self) -> list[dict[str, Any]]:
        """Wait for the end of its flush; what it reported as failed."""
        try:
            out, err = self.process.communicate(timeout=RUN_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the client still flushes; it said:\n{self.process.communicate()[1]}") from None
        assert 0 == self.process.returncode, err
        return json.loads(out)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock among all processes of this machine: tests run in several."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
