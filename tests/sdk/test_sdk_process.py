"""The SDK's life with its process, in real processes: import, exit, fork."""

import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from scripted_server import Reply, ScriptedServer


def run(code: str, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the code in a new Python in which every warning is an error."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def test_an_import_does_nothing_and_costs_little():
    """No thread, no handler, no hook, no HTTP client and no validator: these come with their first use."""
    done = run(
        """
        import atexit, logging, sys, threading
        hooks = atexit._ncallbacks()
        import assay
        assert threading.active_count() == 1
        assert atexit._ncallbacks() - hooks <= 1 + ("logging" not in sys.modules), atexit._ncallbacks()
        assert not logging.getLogger().handlers and not logging.getLogger("assay").handlers
        print(sorted({"httpx", "jsonschema", "jsonschema_rs", "ssl", "asyncio", "email", "click"} & sys.modules.keys()))
        """
    )

    assert ("[]\n", "") == (done.stdout, done.stderr)


def test_exit_without_flush_delivers_everything():
    """Five hundred events, tracked by a script that just ends, also by a client that nobody holds."""
    with ScriptedServer() as server:
        done = run(
            """
            import sys, assay
            client = assay.Client(sys.argv[1], "key")
            for n in range(500):
                client.track("u1", "Seen", {"n": n})
            def elsewhere():
                assay.Client(sys.argv[1], "key2").track("u1", "Seen", {"n": 500})
            elsewhere()
            """,
            server.url,
        )

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert set(range(501)) == {event["properties"]["n"] for event in server.events}
    assert 501 == len(server.events)


def test_exit_after_an_error_delivers_too():
    """An exception that ends the script does not end its events."""
    with ScriptedServer() as server:
        done = run(
            """
            import sys, assay
            assay.configure(sys.argv[1], "key")
            assay.track("u1", "Failed")
            raise SystemExit(3)
            """,
            server.url,
        )

    assert (3, "") == (done.returncode, done.stderr)
    assert ["Failed"] == [event["event"] for event in server.events]


@pytest.mark.parametrize(
    "script", [[Reply(503, {"Retry-After": "60"})] * 9, [Reply(status=500)] * 99], ids=["asks", "fails"]
)
def test_exit_keeps_its_deadline_and_names_the_loss(script):
    """One line with the count, and no waiting for what cannot come in time."""
    with ScriptedServer(script) as server:
        start = time.monotonic()
        done = run(
            """
            import sys, assay
            client = assay.Client(sys.argv[1], "key", exit_seconds=2, batch_events_max=10)
            for n in range(30):
                client.track("u1", "Seen", {"n": n})
            """,
            server.url,
        )
        took = time.monotonic() - start
    losses = [line for line in done.stderr.splitlines() if "assay.events_dropped" in line]

    assert 0 == done.returncode
    assert took < 30
    assert len(server.requests) < 12
    assert 30 == sum(int(line.split("count=")[1].split()[0]) for line in losses)
    assert all("reason=deadline" in line for line in losses)


def test_exit_from_a_hanging_collector_keeps_its_deadline():
    """A request that never ends is left behind."""
    hold = threading.Event()
    with ScriptedServer([Reply(hold=hold)]) as server:
        start = time.monotonic()
        done = run(
            """
            import sys, assay
            client = assay.Client(sys.argv[1], "key", exit_seconds=0.5, timeout_seconds=60)
            client.track("u1", "Seen")
            """,
            server.url,
        )
        took = time.monotonic() - start
        hold.set()

    assert 0 == done.returncode
    assert took < 30
    assert "assay." in done.stderr


def test_events_of_exit_handlers_are_delivered():
    """A handler that the app registered after the client was made runs before ours."""
    with ScriptedServer() as server:
        done = run(
            """
            import atexit, sys, assay
            client = assay.Client(sys.argv[1], "key")
            atexit.register(lambda: client.track("u1", "Ended"))
            """,
            server.url,
        )

    assert (0, "") == (done.returncode, done.stderr)
    assert ["Ended"] == [event["event"] for event in server.events]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_sends_its_own_events_and_no_others():
    """The parent's events once, the child's once, in whatever state the parent's sender is."""
    with ScriptedServer() as server:
        done = run(
            """
            import os, sys, warnings, assay
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on forks with threads
            client = assay.Client(sys.argv[1], "key")
            for n in range(20):
                client.track("u1", "Seen", {"who": "parent", "n": n})  # the sender starts, and imports, about now
                if n % 5 == 0:
                    child = os.fork()
                    if child == 0:
                        client.track("u1", "Seen", {"who": f"child {n}"})
                        os._exit(client.close(30))
                    assert os.waitpid(child, 0)[1] == 0
            client.close(30)
            """,
            server.url,
        )
    who = sorted(event["properties"]["who"] for event in server.events)

    assert (0, "") == (done.returncode, done.stderr)
    assert sorted(["parent"] * 20 + [f"child {n}" for n in (0, 5, 10, 15)]) == who
    assert 24 == len({event["messageId"] for event in server.events})
