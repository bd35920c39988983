"""A real HTTP server on loopback that answers from a script and records what it was asked."""

import gzip
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self

SUCCESS = b'{"success":true}'


class Reply(NamedTuple):
    """One answer of the script. hold: wait for this event before answering; cut: close the connection instead."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes = SUCCESS
    hold: threading.Event | None = None
    cut: bool = False


@dataclass(frozen=True)
class Request:
    """What came in, with the body decompressed and read."""

    path: str
    headers: Mapping[str, str]
    raw: bytes
    body: dict[str, Any]

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.body["batch"]


Script = Iterable[Reply | Callable[[Request], Reply]]


class ScriptedServer:
    """
    Answers the script's replies one after the other, then successes.

    A reply may be a function of the request. ``wait_for`` waits for requests without sleeping.
    """

    def __init__(self, script: Script = ()) -> None:
        self._script = list(script)
        self._changed = threading.Condition()
        self.requests: list[Request] = []
        # What clients told about themselves; answered 200, and not by the script.
        self.reports: list[Request] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events of all requests, acknowledged or not."""
        return [event for request in self.requests for event in request.events]

    def wait_for(self, requests: int, timeout: float = 10.0) -> None:
        """Wait until so many requests have come."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= requests, timeout), len(self.requests)

    def _answer(self, request: Request) -> Reply:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            step = self._script.pop(0) if self._script else Reply()
        return step(request) if callable(step) else step

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                plain = gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw
                request = Request(self.path, dict(self.headers), raw, json.loads(plain))
                if self.path.endswith("/v1/m"):
                    server.reports.append(request)
                    reply = Reply()
                else:
                    reply = server._answer(request)
                if reply.hold is not None:
                    reply.hold.wait(60)
                if reply.cut:
                    self.close_connection = True
                    return
                try:
                    self.send_response(reply.status)
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(reply.body)))
                    self.end_headers()
                    self.wfile.write(reply.body)
                except OSError:  # the client has gone
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the tests read ``requests``."""

        return Handler
