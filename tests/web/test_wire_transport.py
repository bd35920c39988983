"""What only a real server shows: chunked bodies, bodies cut off, header nonsense; and the cases once more."""

import gzip
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cases_run import Answer, Recorded, check_answer, load_cases, run_case
from web_parts import BROWSER_KEY, SERVER_KEY

CASES = load_cases("bodies", "neighbours", "auth", "times", "answers", "consent")
EVENT = {"type": "track", "event": "E", "userId": "u", "messageId": "m1", "writeKey": SERVER_KEY}
BATCH = json.dumps({"batch": [EVENT]}).encode()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a granian that serves the house."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free: int = probe.getsockname()[1]
    here = Path(__file__).parent
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(free), "--no-ws"]
    command += ["--blocking-threads", "4", "--log-level", "error", "served_house:app"]
    server = subprocess.Popen(command, cwd=here, env={**os.environ, "PYTHONPATH": str(here)})
    try:
        _wait_for(free)
        yield free
    finally:
        server.terminate()
        server.wait(10)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the server did not start")


def send_over(port: int, method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        # http.client would add a Content-Type of its own to some bodies, and refuses non-Latin headers.
        connection.request(method, path, body, headers, encode_chunked="Transfer-Encoding" in headers)
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def recorded_at(port: int) -> Recorded:
    record = json.loads(send_over(port, "GET", "/recorded", {}, None).body)
    return Recorded(**{**record, "times": [tuple(times) for times in record["times"]]})


def exchange(port: int, request: bytes, *, half_close: bool = False) -> bytes:
    """Send bytes as they are, and read until the server closes or has answered."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(request)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        connection.settimeout(2)
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
                if answer.endswith(b"}"):
                    break
        except TimeoutError:
            pass
        return answer


@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[name for name, _ in CASES])
def test_a_case_over_a_real_server(case: dict[str, Any], port: int) -> None:
    """The answers and the record are the same as without a server."""
    before = recorded_at(port).key_conflicts

    def recorded() -> Recorded:
        record = recorded_at(port)
        return Recorded(record.stored, record.quarantined, record.times, record.key_conflicts - before)

    run_case(case, lambda *request: send_over(port, *request), recorded)


def test_chunked_without_a_length(port: int) -> None:
    """A chunked body is read to its end."""
    answer = send_over(port, "POST", "/v1/batch", {"Transfer-Encoding": "chunked"}, iter([BATCH[:30], BATCH[30:]]))

    assert (200, b'{"success":true}') == (answer.status, answer.body)
    assert ["app:m1"] == recorded_at(port).stored


def test_gzip_and_chunked_as_kotlin_sends_it(port: int) -> None:
    """Gzip in chunks, as text/plain, with no length."""
    packed = gzip.compress(BATCH)
    headers = {"Transfer-Encoding": "chunked", "Content-Encoding": "gzip", "Content-Type": "text/plain"}

    answer = send_over(port, "POST", "/v1/b", headers, iter([packed[:10], packed[10:]]))

    assert (200, b'{"success":true}') == (answer.status, answer.body)
    assert ["app:m1"] == recorded_at(port).stored


def test_a_chunked_body_over_the_cap(port: int) -> None:
    """A body without a length is refused at the cap, and the answer still reaches a client that keeps sending."""
    answer = send_over(port, "POST", "/v1/batch", {"Transfer-Encoding": "chunked"}, iter([b"a" * 1_000_000] * 12))

    check_answer(answer)
    assert 413 == answer.status


def test_a_body_far_over_the_cap(port: int) -> None:
    """A client that announces and sends three times the cap gets its 413, not a broken connection."""
    answer = send_over(port, "POST", "/v1/batch", {}, b"a" * 16_000_000)

    check_answer(answer)
    assert 413 == answer.status


@pytest.mark.parametrize("framing", ["Content-Length: 500", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("half_close", [True, False])
def test_a_half_sent_body(port: int, framing: str, half_close: bool) -> None:
    """A client that goes away in the middle stores nothing and harms nobody."""
    head = f"POST /v1/batch HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode()
    part = b"5\r\n" + BATCH[:5] + b"\r\n" if "chunked" in framing else BATCH[:50]
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(head + part)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(5)
            answer = connection.recv(65536)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")

    assert Recorded([], [], [], recorded_at(port).key_conflicts) == recorded_at(port)


@pytest.mark.parametrize(
    "head",
    [
        "POST /v1/batch HTTP/1.1\r\nHost: \r\n",
        "POST /v1/batch HTTP/1.1\r\n",
        "POST /v1/batch HTTP/1.1\r\nHost: h\x01h\r\n",
        "POST /v1/batch HTTP/1.1\r\nHost: a b\r\n",
        "POST /v1/batch HTTP/1.1\r\nHost: [::1\r\n",
        "POST http://elsewhere/v1/batch HTTP/1.1\r\nHost: x\r\n",
        "POST /v1/batch?%zz=%ff HTTP/1.1\r\nHost: x\r\n",
        "POST /v1/b%61tch HTTP/1.1\r\nHost: x\r\n",
        "POST /v1/batch HTTP/1.1\r\nHost: x\r\nAuthorization: \xff\xfe\r\nContent-Type: \xff\r\nOrigin: \xff\r\n",
        "POST /v1/batch HTTP/1.1\r\nHost: x\r\nCookie: =;=;\"\r\nRange: bytes=9-1\r\nIf-Match: \"\r\n",
        "POST /v1/batch HTTP/1.0\r\nHost: x\r\n",
    ],
)  # fmt: skip
def test_nonsense_in_headers_is_no_reason_to_lose_an_event(port: int, head: str) -> None:
    """Whatever the other headers say, a readable body with a key is stored, or the server itself refuses."""
    request = head.encode("latin-1") + f"Content-Length: {len(BATCH)}\r\n\r\n".encode() + BATCH
    answer = exchange(port, request)

    status, stored = int(answer.split()[1]), recorded_at(port).stored
    assert (status, stored) in [(200, ["app:m1"]), (400, [])]
    assert b"<html" not in answer.lower()


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /%00 HTTP/1.1", "GET /%ff%fe HTTP/1.1", "GET // HTTP/1.1", "GET //evil.example/%2e%2e HTTP/1.1",
        "GET * HTTP/1.1",
        "GET /v1/projects//settings HTTP/1.1", "GET /v1/projects/%00/settings HTTP/1.1", "OPTIONS * HTTP/1.1",
        "TRACE / HTTP/1.1", "FOO /v1/t HTTP/1.1", "DELETE /metrics HTTP/1.1", "GET /v1/receipts/%2F%00 HTTP/1.1",
    ],
)  # fmt: skip
def test_odd_requests_get_json(port: int, request_line: str) -> None:
    """Flask's own errors are JSON on the wire too."""
    answer = exchange(port, f"{request_line}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] in (b"200", b"400", b"401", b"404", b"405")
    assert b"content-type: application/json" in head.lower() or body == b""


def test_settings_name_the_host_that_was_asked(port: int) -> None:
    """A page needs only the CDN URL: where to send to stands in the document."""
    answer = send_over(port, "GET", f"/v1/projects/{BROWSER_KEY}/settings", {"Origin": "https://shop.example"}, None)

    segment = json.loads(answer.body)["integrations"]["Segment.io"]
    expected = (BROWSER_KEY, f"127.0.0.1:{port}/v1", "http")
    assert expected == (segment["apiKey"], segment["apiHost"], segment["protocol"])
    assert "https://shop.example" == answer.headers["access-control-allow-origin"]
