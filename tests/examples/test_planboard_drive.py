"""Driving the simulated product: what arrives over HTTP is what was to be sent, at the times that are true."""

import gzip
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from examples.planboard import Faults, Simulation, build
from examples.planboard.drive import Delivered, NotDelivered, deliver
from examples.planboard.simulation import REQUEST_SECONDS_MAX
from examples.planboard.world import SECOND

from assay.contract.messages import Event, Rejection
from assay.contract.reading import Arrival, open_envelope, read_item


class Reader(ThreadingHTTPServer):
    """Reads what it is sent as the collector does, and keeps it in memory."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.items: list[Event | Rejection] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Reader

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.server.status == 200:
            envelope = open_envelope(body, None)
            arrival = Arrival(received_at=time.time_ns() // 1000, sent_at=envelope.sent_at, context=envelope.context)
            self.server.items.extend(read_item(item, None, arrival, lambda: "drawn") for item in envelope.items)
        answer = b'{"success":true}'
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def reader() -> Iterator[Reader]:
    with Reader() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return build(scale=0.1, faults=Faults.every())


def test_every_message_arrives_as_often_as_it_is_sent(reader: Reader, simulation: Simulation) -> None:
    """Good ones, copies and bad ones reach the collector, each as often as the simulation says."""
    told: list[int] = []

    delivered = deliver(simulation, reader.url, "key", told.append)

    sent = Counter(message.message_id for message in simulation.messages)
    assert sent == Counter(item.message_id for item in reader.items)
    assert len(simulation.messages) == sum(told) == delivered.sdk + delivered.raw
    via = Counter(message.via for message in simulation.messages)
    assert Delivered(sdk=via["sdk"], raw=via["raw"]) == delivered


def test_events_are_read_at_their_true_times(reader: Reader, simulation: Simulation) -> None:
    """Times are exact, and wrong clocks are put right up to the time that the request takes."""
    deliver(simulation, reader.url, "key")

    read = {item.message_id: item.at for item in reader.items if isinstance(item, Event)}
    good = [message for message in simulation.messages if message.bad is None]
    exact = {m.message_id: m.at for m in good if not m.skew}
    assert exact == {message_id: read[message_id] for message_id in exact}
    off = [read[m.message_id] - m.at for m in good if m.skew]
    assert all(0 <= difference <= REQUEST_SECONDS_MAX * SECOND for difference in off)
    assert 100 < len(off)


def test_what_the_collector_refuses_is_said(reader: Reader, simulation: Simulation) -> None:
    """A collector that takes nothing is an error that counts the messages."""
    reader.status = 401

    with pytest.raises(NotDelivered, match=r"^\d+ message\(s\) were not delivered: "):
        deliver(simulation, reader.url, "wrong")
