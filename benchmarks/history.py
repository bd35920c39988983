"""
Events a second, taken in *and* decided, to an account with much history against accounts with next to none.

One collector with the twelve worked definitions holds an account of a million events by ten thousand people within
sixty days, and a new account of a hundred events by a hundred people for each round. A round sends equally many events,
alike and by equally many people, to the one and to the other, and waits until nobody is due to be decided. Rounds
alternate on one server; the median of the rounds' ratios is reported.

    python -m benchmarks.history [--events 1000000] [--people 10000] [--sent 10000] [--rounds 5] [--quick]
"""

import argparse
import time
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from benchmarks.accounts import DAYS, Crowd, doings, introductions, past, seed
from benchmarks.harness import (
    Server,
    batches,
    begin,
    collector,
    requests,
    send_all,
    show,
    show_ratio,
    wait_until_decided,
)

FEW = 100
CONNECTIONS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000, help="events of the large account")
    parser.add_argument("--people", type=int, default=10_000, help="its members")
    parser.add_argument("--sent", type=int, default=10_000, help="events sent to either in one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a small try: 20,000 events, 500 people, two rounds")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.events, arguments.people, arguments.sent, arguments.rounds = 20_000, 500, 2_000, 2
    large = Crowd("large", arguments.people)
    small = [Crowd(f"small{number}", FEW) for number in range(arguments.rounds)]
    with TemporaryDirectory(prefix="assay-bench-") as folder:
        database = begin(Path(folder) / "assay.db")
        fill(database, large, small, arguments.events)
        with collector(database=database, plan=False) as server:
            before = time.perf_counter()
            wait_until_decided(server)
            settled = time.perf_counter() - before
            warm_up(server, large, arguments.sent)
            rates = [(rate(server, large, arguments.sent), rate(server, one, arguments.sent)) for one in small]
    print(f"\nHistory: {arguments.events:,} events by {arguments.people:,} people, against {FEW} by {FEW}")
    show("events to the large account, decided", [much for much, _ in rates], "events/s")
    show("events to a small account, decided", [little for _, little in rates], "events/s")
    show_ratio("ratio", [much / little for much, little in rates], 0.8, 1.0)
    print(f"  {'everybody decided for the first time, at the start':58} {settled:12,.1f} s")


def fill(database: Path, large: Crowd, small: list[Crowd], events: int) -> None:
    """What was before: everybody is introduced, and then does things for sixty days."""
    now, random = datetime.now(UTC), Random(1)
    begun = now - timedelta(days=DAYS)
    crowds = [(large, events), *((crowd, FEW) for crowd in small)]
    seed(database, chain.from_iterable(introductions(crowd, begun) for crowd, _ in crowds))
    seed(database, chain.from_iterable(doings(crowd, past(number, now, random), random) for crowd, number in crowds))


def warm_up(server: Server, crowd: Crowd, number: int) -> None:
    """The first decisions after a start know nothing of what was found before."""
    rate(server, crowd, max(1, number // 10))


def rate(server: Server, crowd: Crowd, number: int) -> float:
    """Events a second, until nobody is due any more."""
    random = Random(number)
    found = list(doings(crowd, [datetime.now(UTC)] * number, random, actors=FEW))
    wanted = requests(server, "/v1/batch", batches(found, server.key))
    start = time.perf_counter()
    send_all(server, wanted, CONNECTIONS)
    wait_until_decided(server)
    return number / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
