"""Ten thousand events through everything at once: a collector that is killed, a bad network, and a client that dies."""

import random
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from proxy import Proxy
from serving import clean_environment, serving, write_key

from .house import stored_ids

EVENTS = 10_000
COLLECTOR_KILLS = 10
CLIENT_KILLS = 5
# Tracks events with these numbers, and prints each message id once track() has returned; then sends what is left.
CLIENT = textwrap.dedent(
    """
    import sys, time, assay
    url, key, spool, first, last = sys.argv[1:]
    client = assay.Client(
        url, key, spool=spool, linger_seconds=0.05, timeout_seconds=1, breaker_seconds=0.2, batch_events_max=100
    )
    for n in range(int(first), int(last)):
        print(client.track(f"user-{n % 50}", "Task Assigned", {"n": n, "task_id": "t1"}), flush=True)
        time.sleep(0.001)
    while client.flush(1) or client.stats().pending:
        pass
    client.close()
    """
)


class Client:
    """A client process after another, each killed but the last; what track() returned, to all of them."""

    def __init__(self, url: str, key: str, spool: Path) -> None:
        self.ids: list[str] = []
        self.exit_code: int | None = None
        self._arguments = url, key, str(spool)

    def run(self, rng: random.Random) -> None:
        """Live and die CLIENT_KILLS times, then to the end."""
        for life in range(CLIENT_KILLS + 1):
            is_last = life == CLIENT_KILLS
            share = EVENTS * (life + 1) // (CLIENT_KILLS + 1)
            with self._process(len(self.ids), EVENTS) as process:
                lines = iter(process.stdout.readline, "")
                for line in lines:
                    self.ids.append(line.strip())
                    if not is_last and len(self.ids) >= share:
                        break
                if is_last:
                    self.exit_code = process.wait()
                    continue
                time.sleep(rng.uniform(0, 0.05))
                process.kill()
                self.ids += [line.strip() for line in process.stdout if line.endswith("\n")]

    @contextmanager
    def _process(self, first: int, last: int) -> Iterator["subprocess.Popen[str]"]:
        command = [sys.executable, "-c", CLIENT, *self._arguments, str(first), str(last)]
        process = subprocess.Popen(
            command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def test_every_event_that_was_tracked_is_stored_once(tmp_path):
    """Whatever ends, cuts or delays: what track() returned for is there, and nothing is there twice."""
    key = write_key(tmp_path)
    rng = random.Random(7)
    with ExitStack() as stack:
        collector = stack.enter_context(serving(tmp_path))
        proxy = stack.enter_context(Proxy(collector.port, seed=7))
        client = Client(proxy.url, key, tmp_path / "spool")
        living = threading.Thread(target=client.run, args=(random.Random(5),))
        living.start()
        for _ in range(COLLECTOR_KILLS):
            time.sleep(rng.uniform(0.5, 2.0))
            collector.kill()
            proxy.cut_all()
            collector = stack.enter_context(serving(tmp_path, port=collector.port))
        proxy.is_well = True
        living.join()
        assert 0 == collector.terminate()
    stored = stored_ids(tmp_path)
    tracked = Counter(client.ids)

    assert 0 == client.exit_code
    assert EVENTS <= sum(tracked.values())
    assert {1} == set(tracked.values()) == set(stored.values())
    assert [] == list(tracked - stored)
    # Written down, and killed before track() could return.
    assert len(stored - tracked) <= CLIENT_KILLS
    assert {"dropped", "delayed", "cut", "unheard"} <= set(proxy.faults), proxy.faults
    assert [] == list((tmp_path / "spool").iterdir())
