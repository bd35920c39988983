"""An HTTP server that acknowledges every request and keeps nothing, for when only the clients are measured."""

import contextlib
import socket
import sys
import threading
from collections.abc import Iterator

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"success":true}'


def serve(listener: socket.socket) -> None:
    """Answer until the listener is closed."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        received = b""
        while True:
            while b"\r\n\r\n" not in received:
                piece = connection.recv(1 << 20)
                if not piece:
                    return
                received += piece
            head, _, received = received.partition(b"\r\n\r\n")
            left = _length(head) - len(received)
            received = b""
            while left > 0:
                left -= len(connection.recv(min(left, 1 << 20)))
            connection.sendall(ANSWER)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


@contextlib.contextmanager
def sink() -> Iterator[str]:
    """A sink in a process of its own. Returns: its address."""
    import subprocess

    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        print(server.getsockname()[1], flush=True)
        serve(server)
