"""
The collector as a process: granian with one worker.

A parent process owns the signals, and a worker process runs the application. What granian 2 does on its own, and what
is added here because it does not:

- It opens the port so that several processes may share it. Two collectors on one port would each get half of the
  events, silently; `free_port` finds out first.
- A worker outlives a parent that was killed. Ours watches its parent, and leaves with it.
- Ctrl-C reaches both processes, and a worker that ends first looks like a crash. Ours leaves it to the parent.
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
    Serve until told to stop by SIGTERM or SIGINT, then finish open requests.

    Args:
        address: Where to listen, from `free_port`.
        ready: Called once, when the first connection is accepted.

    Returns:
        The process's exit code: 0 after being told to stop, 1 when the worker would not stay alive.
    """
    server = Granian(
        "assay_collector",
        address=address[0],
        port=address[1],
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=settings.threads,
        http=HTTPModes.http1,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=math.ceil(settings.drain_seconds),
        log_level=LogLevels.warning,
        log_dictconfig=_LOGGING,
    )
    logs.install(sys.stderr, logging.getLevelName(settings.log_level.upper()))
    hang_up = server.signal_handler_interrupt if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN else signal.SIG_IGN
    # Granian has set its own handlers by the time it calls this.
    server.on_startup(lambda: signal.signal(signal.SIGHUP, hang_up))
    server.on_startup(lambda: _announce(address, ready))
    try:
        server.serve(target_loader=partial(_load, settings), wrap_loader=False)
    except SystemExit as ended:
        return 0 if server.interrupt_signal else int(ended.code or 0)
    return 0


def _load(settings: Settings) -> Any:
    """What the worker process does first: make the application."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    threading.Thread(target=_leave_with_parent, name="assay-parent", daemon=True).start()
    logs.install(sys.stderr, logging.getLevelName(settings.log_level.upper()))
    try:
        return create_app(settings)
    except AssayError as error:
        sys.exit(f"Error: {error}")


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _announce(address: tuple[str, int], ready: Callable[[], None]) -> None:
    threading.Thread(target=_wait_until_ready, args=(address, ready), name="assay-announce", daemon=True).start()


def _wait_until_ready(address: tuple[str, int], ready: Callable[[], None]) -> None:
    target = (_ANY_ADDRESS.get(address[0], address[0]), address[1])
    while True:
        try:
            socket.create_connection(target, timeout=1).close()
        except OSError:
            time.sleep(_POLL_SECONDS)
        else:
            return ready()


class _Heeded(logging.Filter):
    """Leaves out granian's advice on the number of threads: here, threads that wait for the disk share a commit."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "quite high" not in record.getMessage()


# Everything goes to the root logger, which `logs.install` gives its one handler.
_LOGGING: dict[str, Any] = {
    "handlers": {},
    "formatters": {},
    "filters": {"heeded": {"()": _Heeded}},
    "loggers": {"_granian": {"handlers": [], "filters": ["heeded"], "propagate": True}},
}
