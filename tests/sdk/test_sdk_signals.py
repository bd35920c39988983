"""SIGTERM, in real processes: what was tracked arrives, and the process ends as it would have without us."""

import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from scripted_server import Reply, ScriptedServer

# Not by print: the signal may come before its flush is over, and what is in the buffer be written again.
READY = 'import os; os.write(1, b"ready" + bytes([10]))'
# A client, and 200 events by a process that then waits to be ended.
TRACKED = """
import os, signal, sys, time, assay
client = assay.Client(sys.argv[1], "key", exit_seconds=20, linger_seconds=60)
for n in range(200):
    client.track("u1", "Seen", {"n": n})
import os; os.write(1, b"ready" + bytes([10]))
"""
# Python takes up a signal that comes just before a long sleep only after it, so these are short ones.
WAIT = """
for _ in range(600):
    time.sleep(0.1)
"""


@contextmanager
def started(url: str, *parts: str) -> Iterator[subprocess.Popen[str]]:
    """A Python that runs the parts of code, once it has said that it is ready."""
    code = "\n".join(textwrap.dedent(part) for part in parts)
    command = [sys.executable, "-W", "error", "-c", code, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert "ready\n" == process.stdout.readline()
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Tell it to end; its exit code, and what it wrote since."""
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def numbers(server: ScriptedServer) -> list[int]:
    return [event["properties"]["n"] for event in server.events]


def test_sigterm_sends_what_is_pending_and_ends_the_process_as_ever():
    """Two hundred events that would have waited a minute arrive; the exit status is that of the signal."""
    with ScriptedServer() as server, started(server.url, TRACKED, WAIT) as process:
        end = ended(process)

    assert (-signal.SIGTERM, "", "") == end
    assert list(range(200)) == numbers(server)


@pytest.mark.parametrize(
    ("handler", "code"),
    [
        ("lambda *_: sys.exit(7)", 7),
        ("lambda *_: os.write(1, b'bye' + bytes([10])) and os._exit(8)", 8),
        ("lambda *_: client.track('u1', 'Seen', {'n': 200}) and sys.exit(9)", 9),
    ],
    ids=["exits", "exits at once", "tracks"],
)
@pytest.mark.parametrize("before", [True, False], ids=["before ours", "after ours"])
def test_an_apps_own_handler_is_called_whoever_came_first(handler, code, before):
    """The app decides how the process ends; nothing is lost where ours is called too, or the end is an orderly one."""
    own = f"import os, signal, sys\nsignal.signal(signal.SIGTERM, {handler})"
    parts = (own, TRACKED) if before else (TRACKED.replace(READY, ""), own, READY)
    with ScriptedServer() as server, started(server.url, *parts, WAIT) as process:
        end = ended(process)
    at_once = code == 8
    expected = 201 if code == 9 else 0 if at_once and not before else 200

    assert (code, "bye\n" if at_once else "", "") == end
    assert list(range(expected)) == numbers(server)


def test_a_server_that_shuts_down_slowly_may_track_until_its_end():
    """A handler that only takes note leaves the client open."""
    own = """
    import signal
    told = []
    signal.signal(signal.SIGTERM, lambda *_: told.append(1))
    """
    slow = """
    while not told:
        time.sleep(0.01)
    client.track("u1", "Seen", {"n": 200})
    """
    with ScriptedServer() as server, started(server.url, own, TRACKED, slow) as process:
        end = ended(process)

    assert (0, "", "") == end
    assert list(range(201)) == numbers(server)


def test_one_deadline_holds_for_the_handler_and_the_exit_together():
    """A dead collector holds the app up for ``exit_seconds``, once."""
    hold = threading.Event()
    exits = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))"
    tracked = TRACKED.replace("exit_seconds=20", "exit_seconds=2")
    with ScriptedServer([Reply(hold=hold)] * 9) as server, started(server.url, exits, tracked, WAIT) as process:
        start = time.monotonic()
        code, _, err = ended(process)
        took = time.monotonic() - start
        hold.set()

    assert 0 == code
    assert "assay.unanswered_at_close count=200" in err
    assert 1.5 < took < 3.9


def test_a_second_sigterm_does_not_cut_the_time_short():
    """Supervisors signal a process and its group; the events of the first signal are still sent."""
    hold = threading.Event()
    with ScriptedServer([Reply(hold=hold)]) as server, started(server.url, TRACKED, WAIT) as process:
        process.send_signal(signal.SIGTERM)
        server.wait_for(1)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert process.poll() is None
        hold.set()
        process.communicate(timeout=60)

    assert -signal.SIGTERM == process.returncode
    assert 200 == len(set(numbers(server)))


@pytest.mark.parametrize("spooled", [False, True], ids=["memory", "spool"])
def test_a_signal_in_the_middle_of_a_call_loses_nothing(tmp_path, spooled):
    """An app that does nothing but track is interrupted while it holds the queue's lock, as likely as not."""
    busy = """
    import itertools, os, sys, assay
    folder = sys.argv[1].partition(" ")[2] or None
    client = assay.Client(sys.argv[1].partition(" ")[0], "key", exit_seconds=20, linger_seconds=60, spool=folder,
                          when_full="block", block_seconds=30)
    client.track("u1", "Seen", {"n": 0})
    import os; os.write(1, b"ready" + bytes([10]))
    for n in itertools.count(1):
        client.track("u1", "Seen", {"n": n})
    """
    for turn in range(3 if spooled else 6):
        folder = f" {tmp_path / str(turn)}" if spooled else ""
        with ScriptedServer() as server, started(f"{server.url}{folder}", busy) as process:
            start = time.monotonic()
            end = ended(process)
            took = time.monotonic() - start

        assert (-signal.SIGTERM, "", "") == end
        assert sorted(numbers(server)) == list(range(len(server.events)))
        assert took < 15


def test_handlers_are_left_alone_where_they_should_be():
    """No handler by an import, by a client that was told not to, from another thread, or over an ignored signal."""
    alone = """
    import signal, sys, threading
    interrupt = signal.getsignal(signal.SIGINT)
    import assay
    make = lambda **options: assay.Client(sys.argv[1], "key", **options)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    make(handle_sigterm=False)
    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    make()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) is interrupt
    import os; os.write(1, b"ready" + bytes([10]))
    """
    with started("http://127.0.0.1:9", alone) as process:
        assert ("", "") == process.communicate(timeout=60)

    assert 0 == process.returncode


def test_an_event_loop_is_never_held_up_by_the_handler():
    """With a hanging collector, a loop with a handler of its own goes on at once."""
    hold = threading.Event()
    loop = """
    import asyncio
    async def serve():
        stopped = asyncio.Event()
        previous = lambda *_: stopped.set()
        signal.signal(signal.SIGTERM, previous)
        client = assay.Client(sys.argv[1], "key", exit_seconds=10)
        client.track("u1", "Seen", {"n": 0})
        import os; os.write(1, b"ready" + bytes([10]))
        while not stopped.is_set():
            start = time.monotonic()
            await asyncio.sleep(0.01)
            assert time.monotonic() - start < 5
        print("stopped", await client.aclose(timeout=0.5), flush=True)
    asyncio.run(serve())
    """
    with (
        ScriptedServer([Reply(hold=hold)]) as server,
        started(server.url, "import signal, sys, time, assay", loop) as process,
    ):
        server.wait_for(1)
        code, out, _ = ended(process)
        hold.set()

    assert (0, "stopped 1\n") == (code, out)


def test_gevent_sends_on_sigterm_too():
    """In a monkey-patched process, signal handlers run where nothing may wait."""
    patched = "from gevent import monkey\nmonkey.patch_all()"
    command = [sys.executable, "-c", f"{patched}\n{TRACKED}\n{WAIT}"]
    with ScriptedServer() as server:
        process = subprocess.Popen([*command, server.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with process:
            assert "ready\n" == process.stdout.readline()
            end = ended(process)

    assert (-signal.SIGTERM, "", "") == end
    assert list(range(200)) == numbers(server)
