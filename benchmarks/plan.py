"""
How long `assay pql plan` takes over a large history, from the command to its last line.

The events are the simulated product's, told again with other people until there are enough. The database is written
once, in this process, and then asked: about a definition whose signals are known, about one with five new signals, and
about definitions of accounts and users that count every event there is, the most that a definition can ask for.

    python -m benchmarks.plan [--events 1000000] [--rounds 1]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT, SCHEMAS, messages, show

SECONDS_MAX = 60.0
TOLD_ONCE = 20_000
BATCH = 2_000
HEAD = """
pql: {{id: {id}, version: 1, entity: {entity}, stage: activation, owner: bench}}
why: It is asked about in a benchmark.
predicts: {{event: Subscription Started, within: 30 days}}
"""
CANDIDATES = {
    "known signals, accounts": HEAD.format(id="bench-known", entity="account")
    + "signals: {tasks: {count: Task Added}, documents: {count: Document Created}}\n"
    "window: 14 days of Account Created\nqualify: {tasks: at least 2, documents: at least 1}\n",
    "five new signals, accounts": HEAD.format(id="bench-five", entity="account")
    + """window: 14 days of Account Created
signals:
  members:   {distinct: Member Invited, of: invitee_id, where: {via: not import}}
  documents: {count: Document Created, where: {via: not import}}
  shares:    {count: Document Shared, where: {via: not import}}
  tasks:     {count: [Task Added, Task Assigned], where: {via: not import}}
  projects:  {count: Project Created, where: {via: not import}}
qualify:
  at_least:
    share: 40%
    of: {members: at least 1, documents: at least 2, shares: at least 1, tasks: at least 3, projects: at least 1}
""",
    "every event, accounts": HEAD.format(id="bench-accounts", entity="account")
    + "signals: {people: {distinct: any, of: user_id, within: 7 days}, acts: {count: any, within: 48h}}\n"
    "qualify: {people: at least 3, acts: at least 5}\n",
    "every event, users": HEAD.format(id="bench-users", entity="user")
    + "signals: {days: {active_days: any, within: 7 days}, acts: {count: any}}\n"
    "qualify: {days: at least 3, acts: at least 5}\n",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        database = Path(folder) / "assay.db"
        write_history(database, arguments.events)
        print(f"\nPlan: {arguments.events:,} events, aim {SECONDS_MAX:.0f} s a million")
        slowest = 0.0
        for name, text in CANDIDATES.items():
            candidate = Path(folder) / "candidate.yaml"
            candidate.write_text(text)
            found = [ask(database, candidate) for _ in range(arguments.rounds)]
            document = found[0][0]
            slowest = max([slowest, *(seconds for _, seconds, _ in found)])
            shown = f"{name} ({document['entities']:,} looked at, {document['qualified']:,} qualified)"
            show(shown, [seconds for _, seconds, _ in found], "s")
            show("  its CPU, for when the machine does other things too", [cpu for _, _, cpu in found], "s")
    allowed = SECONDS_MAX * arguments.events / 1_000_000
    print(f"  {'slowest':58} {slowest:12.1f} s: {'reached' if slowest <= allowed else 'NOT REACHED'}, {allowed:.0f} s")


def ask(database: Path, candidate: Path) -> tuple[dict[str, Any], float, float]:
    """The answer, seconds, and CPU seconds."""
    words = ["pql", "plan", str(candidate), "--database", str(database), "--json"]
    before, start = _cpu_seconds(), time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "assay_collector", *words], capture_output=True, cwd=ROOT)
    return json.loads(done.stdout), time.perf_counter() - start, _cpu_seconds() - before


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write_history(database: Path, events: int) -> None:
    """A database with so many events, and the tallies of the product's own definitions."""
    from assay.contract.reading import Arrival, open_envelope
    from assay_collector.definitions_folder import load_catalogue
    from assay_collector.identity.identifiers import identifier_hasher
    from assay_collector.ingest.admission import Admitter
    from assay_collector.ingest.port import RequestSignals
    from assay_collector.ingest.receiver import Receiver
    from assay_collector.pql.matching import SignalIndex
    from assay_collector.qualify.refill import refill
    from assay_collector.store import Source
    from assay_collector.stores.sqlite.store import SQLiteStore

    store = SQLiteStore(database)
    catalogue = load_catalogue(SCHEMAS / "definitions")
    now = time.time_ns() // 1000
    refill(store, catalogue, now=now)
    source = Source(id="bench", name="bench")
    store.keyring.put_source(source, now)
    receiver = Receiver(
        store.events,
        Admitter(identifier_hasher(b"k" * 32), SignalIndex(catalogue.signals)),
        None,
        new_message_id=lambda: "drawn",
        new_quarantine_id=lambda: b"q" * 16,
        turn=store.turn,
    )
    signals = RequestSignals(gpc=False, dnt=False, ip=None, sources=lambda _: None)
    written = 0
    for part in told_again(events):
        body = json.dumps({"batch": part}).encode()
        receiver.receive(open_envelope(body, None), source, Arrival(received_at=now), signals)
        written += len(part)
        print(f"\r  writing {written:,} events", end="", file=sys.stderr)
    print(file=sys.stderr)
    store.close()


def told_again(events: int) -> Iterator[list[dict[str, Any]]]:
    """The simulated product's messages, each time with other people, in parts."""
    once = messages(min(events, TOLD_ONCE), seed=1)
    part: list[dict[str, Any]] = []
    for number in range(events):
        part.append(_with_others(once[number % len(once)], number // len(once)))
        if len(part) == BATCH:
            yield part
            part = []
    if part:
        yield part


def _with_others(message: dict[str, Any], time_told: int) -> dict[str, Any]:
    found = dict(message)
    for key in ("messageId", "userId", "anonymousId", "groupId"):
        if found.get(key) is not None:
            found[key] = f"{found[key]}-{time_told}"
    context = found.get("context", {})
    if "groupId" in context:
        found["context"] = {**context, "groupId": f"{context['groupId']}-{time_told}"}
    return found


if __name__ == "__main__":
    main()
