"""
Events a second through HTTP at batch 100, durable, validated, stitched and tallied, against a bare SQLite writer.

Each round starts a collector on an empty database, sends it events it has never seen, and then has a bare writer insert
the very rows that came of them into an empty database with the same indexes and the same durability: executemany of 100
rows and a commit each, with no HTTP, parsing, validation or tallies. Rounds alternate on one machine; the median of the
rounds' ratios is reported.

    python -m benchmarks.ingest [--events 20000] [--rounds 5] [--connections 8]
"""

import argparse
import sqlite3
import tempfile
import time
from pathlib import Path

from benchmarks.harness import batches, collector, messages, requests, send_all, show, show_ratio

BATCH = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000, help="events in one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=8, help="clients at once")
    arguments = parser.parse_args()
    ours, bare, cpu = [], [], []
    for number in range(arguments.rounds):
        found = messages(arguments.events, seed=number + 1)
        with collector() as server:
            wanted = requests(server, "/v1/batch", batches(found, server.key, BATCH))
            before = server.cpu_seconds()
            seconds = send_all(server, wanted, arguments.connections)
            cpu.append((server.cpu_seconds() - before) / len(found) * 1e6)
            assert server.database is not None
            rows = _rows(server.database)
        if len(rows) != len(found):
            raise SystemExit(f"{len(found)} events were sent, {len(rows)} are stored")
        ours.append(len(found) / seconds)
        bare.append(len(rows) / _write_bare(rows))
    print(f"\nIngest: {arguments.events:,} events a round, batches of {BATCH}, {arguments.connections} connections")
    show("assay: HTTP, validated, tallied, durable", ours, "events/s")
    show("assay: CPU of the server, decisions meanwhile included", cpu, "us/event")
    show("bare SQLite writer of the same event rows", bare, "rows/s")
    show_ratio("ratio", [a / b for a, b in zip(ours, bare, strict=True)], 0.12, 0.30)


def _rows(database: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return connection.execute("SELECT * FROM events ORDER BY seq").fetchall()


def _write_bare(rows: list[tuple[object, ...]]) -> float:
    from assay_collector.stores.sqlite.database import Database

    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        path = Path(folder) / "bare.db"
        Database(path).close()  # the same tables and indexes
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        sql = f"INSERT INTO events VALUES ({','.join('?' * len(rows[0]))})"
        start = time.perf_counter()
        for first in range(0, len(rows), BATCH):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(sql, rows[first : first + BATCH])
            connection.execute("COMMIT")
        seconds = time.perf_counter() - start
        connection.close()
    return seconds


if __name__ == "__main__":
    main()
