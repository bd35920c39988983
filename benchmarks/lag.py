"""
From acknowledged to decided: how long it takes until the ledger says what an event brought about.

First the most that one collector with the twelve worked definitions takes in is measured, with batches of 100 events
that three thousand people of a hundred accounts do at that moment. Then it is sent half of that, evenly, and beside it
single events that each make a new account qualify at once. The lag is the time from the answer to such an event to its
line in the ledger, as another process reads it from the file. The same events without any load are the baseline.

    python -m benchmarks.lag [--seconds 20] [--probes 400] [--rounds 3] [--quick]
"""

import argparse
import json
import sqlite3
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.accounts import Crowd, doings, introductions, past, seed
from benchmarks.harness import Server, batches, begin, collector, requests, send_all, show, wait_until_decided

BATCH = 100
PAST = 300
CROWDS = [Crowd(f"crowd{number}", 30) for number in range(100)]
CONNECTIONS = 8
LOOK_SECONDS = 0.004
GIVE_UP_SECONDS = 120.0
LEAST_MILLISECONDS, AIM_MILLISECONDS = 1_000.0, 100.0
_RECORDED = """
    SELECT value FROM transitions JOIN identifiers ON id = entity
    WHERE definition = 'production-call' AND value LIKE ?
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each round lasts")
    parser.add_argument("--probes", type=int, default=400, help="events in a round whose lag is taken")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a small try: ten accounts, one round of five seconds")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seconds, arguments.probes, arguments.rounds = 5.0, 100, 1
    crowds = CROWDS[:10] if arguments.quick else CROWDS
    full, idle, loaded = [], [], []
    with TemporaryDirectory(prefix="assay-bench-") as folder:
        database = begin(Path(folder) / "assay.db")
        now = datetime.now(UTC)
        seed(database, chain.from_iterable(introductions(crowd, now) for crowd in crowds))
        seed(database, chain.from_iterable(doings(crowd, past(PAST, now, Random(1)), Random(1)) for crowd in crowds))
        with collector(database=database, plan=False) as server:
            wait_until_decided(server)
            for number in range(arguments.rounds):
                full.append(full_load(server, crowds, int(arguments.seconds * 1_000)))
                wait_until_decided(server)
                idle.append(lags(server, crowds, f"idle{number}", arguments.probes, arguments.seconds, 0.0))
                loaded.append(lags(server, crowds, f"half{number}", arguments.probes, arguments.seconds, full[-1] / 2))
                wait_until_decided(server)
    print(f"\nDecision lag: {arguments.probes} events a round of {arguments.seconds:.0f} s, from answered to decided")
    show("the most it takes in", full, "events/s")
    for name, found in (("without load", idle), ("at half of the most", loaded)):
        show(f"{name}: half are decided within", [each[0] for each in found], "ms")
        show(f"{name}: 99 of 100 are decided within", [each[1] for each in found], "ms")
    worst = statistics.median(each[1] for each in loaded)
    verdict = "aim reached" if worst <= AIM_MILLISECONDS else "reached" if worst < LEAST_MILLISECONDS else "NOT REACHED"
    print(f"  {'':58} {verdict}: 99 of 100 below {LEAST_MILLISECONDS:.0f} ms, aim {AIM_MILLISECONDS:.0f} ms")


def full_load(server: Server, crowds: Sequence[Crowd], number: int) -> float:
    """Events a second when clients send as fast as they are answered."""
    wanted = requests(server, "/v1/batch", batches(_happening(crowds, number), server.key, BATCH))
    return number / send_all(server, wanted, CONNECTIONS)


def lags(
    server: Server, crowds: Sequence[Crowd], names: str, probes: int, seconds: float, load: float
) -> tuple[float, float]:
    """The median and the 99th percentile of the lag in milliseconds, under a load of so many events a second."""
    body = requests(server, "/v1/batch", batches(_happening(crowds, int(load * seconds)), server.key, BATCH))
    with _background(lambda: _send_evenly(server, body, load / BATCH)), _watch(server, names) as seen:
        answered = dict(_probe(server, names, probes, seconds))
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while answered.keys() - seen.keys():
            if time.monotonic() > deadline:
                raise SystemExit(f"{len(answered.keys() - seen.keys())} events were not decided in time")
            time.sleep(LOOK_SECONDS)
    ordered = sorted(max(0.0, seen[name] - at) * 1_000 for name, at in answered.items())
    return statistics.median(ordered), ordered[int(len(ordered) * 0.99)]


def _happening(crowds: Sequence[Crowd], number: int) -> list[dict[str, Any]]:
    """Events of the crowds that happen when they arrive."""
    random = Random(number)
    parts = [doings(crowd, [datetime.now(UTC)] * (1 + number // len(crowds)), random) for crowd in crowds]
    found = [message for several in zip(*parts, strict=True) for message in several][:number]
    return [{key: value for key, value in message.items() if key != "timestamp"} for message in found]


def _probe(server: Server, names: str, number: int, seconds: float) -> Iterator[tuple[str, float]]:
    """Accounts that qualify by one event each, and when that event was acknowledged."""
    for index in range(number):
        name = f"probe-{names}-{index}"
        event = {
            "messageId": name,
            "userId": name,
            "event": "API Called",
            "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "properties": {"env": "production", "status": 200, "language": "python", "framework": "flask"},
            "context": {"groupId": name},
            "writeKey": server.key,
        }
        send_all(server, requests(server, "/v1/track", [json.dumps(event).encode()]), 1)
        yield name, time.monotonic()
        time.sleep(seconds / number)


def _send_evenly(server: Server, wanted: Sequence[bytes], a_second: float) -> None:
    """Requests at an even pace, several at once where one is not enough."""
    if not a_second:
        return
    threads = [
        threading.Thread(target=_pace, args=(server, islice(wanted, first, None, CONNECTIONS), CONNECTIONS / a_second))
        for first in range(CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
        time.sleep(1 / a_second)
    for thread in threads:
        thread.join()


def _pace(server: Server, wanted: Iterator[bytes], pause: float) -> None:
    due = time.monotonic()
    for request in wanted:
        time.sleep(max(0.0, due - time.monotonic()))
        send_all(server, [request], 1)
        due += pause


@contextmanager
def _watch(server: Server, names: str) -> Iterator[dict[str, float]]:
    """When each probe was first seen in the ledger."""
    seen: dict[str, float] = {}
    over = threading.Event()

    def look() -> None:
        with sqlite3.connect(f"file:{server.database}?mode=ro", uri=True) as connection:
            while not over.wait(LOOK_SECONDS):
                found = connection.execute(_RECORDED, (f"probe-{names}-%",)).fetchall()
                now = time.monotonic()
                for (name,) in found:
                    seen.setdefault(name, now)

    with _background(look, stop=over.set):
        yield seen


@contextmanager
def _background(work: Callable[[], None], stop: Callable[[], None] = lambda: None) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join()


if __name__ == "__main__":
    main()
