"""
Single-event requests a second, each durable before its answer, against a Flask application that does nothing.

Both run on granian with the same number of threads, and meet the same load generator. Rounds alternate; the
median of the rounds' ratios is reported.

    python -m benchmarks.single [--requests 8000] [--rounds 5] [--connections 32]
"""

import argparse
import json

from benchmarks.harness import collector, messages, no_op, requests, send_all, show, show_ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=8_000, help="requests in one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=32, help="clients at once")
    arguments = parser.parse_args()
    ours, theirs = [], []
    for number in range(arguments.rounds):
        tracks = [m for m in messages(arguments.requests * 2, seed=number + 1) if m["type"] == "track"]
        found = tracks[: arguments.requests]
        with collector() as server:
            bodies = [json.dumps({**message, "writeKey": server.key}).encode() for message in found]
            seconds = send_all(server, requests(server, "/v1/track", bodies), arguments.connections)
            ours.append(len(found) / seconds)
        with no_op() as server:
            seconds = send_all(server, requests(server, "/v1/track", bodies), arguments.connections)
            theirs.append(len(found) / seconds)
    print(f"\nSingle events: {arguments.requests:,} requests a round, {arguments.connections} connections")
    show("assay: one durable event a request", ours, "req/s")
    show("Flask no-op on the same server", theirs, "req/s")
    show_ratio("ratio", [a / b for a, b in zip(ours, theirs, strict=True)], 0.45, 0.75)


if __name__ == "__main__":
    main()
