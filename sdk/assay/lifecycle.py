"""
The end of the process and its forks: what is pending is sent in time, and a child begins anew.

An import changes nothing: the first client begins the watch. One deadline holds for the end, however it comes: the
longest ``exit_seconds`` of the clients that still have a sender running.
"""

import _thread
import atexit
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, Protocol, TypeVar


class Forked(Protocol):
    """What lives on in a forked child, without its parent's threads, queue and connection. A client."""

    def _reopen_in_child(self) -> None: ...


class Ending(Protocol):
    """What has something to do before the process may end. A sender."""

    def nudge(self) -> None:
        """Send at once what is pending, without waiting for it."""

    def flush(self, began: float) -> None:
        """Wait until what is pending has been sent, for ``exit_seconds`` from a moment on (monotonic seconds)."""

    def hurry(self, began: float) -> float:
        """Take nothing more; the time for the rest began at a moment. Returns: when it is over (monotonic seconds)."""

    def close(self, timeout_seconds: float) -> int:
        """Send what is left for so long, then stop."""


_Lock = TypeVar("_Lock", bound=Any)

# Strong: what runs lives until it is closed, also if the app has let go of its client.
_running: set[Ending] = set()
_forked: weakref.WeakSet[Forked] = weakref.WeakSet()
_locks: list[Any] = []


def hold_over_forks(lock: _Lock) -> _Lock:
    """A lock that a fork waits for, so that no child inherits it from a thread that it does not have."""
    _locks.append(lock)
    return lock


_watching = hold_over_forks(threading.Lock())
_is_watched = False


def watch(client: Forked, *, handle_sigterm: bool) -> None:
    """Have a client told of forks, and its process's end watched."""
    global _is_watched
    with _watching:
        is_first, _is_watched = not _is_watched, True
    if is_first:
        atexit.register(end)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=_before_fork, after_in_parent=_release, after_in_child=_begin_anew_in_child)
    if handle_sigterm:
        _sigterm.install()
    _forked.add(client)


def started(sender: Ending) -> None:
    """A sender runs from now on, and is waited for at the end."""
    _running.add(sender)
    _watch_end_of_worker()


def stopped(sender: Ending) -> None:
    """A sender has nothing more to do."""
    _running.discard(sender)


def end() -> None:
    """Send what is pending, all clients at once, then stop. Nothing is left to do for a second call."""
    began = time.monotonic() - _sigterm.held_seconds
    senders = list(_running)
    for sender in senders:  # all begin to hurry before the first is waited for
        sender.hurry(began)
    for sender in senders:
        sender.close(max(0.0, sender.hurry(began) - time.monotonic()))


# --- forks ------------------------------------------------------------------------------------------------------------


def _before_fork() -> None:
    for lock in _locks:
        lock.acquire()


def _release() -> None:
    for lock in _locks:
        lock.release()


def _begin_anew_in_child() -> None:
    _release()
    _running.clear()
    _workers.clear()
    _sigterm.begin_anew()
    for client in list(_forked):
        client._reopen_in_child()


# Processes of multiprocessing whose end is watched: this one, or none.
_workers: set[int] = set()


def _watch_end_of_worker() -> None:
    """A forked child of multiprocessing ends past ``atexit``, but runs multiprocessing's own finalisers."""
    process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if process is None or util is None or os.getpid() in _workers or process.parent_process() is None:
        return
    _workers.add(os.getpid())
    util.Finalize(None, end, exitpriority=-100)  # after all those of the app


# --- SIGTERM ----------------------------------------------------------------------------------------------------------


class _Sigterm:
    """
    A handler before whatever was there.

    Where nothing was, the process ends by the signal once what is pending is sent. Where the app or its server has a
    handler, the process lives on for as long as that one likes: what is pending is sent, then that handler is called.
    """

    def __init__(self) -> None:
        self._previous: Callable[[int, FrameType | None], Any] | signal.Handlers | None = None
        self.begin_anew()

    def begin_anew(self) -> None:
        self._is_ending = False
        self._put_off = 0
        # How long the app has been held up by the handler; the end of the process has only the rest of the time.
        self.held_seconds = 0.0

    def install(self) -> None:
        """Install the handler once, if this is the main thread and SIGTERM is not ignored."""
        if self._previous is not None or threading.current_thread() is not threading.main_thread():
            return
        previous = signal.getsignal(signal.SIGTERM)
        # None: somebody's handler in C, which could not be called from here.
        if previous is None or previous == signal.SIG_IGN:
            return
        with suppress(ValueError):  # a subinterpreter has no signals
            signal.signal(signal.SIGTERM, self._handle)
            self._previous = previous  # type: ignore[assignment]  # an int never comes from Python

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._put_off < _PUT_OFF_MAX and _is_in_the_middle(frame):
            # The handler stops the main thread. Were that just holding a lock, what is sent would wait for it until
            # the deadline. So the signal is taken up a moment later; by a bare thread, which takes no lock to start.
            self._put_off += 1
            _thread.start_new_thread(_send_again, (number,))
            return
        self._put_off = 0
        if callable(self._previous):
            with suppress(Exception):  # the app's handler is called, whatever happens here
                self._send_before_handler()
            self._previous(number, frame)
        elif os.getpid() == 1:
            # The first process of a container does not end by a signal that it has no handler for.
            with suppress(Exception):
                self._send_before_handler()
        elif not self._is_ending:  # a second signal does not shorten the time that was promised
            self._is_ending = True
            if _is_gevent():
                sys.modules["gevent"].spawn(self._end_by_signal)  # the hub, where handlers run, must not wait
            else:
                self._end_by_signal()

    def _send_before_handler(self) -> None:
        began = time.monotonic() - self.held_seconds
        for sender in list(_running):
            sender.nudge()
        if _must_not_wait():
            return
        for sender in list(_running):
            sender.flush(began)
        self.held_seconds = time.monotonic() - began

    def _end_by_signal(self) -> None:
        try:
            with suppress(Exception):
                end()
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)


_sigterm = _Sigterm()


# Half a second in all: an app's own code, too, may run inside of ours, as on_drop, or inside of an import.
_PUT_OFF_SECONDS = 0.002
_PUT_OFF_MAX = 250

# Few, as apps that do nothing but track must get a turn soon.
_WITH_LOCKS = frozenset(
    f"assay.{name}" for name in ("buffer", "journal", "notices", "sender", "spool", "transport")
) | {"logging", "importlib._bootstrap"}
_WAITING = frozenset(("threading", name) for name in ("wait", "join", "_wait_for_tstate_lock"))
_BEGINNING = "threading", "start"


def _send_again(number: int) -> None:
    time.sleep(_PUT_OFF_SECONDS)
    os.kill(os.getpid(), number)


def _is_in_the_middle(frame: FrameType | None) -> bool:
    """Whether the main thread may hold a lock that sending needs: ours, the log's, or that of an import."""
    # Who waits holds none.
    waits = frame is not None and _place(frame) in _WAITING
    while frame is not None:
        module, _ = place = _place(frame)
        # But a thread that begins needs the lock of the wait for it, and may not have it yet.
        if place == _BEGINNING or (not waits and module in _WITH_LOCKS):
            return True
        frame = frame.f_back
    return False


def _place(frame: FrameType) -> tuple[object, str]:
    return frame.f_globals.get("__name__"), frame.f_code.co_name


def _must_not_wait() -> bool:
    """Whether an event loop runs here, which a handler would stop."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        with suppress(RuntimeError):
            asyncio.get_running_loop()
            return True
    return _is_gevent()


def _is_gevent() -> bool:
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))
