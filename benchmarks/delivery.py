"""
CPU per delivered event of a whole client process: ours with validation on, against segment-analytics-python without.

Each turn is a process that tracks, over real HTTP to a sink on loopback, and ends when all is delivered; its own CPU
time counts, user and system, from the first event to the last answer. The clients take turns, so that both meet the
same machine. With --memory, a million events go through one process of ours, and its resident memory is looked at.

    python benchmarks/delivery.py [--events 50000] [--turns 5] [--spool] [--memory]
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also when it is run as a script

from benchmarks.sink import sink
from benchmarks.track import DOCUMENTS, PROPERTIES

AT_MOST, AIM = 1 / 3, 1 / 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=50_000, help="in one turn")
    parser.add_argument("--turns", type=int, default=5, help="of each client")
    parser.add_argument("--spool", action="store_true", help="ours with the disk spool too")
    parser.add_argument("--memory", action="store_true", help="a million events through one process")
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.client:
        print(json.dumps(CLIENTS[arguments.client](arguments.url, arguments.events)))
        return
    with sink() as url:
        if arguments.memory:
            _show_memory(url)
            return
        names = ["assay", "segment"] + ["assay-spool"] * arguments.spool
        found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for _ in range(arguments.turns):
            for name in names:
                found[name].append(_turn(name, url, arguments.events))
    for name in names:
        cpu = [each["cpu_us"] for each in found[name]]
        wall = statistics.median(each["wall_us"] for each in found[name])
        print(
            f"{name:14} {statistics.median(cpu):8.2f} us CPU per event   from {min(cpu):.2f} to {max(cpu):.2f};"
            f"   {wall:.2f} us of wall time"
        )
    theirs = statistics.median(each["cpu_us"] for each in found["segment"])
    for name in names:
        if name != "segment":
            ratio = statistics.median(each["cpu_us"] for each in found[name]) / theirs
            print(f"{name + ' / segment':23} {ratio:8.3f}   at most {AT_MOST:.3f}, aim {AIM:.3f}")


def _turn(name: str, url: str, events: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--client", name, "--url", url, "--events", str(events)]
    result: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result


def _show_memory(url: str) -> None:
    sizes = _turn("assay-memory", url, 1_000_000)
    for at, size in sizes.items():
        print(f"after {int(at):9,} events: {size / 1024:8.1f} MiB resident")
    growth = sizes["1000000"] - sizes["100000"]
    print(f"growth over the last 900,000: {growth / 1024:.1f} MiB")


def _measured(events: int, track: Callable[[], object], finish: Callable[[], object]) -> dict[str, float]:
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    for _ in range(events):
        track()
    finish()
    after, end = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_us": cpu / events * 1e6, "wall_us": (end - start) / events * 1e6}


def _plan() -> object:
    from assay.contract.plan import Plan

    return Plan.from_documents({file: json.dumps(document).encode() for file, document in DOCUMENTS.items()})


def _assay(url: str, events: int, spool: str | None = None) -> dict[str, float]:
    import assay

    # As it comes, but that a full queue lets the app wait, so that both deliver everything.
    client = assay.Client(
        url, "key", plan=_plan(), on_invalid="raise", when_full="block", block_seconds=60, spool=spool
    )  # type: ignore[arg-type]

    def finish() -> None:
        assert client.flush(120) == 0
        assert client.stats().delivered == events, client.stats()

    return _measured(events, lambda: client.track("user-7", "Task Assigned", PROPERTIES), finish)


def _assay_spool(url: str, events: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        return _assay(url, events, folder)


def _assay_memory(url: str, events: int) -> dict[str, float]:
    import assay

    client = assay.Client(url, "key", plan=_plan(), when_full="block", block_seconds=60)  # type: ignore[arg-type]
    sizes: dict[str, float] = {}
    for n in range(1, events + 1):
        client.track("user-7", "Task Assigned", {**PROPERTIES, "task_id": f"task-{n}"})
        if n % 100_000 == 0:
            sizes[str(n)] = _resident_kib()
    assert client.flush(120) == 0
    assert client.stats().delivered == events
    return sizes


def _resident_kib() -> float:
    status = Path("/proc/self/status").read_text()
    return float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def _segment(url: str, events: int) -> dict[str, float]:
    from segment.analytics.client import Client

    client = Client("key", host=url, max_queue_size=events + 1)
    return _measured(events, lambda: client.track("user-7", "Task Assigned", PROPERTIES), client.flush)


CLIENTS: dict[str, Callable[[str, int], dict[str, float]]] = {
    "assay": _assay,
    "assay-spool": _assay_spool,
    "assay-memory": _assay_memory,
    "segment": _segment,
}

if __name__ == "__main__":
    main()
