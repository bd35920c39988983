"""The SDK over real HTTP, against a server that answers from a script."""

import json
import socket
import threading
import time
from base64 import b64decode
from email.utils import formatdate

import pytest
from scripted_server import Reply, Request, ScriptedServer

import assay
from assay import Client
from assay.transport import HttpTransport


def numbers(server: ScriptedServer) -> list[list[int]]:
    """The property ``n`` of each event, by request."""
    return [[event["properties"]["n"] for event in request.events] for request in server.requests]


def test_a_batch_is_what_the_wire_asks_for():
    """One POST with the key in the header only, compressed, asking for results; the events as they were tracked."""
    with ScriptedServer() as server, Client(server.url + "/proxy/", "key") as client:
        ids = [client.track("u1", "Seen", {"n": n, "text": "x" * 100}) for n in range(30)]
        assert 0 == client.flush()
        assert assay.Stats(tracked=30, delivered=30, dropped={}, pending=0, quarantined=0, retried=0) == client.stats()
    [request] = server.requests

    assert "/proxy/v1/batch" == request.path
    assert b"key:" == b64decode(request.headers["Authorization"].removeprefix("Basic "))
    assert "gzip" == request.headers["Content-Encoding"]
    assert len(request.raw) < 2_000
    assert "return=representation" == request.headers["Prefer"]
    assert f"assay-python/{assay.__version__}" == request.headers["User-Agent"]
    assert {"sentAt", "batch"} == request.body.keys()
    assert ids == [event["messageId"] for event in request.events]


def test_gzip_can_be_switched_off():
    """Then the body is the JSON itself."""
    with ScriptedServer() as server, Client(server.url, "key", gzip=False) as client:
        client.track("u1", "Seen", {"n": 1, "text": "x" * 2_000})
        client.flush()

    assert "Content-Encoding" not in server.requests[0].headers
    assert server.requests[0].body == json.loads(server.requests[0].raw)


def test_batches_keep_their_limits():
    """By count and by bytes of the body; nothing is lost or reordered."""
    limits = {"batch_events_max": 10, "batch_bytes_max": 40_000}
    with ScriptedServer() as server, Client(server.url, "key", **limits, gzip=False) as client:
        for n in range(45):
            client.track("u1", "Seen", {"n": n, "text": "x" * (6_000 if n < 20 else 10)})
        client.flush()
    counts = [len(request.events) for request in server.requests]

    assert list(range(45)) == [n for batch in numbers(server) for n in batch]
    assert max(counts) <= 10
    assert max(len(request.raw) for request in server.requests) <= 40_000


def test_a_first_event_waits_for_others_no_longer_than_told():
    """A lone event goes without a flush."""
    with ScriptedServer() as server, Client(server.url, "key", linger_seconds=0.01) as client:
        client.track("u1", "Seen", {"n": 1})
        server.wait_for(1)

    assert [[1]] == numbers(server)


@pytest.mark.parametrize("header", ["1", "a date"])
def test_a_retry_after_is_waited_for(header):
    """Even when somebody flushes; then the same bytes are sent again."""
    with ScriptedServer() as server:

        def busy(request: Request) -> Reply:
            asked = formatdate(time.time() + 2, usegmt=True) if header == "a date" else header
            return Reply(503, {"Retry-After": asked}, b'{"success":false,"code":"busy"}')

        server._script.append(busy)
        with Client(server.url, "key") as client:
            client.track("u1", "Seen", {"n": 1})
            start = time.monotonic()
            while client.flush(0.05):
                pass
            took = time.monotonic() - start
            assert (1, 1) == (client.stats().delivered, client.stats().retried)
    first, second = server.requests

    assert took >= 0.95
    assert first.events == second.events


def test_the_next_batch_waits_too():
    """A Retry-After is about the collector, not about one batch."""
    settings = {"retry_seconds_max": 0.5, "batch_events_max": 1}
    busy = Reply(429, {"Retry-After": "1"})
    with ScriptedServer([busy]) as server, Client(server.url, "key", **settings) as client:
        client.track("u1", "Seen", {"n": 1})
        client.track("u1", "Seen", {"n": 2})
        start = time.monotonic()
        assert 0 == client.flush()
        took = time.monotonic() - start
        assert ({"expired": 1}, 1) == (client.stats().dropped, client.stats().delivered)

    assert took >= 0.95
    assert [[1], [2]] == numbers(server)


def test_an_open_circuit_sends_single_events_until_one_gets_through():
    """Three failures open it; flushing does not hurry it; the first answer closes it, and the rest follows at once."""
    settings = {"breaker_failures": 3, "breaker_seconds": 0.3}
    with ScriptedServer([Reply(500)] * 4) as server, Client(server.url, "key", **settings) as client:
        for n in range(5):
            client.track("u1", "Seen", {"n": n})
        start = time.monotonic()
        while client.flush(0.02):
            pass
        took = time.monotonic() - start
        assert (5, 4) == (client.stats().delivered, client.stats().retried)

    assert [5, 5, 5, 1, 1, 4] == [len(request.events) for request in server.requests]
    assert took >= 0.3 + 0.6


def test_a_close_probes_an_open_circuit_once_more():
    """A collector that has come back a moment ago gets what is pending."""
    settings = {"breaker_failures": 1, "breaker_seconds": 60}
    with ScriptedServer([Reply(500)]) as server:
        client = Client(server.url, "key", **settings)
        client.track("u1", "Seen", {"n": 1})
        client.flush(0.2)
        assert 0 == client.close(10)

    assert [[1], [1]] == numbers(server)


def test_a_batch_that_is_too_large_is_split():
    """Until it fits; an event that is too large alone is dropped by that reason, its neighbours are not."""

    def picky(request: Request) -> Reply:
        too_large = len(request.events) > 2 or any(event["properties"]["n"] == 3 for event in request.events)
        return Reply(413, {}, b"{}") if too_large else Reply()

    with ScriptedServer([picky] * 20) as server, Client(server.url, "key") as client:
        for n in range(8):
            client.track("u1", "Seen", {"n": n})
        assert 0 == client.flush()
        assert (7, {"too_large": 1}) == (client.stats().delivered, dict(client.stats().dropped))

    assert [list(range(8)), [0, 1, 2, 3], [0, 1], [2, 3], [2], [3], [4, 5, 6, 7], [4, 5], [6, 7]] == numbers(server)


def test_what_became_of_each_event_is_told():
    """A quarantined event is delivered and named; a rejected one is dropped and named."""

    def judge(request: Request) -> Reply:
        statuses = ["stored", "quarantined", "rejected"]
        results = [
            {"messageId": event["messageId"], "status": status, "code": f"was_{status}"}
            for event, status in zip(request.events, statuses, strict=True)
        ]
        return Reply(body=json.dumps({"success": True, "results": results}).encode())

    errors: list[assay.AssayError] = []
    with ScriptedServer([judge]) as server, Client(server.url, "key", on_error=errors.append) as client:
        ids = [client.track("u1", "Seen", {"n": n}) for n in range(3)]
        client.flush()
        stats = client.stats()

    assert (2, 1, {"rejected": 1}) == (stats.delivered, stats.quarantined, dict(stats.dropped))
    rejected, quarantined = errors
    assert isinstance(quarantined, assay.EventQuarantined)
    assert (ids[1], "was_quarantined") == (quarantined.message_id, quarantined.code)
    assert isinstance(rejected, assay.EventsDropped)
    assert f"was_rejected {ids[2]}" == rejected.detail


def test_an_unknown_key_is_told_without_the_key(caplog):
    """The events are dropped by that reason, once and for good."""
    unknown = Reply(401, {}, b'{"success":false,"code":"invalid_write_key"}')
    with ScriptedServer([unknown]) as server, Client(server.url, "s3cret") as client:
        client.track("u1", "Seen", {"n": 1})
        client.flush()
        assert {"unauthorized": 1} == client.stats().dropped

    assert ["assay.events_dropped reason=unauthorized count=1 detail='http_401 invalid_write_key'"] == [
        record.getMessage() for record in caplog.records
    ]


def test_redirects_are_not_followed():
    """The key goes nowhere else; the batch is tried again where it was meant to go."""
    with ScriptedServer() as other:
        moved = Reply(307, {"Location": other.url + "/v1/batch"})
        with ScriptedServer([moved]) as server, Client(server.url, "key") as client:
            client.track("u1", "Seen", {"n": 1})
            while client.flush(0.05):
                pass

    assert [] == other.requests
    assert [[1], [1]] == numbers(server)


def test_a_refused_connection_raises_nothing_and_loses_nothing():
    """The events stay until the collector is there."""
    with socket.socket() as placeholder:
        placeholder.bind(("127.0.0.1", 0))
        address = placeholder.getsockname()
    client = Client(f"http://{address[0]}:{address[1]}", "key")
    client.track("u1", "Seen")

    assert 1 == client.flush(0.5)
    assert 1 == client.stats().pending
    start = time.monotonic()
    assert 1 == client.close(0.2)
    assert time.monotonic() - start < 10
    assert {"deadline": 1} == client.stats().dropped


def test_a_hanging_collector_holds_up_nothing():
    """flush and close keep to their time; what was on the way is settled when the answer comes."""
    hold = threading.Event()
    with ScriptedServer([Reply(hold=hold)]) as server:
        client = Client(server.url, "key")
        client.track("u1", "Seen", {"n": 1})
        start = time.monotonic()
        assert 1 == client.flush(0.2)
        client.track("u1", "Seen", {"n": 2})
        assert 2 == client.close(0.2)
        took = time.monotonic() - start
        assert (1, {"deadline": 1}) == (client.stats().pending, dict(client.stats().dropped))
        hold.set()
        assert 0 == client.flush(10)
        assert (1, {"deadline": 1}) == (client.stats().delivered, dict(client.stats().dropped))
        assert 0 == client.close()

    assert took < 9


def test_a_request_takes_no_longer_than_told():
    """A server that never answers is a failed attempt after ``timeout_seconds``."""
    hold = threading.Event()
    with ScriptedServer([Reply(hold=hold)]) as server, Client(server.url, "key", timeout_seconds=0.2) as client:
        client.track("u1", "Seen", {"n": 1})
        server.wait_for(2)
        hold.set()
        assert 0 == client.flush()
        assert (1, 1) == (client.stats().delivered, client.stats().retried)


def test_an_answer_that_trickles_in_is_cut_off():
    """httpx bounds each read; the transport bounds them all together."""
    listener = socket.create_server(("127.0.0.1", 0))
    gone = threading.Event()

    def trickle() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not gone.wait(0.02):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return

    server = threading.Thread(target=trickle)
    server.start()
    transport = HttpTransport(f"http://127.0.0.1:{listener.getsockname()[1]}", "key")
    answer = transport.send(b"{}", timeout_seconds=1.5)
    transport.close()
    gone.set()
    server.join()
    listener.close()

    assert (0, "AnswerTooSlowOrLarge") == (answer.status, answer.failure)


def test_a_lost_answer_brings_the_same_event_again():
    """The collector can tell it by its message id."""

    def vanish(request: Request) -> Reply:
        raise ConnectionAbortedError

    with ScriptedServer([vanish]) as server:
        server._http.handle_error = lambda *_: None
        with Client(server.url, "key") as client:
            client.track("u1", "Seen", {"n": 1})
            while client.flush(0.05):
                pass
    first, second = server.requests

    assert first.events == second.events


def test_the_same_connection_serves_all_batches():
    """Kept alive, and closed with the client."""
    with ScriptedServer() as server:
        ports: set[int] = set()
        verify = server._http.verify_request
        server._http.verify_request = lambda request, address: ports.add(address[1]) or verify(request, address)
        with Client(server.url, "key") as client:
            for n in range(5):
                client.track("u1", "Seen", {"n": n})
                client.flush()

    assert 5 == len(server.requests)
    assert 1 == len(ports)
