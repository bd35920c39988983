"""What the benchmarks share: real server processes, a load generator, and honest figures."""

import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[1]
SCHEMAS = ROOT / "schemas" / "planboard"
WORKED = ROOT / "schemas" / "worked"
START_SECONDS_MAX = 30.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running server process; `database` and `key` only for a collector."""

    url: str
    process: "subprocess.Popen[bytes]"
    database: Path | None = None
    key: str = ""

    def cpu_seconds(self) -> float:
        """CPU time of the server and its children so far."""
        ticks = 0
        for pid in (self.process.pid, *_children(self.process.pid)):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


@contextlib.contextmanager
def collector(*, definitions: bool = True, plan: bool = True, database: Path | None = None) -> Iterator[Server]:
    """
    A collector with Planboard's plan and the twelve worked definitions.

    Args:
        database: One that was begun with `begin`; None: a fresh one.
    """
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        database = database or begin(Path(folder) / "assay.db")
        key = _assay("keys", "create", "--source", "bench", "--database", str(database))
        arguments = ["--database", str(database)]
        if plan:
            arguments += ["--plan", str(SCHEMAS / "plan")]
        if definitions:
            arguments += ["--definitions", str(WORKED)]
        port = free_port()
        command = [sys.executable, "-m", "assay_collector", "serve", "--port", str(port), *arguments]
        with _running(command, port) as process:
            yield Server(f"http://127.0.0.1:{port}", process, database, key)


def begin(database: Path) -> Path:
    """A database with a source of events, and nothing else."""
    _assay("keys", "sources", "create", "bench", "--database", str(database))
    return database


@contextlib.contextmanager
def no_op() -> Iterator[Server]:
    """A Flask application that does nothing, on the same server with the same settings."""
    port = free_port()
    with _running([sys.executable, "-m", "benchmarks.no_op", str(port)], port) as process:
        yield Server(f"http://127.0.0.1:{port}", process)


def _assay(*arguments: str) -> str:
    command = [sys.executable, "-m", "assay_collector", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@contextlib.contextmanager
def _running(command: Sequence[str], port: int) -> "Iterator[subprocess.Popen[bytes]]":
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"did not start: {' '.join(command)}")
            time.sleep(0.05)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- load ---


def requests(server: Server, path: str, bodies: Sequence[bytes]) -> list[bytes]:
    """Complete HTTP requests, made beforehand, so that making them is not measured."""
    address = urlsplit(server.url)
    head = f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
    return [head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body for body in bodies]


def send_all(server: Server, wanted: Sequence[bytes], connections: int) -> float:
    """
    Send every request over this many connections, each waiting for its answer; every answer must be a 200.

    Returns:
        Seconds of wall time.
    """
    address = urlsplit(server.url)
    queue = iter(wanted)
    lock = threading.Lock()
    failures: list[bytes] = []

    def work() -> None:
        with socket.create_connection((str(address.hostname), int(address.port or 80))) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                with lock:
                    request = next(queue, None)
                if request is None:
                    return
                connection.sendall(request)
                answer = _read_answer(connection)
                if not answer.startswith(b"HTTP/1.1 200"):
                    failures.append(answer)
                    return

    threads = [threading.Thread(target=work) for _ in range(connections)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    if failures:
        raise SystemExit(f"an answer was not 200: {failures[0][:300]!r}")
    return seconds


def _read_answer(connection: socket.socket) -> bytes:
    answer = connection.recv(65536)
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def waiting(server: Server) -> int:
    """How many entities are due to be decided."""
    with urlopen(f"{server.url}/readyz", timeout=60) as answer:
        return int(json.load(answer)["agenda"]["due"])


def wait_until_decided(server: Server, seconds: float = 3_600.0) -> None:
    """Until nobody is due to be decided."""
    deadline = time.monotonic() + seconds
    while waiting(server):
        if time.monotonic() > deadline:
            raise SystemExit(f"after {seconds:.0f} s not everybody was decided")
        time.sleep(0.02)


# --- messages ---


def messages(number: int, seed: int) -> list[dict[str, object]]:
    """That many different good messages of the simulated product, in order of time."""
    from examples.planboard import Faults, build

    found: dict[str, dict[str, object]] = {}
    scale = max(1.0, number / 9_000)
    while len(found) < number:
        simulation = build(seed, scale, faults=Faults.none())
        found |= {message.message_id: dict(message.body) for message in simulation.messages if message.bad is None}
        seed += 1_000
    return list(found.values())[:number]


def batches(found: Sequence[dict[str, object]], key: str, size: int = 100) -> list[bytes]:
    """Bodies of batch requests."""
    return [
        json.dumps({"writeKey": key, "batch": list(found[start : start + size])}).encode()
        for start in range(0, len(found), size)
    ]


# --- figures ---


def show(name: str, values: Sequence[float], unit: str) -> None:
    """A figure as median and range over the rounds."""
    print(f"  {name:58} {statistics.median(values):12,.1f} {unit:10} ({min(values):,.1f} to {max(values):,.1f})")


def show_ratio(name: str, values: Sequence[float], least: float, aim: float) -> None:
    """A ratio, round by round, with what it must reach."""
    median = statistics.median(values)
    verdict = "aim reached" if median >= aim else "reached" if median >= least else "NOT REACHED"
    print(f"  {name:58} {median:12.3f} {'':10} ({min(values):.3f} to {max(values):.3f})")
    print(f"  {'':58} {verdict}: at least {least}, aim {aim}")
