"""
The collector as a process: granian with one worker.

A parent process owns the signals, and a worker process runs the application. What granian 2 does on its own, and what
is added here because it does not:

- It opens the port so that several processes may share it. Two collectors on one port would each get half of the
  events, silently; `free_port` finds out first.
- A worker outlives a parent that was killed. Ours watches its parent, and leaves with it.
- A signal to the whole group (Ctrl-C, systemd) reaches both processes; a worker that ends first looks like a crash, and
  would be replaced while the parent is stopping, by one that misses its signal. So replacing is left to `run`.
- A worker has its parent's handlers until it sets its own. One that is told to stop before that, as when it was just
  started in the place of another, would not heed it, and be waited for; ours ends at once.
- SIGHUP starts a second worker before the first has ended; but a database has one collector. Ours stops, as programs do
  when their terminal is gone, unless it was started to ignore that (``nohup``).
- A worker does not run what was registered with ``atexit``; `create_app` hooks into multiprocessing instead.
"""

import logging
import math
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from assay.contract.errors import AssayError
from assay_collector.app import create_app
from assay_collector.settings import Settings
from assay_collector.web import logs

_POLL_SECONDS = 0.02
_DEATH_SECONDS_MIN = 5.0  # from one to the next
_logger = logging.getLogger("assay_collector.server")
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  not bound here: where to find oneself


@dataclass(eq=False)
class CannotListen(AssayError):
    """The address or port cannot be had."""

    host: str
    port: int
    reason: str

    def __str__(self) -> str:
        return f"cannot listen at {self.host} port {self.port}: {self.reason}; choose others with --host and --port"


def free_port(host: str, port: int) -> tuple[str, int]:
    """
    The numeric address and the port to listen at, free a moment ago.

    Args:
        port: 0 for any.

    Raises:
        CannotListen: It is in use, not this machine's, or not allowed.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
            0
        ]
        with socket.socket(family, kind) as probe:
            # Passes over connections of a collector that was just stopped, not over one that listens.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return str(address[0]), int(probe.getsockname()[1])
    except OSError as error:
        raise CannotListen(host, port, error.strerror or str(error)) from error


def run(settings: Settings, *, address: tuple[str, int], ready: Callable[[], None]) -> int:
    """
    Serve until told to stop by SIGTERM, SIGINT or SIGHUP, then finish open requests. A worker that dies is replaced.

    Args:
        address: Where to listen, from `free_port`.
        ready: Called once, when the first connection is accepted.

    Returns:
        The process's exit code: 0 after being told to stop, 1 when two workers die in short succession.
    """
    logs.install(sys.stderr, _level(settings))
    parent = _Parent(settings, address)
    parent.announce(ready)
    died_at = -math.inf
    while True:
        parent.serve()
        if parent.is_told_to_stop:
            return 0
        logs.log(_logger, logging.ERROR, "assay.worker_died")
        if time.monotonic() - died_at < _DEATH_SECONDS_MIN:
            return 1
        died_at = time.monotonic()


class _Parent:
    """The process that owns the signals."""

    def __init__(self, settings: Settings, address: tuple[str, int]) -> None:
        self.is_told_to_stop = False
        self._pid = os.getpid()
        self._settings = settings
        self._address = address
        self._server: Any = None
        # A program that was started by nohup goes on when its terminal is gone.
        self._ignores_hang_up = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN

    def serve(self) -> None:
        """Run one worker, until it dies or the process is told to stop."""
        self._server = self._granian()
        # Granian has set its own handlers by the time it calls this.
        self._server.on_startup(self._take_signals)
        with suppress(SystemExit):
            self._server.serve(target_loader=partial(_load, self._settings), wrap_loader=False)

    def announce(self, ready: Callable[[], None]) -> None:
        """Call `ready` as soon as a connection is accepted."""
        threading.Thread(target=_wait_until_ready, args=(self._address, ready), daemon=True).start()

    def _granian(self) -> Any:
        return Granian(
            "assay_collector",
            address=self._address[0],
            port=self._address[1],
            interface=Interfaces.WSGI,
            workers=1,
            blocking_threads=self._settings.threads,
            http=HTTPModes.http1,
            websockets=False,
            workers_kill_timeout=math.ceil(self._settings.drain_seconds),
            log_level=LogLevels.warning,
            log_dictconfig=_LOGGING,
        )

    def _take_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN if self._ignores_hang_up else self._stop)
        # While one worker was replaced by the next, or since granian set its handlers.
        if self.is_told_to_stop or self._server.interrupt_signal:
            self._stop()

    def _stop(self, *_: object) -> None:
        if os.getpid() != self._pid:  # a worker that has not begun to load; there is nothing to finish
            os._exit(0)
        self.is_told_to_stop = True
        self._server.signal_handler_interrupt()


def _load(settings: Settings) -> Any:
    """What the worker process does first: make the application."""
    # Until granian sets a handler of its own, the parent's would be in force, which heeds nothing here.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    threading.Thread(target=_leave_with_parent, name="assay-parent", daemon=True).start()
    logs.install(sys.stderr, _level(settings))
    try:
        return create_app(settings)
    except AssayError as error:
        sys.exit(f"Error: {error}")


def _level(settings: Settings) -> int:
    return int(getattr(logging, settings.log_level.upper()))


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _wait_until_ready(address: tuple[str, int], ready: Callable[[], None]) -> None:
    target = (_ANY_ADDRESS.get(address[0], address[0]), address[1])
    while True:
        try:
            socket.create_connection(target, timeout=1).close()
        except OSError:
            time.sleep(_POLL_SECONDS)
        else:
            return ready()


class _Known(logging.Filter):
    """
    Leaves out what granian says of the number of threads, since ours wait for the disk and share a commit, and of
    workers that end unexpectedly, since `run` says that.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(("Configuration allows spawning", "Unexpected exit from worker"))


# Everything goes to the root logger, which `logs.install` gives its one handler.
_LOGGING: dict[str, Any] = {
    "handlers": {},
    "formatters": {},
    "filters": {"known": {"()": _Known}},
    "loggers": {"_granian": {"handlers": [], "filters": ["known"], "propagate": True}},
}
