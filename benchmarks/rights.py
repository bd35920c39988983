"""
What a person of 100,000 events costs the others: merge, undo, withdrawal and erasure while events keep coming in.

A database with the twelve worked definitions holds a person: half of its events of the last 60 days under an anonymous
id, half under a user id, all in one account; and a hundred accounts of thirty people each. All that is stored and
decided before anything is measured.

Then the most that the collector takes in is taken for some seconds, and from then on clients send a share of that,
evenly: events of the hundred accounts that happen at that moment. The share is one at which decisions keep up, since
who waits behind others' decisions says nothing about rights. The rate of what is acknowledged is taken for some seconds
without anything else, and then during each operation, from the request until everything about the person and its
account is decided (for the erasure: until its certificate is there).

    python -m benchmarks.rights [--events 100000] [--connections 4] [--seconds 5] [--share 0.4]
                                [--operations merge erasure] [--quick]
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
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from benchmarks.accounts import Crowd, doings, introductions, past, seed
from benchmarks.harness import Server, batches, begin, collector, requests, waiting

BATCH = 100
LEAST = 0.5
OPERATIONS = ("merge", "undo", "withdrawal", "erasure")
OPERATION_SECONDS_MAX = 900.0
DECIDED_SECONDS_MAX = 600.0
CROWDS = [Crowd(f"crowd{number}", 30) for number in range(100)]
PAST = 100  # of each of these accounts


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
    parser.add_argument("--share", type=float, default=0.4, help="of the most that is taken in")
    parser.add_argument("--operations", nargs="+", choices=OPERATIONS, default=OPERATIONS, help="undo after merge only")
    parser.add_argument("--quick", action="store_true", help="a small try: 5,000 events, two seconds")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.events, arguments.seconds = 5_000, 2.0
    print(f"\nRights: a person of {arguments.events:,} events, {arguments.connections} connections of others")
    with TemporaryDirectory(prefix="assay-bench-") as folder:
        database = begin(Path(folder) / "assay.db")
        _fill(database, arguments.events)
        with collector(database=database, plan=False) as server:
            failed = _run(server, arguments)
    if failed:
        raise SystemExit(f"NOT REACHED: {', '.join(failed)}")


def _run(server: Server, arguments: argparse.Namespace) -> list[str]:
    """Every operation while others send; which of them cost too much."""
    token = _admin_token(server)
    _wait_until_decided(server)
    pause = _pause(server, arguments.connections, arguments.seconds, arguments.share)
    load = Load(server, _others(server, 20_000), pause)
    with load.running(arguments.connections):
        time.sleep(arguments.seconds)
        return [
            name
            for name, begin_it, is_done in _operations(server, token)
            if name in arguments.operations and not _measure(load, name, begin_it, is_done, arguments.seconds)
        ]


def _measure(load: Load, name: str, begin: Callable[[], object], is_done: Callable[[], bool], seconds: float) -> bool:
    time.sleep(seconds / 2)
    started = time.perf_counter()
    time.sleep(seconds)
    before = load.rate(started, time.perf_counter())
    started = time.perf_counter()
    begin()
    with _progress(name) as tell:
        while not is_done():
            took = time.perf_counter() - started
            if took > OPERATION_SECONDS_MAX:
                raise SystemExit(f"{name} does not come to an end")
            tell(f"{took:.0f} s, {waiting(load.server):,} people and accounts are due")
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


def _fill(database: Path, number: int) -> None:
    """The accounts of others, and the person."""
    now = datetime.now(UTC)
    random = Random(1)
    others = chain.from_iterable(
        chain(introductions(crowd, now), doings(crowd, past(PAST, now, random), random)) for crowd in CROWDS
    )
    hers = chain(introductions(Crowd("acme", 1), now), _hers(number, now, random))
    total = number + sum(PAST + 3 * crowd.people for crowd in CROWDS)
    with _progress("storing") as tell:
        seed(database, _told(chain(others, hers), total, tell))


def _hers(number: int, now: datetime, random: Random) -> Iterator[dict[str, Any]]:
    """Half of the person's events under an anonymous id, half under a user id."""
    for index, message in enumerate(doings(Crowd("acme", 1), past(number, now, random), random)):
        rest = {key: value for key, value in message.items() if key != "userId"}
        yield {**rest, **({"anonymousId": "v1"} if index % 2 else {"userId": "ada"}), "messageId": f"hers-{index}"}


def _told(found: Iterable[dict[str, Any]], total: int, tell: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    for index, message in enumerate(found):
        if index % 1_000 == 0:
            tell(f"{index:,} of {total:,}")
        yield message


def _wait_until_decided(server: Server) -> None:
    """Until nobody is due."""
    started = time.perf_counter()
    with _progress("deciding") as tell:
        while due := waiting(server):
            took = time.perf_counter() - started
            if took > DECIDED_SECONDS_MAX:
                raise SystemExit(f"after {took:.0f} s {due:,} are still to be decided")
            tell(f"{took:.0f} s, {due:,} people and accounts are due")
            time.sleep(0.2)


def _pause(server: Server, connections: int, seconds: float, share: float) -> float:
    """How far apart a connection's requests begin when all together send a share of the most that is taken in."""
    load = Load(server, _others(server, 20_000))
    with load.running(connections):
        time.sleep(seconds / 4)
        started = time.perf_counter()
        time.sleep(seconds)
        most = load.rate(started, time.perf_counter())
    print(f"  the most that is taken in is {most:,.0f} events/s; {share:.0%} of that are sent", flush=True)
    _wait_until_decided(server)
    return connections * BATCH / (most * share)


def _others(server: Server, number: int) -> list[bytes]:
    """Whole requests of events that happen when they arrive, each with a place for a number of its own."""
    random = Random(number)
    now = datetime.now(UTC)
    parts = [doings(crowd, [now] * (1 + number // len(CROWDS)), random) for crowd in CROWDS]
    found = [message for several in zip(*parts, strict=True) for message in several][:number]
    fresh = [{key: value for key, value in message.items() if key != "timestamp"} for message in found]
    fresh = [{**message, "messageId": f"{index}-@round@"} for index, message in enumerate(fresh)]
    return requests(server, "/v1/batch", batches(fresh, server.key, BATCH))


@contextmanager
def _progress(what: str) -> Iterator[Callable[[str], None]]:
    """How far long work is, for whoever watches: on a terminal in one line, else in a line every five seconds."""
    is_watched = sys.stderr.isatty()
    start, end = ("\r\033[K", "") if is_watched else ("", "\n")
    last = 0.0

    def tell(how_far: str) -> None:
        nonlocal last
        if time.monotonic() - last >= (0.2 if is_watched else 5.0):
            last = time.monotonic()
            print(f"{start}  {what}: {how_far}", file=sys.stderr, end=end, flush=True)

    yield tell
    print(start, file=sys.stderr, end="", flush=True)


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
