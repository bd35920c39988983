"""The spool: what track() returned for outlasts its process, whatever ends it, and is sent once."""

import fcntl
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from scripted_server import ScriptedServer

import assay
from assay import Client
from assay.delivery import Answer, BatchLimits
from assay.journal import HEAD_BYTES
from assay.spool import Spool
from assay.testing import CapturingTransport

URL = "http://collector.test"
DOWN = [Answer(status=503)] * 99
# Tracks forever, and prints each message id once track() has returned.
TRACKER = """
    import sys, assay
    client = assay.Client(sys.argv[1], "key", spool=sys.argv[2], linger_seconds=0.01, breaker_seconds=0.1)
    n = 0
    while True:
        print(client.track("u1", "Seen", {"n": n}), flush=True)
        n += 1
"""


@contextmanager
def tracker(url: str, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that tracks until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(TRACKER), url, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def killed_after(process: "subprocess.Popen[str]", lines: int) -> list[str]:
    """Kill the process when it has tracked so many events; the ids of all that it has tracked."""
    ids = [process.stdout.readline().strip() for _ in range(lines)]
    process.send_signal(signal.SIGKILL)
    *rest, torn = process.stdout.read().split("\n")
    return ids + rest + ([torn] if len(torn) == 36 else [])


def spool(folder: Path) -> Spool:
    return Spool(folder, "a", bytes_max=10**7, seconds_max=60, sync="normal", memory_events_max=100)


def journals(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.events"))


def spooled(folder: Path) -> list[str]:
    """The message ids in the folder, done ones included."""
    lines = [line for path in journals(folder) for line in path.read_bytes().splitlines()]
    return [event["messageId"] for line in lines if "spool" not in (event := json.loads(line))]


def test_what_was_tracked_survives_a_kill(tmp_path):
    """A later process delivers it, in order and with the same ids, without tracking anything itself."""
    with tracker("http://127.0.0.1:9", tmp_path) as process:
        ids = killed_after(process, 500)
    with ScriptedServer() as server, Client(server.url, "key", spool=tmp_path) as client:
        deadline = time.monotonic() + 60
        while client.stats().delivered < len(ids) and time.monotonic() < deadline:
            client.flush()
        stats = client.stats()
    sent = [event["messageId"] for event in server.events]

    # At most one more than were printed: the kill came between writing it down and telling.
    assert ids == sent[: len(ids)]
    assert len(sent) <= len(ids) + 1
    assert (len(sent), len(sent), 0) == (stats.tracked, stats.recovered, stats.pending)
    assert [] == journals(tmp_path)


def test_a_living_process_takes_over_from_a_dead_one(tmp_path):
    """It looks every few seconds; what a living one has is left to it."""
    with ScriptedServer() as server, Client(server.url, "key", spool=tmp_path) as heir:
        heir.track("u1", "Seen", {"n": -1})
        heir.flush()
        with tracker("http://127.0.0.1:9", tmp_path) as process:
            for _ in range(10):
                process.stdout.readline()
            assert 1 == heir.stats().tracked
            ids = killed_after(process, 10)
            deadline = time.monotonic() + 30
            while heir.stats().delivered < len(ids) + 11 and time.monotonic() < deadline:
                time.sleep(0.05)
            assert heir.stats().recovered >= len(ids) + 10

    assert {1} == set(Counter(event["messageId"] for event in server.events).values())


def test_processes_that_share_a_folder_send_each_event_once(tmp_path):
    """Four at a time, each killed while it sends; one that is left sends the rest."""
    with ScriptedServer() as server:
        ids: list[str] = []
        for _ in range(2):
            with tracker(server.url, tmp_path) as one, tracker(server.url, tmp_path) as two:
                ids += killed_after(one, 300)
                ids += killed_after(two, 300)
        with Client(server.url, "key", spool=tmp_path) as client:
            while client.flush() or journals(tmp_path) != []:
                time.sleep(0.05)
    sent = Counter(event["messageId"] for event in server.events)

    assert set(ids) <= set(sent)
    # What was in flight at a kill is sent again, under the same id: at most the batches on the way.
    assert sum(sent.values()) - len(sent) <= 4 * 500


def test_what_a_killed_process_had_only_begun_is_swept_away(tmp_path):
    """A journal without its name yet, which holds no event; the one that somebody is making just now is left alone."""
    left, being_made = tmp_path / "a-0-1.new", tmp_path / "a-0-2.new"
    left.write_bytes(b"")
    with being_made.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with ScriptedServer() as server, Client(server.url, "key", spool=tmp_path) as client:
            client.track("u1", "Seen")
            client.flush()

        assert [being_made] == list(tmp_path.iterdir())


def test_sweeping_and_making_go_on_side_by_side(tmp_path):
    """Who makes a journal while others sweep gets it: not one event has to wait in memory."""
    done = threading.Event()

    def sweep() -> None:
        while not done.is_set():
            spool(tmp_path).find()

    threads = [threading.Thread(target=sweep) for _ in range(2)]
    for thread in threads:
        thread.start()
    made = spool(tmp_path)
    for number in range(200):
        assert made.append(b'{"type":"track","messageId":"%d"}' % number)
        made.take(BatchLimits(1))
        made.end(1)
        made.close()
    done.set()
    for thread in threads:
        thread.join()

    assert 0 == made.unspooled


def test_close_leaves_the_rest_in_the_spool_and_names_it(tmp_path, caplog):
    """It is pending, not lost, and one line says how many."""
    client = Client(URL, "key", spool=tmp_path, transport=CapturingTransport(DOWN))
    ids = [client.track("u1", "Seen", {"n": n}) for n in range(30)]

    assert 30 == client.close(0.1)
    stats = client.stats()
    assert (30, 0, {}, 30, 30) == (stats.tracked, stats.delivered, dict(stats.dropped), stats.pending, stats.spooled)
    assert 30 == client.flush(60)
    assert ids == spooled(tmp_path)
    assert ["assay.events_left_in_spool count=30"] == [
        record.getMessage() for record in caplog.records if "spool" in record.getMessage()
    ]


def test_exit_leaves_the_rest_in_the_spool(tmp_path):
    """A process that just ends, with a collector that is down."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, assay\n"
            "client = assay.Client('http://127.0.0.1:9', 'key', spool=sys.argv[1], exit_seconds=0.5)\n"
            "[client.track('u1', 'Seen') for _ in range(50)]",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert 50 == len(set(spooled(tmp_path)))
    assert "assay.events_left_in_spool count=50" in done.stderr


def test_only_an_acknowledged_event_leaves_the_spool(tmp_path):
    """A refused one leaves it too, counted; after that the journal is empty again."""
    transport = CapturingTransport([Answer(status=503), Answer(status=400)])
    with Client(URL, "key", spool=tmp_path, transport=transport, retry_seconds_max=0) as client:
        client.track("u1", "Seen")
        client.flush(0.1)
        assert 1 == client.stats().spooled
        client.flush()
        client.track("u1", "Seen")
        client.flush()
        stats = client.stats()
        [journal] = journals(tmp_path)
        assert HEAD_BYTES == journal.stat().st_size

    assert (1, {"rejected": 1}, 0) == (stats.delivered, dict(stats.dropped), stats.spooled)
    assert [] == journals(tmp_path)


def test_another_keys_events_are_left_alone(tmp_path):
    """They must not be sent with this key."""
    other = Client(URL, "other", spool=tmp_path, transport=CapturingTransport(DOWN))
    other.track("u1", "Seen")
    other.close(0)
    transport = CapturingTransport()
    with Client(URL, "key", spool=tmp_path, transport=transport) as client:
        client.track("u2", "Seen")

    assert ["u2"] == [event["userId"] for event in transport.events]
    assert 1 == len(spooled(tmp_path))


def test_the_spool_is_for_its_user_only(tmp_path):
    """Events are personal data."""
    with Client(URL, "key", spool=tmp_path / "spool", transport=CapturingTransport(DOWN)) as client:
        client.track("u1", "Seen")
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "spool", *journals(tmp_path / "spool"))]
        client.close(0)

    assert [0o700, 0o600] == modes


def test_a_spool_that_cannot_be_is_told_at_once(tmp_path):
    """A file is no folder."""
    (tmp_path / "file").write_text("")
    with pytest.raises(assay.InvalidSetting, match="folder"):
        Client(URL, "key", spool=tmp_path / "file")


# --- bounds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when_full", ["drop_newest", "drop_oldest"])
def test_the_spool_is_bounded_in_bytes(tmp_path, when_full):
    """What there is no room for is dropped by the chosen policy and counted; files have one journal more at most."""
    settings = {"spool_bytes_max": 1_000_000, "when_full": when_full}
    client = Client(URL, "key", spool=tmp_path, transport=CapturingTransport(DOWN), **settings)
    ids = [client.track("u1", "Seen", {"text": "x" * 10_000}) for _ in range(300)]
    client.close(0)
    stats = client.stats()
    kept = [message_id for message_id in ids if message_id in set(spooled(tmp_path))]

    assert 300 == stats.tracked == stats.pending + stats.dropped["queue_full"]
    assert 90 <= stats.spooled <= 100
    assert sum(path.stat().st_size for path in journals(tmp_path)) < 1_000_000 * 9 / 8 + 20_000
    assert set(ids[-90:] if when_full == "drop_oldest" else ids[:90]) <= set(kept)


def test_what_is_too_old_is_dropped_by_that_reason(tmp_path):
    """A journal of last week is not sent any more."""
    client = Client(URL, "key", spool=tmp_path, transport=CapturingTransport(DOWN))
    for _ in range(3):
        client.track("u1", "Seen")
    client.close(0)
    [journal] = journals(tmp_path)
    content = journal.read_bytes()
    since = int(content[20:40])
    journal.write_bytes(content.replace(b"%020d" % since, b"%020d" % (since - 8 * 86_400), 1))
    transport = CapturingTransport()
    drops: list[tuple[str, int]] = []
    with Client(URL, "key", spool=tmp_path, transport=transport, on_drop=lambda *drop: drops.append(drop)) as client:
        while client.stats().tracked < 3 or client.flush():
            time.sleep(0.01)
        stats = client.stats()

    assert ([], [("expired", 3)]) == (transport.events, drops)
    assert (3, {"expired": 3}) == (stats.recovered, dict(stats.dropped))


# --- damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "saved", "damaged"),
    [
        (lambda content: content[:-7], 2, 0),  # torn in the middle of the last line: never promised
        (lambda content: content[:HEAD_BYTES] + b"\0" * 100 + b"\n" + content[HEAD_BYTES:], 3, 1),
        (lambda content: b"\xff" * 50 + b"\n" + content[HEAD_BYTES:], 3, 1),
        (lambda content: content.replace(b'"type"', b'"typo"', 1), 2, 1),
        (lambda content: b"\x89PNG\r\n" + b"\0" * 1000, 0, 2),
        (lambda content: b"", 0, 0),
    ],
    ids=["torn", "zeros", "no head", "no event", "another file", "empty"],
)
def test_a_damaged_journal_is_moved_aside(tmp_path, caplog, damage, saved, damaged):
    """What can be read of it is sent, the rest is counted, one line says so, and the app goes on."""
    client = Client(URL, "key", spool=tmp_path, transport=CapturingTransport(DOWN))
    for n in range(3):
        client.track("u1", "Seen", {"n": n})
    client.close(0)
    [journal] = journals(tmp_path)
    journal.write_bytes(damage(journal.read_bytes()))
    caplog.clear()
    transport = CapturingTransport()
    with Client(URL, "key", spool=tmp_path, transport=transport) as client:
        client.track("u1", "Seen", {"n": 9})
        while client.stats().tracked < 1 + saved + damaged or client.flush():
            time.sleep(0.01)
        stats = client.stats()

    assert (1 + saved, damaged) == (stats.delivered, stats.dropped.get("damaged", 0))
    assert stats.tracked == stats.delivered + sum(stats.dropped.values())
    assert saved + 1 == len(transport.events)
    assert bool(damaged) == bool(list(tmp_path.glob("*.damaged")))
    assert bool(damaged) == ("assay.spool_damaged_journal" in caplog.text)


def test_a_journal_that_is_damaged_while_it_is_used_costs_only_itself(tmp_path):
    """Somebody empties the file under us: what it held is counted as damaged, and the next event goes on."""
    transport = CapturingTransport()
    with Client(URL, "key", spool=tmp_path, transport=transport, linger_seconds=60) as client:
        for _ in range(3):
            client.track("u1", "Lost")
        [journal] = journals(tmp_path)
        os.truncate(journal, 0)
        client.flush()
        client.track("u1", "Kept")
        client.flush()
        stats = client.stats()

    assert (1, {"damaged": 3}) == (stats.delivered, dict(stats.dropped))
    assert ["Kept"] == [event["event"] for event in transport.events]


def test_a_full_disk_means_memory_for_a_while(tmp_path):
    """Events that the disk does not take are kept in memory, counted as such, and sent; the app hears nothing."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # of each file, as a disk that fills up

    script = """
        import sys, assay
        with assay.Client(sys.argv[1], "key", spool=sys.argv[2], linger_seconds=60) as client:
            for n in range(60):
                assert client.track("u1", "Seen", {"text": "x" * 1000})
            before = client.stats()
            client.flush()
            after = client.stats()
            print(before.spooled, before.unspooled, before.pending, after.delivered, after.dropped)
    """
    with ScriptedServer() as server:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(script), server.url, str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            preexec_fn=limit,
        )
    on_disk, in_memory, pending, delivered, _ = done.stdout.split(maxsplit=4)

    assert 60 == len({event["messageId"] for event in server.events}) == int(delivered) == int(pending)
    assert 60 == int(on_disk) + int(in_memory)
    assert int(in_memory) > 0
    assert "assay.spool_disk_failed" in done.stderr


# --- forks ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_a_journal_of_its_own(tmp_path):
    """Parent's and child's events are sent once each, and a child that is killed leaves its own to the parent."""
    script = """
        import os, signal, sys, time, warnings, assay
        warnings.simplefilter("ignore", DeprecationWarning)
        client = assay.Client(sys.argv[1], "key", spool=sys.argv[2], linger_seconds=60)
        for n in range(10):
            client.track("u1", "Seen", {"who": "parent"})
        child = os.fork()
        if child == 0:
            for n in range(10):
                client.track("u1", "Seen", {"who": "child"})
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
        while client.stats().delivered < 20:
            client.flush(1)
    """
    with ScriptedServer() as server:
        subprocess.run(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(script), server.url, str(tmp_path)],
            timeout=60,
            check=True,
        )

    assert {"parent": 10, "child": 10} == Counter(event["properties"]["who"] for event in server.events)
    assert [] == journals(tmp_path)


def test_a_signal_in_the_middle_of_a_call_ends_in_time(tmp_path):
    """A handler that closes the client may have interrupted track() itself, which holds the queue's lock."""
    script = """
        import sys, assay
        client = assay.Client(sys.argv[1], "key", spool=sys.argv[2], exit_seconds=30)
        client.track("u1", "Seen")
        client.flush()
        print("go", flush=True)
        while True:
            client.track("u1", "Seen")
    """
    with ScriptedServer() as server:
        for n in range(6):
            process = subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(script), server.url, str(tmp_path)],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            assert b"go\n" == process.stdout.readline()
            time.sleep(0.01 * n)
            process.send_signal(signal.SIGTERM)
            process.wait(20)
            process.stdout.close()


# --- as a state machine ---------------------------------------------------------------------------------------------


class SpoolMachine(RuleBasedStateMachine):
    """A spool through any history of events, sends, drops, deaths and heirs, against a list."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.spool = self.make()
        self.waiting: list[bytes] = []  # tracked, not taken
        self.flying: list[bytes] = []
        self.count = 0

    def make(self) -> Spool:
        return Spool(
            self.folder,
            "test",
            bytes_max=40_000,  # journals of 5,000 bytes, so they follow one another
            seconds_max=1e9,
            sync="normal",
            memory_events_max=10,
        )

    @rule(size=st.integers(0, 2_000))
    def append(self, size: int) -> None:
        """An event is tracked."""
        self.count += 1
        event = b'{"type":"track","messageId":"%d","x":"%b"}' % (self.count, b"x" * size)
        if self.spool.append(event):
            self.waiting.append(event)
        else:
            assert sum(len(each) + 1 for each in [*self.waiting, *self.flying, event]) > 40_000

    @precondition(lambda self: not self.flying)
    @rule(events=st.integers(1, 9))
    def take(self, events: int) -> None:
        """A batch is sent: the oldest, in order, of one journal."""
        self.flying = self.spool.take(BatchLimits(events))
        assert self.waiting[: len(self.flying)] == self.flying
        assert bool(self.waiting) == bool(self.flying)
        del self.waiting[: len(self.flying)]

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        """A part of the batch, or all, has come to its end."""
        count = data.draw(st.integers(1, len(self.flying)))
        self.spool.end(count)
        del self.flying[:count]

    @rule()
    def drop_oldest(self) -> None:
        """Room is needed."""
        assert bool(self.waiting) == self.spool.drop_oldest()
        del self.waiting[:1]

    @rule(closes=st.booleans())
    def die(self, closes: bool) -> None:
        """The process ends, in order or not; its heir finds all that was not at its end, and maybe what was dropped."""
        if closes:
            assert 0 == self.spool.leave()
            self.spool.close()
        else:
            self.spool.forget()  # what the system does with the files of a process that was killed
        self.spool = self.make()
        found = self.spool.find()
        assert 0 == found.damaged_lines
        self.spool.put(found)
        left = [event for journal in found.journals for event in _events(journal.path)[-journal.unread :]]
        expected = [*self.flying, *self.waiting]
        assert [event for event in left if event in set(expected)] == expected
        self.waiting, self.flying = left, []

    @invariant()
    def the_counts_are_right(self) -> None:
        """Of events that wait, and of events on disk."""
        assert len(self.waiting) == len(self.spool)
        assert len(self.waiting) + len(self.flying) == self.spool.spooled

    @invariant()
    def files_are_bounded(self) -> None:
        """One journal more than the bytes of the events, at most."""
        total = sum(path.stat().st_size for path in journals(self.folder))
        waiting = sum(len(event) + 1 for event in [*self.waiting, *self.flying])
        assert total <= waiting + 2 * (5_000 + 2_100) + len(journals(self.folder)) * HEAD_BYTES

    def teardown(self) -> None:
        self.spool.forget()
        shutil.rmtree(self.folder)


def _events(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[1:-1]


TestSpool = SpoolMachine.TestCase
