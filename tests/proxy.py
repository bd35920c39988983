"""A bad network: a TCP proxy on loopback that drops, delays and cuts connections, by a draw."""

import contextlib
import random
import socket
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Self

PIECE_BYTES = 4_096


class Proxy:
    """
    Passes connections on to a port, some of them badly.

    - dropped: the connection is closed at once;
    - delayed: every piece waits up to ``delay_seconds``;
    - cut: the connection is closed after so many bytes to the server, in the middle of a request;
    - unheard: the server gets the request whole, and its answer is thrown away.

    Args:
        port: Where the server listens.
        seed: Of the draw.
        bad: How many of a hundred connections meet with each fault.
    """

    def __init__(self, port: int, seed: int, bad: int = 10, delay_seconds: float = 0.3) -> None:
        self._port = port
        self._rng = random.Random(seed)
        self._bad = bad
        self._delay_seconds = delay_seconds
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._sockets: set[socket.socket] = set()
        self._is_over = False
        self.is_well = False
        # How many connections met with which fault.
        self.faults: Counter[str] = Counter()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_all()
        for thread in self._threads:
            thread.join()

    def cut_all(self) -> None:
        """Close every connection there is."""
        with self._lock:
            sockets = list(self._sockets)
        for each in sockets:
            _close(each)

    def _accept(self) -> None:
        while not self._is_over:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            fault = self._draw()
            self.faults[fault] += 1
            if fault == "dropped":
                _close(client)
            else:
                self._start(self._serve, client, fault)

    def _draw(self) -> str:
        chance = 100 if self.is_well else self._rng.randrange(100)
        return next(
            (name for n, name in enumerate(("dropped", "delayed", "cut", "unheard"), 1) if chance < n * self._bad), "ok"
        )

    def _serve(self, client: socket.socket, fault: str) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._port), timeout=5)
        except OSError:
            _close(client)
            return
        server.settimeout(None)
        with self._lock:
            self._sockets |= {client, server}
        left = self._rng.randrange(1, 40_000) if fault == "cut" else None
        self._start(self._pump, server, client, fault, None)
        self._pump(client, server, fault, left)

    def _pump(self, source: socket.socket, target: socket.socket, fault: str, left: int | None) -> None:
        """Pass bytes on in one direction; left: how many to the server before the cut."""
        is_answer = left is None and target.getpeername()[1] != self._port if _is_open(target) else False
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE_BYTES):
                if fault == "delayed":
                    time.sleep(self._rng.uniform(0, self._delay_seconds))
                if fault == "unheard" and is_answer:
                    break
                if left is not None:
                    piece, left = piece[:left], left - len(piece)
                target.sendall(piece)
                if left is not None and left <= 0:
                    break
        for each in (source, target):
            _close(each)
            with self._lock:
                self._sockets.discard(each)

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)
        with self._lock:
            self._threads.append(thread)
        thread.start()


def _is_open(each: socket.socket) -> bool:
    with contextlib.suppress(OSError):
        each.getpeername()
        return True
    return False


def _close(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
