"""
What a person of 100,000 events costs the others: merge, undo, withdrawal and erasure while events keep coming in.

A collector with Planboard's plan and the twelve worked definitions holds a person: half of its events under an
anonymous id, half under a user id, in one account. Clients send fresh events of other people, at a share of the rate
that ingest bears alone, since decisions wait for a collector that is sent all it can take. The rate is taken for some
seconds without anything else, and then during each operation, from the request until everything is decided (for the
erasure: until its certificate is there).

    python -m benchmarks.rights [--events 100000] [--connections 4] [--seconds 5] [--share 0.5]
                                [--operations merge erasure]
"""

import argparse
import base64
import json
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from benchmarks.harness import Server, batches, collector, messages, requests, send_all

BATCH = 100
LEAST = 0.5
OPERATIONS = ("merge", "undo", "withdrawal", "erasure")
OPERATION_SECONDS_MAX = 900.0


@dataclass
class Load:
    """Clients that send without a break, and how many events were acknowledged when."""

    server: Server
    bodies: list[bytes]
    pause: float = 0.0  # from the beginning of one request of a connection to the next, at least
    done: list[float] = field(default_factory=list)
    _number: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self, connections: int) -> Iterator["Load"]:
        threads = [threading.Thread(target=self._send) for _ in range(connections)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stopped.set()
            for thread in threads:
                thread.join()

    def rate(self, start: float, end: float) -> float:
        """Events acknowledged in a second between two instants."""
        return sum(start <= at < end for at in list(self.done)) * BATCH / (end - start)

    def _send(self) -> None:
        address = urlsplit(self.server.url)
        with socket.create_connection((str(address.hostname), int(address.port or 80))) as connection:
            while not self._stopped.is_set():
                with self._lock:
                    self._number += 1
                    number = self._number
                # The same lengths, so that the request stays in order; an id of its own, so that it is stored.
                began = time.perf_counter()
                body = self.bodies[number % len(self.bodies)].replace(b"@round@", b"%07d" % number)
                connection.sendall(body)
                answer = connection.recv(65536)
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise SystemExit(f"an answer was not 200: {answer[:300]!r}")
                self.done.append(time.perf_counter())
                # What was missed is not made up for: a slow answer is a lower rate.
                time.sleep(max(0.0, self.pause - (time.perf_counter() - began)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000, help="of the person")
    parser.add_argument("--connections", type=int, default=4, help="clients at once")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long the rate is taken without anything else")
    parser.add_argument("--share", type=float, default=0.5, help="of the rate that ingest bears alone")
    parser.add_argument("--operations", nargs="+", choices=OPERATIONS, default=OPERATIONS)
    arguments = parser.parse_args()
    print(f"\nRights: a person of {arguments.events:,} events, {arguments.connections} connections of others")
    with collector() as server:
        token = _admin_token(server)
        _meet(server, arguments.events)
        pause = _pause(server, arguments.connections, arguments.share)
        with Load(server, _others(server, 10_000, seed=9), pause).running(arguments.connections) as load:
            time.sleep(arguments.seconds)
            failed = [
                name
                for name, begin, is_done in _operations(server, token)
                if name in arguments.operations and not _measure(load, name, begin, is_done, arguments.seconds)
            ]
    if failed:
        raise SystemExit(f"NOT REACHED: {', '.join(failed)}")


def _measure(load: Load, name: str, begin: Callable[[], object], is_done: Callable[[], bool], seconds: float) -> bool:
    time.sleep(seconds / 2)
    started = time.perf_counter()
    time.sleep(seconds)
    before = load.rate(started, time.perf_counter())
    started = time.perf_counter()
    begin()
    while not is_done():
        if time.perf_counter() - started > OPERATION_SECONDS_MAX:
            raise SystemExit(f"{name} does not come to an end")
        time.sleep(0.05)
    took = time.perf_counter() - started
    # What is over in a moment is looked at as long as the rate before, or the figure would be chance.
    time.sleep(max(0.0, seconds - took))
    meanwhile = load.rate(started, time.perf_counter())
    ratio = meanwhile / before
    verdict = "reached" if ratio >= LEAST else "NOT REACHED"
    print(f"  {name:12} {took:8.2f} s   ingest {before:9,.0f} before, {meanwhile:9,.0f} events/s meanwhile", end="")
    print(f"   ratio {ratio:.2f}, {verdict}: at least {LEAST}", flush=True)
    return ratio >= LEAST


def _operations(server: Server, token: str) -> Iterator[tuple[str, Callable[[], object], Callable[[], bool]]]:
    def is_decided() -> bool:
        return not _due(server)

    yield "merge", lambda: _say(server, {"type": "identify", "userId": "ada", "anonymousId": "v1"}), is_decided
    yield (
        "undo",
        lambda: _command(server, "identity", "undo", "user:ada", "anonymous:v1", "--yes", "--by", "bench"),
        is_decided,
    )
    said = {"consent": {"categoryPreferences": {"pql_scoring": False}}}
    yield "withdrawal", lambda: _say(server, {"type": "identify", "userId": "ada", "context": said}), is_decided
    found: dict[str, str] = {}

    def erase() -> None:
        found.update(_ask(server, token, "/v1/privacy/requests", {"kind": "erase", "subject": "ada"}))

    def is_erased() -> bool:
        return str(_ask(server, token, f"/v1/privacy/requests/{found['id']}")["state"]) == "done"

    yield "erasure", erase, is_erased


# --- who is there ---


def _meet(server: Server, number: int) -> None:
    """Half of the person's events under an anonymous id, half under a user id."""
    tracks = [each for each in messages(5_000, seed=1) if each["type"] == "track"]
    found = []
    for index in range(number):
        who = {"anonymousId": "v1"} if index % 2 else {"userId": "ada"}
        rest = {
            key: value for key, value in tracks[index % len(tracks)].items() if key not in ("userId", "anonymousId")
        }
        found.append({**rest, **who, "messageId": f"hers-{index}", "context": {"groupId": "acme"}})
    send_all(server, requests(server, "/v1/batch", batches(found, server.key, 500)), 4)
    while _backlog(server):
        time.sleep(0.2)


def _pause(server: Server, connections: int, share: float) -> float:
    """How far apart a connection's requests begin when all together send a share of what ingest bears."""
    wanted = _others(server, 5_000, seed=5)
    seconds = send_all(server, wanted, connections)
    print(f"  alone, ingest bears {len(wanted) * BATCH / seconds:,.0f} events/s; {share:.0%} of that are sent")
    while _backlog(server):
        time.sleep(0.2)
    return connections * seconds / len(wanted) / share


def _others(server: Server, number: int, seed: int) -> list[bytes]:
    """Whole requests of other people's events, each with a place for a number of its own."""
    found = [{**each, "messageId": f"{index}-@round@"} for index, each in enumerate(messages(number, seed=seed))]
    return requests(server, "/v1/batch", batches(found, server.key, BATCH))


def _backlog(server: Server) -> int:
    """How much is to be decided about anybody."""
    with urlopen(f"{server.url}/readyz", timeout=60) as answer:
        return int(json.load(answer)["agenda"]["due"])


def _due(server: Server) -> int:
    """How much is to be decided about the person and its account."""
    sql = (
        "SELECT count(*) FROM agenda JOIN identifiers ON id = entity "
        "WHERE value IN ('ada', 'v1', 'acme') AND due_at <= (unixepoch() + 1) * 1000000"
    )
    with closing(sqlite3.connect(f"file:{server.database}?mode=ro", uri=True, timeout=30)) as connection:
        return int(connection.execute(sql).fetchone()[0])


# --- asking ---


def _say(server: Server, message: dict[str, object]) -> None:
    basic = base64.b64encode(f"{server.key}:".encode()).decode()
    _request(f"{server.url}/v1/batch", {"batch": [message]}, f"Basic {basic}")


def _ask(server: Server, token: str, path: str, body: dict[str, str] | None = None) -> dict[str, str]:
    return _request(server.url + path, body, f"Bearer {token}")


def _request(url: str, body: object, authorization: str) -> dict[str, str]:
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, {"Authorization": authorization}), timeout=60) as answer:
        found: dict[str, str] = json.load(answer)
    return found


def _admin_token(server: Server) -> str:
    return _command(server, "keys", "create", "--kind", "admin")


def _command(server: Server, *words: str) -> str:
    command = [sys.executable, "-m", "assay_collector", *words, "--database", str(server.database)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
